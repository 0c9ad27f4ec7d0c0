"""A generator and a number of steps, by the names of diffusers."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.inference.diffusers_options import draw_seed, set_steps
from diffad.method import Method
from tests.helpers.cohorts import write_model

CHAIN = {"name": "chain", "level": 20, "steps": 2}


@pytest.fixture(scope="module")
def pipe(tmp_path_factory):
    return AnomalyPipeline.from_pretrained(write_model(tmp_path_factory.mktemp("steps") / "m"))


def test_generator_draws_the_seed_and_moves_on(pipe):
    x, generator = torch.rand(1, 1, 32, 32), torch.Generator().manual_seed(3)
    first, second = pipe(x, generator=generator), pipe(x, generator=generator)
    again = pipe(x, generator=torch.Generator().manual_seed(3))
    assert torch.equal(first.anomaly_map, again.anomaly_map)
    assert torch.equal(pipe(x, seed=first.info["seed"]).anomaly_map, first.anomaly_map)
    assert not torch.equal(first.anomaly_map, second.anomaly_map)


def test_without_a_generator_the_seed_stays():
    assert draw_seed(7) == 7
    with pytest.raises(ValueError, match="expected seed or generator, got both"):
        draw_seed(7, torch.Generator())
    with pytest.raises(TypeError, match=r"generator: expected one torch\.Generator, .* got list"):
        draw_seed(0, [torch.Generator()])


def test_steps_are_those_of_the_sampler(pipe):
    x = torch.rand(1, 1, 32, 32)
    out = pipe(x, sampler=CHAIN, num_inference_steps=5)
    assert out.info["nfe"] == 5
    assert out.info["sampler"] == {**CHAIN, "steps": 5}
    assert torch.equal(out.anomaly_map, pipe(x, sampler={**CHAIN, "steps": 5}).anomaly_map)
    assert set_steps(Method(sampler=CHAIN), 2) == Method(sampler=CHAIN)
    assert set_steps(Method(sampler=CHAIN), None) == Method(sampler=CHAIN)


@pytest.mark.parametrize(
    ("sampler", "steps", "said"),
    [
        ({"name": "oneshot"}, 5, "expected a sampler with steps, got 'oneshot', which has levels, repeats"),
        (CHAIN, 0, "expected a whole number of at least 1, got 0"),
        (CHAIN, True, "expected a whole number of at least 1, got True"),
        (CHAIN, 2.5, r"expected a whole number of at least 1, got 2\.5"),
    ],
)
def test_steps_that_mean_nothing_are_refused(sampler, steps, said):
    with pytest.raises(ValueError, match=f"num_inference_steps: {said}"):
        set_steps(Method(sampler=sampler), steps)


def test_more_steps_than_levels_is_the_sentence_of_the_sampler(pipe):
    with pytest.raises(ValueError, match=r"steps must be in 1\.\.20"):
        pipe(torch.rand(1, 1, 32, 32), sampler=CHAIN, num_inference_steps=50)
