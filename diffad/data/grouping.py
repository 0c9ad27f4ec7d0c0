"""Warnings of many scans, each kind said once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence


def group_warnings(warnings: Mapping[str, Sequence[str]], total: int) -> list[str]:
    """Return one sentence for each kind of warning: how many scans have it, and the first of them.

    Warnings that differ in numbers only, or in the name of the file, are of one kind.

    Args:
        warnings: Warnings by scan.
        total: Number of all scans.
    """
    groups: dict[str, dict[str, str]] = {}
    for name, sentences in warnings.items():
        for sentence in sentences:
            text = re.sub(r"^\S+\.(?:nii|mgz|img|hdr|png)\S*: ", "", sentence)
            groups.setdefault(re.sub(r"-?\d[\d.]*", "#", text), {}).setdefault(name, text)
    return [_describe_group(group, total) for group in groups.values()]


def _describe_group(group: Mapping[str, str], total: int) -> str:
    name, text = next(iter(group.items()))
    return f"{len(group)} of {total} scans, for example {name}: {text}"
