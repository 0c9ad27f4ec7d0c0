"""One scan against its own twin and against healthy scans of others, in features of the network itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import torch
from einops import reduce
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize, pad

from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import PlainRun, average_inside, pair_images
from diffad.score.features import LINEAR, load_feature_network, read_conditions, read_features
from diffad.types import Reconstruction


@SCORES.register("triplet")
class TripletScore:
    r"""Distance to the nearest of healthy images, and to the scan's own twin, in features of the network.

    .. math:: a = \sum_l \uparrow (w_N S_N^l + w_P S_P^l), \quad
              S_P(i) = \min_{j \in U(i)} (1 - \langle y_i, \hat y_j \rangle), \quad
              S_N(i) = \min_{n, \, j \in U(i)} (1 - \langle y_i, y^n_j \rangle)

    with features :math:`y` of length 1, layers :math:`l` averaged, and a neighbourhood :math:`U` of each
    position. Features are those of "features": the network sees images without noise, at the amplitude of a
    level. A third comparison of the paper, with texts, is left out.

    Args:
        twin: Weight :math:`w_P` of the comparison with the twin; published 1.
        others: Weight :math:`w_N` of the comparison with the references; 0 leaves them out.
        pool: How many references training keeps for the score; published 30.
        reach: Positions around each, in every direction, that it is compared with.
        level: Level at which the network is evaluated.
        taps: Names of modules whose answers are compared; none takes the stages on the way down and the
            middle of the U-Net.
        network: The diffusion network or its folder; none for the pipeline's.
        references: Network "references" or its folder; none for the pipeline's, which training makes.

    Raises:
        ValueError: If an option is out of range, or on call, there is no network, no references, or a shape
            does not fit.

    Reference:
        One-to-Normal: Anomaly Personalization for Few-shot Anomaly Detection (Li et al., 2024), whose
        features are those of CLIP, and whose sum of terms is not public: this is our reading.
    """

    def __init__(
        self,
        twin: float = 1.0,
        others: float = 1.0,
        pool: int = 30,
        reach: int = 1,
        level: int = 50,
        taps: Sequence[str] | None = None,
        network: nn.Module | str | Path | None = None,
        references: nn.Module | str | Path | None = None,
    ) -> None:
        weights = (twin, others)
        if not all(0 <= weight < math.inf for weight in weights) or not any(weights):
            raise ValueError(f"expected weights of at least 0, one of them above, got {twin} and {others}")
        if min(pool, level) < 1 or reach < 0:
            raise ValueError(
                f"expected pool and level of 1 or more, reach of 0, got {pool}, {level}, {reach}"
            )
        if taps is not None and not taps:
            raise ValueError("expected at least one tap or none for all, got an empty list")
        self.twin, self.others, self.pool, self.reach = twin, others, pool, reach
        self.level, self.taps, self.network, self.references = level, taps, network, references
        self._given: Mapping[str, Any] = {}

    @property
    def wanted_references(self) -> int:
        """How many healthy images training keeps for it; 0 where it has some or asks none."""
        return self.pool if self.others and self.references is None else 0

    def count_evaluations(self) -> int:
        """Return how often it asks the network: for the scan, its twin and each of the references."""
        references = len(self._find("references").images) if self.others else 0
        return 1 + bool(self.twin) + references

    @property
    def asks_of_pipeline(self) -> bool:
        """Whether it asks the network of the pipeline, and none of its own."""
        return self.network is None

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take the pipeline's "network" and "references", where the score was not built with them."""
        self._given = networks

    def begin(self, x: Tensor, schedule: Schedule) -> PlainRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1]; what is missing raises before the sampler runs."""
        self._find("network")
        if self.others:
            self._find("references")
        return PlainRun(partial(self, schedule=schedule))

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        restoration: Reconstruction,
        mask: Tensor | None = None,
        schedule: Schedule = LINEAR,
    ) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x, x_hat = pair_images(x, restoration)
        read = partial(
            read_features, self._find("network"), level=self.level, taps=self.taps, schedule=schedule
        )
        cond = read_conditions(self._find("network"), x, mask)
        layers = read(x, cond)
        distances = [torch.zeros_like(y[:, :1]) for y in layers]
        if self.twin:
            for distance, y, y_hat in zip(distances, layers, read(x_hat, cond), strict=True):
                distance += self.twin * measure_nearest(y, [y_hat], self.reach)
        if self.others:
            images = self._find("references").lay_over(x)
            pool = read(images, read_conditions(self._find("network"), images, None))
            for distance, y, healthy in zip(distances, layers, pool, strict=True):
                distance += self.others * measure_nearest(y, [*healthy[:, None]], self.reach)
        return average_inside(_average_layers(distances, x, self._find("network")), mask)

    def _find(self, name: str) -> Any:
        """Return the network or the references, given here or by the pipeline."""
        own = getattr(self, name)
        source = self._given.get(name) if own is None else own
        if source is None:
            raise ValueError(
                f"score 'triplet' expected {name}, got none: give option {name}=FOLDER, or use the score in "
                "a pipeline that was trained with it, which hands its own over"
            )
        return source if isinstance(source, nn.Module) else load_feature_network(str(source))


def measure_nearest(y: Tensor, others: Sequence[Tensor], reach: int) -> Tensor:
    r"""Return 1 less the best cosine of each position of ``y`` (B, C, *S) with others near it, (B, 1, *S).

    .. math:: 1 - \langle y, y' \rangle = \tfrac12 \lVert y - y' \rVert^2

    Args:
        y: Features.
        others: Features of other images, each (B, C, *S) or (1, C, *S).
        reach: Positions in every direction that are near.
    """
    y, best = normalize(y, eps=1e-10), y.new_full((len(y), 1, *y.shape[2:]), math.inf)
    for other in others:
        for near in _shift(normalize(other, eps=1e-10), reach):
            best = torch.minimum(best, reduce((y - near).square(), "b c ... -> b 1 ...", "sum") / 2)
    return best


def _shift(y: Tensor, reach: int) -> Iterator[Tensor]:
    """Yield features moved by up to ``reach`` positions along every axis; the border is repeated."""
    sizes = y.shape[2:]
    wide = pad(y, [reach] * 2 * len(sizes), mode="replicate") if reach else y
    for starts in product(range(2 * reach + 1), repeat=len(sizes)):
        cut = [slice(start, start + size) for start, size in zip(starts, sizes, strict=True)]
        yield wide[(slice(None), slice(None), *cut)]


def _average_layers(distances: Sequence[Tensor], x: Tensor, network: Any) -> Tensor:
    """Average the distances of all layers on the grid of ``x`` (B, C, *S), (B, 1, *S)."""
    from diffad.models.padding import crop_back, pad_to_multiple

    grid, crop = pad_to_multiple(x[:, :1], int(getattr(network, "multiple", 1)))
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    layers = [interpolate(distance, grid.shape[2:], mode=mode) for distance in distances]
    return crop_back(torch.stack(layers).mean(0), crop)
