"""A detector that was taught with synthetic lesions finds fresh ones in slices that it never saw."""

import pytest
import torch
from sklearn.metrics import average_precision_score

from diffad.config import load
from diffad.data.lesions import implant_all
from diffad.data.slice_folder import load_slices
from diffad.pipeline import AnomalyPipeline
from diffad.training.batch import make_batch, sample_pool
from diffad.training.parts import build_data
from diffad.training.run import train
from diffad.types import generator_for

TOY = ["data={name: toy, size: 48, count: 200}", "space.size=48", "augment.rotate=0", "augment.shift=0"]


def draw_fresh_lesions(config, seed):
    """Lay lesions into held-out slices, with numbers that training never drew."""
    data, pool = build_data(config, "val"), sample_pool(build_data(config, "train"), config.space)
    items = [data[i] for i in range(min(60, len(data)))]
    images, masks = (torch.stack([getattr(item, name) for item in items]) for name in ("image", "mask"))
    generators = [generator_for(seed, 2, i) for i in range(len(items))]
    label, places = torch.zeros(len(items)).long(), torch.full((len(items), 2), -1)
    return make_batch(images, masks, label, places, config, generators, pool)


def measure(model, scans, brain, damage):
    """Return the average precision inside the brains, and that of a map that says nothing."""
    pipe = AnomalyPipeline.from_pretrained(model)
    pipe.set_progress_bar_config(disable=True)
    inside = brain > 0
    anomaly, lesions = pipe(scans, brain, seed=0).anomaly_map[inside], damage[inside] > 0
    return average_precision_score(lesions.numpy(), anomaly.numpy()), float(lesions.float().mean())


@pytest.mark.slow
def test_synthetic_unet_finds_fresh_lesions_of_toys(tmp_path):
    changes = ["variant=smoke", *TOY, "corrupt.tasks=[mass,fluid]", f"output={tmp_path}"]
    changes += [
        "train.steps=300",
        "train.batch_size=16",
        "train.validate_every=300",
        "train.checkpoint_every=300",
    ]
    model = train(load("unet_synthetic", changes))
    for seed in (101, 102):
        batch = draw_fresh_lesions(load("unet_synthetic", changes), seed)
        found, chance = measure(model, batch.damaged_image, batch.brain, batch.damage)
        assert found > 3 * chance


@pytest.mark.slow
@pytest.mark.shared
def test_synthetic_unet_finds_dark_lesions_that_it_was_never_shown(shared_dir, tmp_path):
    folder = shared_dir / "data" / "ixi_t1_axial"
    quick = ["train.steps=300", "train.validate_every=300", "train.checkpoint_every=300"]
    changes = ["variant=ixi", f"data.root={folder}", f"output={tmp_path}", *quick]
    model = train(load("unet_synthetic", changes))
    _, scans, brain = load_slices(folder, 128)
    for seed in (101, 102):
        lesioned, masks = implant_all(scans, brain, seed)["dark"]
        found, chance = measure(model, lesioned, brain.expand_as(scans), masks)
        assert found > 3 * chance
