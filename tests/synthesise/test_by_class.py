"""Lesions of a network that knows classes: inside the region alone, of the class, as the seed says."""

import numpy as np
import pytest
from scipy import ndimage

from diffad.data.volume import Volume, VolumeError
from diffad.inference.scan import read_source
from diffad.models.unet2d import UNet2D
from diffad.registry import MODELS
from diffad.synthesise.by_class import choose_guidance, synthesise_by_class
from diffad.synthesise.options import SynthesisOptions
from diffad.synthesise.regions import draw_region, read_region
from diffad.synthesise.result import mark_change
from tests.helpers.cohorts import AFFINE, brain, inside
from tests.synthesise.conftest import BACKBONE, make_pipe

OPTIONS = {"label": 1, "strength": 0.3, "inference_steps": 10}


@pytest.fixture
def source():
    return read_source(Volume(brain(0)[None], AFFINE))


@pytest.fixture
def region(source):
    mask = np.zeros(inside().shape, np.uint8)
    mask[8:13, 10:16, 4:7] = 1
    return read_region(source, mask)[0]


def paint(pipe, source, region, **changes):
    return synthesise_by_class(pipe, source, region, SynthesisOptions(**OPTIONS | changes))


def test_scan_stays_outside_the_region_and_changes_inside(pipe, source, region):
    result = paint(pipe, source, region)
    same = result.image == source.volume.data[0]
    assert same[~region.fill_mask].all()
    assert same[region.fill_mask].mean() < 0.1
    assert not (result.label & ~region.fill_mask).any()
    assert result.label.any()


def test_seed_and_class_decide(pipe, source, region):
    first, again = (paint(pipe, source, region).image for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, paint(pipe, source, region, seed=1).image)
    assert not np.array_equal(first, paint(pipe, source, region, scale=0.0).image)


def test_size_of_batches_makes_no_difference(pipe, source, region):
    one, all_ = (paint(pipe, source, region, batch_size=size).image for size in (1, 8))
    assert np.allclose(one, all_, rtol=1e-4)


def test_no_strength_leaves_the_scan(pipe, source, region):
    result = paint(pipe, source, region, strength=0.0)
    assert np.array_equal(result.image, source.volume.data[0])
    assert not result.label.any()
    assert result.info["nfe"] == 0


def test_network_without_labels_takes_the_classifier(pipe):
    network = UNet2D(channels=(8, 16), layers=1, attention=False)
    options = SynthesisOptions(label=1)
    with pytest.raises(
        ValueError, match=r"expected a model that knows classes, .* found a network without labels"
    ):
        choose_guidance(make_pipe(network), options)
    classifier = MODELS.build("classifier", channels=(8, 16))
    guidance = choose_guidance(make_pipe(network, classifier=classifier), options)
    assert guidance == {"name": "classifier", "scale": 3.0, "target": 1}
    assert choose_guidance(pipe, options)["name"] == "classifier_free"


def test_classifier_paints_too(source, region):
    network = UNet2D(channels=(8, 16), layers=1, attention=False)
    pipe = make_pipe(network, classifier=MODELS.build("classifier", channels=(8, 16)))
    steered, free = (paint(pipe, source, region, scale=scale).image for scale in (50.0, 0.0))
    assert not np.array_equal(steered, free)


@pytest.mark.parametrize("label", [2, 7])
def test_class_that_is_unknown_is_refused(pipe, label):
    with pytest.raises(ValueError, match=rf"label: expected a class in 1\.\.1 of the model, got {label}"):
        choose_guidance(pipe, SynthesisOptions(label=label))


def test_model_of_several_sequences_is_refused():
    network = MODELS.build("labelled", backbone=BACKBONE, in_channels=2, out_channels=2)
    with pytest.raises(ValueError, match="expected a model of one sequence, found one of 2"):
        choose_guidance(make_pipe(network), SynthesisOptions(label=1))


def test_mask_outside_the_brain_is_refused(source):
    mask = np.zeros(inside().shape, np.uint8)
    mask[:2, :2, :2] = 1
    with pytest.raises(VolumeError, match="expected a region in its brain, found 100% outside"):
        read_region(source, mask)


def test_mask_that_leaves_the_brain_is_cut_with_a_note(source):
    mask = np.zeros(inside().shape, np.uint8)
    mask[8:14, 10:16, :7] = 1
    region, notes = read_region(source, mask)
    assert not (region.fill_mask & ~source.brain[0, 0].numpy()).any()
    assert "voxels of the region lie outside the brain, and stay" in notes[-1]


def test_region_that_is_drawn_lies_in_the_brain_and_follows_the_seed():
    scan = Volume(np.kron(brain(0), np.ones((2, 2, 2), np.float32))[None], np.diag([2.0, 2.0, 2.0, 1.0]))
    source = read_source(scan)
    first, again, other = (draw_region(source, 1.0, seed).fill_mask for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert 0.5 < first.sum() * 0.008 < 1.5
    assert ndimage.label(first)[1] == 1
    assert not (first & ~source.brain[0, 0].numpy()).any()


def test_change_is_marked_where_it_is_seen():
    change, region = np.zeros((4, 4, 2)), np.ones((4, 4, 2), bool)
    assert not mark_change(change, region, 0.05).any()
    change[1, 1, 0], change[2, 2, 0], change[3, 3, 1] = 0.04, -0.06, 0.5
    region[3, 3, 1] = False
    assert np.argwhere(mark_change(change, region, 0.05)).tolist() == [[2, 2, 0]]
    attention = np.ones((4, 4, 2))
    attention[2, 2, 0] = 0.2
    assert not mark_change(change, region, 0.05, attention).any()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "label: expected the number of a class, or a prompt, and not both"),
        ({"label": 1, "prompt": "a crack", "word": "crack"}, "and not both"),
        ({"prompt": "a crack"}, "word: expected the word of the prompt"),
        ({"label": 1, "word": "crack"}, "word: expected"),
        ({"label": 0}, "label: expected a class of at least 1, got 0; 0 is healthy"),
        ({"label": 1, "strength": 1.5}, "strength: expected 0 to 1"),
        ({"label": 1, "strength": float("nan")}, "strength: expected 0 to 1"),
        ({"label": 1, "scale": -1.0}, "scale: expected a finite number"),
        ({"label": 1, "inference_steps": 0}, "inference_steps: expected at least 1"),
        ({"label": 1, "inner_steps": -1}, "inner_steps: expected at least 0"),
        ({"label": 1, "volume": 0.0}, "volume: expected more than 0"),
        ({"label": 1, "visible": 1.0}, "visible: expected a share"),
    ],
)
def test_options_out_of_range_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SynthesisOptions(**values)
