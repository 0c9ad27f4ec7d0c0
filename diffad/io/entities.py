"""BIDS names: their entities, which files are no scans, and which mask belongs to which scan."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

FREE = ("desc", "space", "res", "den", "label", "mod")
"""Entities in which the mask of a scan may differ from it: how it was made, and on which grid."""

INDICES = ("run", "echo", "inv", "split", "chunk")
"""Entities whose values are numbers, in BIDS."""

NO_SCANS = ("mask", "defacemask", "dseg", "probseg", "seg", "roi", "lesion", "lesions", "boldref", "sbref")
"""Suffixes of volumes that are no scans of a head."""

T1_WORDS = ("t1", "t1w", "t1c", "t1ce", "t1gd", "t1n", "unit1", "mp2rage")
"""What T1-weighted scans are called, in lower case."""
T2_WORDS = ("t2", "t2w", "t2f", "t2star", "t2starw", "flair", "pd", "pdw", "swi", "dwi", "adc", "trace")
"""What other sequences are called, in lower case."""
SEQUENCES = (*T1_WORDS, *T2_WORDS, "ct", "cta", "mr", "mri", "mra")
"""Last words of names that tell sequences of one session apart, and not sessions."""
OWN_MASK = re.compile("(?:^a|A)nomaly([A-Z].*)|(?:^s|S)een([A-Z].*)|(?:^u|U)nseen([A-Z].*)")
"""What the ``desc-`` of our own masks ends in, with the sequence they are of: ``anomalyT1w``."""


@dataclass(frozen=True)
class BidsName:
    """The parts of a BIDS name.

    Args:
        entities: Values by key; ``sub`` is one of them.
        words: What is no entity, the suffix last.
    """

    entities: Mapping[str, str]
    words: tuple[str, ...]

    @property
    def identity(self) -> dict[str, str]:
        """The entities that a scan and its masks have in common; ``run-01`` is ``run-1``."""
        values = {key: value for key, value in self.entities.items() if key not in FREE}
        numbers = {key: f"{int(v)}" for key, v in values.items() if key in INDICES and v.isdecimal()}
        return values | numbers

    @property
    def suffix(self) -> str:
        """The last word, such as ``T1w``; empty if there is none."""
        return self.words[-1] if self.words else ""


@lru_cache(100_000)
def parse_bids_name(name: str) -> BidsName | None:
    """Parse a name without its suffixes; none if it does not begin with a subject."""
    parts = [part for part in name.split("_") if part]
    if not parts or not re.match("sub-.", parts[0], re.DOTALL):
        return None
    words = tuple(part for part in parts if not re.match("[a-z]+-.", part, re.DOTALL))
    pairs = [part.partition("-") for part in parts if part not in words]
    return BidsName({key: value for key, _, value in reversed(pairs)}, words)


def is_companion(name: str) -> bool:
    """Tell whether a volume is made for a scan, by its name without suffixes: a mask, a label, a phase.

    Any name may end in ``_mask``; the rest are BIDS names with the suffix of a mask or segmentation, with a
    ``label-``, or with a ``part-`` that is not the magnitude.
    """
    if name.endswith("_mask"):
        return True
    bids = parse_bids_name(name)
    if bids is None:
        return False
    other_part = bids.entities.get("part", "mag") != "mag"
    return bids.suffix.lower() in NO_SCANS or "label" in bids.entities or other_part


def drop_last_word(name: str) -> str:
    """Drop the last part of a name, which often is the sequence: ``sub-01`` of ``sub-01_T1w``.

    The last part of a BIDS name stays if it is an entity: ``sub-01_ses-1`` is not ``sub-01``.
    """
    bids = parse_bids_name(name)
    if bids is not None and not bids.words:
        return name
    return name.rpartition("_")[0] or name


def find_rival(scan: str, base: str, others: Sequence[str]) -> str | None:
    """Return another scan whose mask a mask called ``base`` could be as well; none if there is none.

    Sequences of one session share their masks; of ``a_1`` and ``a_2`` nobody knows whose mask ``a`` is.

    Args:
        scan: Name of a scan that begins with ``base``.
        base: Name of the mask without its ending.
        others: Names of all scans.
    """
    if scan == base or drop_sequence(scan) == base:
        return None
    rivals = (name for name in others if name != scan and drop_last_word(name) == base)
    return next((name for name in rivals if drop_sequence(name) != base), None)


def drop_sequence(name: str) -> str:
    """Drop the last part of a name if it is a sequence: ``a`` of ``a_t1``, but all of ``a_1``."""
    head, _, word = name.rpartition("_")
    return head if word.lower() in SEQUENCES else name


def choose_mask(scan: str, masks: Sequence[tuple[str, Path]], others: Sequence[str] = ()) -> Path | None:
    """Choose the mask of a scan by BIDS entities; none if there is none, or the scan has no BIDS name.

    A mask shares all entities with its scan but those of ``FREE``; where several do, that counts which agrees
    in most of these, too. A mask of fewer entities, as one without a session, counts if it can be of no other
    scan.

    Args:
        scan: Name of the scan.
        masks: Names of the masks without the endings that make them masks, and their files.
        others: Names of all scans that could have these masks.

    Raises:
        ValueError: If two masks, or two scans, are equally good; both are named.
    """
    own = parse_bids_name(scan)
    if own is None:
        return None
    names = [(name, path) for base, path in masks if (name := parse_bids_name(base)) and _may_fit(name, own)]
    pairs = [(name, path) for name, path in names if name.identity == own.identity]
    if pairs:
        return _choose_closest(scan, own, pairs)
    wider_pairs = [(name, path) for name, path in names if name.identity.items() < own.identity.items()]
    if not wider_pairs:
        return None
    most = max(len(name.identity) for name, _ in wider_pairs)
    pairs = [(name, path) for name, path in wider_pairs if len(name.identity) == most]
    path = _choose_closest(scan, own, pairs)
    _refuse_rivals(scan, own, pairs[0][0], path, others)
    return path


def _may_fit(mask: BidsName, scan: BidsName) -> bool:
    """Tell whether a mask can be that of a scan; our own say in ``desc-`` of which sequence they are."""
    own = OWN_MASK.search(mask.entities.get("desc", ""))
    sequence = (own[own.lastindex or 0] if own else "").lower()
    is_other = sequence in SEQUENCES and sequence != scan.suffix.lower()
    is_same = mask.entities.get("mod", scan.suffix) == scan.suffix
    return set(mask.words) <= set(scan.words) and is_same and not is_other


def _choose_closest(scan: str, own: BidsName, pairs: Sequence[tuple[BidsName, Path]]) -> Path:
    def agree(name: BidsName) -> int:
        values = (name.entities.get(key) == own.entities.get(key) for key in FREE)
        return sum(values) + len(name.words) + ("mod" in name.entities)

    best = max(agree(name) for name, _ in pairs)
    paths = sorted(path for name, path in pairs if agree(name) == best)
    if len(paths) > 1:
        raise ValueError(f"{scan}: expected one mask, found {paths[0]} and {paths[1]}; move one away")
    return paths[0]


def _refuse_rivals(scan: str, own: BidsName, mask: BidsName, path: Path, others: Sequence[str]) -> None:
    for name in others:
        rival = parse_bids_name(name)
        if rival and rival.identity != own.identity and mask.identity.items() <= rival.identity.items():
            raise ValueError(
                f"{path}: expected the mask of one scan, found a name that fits {scan} and {name}; "
                "name it after one of them"
            )
