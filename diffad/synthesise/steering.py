"""The state of a step, and its prompt, moved so that the word is seen where it belongs."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import adaptive_max_pool2d

from diffad.synthesise.attention import record_attention
from diffad.synthesise.losses import Scorer, lose_attention, lose_likeness
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.prompts import Prompts
from diffad.synthesise.stable_model import StableModel
from diffad.synthesise.word_maps import WordExtent, sharpen_words

IMAGE_SHARE = 0.7
"""Share of the steps after which the image itself is scored."""


def find_rate(step: int) -> float:
    """Return the rate of a step, which falls from .02; a pixel of the state moves by twice that."""
    return max(1e-4, 0.02 - 1e-4 * step)


def find_decay(step: int, count: int) -> float:
    """Return how much of an update is left at a step of ``count``, from 1 down to .5."""
    return 1 - 0.5 * step / max(count - 1, 1)


def scores_image(step: int, count: int) -> bool:
    """Tell whether the image itself is scored at a step of ``count``."""
    return step > IMAGE_SHARE * count


class Steering:
    """Moves the states of one batch on their way.

    Args:
        model: The networks.
        options: How often.
        prompts: The prompts.
        mask: Where the word belongs, (B, 1, H, W) in pixels of the image.
        latent_mask: The same in those of the state, (B, 1, h, w).
        scorer: How badly an image suits, or none.
    """

    def __init__(
        self,
        model: StableModel,
        options: SynthesisOptions,
        prompts: Prompts,
        mask: Tensor,
        latent_mask: Tensor,
        scorer: Scorer | None = None,
    ) -> None:
        self.model, self.options, self.prompts, self.scorer = model, options, prompts, scorer
        self.image_mask, self.mask = mask.to(latent_mask), latent_mask
        self.localisation: WordExtent | None = None

    def see(self, state: Tensor, embeddings: Tensor, level: int) -> tuple[Tensor, Tensor]:
        """Return the answer (B, C, h, w) for a prompt, and where its word is seen (B, K, side, side)."""
        with record_attention(self.model.unet) as store:
            answer = self.model.predict(state, level, embeddings)
            maps = sharpen_words(store.read(len(state)), self.prompts.tokens, self.prompts.width)
        return answer, maps

    def steer(
        self, state: Tensor, embeddings: Tensor, level: int, step: int, count: int
    ) -> tuple[Tensor, Tensor]:
        """Return state and prompt after the updates of a step.

        Args:
            state: Latents at the level, (B, C, h, w).
            embeddings: The prompt, (B, L, D).
            level: Noise level.
            step: Number of the step, from 0.
            count: Steps of the way.
        """
        rate, factor = find_rate(step), None
        for _ in range(self.options.inner_steps):
            with torch.inference_mode(False), torch.enable_grad():
                leaves = state.detach().clone().requires_grad_(), embeddings.detach().clone().requires_grad_()
                loss, prompt_loss, maps = self._weigh(*leaves, level, scores_image(step, count))
                (pull,) = torch.autograd.grad(loss.sum(), leaves[0], retain_graph=True)
                (prompt_pull,) = torch.autograd.grad(prompt_loss.sum(), leaves[1])
            if factor is None:
                factor = self._scale(maps.detach(), find_decay(step, count))
            state = state - 2 * rate * factor[:, None, None, None] * _level_pull(pull * self.mask)
            embeddings = embeddings - rate * factor[:, None, None] * prompt_pull
        return state.detach(), embeddings.detach()

    def _weigh(
        self, state: Tensor, embeddings: Tensor, level: int, scores: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the losses of state and prompt, (B,), and the maps of the word."""
        answer, maps = self.see(state, embeddings, level)
        loss = lose_attention(maps, adaptive_max_pool2d(self.image_mask, maps.shape[2:]))
        if self.scorer is not None and scores:
            loss = loss + self.scorer(self.model.decode(self.model.estimate(answer, state, level)))
        detail = self.prompts.detail
        return loss, loss if detail is None else loss + lose_likeness(embeddings, detail), maps

    def _scale(self, maps: Tensor, decay: float) -> Tensor:
        if self.localisation is None:
            self.localisation = WordExtent(adaptive_max_pool2d(self.image_mask, maps.shape[2:]))
        return self.localisation.scale(maps, decay)


def _level_pull(pull: Tensor) -> Tensor:
    """Scale a gradient (B, C, h, w) of each image so that where it acts its mean square is 1."""
    count = (pull != 0).flatten(1).sum(1).clamp(min=1)
    size = pull.flatten(1).norm(dim=1) / count.sqrt()
    return pull / size.clamp(min=1e-20)[:, None, None, None]
