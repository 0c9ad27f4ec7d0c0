"""What paints: Stable Diffusion by a prompt, or a network of ours by a class."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from diffad.fill.lesion import FillRegion
from diffad.fill.selftest import find_slab
from diffad.inference.scan import ScanSource
from diffad.models.folder import ModelError
from diffad.pipeline import AnomalyPipeline
from diffad.predict.run import load_model, quieten
from diffad.synthesise.by_class import choose_guidance, synthesise_by_class
from diffad.synthesise.by_text import synthesise_by_text
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.regions import draw_region
from diffad.synthesise.result import SynthesisedScan
from diffad.synthesise.stable_folder import describe_stable_folder, is_stable_folder
from diffad.synthesise.stable_model import StableModel, load_stable_model
from diffad.synthesise.words import check_length, find_tokens


class ScanPainter(Protocol):
    """Paints something into a region of a scan."""

    def draw(self, source: ScanSource, options: SynthesisOptions) -> FillRegion:
        """Draw a region where none is given."""
        ...

    def paint(self, source: ScanSource, region: FillRegion, options: SynthesisOptions) -> SynthesisedScan:
        """Paint into a scan."""
        ...

    def describe(self) -> dict[str, Any]:
        """Return what tells this painter from any other."""
        ...


@dataclass(frozen=True, eq=False)
class TextPainter:
    """Stable Diffusion, from a folder.

    Args:
        model: Its networks.
        folder: Where it lies.
    """

    model: StableModel
    folder: Path

    def draw(self, source: ScanSource, options: SynthesisOptions) -> FillRegion:
        """Draw a region anywhere in the brain."""
        return draw_region(source, options.volume, options.seed)

    def paint(self, source: ScanSource, region: FillRegion, options: SynthesisOptions) -> SynthesisedScan:
        """Paint what the prompt says."""
        return synthesise_by_text(self.model, source, region, options)

    def describe(self) -> dict[str, Any]:
        """Return the digests of its files."""
        return describe_stable_folder(self.folder)


@dataclass(frozen=True, eq=False)
class ClassPainter:
    """A pipeline of ours that knows classes.

    Args:
        pipe: The model.
    """

    pipe: AnomalyPipeline

    def draw(self, source: ScanSource, options: SynthesisOptions) -> FillRegion:
        """Draw a region in slices that the model knows."""
        return draw_region(source, options.volume, options.seed, find_slab(self.pipe, source, 0.0))

    def paint(self, source: ScanSource, region: FillRegion, options: SynthesisOptions) -> SynthesisedScan:
        """Paint the class."""
        return synthesise_by_class(self.pipe, source, region, options)

    def describe(self) -> dict[str, Any]:
        """Return what made its network."""
        return {key: value for key, value in sorted((self.pipe.config.provenance or {}).items())}


def load_painter(name: str, device: str, options: SynthesisOptions) -> ScanPainter:
    """Load what paints, and refuse what it cannot paint before any scan is read.

    Args:
        name: Folder of Stable Diffusion for a prompt; a shipped model, a folder or a hub id for a class.
        device: Where its networks go.
        options: What is to be painted.

    Raises:
        ImportError: If a package for prompts is missing.
        OSError: If there is no such model.
        ValueError: If it is of the other kind, its files do not fit, or it does not know word or class.
    """
    folder, is_stable = Path(name), is_stable_folder(Path(name))
    if options.kind == "class":
        if is_stable:
            raise ModelError(
                f"{name}: expected a model of diffad for a --label, found Stable Diffusion; add --prompt"
            )
        pipe = load_model(name, device)
        choose_guidance(pipe, options)
        return ClassPainter(pipe)
    if folder.is_dir() and (folder / "model_index.json").is_file() and not is_stable:
        raise ModelError(
            f"{name}: expected Stable Diffusion for a --prompt, found a model of diffad; add --label"
        )
    quieten()
    model = load_stable_model(folder, device)
    find_tokens(model.tokenizer, options.prompt, options.word)
    check_length(model.tokenizer, options.detail, "detail")
    return TextPainter(model, folder)
