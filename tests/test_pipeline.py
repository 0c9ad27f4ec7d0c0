"""From a scan to its map: the same whatever the batch, in the scan's own space, or one clear error."""

import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from safetensors.torch import load_file

from diffad import AnomalyPipeline, Volume
from diffad.method import Method
from diffad.models.unet2d import UNet2D
from diffad.models.unet3d import UNet3D
from diffad.registry import GUIDANCES
from diffad.threshold import calibrate_thresholds
from tests.helpers.brains import save_volume

ONESHOT = {"name": "oneshot", "levels": [20], "repeats": 2}
CHAIN = {"name": "chain", "level": 20, "steps": 2}
SIMPLEX = {"name": "simplex", "octaves": 2, "feature_size": 8}


def make(network=None, **options):
    """A pipeline whose network was never trained."""
    torch.manual_seed(0)
    network = network or UNet2D(channels=(8, 16), layers=1, groups=4, attention=False)
    scheduler = DDPMScheduler(num_train_timesteps=100, clip_sample=False)
    options = {"noise": SIMPLEX, "sampler": ONESHOT, "space": {"size": 16}} | options
    return AnomalyPipeline(network, scheduler, **options)


@pytest.fixture(scope="module")
def pipe():
    return make()


@pytest.fixture
def path(tmp_path):
    return save_volume(tmp_path / "scan.nii.gz", affine=np.diag([-1.0, 1, 2, 1]))


def images(b=3, c=1, shape=(18, 15), seed=0):
    x = torch.rand(b, c, *shape, generator=torch.Generator().manual_seed(seed)) * 0.7 + 0.1
    x[..., :2], x[..., -3:] = 0, 0
    return x


MAPS = ("anomaly_map", "reconstruction", "mask", "score")


def same(one, two):
    return all(torch.equal(one[k], two[k]) for k in MAPS)


def test_images_give_maps_of_their_own_shape(pipe):
    x = images()
    out = pipe(x)
    assert out.anomaly_map.shape == out.mask.shape == out.brain.shape == (3, 1, 18, 15)
    assert out.reconstruction.shape == x.shape
    assert out.score.shape == (3,)
    assert out.mask.dtype == torch.bool
    assert out.anomaly_map.min() >= 0
    assert out.anomaly_map.max() > 0
    assert not out.anomaly_map[~out.brain].any()
    assert not out.mask[~out.brain].any()
    assert out.volume is None


def test_twin_is_the_scan_outside_the_brain_and_another_inside(pipe, path):
    for scan in (images(), torch.rand(1, 1, 6, 9, 4), path):
        out = pipe(scan)
        outside = ~out.brain.expand_as(out.image)
        assert torch.equal(out.reconstruction[outside], out.image[outside])
        assert not torch.allclose(out.reconstruction[~outside], out.image[~outside])


def test_path_text_list_volume_and_open_tensor_give_the_same_maps(pipe, path):
    out = pipe(path)
    assert out.anomaly_map.shape == (1, 1, 12, 14, 10)
    for scan in (str(path), [path], Volume.load(path)):
        assert same(pipe(scan), out)


