"""The word of a prompt, moved the way a detailed prompt moves from the normal one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from diffad.synthesise.losses import lose_direction

STEPS, RATE = 20, 0.1


def refine_word(
    prompt: Tensor, tokens: Sequence[int], normal: Tensor, detail: Tensor, steps: int = STEPS
) -> Tensor:
    """Return a prompt (1, L, D) whose tokens of the word point where the detailed prompt does.

    No other token changes, nor does anything of the empty prompt.

    Args:
        prompt: Embeddings of the prompt, (1, L, D).
        tokens: Places of the tokens of the word.
        normal: Embeddings of the prompt without it, (1, L, D).
        detail: Embeddings of the detailed prompt, (1, L, D).
        steps: Descents.

    Reference:
        Unseen Visual Anomaly Generation (Sun et al., 2025), section on prompt-guided optimisation.
    """
    places = list(tokens)
    word = prompt[0, places].detach().clone()
    with torch.inference_mode(False), torch.enable_grad():
        for _ in range(steps):
            leaf = word.clone().requires_grad_()
            loss = lose_direction(leaf, normal[0, places], detail[0], normal[0])
            (gradient,) = torch.autograd.grad(loss, leaf)
            word = word - RATE * gradient
    refined_prompt = prompt.clone()
    refined_prompt[0, places] = word
    return refined_prompt
