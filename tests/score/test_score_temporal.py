"""The temporal mean of maps: which records count, and how."""

import pytest
import torch

from diffad.capabilities import attach_networks
from diffad.registry import SAMPLERS, SCORES
from diffad.score.base import begin_run, wants_records
from diffad.score.temporal import Temporal
from diffad.types import Reconstruction, StepRecord
from tests.helpers.toys import GaussianDenoiser, linear_schedule, white_noise

SHAPE = (2, 1, 6, 5)
SCHEDULE = linear_schedule()


def rand(seed, shape=SHAPE):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def record(t, seed, score_map=None):
    x_hat = rand(seed) * 2 - 1
    return StepRecord(t, t - 1, x_hat, x_hat, x_hat, score_map)


def score_records(score, records, x=None):
    """The map of a scan in [0, 1] from the records of a sampler."""
    x = rand(1) if x is None else x
    run = score.begin(2 * x - 1)
    for step in records:
        run.record(step)
    return run.map(x, Reconstruction(rand(0), nfe=len(records)))


@pytest.fixture
def maps():
    return [rand(seed) for seed in (11, 12, 13)]


@pytest.fixture
def records(maps):
    return [record(t, t, m) for t, m in zip((30, 20, 10), maps, strict=True)]


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        ("harmonic", lambda m: len(m) / (1 / m).sum(0)),
        ("geometric", lambda m: m.prod(0) ** (1 / len(m))),
        ("arithmetic", lambda m: m.mean(0)),
    ],
)
def test_means_are_those_of_the_maps(mean, expected, maps, records):
    answer = score_records(Temporal(mean), records)
    torch.testing.assert_close(answer, expected(torch.stack(maps)))


def test_harmonic_mean_is_scipys(maps, records):
    hmean = pytest.importorskip("scipy.stats").hmean
    expected = torch.from_numpy(hmean(torch.stack(maps).double().numpy()))
    torch.testing.assert_close(score_records(Temporal(), records).double(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("mean", "vetoes"), [("harmonic", True), ("geometric", True), ("arithmetic", False)])
def test_a_zero_vetoes_exactly(mean, vetoes, maps):
    maps[1][..., 2, 3] = 0
    answer = score_records(Temporal(mean), [record(9, 9, m) for m in maps])
    assert (answer[..., 2, 3] == 0).all() == vetoes
    assert answer.isfinite().all()
    assert (answer == 0).sum() == (2 if vetoes else 0)


def test_only_the_levels_asked_for_count(maps, records):
    answer = score_records(Temporal(levels=[30, 10]), records)
    torch.testing.assert_close(answer, 2 / (1 / maps[0] + 1 / maps[2]))


def test_records_without_a_map_do_not_count_where_others_carry_one(maps):
    records = record(30, 5), record(20, 20, maps[0]), record(10, 6), record(5, 7, maps[1])
    answer = score_records(Temporal(), records)
    torch.testing.assert_close(answer, 2 / (1 / maps[0] + 1 / maps[1]))


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_without_maps_estimates_are_compared_with_the_scan(name):
    x, records = rand(1), [record(30, 5), record(20, 6)]
    twins = [Reconstruction((r.x_hat + 1) / 2, nfe=1) for r in records]
    expected = torch.stack([SCORES.build(name)(x, twin) for twin in twins]).mean(0)
    answer = score_records(Temporal("arithmetic", score={"name": name}), records, x)
    torch.testing.assert_close(answer, expected)


def test_top_bounds_the_map(maps):
    high = [record(9, 9, torch.full(SHAPE, 3.0))]
    assert score_records(Temporal(), high).max() == pytest.approx(0.999)
    assert score_records(Temporal(top=2), high).max() == 2
    assert score_records(Temporal(top=None), high).max() == pytest.approx(3)


@pytest.mark.parametrize("name", ["harmonised", "chain"])
def test_streaming_gives_what_stored_records_give(name):
    x, records = rand(1) * 2 - 1, []
    options = {"level": 20, "steps": 4}
    if name == "harmonised":
        options |= {"harmonise": [15], "watch": None, "score": {"name": "l1"}, "width": 3}
    rng = [torch.Generator().manual_seed(i) for i in range(2)]
    run = begin_run(Temporal(), x, SCHEDULE)

    def watch(step):
        records.append(step)
        run.record(step)

    result = SAMPLERS.build(name, **options)(x, GaussianDenoiser(), white_noise, generator=rng, on_step=watch)
    public = (x + 1) / 2
    stream_map = run.map(public, result)
    assert wants_records(run)
    assert stream_map.max() > 0
    torch.testing.assert_close(stream_map, score_records(Temporal(), records, public))
    if name == "harmonised":
        torch.testing.assert_close(stream_map, records[1].map.clamp(max=0.999))


def test_a_million_levels_cost_one_map():
    run = Temporal().begin(rand(1))
    tensors = {id(v) for v in vars(run).values()}
    for t in range(20):
        run.record(record(t + 1, t, rand(t)))
    assert {id(v) for v in vars(run).values() if not isinstance(v, int)} <= tensors
    assert run._record_mean._sum.shape == SHAPE


def test_networks_pass_to_the_score_of_estimates():
    class Asking:
        def attach_networks(self, networks):
            self.networks = networks

    score = Asking()
    attach_networks(Temporal(score=score), {"classifier": 1})
    assert score.networks == {"classifier": 1}


def test_no_records_raise():
    with pytest.raises(ValueError, match="expected records of a sampler for score 'temporal', got none"):
        Temporal()(rand(1), Reconstruction(rand(0), nfe=1))


def test_no_records_at_the_levels_raise(records):
    with pytest.raises(ValueError, match=r"expected records at levels \(7,\) for score 'temporal', got 3 at"):
        score_records(Temporal(levels=[7]), records)


def test_records_of_another_shape_raise(records):
    run = Temporal().begin(rand(1, (1, 1, 6, 5)))
    with pytest.raises(ValueError, match=r"expected records of shape \(1, 1, 6, 5\) like x, got"):
        run.record(records[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": "median"}, r"mean must be one of .*, got 'median'"),
        ({"levels": []}, "expected at least one level, got none"),
        ({"top": 0}, "expected a positive top, got 0"),
        ({"score": {"window": 3}}, "expected a score with a name, got {'window': 3}"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        SCORES.build("temporal", **options)
