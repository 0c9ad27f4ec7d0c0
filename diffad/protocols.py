"""The seams between the parts: whatever has these signatures can be plugged in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from torch import Generator, Tensor

from diffad.schedule import Schedule
from diffad.types import Detection, Example, Generators, Reconstruction, StepRecord


@runtime_checkable
class NoiseGenerator(Protocol):
    """Draws noise shaped like ``like`` (B, C, *S); item i depends on generator i only."""

    def __call__(self, like: Tensor, t: Tensor | None = None, *, generator: Generators) -> Tensor:
        """Return noise (B, C, *S) for levels ``t`` () or (B,)."""
        ...


@runtime_checkable
class Corruption(Protocol):
    """Damages images as noise does, but in places; item i depends on itself and generator i only."""

    def __call__(
        self, x: Tensor, mask: Tensor, *, level: Tensor | float | None = None, generators: Generators
    ) -> tuple[Tensor, Tensor]:
        """Return ``x`` (B, C, *S) damaged within ``mask`` (B, 1, *S), and the weight of that, (B, 1, *S).

        Args:
            x: Images in [0, 1], which stay there; or codes, for a kind that ``TakesCodes``.
            mask: Brain, boolean, or its share of each pixel; nothing changes where it is 0.
            level: Strength of the damage, () or (B,), in [0, 1], of which 0 changes nothing and 1 is all of
                it; none leaves it to the kind, which draws as it does in training.
            generators: One for each item.

        Returns:
            The damaged images, and how strongly each pixel was damaged, in [0, 1]: one of 0 is as it was.
        """
        ...


class Denoiser(ABC):
    """Estimates the clean image from a noisy one, whatever its network predicts.

    A schedule and a call are all that there must be. What wraps a denoiser is a
    ``diffad.denoise.DenoiserWrapper``, which hands on all the rest.
    """

    @property
    @abstractmethod
    def schedule(self) -> Schedule:
        """Signal and noise amplitudes by level."""

    @abstractmethod
    def __call__(self, x_t: Tensor, t: Tensor, **cond: Any) -> Tensor:
        """Map ``x_t`` (B, C, *S) at level ``t`` () or (B,) to x_hat (B, C, *S)."""

    def estimate(self, x_t: Tensor, t: Tensor, **cond: Any) -> tuple[Tensor, Tensor | None]:
        """Return x_hat, and how likely each voxel is not healthy, (B, 1, *S), where that is known."""
        return self(x_t, t, **cond), None

    @property
    def clamps(self) -> bool:
        """Whether estimates are clamped to [-1, 1]."""
        return False

    @property
    def prediction_type(self) -> str | None:
        """What the network predicts, of ``diffad.denoise.PREDICTIONS``; none where that is unknown."""
        return None

    @property
    def null_label(self) -> int | None:
        """Label of no class, which is the number of classes; none where the network takes no labels."""
        return None

    @property
    def takes_place(self) -> bool:
        """Whether it may be told the place of a slice in the brain, as ``place`` (B, 2)."""
        return False

    @property
    def takes_neighbours(self) -> int:
        """How many slices below and above its own the network is shown, as ``neighbours`` (B, 2 N C, *S).

        They are noised as the state; clean ones with ``neighbour_noise`` are brought to its level.
        """
        return 0

    @property
    def takes_whole(self) -> bool:
        """Whether it is shown the image noised everywhere, as ``whole`` (B, C, *S), beside its state."""
        return False

    def without_clamp(self) -> Denoiser:
        """Return the same denoiser without its clamp to [-1, 1]; itself where it has none."""
        return self

    def without_guidance(self) -> Denoiser:
        """Return the denoiser as an image is encoded by it, unsteered; itself where nothing steers."""
        return self

    def select(self, items: Tensor) -> Denoiser:
        """Return the denoiser of some states of its batch, by their numbers (n,)."""
        return self

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return, once for a batch, what each call gets by name; ``image`` (B, C, *S) is in [0, 1]."""
        return {}

    def reference(self, x: Tensor) -> Tensor:
        """Return the images that conditions are made of, for all slices ``x`` (N, C, *S) of a scan."""
        return x


@runtime_checkable
class Codec(Protocol):
    """What a network sees in the place of images: their codes, coarser and of other channels."""

    @property
    def dims(self) -> int:
        """Spatial axes, 2 or 3."""
        ...

    @property
    def factor(self) -> int:
        """Voxels of the image between two cells of the code, along each axis."""
        ...

    @property
    def in_channels(self) -> int:
        """Channels of the image."""
        ...

    @property
    def code_channels(self) -> int:
        """Channels of the code."""
        ...

    @property
    def reach(self) -> float:
        """How far codes reach from 0: estimates are kept within, as images are in [-1, 1]."""
        ...

    def encode(self, x: Tensor, generators: Sequence[Generator] | None = None) -> Tensor:
        """Return codes (B, Z, *L) of images ``x`` (B, C, *S) in [-1, 1], which generators may draw."""
        ...

    def decode(self, z: Tensor) -> Tensor:
        """Return the images (B, C, *S) of codes ``z`` (B, Z, *L)."""
        ...


