"""One box noised at a time, the rest as context; or a window that slides."""

from dataclasses import dataclass, field

import pytest
import torch

from diffad.denoise import NetworkDenoiser, bind
from diffad.registry import GUIDANCES, SAMPLERS, UnknownNameError
from diffad.samplers.boxes import crop_box, list_boxes, mark_boxes
from diffad.samplers.chain import Chain
from diffad.samplers.examples import crop_example
from diffad.samplers.inversion import Inversion
from diffad.samplers.oneshot import OneShot
from diffad.samplers.patched import Patched
from diffad.types import Example, Reconstruction, StepRecord
from tests.helpers.toys import (
    CountingNoise,
    GaussianDenoiser,
    IdentityDenoiser,
    KnownNetwork,
    linear_schedule,
    recorder,
    white_noise,
)

X = {
    "2-D": torch.rand(3, 2, 9, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1,
    "3-D": torch.rand(2, 1, 7, 6, 5, generator=torch.Generator().manual_seed(1)) * 2 - 1,
}
CHAIN = {"name": "chain", "level": 30, "steps": 3, "step": "ddpm"}
INNERS = {
    "oneshot": {"name": "oneshot", "levels": [20, 300]},
    "chain": CHAIN,
    "ensemble": {"name": "ensemble", "members": 2, "inner": CHAIN},
}


@pytest.fixture(params=X.values(), ids=X)
def x(request):
    return request.param


@pytest.fixture(params=INNERS.values(), ids=INNERS)
def inner(request):
    return request.param


def in_ensemble(sampler):
    return {"name": "ensemble", "members": 2, "samplers": [{"name": "oneshot"}, sampler]}


class Labelled(GaussianDenoiser):
    """A denoiser of two classes, told apart by what they add."""

    null = 2

    def __call__(self, x_t, t, y=None):
        adds = torch.tensor([0.2, -0.2, 0.0])[torch.full((len(x_t),), 2) if y is None else y]
        return super().__call__(x_t, t) + adds.reshape(-1, *[1] * (x_t.ndim - 1))


def judge(x_t, labels):
    """Logits of a classifier that finds bright images diseased."""
    total = x_t.flatten(1).sum(1)
    return torch.stack([-total, total], 1)


@pytest.fixture(
    params=[{"name": "classifier", "classifier": judge, "scale": 2.0}, {"name": "classifier_free"}],
    ids=["classifier", "classifier_free"],
)
def guidance(request):
    return GUIDANCES.build(**request.param)


@dataclass
class Blur:
    """Answers with neighbours mixed, so that the context shows; remembers what it was shown."""

    schedule: object = field(default_factory=linear_schedule)
    shown: list = field(default_factory=list)

    def __call__(self, x_t, t, **cond):
        self.shown.append(x_t.clone())
        return sum(x_t.roll(s, axis) for axis in range(2, x_t.ndim) for s in (-1, 0, 1)) / 7


def run(x, denoiser=None, generators=None, noise=white_noise, seeds=None, **options):
    seeds = range(len(x)) if seeds is None else seeds
    call = {key: options.pop(key) for key in ("mask", "on_step") if key in options}
    rng = [torch.Generator().manual_seed(s) for s in seeds]
    return Patched(**options)(x, Blur() if denoiser is None else denoiser, noise, generator=rng, **call)


def blob(x, *corners):
    """A mask with one voxel for each item at its corner of the image."""
    mask = torch.zeros_like(x[:, :1])
    for item, corner in zip(mask, corners, strict=True):
        if corner is not None:
            item[(0, *corner)] = 1
    return mask


# --- context ---


@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_batched_boxes_equal_boxes_one_after_the_other(x, inner, overlap):
    options = {"box": 4, "overlap": overlap, "inner": inner}
    together = run(x, **options)
    for at_once in (1, 3):
        alone = run(x, at_once=at_once, **options)
        torch.testing.assert_close(alone.image, together.image, rtol=0, atol=1e-5)
        assert alone.nfe == together.nfe


def test_one_look_equals_the_loop_over_boxes_by_hand(x):
    z, schedule, blur = white_noise(x, generator=_seeded(range(len(x)))), linear_schedule(), Blur()
    expected = torch.zeros_like(x)
    for mark in mark_boxes(list_boxes(x.shape[2:], [4] * (x.ndim - 2)), x.shape[2:]):
        shown = torch.where(mark, schedule.add_noise(x, z, 500), x)
        expected = torch.where(mark, blur(shown, torch.tensor(500)), expected)
    torch.testing.assert_close(run(x, box=4).image, expected, rtol=0, atol=1e-6)


def _seeded(seeds):
    return [torch.Generator().manual_seed(s) for s in seeds]


def test_a_chain_sees_clean_surroundings_at_every_level(x):
    blur = Blur()
    run(x, blur, box=4, inner=CHAIN)
    marks = mark_boxes(list_boxes(x.shape[2:], [4] * (x.ndim - 2)), x.shape[2:])
    assert len(blur.shown) == 3
    for shown in blur.shown:
        for mark, states in zip(marks, shown.split(len(x)), strict=True):
            assert torch.equal(torch.where(mark, x, states), x)
            assert not torch.equal(states, x)


def test_a_box_as_large_as_the_image_is_the_inner_sampler_alone(x, inner):
    ours = run(x, box=list(x.shape[2:]), inner=inner)
    bare = SAMPLERS.build(**inner)(x, Blur(), white_noise, generator=_seeded(range(len(x))))
    torch.testing.assert_close(ours.image, bare.image)
    assert ours.nfe == bare.nfe


@pytest.mark.parametrize("context", [True, False])
def test_noise_is_drawn_once_for_all_boxes(x, context):
    noise = CountingNoise()
    run(x, noise=noise, box=3, inner={"name": "oneshot", "levels": [5, 9]}, context=context)
    assert noise.levels == [5, 9]


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_all_boxes_look_through_one_field(x, context, overlap):
    """A denoiser that gives the noise away shows the seams of the field, if there are any."""
    twin = run(
        x, IdentityDenoiser(), box=3, overlap=overlap, context=context, inner=OneShot(100), blend="gaussian"
    )
    alpha, sigma = linear_schedule().amplitudes(100, x)
    z = white_noise(x, generator=_seeded(range(len(x))))
    torch.testing.assert_close(twin.image, x + sigma / alpha * z)


@pytest.mark.parametrize(
    "inner",
    [
        {"name": "oneshot", "levels": [40], "repeats": 2},
        {"name": "ensemble", "members": 2, "inner": {"name": "oneshot", "levels": 40}},
    ],
    ids=["looks", "members"],
)
def test_looks_and_members_inside_draw_noise_of_their_own(x, inner):
    twin = run(x, IdentityDenoiser(), box=3, inner=inner)
    bare = SAMPLERS.build(**inner)(x, IdentityDenoiser(), white_noise, generator=_seeded(range(len(x))))
    torch.testing.assert_close(twin.image, bare.image)
    torch.testing.assert_close(twin.std, bare.std)
    assert float(twin.std.min()) > 0


def test_generators_move_on_as_for_one_image(x):
    one, many = torch.Generator().manual_seed(0), torch.Generator().manual_seed(0)
    Patched(box=4, at_once=1)(x, Blur(), white_noise, generator=many)
    OneShot(500)(x, Blur(), white_noise, generator=one)
    assert torch.equal(one.get_state(), many.get_state())


@pytest.mark.parametrize("count", [2, 4])
def test_crops_are_cut_one_from_each_item_or_refused(count):
    x = X["2-D"]
    with pytest.raises(ValueError, match="zip"):
        crop_example(Example(x, x, x), list_boxes((9, 8), (4, 4))[:count])


# --- crops ---


def test_a_sliding_window_sees_crops_alone_and_whole(x):
    blur = Blur()
    twin = run(x, blur, box=4, context=False)
    assert {tuple(shown.shape[2:]) for shown in blur.shown} == {(4,) * (x.ndim - 2)}
    assert twin.nfe == len(list_boxes(x.shape[2:], [4] * (x.ndim - 2)))


@pytest.mark.parametrize("blend", ["mean", "gaussian"])
@pytest.mark.parametrize("overlap", [0.0, 0.6])
def test_a_pointwise_denoiser_gives_the_same_through_any_window(x, blend, overlap, inner):
    options = {"box": 3, "overlap": overlap, "inner": inner, "blend": blend}
    bare = SAMPLERS.build(**inner)(x, GaussianDenoiser(), white_noise, generator=_seeded(range(len(x))))
    for context in (True, False):
        twin = run(x, GaussianDenoiser(), context=context, **options)
        torch.testing.assert_close(twin.image, bare.image)


def test_sliding_window_agrees_with_monai():
    from monai.inferers import sliding_window_inference

    x, blur = X["3-D"], Blur()
    silence = lambda like, t=None, *, generator: torch.zeros_like(like)  # noqa: E731
    ours = run(x, blur, noise=silence, box=4, overlap=0.5, context=False, blend="gaussian", inner=OneShot(1))
    alpha = blur.schedule.amplitudes(1, x)[0]
    theirs = sliding_window_inference(
        alpha * x, 4, 2, lambda y: Blur()(y, None), overlap=0.5, mode="gaussian"
    )
    torch.testing.assert_close(ours.image, theirs, rtol=0, atol=1e-5)


# --- boxes without brain ---


@pytest.mark.parametrize("context", [True, False])
@pytest.mark.parametrize("overlap", [0.0, 0.5])
def test_skipping_empty_boxes_changes_nothing_inside_the_mask(x, context, overlap):
    mask = torch.zeros_like(x[:, :1])
    for k, item in enumerate(mask):
        item[(0, *(slice(0, 2 + k) for _ in x.shape[2:]))] = 1
    options = {"box": 3, "overlap": overlap, "context": context, "mask": mask}
    skipped, full = run(x, **options), run(x, skip_empty=False, **options)
    assert torch.equal(skipped.image * mask, full.image * mask)
    assert skipped.nfe < full.nfe


def test_empty_boxes_are_not_evaluated_and_stay_as_they_are():
    x, blur = X["2-D"], Blur()
    mask = blob(x, (0, 0), (0, 7), None)
    twin = run(x, blur, box=4, mask=mask)
    assert [len(shown) for shown in blur.shown] == [2 * 3]
    assert twin.nfe == 2
    changed = (twin.image != x).any(1)
    assert changed[0, :4, :4].all()
    assert changed[0].sum() == changed[1].sum() == 16
    assert torch.equal(twin.image[2], x[2])


def test_items_with_other_masks_do_not_change_an_item():
    x = X["2-D"]
    mask = blob(x, (0, 0), (8, 7), (5, 5))
    together = run(x, box=4, overlap=0.5, mask=mask)
    for i in range(3):
        alone = run(x[i : i + 1], seeds=[i], box=4, overlap=0.5, mask=mask[i : i + 1])
        assert torch.equal(alone.image[0], together.image[i])
        assert alone.nfe < together.nfe


def test_images_without_brain_come_back_as_they_are_with_a_record(x):
    records, on_step = recorder()
    blank = torch.zeros_like(x[:, :1])
    twin = run(x, box=4, mask=blank, on_step=on_step)
    assert torch.equal(twin.image, x)
    assert twin.nfe == len(records) == 1
    with pytest.raises(ValueError, match="expected levels up to 1000 of the denoiser, got 2000"):
        run(x, box=4, mask=blank, inner=OneShot(2000))


# --- records ---


@pytest.mark.parametrize("at_once", [None, 1, 2])
@pytest.mark.parametrize("context", [True, False])
def test_records_are_whole_images_that_join_up(x, at_once, context):
    records, on_step = recorder()
    options = {"box": 3, "inner": CHAIN, "context": context, "at_once": at_once, "blend": "gaussian"}
    twin = run(x, GaussianDenoiser(), on_step=on_step, **options)
    bare, on_bare = recorder()
    rng = _seeded(range(len(x)))
    SAMPLERS.build(**CHAIN)(x, GaussianDenoiser(), white_noise, generator=rng, on_step=on_bare)
    assert [(r.t, r.s) for r in records] == [(30, 20), (20, 10), (10, 0)]
    for ours, theirs in zip(records, bare, strict=True):
        for state in ("x_t", "x_hat", "x_s"):
            torch.testing.assert_close(getattr(ours, state), getattr(theirs, state))
    torch.testing.assert_close(records[-1].x_s, twin.image)


def test_spread_of_looks_is_stitched(x):
    inner = OneShot(100, repeats=3)
    bare = inner(x, GaussianDenoiser(), white_noise, generator=_seeded(range(len(x))))
    twin = run(x, GaussianDenoiser(), box=3, inner=inner)
    torch.testing.assert_close(twin.std, bare.std)
    assert run(x, box=3).std is None


# --- denoisers ---


class Conditioned:
    """A denoiser that adds what it was told, and clamps unless told otherwise."""

    schedule = linear_schedule()

    def __init__(self, clip=True):
        self.clip = clip

    def __call__(self, x_t, t, *, told):
        assert len(told) == len(x_t)
        y = x_t * 0 + told.reshape(-1, *[1] * (x_t.ndim - 1))
        return y.clamp(-1, 1) if self.clip else y

    def unclipped(self):
        return Conditioned(clip=False)


@pytest.mark.parametrize("context", [True, False])
def test_conditions_reach_the_boxes_of_their_own_item(x, context, inner):
    told = torch.linspace(-0.5, 0.5, len(x))
    bound = bind(Conditioned(), {"told": told})
    twin = run(x, bound, box=3, context=context, inner={"name": "oneshot", "levels": [10, 20]}).image
    expected = told.reshape(-1, *[1] * (x.ndim - 1)).expand_as(x)
    torch.testing.assert_close(twin, expected)


@pytest.mark.parametrize("context", [True, False])
def test_an_inner_sampler_can_take_the_clamp_off(x, context):
    class Free:
        def __call__(self, x, denoiser, *args, **options):
            assert denoiser.schedule is Conditioned.schedule
            return OneShot(10)(x, denoiser.without_clamp(), *args, **options)

    bound = bind(Conditioned(), {"told": torch.full((len(x),), 5.0)})
    twin = run(x, bound, box=3, context=context, inner=Free()).image
    assert torch.equal(twin, torch.full_like(x, 5))


def test_a_network_gets_boxes_of_all_items_in_one_call(x):
    network = KnownNetwork(GaussianDenoiser(), "sample")
    run(x, NetworkDenoiser(network, linear_schedule(), "sample"), box=4)
    boxes = len(list_boxes(x.shape[2:], [4] * (x.ndim - 2)))
    assert [label.tolist() for label in network.labels] == [[499] * boxes * len(x)]


def test_inversion_in_one_box_encodes_without_the_guidance(guidance, x):
    """A box as large as the image is the image: patches then change nothing."""
    denoiser = guidance(Labelled())
    inner = Inversion(60, 3)
    plain = inner(x, denoiser, white_noise, generator=_seeded(range(len(x)))).image
    twin = run(x, denoiser, box=list(x.shape[2:]), inner=inner).image
    assert not torch.equal(plain, inner(x, Labelled(), white_noise, generator=_seeded(range(len(x)))).image)
    torch.testing.assert_close(twin, plain)


@pytest.mark.parametrize("name", ["resampled", "fusion", "harmonised"])
@pytest.mark.parametrize("depth", [1, 2])
def test_inner_sampler_that_picks_a_region_is_refused_inside_ensembles(name, depth):
    kind, inner = SAMPLERS[name].__name__, {"name": name}
    for _ in range(depth):
        inner = in_ensemble(inner)
    with pytest.raises(ValueError, match=f"renews all of a box, got {kind}, which picks a region"):
        Patched(inner=inner)


@pytest.mark.parametrize("at_once", [None, 1])
def test_maps_of_an_inner_sampler_are_stitched(x, at_once):
    """What an inner sampler finds in its records and beside its twin becomes a whole image, as states do."""

    class Mapping:
        def __call__(self, x, denoiser, noise, *, generator, mask=None, on_step=None):
            if on_step is not None:
                on_step(StepRecord(5, 2, x, x, x, map=x[:, :1] + 1))
                on_step(StepRecord(2, 0, x, x, x))
            return Reconstruction(x, nfe=1, map=x[:, :1] + 2, reference=x + 3)

    for context in (True, False):
        records, on_step = recorder()
        found = run(x, box=4, inner=Mapping(), context=context, at_once=at_once, on_step=on_step)
        torch.testing.assert_close(records[0].map, x[:, :1] + 1)
        assert records[1].map is None
        torch.testing.assert_close(found.map, x[:, :1] + 2)
        torch.testing.assert_close(found.reference, x + 3)


# --- training ---


def example(x, mask=None, t=100, **options):
    mask = torch.ones_like(x[:, :1]) if mask is None else mask
    levels = torch.full((len(x),), t)
    rng = _seeded(range(len(x)))
    return Patched(**options).example(x, mask, levels, white_noise, linear_schedule(), rng)


@pytest.mark.parametrize("random", [False, True])
def test_training_noises_one_box_and_counts_the_loss_there(x, random):
    made = example(x, box=4, random=random)
    noised = linear_schedule().add_noise(made.x, made.z, torch.full((len(x),), 100))
    assert made.region.shape == (len(x), 1, *x.shape[2:])
    assert made.region.dtype == torch.bool
    assert torch.equal(made.x, x)
    assert torch.equal(made.x_t, torch.where(made.region, noised, x))
    assert made.region.flatten(1).any(1).all()
    if not random:
        cells = mark_boxes(list_boxes(x.shape[2:], [4] * (x.ndim - 2)), x.shape[2:])
        assert all(any(torch.equal(region, cell) for cell in cells) for region in made.region)


def test_training_visits_every_cell(x):
    many = x[:1].expand(200, *x.shape[1:])
    regions = example(many, box=4).region
    cells = mark_boxes(list_boxes(x.shape[2:], [4] * (x.ndim - 2)), x.shape[2:])
    shares = torch.stack([(regions == cell).flatten(1).all(1).float().mean() for cell in cells])
    assert shares.sum() == pytest.approx(1)
    assert (shares - 1 / len(cells)).abs().max() < 0.12


@pytest.mark.parametrize("context", [True, False])
def test_training_items_do_not_depend_on_their_batch(x, context):
    together, mask = example(x, box=4, context=context), torch.ones_like(x[:1, :1])
    levels = torch.full((1,), 100)
    alone = Patched(4, context=context).example(
        x[1:2], mask, levels, white_noise, linear_schedule(), _seeded([1])
    )
    assert torch.equal(alone.x_t[0], together.x_t[1])


def test_training_on_crops_shows_brain_at_the_box_size(x):
    corner = [n - 1 for n in x.shape[2:]]
    mask = blob(x, *[corner] * len(x))
    box = [3] * (x.ndim - 3) + [x.shape[-1]]
    made = example(x, mask, box=box, context=False)
    assert made.region is None
    assert made.x.shape == made.z.shape == made.x_t.shape == (*x.shape[:2], *box)
    assert torch.equal(made.x, x[..., -3:, :] if x.ndim == 4 else x[..., -3:, -3:, :])
    z = white_noise(x, generator=_moved_on(x, mask, box))
    assert torch.equal(
        made.z, crop_box(z, tuple(slice(n - b, n) for n, b in zip(x.shape[2:], box, strict=True)))
    )


def _moved_on(x, mask, box):
    """Generators after the draw of the box: the noise is that of the whole image, cut."""
    rng = _seeded(range(len(x)))
    for g in rng:
        torch.randint(1, (), generator=g)
    return rng


def test_an_inner_sampler_trains_its_own_way_inside_the_box(x):
    mask = torch.ones_like(x[:, :1])
    made = example(x, mask, box=4, inner={"name": "direct", "sigma": 0.5})
    torch.testing.assert_close(made.x_t, torch.where(made.region, x + 0.5 * made.z, x))


# --- bad input ---


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"box": 0}, ValueError, "box must be at least 1, got 0"),
        ({"box": [4, 0]}, ValueError, "box must be at least 1, got 0"),
        ({"box": 2.5}, TypeError, r"expected box as an integer or a sequence of integers, got 2\.5"),
        ({"box": "4"}, TypeError, "expected box as an integer or a sequence of integers, got '4'"),
        ({"overlap": 1.0}, ValueError, r"overlap must be in \[0, 1\), got 1\.0"),
        ({"overlap": -0.1}, ValueError, r"overlap must be in \[0, 1\), got -0\.1"),
        ({"overlap": float("nan")}, ValueError, r"overlap must be in \[0, 1\), got nan"),
        ({"blend": "median"}, ValueError, "blend must be one of .*, got 'median'"),
        ({"placement": "hexagon"}, ValueError, "placement must be one of .*, got 'hexagon'"),
        ({"placement": "spread", "overlap": 0.5}, ValueError, "overlap follows from placement 'spread'"),
        ({"random": True, "context": False}, ValueError, "random belongs to boxes in context"),
        ({"at_once": 0}, ValueError, "at_once must be at least 1, got 0"),
        ({"inner": {"levels": 5}}, ValueError, "expected an inner sampler with a name, got {'levels': 5}"),
        ({"inner": {"name": "oneshoot"}}, UnknownNameError, "did you mean 'oneshot'"),
        ({"inner": {"name": "oneshot", "levels": 0}}, ValueError, "levels must be at least 1, got 0"),
    ],
)
def test_wrong_options_raise(options, error, message):
    with pytest.raises(error, match=message):
        Patched(**options)


