"""The demo, on a small brain with an untrained network."""

import json
import math
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch
from diffusers import DDPMScheduler
from PIL import Image
from rich.console import Console
from scipy import ndimage

from diffad.data.lesions import KINDS
from diffad.data.volume import Volume
from diffad.demo import case as demo_case
from diffad.demo import plan as demo_plan
from diffad.demo.case import make_case
from diffad.demo.measure import measure
from diffad.demo.plan import KINDS_PLAN, PLANS, SIZES_PLAN, PlannedLesion, choose_plan, load_template
from diffad.demo.run import run_demo
from diffad.demo.table import describe_elsewhere, list_omissions
from diffad.inference.output import AnomalyOutput
from diffad.models.unet2d import UNet2D
from diffad.pipeline import AnomalyPipeline

SLICES, RADIUS = (12, 26), (4.0, 5.0)
AFFINE = np.array([[1.5, 0, 0, -30], [0, 1.5, 0, -40], [0, 0, 2.0, 10], [0, 0, 0, 1]])
QUIET = {"slices": SLICES, "radius": RADIUS}
LESIONS = KINDS_PLAN.adapt(None, RADIUS).lesions


def small_brain():
    """An ellipsoid with folds of two intensities."""
    shape = (56, 64, 38)
    axes = np.meshgrid(*(np.linspace(-1.1, 1.1, n) for n in shape), indexing="ij")
    folds = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=shape), 2.5)
    data = np.where(folds > 0, 900.0, 600.0) + 20 * folds
    return Volume((data * (sum(a**2 for a in axes) < 1))[None], AFFINE)


@pytest.fixture(scope="module")
def case():
    return make_case(small_brain(), LESIONS, SLICES, seed=0)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    return save_model(tmp_path_factory.mktemp("model"))


def save_model(folder, axis="axial"):
    network = UNet2D(channels=(8, 16), layers=1, attention=False)
    sampler = {"name": "oneshot", "levels": [100], "repeats": 2}
    pipe = AnomalyPipeline(
        network, DDPMScheduler(clip_sample=False), sampler=sampler, space={"size": 32, "axis": axis},
        postprocess={"median": 3}, provenance={"name": "toy"},
    )  # fmt: skip
    pipe.save_pretrained(folder)
    return folder


def run_quietly(out, model, **options):
    console = Console(file=(out.parent / "printed.txt").open("w"), width=120)
    result = run_demo(out, model, brain=small_brain(), console=console, **QUIET, **options)
    console.file.close()
    return result


@pytest.fixture(scope="module")
def demo_run(tmp_path_factory, model):
    """A folder that held something before, the table, and what was printed."""
    out = tmp_path_factory.mktemp("demo") / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    (out / "montage.png").write_text("old")
    result = run_quietly(out, model)
    return out, result, (out.parent / "printed.txt").read_text()


def test_one_lesion_of_each_kind_lies_in_several_of_the_slices(case):
    assert set(np.unique(case.labels)) == {0, 1, 2, 3, 4}
    for kind in KINDS:
        lesion = case.lesion(kind)
        assert ndimage.label(lesion)[1] == 1
        assert (lesion & case.analysed).any((0, 1)).sum() >= 3


def test_lesions_are_disjoint_and_apart(case):
    lesions = [ndimage.binary_dilation(case.lesion(kind)) for kind in KINDS]
    assert np.sum(lesions, axis=0).max() == 1


def test_nothing_changes_far_from_the_lesions(case):
    far = ndimage.distance_transform_edt(case.labels == 0) > 3 * RADIUS[1]
    difference = case.image != case.healthy.data[0]
    assert not (difference & far).any()
    assert not (difference & ~case.brain).any()
    for kind in KINDS:
        assert (difference & case.lesion(kind)).sum() > 0.8 * case.lesion(kind).sum()


def test_dark_is_darker_and_bright_is_brighter(case):
    healthy = case.healthy.data[0]
    change = {kind: (case.image - healthy)[case.lesion(kind)].mean() for kind in KINDS}
    assert change["dark"] < -100
    assert change["bright"] > 100


def test_seed_decides_everything(case):
    copy, other = (make_case(small_brain(), LESIONS, SLICES, seed) for seed in (0, 1))
    assert np.array_equal(copy.image, case.image)
    assert np.array_equal(copy.labels, case.labels)
    assert not np.array_equal(other.labels, case.labels)


