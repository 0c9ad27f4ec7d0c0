"""Prompts as tokens: which of them a word is made of, and what a text encoder says of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def find_tokens(tokenizer: Any, prompt: str, word: str) -> tuple[int, ...]:
    """Return the places of all tokens of a word, or of several words, in a prompt; the beginning token is 0.

    A word that is cut has several; of a word that occurs more than once the first is taken.

    Args:
        tokenizer: One of transformers.
        prompt: The prompt.
        word: What is looked for.

    Raises:
        ValueError: If the word is not in the prompt, or the prompt is too long for the encoder.
    """
    check_length(tokenizer, prompt, "prompt")
    ids = list(tokenizer(prompt).input_ids)
    pieces = list(tokenizer(word, add_special_tokens=False).input_ids)
    starts = [i for i in range(len(ids)) if pieces and ids[i : i + len(pieces)] == pieces]
    if not starts:
        raise ValueError(f"word: expected a word of the prompt {prompt!r}, got {word!r}")
    return tuple(range(starts[0], starts[0] + len(pieces)))


def check_length(tokenizer: Any, prompt: str, name: str) -> None:
    """Refuse a prompt that the encoder would cut.

    Args:
        tokenizer: One of transformers.
        prompt: The prompt.
        name: What messages call it.

    Raises:
        ValueError: If it has too many tokens.
    """
    limit, count = int(tokenizer.model_max_length), len(tokenizer(prompt, verbose=False).input_ids)
    if count > limit:
        raise ValueError(f"{name}: expected at most {limit - 2} tokens, got {count - 2}; shorten it")


def drop_word(prompt: str, word: str) -> str:
    """Return a prompt without a word."""
    return " ".join(prompt.replace(word, " ", 1).split())


def tokenize(tokenizer: Any, prompt: str) -> Tensor:
    """Return the tokens of a prompt, padded or cut to the length of the encoder, (1, L)."""
    options = {"padding": "max_length", "truncation": True, "return_tensors": "pt"}
    ids: Tensor = tokenizer(prompt, max_length=tokenizer.model_max_length, **options).input_ids
    return ids


def count_rivals(tokenizer: Any, prompt: str, hides_padding: bool) -> int:
    """Return how many tokens after the first compete for a pixel: all but the last, or the prompt's."""
    limit = int(tokenizer.model_max_length)
    length = min(len(tokenizer(prompt).input_ids), limit) - 1 if hides_padding else limit - 1
    return max(length - 1, 1)


@torch.no_grad()
def embed_prompt(encoder: Any, tokenizer: Any, prompt: str) -> Tensor:
    """Return what a text encoder says of a prompt, (1, L, D)."""
    ids = tokenize(tokenizer, prompt).to(next(encoder.parameters()).device)
    embeddings: Tensor = encoder(ids)[0]
    return embeddings