def test_boxes_larger_than_the_image_raise_at_test_and_in_training(x):
    axis = x.ndim - 3
    with pytest.raises(ValueError, match=f"along spatial axis {axis} .*got {x.shape[-1] + 1}"):
        run(x, box=[1] * axis + [x.shape[-1] + 1])
    with pytest.raises(ValueError, match=f"along spatial axis {axis} .*got {x.shape[-1] + 1}"):
        example(x, box=[1] * axis + [x.shape[-1] + 1])


def test_flat_volumes_need_a_flat_box():
    flat = torch.zeros(1, 1, 8, 8, 1)
    with pytest.raises(ValueError, match="at most 1 voxels along spatial axis 2"):
        run(flat, box=4)
    assert run(flat, box=[4, 4, 1]).image.shape == flat.shape


def test_levels_beyond_the_schedule_raise_through_the_inner_sampler(x):
    with pytest.raises(ValueError, match="expected levels up to 1000 of the denoiser, got 1001"):
        run(x, box=4, inner=Chain(1001))


def test_a_batch_of_no_images_raises(x):
    with pytest.raises(ValueError, match="expected x with items and voxels"):
        run(x[:0], box=4)


def test_a_mask_of_another_shape_raises(x):
    with pytest.raises(ValueError, match=r"expected mask of shape \(.*\), got"):
        run(x, box=4, mask=torch.ones_like(x[:, :1, 1:]))
