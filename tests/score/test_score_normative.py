"""Scores that aggregate over levels, and scores that measure by the spread of twins."""

import numpy as np
import pytest
import torch

from diffad.registry import SCORES
from diffad.samplers.chain import Chain
from diffad.samplers.ensemble import Ensemble
from diffad.samplers.levels import Levels
from diffad.samplers.oneshot import OneShot
from diffad.samplers.solver import DPMSolver
from diffad.score.base import begin_run
from diffad.score.normative import Normative
from diffad.score.residual import L1Score
from diffad.score.transition import image_weight
from diffad.score.zscore import ZScore
from diffad.types import Reconstruction, StepRecord
from tests.helpers.toys import GaussianDenoiser, linear_schedule, recorder, white_noise

SCHEDULE = linear_schedule()
SHAPE = (2, 3, 7, 5)


def draw(seed, shape=SHAPE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def record(t, x_hat):
    return StepRecord(t, 0, x_hat, x_hat, x_hat)


def estimates(x, levels, spread=0.1):
    """Records of estimates around ``x``."""
    return [
        record(t, x + spread * torch.randn(x.shape, generator=torch.Generator().manual_seed(t)))
        for t in levels
    ]


def run_of(score, x, records, mask=None, schedule=SCHEDULE):
    run = begin_run(score, x, schedule)
    for step in records:
        run.record(step)
    public = (x + 1) / 2
    return run.map(public, Reconstruction(public, nfe=1), mask)


def plain_mean(x, records, mean, weight):
    """The definition, with all levels in memory, in double precision."""
    errors = torch.stack([(r.x_hat.double() - x.double()).square() for r in records])
    weights = torch.tensor([image_weight(r.t, SCHEDULE, weight) for r in records], dtype=torch.float64)
    d = errors * weights[:, None, None, None, None]
    return d.log().mean(0).exp() if mean == "geometric" else d.mean(0)


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
@pytest.mark.parametrize("weight", ["transition", "noise", "none"])
@pytest.mark.parametrize("channels", ["max", "mean"])
def test_running_sum_equals_the_definition(mean, weight, channels):
    x = 2 * draw(0) - 1
    records = estimates(x, range(76, 201))
    scores = run_of(Normative(mean, weight, channels), x, records)
    maps = plain_mean(x, records, mean, weight)
    expected = maps.amax(1, keepdim=True) if channels == "max" else maps.mean(1, keepdim=True)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("mean", ["geometric", "arithmetic"])
def test_order_of_levels_is_irrelevant(mean):
    x = 2 * draw(0) - 1
    records = estimates(x, range(76, 201))
    torch.testing.assert_close(
        run_of(Normative(mean), x, records), run_of(Normative(mean), x, records[::-1]), rtol=1e-6, atol=0
    )


def test_weights_scale_the_geometric_mean_and_reorder_the_arithmetic():
    x = 2 * draw(0, (1, 1, 40, 40)) - 1
    records = estimates(x, range(20, 400, 20))

    def ranks(mean, weight):
        return run_of(Normative(mean, weight), x, records).flatten().argsort()

    assert torch.equal(ranks("geometric", "noise"), ranks("geometric", "none"))
    assert torch.equal(ranks("geometric", "transition"), ranks("geometric", "none"))
    assert not torch.equal(ranks("arithmetic", "noise"), ranks("arithmetic", "none"))


def test_one_good_level_does_not_annihilate_a_voxel():
    x = torch.zeros(1, 1, 4, 4)
    records = [record(t, x + 0.1 * (t != 100)) for t in range(80, 121)]
    scores = run_of(Normative(weight="none"), x, records)
    expected = (0.01**40 * 1e-12) ** (1 / 41)
    torch.testing.assert_close(scores, torch.full_like(x, expected))


def test_estimates_within_the_floor_score_zero():
    x = torch.zeros(1, 1, 4, 4)
    assert not run_of(Normative(floor=1e-4), x, [record(100, x + 0.009)]).any()
    assert run_of(Normative(floor=1e-4), x, [record(100, x + 0.011)]).all()


@pytest.mark.parametrize(
    "sampler",
    [
        Levels(50, 90, 10),
        OneShot([50, 100], 2),
        Chain(60, 6),
        DPMSolver(60, 6),
        Ensemble(2, {"name": "chain", "level": 20, "steps": 4}),
    ],
    ids=lambda s: type(s).__name__,
)
@pytest.mark.parametrize("shape", [(2, 2, 8, 6), (2, 1, 4, 5, 6)], ids=["2-D", "3-D"])
def test_any_sampler_that_reports_serves(sampler, shape, generators):
    x = 2 * draw(1, shape) - 1
    score, (records, on_step) = Normative(), recorder()
    run = begin_run(score, x, SCHEDULE)

    def both(step):
        run.record(step)
        on_step(step)

    result = sampler(x, GaussianDenoiser(), white_noise, generator=generators(1, 2), on_step=both)
    public = (x + 1) / 2
    stream_map = run.map(public, result)
    assert stream_map.shape == (shape[0], 1, *shape[2:])
    assert stream_map.min() > 0
    torch.testing.assert_close(run_of(score, x, records), stream_map, rtol=0, atol=0)


def test_a_run_takes_the_weights_of_its_schedule():
    x, other = 2 * draw(0) - 1, linear_schedule(500)
    records = estimates(x, [100, 150])
    longer, shorter = (run_of(Normative(), x, records, schedule=s) for s in (SCHEDULE, other))
    ratio = [image_weight(t, other) / image_weight(t, SCHEDULE) for t in (100, 150)]
    torch.testing.assert_close(shorter / longer, torch.full_like(longer, (ratio[0] * ratio[1]) ** 0.5))


@pytest.mark.slow
@pytest.mark.shared
def test_a_network_trained_for_something_else_serves(shared_dir):
    """A blob in a real slice stands out in the transitions of the shipped model."""
    from PIL import Image

    from diffad import AnomalyPipeline

    folder = shared_dir / "data" / "ixi_t1_axial"
    scan, brain = (
        torch.from_numpy(np.array(Image.open(path), dtype=np.float32) / 255)[None, None]
        for path in (min((folder / "val").glob("*.png")), folder / "brain_mask.png")
    )
    rows, columns = torch.meshgrid(*(torch.arange(n) for n in scan.shape[2:]), indexing="ij")
    blob = ((rows - 140) ** 2 + (columns - 120) ** 2 < 14**2) & (brain > 0)
    x = torch.where(blob, 0.55 + 0.3 * scan, scan) * (brain > 0)
    pipe = AnomalyPipeline.from_pretrained("ixi-t1-axial")
    sampler = {"name": "levels", "first": 76, "last": 200, "stride": 25}
    result = pipe(x, brain > 0, sampler=sampler, score={"name": "normative"})
    anomaly = torch.as_tensor(result.anomaly_map).reshape(scan.shape)
    assert anomaly[blob].mean() > 3 * anomaly[(brain > 0) & ~blob].mean()


def test_without_records_the_samplers_that_make_them_are_named():
    x = draw(0)
    with pytest.raises(ValueError, match=r"expected records of a sampler .* got none: .*'levels', 'oneshot'"):
        Normative()(x, Reconstruction(x, nfe=1))


@pytest.mark.parametrize("level", [0, -1, 1001])
def test_records_at_no_level_of_the_schedule_raise(level):
    run = Normative().begin(torch.zeros(1, 1, 4, 4), SCHEDULE)
    with pytest.raises(ValueError, match=rf"expected records at levels 1\.\.1000, got level {level}"):
        run.record(record(level, torch.zeros(1, 1, 4, 4)))


def test_records_of_another_shape_raise():
    run = Normative().begin(torch.zeros(2, 1, 4, 4), SCHEDULE)
    with pytest.raises(
        ValueError, match=r"expected records of shape \(2, 1, 4, 4\) like x, got \(4, 1, 4, 4\)"
    ):
        run.record(record(5, torch.zeros(4, 1, 4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "harmonic"}, "mean must be one of .*, got 'harmonic'"),
        ({"weight": "snr"}, "weight must be one of .*, got 'snr'"),
        ({"channels": "sum"}, "channels must be one of .*, got 'sum'"),
        ({"floor": 0.0}, r"expected floor in \[1e-30, 1\], got 0\.0"),
        ({"floor": float("nan")}, r"expected floor in \[1e-30, 1\], got nan"),
    ],
)
def test_wrong_options_raise(options, message):
    with pytest.raises(ValueError, match=message):
        Normative(**options)


