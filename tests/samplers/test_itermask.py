"""What ``itermask`` refuses, leaves alone, hides in training and calibrates."""

import pytest
import torch

from diffad.config import ConfigError, load
from diffad.denoise import NetworkDenoiser
from diffad.protocols import CalibratesThreshold
from diffad.registry import SAMPLERS
from diffad.samplers.hidden import draw_hidden
from diffad.samplers.itermask import IterMask
from diffad.training.parts import check_parts
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, linear_schedule, white_noise

SHAPES = {"2-D": (3, 1, 24, 20), "3-D": (3, 1, 12, 10, 8)}


@pytest.fixture(params=SHAPES.values(), ids=SHAPES)
def x(request):
    return torch.rand(request.param, generator=torch.Generator().manual_seed(0)) * 2 - 1


def seeded(count=3):
    return [torch.Generator().manual_seed(s) for s in range(count)]


def half(x):
    """A brain in one half of each image."""
    mask = torch.zeros_like(x[:, :1])
    mask[..., : x.shape[-1] // 2] = 1
    return mask


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": -0.1}, "threshold must be finite and at least 0, got -0.1"),
        ({"threshold": float("nan")}, "threshold must be finite and at least 0, got nan"),
        ({"threshold": float("inf")}, "threshold must be finite and at least 0, got inf"),
        ({"share": 0.0}, r"share must be in \(0, 1\], got 0.0"),
        ({"share": 1.2}, r"share must be in \(0, 1\], got 1.2"),
        ({"fpr": 1.0}, r"fpr must be in \(0, 1\), got 1.0"),
        ({"stop": 1.0}, r"stop must be in \[0, 1\), got 1.0"),
        ({"whole": -0.5}, r"whole must be in \[0, 1\], got -0.5"),
        ({"sigma": 0.0}, "sigma must be positive and finite, got 0.0"),
        ({"slope": float("nan")}, "slope must be positive and finite, got nan"),
        ({"passes": 0}, "passes must be at least 1, got 0"),
        ({"looks": 2}, "looks must be at least 3, got 2"),
        ({"rule": "otsu"}, r"rule must be one of \('healthy', 'curve'\), got 'otsu'"),
        ({"loss": "brain"}, r"loss must be one of \('image', 'hidden'\), got 'brain'"),
    ],
    ids=str,
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        IterMask(**options)


def test_without_a_threshold_it_says_where_one_comes_from(x):
    assert not IterMask().calibrated()
    with pytest.raises(ValueError, match="expected a threshold, which training measures on healthy scans"):
        IterMask()(x, GaussianDenoiser(), white_noise, generator=seeded())


def test_mask_of_another_shape_is_refused(x):
    with pytest.raises(ValueError, match="expected mask of shape"):
        IterMask(threshold=0.1)(
            x, GaussianDenoiser(), white_noise, generator=seeded(), mask=half(x)[..., :-1]
        )


def test_network_of_noise_is_refused(x):
    denoiser = NetworkDenoiser(lambda x_t, labels: x_t, linear_schedule(), "epsilon")
    with pytest.raises(ValueError, match="expected a network of prediction_type 'sample', got 'epsilon'"):
        IterMask(threshold=0.1)(x, denoiser, white_noise, generator=seeded())


def test_item_without_a_brain_stays_as_it_is_and_changes_no_other(x):
    mask = half(x)
    mask[1] = 0
    sampler = IterMask(threshold=0.01)
    found = sampler(x, GaussianDenoiser(), white_noise, generator=seeded(), mask=mask)
    assert torch.equal(found.image[1], x[1])
    assert not found.map[1].any()
    alone = sampler(x[2:], GaussianDenoiser(), white_noise, generator=seeded()[2:], mask=mask[2:])
    assert torch.equal(alone.image[0], found.image[2])
    assert torch.equal(alone.map[0], found.map[2])


def test_no_brain_at_all_costs_nothing(x):
    denoiser = GaussianDenoiser()
    empty = torch.zeros_like(x)
    found = IterMask(threshold=0.01)(x, denoiser, white_noise, generator=seeded(), mask=empty)
    assert torch.equal(found.image, x)
    assert found.nfe == denoiser.calls == 0


def test_map_lies_inside_the_brain(x):
    found = IterMask(threshold=0.0)(x, GaussianDenoiser(), white_noise, generator=seeded(), mask=half(x))
    assert found.map.any()
    assert not found.map[half(x) == 0].any()


