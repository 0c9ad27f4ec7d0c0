"""Training with neighbouring slices: what the network is shown, what comes out; without them nothing new."""

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.data.neighbours import stack_neighbours
from diffad.data.place import tabulate_places
from diffad.noise.gaussian import GaussianNoise
from diffad.registry import DATASETS, SAMPLERS
from diffad.report.training_sheet import draw_training_items
from diffad.schedule import Schedule
from diffad.training.batch import corrupt_items, make_batch, sample_pool
from diffad.training.calibration import collect_healthy, collect_healthy_neighbours
from diffad.training.example import make_batch_example
from diffad.training.parts import build_data
from diffad.training.run import train
from diffad.types import generator_for
from tests.helpers.brains import save_volume

RESTORE = ["corrupt.tasks=[fluid]", "corrupt.role=restore", "corrupt.chance=1.0"]
AUGMENT = ["augment.flip=0.5", "augment.rotate=5.0", "augment.noise=0.02", "augment.tone=0.1"]


@pytest.fixture
def scans(tmp_path):
    for split, number in (("train", 0), ("train", 1), ("val", 2), ("val", 3)):
        save_volume(tmp_path / "scans" / split / f"sub-{number}.nii.gz", seed=number, shape=(20, 18, 10))
    return tmp_path / "scans"


@pytest.fixture
def config_of(small, scans):
    """Make a small config of the volumes."""
    data = f"data={{name: volumes, root: {scans}, min_brain: 0.2}}"

    def make(*more, neighbours=1):
        counts = (f"space.neighbours={neighbours}", f"model.neighbours={neighbours}")
        return small(data, "train.steps=2", *(counts if neighbours else ()), *more)

    return make


def make_items(config, pool=(), count=6):
    """Return a batch of the first items, as training makes it, and the items."""
    data = build_data(config, "train")
    items = [data[k] for k in range(count)]
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    where, generators = tabulate_places([i.place for i in items]), [generator_for(0, k) for k in range(count)]
    label, beside = torch.full((count,), -1), stack_neighbours(items)
    return make_batch(images, masks, label, where, config, generators, pool, beside), items


def test_a_run_with_neighbours_ends_in_a_pipeline_that_is_shown_them(config_of, scans):
    path = train(config_of(*RESTORE, *AUGMENT, "space.window=[16, 14]"))
    pipe = AnomalyPipeline.from_pretrained(path)
    assert pipe.config.space["neighbours"] == pipe.network.takes_neighbours == 1
    assert pipe.config.calibration["scans"] == 2
    assert pipe(scans / "val" / "sub-2.nii.gz").anomaly_map.max() > 0


def test_a_run_goes_on_from_a_network_without_neighbours(config_of):
    old = train(config_of(neighbours=0))
    path = train(config_of(f"train.network={old}", "train.steps=0", "name=more"))
    before, after = (AnomalyPipeline.from_pretrained(p).network for p in (old, path))
    x, labels = torch.rand(2, 1, 16, 16), torch.tensor([3, 30])
    with torch.no_grad():
        answer = after(x, labels, neighbours=torch.rand(2, 2, 16, 16))
        torch.testing.assert_close(answer, before(x, labels))


def test_neighbours_are_changed_as_their_slices_are(config_of):
    """A slice whose neighbours are the slice itself keeps them so through flips, turns, tones and windows."""
    config = config_of("augment.flip=0.5", "augment.rotate=9.0", "augment.tone=0.1", "space.window=[14, 12]")
    data = build_data(config, "train")
    images, masks = (
        torch.stack([data[k].image for k in range(6)]),
        torch.stack([data[k].mask for k in range(6)]),
    )
    generators = [generator_for(0, k) for k in range(6)]
    where = tabulate_places([None] * 6)
    beside = images.repeat(1, 2, 1, 1)
    batch = make_batch(images, masks, torch.zeros(6).long(), where, config, generators, (), beside)
    assert batch.image.shape[2:] == (14, 12)
    torch.testing.assert_close(batch.neighbours, batch.image.repeat(1, 2, 1, 1))


def test_batches_without_neighbours_are_what_they_were(config_of):
    """A slice, its corruption and its noise do not depend on whether there are places for neighbours."""
    config = config_of(*RESTORE, *AUGMENT, neighbours=0)
    batch, items = make_items(config)
    images, masks = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    generators = [generator_for(0, k) for k in range(6)]
    where = tabulate_places([i.place for i in items])
    old = make_batch(images, masks, torch.full((6,), -1), where, config, generators)
    assert batch.neighbours is old.neighbours is None
    assert torch.equal(batch.image, old.image)
    assert torch.equal(batch.damaged_image, old.damaged_image)


