"""Which volumes diffad wrote: what is stored beside them says so, not their names alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from diffad.io.files import FileError, read_regular
from diffad.io.naming import MAP_ENDS, Naming
from diffad.io.nifti import WRITTEN_SUFFIXES, stem
from diffad.io.paths import is_present_file
from diffad.io.spaces import is_carried

INFO_BYTES = 50_000_000
"""Largest size of what is stored with the maps of a scan."""

EXPECTATION = "what predict stored with the maps"
"""What errors say of it."""

KINDS: dict[str, tuple[tuple[type, ...], str]] = {
    "image_score": ((int, float), "a number"),
    "threshold": ((int, float), "a number"),
    "anomalous_ml": ((int, float), "a number"),
    "seconds": ((int, float), "a number"),
    "nfe": ((int, float), "a number"),
    "axis": ((str,), "a name"),
    "scan": ((list,), "a list of files"),
    "warnings": ((list,), "a list of sentences"),
    "request": ((dict,), "a mapping"),
    "config": ((dict,), "a mapping"),
    "model": ((dict, str), "a mapping"),
    "slice_range": ((list, type(None)), "two slices"),
    "slices": ((int,), "a number"),
    "files": ((dict, type(None)), "a mapping"),
    "sampler": ((dict, type(None)), "a mapping"),
    "versions": ((dict,), "a mapping"),
    "threshold_rule": ((str,), "a name"),
}
"""What the values of the keys are, where a reader relies on it."""


def is_own_map(path: Path) -> bool:
    """Tell whether a volume is a map, a mask or a reconstruction that diffad wrote.

    Other tools write names such as ``T1_std.nii.gz``, too. Ours have a record of the run beside them, or,
    where that is lost, both the map and the part that was analysed; those in the space of the template have
    their transform.
    """
    return is_carried(path) or any(_is_result_of(naming, path.parent) for naming in _list_namings(stem(path)))


def _is_result_of(naming: Naming, folder: Path) -> bool:
    files = naming.files(folder)
    if _is_own_record(files["info"]):
        return True
    kinds = [files[kind].with_name(stem(files[kind])) for kind in ("anomaly", "seen")]
    return all(any(is_present_file(Path(f"{name}{end}")) for end in WRITTEN_SUFFIXES) for name in kinds)


def _list_namings(name: str) -> list[Naming]:
    """List whose result a name may be."""
    namings = [Naming(name.removesuffix(end)) for end in MAP_ENDS if name.endswith(end)]
    parts = name.split("_")
    labels = [p for p in parts if p.startswith("desc-")]
    kinds = [k[1:] for k in MAP_ENDS if labels and labels[0].lower().endswith(k[1:])]
    if name.startswith("sub-") and kinds:
        rest = labels[0].removeprefix("desc-")[: -len(kinds[0])]
        entities = [p for p in parts[:-1] if p != labels[0] and not p.startswith("mod-")]
        suffix = next((p.removeprefix("mod-") for p in parts if p.startswith("mod-")), parts[-1])
        entities += [f"desc-{rest}"] if rest else []
        namings.append(Naming("_".join([*entities, suffix]), bids=True))
    return namings


def _is_own_record(path: Path) -> bool:
    try:
        info = read_scan_info(path)
    except ValueError:
        return False
    return "image_score" in info or "request" in info


def read_scan_info(path: Path) -> dict[str, Any]:
    """Read what was stored with the maps of a scan.

    Raises:
        FileError: If it is no regular file, or no JSON mapping with finite numbers; the file is named.
    """
    content = read_regular(path, INFO_BYTES, EXPECTATION)
    try:
        info = json.loads(content, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise FileError(f"{path}: expected {EXPECTATION}, found no JSON ({error})") from error
    if not isinstance(info, dict):
        raise FileError(f"{path}: expected {EXPECTATION}, found no mapping but {type(info).__name__}")
    for key, (kinds, what) in KINDS.items():
        if key in info and not (isinstance(info[key], kinds) and not isinstance(info[key], bool)):
            raise FileError(f"{path}: expected {EXPECTATION} with {what} for {key}, found {info[key]!r:.60}")
    _check_items(info, path)
    return info


def _check_items(info: dict[str, Any], path: Path) -> None:
    """Check what lies deeper in an information file.

    Raises:
        FileError: If a name is no text, a slice no number, or the space no mapping.
    """
    texts, numbers = [*(info.get("scan") or ()), *info.get("warnings", ())], info.get("slice_range") or ()
    space = info.get("config", {}).get("space", {})
    checks = {
        "names of files for scan, and sentences for warnings": all(isinstance(text, str) for text in texts),
        "two whole numbers for slice_range": len(numbers) in (0, 2) and all(type(n) is int for n in numbers),
        "a mapping for config.space": isinstance(space, dict),
        "numbers for config.space of a CT": _has_window(space),
        "a name for config.space.axis": isinstance(space, dict) and isinstance(space.get("axis", ""), str),
    }
    if faults := [what for what, is_right in checks.items() if not is_right]:
        raise FileError(f"{path}: expected {EXPECTATION} with {faults[0]}, found others")


def _has_window(space: Any) -> bool:
    """Tell whether the window of a CT is there, if it is one."""
    is_ct = isinstance(space, dict) and space.get("intensity") == "ct"
    return not is_ct or all(isinstance(space.get(key), int | float) for key in ("centre", "width"))


def _refuse_constant(name: str) -> float:
    raise ValueError(f"a number that is {name}")
