"""The comparison with a twin and with references: what is near, what is asked, what is refused."""

import pytest
import torch

from diffad.capabilities import attach_networks, count_evaluations, count_references
from diffad.models.references import References
from diffad.registry import MODELS, SCORES
from diffad.score.base import begin_run
from diffad.score.triplet import measure_nearest
from diffad.types import Reconstruction
from tests.contracts.test_score import Stages
from tests.helpers.toys import linear_schedule


def draw(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_distance_is_one_less_the_best_cosine_near_a_position():
    y, other = draw(1, 4, 5, 6), draw(1, 4, 5, 6, seed=1)
    cosine = torch.nn.functional.cosine_similarity
    assert torch.allclose(measure_nearest(y, [other], 0)[0, 0], 1 - cosine(y, other)[0], atol=1e-6)
    near = [1 - cosine(y[0, :, 2, 3], other[0, :, i, j], dim=0) for i in (1, 2, 3) for j in (2, 3, 4)]
    assert torch.isclose(measure_nearest(y, [other], 1)[0, 0, 2, 3], torch.stack(near).min(), atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 6, 5), (2, 3, 4, 5, 6)])
def test_what_moved_by_a_position_is_found_within_reach(shape):
    y = draw(*shape)
    moved = y.roll(1, dims=2)
    inner = (slice(None), slice(None), *(slice(1, -1) for _ in shape[2:]))
    assert not measure_nearest(y, [moved], 1)[inner].any()
    assert measure_nearest(y, [moved], 0)[inner].min() > 0


def test_one_set_of_references_serves_every_item():
    y, others = draw(3, 4, 5, 6), draw(2, 4, 5, 6, seed=1)
    together = measure_nearest(y, [*others[:, None]], 1)
    for i in range(3):
        assert torch.equal(measure_nearest(y[i : i + 1], [*others[:, None]], 1)[0], together[i])


def test_length_of_features_does_not_matter():
    y, other = draw(1, 4, 5, 6), draw(1, 4, 5, 6, seed=1)
    torch.testing.assert_close(measure_nearest(7 * y, [other], 0), measure_nearest(y, [0.1 * other], 0))


def test_references_lie_about_the_middle_of_other_grids():
    pool = References.of(torch.ones(2, 1, 6, 8))
    wide = pool.lay_over(torch.zeros(1, 1, 9, 8))
    assert wide.shape == (2, 1, 9, 8)
    assert wide[0, 0, :, 0].tolist() == [0, 1, 1, 1, 1, 1, 1, 0, 0]
    assert pool.lay_over(torch.zeros(1, 1, 4, 3)).shape == (2, 1, 4, 3)
    images = torch.arange(48.0).reshape(1, 1, 6, 8)
    assert torch.equal(References.of(images).lay_over(torch.zeros(1, 1, 4, 8)), images[:, :, 1:5])


def test_references_answer_with_the_nearest_image():
    images = torch.rand(3, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    pool = References.of(images)
    assert torch.equal(pool(images[[2, 0]] + 0.01), images[[2, 0]])


@pytest.mark.parametrize("options", [{"count": 0}, {"size": (4,)}, {"size": (4, 0)}])
def test_references_of_nothing_are_refused(options):
    with pytest.raises(ValueError, match="References expected images of 2 or 3 sides, got"):
        MODELS.build("references", **options)


def test_how_many_references_are_wanted_is_known_inside_composites():
    inner = {"name": "triplet", "pool": 7}
    assert count_references(SCORES.build("product", scores=[{"name": "l1"}, inner])) == 7
    assert count_references(SCORES.build("triplet", others=0.0)) == 0
    assert count_references(SCORES.build("triplet", references=Stages())) == 0
    assert count_references(SCORES.build("l1")) == 0


@pytest.mark.parametrize("name", ["network", "references"])
def test_what_is_missing_is_named_before_the_sampler_runs(name):
    given = {"network": Stages(), "references": References.of(torch.zeros(1, 1, 4, 4))}
    del given[name]
    score = SCORES.build("triplet")
    score.attach_networks(given)
    with pytest.raises(ValueError, match=f"score 'triplet' expected {name}, got none: give option {name}="):
        begin_run(score, torch.zeros(1, 1, 4, 4), linear_schedule())


def test_pipeline_hands_its_networks_over():
    score, x = SCORES.build("triplet"), torch.rand(1, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    score.attach_networks({"network": Stages(), "references": References.of(torch.zeros(1, 1, 8, 8))})
    assert score(x, Reconstruction(x.flip(2), nfe=1)).max() > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"twin": -1.0}, "expected weights of at least 0, one of them above, got -1.0 and 1.0"),
        ({"twin": 0.0, "others": 0.0}, "expected weights of at least 0, one of them above"),
        ({"pool": 0}, "expected pool and level of 1 or more, reach of 0, got 0, 50, 1"),
        ({"reach": -1}, "reach of 0, got 30, 50, -1"),
        ({"taps": []}, "expected at least one tap or none for all"),
    ],
)
def test_options_out_of_range_raise(options, message):
    with pytest.raises(ValueError, match=message):
        SCORES.build("triplet", **options)


def test_images_of_other_channels_are_refused():
    pool = References.of(torch.zeros(1, 1, 4, 4))
    with pytest.raises(
        ValueError, match=r"References expected \(B, C, I, J\) with C = 1, got \(1, 2, 4, 4\)"
    ):
        pool.lay_over(torch.zeros(1, 2, 4, 4))


@pytest.mark.parametrize(
    ("options", "expected"), [({}, 1 + 1 + 3), ({"twin": 0.0}, 1 + 3), ({"others": 0.0}, 1 + 1)]
)
def test_what_is_asked_of_the_network_is_counted(options, expected):
    """For one image; slices of a batch share the references."""
    network, seen = Stages(), []
    network.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    score = SCORES.build("mean", scores=[{"name": "l1"}, {"name": "triplet", **options}])
    attach_networks(score, {"network": network, "references": References.of(torch.rand(3, 1, 8, 8))})
    score(torch.rand(1, 1, 8, 8), Reconstruction(torch.rand(1, 1, 8, 8), nfe=1))
    assert count_evaluations(score) == sum(seen) == expected
    assert count_evaluations(SCORES.build("l1")) == 0
