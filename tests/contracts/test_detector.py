"""What every registered detector promises."""

import dataclasses
import itertools

import pytest
import torch
from diffusers import DDPMScheduler

from diffad.detectors import PassDetector
from diffad.pipeline import AnomalyPipeline
from diffad.protocols import SUPERVISIONS, Detector, TakesTurns
from diffad.registry import DETECTORS
from diffad.training.turns import moved_alone
from diffad.types import Detection, DetectorExample

TINY = {"size": 64, "width": 16, "heads": 2, "layers": 1, "hidden": 16, "reach": 1, "jitter": 1.0}
FROZEN = {"size": 32, "weights": "random", "stages": [0, 2, 3]}
SMALL = {"size": 16, "channels": [4, 8], "hidden": 16, "latent": 4}
# options that keep a detector small: one row for each
OPTIONS = {
    "ae": SMALL,
    "ae_flow": {"size": 32, "weights": "random", "stage": 2, "blocks": 2, "channels": [8]},
    "aeu": SMALL,
    "fae": {**FROZEN, "channels": [8, 8]},
    "asn": {"channels": [4, 8]},
    "fusion_unet": {"channels": [4, 8]},
    "gating_ano": {"base": 4},
    "cyclegan_ad": {"size": 32, "width": 4, "blocks": 1, "replay": 3},
    "fanogan": {"size": 8, "channels": [8, 16], "latent": 4, "gan_share": 0.5, "critic_steps": 2},
    "ganomaly": {"size": 8, "channels": [8, 16], "latent": 4},
    "memae": {**SMALL, "slots": 5},
    "padim": {**FROZEN, "dimensions": 8},
    "patch_bank": {**FROZEN, "patches": 40, "candidates": 300, "window": 1},
    "pca": {"size": 16, "components": 3},
    "rd4ad": {**FROZEN, "stages": [0, 2, 3]},
    "uniad": {**FROZEN, **TINY},
    "urd": {**FROZEN, "stages": [0, 2, 3], "repeats": 1},
    "unet_synthetic": {"channels": [4, 8]},
    "squid": {"size": 32, "channels": [4, 8, 8, 16], "slots": 12, "keep": 3, "critic_steps": 1},
    "vae": SMALL,
    "zscore": {"size": 16},
}
# those that know no volumes
FLAT = [
    "ae_flow",
    "cyclegan_ad",
    "fae",
    "gating_ano",
    "padim",
    "patch_bank",
    "rd4ad",
    "squid",
    "uniad",
    "urd",
]
SHAPES = {"2-D": (6, 1, 32, 24), "3-D": (6, 1, 16, 12, 20)}
CASES = [(name, case) for name in sorted(OPTIONS) for case in SHAPES if case == "2-D" or name not in FLAT]


def make_scans(shape, seed=0):
    """Smooth scans that differ a little, with a border that is no brain."""
    generator = torch.Generator().manual_seed(seed)
    axes = torch.meshgrid(*(torch.linspace(-1, 1, n) for n in shape[2:]), indexing="ij")
    radius = torch.stack(list(axes)).square().sum(0).sqrt()
    brain = (radius < 0.9).float().expand(shape[0], 1, *shape[2:])
    scale = 0.8 + 0.2 * torch.rand(shape[0], shape[1], *[1] * len(axes), generator=generator)
    return ((1 - radius / 2) * scale * brain).clamp(0, 1), brain.contiguous()


def make_example(shape, seed=0):
    x, brain = make_scans(shape, seed)
    generators = [torch.Generator().manual_seed(i) for i in range(len(x))]
    return DetectorExample(x, x, brain, torch.zeros_like(brain), torch.zeros(len(x)).long(), generators)