def test_volumes_in_a_batch_are_cut_into_slices(pipe):
    x = torch.rand(2, 1, 6, 9, 4) * 0.9
    x[:, :, 0] = 0
    out = pipe(x)
    assert out.anomaly_map.shape == (2, 1, 6, 9, 4)
    assert out.info["slices"] == 8
    alone = pipe(x[1:])
    torch.testing.assert_close(alone.anomaly_map[0], out.anomaly_map[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("sampler", [ONESHOT, CHAIN, {**ONESHOT, "stack": False}])
@pytest.mark.parametrize("threshold", [None, 0.03])
def test_item_alone_equals_item_in_batch(pipe, sampler, threshold):
    x = images()
    together = pipe(x, sampler=sampler, threshold=threshold)
    for i in range(3):
        alone = pipe(x[i : i + 1], sampler=sampler, threshold=threshold)
        for key in ("anomaly_map", "reconstruction", "score"):
            torch.testing.assert_close(alone[key][0], together[key][i], rtol=0, atol=1e-5)
        near = (together.anomaly_map[i] - alone.info["threshold"]).abs() < 1e-5
        assert torch.equal(alone.mask[0] | near, together.mask[i] | near)


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batch_size_changes_nothing(pipe, path, batch_size):
    out, other = pipe(path), pipe(path, batch_size=batch_size)
    torch.testing.assert_close(other.anomaly_map, out.anomaly_map, rtol=0, atol=1e-5)
    torch.testing.assert_close(other.reconstruction, out.reconstruction, rtol=0, atol=1e-3)


@pytest.mark.parametrize("batch_size", [2, 16])
def test_no_network_evaluation_is_larger_than_the_batch_size(pipe, monkeypatch, batch_size):
    sizes, forward = [], pipe.network.forward
    monkeypatch.setattr(pipe.network, "forward", lambda x, t: sizes.append(len(x)) or forward(x, t))
    pipe(images(), sampler={**ONESHOT, "repeats": 7}, batch_size=batch_size)
    assert max(sizes) == batch_size
    assert sum(sizes) == 3 * 7


def test_seed_decides_and_the_global_generator_does_not(pipe):
    x = images()
    before = torch.get_rng_state()
    out = pipe(x)
    assert torch.equal(before, torch.get_rng_state())
    torch.rand(7)
    assert same(pipe(x), out)
    assert not torch.equal(pipe(x, seed=1).anomaly_map, out.anomaly_map)


def test_slice_has_the_same_noise_in_any_range(path):
    pipe = make(space={"size": 16, "intensity": "ct", "centre": 100.0, "width": 200.0})
    whole, part = pipe(path), pipe(path, slices=(4, 6))
    assert part.info["slices"] == 2
    torch.testing.assert_close(part.anomaly_map[..., 4:6], whole.anomaly_map[..., 4:6], rtol=0, atol=1e-5)
    assert not part.anomaly_map[..., :4].any()
    assert torch.equal(part.reconstruction[..., 6:], part.image[..., 6:])


def test_given_mask_is_where_anomalies_are_looked_for(pipe, path):
    inside = np.zeros((12, 14, 10), bool)
    inside[4:9, 4:10, 3:7] = True
    out = pipe(path, inside)
    assert torch.equal(out.brain[0, 0], torch.from_numpy(inside))
    assert out.info["slices"] == 4
    assert not out.anomaly_map[~out.brain].any()


@pytest.mark.parametrize("window", [(12, 10), (8, 8)])
def test_window_around_the_brain_gives_maps_of_the_whole_grid(window):
    x = torch.zeros(2, 1, 16, 16)
    x[0, :, 2:12, 5:13] = images(1, 1, (10, 8), seed=1)[0].clamp(min=0.1)
    x[1, :, :, :] = 0.3 + images(1, 1, (16, 16), seed=2)[0] / 2
    pipe = make(space={"size": 16, "window": list(window)})
    out = pipe(x)
    assert out.anomaly_map.shape == x.shape
    assert all(out.anomaly_map[i][out.brain[i]].count_nonzero() > out.brain[i].sum() / 2 for i in range(2))
    for i in range(2):
        torch.testing.assert_close(pipe(x[i : i + 1]).anomaly_map[0], out.anomaly_map[i], rtol=0, atol=1e-5)


def test_threshold_is_a_number_otsus_or_the_calibrated_one():
    x, pipe = images(), make()
    out = pipe(x, threshold=0.03)
    assert (out.info["threshold"], out.info["threshold_rule"]) == (0.03, "fixed")
    assert torch.equal(out.mask, (out.anomaly_map > 0.03) & out.brain)
    assert 0 < int(out.mask.sum()) < int(out.brain.sum())
    out = pipe(x)
    assert out.info["threshold_rule"] == "otsu"
    assert len(out.info["thresholds"]) == 3
    for i, cut in enumerate(out.info["thresholds"]):
        assert torch.equal(out.mask[i], (out.anomaly_map[i] > cut) & out.brain[i])
    maps = out.anomaly_map
    stored = calibrate_thresholds(zip(maps[:, None], out.brain[:, None], strict=True), [0.01, 0.2]).to_dict()
    pipe = make(calibration=stored, postprocess={"fpr": 0.2})
    out = pipe(x)
    assert out.info["threshold_rule"] == "healthy pixel FPR 0.2"
    assert out.info["threshold"] == stored["thresholds"]["0.2"]
    assert float(out.mask[out.brain].float().mean()) == pytest.approx(0.2, abs=0.01)
    assert pipe(x, threshold="otsu").info["threshold_rule"] == "otsu"


def test_small_detections_are_dropped_and_the_score_is_pooled():
    x = images()
    cut = float(make()(x).anomaly_map.quantile(0.9))
    few, many = make(postprocess={"min_size": 40})(x, threshold=cut), make()(x, threshold=cut)
    assert few.mask.sum() < many.mask.sum()
    assert not (few.mask & ~many.mask).any()
    filled = make(postprocess={"min_size": 40, "filled": True})(x, threshold=cut)
    assert few.mask.sum() <= filled.mask.sum() <= many.mask.sum()
    top = make(postprocess={"pool": "max"})(x)
    assert torch.equal(top.score, top.anomaly_map.amax((1, 2, 3)))


def test_another_sampler_or_score_can_be_asked_for(pipe):
    x = images()
    out = pipe(x, sampler=CHAIN, score={"name": "l2"})
    assert out.info["nfe"] == 2
    assert (out.info["sampler"], out.info["score"]) == (CHAIN, {"name": "l2"})
    assert not torch.equal(out.anomaly_map, pipe(x).anomaly_map)


def test_result_carries_what_made_it_as_plain_json(pipe, path):
    info = pipe(path, seed=3).info
    assert json.loads(json.dumps(info)) == info
    assert (info["seed"], info["nfe"], info["precision"]) == (3, 2, "fp32")
    assert info["config"]["noise"] == SIMPLEX
    assert set(info["versions"]) == {"diffad", "torch", "diffusers"}
    assert info["seconds"] > 0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_narrow_precision_gives_nearly_the_same_map_in_float32(pipe, precision):
    x = images()
    out = pipe(x, precision=precision)
    assert out.anomaly_map.dtype == out.reconstruction.dtype == torch.float32
    torch.testing.assert_close(out.anomaly_map, pipe(x).anomaly_map, rtol=0, atol=0.05)
    assert not torch.equal(out.anomaly_map, pipe(x).anomaly_map)


def test_auto_precision_is_told_as_what_it_became(pipe, monkeypatch):
    for native, name in ((True, "bf16"), (False, "fp32")):
        monkeypatch.setattr(
            "diffad.inference.precision.has_native_bf16", lambda device, native=native: native
        )
        out, asked = pipe(images(), precision="auto"), pipe(images(), precision=name)
        assert out.info["precision"] == name
        assert same(out, asked)


def test_calibrated_threshold_is_for_the_models_own_maps_only():
    stored = {"thresholds": {"0.01": 0.25}, "scans": 4, "pixels": 99}
    pipe = make(calibration=stored)
    assert pipe(images()).info["threshold"] == 0.25
    assert pipe(images(), sampler=dict(ONESHOT)).info["threshold"] == 0.25
    assert pipe(images(), sampler=CHAIN).info["threshold_rule"] == "otsu"
    assert pipe(images(), score={"name": "l2"}).info["threshold_rule"] == "otsu"


def test_pipeline_in_half_precision_runs(pipe):
    narrow = make().to(torch.bfloat16)
    x = images()
    torch.testing.assert_close(narrow(x).anomaly_map, pipe(x).anomaly_map, rtol=0, atol=0.1)


def test_several_sequences_give_one_map(tmp_path):
    pipe = make(UNet2D(2, 2, channels=(8, 16), layers=1, groups=4, attention=False))
    paths = [save_volume(tmp_path / f"{s}.nii.gz", seed=s) for s in range(2)]
    out = pipe(paths)
    assert out.reconstruction.shape == (1, 2, 12, 14, 10)
    assert out.anomaly_map.shape == (1, 1, 12, 14, 10)


def test_network_of_volumes_takes_them_whole(tmp_path, path):
    network = UNet3D(channels=(8, 16), layers=1, groups=4)
    torch.nn.init.normal_(network.unet.out[-1].conv.weight, std=0.1)
    pipe = make(network, space={"axis": "volume"}, sampler=CHAIN, postprocess={"median": 3})
    out = pipe(path)
    assert out.anomaly_map.shape == (1, 1, 12, 14, 10)
    assert out.info["slices"] == 1
    assert out.anomaly_map.max() > 0
    assert torch.equal(out.reconstruction[~out.brain], out.image[~out.brain])
    pipe.save_pretrained(tmp_path / "model")
    assert same(AnomalyPipeline.from_pretrained(tmp_path / "model")(path), out)
    x = torch.rand(2, 1, 5, 6, 7)
    together, alone = pipe(x), pipe(x[1:])
    torch.testing.assert_close(alone.anomaly_map[0], together.anomaly_map[1], rtol=0, atol=1e-5)
    files = out.save(tmp_path / "maps")
    assert nib.load(files["anomaly"]).shape == (12, 14, 10)


BAD = [
    (images(c=2), {}, r"the scan: expected 1 sequence.* got 2"),
    (images() * 300, {}, r"expected a tensor in \[0, 1\]"),
    (images() * float("nan"), {}, "expected finite intensities"),
    (torch.zeros(1, 1, 8, 8), {}, "expected brain masks with pixels inside"),
    (images(), {"mask": torch.zeros(3, 1, 18, 15)}, "expected brain masks with pixels inside"),
    (images(), {"threshold": "best"}, "threshold: expected a number, 'otsu' or none, got 'best'"),
    (images(), {"threshold": float("nan")}, "threshold: expected a number, 'otsu' or none, got nan"),
    (images(), {"threshold": True}, "threshold: expected a number, 'otsu' or none, got True"),
    (images(), {"precision": "fp8"}, "precision must be one of auto, fp32, bf16, fp16, int8, got 'fp8'"),
    (images(), {"batch_size": 0}, "expected batch_size of at least 1, got 0"),
    (images(), {"slices": (0, 1)}, "expected a range of slices for volumes"),
    (images(), {"sampler": {"name": "oneshot", "levels": [101]}}, "expected levels up to 100"),
    (images(), {"seed": -1}, "non-negative"),
]


@pytest.mark.parametrize(("scan", "options", "said"), BAD)
def test_input_that_cannot_be_used_raises(pipe, scan, options, said):
    with pytest.raises(ValueError, match=said):
        pipe(scan, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"sampler": {"name": "oneshto"}}, "unknown sampler 'oneshto'; did you mean 'oneshot'"),
        ({"score": {"name": "l1", "window": 3}}, "unknown option of score 'l1': 'window'"),
    ],
)
def test_unknown_part_or_option_raises(pipe, options, said):
    with pytest.raises(KeyError, match=said):
        pipe(images(), **options)


