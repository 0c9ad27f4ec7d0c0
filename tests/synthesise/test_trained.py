"""A tiny Stable Diffusion that was trained on discs: guided, it paints what the word says, where it shall."""

import numpy as np
import pytest
import torch

from diffad.synthesise.guided import synthesise_images
from diffad.synthesise.options import SynthesisOptions
from diffad.types import generator_for
from tests.helpers.shapes import KINDS, SIDE, draw_discs, train_stable_model

pytestmark = pytest.mark.slow
COUNT = 24
"""Discs, each with a seed of its own; none of those that the number of updates was chosen on."""
MARGIN = 0.01
"""Least change beyond that of plain image-to-image, as a share of the range of the images."""
MASK = torch.zeros(COUNT, 1, SIDE, SIDE)
MASK[..., 10:17, 15:22] = 1


@pytest.fixture(scope="module")
def discs(tmp_path_factory):
    pytest.importorskip("transformers")
    return train_stable_model(tmp_path_factory.mktemp("discs"))


def measure_change(model, word, inner_steps):
    """Return the mean change of the region of each healthy disc, (COUNT,), the way that the word asks for."""
    images, _ = draw_discs(COUNT, np.random.default_rng(11), kinds=(None,))
    text = {"prompt": f"a disc with a {word}", "word": word, "scale": 3.0}
    options = SynthesisOptions(**text, strength=0.5, inference_steps=20, inner_steps=inner_steps)
    made = synthesise_images(model, images, MASK, options, [generator_for(90, seed) for seed in range(COUNT)])
    change = (made.images - made.round_trip).mean(1, keepdim=True) * MASK
    return np.sign(KINDS[word]) * (change.sum((1, 2, 3)) / MASK.sum((1, 2, 3))).numpy()


def test_guided_paints_more_than_plain_image_to_image(discs):
    """Over all seeds, and two words of which one asks for brighter: a shift of all alone cancels."""
    plain, guided = (np.mean([measure_change(discs, word, n) for word in KINDS]) for n in (0, 10))
    print(f"plain {plain:.4f}, guided {guided:.4f}")
    assert guided > plain + MARGIN