def make_labelled_example(shape, seed=0):
    """Every other scan has a lesion somewhere, and is labelled so."""
    example, generator = make_example(shape, seed), torch.Generator().manual_seed(seed)
    x, label = example.seen.clone(), torch.arange(shape[0]) % 2
    for i in range(1, shape[0], 2):
        starts = [int(torch.randint(n // 4, n // 2, (), generator=generator)) for n in shape[2:]]
        box = (i, slice(None), *[slice(start, start + 6) for start in starts])
        x[box] = 1 - x[box]
    return dataclasses.replace(example, seen=x, clean=x, label=label)


def show(detector, shape, seed):
    """Lay a lesion into every other scan, for those that learn from synthetic ones, or from labels."""
    if detector.supervision == "image-level":
        return make_labelled_example(shape, seed)
    example = make_example(shape, seed)
    if detector.supervision != "normal+synthetic":
        return example
    damage = torch.zeros_like(example.brain)
    damage[(slice(0, None, 2), slice(None), *[slice(n // 2 - 2, n // 2 + 3) for n in shape[2:]])] = 1
    seen = torch.where(damage > 0, 1 - example.clean, example.clean)
    return dataclasses.replace(example, seen=seen, damage=damage)


def choose_turn(detector, step, steps):
    return detector.choose_turn(step, steps) if isinstance(detector, TakesTurns) else None


def list_turns(detector, steps=60):
    """Return whose turns there are, each once."""
    return list(dict.fromkeys(choose_turn(detector, step, steps) for step in range(steps)))


def lose(detector, example, turn):
    return detector(example) if turn is None else detector(example, turn)


def teach(detector, shape, steps=None):
    """Let a detector learn a little; normalisation has statistics of the weights that it ends with."""
    torch.manual_seed(0)
    if isinstance(detector, PassDetector):
        detector.observe(make_example(shape))
        detector.conclude()
        return detector.eval()
    takes_turns = isinstance(detector, TakesTurns)
    recipe = {"lr": 5e-3, "betas": (0.5, 0.9)} if takes_turns else {"lr": 1e-2}
    usual_steps, count = (120, 8) if takes_turns else (60, 24)
    steps = steps or usual_steps
    if detector.supervision == "normal+synthetic" and len(shape) == 5:
        count //= 2  # they are the slow ones
    optimizer, many = torch.optim.Adam(detector.parameters(), **recipe), (count, *shape[1:])
    for step in range(steps):
        optimizer.zero_grad()
        turn = choose_turn(detector, step, steps)
        with moved_alone(detector, turn):
            lose(detector.train(), show(detector, many, step), turn).mean().backward()
        optimizer.step()
    norms = [part for part in detector.modules() if hasattr(part, "reset_running_stats")]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches that follow
    with torch.no_grad():
        for turn, step in itertools.product(list_turns(detector), range(5)):
            lose(detector, show(detector, many, step), turn)
    return detector.eval()


def build(name, case, **options):
    torch.manual_seed(0)
    axes = {} if name in FLAT else {"dims": len(SHAPES[case]) - 2}
    return DETECTORS.build(name, **{**OPTIONS[name], **axes, **options})


@pytest.fixture(params=CASES, ids=["-".join(case) for case in CASES], scope="module")
def taught(request):
    name, case = request.param
    return name, SHAPES[case], teach(build(name, case), SHAPES[case])


def make_pipeline(detector):
    method = {"sampler": {"name": "detect"}, "score": {"name": "likelihood"}}
    return AnomalyPipeline(detector, DDPMScheduler(), **method, postprocess={"median": 1})


def test_every_detector_has_a_row_of_options():
    assert set(OPTIONS) == set(DETECTORS)


def test_it_says_what_it_learns_from(taught):
    _, _, detector = taught
    assert isinstance(detector, Detector)
    assert detector.supervision in SUPERVISIONS
    assert detector.backbone is None or isinstance(detector.backbone, str)
    assert detector.learns in ("steps", "pass")


def test_map_and_twin_are_shaped_like_the_scan(taught):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    detection = detector.detect(x, brain)
    assert isinstance(detection, Detection)
    assert detection.map.shape == (len(x), 1, *shape[2:])
    assert detection.map.isfinite().all()
    assert detection.map.std() > 0
    if detection.image is not None:
        assert detection.image.shape == x.shape
        assert detection.image.min() >= 0
        assert detection.image.max() <= 1


def test_an_item_does_not_depend_on_its_batch(taught):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    whole = detector.detect(x, brain).map
    for i in (0, 4):
        alone = detector.detect(x[i : i + 1], brain[i : i + 1]).map
        torch.testing.assert_close(alone, whole[i : i + 1], rtol=1e-4, atol=1e-6)


def test_it_says_the_same_again_and_leaves_the_scan_alone(taught):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    before = x.clone()
    assert torch.equal(detector.detect(x, brain).map, detector.detect(x, brain).map)
    assert torch.equal(x, before)


def test_a_large_bright_lesion_is_odder_than_the_rest(taught):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    lesion = torch.zeros_like(brain)
    lesion[(slice(None), slice(None), *[slice(n // 2 - 2, n // 2 + 3) for n in shape[2:]])] = 1
    odd = torch.where(lesion > 0, 1 - x, x)
    change = detector.detect(odd, brain).map - detector.detect(x, brain).map
    assert change[lesion > 0].mean() > change[(lesion == 0) & (brain > 0)].mean()


def test_what_is_learned_by_steps_has_losses_of_items(taught):
    _, shape, detector = taught
    if isinstance(detector, PassDetector):
        with pytest.raises(TypeError, match="one pass"):
            detector(make_example(shape))
        return
    loss = detector.train()(make_example(shape))
    detector.eval()
    assert loss.shape == (shape[0],)
    assert loss.isfinite().all()
    loss.mean().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in detector.parameters())


def test_losses_follow_from_the_generators(taught):
    _, shape, detector = taught
    if isinstance(detector, PassDetector):
        pytest.skip("has no losses")
    for turn in list_turns(detector):
        with torch.no_grad():
            first, again = (lose(detector, make_example(shape), turn) for _ in range(2))
        assert torch.equal(first, again)


def test_a_turn_moves_one_part_and_leaves_the_others_alone(taught):
    _, shape, detector = taught
    if not isinstance(detector, TakesTurns):
        pytest.skip("has no parts that take turns")
    turns = list_turns(detector)
    assert len(turns) > 1
    for turn in turns:
        detector.zero_grad()
        with moved_alone(detector, turn):
            loss = detector.train()(make_example(shape), turn)
            loss.mean().backward()
        assert loss.shape == (shape[0],)
        assert loss.isfinite().all()
        moved = {name for name, p in detector.named_parameters() if p.grad is not None and p.grad.any()}
        assert moved
        assert {name.partition(".")[0] for name in moved} == {turn}
    detector.zero_grad()
    detector.eval()
    assert all(p.requires_grad for p in detector.parameters())


def test_a_folder_of_safetensors_says_the_same(taught, tmp_path):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    detector.save_pretrained(tmp_path)
    assert {p.suffix for p in tmp_path.iterdir()} == {".json", ".safetensors"}
    loaded = type(detector).from_pretrained(tmp_path).eval()
    assert torch.equal(loaded.detect(x, brain).map, detector.detect(x, brain).map)


def test_a_pipeline_holds_saves_and_loads_it(taught, tmp_path):
    _, shape, detector = taught
    x, brain = make_scans(shape, 7)
    space = {"axis": "volume"} if len(shape) == 5 else {"size": shape[2]}
    method = {"sampler": {"name": "detect"}, "score": {"name": "likelihood"}}
    pipe = AnomalyPipeline(detector, DDPMScheduler(), **method, postprocess={"median": 1}, space=space)
    pipe.set_progress_bar_config(disable=True)
    output = pipe(x[:2], brain[:2], threshold=0.5)
    assert output.anomaly_map.shape == (2, 1, *shape[2:])
    assert output.info["nfe"] == 1
    pipe.save_pretrained(tmp_path)
    loaded = AnomalyPipeline.from_pretrained(tmp_path)
    loaded.set_progress_bar_config(disable=True)
    assert torch.equal(loaded(x[:2], brain[:2], threshold=0.5).anomaly_map, output.anomaly_map)
    assert isinstance(loaded, Detector)
    assert loaded.backbone == detector.backbone
    assert loaded.detect(x[:2], brain[:2]).map.shape == (2, 1, *shape[2:])


def test_other_channels_and_axes_are_refused(taught):
    _, shape, detector = taught
    x, brain = make_scans(shape)
    with pytest.raises(ValueError, match="expected"):
        detector.detect(x.repeat_interleave(2, 1), brain)
    with pytest.raises(ValueError, match="expected"):
        detector.detect(x[..., 0], brain[..., 0])


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_what_saw_nothing_refuses_to_judge(name):
    detector = build(name, "2-D")
    if not isinstance(detector, PassDetector):
        pytest.skip("has weights from the start")
    with pytest.raises(ValueError, match="seen no scans"):
        detector.detect(*make_scans(SHAPES["2-D"]))


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_a_single_scan_is_too_few_for_a_pass(name):
    detector, example = build(name, "2-D"), make_example(SHAPES["2-D"])
    if not isinstance(detector, PassDetector):
        pytest.skip("takes steps")
    values = {f.name: getattr(example, f.name)[:1] for f in dataclasses.fields(example)}
    detector.observe(DetectorExample(**values))
    with pytest.raises(ValueError, match="expected"):
        detector.conclude()


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_constant_scans_give_finite_maps(taught, value):
    _, shape, detector = taught
    x = torch.full(shape, value)
    assert detector.detect(x, torch.ones_like(x)).map.isfinite().all()