@pytest.mark.parametrize(("name", "combine"), [("mean", lambda a, b: (a + b) / 2), ("product", torch.mul)])
def test_streaming_and_plain_scores_combine(name, combine):
    x = draw(0)
    reconstruction, mask = Reconstruction(draw(1), nfe=1), draw(2)[:, :1] > 0.3
    score = SCORES.build(name, scores=[{"name": "l1"}, {"name": "normative"}])
    alone = Normative()
    runs = [begin_run(part, 2 * x - 1, SCHEDULE) for part in (score, alone)]
    for step in estimates(2 * x - 1, [80, 90, 100]):
        for run in runs:
            run.record(step)
    both, normative = (run.map(x, reconstruction, mask) for run in runs)
    torch.testing.assert_close(both, combine(L1Score()(x, reconstruction, mask), normative))


def test_z_is_the_residual_in_units_of_the_spread():
    x = torch.full((1, 2, 4, 4), 0.5)
    std = torch.full_like(x, 0.09)
    std[:, 1] = 0.19
    scores = ZScore(floor=0.01)(x, Reconstruction(x + 0.2, nfe=2, std=std))
    torch.testing.assert_close(scores, torch.full((1, 1, 4, 4), (2.0 + 1.0) / 2))


def test_z_of_members_that_differ_like_the_scan_is_about_one(generators):
    """The scan is one more draw of what the twins are drawn from."""
    x = 0.5 + 0.1 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    reconstructions = 0.5 + 0.1 * torch.randn(200, 1, 64, 64, generator=torch.Generator().manual_seed(1))
    result = Reconstruction(
        reconstructions.mean(0, keepdim=True), nfe=200, std=reconstructions.std(0, keepdim=True)
    )
    scores = ZScore(floor=1e-6)(x, result)
    assert float(scores.square().mean()) == pytest.approx(1, rel=0.06)


def test_z_adds_a_hundredth_to_the_spread_unless_told_otherwise():
    x = torch.full((1, 1, 4, 4), 0.5)
    scores = ZScore()(x, Reconstruction(x + 0.2, nfe=2, std=torch.full_like(x, 0.09)))
    torch.testing.assert_close(scores, torch.full_like(x, 2.0))


def test_z_without_a_spread_names_the_samplers_that_give_it():
    x = draw(0)
    with pytest.raises(ValueError, match=r"expected restoration\.std .* got none: .*'ensemble'"):
        ZScore()(x, Reconstruction(x, nfe=1))


@pytest.mark.parametrize("floor", [0.0, -1.0, float("inf")])
def test_bad_floors_are_refused(floor):
    with pytest.raises(ValueError, match="expected floor positive and finite, got"):
        ZScore(floor)
