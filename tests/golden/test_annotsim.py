"""What the code of Annotsim states: sizes of its networks, its schedule, its maps and its counts."""

import pytest
import torch
from torch import nn

from diffad.config import load
from diffad.evaluation import Counts
from diffad.models.dynamic import AggregatingPerceptron, HeadInteractedAttention
from diffad.noise.octaves import OctaveSet
from diffad.registry import MODELS, SAMPLERS, SCORES
from diffad.schedule import Schedule
from diffad.threshold.rules import otsu
from diffad.training.parts import build_scheduler
from diffad.types import Reconstruction
from tests.helpers.toys import Toy, white_noise

SCHEDULE = Schedule.from_diffusers(build_scheduler(load("annotsim", ["variant=paper"])))


def weightless(name, **options):
    """Build a network that takes no memory."""
    with torch.device("meta"):
        return MODELS.build(name, **options)


def count(module):
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("norm", ["group", "batch"])
def test_dtunet_has_as_many_parameters_as_published(norm):
    assert count(weightless("dtunet", norm=norm)) == 63_095_539


def test_parts_of_dtunet_have_as_many_parameters_as_published():
    network = weightless("dtunet")
    blocks = [*network.encoder, network.middle, *network.decoder]
    assert [len(part) for part in (network.encoder, network.decoder)] == [3, 3]
    assert [count(block) for block in blocks] == [7_793_345] * 4 + [7_793_345 + 1_180_416] * 3
    assert count(network.stem) == 3_488_930
    assert {count(block.attention) for block in blocks} == {2_464_000}
    assert {count(block.perceptron) for block in blocks} == {5_062_848}


def test_time_of_dtunet_is_one_number_for_each_of_257_tokens():
    network = weightless("dtunet")
    assert {(b.time.in_features, b.time.out_features) for b in network.encoder} == {(1024, 257)}
    assert [layer.out_features for layer in network.time if isinstance(layer, nn.Linear)] == [1024, 1024]
    assert network.time[0].in_features == 256


@pytest.mark.parametrize(("channels", "expected"), [(1, 99_788_042), (3, 100_575_060)])
def test_uvit_has_as_many_parameters_as_published(channels, expected):
    assert count(weightless("uvit", in_channels=channels, out_channels=channels)) == expected


@pytest.mark.parametrize(
    ("depth", "width", "heads", "millions"),
    [(12, 384, 6, 33), (12, 768, 12, 130), (24, 1024, 16, 458), (28, 1152, 16, 675)],
)
def test_dit_has_as_many_parameters_as_published_with_its_classes(depth, width, heads, millions):
    options = {"depth": depth, "width": width, "heads": heads, "patch": 2}
    network = weightless("dit", **options, in_channels=4, out_channels=8)
    assert round((count(network) + 1001 * width) / 1e6) == millions


@torch.no_grad()
@pytest.mark.parametrize("name", ["dit", "dtunet", "uvit"])
def test_answer_has_the_shape_of_the_state(name):
    network = weightless(name)
    x = torch.zeros(2, 1, 256, 256, device="meta")
    assert network(x, torch.zeros(2, device="meta")).shape == x.shape


@torch.no_grad()
def test_silent_projection_of_heads_still_changes_the_class():
    torch.manual_seed(0)
    layer, tokens = HeadInteractedAttention(24, 3).eval(), torch.randn(1, 10, 24)
    nn.init.zeros_(layer.project.weight)
    nn.init.zeros_(layer.project.bias)
    heads = layer.sum_heads_up(tokens)
    answer = layer.attention(torch.cat([tokens, heads], 1))
    torch.testing.assert_close(layer(tokens)[:, 1:], answer[:, 1:10])
    torch.testing.assert_close(layer(tokens)[:, 0] - answer[:, 0], answer[:, 10:].mean(1))
    assert answer[:, 10:].mean(1).abs().max() > 1e-3


@torch.no_grad()
def test_class_is_silenced_where_nothing_excites_it():
    layer, tokens = AggregatingPerceptron(24, "group").eval(), torch.randn(1, 10, 24)
    nn.init.zeros_(layer.excite.weight)
    nn.init.zeros_(layer.excite.bias)
    answer = layer(tokens, (3, 3))
    assert not answer[:, 0].any()
    assert answer[:, 1:].any()


@pytest.mark.parametrize(
    ("octaves", "persistence", "total"), [(6, 0.9, 4.68559), (6, 0.8, 3.68928), (10, 0.8, 4.46313)]
)
def test_amplitudes_of_the_octaves_bound_the_noise(octaves, persistence, total):
    octave_set = OctaveSet(octaves, persistence, 64)
    amplitudes = [octave_set.persistence**k for k in range(octave_set.octaves)]
    assert sum(amplitudes) == pytest.approx(total, abs=1e-5)


@pytest.mark.parametrize(
    ("index", "abar"),
    [
        (99, 0.9720927),
        (149, 0.9407390),
        (199, 0.8987059),
        (399, 0.6474782),
        (599, 0.3408096),
        (799, 0.0940456),
    ],
)
def test_signal_of_the_cosine_schedule(index, abar):
    assert float(SCHEDULE.alpha_bar(index + 1)) == pytest.approx(abar, abs=1e-6)


def test_ends_of_the_cosine_schedule():
    assert float(SCHEDULE.alpha_bar(1000)) == pytest.approx(2.43e-9, rel=1e-2)
    assert 1 - float(SCHEDULE.alpha_bar(1)) == pytest.approx(4.128e-5, rel=2e-3)


class Knowing(Toy):
    """Knows the clean image, and so exactly which noise was added."""

    def __init__(self, image):
        super().__init__(SCHEDULE)
        self.image = image

    def estimate(self, x_t, t):
        return self.image


@pytest.mark.parametrize("level", [1, 100, 150])
def test_distance_is_a_level_and_costs_as_many_evaluations(level):
    x = torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    denoiser = Knowing(x)
    options = {**load("annotsim", ["variant=paper"]).sampler, "level": level}
    twin = SAMPLERS.build(**options)(x, denoiser, white_noise, generator=torch.Generator().manual_seed(1))
    assert twin.nfe == denoiser.calls == level
    assert denoiser.levels == list(range(level, 0, -1))
    torch.testing.assert_close(twin.image, x, atol=1e-4, rtol=0)


def test_otsu_cuts_a_map_of_two_values_between_them():
    errors = torch.full((1, 1, 10, 10), 0.1)
    errors[..., 2:5, 3:7] = 0.7
    assert torch.equal(errors > otsu(errors), errors == 0.7)


def test_map_is_the_absolute_difference():
    x, twin = torch.rand(1, 1, 6, 6), torch.rand(1, 1, 6, 6)
    score = SCORES.build(**load("annotsim", ["variant=paper"]).score)
    torch.testing.assert_close(score(x, Reconstruction(twin, nfe=1)), (x - twin).abs())


def test_precision_and_recall_do_not_change_places():
    """20 pixels of a lesion, 30 flagged, 10 of both, of 100: published code says .5, 1/3 and 1/7."""
    truth, flagged = torch.zeros(100, dtype=torch.int), torch.zeros(100, dtype=torch.int)
    truth[:20], flagged[10:40] = 1, 1
    counts = Counts.of(flagged.numpy(), truth.numpy())
    assert (counts.precision(), counts.recall(), counts.fpr()) == (1 / 3, 0.5, 0.25)
