"""Which lobe or structure, side and tissue the labels of MUSE and of FreeSurfer are."""

from __future__ import annotations

from collections.abc import Mapping

ORBITAL = (104, 124, 136, 146, 164, 178)
"""The orbital gyri of MUSE, with the gyrus rectus."""
MUSE_GREY = {
    "frontal lobe": (*ORBITAL, 112, 118, 120, 140, 142, 150, 152, 162, 182, 186, 190, 192, 204),
    "parietal lobe": (106, 148, 168, 174, 176, 194, 198),
    "temporal lobe": (116, 122, 132, 154, 170, 180, 184, 200, 202, 206),
    "occipital lobe": (108, 114, 128, 134, 144, 156, 160, 196),
    "insula": (102, 172),
    "cingulate gyrus": (100, 138, 166),
}
"""Cortex of MUSE by lobe: the label of the right side, which is even; that of the left side follows it."""
MUSE_PAIRS = {
    "frontal lobe": ((82, 81, "white matter"),),
    "occipital lobe": ((84, 83, "white matter"),),
    "parietal lobe": ((86, 85, "white matter"),),
    "temporal lobe": ((88, 87, "white matter"),),
    "cerebellum": ((39, 38, "cortex"), (41, 40, "white matter")),
    "hippocampus": ((48, 47, "deep grey matter"),),
    "amygdala": ((32, 31, "deep grey matter"),),
    "caudate nucleus": ((37, 36, "deep grey matter"),),
    "putamen": ((58, 57, "deep grey matter"),),
    "pallidum": ((56, 55, "deep grey matter"),),
    "basal forebrain": ((30, 23, "deep grey matter"), (75, 76, "deep grey matter")),
    "thalamus": ((60, 59, "deep grey matter"),),
    "ventral diencephalon": ((62, 61, "deep grey matter"),),
    "fornix": ((90, 89, "white matter"),),
    "internal capsule": ((92, 91, "white matter"), (94, 93, "white matter")),
    "lateral ventricle": ((50, 49, "fluid"), (52, 51, "fluid")),
}
"""Labels of MUSE by structure: left, right, tissue."""
MUSE_MIDDLE = {
    "third ventricle": (4, "fluid"),
    "fourth ventricle": (11, "fluid"),
    "brain stem": (35, "brain stem"),
    "cerebellar vermis": (71, 72, 73, "cortex"),
    "corpus callosum": (95, "white matter"),
}
"""Labels of MUSE in the middle, with their tissue last."""
FREESURFER = {
    "cerebrum, white matter": (2, 41, 25, 57, 77),
    "cerebrum, cortex": (3, 42),
    "cerebellum, cortex": (8, 47),
    "cerebellum, white matter": (7, 46),
    "lateral ventricle": (4, 5, 43, 44, 31, 63, 72, 136, 137, 163, 164),
    "third ventricle": (14,),
    "fourth ventricle": (15,),
    "brain stem": (16,),
    "thalamus": (9, 10, 48, 49),
    "caudate nucleus": (11, 50),
    "putamen": (12, 51),
    "pallidum": (13, 52),
    "hippocampus": (17, 53),
    "amygdala": (18, 54),
    "basal forebrain": (26, 58),
    "ventral diencephalon": (28, 60),
}
"""Labels of FreeSurfer by part, which know no lobes; the tissue stands behind the part where it has two."""
PARTS = {
    **dict.fromkeys(MUSE_GREY, "cerebrum"),
    **dict.fromkeys(("fornix", "internal capsule", "corpus callosum"), "cerebrum"),
    "cerebellar vermis": "cerebellum",
}
"""The part of the brain, as FreeSurfer has it, that a structure of MUSE belongs to, where it is another."""
Structure = tuple[str, str, str]


def tabulate_muse() -> Mapping[int, Structure]:
    """Return side, structure and tissue of each label of MUSE."""
    table: dict[int, Structure] = {}
    for structure, labels in MUSE_GREY.items():
        for label in labels:
            table |= {label: ("right", structure, "cortex"), label + 1: ("left", structure, "cortex")}
    for structure, pairs in MUSE_PAIRS.items():
        for left, right, tissue in pairs:
            table |= {left: ("left", structure, tissue), right: ("right", structure, tissue)}
    for structure, (*labels, tissue) in MUSE_MIDDLE.items():
        table |= {label: ("", structure, tissue) for label in labels}
    return table


def tabulate_freesurfer() -> Mapping[int, tuple[str, str]]:
    """Return part and tissue of each label of FreeSurfer."""
    return {x: (name.split(", ")[0], name.split(", ")[-1]) for name, xs in FREESURFER.items() for x in xs}
