"""What guides a synthesis: a word to be seen, a prompt to say more, an image to suit."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import cosine_similarity

Scorer = Callable[[Tensor], Tensor]
"""Maps images (B, 3, H, W) in [0, 1] to how badly they suit, (B,); it must have a gradient."""


def lose_attention(maps: Tensor, mask: Tensor) -> Tensor:
    r"""Return how little a word is seen where it belongs, and how much elsewhere, (B,), in [0, 1].

    .. math:: L = \max_j \max(0, 1 - \max_{p \in M} a_j(p))

    and, where the mask leaves pixels, the mean of that and of :math:`\max_j \max_{p \notin M} a_j(p)`.

    Args:
        maps: Where each token of the word is seen, (B, K, H, W), in [0, 1].
        mask: Where it belongs, (B, 1, H, W), zeros and ones.
    """
    peaks = (maps * mask).flatten(2).amax(2)
    loss = (1 - peaks).clamp(min=0).amax(1)
    leaves_pixels = (mask == 0).flatten(1).any(1)
    elsewhere = (maps * (1 - mask)).flatten(2).amax((1, 2))
    return (loss + leaves_pixels * elsewhere) / (1 + leaves_pixels.to(loss))


def lose_likeness(embeddings: Tensor, detail: Tensor) -> Tensor:
    """Return 1 less the mean cosine of the tokens of two prompts (B, L, D), (B,)."""
    return 1 - cosine_similarity(embeddings, detail, dim=-1).mean(1)


def lose_direction(word: Tensor, normal_word: Tensor, detail: Tensor, normal: Tensor) -> Tensor:
    r"""Return how little a word moves from the normal prompt as the detailed prompt does, ().

    .. math:: 1 - \overline{\cos}(e_j - n_j, \; d - n)

    Args:
        word: Embeddings of the tokens of the word, (K, D).
        normal_word: Those of the normal prompt in their places, (K, D).
        detail: Embeddings of the detailed prompt, (L, D).
        normal: Embeddings of the normal prompt, (L, D).
    """
    own, other = word - normal_word, detail - normal
    return 1 - cosine_similarity(own[:, None], other[None], dim=-1).mean()