def test_scan_that_cannot_be_normalised_is_named(pipe, tmp_path):
    data = np.zeros((12, 14, 10), np.float32)
    data[3:9, 3:9, 3:8] = -1.0
    data[5, 5, 5] = -2.0
    path = save_volume(tmp_path / "negative.nii.gz", data=data)
    with pytest.raises(
        ValueError, match=f"{path}: expected a brain of at least 0, .* found 100% of it below 0"
    ):
        pipe(path)


def test_rate_that_was_not_calibrated_raises():
    pipe = make(calibration={"thresholds": {"0.01": 0.5}, "scans": 1, "pixels": 9}, postprocess={"fpr": 0.02})
    with pytest.raises(
        ValueError, match=r"expected one of the calibrated false-positive rates 0\.01, got 0\.02"
    ):
        pipe(images())


def test_saved_pipeline_is_json_text_and_safetensors_and_gives_the_same_maps(tmp_path):
    stored = {"thresholds": {"0.01": 0.25}, "scans": 4, "pixels": 99}
    pipe = make(calibration=stored, provenance={"name": "mine"}, postprocess={"median": 3})
    pipe.save_pretrained(tmp_path)
    suffixes = {p.suffix for p in tmp_path.rglob("*") if p.is_file()}
    assert suffixes == {".json", ".md", ".safetensors"}
    again = AnomalyPipeline.from_pretrained(tmp_path)
    for key in ("noise", "sampler", "score", "guidance", "space", "postprocess", "calibration", "provenance"):
        assert again.config[key] == pipe.config[key]
        assert json.loads(json.dumps(pipe.config[key])) == pipe.config[key]
    assert same(again(images()), pipe(images()))
    assert {name for name, part in again.components.items() if part is not None} == {"network", "scheduler"}
    again.save_pretrained(tmp_path / "twice")
    assert same(AnomalyPipeline.from_pretrained(tmp_path / "twice")(images()), pipe(images()))


