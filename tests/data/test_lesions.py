import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from diffad.data.lesions import KINDS, implant, implant_all
from diffad.data.lesions.kinds import CORE_RADIUS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def phantom(*size, channels=1, seed=0):
    """A ball-shaped brain of smooth random tissue on a black background."""
    axes = [torch.linspace(-1, 1, n) for n in size]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    brain = (distance < 0.8)[None]
    tissue = (
        0.55 + 0.1 * torch.sin(12 * distance) + 0.05 * torch.rand(channels, *size, generator=generator(seed))
    )
    return tissue * brain, brain


@pytest.mark.parametrize("size", [(64, 60), (24, 26, 28)])
@pytest.mark.parametrize("kind", KINDS)
class TestEveryKind:
    def test_background_and_far_tissue_stay_as_they_were(self, kind, size):
        image, brain = phantom(*size)
        lesion = implant(image, brain, kind, generator(), radius=(4, 5))
        centre = torch.tensor(lesion.params["centre"])
        grid = torch.stack(torch.meshgrid(*map(torch.arange, size), indexing="ij"), -1)
        far = (grid - centre).float().norm(dim=-1)[None] > 3 * lesion.params["radius"]
        assert torch.equal(lesion.image[~brain], image[~brain])
        assert far.any()
        assert torch.equal(lesion.image[far], image[far])

    def test_lesion_changes_the_image_and_lies_in_the_brain(self, kind, size):
        image, brain = phantom(*size)
        lesion = implant(image, brain, kind, generator(1), radius=(4, 5))
        assert lesion.kind == kind
        assert lesion.mask.shape == brain.shape
        assert lesion.mask.any()
        assert not (lesion.mask & ~brain).any()
        change = (lesion.image - image).abs()
        assert change[lesion.mask].mean() > 0.03
        assert change[lesion.mask].mean() > 10 * change[~lesion.mask].mean()
        assert lesion.image.min() >= 0
        assert lesion.image.max() <= 1

    def test_same_seed_repeats_and_another_seed_differs(self, kind, size):
        image, brain = phantom(*size)
        before, state = image.clone(), torch.get_rng_state()
        a, b, c = (implant(image, brain, kind, generator(s)) for s in (3, 3, 4))
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.mask, b.mask)
        assert a.params == b.params
        assert not torch.equal(a.image, c.image)
        assert torch.equal(image, before)
        assert torch.equal(torch.get_rng_state(), state)

    def test_all_channels_get_the_same_lesion(self, kind, size):
        image, brain = phantom(*size)
        item = implant(image, brain, kind, generator(5))
        two = implant(torch.cat([image, image]), brain, kind, generator(5))
        assert torch.equal(two.mask, item.mask)
        for channel in two.image:
            torch.testing.assert_close(channel, item.image[0])


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 2**31), st.floats(4, 9), st.sampled_from(KINDS))
def test_area_is_that_of_the_radius_and_centre_is_deep_enough(seed, radius, kind):
    image, brain = phantom(96, 96)
    lesion = implant(image, brain, kind, generator(seed), radius=(radius, radius))
    i, j = lesion.params["centre"]
    assert lesion.mask[0, i, j]
    assert ((torch.tensor([i, j]) - 47.5).norm() + radius) < 0.8 * 47.5 + 1.5
    assert 0.35 < lesion.mask.sum() / (torch.pi * radius**2) < 1.9


def mean_change(kind, count=20):
    image, brain = phantom(64, 64)
    lesions = [implant(image, brain, kind, generator(s), radius=(6, 6)) for s in range(count)]
    return torch.stack([(y.image - image)[y.mask].mean() for y in lesions])


def test_dark_darkens_and_bright_brightens_by_a_varying_realistic_contrast():
    for sign, kind in ((-1, "dark"), (1, "bright")):
        change = sign * mean_change(kind)
        assert (change > 0.1).all()
        assert (change < 0.4).all()
        assert change.std() > 0.02


def test_texture_leaves_the_mean_but_raises_the_variance():
    image, brain = phantom(64, 64)
    assert mean_change("textured").abs().max() < 0.04
    lesion = implant(image, brain, "textured", generator(), radius=(8, 8))
    assert lesion.image[lesion.mask].std() > 1.5 * image[lesion.mask].std()


