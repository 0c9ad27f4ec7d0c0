"""Shapes of records that come back from disk: what their values must be before anything is done with them."""

from __future__ import annotations

from collections.abc import Callable, Collection

Shape = Callable[[object], bool]
"""Tells whether a plain value is what a reader relies on."""
MAX_NUMBER = 1e300
"""Largest whole number of a record; JSON has larger ones, and no float holds them."""


def is_number(value: object) -> bool:
    """Tell whether a value is a number that a float holds; NaN is one."""
    if isinstance(value, float):
        return True
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER


def is_text(value: object) -> bool:
    """Tell whether a value is a text."""
    return isinstance(value, str)


def list_of(shape: Shape, lengths: Collection[int] = ()) -> Shape:
    """Return the shape of a list of values of one shape, of any length or of one of ``lengths``."""

    def fits(value: object) -> bool:
        if not isinstance(value, list) or (lengths and len(value) not in lengths):
            return False
        return all(shape(item) for item in value)

    return fits


def mapping_of(shape: Shape) -> Shape:
    """Return the shape of a mapping from any texts to values of one shape."""
    return lambda value: isinstance(value, dict) and all(shape(item) for item in value.values())


def record_of(**shapes: Shape) -> Shape:
    """Return the shape of a mapping with these keys at least, each with a value of its shape."""
    return lambda value: (
        isinstance(value, dict) and all(k in value and s(value[k]) for k, s in shapes.items())
    )


def optional(shape: Shape) -> Shape:
    """Return the shape of a value that may be absent."""
    return lambda value: value is None or shape(value)