def test_progress_counts_slices(pipe, path, monkeypatch):
    class Bar:
        done = 0

        def __enter__(self):
            return self

        def __exit__(self, *error):
            pass

        def update(self, n):
            self.done += n

    bar, totals = Bar(), []
    monkeypatch.setattr(pipe, "progress_bar", lambda total: totals.append(total) or bar)
    out = pipe(path, batch_size=4)
    assert totals == [out.info["slices"]] == [bar.done]


def test_maps_of_a_volume_are_written_in_its_own_space(pipe, path, tmp_path):
    out = pipe(path)
    files = out.save(tmp_path / "new" / "maps")
    assert {k: p.name for k, p in files.items()} == {
        "anomaly": "scan_anomaly.nii.gz",
        "mask": "scan_mask.nii.gz",
        "twin": "scan_twin.nii.gz",
        "std": "scan_std.nii.gz",
        "seen": "scan_seen.nii.gz",
        "info": "scan_info.json",
    }
    scan = nib.load(path)
    for kind in ("anomaly", "mask", "twin", "std"):
        saved = nib.load(files[kind])
        assert saved.shape == scan.shape
        assert np.array_equal(saved.affine, scan.affine)
    outside = np.asarray(scan.dataobj) == 0
    assert not np.asarray(nib.load(files["anomaly"]).dataobj)[outside].any()
    assert nib.load(files["mask"]).get_data_dtype() == np.uint8
    assert np.array_equal(np.asarray(nib.load(files["seen"]).dataobj) > 0, ~outside)
    assert json.loads(files["info"].read_text()) == out.info
    assert sorted(p.name for p in files["info"].parent.iterdir()) == sorted(p.name for p in files.values())


