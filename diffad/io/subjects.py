"""Which files are scans, which scans are one subject, and under what name its results go."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from diffad.io.naming import MAP_ENDS, Naming
from diffad.io.nifti import SUFFIXES, stem

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
    """

    name: str
    paths: tuple[Path, ...]
    missing: tuple[str, ...] = ()
    folder: Path = Path()
    bids: bool = False

    @property
    def naming(self) -> Naming:
        """What its results are called."""
        return Naming(self.name, self.folder, self.bids)


@dataclass(frozen=True)
class Search:
    """The scans that were found, and the masks and maps that were passed over."""

    scans: list[Path]
    ignored: list[Path]


def find_scans(
    sources: Sequence[Path],
    out: Path | None = None,
    mask: str | Path | None = None,
    region: str | Path | None = None,
) -> Search:
    """Collect scans from files and folders.

    A folder is searched with all folders in it for .nii and .nii.gz; hidden files, maps that were written
    here and all that lies in ``out`` are passed over. A file is taken as it is. Masks are passed over in
    both.

    Args:
        sources: Files and folders.
        out: Folder of the results.
        mask: Mask file, or the end of the names of masks.
        region: Region file, or the end of the names of regions; passed over alike.

    Raises:
        ValueError: If a folder holds no scan, or all files are masks.
    """
    scans: dict[Path, Path] = {}
    ignored: list[Path] = []
    for source in sources:
        paths = sorted(_walk_folder(source, out)) if source.is_dir() else [source]
        candidates = [p for p in paths if p == source or not stem(p).endswith(MAP_ENDS)]
        images = [p for p in candidates if not (_is_mask(p, mask) or _is_mask(p, region))]
        if not images and source.is_dir():
            raise ValueError(f"{source}: expected scans (.nii or .nii.gz), found none")
        ignored += [p for p in paths if p not in images]
        scans |= {p.resolve(): p for p in images if p.resolve() not in scans}
    if not scans:
        raise ValueError(f"expected scans, found only masks: {', '.join(map(str, ignored))}")
    return Search(list(scans.values()), ignored)


def _walk_folder(folder: Path, out: Path | None) -> Iterator[Path]:
    """Follow links, out of the folder too, as git-annex and DataLad trees consist of them; none twice."""
    history = {folder.resolve()}
    for root, folders, files in os.walk(folder, followlinks=True):
        visible = [f for f in folders if not f.startswith(".") and not _is_same(Path(root) / f, out)]
        folders[:] = sorted(f for f in visible if (Path(root) / f).resolve() not in history)
        history |= {(Path(root) / f).resolve() for f in folders}
        yield from (Path(root) / f for f in files if f.endswith(SUFFIXES) and not f.startswith("."))


def _is_same(a: Path, b: Path | None) -> bool:
    return b is not None and a.resolve() == b.resolve()


def _is_mask(path: Path, mask: str | Path | None) -> bool:
    return _is_same(path, mask) if isinstance(mask, Path) else mask is not None and stem(path).endswith(mask)


def parse_mask(text: str) -> str | Path:
    """Read a mask option: an existing file, or the end of the names of masks, with or without .nii.gz.

    Raises:
        ValueError: If it is the path of a file that does not exist, or empty.
    """
    if Path(text).is_file():
        return Path(text)
    if os.sep in text or not stem(Path(text)):
        raise ValueError(
            f"{text}: expected a mask file, or what the names of masks end in, found no such file"
        )
    return stem(Path(text))


def find_subject_mask(subject: Subject, mask: str | Path | None, what: str = "brain mask") -> Path | None:
    """Find the brain mask, or another mask, of a subject.

    With the ending ``_brain``, the mask of ``sub-01_T1w.nii.gz`` is looked for beside it as
    ``sub-01_T1w_brain.nii.gz``, then ``sub-01_brain.nii.gz``, then ``_brain.nii.gz``.

    Raises:
        ValueError: If no such file lies beside the scan.
    """
    if mask is None or isinstance(mask, Path):
        return mask
    scan = subject.paths[0]
    names = [stem(scan), drop_last_word(stem(scan)), ""]
    for name in names:
        for suffix in SUFFIXES:
            if (path := scan.parent / f"{name}{mask}{suffix}").is_file():
                return path
    raise ValueError(f"{scan}: expected its {what} {stem(scan)}{mask}.nii.gz beside it, found none")


def drop_last_word(name: str) -> str:
    """Drop the last part of a name, which often is the sequence: ``sub-01`` of ``sub-01_T1w``."""
    return name.rpartition("_")[0] or name


def group_subjects(scans: Sequence[Path], sequences: Sequence[str] = ()) -> list[Subject]:
    """Make subjects of scans, and give each a name of its own.

    Without sequences each scan is a subject. With the sequences ``t1`` and ``flair`` the files ``A_t1.nii``
    and ``A_flair.nii`` of one folder are the subject ``A``; so are ``A/t1.nii`` and ``A/flair.nii``.
    Names that occur in several folders are told apart by as many folder names before them as it takes:
    ``a/T1.nii.gz`` and ``b/T1.nii.gz`` become ``a_T1`` and ``b_T1``.

    Raises:
        ValueError: If no file belongs to a sequence, or two files would go by one name.
    """
    groups: dict[Path, dict[str, Path]] = {}
    for path in scans:
        key, sequence = _split_name(path.absolute(), sequences)
        if key is not None:
            _add_sequence(groups.setdefault(key, {}), sequence, path)
    if not groups:
        raise ValueError(
            f"expected names that end in {' or '.join(sequences)}, got {', '.join(map(str, scans[:3]))}"
        )
    order = list(sequences) or [""]
    return [
        Subject(name, tuple(g[s] for s in order if s in g), tuple(s for s in order if s not in g))
        for name, g in zip(_make_names(list(groups)), groups.values(), strict=True)
    ]


def _add_sequence(group: dict[str, Path], sequence: str, path: Path) -> None:
    if sequence in group:
        raise ValueError(f"{group[sequence]} and {path} would share the name of their results; rename one")
    group[sequence] = path


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


def _make_names(keys: Sequence[Path]) -> list[str]:
    depths = [1] * len(keys)
    while True:
        names = ["_".join(k.parts[1:][-d:]) for k, d in zip(keys, depths, strict=True)]
        counts = Counter(names)
        clashes = [i for i, name in enumerate(names) if counts[name] > 1]
        if not clashes:
            return names
        if all(depths[i] >= len(keys[i].parts) for i in clashes):
            raise ValueError(f"expected scans that can be told apart by name, got {names[clashes[0]]} twice")
        depths = [d + 1 if i in clashes else d for i, d in enumerate(depths)]
