"""The mask that lies beside a scan, by its name: the same for prediction and for training."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from diffad.io.entities import (
    choose_mask,
    drop_last_word,
    drop_sequence,
    find_rival,
    is_companion,
    parse_bids_name,
)
from diffad.io.nifti import SUFFIXES, is_volume_name, stem
from diffad.io.paths import is_present_file


def find_mask_beside(scan: Path, ending: str) -> Path | None:
    """Find the mask of a scan by the end of its name, such as ``_brain``; none if there is none.

    Beside ``sub-01_T1w.nii.gz`` these are looked for: ``sub-01_T1w_brain``, ``sub-01_brain``, ``_brain``, and
    last any BIDS name with this end that differs from that of the scan only in the entities ``FREE``.

    Raises:
        ValueError: If several files, or several scans, are equally good; both are named.
    """
    name = stem(scan)
    for base in dict.fromkeys((name, drop_last_word(name), "")):
        names = [scan.parent / f"{base}{ending}{suffix}" for suffix in SUFFIXES]
        if paths := [path for path in names if path != scan and is_present_file(path)]:
            return _check_choice(scan, base, paths, ending)
    volumes = _list_neighbours(scan)
    for base in dict.fromkeys((name, drop_last_word(name), "")):
        if paths := [path for path in volumes if stem(path) == f"{base}{ending}"]:
            return _check_choice(scan, base, paths, ending)
    masks = [(stem(path)[: -len(ending)], path) for path in volumes if stem(path).endswith(ending)]
    return choose_mask(name, masks, _list_scans(volumes, [path for _, path in masks]))


def find_mask_by_pattern(scan: Path, pattern: str) -> Path | None:
    """Find the mask of a scan by a pattern of its name, in which one ``*`` stands for that of the scan.

    The star is the name of the scan, or its first words: "*_mask.nii.gz" finds sub-01_mask.nii.gz for
    sub-01_T1w.nii.gz, but never the mask of sub-1. BIDS names go by their entities, see ``choose_mask``.

    Raises:
        ValueError: If several files, or several scans, are equally good; both are named.
    """
    name = stem(scan)
    for base in _shorten(name):
        candidate = scan.with_name(pattern.replace("*", base))
        if candidate != scan and is_present_file(candidate):
            return candidate
    if "*" not in pattern or parse_bids_name(name) is None:
        return None
    volumes = _list_neighbours(scan)
    regex = re.compile(re.escape(pattern).replace(r"\*", "(.*)"), re.DOTALL)
    masks = [(match.group(1), path) for path in volumes if (match := regex.fullmatch(path.name))]
    return choose_mask(name, masks, _list_scans(volumes, [path for _, path in masks]))


def _shorten(name: str) -> list[str]:
    """List what may stand before the ending of a mask; entities are not dropped from a BIDS name."""
    if parse_bids_name(name) is not None:
        return list(dict.fromkeys((name, drop_last_word(name), "")))
    gaps = [match.start() for match in re.finditer(r"[^A-Za-z0-9]", name)]
    return [name[:end] for end in (len(name), *reversed(gaps), 0)]


def _check_choice(scan: Path, base: str, paths: Sequence[Path], ending: str) -> Path:
    if len(paths) > 1:
        raise ValueError(f"{scan}: expected one mask, found {paths[0]} and {paths[1]}; move one away")
    if base not in ("", stem(scan), drop_sequence(stem(scan))):
        volumes = [stem(path) for path in _list_neighbours(scan)]
        if rival := find_rival(stem(scan), base, [n for n in volumes if not n.endswith(ending)]):
            raise ValueError(
                f"{paths[0]}: expected the mask of one scan, found a name that fits {stem(scan)} and "
                f"{rival}; name it after one of them"
            )
    return paths[0]


def _list_neighbours(scan: Path) -> list[Path]:
    try:
        paths = sorted(scan.parent.iterdir())
    except OSError:
        return []
    return [p for p in paths if is_volume_name(p) and not p.name.startswith(".") and p.name != scan.name]


def _list_scans(volumes: Sequence[Path], masks: Sequence[Path]) -> list[str]:
    names = (stem(path) for path in volumes if path not in masks)
    return [name for name in names if not is_companion(name)]