def test_quarters_follow_the_order_of_the_lesions_unless_they_are_shuffled():
    case = make_case(small_brain(), LESIONS, SLICES, shuffled=False)
    middles = [np.argwhere(case.lesion(name)).mean(0)[:2] > (28, 32) for name in case.names]
    assert np.array_equal(middles, [[0, 0], [0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("slices", [(-1, 5), (10, 10), (30, 39), (0, 1)])
def test_slices_without_brain_are_refused(slices):
    with pytest.raises(ValueError, match="expected slices with brain out of 38"):
        make_case(small_brain(), LESIONS, slices)


def test_lesions_that_do_not_fit_are_refused(monkeypatch):
    monkeypatch.setattr(demo_case, "TRIES", 2)
    with pytest.raises(ValueError, match=r"expected room for a \w+ lesion of radius \(14.0, 15.0\)"):
        make_case(small_brain(), KINDS_PLAN.adapt(None, (14.0, 15.0)).lesions, SLICES)


def results(case, scores, detections=None):
    anomaly = torch.from_numpy(scores.astype(np.float32))[None, None]
    mask = anomaly > 0.5 if detections is None else detections
    info = {"threshold": 0.5, "threshold_rule": "fixed", "nfe": 1, "seconds": 1.0}
    info["headline"] = {"verdict": "nothing above the threshold", "flagged": "0 % of it"}
    return AnomalyOutput(anomaly, anomaly, mask, anomaly.amax().reshape(1), info, anomaly, anomaly > 0)


def test_perfect_map_scores_one_for_every_kind(case):
    perfect, clean = results(case, case.labels > 0), results(case, np.zeros(case.labels.shape))
    table = measure(case, perfect, clean)
    for figures in [table["pooled"], *table["lesions"].values()]:
        assert figures["ap"] == figures["auroc"] == figures["best_dice_oracle"] == figures["dice"] == 1
        assert figures["found"]
    assert table["pooled"]["found"] == 4
    assert table["elsewhere"] == {"detections": 0, "ml": 0}
    assert table["healthy"]["false_alarm_rate"] == table["healthy"]["detections"] == 0
    ml = sum(figures["ml"] for figures in table["lesions"].values())
    assert ml == pytest.approx(table["pooled"]["ml"], abs=0.03)
    assert table["pooled"]["ml"] == pytest.approx((case.labels[case.analysed] > 0).sum() * 4.5e-3, abs=0.01)


def test_lesions_of_other_kinds_count_neither_for_nor_against_a_kind(case):
    dark = results(case, case.lesion("dark"))
    table = measure(case, dark, dark)
    assert table["lesions"]["dark"]["ap"] == 1
    assert [name for name, figures in table["lesions"].items() if figures["found"]] == ["dark"]
    assert [figures["covered"] for figures in table["lesions"].values()] == [kind == "dark" for kind in KINDS]
    assert table["pooled"]["found"] == 1


def test_lesion_that_detections_only_touch_is_not_found(case):
    corner = np.zeros(case.labels.shape, dtype=bool)
    corner[tuple(np.argwhere(case.lesion("dark"))[0])] = True
    table = measure(case, results(case, corner), results(case, corner))
    assert 0 < table["lesions"]["dark"]["covered"] < 0.1
    assert table["pooled"]["found"] == 0
    bright = table["lesions"]["bright"]
    assert bright["ap"] == pytest.approx(bright["chance_ap"])
    assert bright["auroc"] == 0.5
    analysed_mask, others = case.analysed, (case.labels > 0) & ~case.lesion("bright")
    fraction = (case.lesion("bright") & analysed_mask).sum() / (analysed_mask & ~others).sum()
    assert bright["chance_ap"] == pytest.approx(fraction)


def test_detections_beside_the_lesions_are_counted(case):
    scores = (case.lesion("dark") & case.analysed).astype(float)
    far = np.argwhere(case.analysed & (ndimage.distance_transform_edt(case.labels == 0) > 3))
    scores[tuple(far[0])] = scores[tuple(far[-1])] = 1
    table = measure(case, results(case, scores), results(case, scores))
    assert table["elsewhere"] == {"detections": 2, "ml": pytest.approx(2 * 4.5e-3, abs=0.005)}
    assert table["healthy"]["detections"] == 3


def test_detections_too_small_to_count_are_told():
    assert list_omissions({"least_ml": 2.104}) == [
        "Detections below 2.1 ml do not count: healthy heads have such."
    ]
    assert list_omissions({"least_ml": 0.0}) == []


def test_detections_beside_the_lesions_are_told_with_their_size():
    none, two = ({"elsewhere": {"detections": count, "ml": count * 1.2}} for count in (0, 2))
    assert describe_elsewhere(none) == "no detections beside the lesions"
    assert describe_elsewhere(two) == "2 detections beside the lesions (2.4 ml)"


def test_false_alarms_are_counted_in_the_analysed_slices(case):
    everywhere = results(case, np.ones(case.labels.shape))
    assert measure(case, everywhere, everywhere)["healthy"]["false_alarm_rate"] == 1


def test_all_files_are_there_and_nothing_else(demo_run):
    out, _, _ = demo_run
    maps = {
        f"prediction/{n}_{k}.nii.gz" for n in ("implanted", "healthy") for k in ("anomaly", "mask", "twin")
    }
    others = {
        "scan/implanted.nii.gz",
        "scan/healthy.nii.gz",
        "lesions/implanted_lesions.nii.gz",
        "table.json",
    }
    others |= {"prediction/implanted_report.png", "prediction/implanted_info.json", "prediction/results.csv"}
    files = {p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()}
    assert (
        maps | others | {"demo.png", "montage.png", "planes.png", "planes_healthy.png", "mine.txt"} <= files
    )
    assert not [p for p in out.rglob(".*")]


def test_whole_brain_is_analysed_with_a_model_that_knows_it(tmp_path, model):
    console = Console(file=(tmp_path / "printed.txt").open("w"), width=120)
    result = run_demo(tmp_path / "out", model, brain=small_brain(), console=console, radius=RADIUS)
    console.file.close()
    brain = small_brain().data[0] > 0
    extent = np.flatnonzero(brain.any((0, 1)))
    assert result["slices"] == [extent[0], extent[-1] + 1]
    anomaly = nib.load(tmp_path / "out" / "prediction" / "implanted_anomaly.nii.gz").get_fdata()
    assert (anomaly > 0).any((0, 1)).sum() > 0.8 * len(extent)
    assert "Analysing the whole brain" in (tmp_path / "printed.txt").read_text()
    assert result["healthy"]["detections"] >= 1


def test_older_results_are_replaced_and_other_files_kept(demo_run):
    out, _, _ = demo_run
    assert (out / "mine.txt").read_text() == "keep"
    assert (out / "montage.png").read_bytes().startswith(b"\x89PNG")


def test_volumes_lie_on_the_grid_of_the_scan(demo_run, case):
    out, _, _ = demo_run
    for path in out.rglob("*.nii.gz"):
        image = nib.load(path)
        assert image.shape == case.labels.shape, path
        assert np.allclose(image.affine, AFFINE), path
    labels = np.asarray(nib.load(out / "lesions" / "implanted_lesions.nii.gz").dataobj)
    assert np.array_equal(labels, case.labels)


def test_maps_lie_in_the_analysed_slices_only(demo_run, case):
    out, _, _ = demo_run
    anomaly = nib.load(out / "prediction" / "implanted_anomaly.nii.gz").get_fdata()
    assert anomaly[case.analysed].any()
    assert not anomaly[~case.analysed].any()


def test_table_on_disk_is_what_is_returned(demo_run):
    out, result, _ = demo_run
    assert json.loads((out / "table.json").read_text()) == result
    assert set(result["lesions"]) == set(KINDS)
    for figures in [result["pooled"], *result["lesions"].values()]:
        assert all(math.isfinite(v) for v in figures.values())
        assert all(0 <= v <= 1 for k, v in figures.items() if k not in ("ml", "found"))
    assert result["nfe"] == 2
    assert result["slices"] == [12, 26]


def test_info_names_the_scan_where_it_lies(demo_run):
    out, _, _ = demo_run
    info = json.loads((out / "prediction" / "implanted_info.json").read_text())
    assert info["scan"] == [str(out / "scan" / "implanted.nii.gz")]


def test_kinds_measures_and_files_are_printed(demo_run):
    out, result, text = demo_run
    for word in (
        "Dark",
        "Bright",
        "Textured",
        "Mass effect",
        "all four",
        "AUROC",
        "oracle",
        "found",
        "of 4",
        result["healthy"]["verdict"],
        str(out / "demo.png"),
        str(out / "montage.png"),
    ):
        assert word in text
    assert f"{result['pooled']['ap']:.3f}" in text
    assert f"{result['nfe']} network evaluations" in text


def test_failed_run_leaves_older_results(tmp_path, model, monkeypatch):
    out = tmp_path / "out"
    out.mkdir()
    (out / "montage.png").write_text("old")

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("diffad.demo.picture.draw_demo", fail)
    with pytest.raises(OSError, match="No space"):
        run_quietly(out, model)
    assert [p.name for p in out.iterdir()] == ["montage.png"]
    assert (out / "montage.png").read_text() == "old"


def test_model_of_other_planes_is_refused(tmp_path):
    save_model(tmp_path / "coronal", axis="coronal")
    with pytest.raises(ValueError, match="expected a model of axial slices, got one of axis 'coronal'"):
        run_quietly(tmp_path / "out", tmp_path / "coronal")


def test_missing_nilearn_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "nilearn.datasets", None)
    with pytest.raises(ImportError, match=r"pip install 'diffad\[demo\]'"):
        run_demo(tmp_path / "out", "no model is looked for")


def test_template_needs_no_network(monkeypatch):
    pytest.importorskip("nilearn")

    def refuse(*args, **kwargs):
        raise AssertionError("tried to use the network")

    monkeypatch.setattr("socket.socket.connect", refuse)
    brain = load_template()
    assert brain.data.shape == (1, 197, 233, 189)
    assert brain.spacing == pytest.approx(1.0)
    assert (brain.data == 0).mean() > 0.5


def test_plan_follows_from_the_model_and_a_brain_given_comes_first():
    assert choose_plan("brain-any") is SIZES_PLAN
    assert choose_plan("ixi-t1-axial").slices == (91, 100)
    assert choose_plan(None) is choose_plan("mine") is KINDS_PLAN
    brain = small_brain()
    plan = choose_plan("ixi-t1-axial", brain)
    assert plan.load() is brain
    assert (plan.slices, plan.contrast) == ((91, 100), "")
    assert [lesion.name for lesion in plan.lesions] == list(KINDS)


@pytest.fixture(scope="module")
def phantom_run(tmp_path_factory, model):
    """A coarse phantom, its folder, the table, and what was printed."""
    pytest.importorskip("nilearn")
    out = tmp_path_factory.mktemp("phantom") / "out"
    radii = {"largest": 3.5, "large": 3.0, "small": 2.7, "smallest": 2.4}
    lesions = tuple(PlannedLesion(name, "bright", (radius, radius + 0.2)) for name, radius in radii.items())
    plan = replace(SIZES_PLAN, load=partial(demo_plan.load_phantom, 4.0), lesions=lesions)
    console = Console(file=(out.parent / "printed.txt").open("w"), width=140)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLANS, "toy", plan)
        result = run_demo(out, model, console=console)
    console.file.close()
    return out, result, (out.parent / "printed.txt").read_text()


def test_four_sizes_lie_in_a_whole_phantom(phantom_run):
    out, result, _ = phantom_run
    sizes = [figures["ml"] for figures in result["lesions"].values()]
    assert list(result["lesions"]) == list(demo_plan.SIZES)
    assert sizes == sorted(sizes, reverse=True)
    labels = np.asarray(nib.load(out / "lesions" / "implanted_FLAIR_lesions.nii.gz").dataobj)
    assert set(np.unique(labels)) == {0, 1, 2, 3, 4}
    healthy, sick = (nib.load(out / f"scan/{n}_FLAIR.nii.gz").get_fdata() for n in ("healthy", "implanted"))
    assert all((sick - healthy)[labels == label].mean() > 0 for label in range(1, 5))
    extent = np.flatnonzero((healthy > 0).any((0, 1)))
    assert result["slices"] == [extent[0], extent[-1] + 1]


def test_scans_of_a_phantom_say_their_contrast_in_every_name(phantom_run):
    out, _, text = phantom_run
    for name in ("implanted_FLAIR", "healthy_FLAIR"):
        info = json.loads((out / "prediction" / f"{name}_info.json").read_text())
        assert info["scan"] == [str(out / "scan" / f"{name}.nii.gz")]
        assert (out / "prediction" / f"{name}_report.png").is_file()
    assert "contrast" not in " ".join(info["warnings"])
    assert {p.name.split("_")[1] for p in out.glob("prediction/*_*")} == {"FLAIR"}
    paths = [word for word in text.split() if word.startswith(str(out))]
    assert len(paths) > 6
    assert all(Path(word.rstrip(":")).is_file() for word in paths)


def test_phantom_is_called_synthetic_and_known_to_the_model(phantom_run):
    _, result, text = phantom_run
    for words in (
        "a synthetic head (a deformed MNI152 template)",
        "The model was trained on such synthetic heads",
        "Largest",
        "Smallest",
        result["healthy"]["verdict"],
    ):
        assert words in text
    assert "real brain" not in text


def test_picture_shows_both_heads_below_each_other(phantom_run):
    out, _, _ = phantom_run
    both, *heads = (Image.open(out / n) for n in ("demo.png", "planes.png", "planes_healthy.png"))
    assert both.width == heads[0].width == heads[1].width
    assert both.height > heads[0].height + heads[1].height
