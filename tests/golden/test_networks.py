"""Sizes, costs and shapes of the networks that papers on anomaly detection state or ship."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from diffad.models.adm import ADM
from diffad.models.blocks import ResidualBlock, SelfAttention

ANODDPM = {"film": False, "layers": 2, "heads": 2}
AT_256 = {"mults": (1, 1, 2, 2, 4, 4), "attention": (8, 16, 32)}
AT_128 = {"mults": (1, 1, 2, 3, 4), "attention": (4, 8, 16)}
AT_64 = {"mults": (1, 2, 3, 4), "attention": (2, 4, 8)}
PDDPM = {"base": 128, "mults": (1, 2, 2), "layers": 3, "head_channels": 64}
CDDPM = {**PDDPM, "embedding": 512}


def weightless(**options):
    """Build a network that takes no memory: shapes without values."""
    with torch.device("meta"):
        return ADM(**options)


def parts(network, kind):
    return {name: part for name, part in network.named_modules() if isinstance(part, kind)}


def parameters(network):
    return sum(p.numel() for p in network.parameters())


def flops(network, side):
    """Count the operations of one slice, an addition and a multiplication each as one."""
    x, label = torch.zeros(1, 1, side, side, device="meta"), torch.zeros(1, device="meta")
    width = network.config.embedding
    with FlopCounterMode(display=False) as counter:
        network(x, label, torch.zeros(1, width, device="meta") if width else None)
    return counter.get_total_flops()


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({**AT_256, "base": 128}, 131_649_793),
        ({**AT_256, "base": 128, "in_channels": 4, "out_channels": 4}, 131_656_708),
        ({**AT_256, "base": 64}, 32_950_401),
        ({**AT_128, "base": 128}, 99_937_409),
        ({**AT_128, "base": 64}, 25_015_873),
        ({**AT_128, "base": 64, "in_channels": 4, "out_channels": 4}, 25_019_332),
        ({**AT_128, "base": 96}, 56_238_433),
        ({**AT_64, "base": 64}, 24_246_209),
    ],
)
def test_anoddpm_has_as_many_parameters_as_published(options, count):
    assert parameters(weightless(**ANODDPM, **options)) == count


@pytest.mark.parametrize("options", [AT_256, AT_128])
def test_anoddpm_has_16_attention_blocks(options):
    assert len(parts(weightless(**ANODDPM, **options), SelfAttention)) == 16


def test_anoddpm_at_256_has_42_residual_blocks():
    assert len(parts(weightless(**ANODDPM, **AT_256), ResidualBlock)) == 42


@pytest.mark.parametrize(
    ("options", "count"),
    [(PDDPM, 37_513_857), ({**PDDPM, "film": False}, 34_493_313), (CDDPM, 44_068_481)],
)
def test_pddpm_and_cddpm_have_as_many_parameters_as_published(options, count):
    assert parameters(weightless(**options)) == count


def test_pddpm_has_27_residual_blocks_and_attention_in_the_middle_only():
    network = weightless(**PDDPM)
    blocks, attention = parts(network, ResidualBlock), parts(network, SelfAttention)
    widths = [block.conv_in.out_channels for block in blocks.values()]
    assert (len(widths), widths.count(128), widths.count(256)) == (27, 8, 19)
    assert list(attention) == ["bottom.blocks.1"]
    assert attention["bottom.blocks.1"].heads == 4


def test_condition_of_cddpm_reaches_all_27_blocks_beside_the_time():
    blocks = parts(weightless(**CDDPM), ResidualBlock).values()
    assert len(blocks) == 27
    assert {block.modulation.in_features for block in blocks} == {1024}
    assert {(b.conv_in.out_channels, b.modulation.out_features) for b in blocks} == {(128, 256), (256, 512)}


def test_condition_of_cddpm_adds_its_layers_and_512_columns_a_block():
    with_condition, without = weightless(**CDDPM), weightless(**PDDPM)
    layers = parameters(with_condition.condition)
    columns = sum(512 * b.modulation.out_features for b in parts(with_condition, ResidualBlock).values())
    assert (layers, columns) == (525_312, 6_029_312)
    assert parameters(with_condition) - parameters(without) == layers + columns == 6_554_624


def test_widths_laid_side_by_side_on_the_way_up_are_those_of_cddpm():
    widths = [stage.blocks[0].conv_in.in_channels for stage in weightless(**CDDPM).up]
    assert widths == [512, 512, 512, 512, 512, 512, 512, 384, 384, 256, 256, 256]


@pytest.mark.parametrize(
    ("options", "side", "billions", "digits"),
    [
        (PDDPM, 96, 149.12, 2),
        (CDDPM, 96, 149.14, 2),
        (PDDPM, 48, 37.2, 1),
        ({**ANODDPM, **AT_256}, 256, 562.6, 1),
    ],
)
def test_slice_costs_as_many_operations_as_published(options, side, billions, digits):
    assert round(flops(weightless(**options), side) / 1e9, digits) == billions


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"film": False, "attention": (2, 4)}, {"embedding": 6}])
def test_answer_is_exactly_zero_before_training(options):
    network = ADM(base=8, mults=(1, 2, 2), layers=1, groups=4, **options)
    c = torch.randn(2, 6) if "embedding" in options else None
    assert not network(torch.randn(2, 1, 8, 8), torch.tensor([0, 999]), c).any()
