"""An image noised a little and brought back by a prompt, while the attention of one word is made to grow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d, interpolate

from diffad.noise.gaussian import GaussianNoise
from diffad.step import ddim_step
from diffad.synthesise.losses import Scorer
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.prompts import Prompts, make_prompts
from diffad.synthesise.stable_model import StableModel
from diffad.synthesise.steering import Steering


@dataclass(frozen=True, eq=False)
class GuidedImages:
    """What came of images.

    Args:
        images: What was made, (B, 3, H, W) in [0, 1].
        round_trip: The images as the autoencoder alone gives them back, (B, 3, H, W).
        attention: Where the word was seen last, (B, 1, H, W), in [0, 1]; 0 without a step.
        nfe: Network evaluations of each image.
    """

    images: Tensor
    round_trip: Tensor
    attention: Tensor
    nfe: int


def synthesise_images(
    model: StableModel,
    images: Tensor,
    mask: Tensor,
    options: SynthesisOptions,
    generators: Sequence[torch.Generator],
    scorer: Scorer | None = None,
) -> GuidedImages:
    r"""Paint what a prompt says into images, inside a mask, by the attention of one of its words.

    An image is noised to a level, .3 of the way by default, and denoised by DDIM with classifier-free
    guidance. In each step the state moves some times against the gradient of a loss, by 2 :math:`\eta_i` a
    pixel:

    .. math:: L = L_{att} + L_{img}, \quad \eta_i = \max(10^{-4}, .02 - 10^{-4} i) \, f_i

    with :math:`L_{att}` of ``lose_attention``, :math:`f_i` of ``WordExtent``, and :math:`L_{img}` of a
    scorer that sees the estimate of the clean image in the last 30 % of the steps. After each step the
    outside of the mask is the noised image itself.

    Args:
        model: The networks.
        images: Images, (B, 3, H, W), in [0, 1], with sides of ``model.side``.
        mask: Where they may change, (B, 1, H, W), zeros and ones.
        options: Prompt, word, and how strongly.
        generators: Source of all randomness of each image.
        scorer: How badly an image suits; none leaves it to the attention.

    Raises:
        ValueError: If the word is not in the prompt, or the prompt is too long.

    Reference:
        Unseen Visual Anomaly Generation (Sun et al., 2025); Attend-and-Excite (Chefer et al., 2023).
    """
    prompts = make_prompts(model, options, len(images))
    levels = model.list_levels(options.inference_steps, options.own_strength)
    clean = model.encode(images)
    with torch.no_grad():
        round_trip = model.decode(clean)
    if len(levels) == 1:
        return GuidedImages(round_trip, round_trip, torch.zeros_like(images[:, :1]), 0)
    way = _Way(model, options, prompts, clean, mask, generators, scorer)
    state, maps = way.walk(levels)
    with torch.no_grad():
        images = model.decode(state)
    attention = interpolate(maps.amax(1, keepdim=True), size=images.shape[2:], mode="bilinear")
    return GuidedImages(images, round_trip, attention, (len(levels) - 1) * (options.inner_steps + 2))


class _Way:
    """The way back of a batch."""

    def __init__(
        self,
        model: StableModel,
        options: SynthesisOptions,
        prompts: Prompts,
        clean: Tensor,
        mask: Tensor,
        generators: Sequence[torch.Generator],
        scorer: Scorer | None,
    ) -> None:
        self.model, self.options, self.prompts, self.clean = model, options, prompts, clean
        self.generators, self.noise = list(generators), GaussianNoise()
        self.mask = adaptive_max_pool2d(mask.to(clean), clean.shape[2:])  # a small mask stays
        self.steering = Steering(model, options, prompts, mask, self.mask, scorer)

    def walk(self, levels: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Return the latents at the end, and where the word was seen last."""
        schedule, count = self.model.schedule, len(levels) - 1
        state = schedule.add_noise(self.clean, self._draw(), levels[0])
        embeddings, maps = self.prompts.cond, torch.zeros_like(self.mask)
        for step, (t, s) in enumerate(pairwise(levels)):
            state, embeddings = self.steering.steer(state, embeddings, t, step, count)
            answer, maps = self._look(state, embeddings, t)
            x_hat = self.model.estimate(answer, state, t)
            lower = ddim_step(state, x_hat, t, s, schedule, torch.zeros_like(state))
            ground = schedule.add_noise(self.clean, self._draw(), s) if s else self.clean
            state = self.mask * lower + (1 - self.mask) * ground
        return state, maps

    @torch.no_grad()
    def _look(self, state: Tensor, embeddings: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Return the guided answer, and the maps of the word, of the prompt alone."""
        empty = self.model.predict(state, level, self.prompts.empty)
        answer, maps = self.steering.see(state, embeddings, level)
        return empty + self.options.own_scale * (answer - empty), maps

    def _draw(self) -> Tensor:
        return self.noise(self.clean, generator=self.generators)
