"""Prompts as tokens, and their refinement."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffad.synthesise.losses import lose_direction, lose_likeness
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.prompts import make_prompts
from diffad.synthesise.refine import refine_word
from diffad.synthesise.words import count_rivals, drop_word, find_tokens
from tests.helpers.stable import PROMPT, WORDS


def test_word_of_one_token_has_its_published_place(stable):
    assert find_tokens(stable.tokenizer, PROMPT, "crack") == (8,)
    assert find_tokens(stable.tokenizer, "a photo of a table that is faded", "faded") == (8,)
    assert len(stable.tokenizer(PROMPT).input_ids) == 12
    assert {len(stable.tokenizer(word).input_ids) for word in WORDS} == {3}


def test_word_that_is_cut_has_all_its_tokens(stable):
    prompt = "a photo of a blob with gap on it"
    assert find_tokens(stable.tokenizer, prompt, "gap") == (7, 8, 9)
    assert find_tokens(stable.tokenizer, PROMPT, "crack on it") == (8, 9, 10)


@pytest.mark.parametrize("word", ["hole", "cra", " ", "crack with"])
def test_word_that_is_not_in_the_prompt_is_refused(stable, word):
    with pytest.raises(ValueError, match="word: expected a word of the prompt"):
        find_tokens(stable.tokenizer, PROMPT, word)


def test_prompt_that_is_too_long_is_refused(stable):
    with pytest.raises(ValueError, match="prompt: expected at most 75 tokens, got 80"):
        find_tokens(stable.tokenizer, "a " * 79 + "crack", "crack")


def test_all_tokens_but_first_and_last_compete(stable):
    assert count_rivals(stable.tokenizer, PROMPT, hides_padding=False) == 75
    assert count_rivals(stable.tokenizer, PROMPT, hides_padding=True) == 10


@given(st.text(alphabet="abc ", max_size=30), st.text(alphabet="abc", min_size=1, max_size=3))
def test_prompt_without_a_word_has_single_spaces(prompt, word):
    rest = drop_word(f"{prompt} {word}", word)
    assert "  " not in rest
    assert rest == rest.strip()


def test_refinement_moves_the_word_alone_and_the_way_it_should():
    draw = torch.Generator().manual_seed(0)
    prompt, normal, detail = (torch.randn(1, 77, 32, generator=draw) for _ in range(3))
    kept = prompt.clone()
    refined = refine_word(prompt, (8, 9), normal, detail)
    others = [i for i in range(77) if i not in (8, 9)]
    assert torch.equal(prompt, kept)
    assert torch.equal(refined[:, others], prompt[:, others])
    before, after = (
        lose_direction(p[0, [8, 9]], normal[0, [8, 9]], detail[0], normal[0]) for p in (prompt, refined)
    )
    assert float(after) < float(before)


def test_empty_prompt_is_not_refined(stable):
    plain = make_prompts(stable, SynthesisOptions(prompt=PROMPT, word="crack"), 2)
    refined = make_prompts(
        stable, SynthesisOptions(prompt=PROMPT, word="crack", detail="a photo of a large crack"), 2
    )
    assert torch.equal(plain.empty, refined.empty)
    assert plain.detail is None
    changed = (plain.cond != refined.cond).any(-1)
    assert changed.nonzero()[:, 1].unique().tolist() == [8]


def test_likeness_compares_features_and_not_tokens():
    embeddings = torch.randn(2, 5, 8, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(lose_likeness(embeddings, embeddings), torch.zeros(2), atol=1e-6)
    assert torch.allclose(lose_likeness(embeddings, -embeddings), torch.full((2,), 2.0))
    scaled = embeddings * torch.arange(1.0, 6)[None, :, None]  # of each token: no direction changes
    assert torch.allclose(lose_likeness(embeddings, scaled), torch.zeros(2), atol=1e-6)
