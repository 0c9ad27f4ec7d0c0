"""Results in the space of the template: beside the native ones, the same whenever they are made."""

from types import SimpleNamespace

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.cli import main
from diffad.data.volume import Volume
from diffad.io.naming import RESULT_SUFFIXES
from diffad.io.spaces import SPACE_SUFFIXES, TEMPLATE_SPACE
from diffad.predict.template_space import carry_result, measure_background
from diffad.prepare import template as templates
from diffad.prepare.to_template import TemplateWay
from tests.helpers.cohorts import brain, info, load, table, write
from tests.helpers.ways import SHAPE, register_at_once
from tests.helpers.ways import _quick_ways as _quick_ways
from tests.helpers.ways import cohort as cohort

pytest.importorskip("SimpleITK")
pytestmark = pytest.mark.usefixtures("_quick_ways")
TO = ("--space", TEMPLATE_SPACE, "--no-page")
KINDS = ("scan", "anomaly", "mask", "twin", "seen")


def place(out, kind, name="s0"):
    return out / f"{name}{RESULT_SUFFIXES[kind]}"


def test_results_lie_on_the_template_beside_the_native_ones(predict):
    code, told = predict(*TO)
    assert code == 0, told
    grid = templates.load_mni152().grid
    for kind in KINDS:
        image = nib.load(place(predict.out, f"template_{kind}"))
        assert image.shape == grid.shape
        assert np.array_equal(image.affine, grid.affine)
        assert int(image.header["sform_code"]) == 4
    assert set(SPACE_SUFFIXES) - set(info(predict.out, "s0")["files"]) <= {
        f"template_{kind}" for kind in ("std", "pvalue", "unseen")
    }
    assert load(place(predict.out, "anomaly")).shape == SHAPE
    assert f"s0: in {TEMPLATE_SPACE} by a registration of its own" in told
    assert "volumes in ml are measured on each scan's own grid alone" in told


def test_maps_keep_their_range_and_are_zero_where_nothing_was_analysed(predict):
    predict(*TO)
    native, carried = (load(place(predict.out, kind)) for kind in ("anomaly", "template_anomaly"))
    seen = load(place(predict.out, "template_seen")) > 0
    mask = load(place(predict.out, "template_mask"))
    assert 0.5 * native.max() < carried.max() <= native.max()
    assert carried.min() >= 0
    assert not carried[~seen].any()
    assert set(np.unique(mask)) <= {0, 1}
    assert not mask[~seen].any()
    volume = {k: load(place(predict.out, k)).sum() for k in ("seen", "template_seen")}
    scale = 12.0 / (0.4 * 0.35 * 0.4) / 64  # mm3 of a native voxel, in voxels of the template
    assert volume["template_seen"] == pytest.approx(volume["seen"] * scale, rel=0.05)


@pytest.mark.parametrize("background", [0.0, -1000.0])
def test_beyond_the_scan_lies_its_background_and_not_its_least_value(background):
    image = np.full((1, 8, 9, 7), background, np.float32)
    image[:, 2:6, 2:6, 2:6] = 40
    image[0, 3, 3, 3] = background - 50  # a value that a reconstruction may have
    assert measure_background(image) == background


def test_scan_and_twin_agree_beyond_the_scan():
    grid = templates.load_mni152().grid
    image, seen = torch.zeros(1, 1, 20, 20, 20), torch.ones(1, 1, 20, 20, 20)
    image[..., 5:15, 5:15, 5:15] = 7
    twin = image.clone()
    twin[..., 10, 10, 10] = -50
    volume = Volume(image[0].numpy(), grid.affine)
    output = SimpleNamespace(
        volume=volume, image=image, analysed=seen, get_kinds=lambda: {"twin": twin, "std": twin.abs()}
    )
    carried = dict(carry_result(output, TemplateWay(np.eye(4), "header")))
    assert carried["twin"].min() == -50  # where it was
    assert [float(values[0, -1, -1, -1]) for values in carried.values()] == [0, 0, 0]


def test_what_is_measured_in_ml_is_that_of_the_native_grid(predict):
    predict("--no-page")
    before = table(predict.out)
    predict(*TO, "--overwrite")
    assert {n: r["volume_ml"] for n, r in table(predict.out).items()} == {
        n: r["volume_ml"] for n, r in before.items()
    }


def test_finished_results_are_brought_there_without_the_network_and_alike(predict, monkeypatch):
    predict(*TO)
    at_once = {kind: place(predict.out, f"template_{kind}").read_bytes() for kind in KINDS}
    predict("--no-page", "--overwrite")
    assert not any(path.exists() for path in predict.out.glob(f"*{TEMPLATE_SPACE}*"))
    native = place(predict.out, "anomaly").read_bytes()
    monkeypatch.setattr("diffad.pipeline.AnomalyPipeline.__call__", None)
    code, told = predict(*TO)
    assert (code, "2 done before" in told) == (0, True), told
    assert {kind: place(predict.out, f"template_{kind}").read_bytes() for kind in KINDS} == at_once
    assert place(predict.out, "anomaly").read_bytes() == native
    told = predict(*TO)[1]
    assert "by a registration" not in told
    assert predict("--no-page", "--verify")[1].startswith("2 done before")
    assert place(predict.out, "template_mask").is_file()


def test_scan_that_is_gone_keeps_its_results(predict, cohort):
    predict("--no-page")
    request = info(predict.out, "s0")
    write(cohort / "s0.nii.gz", brain(5, SHAPE))
    _, told = predict(*TO)
    assert "kept s0: made with other scan" in told
    assert info(predict.out, "s0") == request
    assert place(predict.out, "template_mask", "s1").is_file()