def test_mass_effect_pushes_tissue_outwards():
    _, brain = phantom(96, 96)
    ramp = torch.linspace(0.3, 0.9, 96).expand(1, 96, 96) * brain
    lesion = implant(ramp, brain, "mass_effect", generator(2), radius=(10, 10))
    i, j = lesion.params["centre"]
    step = round(0.95 * 10)
    # intensity grows with j: outwards of the centre lies now what was nearer to it
    assert lesion.image[0, i, j + step] < ramp[0, i, j + step]
    assert lesion.image[0, i, j - step] > ramp[0, i, j - step]
    assert lesion.image[0, i, j] < ramp[0, i, j] - 0.1
    assert 0 < CORE_RADIUS < 1


def test_default_radius_follows_the_shortest_side():
    image, brain = phantom(128, 160)
    radii = [implant(image, brain, "dark", generator(s)).params["radius"] for s in range(12)]
    assert min(radii) >= 0.04 * 128
    assert max(radii) <= 0.1 * 128
    assert max(radii) > 1.3 * min(radii)


def test_brain_smaller_than_the_lesion_still_gets_one():
    image, brain = torch.full((1, 32, 32), 0.5), torch.zeros(1, 32, 32, dtype=torch.bool)
    brain[0, 10:13, 10:13] = True
    lesion = implant(image, brain, "dark", generator(), radius=(8, 8))
    assert lesion.mask.any()
    assert torch.equal(lesion.image[~brain], image[~brain])


def test_brain_without_room_for_contrast_still_gets_a_lesion():
    brain = torch.ones(1, 32, 32, dtype=torch.bool)
    lesion = implant(torch.ones(1, 32, 32), brain, "bright", generator())
    assert lesion.mask.any()
    assert torch.equal(lesion.image, torch.ones(1, 32, 32))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"kind": "darc"}, ValueError, "dark, bright, textured, mass_effect, got 'darc'"),
        ({"brain": torch.zeros(1, 32, 32, dtype=torch.bool)}, ValueError, "got an empty one"),
        (
            {"brain": torch.ones(1, 32, 30, dtype=torch.bool)},
            ValueError,
            r"got \(1, 32, 32\) and \(1, 32, 30\)",
        ),
        ({"brain": torch.ones(1, 32, 32)}, TypeError, "boolean brain, got torch.float32 and torch.float32"),
        ({"image": torch.ones(1, 32, 32, dtype=torch.uint8)}, TypeError, "float image"),
        ({"image": torch.full((1, 32, 32), 1.5)}, ValueError, r"in \[0, 1\], got 1.5 to 1.5"),
        ({"image": torch.full((1, 32, 32), torch.nan)}, ValueError, r"in \[0, 1\], got nan"),
        ({"image": torch.ones(32, 32)}, ValueError, "expected image"),
        ({"radius": (5.0, 4.0)}, ValueError, r"got \(5.0, 4.0\)"),
        ({"radius": (0.0, 4.0)}, ValueError, "0 < low"),
    ],
)
def test_bad_input_is_named(change, error, match):
    good = {
        "image": torch.full((1, 32, 32), 0.5),
        "brain": torch.ones(1, 32, 32, dtype=torch.bool),
        "kind": "dark",
    }
    with pytest.raises(error, match=match):
        implant(**{**good, **change}, generator=generator())


def test_implant_all_is_deterministic_and_item_alone_equals_item_in_batch():
    image, brain = phantom(48, 48)
    slices = torch.stack([image, image * 0.9, image * 0.8])
    both, again, other = (implant_all(slices, brain[None], seed) for seed in (7, 7, 8))
    alone = implant_all(slices[:2], brain[None].expand(2, 1, 48, 48), 7)
    assert tuple(both) == KINDS
    for kind in KINDS:
        images, masks = both[kind]
        assert images.shape == masks.shape == (3, 1, 48, 48)
        assert torch.equal(images, again[kind][0])
        assert torch.equal(images[:2], alone[kind][0])
        assert torch.equal(masks[:2], alone[kind][1])
        assert not torch.equal(masks, other[kind][1])
        assert not torch.equal(masks[0], masks[1])
