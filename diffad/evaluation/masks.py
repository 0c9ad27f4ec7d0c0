"""Which mask belongs to which scan: by whole names, by names without the sequence, by BIDS entities."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

from diffad.io.entities import choose_mask, drop_last_word, find_rival, parse_bids_name
from diffad.io.nifti import stem
from diffad.io.own_maps import is_own_map
from diffad.io.paths import resolve_path
from diffad.io.walk import FolderListing, walk_folder

LESION = ("_lesion", "_lesions", "_seg", "_label", "_labels", "_roi", "_mask", "")
"""Ends of the names of lesion masks; the bare name of the scan counts only if no other is there."""
BRAIN = ("_brain_mask", "_brain", "_mask", "")
"""Ends of the names of brain masks; the bare name of the scan counts only if no other is there."""
ANATOMY = (
    "brain",
    "gm",
    "wm",
    "csf",
    "cgm",
    "sgm",
    "scgm",
    "head",
    "skull",
    "bone",
    "scalp",
    "aseg",
    "tissue",
)
"""Values of ``label`` and ``desc``, in lower case, of masks that are no lesions."""
ODD_ENDS = ("_dseg", "_tumor", "_tumour", "_lesionmask")
"""Other ends of names that nobody gives a scan."""


class MaskFolder:
    """The masks in a folder and those in it; links are followed, and what diffad wrote is left out.

    Args:
        folder: The folder.
        ends: Ends of the names of masks, the most telling first.
        scans: Names of all scans that may have a mask here.
        but: A folder whose own files are left out, as they are results.
        images: Files that are scans and no masks.
    """

    def __init__(
        self,
        folder: Path,
        ends: Sequence[str],
        scans: Sequence[str] = (),
        but: Path | None = None,
        images: Collection[Path] = (),
    ) -> None:
        self.folder, self.ends, self.scans = folder, ends, list(scans)
        self.listing: FolderListing = walk_folder(folder)
        place = None if but is None else resolve_path(but)
        volumes = [p for p in self.listing.volumes if resolve_path(p.parent) != place and not is_own_map(p)]
        self.paths = [p for p in volumes if resolve_path(p) not in images]
        self._files: dict[str, list[Path]] = {}
        for path in self.paths:
            self._files.setdefault(stem(path), []).append(path)

    def find(self, name: str) -> Path | None:
        """Find the mask of a scan; whole names go before short ones, and names alone come last.

        Raises:
            ValueError: If several files, or several scans, are equally good; both are named.
        """
        for base in dict.fromkeys((name, drop_last_word(name))):
            if path := self._match(name, base, self.ends[:-1]):
                return path
        if path := choose_mask(name, self._bases, self.scans):
            return path
        bases = dict.fromkeys((name, drop_last_word(name)))
        return next((path for base in bases if (path := self._match(name, base, self.ends[-1:]))), None)

    def list_unused(self, used_masks: Collection[Path]) -> list[Path]:
        """List the masks that belong to no scan; where none is named like a mask, all files are listed."""
        used_files = {resolve_path(path) for path in used_masks}
        masks = [path for path in self.paths if self._is_mask_name(stem(path))]
        paths = masks or [path for path in self.paths if not self._is_other(stem(path))]
        return [path for path in paths if resolve_path(path) not in used_files]

    def find_near(self, name: str, used_masks: Collection[Path]) -> Path | None:
        """Find an unused mask of the same subject that says nothing to the contrary; else none."""
        own, used_files = parse_bids_name(name), {resolve_path(path) for path in used_masks}
        for base, path in self._bases if own else []:
            mask = parse_bids_name(base)
            if own is None or mask is None or resolve_path(path) in used_files:
                continue
            if all(own.identity.get(key, value) == value for key, value in mask.identity.items()):
                return path
        return None

    def _match(self, name: str, base: str, ends: Sequence[str]) -> Path | None:
        matches = sorted(path for end in ends for path in self._files.get(f"{base}{end}", []))
        if len(matches) > 1:
            raise ValueError(f"expected one mask for {name}, found {matches[0]} and {matches[1]}")
        if matches and base != name and (rival := find_rival(name, base, self.scans)):
            raise ValueError(
                f"{matches[0]}: expected the mask of one scan, found a name that fits {name} and {rival}; "
                "name it after one of them"
            )
        return matches[0] if matches else None

    @cached_property
    def _bases(self) -> list[tuple[str, Path]]:
        names = [(stem(path), path) for path in self.paths]
        return [
            (name.removesuffix(end), path)
            for name, path in names
            for end in self.ends[:-1]
            if name.endswith(end) and not self._is_other(name)
        ]

    def _is_mask_name(self, name: str) -> bool:
        bids = parse_bids_name(name)
        is_label = bids is not None and "label" in bids.entities
        return (name.endswith((*self.ends[:-1], *ODD_ENDS)) or is_label) and not self._is_other(name)

    def _is_other(self, name: str) -> bool:
        """Tell whether a mask is of the other kind: of a brain among lesions, of a lesion among brains."""
        bids = parse_bids_name(name)
        entities = bids.entities if bids else {}
        values = [entities[key].lower() for key in ("label", "desc") if key in entities]
        is_anatomy = any(value in ANATOMY for value in values)
        if "_brain" in self.ends:
            return any("lesion" in v or "tumo" in v for v in values) or (
                "label" in entities and not is_anatomy
            )
        return is_anatomy or name.endswith(BRAIN[:2])


def find_mask(name: str, folder: Path, ends: Sequence[str], but: Path | None = None) -> Path | None:
    """Find the mask of a scan in a folder, see ``MaskFolder``.

    Raises:
        ValueError: If several files claim to be it.
    """
    return MaskFolder(folder, ends, but=but).find(name)