def test_anomalies_are_those_without_neighbours_and_go_on_in_them(config_of):
    plain, _ = make_items(config_of(*RESTORE, neighbours=0))
    batch, items = make_items(config_of(*RESTORE))
    assert torch.equal(plain.image, batch.image)
    assert torch.equal(plain.damaged_image, batch.damaged_image)
    examples = []
    for each in (plain, batch):
        generators = [generator_for(1, k) for k in range(6)]
        noise, levels = (GaussianNoise(), Schedule.linear()), torch.full((6,), 100)
        examples.append(make_batch_example(SAMPLERS.build("oneshot"), each, levels, *noise, generators))
    assert torch.equal(examples[0].x_t, examples[1].x_t)
    clean = stack_neighbours(items)
    changed = (batch.neighbours != clean).any(1, keepdim=True)
    assert changed.any()
    assert not (changed & (batch.damaged_image == batch.image)).any()


def test_items_of_a_batch_follow_from_themselves_alone(config_of):
    config = config_of(*RESTORE)
    _, items = make_items(config)
    image, brain = torch.stack([i.image for i in items]), torch.stack([i.mask for i in items])
    for k in (0, 5):
        one = (image[k : k + 1], brain[k : k + 1], torch.tensor([-1]), config.corrupt, config.corrupt.tasks)
        beside = stack_neighbours(items[k : k + 1])
        alone = corrupt_items(*one, [generator_for(0, k)], (), beside)
        full = corrupt_items(
            image, brain, torch.full((6,), -1), *one[3:], [generator_for(0, j) for j in range(6)], (),
            stack_neighbours(items),
        )  # fmt: skip
        assert torch.equal(alone.neighbours[0], full.neighbours[k])


def test_neighbours_are_noised_like_their_slice(config_of):
    batch, _ = make_items(config_of(*RESTORE))
    schedule, sampler = Schedule.linear(), SAMPLERS.build("oneshot")
    levels = {}
    for t in (1, 500, 1000):
        generators = [generator_for(1, k) for k in range(6)]
        t_all = torch.full((6,), t)
        example = make_batch_example(sampler, batch, t_all, GaussianNoise(), schedule, generators)
        clean = schedule.add_noise(2 * batch.neighbours - 1, torch.zeros_like(batch.neighbours), t)
        levels[t] = float((example.neighbours - clean).std())
        assert example.x_t.shape[1] == 1
        assert example.neighbours.shape == batch.neighbours.shape
    sigma = {t: float((1 - schedule.alpha_bar(t)).sqrt()) for t in levels}
    assert levels == pytest.approx(sigma, rel=0.1)


def test_a_sheet_and_a_pool_of_items_with_neighbours_show_slices(config_of):
    config = config_of(*RESTORE)
    (batch,), subjects = draw_training_items(config, "train", 6)
    assert batch.image.shape[1] == 1
    assert subjects == 2
    assert {x.shape[0] for x in sample_pool(build_data(config, "train"), config.space)} == {1}


def test_neighbours_of_healthy_items_are_those_of_their_images(config_of):
    data = build_data(config_of(), "val")
    x, _ = collect_healthy(data)
    assert collect_healthy_neighbours(data).shape == (len(x), 2, *x.shape[2:])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["model.neighbours=0"], "config key model: expected a network that is shown space.neighbours = 1"),
        (["space.neighbours=2"], "space.neighbours = 2 .* shown 1"),
        (["model={name: adm, base: 32, mults: [1]}"], "shown 0"),
        (["data={name: toy}"], "config key data: expected space.neighbours = 0 with the data set toy"),
        (["sampler={name: patched}"], "config key space.neighbours: sampler 'patched' makes examples"),
        (["space.axis=volume"], "space.neighbours"),
    ],
)
def test_what_cannot_show_neighbours_is_refused_before_it_trains(config_of, more, message):
    with pytest.raises(ConfigError, match=message):
        train(config_of(*more))


def test_data_sets_of_others_that_show_no_neighbours_are_refused(config_of, monkeypatch):
    class Plain:
        """Ignores what it is asked for."""

        def __init__(self, split, space):
            self.items = list(DATASETS.build("toy", count=4, size=16))

        def __len__(self):
            return 4

        def __getitem__(self, index):
            return self.items[index]

    name = "plain-without-neighbours"
    with DATASETS.scope():
        DATASETS.register(name)(Plain)
        with pytest.raises(ConfigError, match=f"expected 0, as the data set '{name}' shows none"):
            build_data(config_of(f"data={{name: {name}}}"), "train")


def test_networks_around_a_network_are_trained_with_neighbours(config_of):
    backbone = "{name: unet2d, channels: [8], neighbours: 1}"
    model = f"model={{name: labelled, backbone: {backbone}, classes: 2, width: 4}}"
    path = train(config_of(model, "space.neighbours=1", neighbours=0))
    assert AnomalyPipeline.from_pretrained(path).network.takes_neighbours == 1