def test_maps_of_tensors_are_written_as_safetensors(pipe, tmp_path):
    out = pipe(images())
    files = out.save(tmp_path, name="batch")
    assert {k: p.name for k, p in files.items()} == {
        "maps": "batch_maps.safetensors",
        "info": "batch_info.json",
    }
    maps = load_file(files["maps"])
    assert torch.equal(maps["anomaly"], out.anomaly_map)
    assert torch.equal(maps["twin"], out.reconstruction)
    assert torch.equal(maps["mask"], out.mask)


def test_one_twin_has_no_standard_deviation_and_equal_ones_have_none_to_speak_of(pipe):
    assert pipe(images(), sampler=CHAIN).std is None
    assert pipe(images()).std.max() > 0
    same = {"name": "oneshot", "levels": [1, 1]}
    assert pipe(images(), sampler=same).std.max() < pipe(images()).std.max() / 4


def test_other_parts_than_the_models_own_lose_its_calibration():
    pipe = make(calibration={"thresholds": {"0.01": 0.25}, "scans": 1, "pixels": 9})
    assert pipe(images()).info["threshold"] == 0.25
    other = pipe(images(), noise={"name": "gaussian"})
    assert other.info["threshold_rule"] == "otsu"
    assert other.info["config"]["noise"] == {"name": "gaussian"}


class Told(UNet2D):
    """A network that is told the mean of each image and takes it for the noise."""

    asked = 0

    def conditions(self, image, mask):
        type(self).asked += 1
        return {"level": image.mean((1, 2, 3), keepdim=True)}

    def forward(self, x_t, labels, level=None):
        return x_t * 0 + level


