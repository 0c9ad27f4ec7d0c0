"""No option of a part may ask for more than a machine can do, and none of a wrong kind passes."""

from typing import ClassVar

import pytest

from diffad.config import ConfigError, load
from diffad.registry import MODELS, NOISES, SAMPLERS, Registry


@pytest.mark.parametrize(
    ("registry", "options", "said"),
    [
        (
            NOISES,
            {"name": "simplex", "octaves": 10**9},
            "expected octaves to be a number of at most 32, got 1",
        ),
        (NOISES, {"name": "simplex", "octaves": "6"}, "expected octaves to be a whole number, got '6'"),
        (NOISES, {"name": "simplex", "octaves": True}, "expected octaves to be a whole number, got True"),
        (NOISES, {"name": "simplex", "feature_size": float("nan")}, "feature_size"),
        (NOISES, {"name": "bank", "size": 10**6}, "expected size to be a number of at most 4096"),
        (SAMPLERS, {"name": "chain", "steps": 10**6}, "expected steps to be a number of at most 10000"),
        (SAMPLERS, {"name": "ensemble", "samplers": ["x"]}, "with a name, got 'x'"),
        (SAMPLERS, {"name": "oneshot", "levels": [1] * 20_000}, "expected levels to be at most 10000 values"),
        (SAMPLERS, {"name": "oneshot", "levels": [[1]]}, "expected"),
        (MODELS, {"name": "unet2d", "channels": [8] * 17}, "expected channels to be at most 16 values"),
        (MODELS, {"name": "labelled", "backbone": {"name": "unet2d", "layers": 10**9}}, "layers"),
    ],
)
def test_option_beyond_its_range_or_kind_is_refused_by_name(registry, options, said):
    with pytest.raises(ValueError, match=said):
        registry.build(**options)


def nested(depth):
    return {"name": "x", "inner": nested(depth - 1)} if depth else {"name": "x"}


def test_parts_inside_parts_have_a_depth():
    with pytest.raises(ValueError, match="at most 20 mappings inside each other"):
        SAMPLERS.build(name="ensemble", inner=nested(100))


def test_part_of_others_has_limits_of_its_own():
    class Wide:
        limits: ClassVar = {"count": 10**9}

        def __init__(self, *, count: int = 1, octaves: int = 1):
            self.count, self.octaves = count, octaves

    parts = Registry("noise", "diffad.noise")
    parts.register("wide")(Wide)
    assert parts.build("wide", count=10**8, octaves=1000).octaves == 1000
    with pytest.raises(ValueError, match=r"expected count to be a number of at most 1e\+09"):
        parts.build("wide", count=10**10)
    with pytest.raises(ValueError, match=r"expected octaves to be a number of at most 1e\+06"):
        parts.build("wide", octaves=10**7)


@pytest.mark.parametrize(
    "change",
    [
        "schedule.num_train_timesteps=1000000000",
        "postprocess.erosion=1000000000",
        "space.size=1000000000",
        "train.batch_size=1000000000",
        "train.validate_levels=1000000000",
        "train.lr=.inf",
        "space.centre=.nan",
        "train.ema_decay=1e400",
    ],
)
def test_number_of_a_section_has_a_range(change):
    with pytest.raises(ConfigError, match=rf"config key {change.partition('=')[0]}: expected a number in"):
        load("smoke", [change])


def test_long_value_is_cut_in_the_message():
    with pytest.raises(ConfigError) as caught:
        load("smoke", [f"train.loss={'x' * 100_000}"])
    assert len(str(caught.value)) < 400
