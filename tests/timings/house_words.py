"""Which names are participles, adverbs or pronouns: a rule of endings, with lists of what it gets wrong."""

from __future__ import annotations

import re

IRREGULAR = frozenset(
    """
    become begun bent bitten blown bought bound broken brought built caught chosen dealt done drawn
    driven eaten fallen fed felt forgotten fought found frozen given gone got grown heard held hidden
    hung kept known laid led lent lit lost made meant met paid proven risen said seen sent shown sold
    sought sown spent spoken spun stolen stood struck stuck swept sworn taken taught thought thrown told
    torn understood won worn woven written
    """.split()  # noqa: SIM905 (a list of words reads best as words)
)
"""Participles without an ending; `cut`, `left`, `read`, `set` and `split` are nouns, sides or verbs, too."""

ADVERBS = frozenset(
    """
    again ahead alone along already anyway apart aside at away began beside here inside less more most
    none one otherwise outside own rather sometimes there thus together twice within
    """.split()  # noqa: SIM905 (a list of words reads best as words)
)
"""Words that name no thing when they stand alone."""

NOUNS = frozenset(
    """
    anything backing banding bed beginning being binning blending boring breed building clipping coding
    conditioning deed denoising drawing embed embedding encoding ending everything feed feeling filling
    finding fitting grouping heading indexing inpainting king labelling learning lighting listing
    loading logging mapping marking masking matching meaning naming need nothing opening ordering
    packing padding painting pairing patching pooling pred pricing processing ranking rating reading
    recording red reed rendering ring rounding sampling scaling seed setting shed shred sibling sled
    smoothing something sorting spacing speed spelling stacking staging stitching string testing thing
    thresholding timing tracking training tuning voting warning wed weed weighting windowing wing
    writing
    """.split()  # noqa: SIM905 (a list of words reads best as words)
)
"""What ends in -ing or -ed and names a thing or, first in a function's name, is a verb."""

PREFIXES = ("un", "re", "over", "mis", "out")


def words_of(name: str) -> list[str]:
    """Split a name into words in lower case, without leading underscores and digits at the end."""
    parts = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).strip("_").lower().split("_")
    return [part.rstrip("0123456789") for part in parts if part.rstrip("0123456789")]


def is_irregular(word: str) -> bool:
    """Tell whether a word is a participle without an ending: `found`, `rebuilt`, `unseen`."""
    return word in IRREGULAR or any(
        word.startswith(p) and word.removeprefix(p) in IRREGULAR for p in PREFIXES
    )


def is_participle(word: str) -> bool:
    """Tell whether a word is a participle and no noun: `noised`, `found`, `calibrating`."""
    regular = re.fullmatch(r"[a-z]{2,}(ed|ing)", word) is not None
    return is_irregular(word) or (regular and word not in NOUNS)


def names_no_thing(name: str) -> bool:
    """Tell whether the last word of a value's name is a participle, an adverb or a pronoun.

    A participle before its noun is right, as in `noised_image`; alone or last it is not.
    """
    words = words_of(name)
    return bool(words) and (is_participle(words[-1]) or words[-1] in ADVERBS)


def is_listed(name: str) -> bool:
    """Tell whether a name is a single word that names no thing and has no ending to be known by."""
    words = words_of(name)
    return len(words) == 1 and (is_irregular(words[0]) or words[0] in ADVERBS)


def names_no_action(name: str) -> bool:
    """Tell whether a function's name begins with a participle, or is an adverb or a pronoun."""
    words = words_of(name)
    return starts_with_participle(name) or (len(words) == 1 and words[0] in ADVERBS)


def starts_with_participle(name: str) -> bool:
    """Tell whether the first word of a function's name is a participle."""
    words = words_of(name)
    return bool(words) and is_participle(words[0])
