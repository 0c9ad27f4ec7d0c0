"""Which files are scans: in folders that are searched, or as they are named; and what is passed over."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffad.io.dicom_files import INDEX_NAME, is_dicom_file
from diffad.io.entities import is_companion
from diffad.io.nifti import FLAT_SUFFIXES, stem
from diffad.io.own_maps import is_own_map
from diffad.io.paths import is_folder, is_present_file, resolve_path
from diffad.io.walk import FolderListing, find_content_gap, walk_folder

FETCH = "fetch it first (datalad get, git annex get or git lfs pull)"
NO_CONTENT = f"no content: {FETCH}"
"""Why a scan that is a link to nothing, or a pointer, cannot be looked at."""
MAX_NAMES = 3
"""Largest number of names in a sentence about many files."""


@dataclass
class Search:
    """The scans that were found, and what was passed over.

    Args:
        scans: Files to look at, in order.
        ignored: Masks and maps.
        gaps: Scans whose content is not there: links that lead nowhere, and pointers.
        links: Scans that are one file under two names, the second first.
        listing: What else lies in the folders.
        dicom: DICOM files, where these are asked for.
    """

    scans: list[Path] = field(default_factory=list)
    ignored: list[Path] = field(default_factory=list)
    gaps: list[Path] = field(default_factory=list)
    links: list[tuple[Path, Path]] = field(default_factory=list)
    listing: FolderListing = field(default_factory=FolderListing)
    dicom: list[Path] = field(default_factory=list)

    def describe_rest(self) -> list[str]:
        """Say in one sentence for each reason what was passed over, but for masks, maps and gaps."""
        slices = [path for path in self.scans if path.name.lower().endswith(FLAT_SUFFIXES)]
        note = f"{len(slices)} single slices have no voxel size; their pixels are taken to be 1 mm"
        note += ", and their left for that of the patient"
        return [*describe_listing(self.listing), *self._describe_links(), *([note] if slices else [])]

    def describe_gaps(self) -> list[str]:
        """Say how many scans have no content."""
        total = len(self.scans) + len(self.gaps)
        return describe_gaps(self.gaps, total)

    def _describe_links(self) -> list[str]:
        pairs = [f"{second} and {first}" for second, first in self.links]
        return [f"one file under two names: {list_names(pairs)}"] if pairs else []


def list_names(names: Iterable[object], limit: int = MAX_NAMES) -> str:
    """Join the first few names."""
    texts = [str(name) for name in names]
    return ", ".join(texts[:limit]) + (f" and {len(texts) - limit} more" if len(texts) > limit else "")


def describe_gaps(gaps: Sequence[object], total: int, what: str = "scans") -> list[str]:
    """Say how many of all scans have no content; nothing if all have."""
    verb = "has" if len(gaps) == 1 else "have"
    return [f"{len(gaps)} of {total} {what} {verb} no content: {FETCH}: {list_names(gaps)}"] if gaps else []


def describe_listing(listing: FolderListing) -> list[str]:
    """Say what of a folder was passed over as nothing here reads it, one sentence for each reason."""
    lines = []
    if listing.others:
        ends = Counter(path.suffix.lower() or "without an end" for path in listing.others)
        kinds = list_names((f"{count} {end}" for end, count in ends.most_common()), 6)
        lines.append(f"passed over what is no NIfTI or MGH volume: {kinds}")
    if listing.closed:
        lines.append(f"passed over folders that may not be read: {list_names(listing.closed)}")
    if listing.lost:
        lines.append(f"passed over links that lead nowhere: {list_names(listing.lost)}")
    if listing.repeats:
        lines.append(
            f"passed over links to folders that were searched already: {list_names(listing.repeats)}"
        )
    return lines


def find_scans(
    sources: Sequence[Path],
    out: Path | None = None,
    mask: str | Path | None = None,
    region: str | Path | None = None,
    takes_dicom: bool = False,
) -> Search:
    """Collect scans from files and folders.

    A folder is searched with all folders in it for volumes, and where there is none for single slices; hidden
    files, maps that were written here, masks
    and labels by their BIDS names, and all that lies in ``out`` are passed over. A file is taken as it is.
    What ``mask`` and ``region`` name is passed over in both.

    Args:
        sources: Files and folders.
        out: Folder of the results.
        mask: Mask file, or the end of the names of masks.
        region: Region file, or the end of the names of regions; passed over alike.
        takes_dicom: Also collect DICOM files, known by their content.

    Raises:
        ValueError: If a folder holds no scan, or all files are masks.
    """
    search, places = Search(), dict[tuple[Path, str], Path]()
    for source in sources:
        is_deep = is_folder(source)
        if takes_dicom and not is_deep and is_dicom_file(source):
            search.dicom.append(source)
            continue
        images = _search_folder(source, out, search) if is_deep else [source]
        has_dicom = is_deep and takes_dicom and _take_dicom(search)
        images = images or (_take_slices(search) if is_deep and not has_dicom else [])
        masks = [p for p in images if _is_mask(p, mask) or _is_mask(p, region)]
        search.ignored += masks
        images = [p for p in images if p not in set(masks)]
        gaps = [p for p in images if is_deep and find_content_gap(p)]
        if is_deep and not images and not has_dicom:
            raise ValueError(_describe_lack(source, search))
        for path in images:
            if places.setdefault((resolve_path(path.parent), path.name), path) is path:
                (search.gaps if path in set(gaps) else search.scans).append(path)
    if search.gaps and not search.scans and not search.dicom:
        raise ValueError(f"expected scans, found none that can be read: {search.describe_gaps()[0]}")
    if not search.scans and not search.dicom:
        raise ValueError(f"expected scans, found only masks: {', '.join(map(str, search.ignored))}")
    search.links = _find_links(search.scans)
    return search


def _search_folder(folder: Path, out: Path | None, search: Search) -> list[Path]:
    listing = walk_folder(folder, out)
    search.listing += listing
    results = {p for p in listing.volumes if is_companion(stem(p)) or is_own_map(p)}
    search.ignored += sorted(results)
    return [p for p in listing.volumes if p not in results]


def _take_dicom(search: Search) -> bool:
    """Take the DICOM files of a folder, and tell whether there are any."""
    files = [path for path in search.listing.others if is_dicom_file(path)]
    search.listing.others = [path for path in search.listing.others if path not in set(files)]
    known_files = set(search.dicom)
    search.dicom += sorted(path for path in files if path not in known_files)
    if files:  # the table of contents of a medium goes with its images
        others = search.listing.others
        search.listing.others = [path for path in others if path.name.upper() != INDEX_NAME]
    return bool(files)


def _take_slices(search: Search) -> list[Path]:
    """Take the single slices of a folder that holds no volume."""
    slices = [path for path in search.listing.others if path.name.lower().endswith(FLAT_SUFFIXES)]
    search.listing.others = [path for path in search.listing.others if path not in set(slices)]
    return sorted(slices)


def _describe_lack(folder: Path, search: Search) -> str:
    """Say that a folder holds no scan, and what it holds instead."""
    lines = []
    if search.ignored:
        count = len(search.ignored)
        lines.append(
            f"passed over {count} masks and maps: {list_names(search.ignored)}; name a file to use it"
        )
    lines += describe_listing(search.listing)
    rest = f" ({'; '.join(lines)})" if lines else ""
    return f"{folder}: expected scans (.nii, .nii.gz, .mgz, .mgh or .hdr with .img), found none{rest}"


def _find_links(scans: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pair scans that are links to one file, with the first of them."""
    files: dict[Path, Path] = {}
    pairs = [(path, files.setdefault(resolve_path(path), path)) for path in scans]
    return [(path, first) for path, first in pairs if path is not first]


def _is_mask(path: Path, mask: str | Path | None) -> bool:
    if isinstance(mask, Path):
        return resolve_path(path) == resolve_path(mask)
    return mask is not None and stem(path).endswith(mask)


def parse_mask(text: str) -> str | Path:
    """Read a mask option: an existing file, or the end of the names of masks, with or without .nii.gz.

    Raises:
        ValueError: If it is the path of a file that does not exist, or empty.
    """
    if is_present_file(Path(text)):
        return Path(text)
    if os.sep in text or not stem(Path(text)):
        raise ValueError(
            f"{text}: expected a mask file, or what the names of masks end in, found no such file"
        )
    return stem(Path(text))
