"""diffad finds what does not belong in a brain scan, with diffusion models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from diffad.hub.door import announce_classes
from diffad.io.version import __version__ as __version__

if __name__ != "diffad":
    raise ImportError(
        f"expected to be imported as diffad, got {__name__}: Python found the folder of a clone before the "
        "package in it, so start it in another folder; the guide's page on installing says more"
    )

announce_classes()

# Importing torch and diffusers takes seconds, so every public name is looked up on first use (PEP 562).
_HOMES = {
    "AnomalyPipeline": "diffad.pipeline",
    "AnomalyOutput": "diffad.pipeline",
    "Volume": "diffad.data.volume",
    "CORRUPTIONS": "diffad.registry",
    "DATASETS": "diffad.registry",
    "GUIDANCES": "diffad.registry",
    "LAYOUTS": "diffad.registry",
    "MODELS": "diffad.registry",
    "NOISES": "diffad.registry",
    "PROTOCOLS": "diffad.registry",
    "SALIENCIES": "diffad.registry",
    "SAMPLERS": "diffad.registry",
    "SCORES": "diffad.registry",
    "choose_model": "diffad.inference.choice",
}

__all__ = [*sorted(_HOMES), "__version__"]

if TYPE_CHECKING:
    from diffad.data.volume import Volume as Volume
    from diffad.inference.choice import choose_model as choose_model
    from diffad.pipeline import AnomalyOutput as AnomalyOutput
    from diffad.pipeline import AnomalyPipeline as AnomalyPipeline
    from diffad.registry import CORRUPTIONS as CORRUPTIONS
    from diffad.registry import DATASETS as DATASETS
    from diffad.registry import GUIDANCES as GUIDANCES
    from diffad.registry import LAYOUTS as LAYOUTS
    from diffad.registry import MODELS as MODELS
    from diffad.registry import NOISES as NOISES
    from diffad.registry import PROTOCOLS as PROTOCOLS
    from diffad.registry import SALIENCIES as SALIENCIES
    from diffad.registry import SAMPLERS as SAMPLERS
    from diffad.registry import SCORES as SCORES


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'diffad' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
