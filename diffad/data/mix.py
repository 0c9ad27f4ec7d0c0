"""Several data sets in one training, each with its share."""

from __future__ import annotations

import math
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from diffad.config import SpaceConfig
from diffad.data.items import DataError, Dataset, HoldsScans, TrainingItem, draw_item
from diffad.data.volume import Array, Volume
from diffad.registry import DATASETS
from diffad.types import generator_for

STREAM = 8
"""Stream of the randomness of an item that is asked for without a generator."""

OWN_KEYS = ("weight", "splits", "site")
"""Keys of a part that are not options of its data set."""


@DATASETS.register("mix")
class Mix:
    """Several data sets as one, such as real T1 scans and synthetic scans of other contrasts.

    A pass over it shows every item of every part at least once; parts that are small for their weight are
    repeated, and drawn anew each time if they can be.

    Args:
        parts: Data sets, each a mapping of its name and its options, of ``weight``, its share of the items (1
            where nothing is said), of ``splits``, the splits that it is part of (all by default), and of
            ``site``, what its scans are called in a calibration by site.
        split: Name of the split.
        space: Grid and intensity of the model, for all parts.
        root: Folder that the roots of the parts may be relative to.

    Raises:
        DataError: If there are no parts in the split, weights are not positive, images differ in shape, or a
            subject is in one split of a part and another split of another.
    """

    def __init__(
        self,
        parts: Sequence[Mapping[str, Any]],
        split: str = "train",
        space: SpaceConfig = SpaceConfig(),  # noqa: B008 (frozen)
        root: str = ".",
    ) -> None:
        parts = [_lay_root(part, Path(root)) for part in parts]
        places = [k for k, part in enumerate(parts) if split in part.get("splits", (split,))]
        if not places:
            raise DataError(f"expected data.parts with a part in split {split!r}, found none")
        self.parts = [_build_part(k, parts[k], split, space) for k in places]
        weights = [_read_weight(k, parts[k]) for k in places]
        self._ends = list(accumulate(share_items([len(part) for part in self.parts], weights)))
        names = [f"data.parts[{k}]" for k in places]
        roots = {name: parts[k].get("root") for name, k in zip(names, places, strict=True)}
        self.subjects = join_subjects(dict(zip(names, self.parts, strict=True)), roots)
        """Subjects by split."""
        self._sites = [str(parts[k].get("site", "")) for k in places]
        _require_one_shape(self.parts)

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> TrainingItem:
        index = range(len(self))[index]
        return self.draw(index, generator_for(STREAM, index))

    def read_scans(self, every: int = 1) -> Iterator[tuple[str, Volume, Array]]:
        """Read the healthy scans of all parts that have any; see ``HoldsScans``."""
        for part, name in zip(self.parts, self._sites, strict=True):
            if isinstance(part, HoldsScans):
                for site, volume, brain in part.read_scans(every):
                    yield site or name, volume, brain

    def draw(self, index: int, generator: torch.Generator) -> TrainingItem:
        """Draw item ``index``, anew if its part can; all that is random follows from the generator."""
        k = bisect_right(self._ends, index)
        part, offset = self.parts[k], self._ends[k - 1] if k else 0
        return draw_item(part, (index - offset) % len(part), generator)


def _lay_root(part: Mapping[str, Any], root: Path) -> Mapping[str, Any]:
    """Return a part whose root, if it has one, lies below another."""
    is_below = isinstance(part, Mapping) and isinstance(part.get("root"), str)
    return {**part, "root": str(root / part["root"])} if is_below else part


def share_items(lengths: Sequence[int], weights: Sequence[float]) -> list[int]:
    """Return how many items of each part a pass has: in proportion to the weights, and no part cut short."""
    pass_length = max(length / weight for length, weight in zip(lengths, weights, strict=True))
    return [max(n, math.floor(pass_length * w)) for n, w in zip(lengths, weights, strict=True)]


def join_subjects(parts: Mapping[str, Dataset], roots: Mapping[str, object]) -> dict[str, list[str]]:
    """Join the subjects of all parts by split.

    Names that differ in capitals, in what follows the number or what precedes ``sub-`` only are one subject,
    as ``sub-IXI012`` and ``IXI012-HH-1211`` are; plain numbers are, where they come from one folder.

    Args:
        parts: Parts by what messages call them.
        roots: Folder of each part, or none.

    Raises:
        DataError: If a subject is in one split of a part and another split of another.
    """
    homes: dict[str, tuple[str, str, str]] = {}
    subjects: dict[str, list[str]] = {}
    for name, part in parts.items():
        for split, members in getattr(part, "subjects", {}).items():
            subjects.setdefault(split, []).extend(members)
            for subject in dict.fromkeys(members):
                other = homes.setdefault(_name_person(subject, roots[name]), (split, subject, name))
                _require_one_split(other, (split, subject, name))
    return subjects


def _require_one_split(home: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    if home[0] != other[0]:
        (split, subject, part), (other_split, other_subject, other_part) = home, other
        raise DataError(
            f"expected each subject in one split, found {subject} in {split} of {part} and {other_subject} "
            f"in {other_split} of {other_part}; give both parts the same splits, by folders or in a table"
        )


def _name_person(subject: str, root: object) -> str:
    name = subject.lower().rpartition("sub-")[2]
    match = re.match(r"[a-z]*\d+(?![a-z0-9])", name)
    person = match.group() if match else name
    return f"{root}/{person}" if person.isdigit() else person


def _build_part(k: int, part: Mapping[str, Any], split: str, space: SpaceConfig) -> Dataset:
    options = {key: value for key, value in part.items() if key not in OWN_KEYS}
    try:
        data: Dataset = DATASETS.build(**options, split=split, space=space)
    except TypeError as error:
        raise DataError(f"data.parts[{k}]: expected a mapping with a name, got {dict(part)}") from error
    except (KeyError, ValueError) as error:
        raise DataError(f"data.parts[{k}]: {error}") from error
    if not len(data):
        raise DataError(f"data.parts[{k}]: expected items in split {split!r}, found none")
    return data


def _read_weight(k: int, part: Mapping[str, Any]) -> float:
    weight = part.get("weight", 1.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        raise DataError(f"data.parts[{k}]: expected a weight above 0, got {weight!r}")
    return float(weight)


def _require_one_shape(parts: Sequence[Dataset]) -> None:
    shapes = [tuple(part[0].image.shape) for part in parts]
    if len(set(shapes)) > 1:
        raise DataError(
            f"expected images of one shape in all data.parts, found {', '.join(map(str, shapes))}"
        )
