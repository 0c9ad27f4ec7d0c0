"""Which mask belongs to which scan: by whole names, by names without the sequence, by BIDS entities."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from functools import cached_property
from pathlib import Path

from diffad.io.entities import SEQUENCES, choose_mask, drop_last_word, find_rival, parse_bids_name
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
SEGMENTATIONS = ("_dseg", "_probseg")
"""Ends of BIDS segmentations, which are lesion masks if a ``label-`` says so, and else may be of tissue."""
ODD_ENDS = ("_tumor", "_tumour", "_lesionmask")
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
        """Find an unused mask of the same subject that says nothing to the contrary; else none.

        Names that are no BIDS names count if they, or their folders, hold the subject as a word of its own.
        """
        own, used_files = parse_bids_name(name), {resolve_path(path) for path in used_masks}
        subject = f"sub-{own.entities['sub']}" if own else name
        word = re.compile(rf"(?<![a-z0-9]){re.escape(subject)}(?![a-z0-9])", re.IGNORECASE)
        for path in self.paths:
            base = stem(path)
            if resolve_path(path) in used_files or self._is_other(base) or _is_scan_name(base):
                continue
            mask = parse_bids_name(base)
            if mask is None or own is None or not mask.entities["sub"].isalnum():
                if word.search(path.relative_to(self.folder).as_posix()) and base not in self.scans:
                    return path
            elif all(own.identity.get(key, value) == value for key, value in mask.identity.items()):
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
        names = [(stem(path), path) for path in self.paths if not self._is_other(stem(path))]
        return [
            (name.removesuffix(end), path)
            for name, path in names
            for end in (*self.ends[:-1], *(SEGMENTATIONS if _is_labelled(name) else ()))
            if name.endswith(end)
        ]

    def _is_mask_name(self, name: str) -> bool:
        ends = (*self.ends[:-1], *SEGMENTATIONS, *ODD_ENDS)
        return (name.endswith(ends) or _is_labelled(name)) and not self._is_other(name)

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


def _is_labelled(name: str) -> bool:
    bids = parse_bids_name(name)
    return bids is not None and "label" in bids.entities


def _is_scan_name(name: str) -> bool:
    """Tell whether a name ends in a sequence, as that of another scan of the subject does."""
    return name.rpartition("_")[2].lower() in SEQUENCES and not _is_labelled(name)


def find_mask(name: str, folder: Path, ends: Sequence[str], but: Path | None = None) -> Path | None:
    """Find the mask of a scan in a folder, see ``MaskFolder``.

    Raises:
        ValueError: If several files claim to be it.
    """
    return MaskFolder(folder, ends, but=but).find(name)
