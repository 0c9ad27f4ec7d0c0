"""How large the options of parts may be: no number from a file may ask for more than a machine can do."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any

from diffad.io.wording import shorten

MAX_INTEGER = 2**63 - 1
"""Largest whole number of a file, and so the largest seed."""
MAX_COUNT = 1_000_000
"""Largest magnitude of a whole number among the options of parts that has no range of its own."""
MAX_NUMBER = 1e300
"""Largest magnitude of any other number among the options of parts."""
MAX_TEXT = 4096
"""Characters of a text among the options of parts."""
MAX_ITEMS = 10_000
"""Values of a list among the options of parts."""
MAX_DEPTH = 20
"""Mappings and lists inside each other."""

LIMITS = {
    "at_once": 1024,
    "base": 4096,
    "blur": 1000,
    "box": 4096,
    "channels": 8192,
    "classes": 10_000,
    "depth": 200,
    "dilate": 256,
    "down": 64,
    "embedding": 16_384,
    "groups": 4096,
    "heads": 256,
    "head_channels": 4096,
    "in_channels": 1024,
    "layers": 64,
    "level": 10_000,
    "levels": 10_000,
    "margin": 16,
    "members": 1000,
    "neighbours": 8,
    "octaves": 32,
    "out_channels": 1024,
    "patch": 64,
    "ppd": 1000,
    "planes": 1024,
    "refine": 1000,
    "repeats": 1000,
    "resolution": 4096,
    "scales": 16,
    "sigma": 1000,
    "size": 4096,
    "stem": 8192,
    "steps": 10_000,
    "stride": 10_000,
    "up": 64,
    "watch": 10_000,
    "width": 16_384,
    "width_exponent": 12,
    "window": 501,
}
"""Largest value of an option, and of each value of a list, of the parts of diffad; by its name."""

SHARES = ("dropout", "drop", "share")
"""Options that are a share, in [0, 1]."""

LENGTHS = {"channels": 16, "mults": 16, "down": 16, "up": 16, "attention": 16, "taps": 1000}
"""Most values of a list that sets how many layers a network has."""

PLAIN_TYPES = {"int": Integral, "float": Real, "bool": bool, "str": str, "None": type(None)}
"""What an annotation of plain values allows."""
TYPE_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "str": "text",
    "None": "none",
}


def check_options(part: Callable[..., Any], whose: str, options: Mapping[str, Any]) -> None:
    """Refuse options that are of another type than the part says, or beyond a range.

    A part may have ranges of its own: ``limits``, a mapping of options to their largest values.

    Args:
        part: What is to be built.
        whose: What a message calls it.
        options: Its options; those that are no plain values pass.

    Raises:
        ValueError: With the first option that cannot be used.
    """
    is_ours = str(getattr(part, "__module__", "")).partition(".")[0] == "diffad"
    limits = {**(LIMITS if is_ours else {}), **getattr(part, "limits", {})}
    parameters = inspect.signature(part).parameters
    for name, value in options.items():
        if name in parameters:
            _check_type(whose, name, parameters[name].annotation, value)
        _check_value(whose, name, value, limits)


def check_values(whose: str, values: Mapping[str, Any]) -> None:
    """Refuse plain values, with mappings and lists inside, that no part can take.

    Raises:
        ValueError: With the first that is beyond the ranges of all parts.
    """
    for name, value in values.items():
        _check_value(whose, name, value, None)
    check_finite_options(whose, values)


def check_finite_options(whose: str, values: Mapping[str, Any]) -> None:
    """Refuse numbers that are not finite, which a part may have let pass.

    Raises:
        ValueError: With the option that holds one.
    """
    for name, value in values.items():
        if isinstance(value, Mapping):
            check_finite_options(whose, value)
        elif isinstance(value, list | tuple):
            check_finite_options(whose, {name: dict(enumerate(value))} if value else {})
        elif isinstance(value, float):
            _require(math.isfinite(value), whose, str(name), "a finite number", value)


def _check_type(whose: str, name: str, annotation: Any, value: object) -> None:
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    words = [word.strip() for word in text.split("|")]
    if not all(word in PLAIN_TYPES for word in words):
        return
    is_bool = isinstance(value, bool)
    fits = any(isinstance(value, PLAIN_TYPES[w]) and is_bool <= (w == "bool") for w in words)
    _require(fits, whose, name, " or ".join(TYPE_WORDS[word] for word in words), value)


def _check_value(
    whose: str, name: str, value: Any, limits: Mapping[str, float] | None, depth: int = 0
) -> None:
    """Check a value, and those inside it; without limits only what no part can take is refused."""
    _require(depth < MAX_DEPTH, whose, name, f"at most {MAX_DEPTH} mappings inside each other", "more")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _check_value(whose, f"{name}.{key}", inner, limits, depth + 1)
    elif isinstance(value, list | tuple):
        most = LENGTHS.get(_last(name), MAX_ITEMS) if limits else MAX_ITEMS
        _require(len(value) <= most, whose, name, f"at most {most} values", len(value))
        for inner in value:
            _check_value(whose, name, inner, limits, depth + 1)
    elif isinstance(value, str):
        _require(len(value) <= MAX_TEXT, whose, name, f"text of at most {MAX_TEXT} characters", value)
    elif isinstance(value, Real) and not isinstance(value, bool):
        _check_number(whose, name, value, limits)


def _check_number(whose: str, name: str, value: Any, limits: Mapping[str, float] | None) -> None:
    key, whole = _last(name), isinstance(value, Integral)
    is_free = limits is None or key.endswith("seed")
    usual = MAX_NUMBER if not whole else MAX_INTEGER if is_free else MAX_COUNT
    high = (limits or {}).get(key, usual)
    if key in SHARES and limits and math.isfinite(value):
        _require(0 <= value <= 1, whose, name, "in [0, 1]", value)
    if whole or math.isfinite(value):
        _require(abs(value) <= high, whose, name, f"a number of at most {high:g}", value)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _require(ok: bool, whose: str, name: str, expectation: str, value: object) -> None:
    if not ok:
        raise ValueError(f"{whose}: expected {shorten(name)} to be {expectation}, got {shorten(repr(value))}")
