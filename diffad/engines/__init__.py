"""Engines: what runs the denoising network in the place of torch as it is; all else stays the same."""

from diffad.engines.core import EngineError as EngineError
from diffad.engines.engine import Engine as Engine