def test_damage_of_a_template_map_is_found(predict):
    predict(*TO)
    place(predict.out, "template_mask").write_bytes(b"x")
    assert "redoing s0: " in predict(*TO)[1]
    assert load(place(predict.out, "template_mask")).shape == templates.load_mni152().grid.shape


@pytest.mark.parametrize(
    ("quality", "sentence"),
    [({"dice": 0.61}, "found 0.61"), ({"outside": 0.2}, "found about 20% of it beyond the field")],
)
def test_poor_registration_is_a_warning_with_its_number(predict, monkeypatch, quality, sentence):
    register_at_once(monkeypatch, **quality)
    code, told = predict(*TO)
    assert code == 0
    assert sentence in table(predict.out)["s0"]["warnings"]
    assert told.count(f"warning: s0: {predict.out.parent}") == 1
    assert info(predict.out, "s0")["spaces"][TEMPLATE_SPACE]["source"] == "registration"


def test_scan_that_cannot_be_registered_has_its_native_results_and_a_warning(predict, monkeypatch):
    register_at_once(monkeypatch, outside=0.8)
    code, _ = predict(*TO)
    row, stored = table(predict.out)["s0"], info(predict.out, "s0")
    assert (code, row["status"]) == (0, "ok")
    assert f"no maps in {TEMPLATE_SPACE}: " in row["warnings"]
    assert stored["spaces"][TEMPLATE_SPACE]["source"] == "none"
    assert place(predict.out, "anomaly").is_file()
    assert not place(predict.out, "template_anomaly").exists()
    assert predict(*TO)[1].count("registration") == 0


def test_registration_that_breaks_down_costs_no_native_result(predict, monkeypatch):
    def fail(*_):
        raise RuntimeError("ITK broke down")

    monkeypatch.setattr("diffad.prepare.mni._register", fail)
    code, _ = predict(*TO)
    row = table(predict.out)["s0"]
    assert (code, row["status"], "ITK broke down" in row["warnings"]) == (0, "ok", True)
    assert place(predict.out, "anomaly").is_file()


def test_finished_scan_stays_finished_where_the_template_cannot_be_added(predict, monkeypatch):
    predict("--no-page")
    before = info(predict.out, "s0")

    def fail(*_):
        raise RuntimeError("ITK broke down")

    monkeypatch.setattr("diffad.predict.writer.write_in_template", fail)
    code, told = predict(*TO)
    assert (code, "2 done before" in told, "ITK broke down" in told) == (0, True, True)
    assert table(predict.out)["s0"]["status"] == "ok"
    assert info(predict.out, "s0") == before
    monkeypatch.undo()


def test_rigid_preparation_is_registered_anew(predict):
    code, told = predict("--prepare", "--brain", "none", "--no-bias", "--register", "rigid", *TO)
    assert code == 0, told
    assert f"s0: in {TEMPLATE_SPACE} by a registration of its own" in told


def test_slab_is_too_thin_for_the_template(predict, cohort):
    for path in cohort.iterdir():
        path.unlink()
    write(cohort / "s0.nii.gz", brain(1))
    predict(*TO)
    assert "at least 16 voxels along each axis, found 24x28x10" in table(predict.out)["s0"]["warnings"]


def test_scan_in_the_template_is_taken_as_it_is_and_that_is_said(predict, cohort, monkeypatch):
    monkeypatch.setattr("diffad.prepare.mni._register", None)
    template = templates.load_mni152()
    image = nib.Nifti1Image(
        (template.image * 100)[::2, ::2, ::2], template.grid.affine @ np.diag([2, 2, 2, 1])
    )
    image.set_sform(image.affine, code=4)
    for path in cohort.iterdir():
        path.unlink()
    nib.save(image, cohort / "s0.nii.gz")
    told = predict(*TO)[1]
    assert "its header, which says that it lies in MNI152, taken as it is" in told
    stored = info(predict.out, "s0")["spaces"][TEMPLATE_SPACE]
    assert stored["matrix"] == np.eye(4).tolist()
    assert stored["dice"] > 0.95
    scan = load(place(predict.out, "template_scan"))
    assert np.array_equal(scan[::2, ::2, ::2], load(cohort / "s0.nii.gz"))


def test_prepared_scan_takes_the_registration_of_its_preparation(predict, monkeypatch):
    prepare = ("--prepare", "--brain", "none", "--no-bias")
    code, told = predict(*prepare, *TO)
    assert code == 0, told
    stored = info(predict.out, "s0")
    assert f"s0: in {TEMPLATE_SPACE} by the registration of --prepare" in told
    assert stored["spaces"][TEMPLATE_SPACE]["dice"] == 0.95
    way = np.array(stored["spaces"][TEMPLATE_SPACE]["matrix"])
    assert np.allclose(way, np.array(stored["to_template"]["matrix"]), atol=1e-5)


@pytest.mark.parametrize("name", ["MNI152NLin2009cSym", "mni", ""])
def test_other_spaces_are_refused_with_those_that_are_known(predict, name):
    code, told = predict("--space", name)
    assert (code, f"--space: expected one of native, {TEMPLATE_SPACE}, got {name!r}" in told) == (2, True)


def test_info_of_a_template_map_is_that_of_its_scan(predict, capsys):
    predict(*TO)
    for kind in ("template_scan", "template_mask"):
        assert main(["info", str(place(predict.out, kind))]) == 0
        assert capsys.readouterr().out.split()[:2] == ["kind", "result"]


def test_native_alone_writes_nothing_else(predict):
    predict("--space", "native", "--no-page")
    assert not any(TEMPLATE_SPACE in path.name for path in predict.out.iterdir())
    assert "spaces" not in info(predict.out, "s0")
