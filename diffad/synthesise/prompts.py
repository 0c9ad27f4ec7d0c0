"""The prompts of a synthesis, as a network of texts is told them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.refine import refine_word
from diffad.synthesise.stable_model import StableModel
from diffad.synthesise.words import check_length, count_rivals, drop_word, find_tokens


@dataclass(frozen=True, eq=False)
class Prompts:
    """Embeddings of a batch.

    Args:
        cond: The prompt, its word refined where there is a detailed one, (B, L, D).
        empty: The empty prompt, (B, L, D).
        detail: The detailed prompt, (B, L, D); or none.
        tokens: Places of the tokens of the word.
        width: Tokens after the first that compete for a pixel.
    """

    cond: Tensor
    empty: Tensor
    detail: Tensor | None
    tokens: tuple[int, ...]
    width: int


def make_prompts(model: StableModel, options: SynthesisOptions, batch: int) -> Prompts:
    """Embed the prompts for a batch, and refine the word.

    Args:
        model: The networks.
        options: The prompts.
        batch: Images of the batch.

    Raises:
        ValueError: If the word is not in the prompt, or a prompt is too long.
    """
    tokens = find_tokens(model.tokenizer, options.prompt, options.word)
    prompt, detail = model.embed(options.prompt), None
    if options.detail:
        check_length(model.tokenizer, options.detail, "detail")
        detail = model.embed(options.detail)
        normal = model.embed(options.normal or drop_word(options.prompt, options.word))
        prompt = refine_word(prompt, tokens, normal, detail)
    # the padding of version 2 is no end
    hides_padding = int(model.text_encoder.config.hidden_size) >= 1024
    width = count_rivals(model.tokenizer, options.prompt, hides_padding)
    size = (batch, -1, -1)
    detail = None if detail is None else detail.expand(size)
    return Prompts(prompt.expand(size), model.embed("").expand(size), detail, tokens, width)
