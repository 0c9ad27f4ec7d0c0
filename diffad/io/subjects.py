"""Which scans are one subject, and under what name its results go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffad.io.beside import find_mask_beside
from diffad.io.dicom_files import DicomSource
from diffad.io.entities import drop_last_word as drop_last_word
from diffad.io.naming import Naming
from diffad.io.nifti import SUFFIXES, stem
from diffad.io.search import Search as Search
from diffad.io.search import find_scans as find_scans
from diffad.io.search import parse_mask as parse_mask

SEPARATORS = ("_", "-", ".")


@dataclass(frozen=True)
class Subject:
    """What one set of maps is made from.

    Args:
        name: First part of the names of its results.
        paths: One file for each sequence, in the model's order.
        missing: Sequences that were not found.
        folder: Where its results go, in the folder of all.
        bids: Whether they are named as BIDS has it.
        dicom: The DICOM images it is made of, where it is no file that is read as it is.
    """

    name: str
    paths: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    folder: Path = Path()
    bids: bool = False
    dicom: DicomSource | None = None

    @property
    def naming(self) -> Naming:
        """What its results are called."""
        return Naming(self.name, self.folder, self.bids)


def find_subject_mask(subject: Subject, mask: str | Path | None, what: str = "brain mask") -> Path | None:
    """Find the brain mask, or another mask, of a subject, see ``find_mask_beside``.

    Raises:
        ValueError: If no such file lies beside the scan, or the names do not tell which is meant.
    """
    if mask is None or isinstance(mask, Path):
        return mask
    scan = subject.paths[0]
    if (path := find_mask_beside(scan, mask)) is None:
        raise ValueError(f"{scan}: expected its {what} {stem(scan)}{mask}.nii.gz beside it, found none")
    return path


def group_subjects(scans: Sequence[Path], sequences: Sequence[str] = ()) -> list[Subject]:
    """Make subjects of scans, and give each a name of its own.

    Without sequences each scan is a subject. With the sequences ``t1`` and ``flair`` the files ``A_t1.nii``
    and ``A_flair.nii`` of one folder are the subject ``A``; so are ``A/t1.nii`` and ``A/flair.nii``.
    Names that occur in several folders are told apart by as many folder names before them as it takes:
    ``a/T1.nii.gz`` and ``b/T1.nii.gz`` become ``a_T1`` and ``b_T1``, and where even that makes one name of
    two, folders end in two underscores (``a__T1`` beside ``a_T1``). Beside ``T1.nii.gz``, the scans
    ``T1.nii`` and ``T1.mgz`` are called ``T1_nii`` and ``T1_mgz``.

    Raises:
        ValueError: If no file belongs to a sequence, or two files would go by one name.
    """
    places = [(path, *_split_name(path.absolute(), sequences)) for path in scans]
    owners: dict[tuple[Path, str], Path] = {}
    for path, key, sequence in sorted(places, key=lambda place: _rank_suffix(place[0])):
        if key is not None:
            owners.setdefault((key, sequence), path)
    groups: dict[Path, dict[str, Path]] = {}
    for path, key, sequence in places:
        if key is not None:
            is_second = owners[key, sequence] != path
            key = key.with_name(f"{key.name}_{name_suffix(path)}") if is_second else key
            _add_sequence(groups.setdefault(key, {}), sequence, path)
    if not groups:
        raise ValueError(
            f"expected names that end in {' or '.join(sequences)}, got {', '.join(map(str, scans[:3]))}"
        )
    order = list(sequences) or [""]
    return [
        Subject(name, tuple(g[s] for s in order if s in g), tuple(s for s in order if s not in g))
        for name, g in zip(make_names(list(groups)), groups.values(), strict=True)
    ]


def _add_sequence(group: dict[str, Path], sequence: str, path: Path) -> None:
    if sequence in group:
        raise ValueError(f"{group[sequence]} and {path} would share the name of their results; rename one")
    group[sequence] = path


def _rank_suffix(path: Path) -> tuple[int, str]:
    """Order files of one name, so that the first of them has it: ``.nii.gz``, then ``.nii``, then others."""
    ends = [index for index, end in enumerate(SUFFIXES) if path.name.lower().endswith(end)]
    return min(ends, default=len(SUFFIXES)), str(path)


def name_suffix(path: Path) -> str:
    """Return the suffixes of a volume as one word: ``nii_gz`` of ``T1.nii.gz``."""
    return path.name[len(stem(path)) :].strip(".").replace(".", "_")


def _split_name(path: Path, sequences: Sequence[str]) -> tuple[Path | None, str]:
    """Return folder and name of the subject a file belongs to, and which of its sequences it is."""
    name = stem(path)
    if not sequences:
        return path.with_name(name), ""
    for sequence in sorted(sequences, key=len, reverse=True):
        if name == sequence:
            return path.parent, sequence
        if name.endswith(tuple(f"{s}{sequence}" for s in SEPARATORS)):
            return path.with_name(name[: -len(sequence) - 1]), sequence
    return None, ""


def make_names(keys: Sequence[Path]) -> list[str]:
    """Name paths by their ends, with as many folders before them as it takes to tell them apart.

    Raises:
        ValueError: If two cannot be told apart.
    """
    depths = [1] * len(keys)
    while True:
        names = ["_".join(k.parts[1:][-d:]) for k, d in zip(keys, depths, strict=True)]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        if not clashes:
            return names
        if all(depths[i] >= len(keys[i].parts) for i in clashes):
            return _mark_folders(keys, names, clashes)
        depths = [d + 1 if i in clashes else d for i, d in enumerate(depths)]


def _mark_folders(keys: Sequence[Path], names: Sequence[str], clashes: Sequence[int]) -> list[str]:
    """Tell ``a_b`` from ``a/b``, whose folders make no difference: folders end in two underscores."""
    for depth in range(2, 1 + max(len(keys[i].parts) for i in clashes)):
        marked = {i: "__".join(keys[i].parts[1:][-depth:]) for i in clashes}
        result = [marked.get(i, name) for i, name in enumerate(names)]
        if len(set(result)) == len(result):
            return result
    raise ValueError(f"expected scans that can be told apart by name, got {names[clashes[0]]} twice")