def test_image_keeps_what_was_rebuilt_badly_in_its_map(x):
    """A network that knows the image but for one voxel leaves that hidden alone."""
    x = x[:1]
    wrong = x.clone()
    place = (0, 0, *(1 for _ in x.shape[2:]))
    wrong[place] = -x[place].sign()
    found = IterMask(threshold=0.01)(x, ConstantDenoiser(wrong), white_noise, generator=seeded(1))
    assert found.map.nonzero().tolist() == [list(place)]


def test_masks_of_voxels_may_grow_again_if_asked():
    """The network is wrong on the left while the right is hidden, and else on the right."""
    x = torch.zeros(1, 1, 8, 8)

    class Swapping(GaussianDenoiser):
        def estimate(self, x_t, t):
            x_hat = x_t * 0
            side = slice(0, 3) if self.calls != 2 else slice(0, 8)
            x_hat[..., side] = 0.9
            return x_hat

    sizes = {}
    for regrow in (False, True):
        sampler = IterMask(threshold=0.01, share=None, regrow=regrow, stop=0.0, passes=1)
        found = sampler(x, Swapping(), white_noise, generator=torch.Generator().manual_seed(0))
        sizes[regrow] = int((found.map > 0).sum())
    assert sizes == {False: 24, True: 64}


@pytest.mark.parametrize("seed", range(6))
def test_some_of_the_brain_is_hidden_and_nothing_else(x, seed):
    brain = half(x)[0]
    hidden = draw_hidden(brain, torch.Generator().manual_seed(seed))
    assert hidden.dtype == torch.bool
    assert hidden.any()
    assert not (hidden & (brain == 0)).any()
    again = draw_hidden(brain, torch.Generator().manual_seed(seed))
    assert torch.equal(hidden, again)


def test_hidden_clouds_are_of_many_sizes():
    brain = torch.ones(1, 128, 128)
    shares = [float(draw_hidden(brain, torch.Generator().manual_seed(s)).float().mean()) for s in range(40)]
    assert min(shares) < 0.1
    assert max(shares) > 0.25
    assert max(shares) < 1


def test_nothing_of_no_brain_is_hidden():
    assert not draw_hidden(torch.zeros(1, 8, 8), torch.Generator()).any()


def example(x, mask, **options):
    t = torch.ones(len(x), dtype=torch.long)
    return IterMask(**options).example(x, mask, t, white_noise, linear_schedule(), seeded())


def test_training_shows_noise_where_it_hides_and_the_scan_elsewhere(x):
    made = example(x, half(x), whole=0.0, loss="hidden", sigma=0.5)
    assert torch.equal(made.x, x)
    assert torch.equal(made.x_t[~made.region], x[~made.region])
    assert torch.equal(made.x_t[made.region], 0.5 * made.z[made.region])
    assert made.region.flatten(1).any(1).all()


def test_training_hides_the_whole_brain_now_and_then(x):
    made = example(x, half(x), whole=1.0, loss="hidden")
    assert torch.equal(made.region, half(x) > 0)
    assert example(x, half(x)).region is None


def test_threshold_is_measured_where_each_voxel_was_hidden_once(x):
    sampler = IterMask()
    assert isinstance(sampler, CalibratesThreshold)
    maps, score = sampler.calibrating()
    shown = []

    def watch(record):
        shown.append(record.x_t != x)

    found = maps(x, ConstantDenoiser(x), white_noise, generator=seeded(), mask=half(x), on_step=watch)
    assert found.nfe == 2
    assert torch.equal(shown[0] ^ shown[1], half(x) > 0)
    torch.testing.assert_close(found.image, x)
    assert not score(x / 2 + 0.5, found.__class__(x / 2 + 0.5, 1)).any()


def test_sampler_is_built_from_yaml():
    sampler = SAMPLERS.build("itermask", share=None, rule="curve")
    assert sampler.calibrated()


def test_training_at_other_levels_is_refused():
    with pytest.raises(ConfigError, match=r"train\.levels: expected \[1, 1\], as sampler 'itermask' asks at"):
        check_parts(load("itermask", ["train.levels=[1, 1000]"]))
    with pytest.raises(ConfigError, match=r"schedule\.prediction_type: expected sample, as sampler"):
        check_parts(load("itermask", ["schedule.prediction_type=epsilon"]))