@runtime_checkable
class Guidance(Protocol):
    """Wraps a denoiser into one that is steered."""

    def __call__(self, denoiser: Denoiser) -> Denoiser:
        """Return the guided denoiser."""
        ...


@runtime_checkable
class Step(Protocol):
    """One pure move from level ``t`` to level ``s``; ``z`` (B, C, *S) is its only randomness."""

    def __call__(self, x_t: Tensor, x_hat: Tensor, t: int, s: int, schedule: Schedule, z: Tensor) -> Tensor:
        """Return x_s (B, C, *S)."""
        ...


@runtime_checkable
class Sampler(Protocol):
    """Turns an image into its pseudo-healthy reconstruction."""

    def __call__(
        self,
        x: Tensor,
        denoiser: Denoiser,
        noise: NoiseGenerator,
        *,
        generator: Generators,
        mask: Tensor | None = None,
        on_step: Callable[[StepRecord], None] | None = None,
    ) -> Reconstruction:
        """Restore ``x`` (B, C, *S) in model range [-1, 1]; ``mask`` is (B, 1, *S)."""
        ...


@runtime_checkable
class AnomalyScore(Protocol):
    """Compares a scan with its reconstruction, both in [0, 1]."""

    def __call__(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the anomaly map (B, 1, *S)."""
        ...


@runtime_checkable
class Saliency(Protocol):
    """Says what of a scan looks suspicious before anything is rebuilt."""

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Map ``x`` (B, C, *S) in [0, 1] to a saliency (B, C, *S) of at least 0; it has no scale."""
        ...


@runtime_checkable
class ScoreRun(Protocol):
    """The state of a score during one run of a sampler."""

    def record(self, step: StepRecord) -> None:
        """Take in one move of the sampler."""
        ...

    def map(self, x: Tensor, restoration: Reconstruction, mask: Tensor | None = None) -> Tensor:
        """Return the anomaly map (B, 1, *S) of ``x`` (B, C, *S), which is in [0, 1]."""
        ...


@runtime_checkable
class Detector(Protocol):
    """What finds anomalies in scans, with diffusion or without: a pipeline, or one of ``DETECTORS``."""

    @property
    def supervision(self) -> str:
        """What it was given in training, see ``SUPERVISIONS``."""
        ...

    @property
    def backbone(self) -> str | None:
        """Name of the network of features that was trained elsewhere; none where there is none."""
        ...

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in ``x`` (B, C, *S) in [0, 1] with brain masks (B, 1, *S)."""
        ...


SUPERVISIONS = {
    "normal": "healthy scans",
    "normal+synthetic": "healthy scans with synthetic anomalies",
    "k-normal": "a few healthy scans",
    "k-shot-pixel": "a few scans with outlined lesions",
    "image-level": "scans labelled as healthy or diseased",
    "auxiliary-pixel": "outlined lesions of other data",
    "none": "nothing",
}
"""What a detector may be given in training, by the word that stands in tables."""


# What a part may do beyond its call. ``diffad.capabilities`` asks; no part is probed by the name of a method.


@runtime_checkable
class MakesExamples(Protocol):
    """A sampler that says what its network is trained on; without this, whole images are noised."""

    def example(
        self,
        x: Tensor,
        mask: Tensor,
        t: Tensor,
        noise: NoiseGenerator,
        schedule: Schedule,
        generator: Generators,
    ) -> Example:
        """Make training examples of clean ``x`` (B, C, *S) in [-1, 1] at levels ``t`` (B,)."""
        ...


@runtime_checkable
class TakesSources(Protocol):
    """A corruption that takes patches from other images."""

    def with_sources(self, others: Sequence[Tensor], foreign: Sequence[Tensor] = ()) -> Corruption:
        """Return the same with images like those to damage, (C', *S') each, and of another modality."""
        ...


@runtime_checkable
class TakesCodes(Protocol):
    """A corruption that reads no intensities, so that codes will do in the place of images."""

    @property
    def takes_codes(self) -> bool:
        """Whether it does."""
        ...


@runtime_checkable
class ScalesRates(Protocol):
    """A network whose parts learn at rates of their own."""

    @property
    def rate_factors(self) -> Mapping[str, float]:
        """Rates of parts, by the first word of the names of their weights, as shares of the rest's."""
        ...


@runtime_checkable
class RestrictsToRegion(Protocol):
    """A sampler that can change a region alone."""

    def restricted_to(self, region: Tensor) -> Sampler:
        """Return the same sampler that changes only what is in ``region``, (B, 1, *S) in [0, 1]."""
        ...


@runtime_checkable
class RestrictsChildren(Protocol):
    """A composite of samplers that can change a region alone if all of its children can."""

    def restrict_children(self, region: Tensor) -> Sampler:
        """Return the same composite of samplers that change only what is in ``region``, (B, 1, *S)."""
        ...


@runtime_checkable
class CalibratesThreshold(Protocol):
    """A sampler that cuts a map of its own, by a ``threshold`` that is measured on healthy scans."""

    fpr: float
    """Share of healthy voxels that the threshold may let through."""

    def calibrated(self) -> bool:
        """Tell whether there is a threshold already."""
        ...

    def calibrating(self) -> tuple[Sampler, AnomalyScore]:
        """Return the sampler and the score whose maps are cut."""
        ...


@runtime_checkable
class Conditional(Protocol):
    """A network that must know more of a scan than its noisy state."""

    def conditions(self, image: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """Return, once for a batch, what each call gets by name; ``image`` (B, C, *S) is in [0, 1]."""
        ...


@runtime_checkable
class TakesLabels(Protocol):
    """A network that may be given a class, as label ``y`` (B,)."""

    null: int | None
    """Label of no class, which is the number of classes; none where the network takes no labels."""


@runtime_checkable
class MarksAnomalies(Protocol):
    """A network that may answer one channel more: the logit of a voxel that is not healthy."""

    @property
    def marks(self) -> bool:
        """Whether it was built so."""
        ...


@runtime_checkable
class LearnsVariance(Protocol):
    """A network that answers ``variance=True`` with as many channels more, of how wide a move is."""

    @property
    def learns_variance(self) -> bool:
        """Whether it was built so."""
        ...


@runtime_checkable
class TakesPlace(Protocol):
    """A network that may be told where in the brain a slice lies, as ``place`` (B, 2)."""

    @property
    def takes_place(self) -> bool:
        """Whether it was built so; each row is an orientation and a position, -1 and 0 where unknown."""
        ...


@runtime_checkable
class HasCore(Protocol):
    """A network nearly all of whose work is one function of tensors, which an engine may run in its place."""

    def run_core(self, x: Tensor, *given: Tensor | None) -> Tensor:
        """Answer for ``x`` (B, C, *S), and what else has B rows; no other value decides what is done."""
        ...


@runtime_checkable
class TakesNeighbours(Protocol):
    """A network that may be shown slices below and above, noised alike, as ``neighbours`` (B, 2 N C, *S)."""

    @property
    def takes_neighbours(self) -> int:
        """How many on either side it was built for; 0 for none."""
        ...


@runtime_checkable
class TakesWhole(Protocol):
    """A network that is shown the image noised everywhere beside a state that is noised in a part."""

    @property
    def takes_whole(self) -> bool:
        """Whether it was built so; without ``whole`` (B, C, *S) the state itself is noised everywhere."""
        ...


@runtime_checkable
class RebuildsTwice(Protocol):
    """A network that in training answers as many channels more: its target, found in another way."""

    @property
    def rebuild_weight(self) -> float:
        """Weight of the error of that second answer, over the whole image; 0 where there is none."""
        ...


@runtime_checkable
class StreamingScore(Protocol):
    """A score made of what a sampler meets on its way, of which nothing is kept but the sum."""

    def begin(self, x: Tensor, schedule: Schedule) -> ScoreRun:
        """Return the state of one run on ``x`` (B, C, *S) in [-1, 1]."""
        ...


@runtime_checkable
class StreamingSaliency(Protocol):
    """A saliency that asks the network itself."""

    def begin(self, denoiser: Denoiser, noise: NoiseGenerator, generator: Generators) -> Saliency:
        """Return the saliency of scans that ``denoiser`` restores."""
        ...


@runtime_checkable
class NeedsNetworks(Protocol):
    """A part that needs trained networks beside the one that denoises."""

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take those it needs: "network", which denoises, "classifier", "autoencoder" and "references"."""
        ...


@runtime_checkable
class WantsReferences(Protocol):
    """A part that compares scans with healthy images, which training keeps for it as network "references"."""

    @property
    def wanted_references(self) -> int:
        """How many; 0 for none."""
        ...


@runtime_checkable
class AsksNetwork(Protocol):
    """A score that asks the diffusion network for features of images, as single slices without noise."""

    def count_evaluations(self) -> int:
        """Return how often it asks for an image; what it shares among images of a batch counts in full."""
        ...

    @property
    def asks_of_pipeline(self) -> bool:
        """Whether it asks the network of the pipeline, and none of its own."""
        ...


@runtime_checkable
class Composite(Protocol):
    """A part made of parts."""

    @property
    def children(self) -> Mapping[str, Any]:
        """The part, or the sequence of parts, that each option holds; those that are absent left out."""
        ...


Trains = MakesExamples
"""The former name, which parts of other distributions may still import."""
