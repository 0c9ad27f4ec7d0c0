"""Perceptual distance without foreign weights: in the features of the diffusion network itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import torch
from einops import reduce, repeat
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize

from diffad.denoise import network_conditions
from diffad.registry import SCORES
from diffad.schedule import Schedule
from diffad.score.base import PlainRun, average_inside, pair_images
from diffad.score.taps import find_modules, record_outputs
from diffad.types import Reconstruction

LINEAR = Schedule.linear()


@SCORES.register("features")
class FeatureScore:
    r"""Squared distance of unit-normalised features of the network, summed over layers.

    .. math:: a = \sum_l \uparrow \frac{1}{C_l} \sum_c (y_{lc} - \hat y_{lc})^2, \quad
              y_l = \frac{f_l(\alpha_t (2x - 1), t)}{\lVert f_l(\alpha_t (2x - 1), t) \rVert}

    The network sees the images without noise, at the amplitude that they have at level t. A network with
    conditions gets those of the scan for both images. Thresholds do not carry over from one network, level
    or score to another.

    Args:
        level: Level :math:`t` at which the network is evaluated.
        taps: Names of modules whose answers are compared; none takes the stages on the way down and the
            middle of the U-Net.
        network: The diffusion network or its folder; none for the pipeline's.

    Raises:
        ValueError: If the level is below 1, or on call, there is no network, it has no such modules, or the
            shapes do not fit.

    Reference:
        Label-Efficient Semantic Segmentation with Diffusion Models (Baranchuk et al., 2022), for
        the features; The Unreasonable Effectiveness of Deep Features as a Perceptual Metric (Zhang et al.,
        2018, eq. 1), for their distance.
    """

    def __init__(
        self,
        level: int = 50,
        taps: Sequence[str] | None = None,
        network: nn.Module | str | Path | None = None,
    ) -> None:
        if level < 1:
            raise ValueError(f"expected level of at least 1, got {level}")
        if taps is not None and not taps:
            raise ValueError("expected at least one tap or none for all, got an empty list")
        self.level, self.taps, self.network = level, taps, network
        self._given: Any = None

    def count_evaluations(self) -> int:
        """Return how often it asks the network: for the scan and for its twin."""
        return 2

    @property
    def asks_of_pipeline(self) -> bool:
        """Whether it asks the network of the pipeline, and none of its own."""
        return self.network is None

    def attach_networks(self, networks: Mapping[str, Any]) -> None:
        """Take the pipeline's "network", where the score was not built with one."""
        self._given = networks.get("network")

    def begin(self, x: Tensor, schedule: Schedule) -> PlainRun:
        """Begin a run on ``x`` (B, C, *S) in [-1, 1] with the amplitudes of ``schedule``."""
        self._get_network()
        return PlainRun(partial(self, schedule=schedule))

    @torch.no_grad()
    def __call__(
        self,
        x: Tensor,
        restoration: Reconstruction,
        mask: Tensor | None = None,
        schedule: Schedule = LINEAR,
    ) -> Tensor:
        """Return the map (B, 1, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S).

        The amplitudes are those of ``schedule``; without one, of DDPM's linear schedule of 1000 levels.
        """
        x, x_hat = pair_images(x, restoration)
        network = self._get_network()
        cond = {
            name: repeat(v, "b ... -> (k b) ...", k=2)
            for name, v in read_conditions(network, x, mask).items()
        }
        answers = read_features(network, torch.cat([x, x_hat]), cond, self.level, self.taps, schedule)
        return average_inside(_sum_distances(answers, x, int(getattr(network, "multiple", 1))), mask)

    def _get_network(self) -> Any:
        network = self._given if self.network is None else self.network
        if network is None:
            raise ValueError(
                "score 'features' expected the diffusion network, got none: give option network=FOLDER of a "
                "trained one, or use the score in a pipeline, which hands its network over"
            )
        return network if isinstance(network, nn.Module) else load_feature_network(str(network))


@lru_cache(maxsize=2)
def load_feature_network(folder: str) -> nn.Module:
    """Load a registered network from its folder, once."""
    # networks of all kinds take seconds to import
    from diffad.models import auxiliary

    return auxiliary.load_network(folder)


def read_features(
    network: Any,
    images: Tensor,
    cond: Mapping[str, Tensor],
    level: int,
    taps: Sequence[str] | None,
    schedule: Schedule,
) -> list[Tensor]:
    """Return what modules of a network answer for images without noise, each (B, C_l, *S_l).

    Args:
        network: The diffusion network.
        images: Images in [0, 1], (B, C, *S), shown at the amplitude that they have at the level.
        cond: What the network must know of them.
        level: The level.
        taps: Names of the modules; none takes the stages on the way down and the middle of the U-Net.
        schedule: Amplitudes by level.

    Raises:
        ValueError: If it has no such modules.
    """
    stack = 2 * images - 1
    alpha, _ = schedule.amplitudes(level, stack)
    labels = torch.full((len(stack),), level - 1, device=images.device)
    with _set_evaluation_mode(network), record_outputs(find_modules(network, taps)) as answers:
        network(alpha * stack, labels, **cond)
    return answers


def read_conditions(network: Any, x: Tensor, mask: Tensor | None) -> Mapping[str, Tensor]:
    """Return what a network must know of images ``x`` (B, C, *S) in [0, 1], by name."""
    whole = torch.ones_like(x[:, :1], dtype=torch.bool) if mask is None else mask
    return network_conditions(network, x, whole)


@contextmanager
def _set_evaluation_mode(network: nn.Module) -> Iterator[None]:
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _sum_distances(answers: Sequence[Tensor], x: Tensor, multiple: int) -> Tensor:
    """Bring the distances at all taps to the size of ``x`` (B, C, *S) and add them up, (B, 1, *S)."""
    from diffad.models.padding import crop_back, pad_to_multiple

    padded_image, crop = pad_to_multiple(x[:, :1], multiple)  # as the network did
    total = torch.zeros_like(padded_image)
    mode = "bilinear" if x.ndim == 4 else "trilinear"
    for answer in answers:
        y, y_hat = normalize(answer.to(x.dtype), eps=1e-10).chunk(2)
        layer = reduce((y - y_hat).square(), "b c ... -> b 1 ...", "mean")
        total += interpolate(layer, padded_image.shape[2:], mode=mode)
    return crop_back(total, crop)