def test_conditions_are_found_once_a_batch_and_reach_every_look():
    network = Told(channels=(8, 16), layers=1, groups=4, attention=False)
    x = images(4)
    out = make(network)(x, sampler={"name": "oneshot", "levels": [5, 20]}, batch_size=2)
    assert Told.asked == 2
    alone = make(network)(x[2:3], sampler={"name": "oneshot", "levels": [5, 20]})
    assert torch.equal(out.reconstruction[2:3], alone.reconstruction)


class PlainGuidance:
    """A guidance of another distribution: its denoiser has a schedule and a call, and no more."""

    def __call__(self, denoiser):
        return PlainGuided(denoiser)


class PlainGuided:
    def __init__(self, denoiser):
        self.denoiser, self.schedule = denoiser, denoiser.schedule

    def __call__(self, x_t, t, **cond):
        return self.denoiser(x_t, t, **cond) / 2


def test_plain_guidance_of_another_distribution_works():
    pipe, x = make(Told(channels=(8, 16), layers=1, groups=4, attention=False)), images(2)
    sampler = {"name": "oneshot", "levels": [20]}
    change = pipe(x, sampler=sampler).reconstruction - x
    with GUIDANCES.scope():
        GUIDANCES.register("plain")(PlainGuidance)
        guided = pipe(x, sampler=sampler, guidance={"name": "plain"}).reconstruction - x
    assert not torch.allclose(change, guided)


def test_a_streaming_score_sees_every_move_of_the_sampler(pipe):
    x, sampler = images(2), {"name": "chain", "level": 20, "steps": 4}
    out = pipe(x, sampler=sampler, score={"name": "normative"})
    both = [{"name": "l1"}, {"name": "normative"}]
    joint = pipe(x, sampler=sampler, score={"name": "product", "scores": both})
    plain = pipe(x, sampler=sampler, score={"name": "l1"})
    assert out.anomaly_map.max() > 0
    assert joint.anomaly_map.shape == out.anomaly_map.shape == plain.anomaly_map.shape


@pytest.mark.parametrize(
    ("score", "heard"),
    [
        ({"name": "l1"}, False),
        ({"name": "product"}, False),
        ({"name": "normative"}, True),
        ({"name": "mean", "scores": [{"name": "l1"}, {"name": "normative"}]}, True),
    ],
)
def test_moves_are_recorded_for_scores_that_want_them_only(pipe, monkeypatch, score, heard):
    asked = []
    detector = pipe.detector(Method(score=score, sampler=CHAIN))

    def sampler(x, denoiser, noise, **options):
        asked.append(options["on_step"] is not None)
        return detector.sampler(x, denoiser, noise, **options)

    replace(detector, sampler=sampler).maps(torch.rand(1, 1, 16, 16), torch.ones(1, 1, 16, 16), [0])
    assert asked == [heard]


def test_slices_of_a_scan_are_told_their_places_and_images_are_not(path):
    """A range of slices changes no place, and batches none either; one plane more needs no warning."""
    torch.manual_seed(1)
    network = UNet2D(channels=(8, 16), layers=1, groups=4, attention=False, place=True)
    space = {"size": 16, "further_axes": ["coronal"]}
    pipe = make(network, space=space)
    before, image = pipe(path).anomaly_map, pipe(images()).anomaly_map
    torch.nn.init.normal_(network.place_layers[-1].weight, std=0.5)
    out = pipe(path)
    assert not torch.allclose(out.anomaly_map, before, atol=1e-4)
    assert torch.allclose(pipe(path, batch_size=1).anomaly_map, out.anomaly_map, atol=1e-5)
    some = pipe(path, slices=(3, 6))
    assert torch.allclose(some.anomaly_map[..., 3:6], out.anomaly_map[..., 3:6], atol=1e-5)
    assert not torch.allclose(pipe(images()).anomaly_map, image, atol=1e-4)  # no place is one of its own
    words = " ".join(pipe(path, axes=["axial", "coronal"]).info["warnings"])
    assert "was trained on" not in words
    assert "was trained on" in " ".join(pipe(path, axes=["sagittal"]).info["warnings"])


def test_what_a_score_asks_of_the_network_counts_as_evaluations():
    plain, asking = (make()(images(2), score={"name": name}).info["nfe"] for name in ("l1", "features"))
    assert asking == plain + 2
