"""Packages that come with an extra, imported when they are needed."""

from __future__ import annotations

import importlib
from typing import Any


def import_extra(module: str, extra: str) -> Any:
    """Import a package of an extra, or a module of it.

    Args:
        module: Its name.
        extra: The extra that brings it, as in ``pip install "diffad[prepare]"``.

    Raises:
        ImportError: If it is missing; the message says how to install it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        hint = f'install it: pip install "diffad[{extra}]"'
        raise ImportError(f"expected the package {name}, found none ({error}); {hint}") from error
