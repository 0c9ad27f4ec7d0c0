"""Tissues that scans are painted from, and the tables that say which tissue a label is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType

TISSUES = (
    "background",
    "csf",
    "ventricle",
    "choroid",
    "cortex",
    "white",
    "cerebellum",
    "cerebellar-white",
    "thalamus",
    "caudate",
    "putamen",
    "pallidum",
    "hippocampus",
    "ventral-dc",
    "brain-stem",
    "vessel",
)
"""Names of the tissues, the same on both sides of the brain; their positions are the values of label maps."""

Table = Mapping[int, str]


def _table(groups: Mapping[str, Iterable[int]]) -> Table:
    return MappingProxyType({label: tissue for tissue, labels in groups.items() for label in labels})


FREESURFER = _table(
    {
        # 163 and 164 are the right halves of 136 and 137, the choroid plexus of the lateral ventricles
        "background": (0, 165, *range(257, 260), *range(500, 531)),
        "csf": (24,),
        "ventricle": (4, 5, 14, 15, 43, 44, 72),
        "choroid": (31, 63, 136, 137, 163, 164),
        "cortex": (3, 42),
        # lesions (25, 57, 77, 78, 79) become white matter: a healthy brain is painted
        "white": (2, 41, 25, 57, 77, 78, 79, 85, *range(251, 256)),
        "cerebellum": (8, 47),
        "cerebellar-white": (7, 46),
        "thalamus": (9, 10, 48, 49),
        "caudate": (11, 50, 26, 58),
        "putamen": (12, 51),
        "pallidum": (13, 52),
        "hippocampus": (17, 18, 53, 54),
        "ventral-dc": (28, 60),
        "brain-stem": (16,),
        "vessel": (30, 62),
    }
)
"""Labels of FreeSurfer and SynthSeg; those of the head outside the brain are background."""

MUSE = _table(
    {
        "background": (0,),
        "csf": (1, 46),
        "ventricle": (4, 11, 49, 50, 51, 52),
        "cortex": (75, 76, *range(100, 208)),
        "white": (69, *range(81, 96)),
        "cerebellum": (38, 39, 71, 72, 73),
        "cerebellar-white": (40, 41),
        "thalamus": (59, 60),
        "caudate": (36, 37, 23, 30),
        "putamen": (57, 58),
        "pallidum": (55, 56),
        "hippocampus": (31, 32, 47, 48),
        "ventral-dc": (61, 62),
        "brain-stem": (35,),
    }
)
"""Labels of MUSE, which know no fluid around the brain."""

PLAIN = _table({"background": (0,), "csf": (1,), "cortex": (2,), "white": (3,)})
"""Labels of three tissues: 1 fluid, 2 grey matter, 3 white matter."""

TABLES: Mapping[str, Table] = MappingProxyType({"tissue": PLAIN, "freesurfer": FREESURFER, "muse": MUSE})
"""The known tables, the narrowest first."""


def choose_table(labels: Sequence[int]) -> tuple[str, Table, list[int]]:
    """Return the table that knows the most of the labels, its name, and the labels that it does not know."""
    gaps = {name: [x for x in labels if x not in table] for name, table in TABLES.items()}
    name = min(gaps, key=lambda name: len(gaps[name]))
    return name, TABLES[name], gaps[name]
