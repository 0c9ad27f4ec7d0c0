"""A network that marks what is not healthy beside restoring it."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.denoise import NetworkDenoiser, marks_anomalies
from diffad.models.chunked import Chunked
from diffad.models.unet2d import UNet2D
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import SCORES
from diffad.samplers.oneshot import OneShot
from diffad.schedule import Schedule
from diffad.training.batch import corrupt_items
from diffad.training.checkpoint import CheckpointError
from diffad.training.loss import marking_loss
from diffad.training.run import train
from diffad.training.transfer import load_weights
from diffad.types import generator_for
from tests.training.test_objectives import brains, log_of

SCHEDULE = Schedule.linear()
OPTIONS = {"channels": (8, 16), "layers": 1, "groups": 4, "patch": 2}
RESTORE = "corrupt={tasks: [intensity], chance: 1.0, role: restore, mark: 0.5}"
MARKS = "model={name: unet2d, channels: [8], layers: 1, attention: false, marks: true}"
SCORE = "score={name: product, scores: [{name: l1}, {name: likelihood}]}"


def make_network(**options):
    torch.manual_seed(0)
    return UNet2D(**OPTIONS, **options).eval()


def answer(network, x_t):
    with torch.no_grad():
        return network(x_t, torch.zeros(len(x_t), dtype=torch.long))


@pytest.fixture(scope="module")
def x():
    return torch.rand(3, 1, 16, 24, generator=torch.Generator().manual_seed(0)) * 2 - 1


@torch.no_grad()
def test_estimate_is_image_and_probability(x):
    network = make_network(marks=True)
    output = answer(network, x)
    assert output.shape == (3, 2, 16, 24)
    denoiser = NetworkDenoiser(network, SCHEDULE, "sample")
    x_hat, marks = denoiser.estimate(x, torch.tensor(1))
    torch.testing.assert_close(x_hat, output[:, :1].clamp(-1, 1))
    torch.testing.assert_close(marks, output[:, 1:].sigmoid())
    assert torch.equal(denoiser(x, torch.tensor(1)), x_hat)


@torch.no_grad()
def test_network_without_marks_has_none(x):
    network = make_network()
    assert not marks_anomalies(network)
    assert NetworkDenoiser(network, SCHEDULE).estimate(x, torch.tensor(1))[1] is None


@torch.no_grad()
def test_chunks_mark_as_the_whole_batch_does(x):
    network = make_network(marks=True)
    whole, parts = (
        NetworkDenoiser(n, SCHEDULE).estimate(x, torch.tensor(5)) for n in (network, Chunked(network, 2))
    )
    for first, second in zip(whole, parts, strict=True):
        torch.testing.assert_close(first, second)


@pytest.mark.parametrize("stack", [True, False])
def test_sampler_averages_the_marks_of_its_looks(x, stack):
    denoiser = NetworkDenoiser(make_network(marks=True), SCHEDULE)
    generators = [generator_for(0, i) for i in range(3)]
    records = []
    sampler = OneShot(levels=[50, 100], repeats=2, stack=stack)
    result = sampler(x, denoiser, GaussianNoise(), generator=generators, on_step=records.append)
    assert len(records) == 4
    torch.testing.assert_close(result.map, torch.stack([r.map for r in records]).mean(0))
    score = SCORES.build("likelihood")(x / 2 + 0.5, result)
    torch.testing.assert_close(score, result.map)


@torch.no_grad()
@pytest.mark.parametrize("t", [1, 100])
def test_weights_without_marks_load_and_answer_the_same(x, t, tmp_path):
    plain, marked = make_network(), UNet2D(**OPTIONS, marks=True).eval()
    plain.save_pretrained(tmp_path)
    load_weights(marked, tmp_path)
    output = answer(marked, x)
    torch.testing.assert_close(output[:, :1], answer(plain, x))
    assert torch.equal(output[:, 1:], torch.zeros_like(x))


def test_weights_with_marks_load_into_no_network_without(tmp_path):
    make_network(marks=True).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="conv_out"):
        load_weights(make_network(), tmp_path)


def test_damage_is_where_the_change_is_visible(small):
    config = small("corrupt={tasks: [intensity], chance: 1.0, role: restore}")
    image, brain = brains()
    drawing = (config.corrupt, ["intensity"], [generator_for(3, i) for i in range(len(image))])
    batch = corrupt_items(image, brain, torch.full((len(image),), -1), *drawing)
    change = (batch.damaged_image - image).abs()
    assert set(batch.damage.unique().tolist()) == {0.0, 1.0}
    assert (change[batch.damage == 0] < 0.3).all()
    assert (batch.damage[change > 0.4] == 1).all()
    assert (batch.damage <= brain).all()


def test_loss_of_marks_is_the_cross_entropy():
    logits, damage = torch.tensor([[[[0.0, 2.0]]]]), torch.tensor([[[[0.0, 1.0]]]])
    expected = (torch.log(torch.tensor(2.0)) + torch.log1p(torch.exp(torch.tensor(-2.0)))) / 2
    torch.testing.assert_close(marking_loss(logits, damage), expected[None])
    healthy = marking_loss(logits, None)
    torch.testing.assert_close(healthy, marking_loss(logits, torch.zeros_like(damage)))


def test_training_learns_to_mark_and_the_pipeline_scores_by_it(small):
    folder = train(small(RESTORE, MARKS, SCORE, "sampler={name: oneshot, levels: [20]}", "train.steps=30"))
    rows = log_of(folder.parent)
    assert rows[-1]["val_loss"] < rows[3]["val_loss"]
    pipe = AnomalyPipeline.from_pretrained(folder)
    assert pipe.network.marks
    output = pipe(torch.rand(1, 1, 16, 16))
    assert output.anomaly_map.isfinite().all()
    assert output.anomaly_map.max() > 0
