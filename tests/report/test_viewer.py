"""Pages that work offline: what they carry is what was found, where it was found, and nothing breaks out."""

import base64
import gzip
import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.data.volume import Volume
from diffad.inference.output import AnomalyOutput
from diffad.report.viewer import IndexRow, bundle, volumes, write_index, write_page

TURN = np.array([[0.96, -0.28, 0], [0.28, 0.96, 0], [0, 0, 1]])
PNG = b"\x89PNG picture"
EVIL = "</script><img src=x onerror=alert(1)> \"ü' &"


def result(folder, grid="las", shape=(20, 24, 16)):
    affine = np.eye(4)
    affine[:3, :3] = {"las": np.diag([-2.0, 2, 3]), "oblique": TURN @ np.diag([-2.0, 2, 3])}[grid]
    affine[:3, 3] = (30, -20, 7)
    rng, centre = np.random.default_rng(0), np.array(shape) / 2
    brain = sum(((a - c) / (0.7 * c)) ** 2 for a, c in zip(np.indices(shape), centre, strict=True)) < 1
    nib.save(nib.Nifti1Image(np.float32(brain * (100 + 50 * rng.random(shape))), affine), folder / "a.nii.gz")
    volume = Volume.load(folder / "a.nii.gz")
    image = torch.from_numpy(volume.data)[None]
    anomaly = torch.zeros_like(image)
    anomaly[0, 0, 8:11, 10:13, 7:9] = torch.linspace(0.7, 0.8, 18).reshape(3, 3, 2)
    anomaly[0, 0, 12:14, 8:10, 4:6] = 0.5
    info = {"threshold": 0.3, "threshold_rule": "otsu", "warnings": [EVIL], "scan": [EVIL], "nfe": 1}
    return AnomalyOutput(
        anomaly, image * 0.9, anomaly > 0.3, torch.tensor([0.8]), info, image, image > 0, volume
    )


def write(tmp_path, out, name="p.html", title="a"):
    return write_page(out, tmp_path / name, out.lesions(), title=title, picture=PNG).read_text(
        encoding="utf-8"
    )


def unpack(text):
    data = json.loads(re.search(r'id="data">(.*?)</script>', text, re.S).group(1))
    raw = {kind: gzip.decompress(base64.b64decode(v["base64"])) for kind, v in data["volumes"].items()}
    return {kind: nib.Nifti1Image.from_bytes(r) for kind, r in raw.items()}, data


@pytest.mark.parametrize("grid", ["las", "oblique"])
def test_volumes_of_a_page_are_those_of_the_files_within_half_a_grey_value(tmp_path, grid):
    out = result(tmp_path, grid)
    images, _ = unpack(write(tmp_path, out))
    scan = nib.load(tmp_path / "a.nii.gz")
    change = np.linalg.inv(scan.affine) @ images["scan"].affine
    assert np.allclose(change[:3, :3], np.eye(3), atol=1e-5)  # same orientation: only the corner moved
    corner = np.round(change[:3, 3]).astype(int)
    assert np.allclose(change[:3, 3], corner, atol=1e-4)
    box = tuple(slice(c, c + n) for c, n in zip(corner, images["scan"].shape, strict=True))
    native = {"scan": scan.get_fdata()[box]}
    for kind, tensor in (
        ("map", out.anomaly_map),
        ("mask", out.mask),
        ("reconstruction", out.reconstruction),
    ):
        out.volume.save(tensor[0].float(), tmp_path / f"{kind}.nii.gz")
        native[kind] = nib.load(tmp_path / f"{kind}.nii.gz").get_fdata()[box]
    for kind, values in native.items():
        step = images[kind].dataobj.slope
        assert step <= native["scan" if kind == "reconstruction" else kind].max() / 254
        assert np.abs(images[kind].get_fdata() - values).max() <= 0.51 * step


def test_same_result_is_the_same_page(tmp_path):
    out = result(tmp_path)
    assert write(tmp_path, out) == write(tmp_path, out, "q.html")


def test_nothing_breaks_out_of_a_page(tmp_path):
    text = write(tmp_path, result(tmp_path), title=EVIL)
    assert "<img src=x" not in text
    assert text.count("</script>") == 3
    assert "&lt;/script&gt;" in text


def test_page_asks_for_nothing_from_elsewhere(tmp_path):
    text = re.sub(r'id="niivue">.*?</script>', "", write(tmp_path, result(tmp_path)), flags=re.S)
    assert "default-src 'none'" in text
    text = re.sub(r'<pre class="licence">.*?</pre>', "", text, flags=re.S)
    assert not re.findall(r'(?:src|href)="(?!data:|index|\.\./)[^"]+"', text)
    assert "http" not in text.replace("http-equiv", "")


def test_lesions_of_a_page_lead_to_their_peaks(tmp_path):
    out = result(tmp_path)
    affine = out.volume.origin.affine
    rows = re.findall(r'data-x="([^"]+)" data-y="([^"]+)" data-z="([^"]+)"', write(tmp_path, out))
    peaks = [affine[:3, :3] @ lesion.peak_voxel + affine[:3, 3] for lesion in out.lesions()]
    np.testing.assert_allclose([[float(x) for x in row] for row in rows], peaks, atol=1e-4)
    assert len(rows) == 2


def test_page_without_lesions_says_so(tmp_path):
    out = result(tmp_path)
    out.mask[:] = False
    assert "Nothing was detected" in write(tmp_path, out)


def test_large_volume_is_shown_in_blocks_that_keep_small_lesions(tmp_path, monkeypatch):
    out = result(tmp_path)
    out.anomaly_map[0, 0, 5, 15, 9], out.mask[0, 0, 5, 15, 9] = 0.9, True  # a single voxel
    whole, _ = unpack(write(tmp_path, out))
    monkeypatch.setattr(volumes, "LARGEST", 2000)
    text = write(tmp_path, out)
    images, _ = unpack(text)
    assert "averaged over blocks of 2 x 2 x 1 voxels" in text  # slices are thicker than pixels
    assert np.prod(images["map"].shape) <= 2000
    anomaly = images["map"].get_fdata()
    assert anomaly.max() == pytest.approx(0.9, abs=0.002)
    for lesion in out.lesions():
        place = np.linalg.inv(images["mask"].affine) @ [*lesion.centre_mm, 1]
        assert images["mask"].get_fdata()[tuple(np.round(place[:3]).astype(int))] == pytest.approx(1)
    assert images["scan"].get_fdata().mean() == pytest.approx(whole["scan"].get_fdata().mean(), rel=0.15)


def test_outliers_do_not_cost_the_grey_values(tmp_path):
    out = result(tmp_path)
    out.image[0, 0, 10, 12, 8] = 30000.0
    images, data = unpack(write(tmp_path, out))
    volume = data["volumes"]["scan"]
    scan = images["scan"].get_fdata()
    assert scan.max() == pytest.approx(30000, rel=1e-5)
    assert (volume["high"] - volume["low"]) / images["scan"].dataobj.slope >= volumes.FINE
    assert volume["high"] < 200


def test_file_names_that_are_not_unicode_have_a_page(tmp_path):
    text = write(tmp_path, result(tmp_path), title="a\udcff")
    assert "<h1>a?</h1>" in text
    index = write_index([IndexRow("a\udcff", page="a\udcff.html")], tmp_path / "index.html", title="S")
    assert 'href="a%FF.html"' in index.read_text(encoding="utf-8")


def test_tensor_has_no_page(tmp_path):
    out = result(tmp_path)
    out.volume = None
    with pytest.raises(ValueError, match="result of a volume for a page"):
        write_page(out, tmp_path / "p.html", [], title="a", picture=PNG)


def test_index_leads_to_pages_and_lists_failures(tmp_path):
    rows = [
        IndexRow("a", score="0.5", volume_ml="1.25", lesions=2, page="x y#1.html", picture="a.png"),
        IndexRow(EVIL, "failed", error=EVIL),
    ]
    text = write_index(rows, tmp_path / "index.html", title="Study").read_text(encoding="utf-8")
    assert 'href="x%20y%231.html"' in text
    assert "2 scans: 1 failed" in text
    assert "<img src=x" not in text
    assert text.count("<script>") == 1


def test_bundled_viewer_is_the_one_it_says(tmp_path, monkeypatch):
    assert len(bundle.read_viewer()) < 1_000_000
    assert bundle.VERSION in bundle.FILE.with_name("NIIVUE.txt").read_text()
    (tmp_path / "x.gz").write_bytes(gzip.compress(b"another"))
    monkeypatch.setattr(bundle, "FILE", tmp_path / "x.gz")
    with pytest.raises(OSError, match="expected NiiVue"):
        bundle.read_viewer()


@pytest.mark.slow
@pytest.mark.skipif(
    not (shutil.which("node") and os.environ.get("DIFFAD_CHROME")), reason="no browser: see viewer_check.js"
)
def test_sliders_and_lesions_work_in_a_browser(tmp_path):
    out = result(tmp_path, "oblique")
    out.analysed = out.brain.clone()
    out.analysed[..., 12:] = False
    write(tmp_path, out)
    script = Path(__file__).with_name("viewer_check.js")
    words = ["node", str(script), str(tmp_path / "p.html"), str(tmp_path / "p.png")]
    saw = json.loads(subprocess.run(words, check=True, capture_output=True, timeout=300).stdout)
    assert (saw["trouble"], saw["errors"], saw["requests"], saw["wide"]) == ("", [], [], False)
    assert saw["start"]["coloured"] > 50 * saw["clear"]["coloured"]
    assert saw["low"]["coloured"] > saw["high"]["coloured"]
    assert saw["clear"]["lit"] > 1000
    assert saw["state"]["threshold"] == pytest.approx(saw["top"], rel=1e-3)
    assert saw["detections"]["green"] > 50
    assert saw["start"]["green"] == 0
    keys = saw["keys"]
    assert (keys["second"], keys["drag"], keys["dragAfter"], keys["hidden"]) == (1, 2, 8, 0)
    assert keys["shown"] > 0.3
    assert keys["volumes"] == sorted(keys["volumes"], reverse=True)
    assert "by volume (ml), the highest first" in keys["order"]
    assert keys["steps"]["PageUp"][2] == pytest.approx(3, abs=0.1)
    assert np.linalg.norm(keys["steps"]["ArrowLeft"]) == pytest.approx(2, abs=0.1)
    assert keys["steps"]["ArrowLeft"][0] > 1.5  # the right of the patient is on the left
    for lesion, jump in zip(out.lesions(), saw["jumps"], strict=True):
        assert np.allclose(jump["crosshairs"], [lesion.centre_mm] * 2, atol=0.01)
        assert np.allclose(jump["voxels"], [jump["voxels"][0]] * 2)
        assert jump["detected"] == pytest.approx(1, abs=0.01)
        assert jump["map"] == pytest.approx(jump["values"]["map"])
        assert jump["map"] > 0.3


def test_page_names_places_and_says_how_they_are_known(tmp_path):
    out = result(tmp_path)
    lesions = out.lesions()
    assert "not known</td>" in write(tmp_path, out)
    places = [("left thalamus", "registration"), ("right insula <b>", "brain shape")]
    named = [replace(x, place=p, place_source=s) for x, (p, s) in zip(lesions, places, strict=True)]
    out.info["to_template"] = {"source": "registration", "matrix": np.eye(4).tolist()}
    text = write_page(out, tmp_path / "n.html", named, title="a", picture=PNG).read_text(encoding="utf-8")
    assert ">left thalamus</td>" in text
    assert ">about right insula &lt;b&gt;</td>" in text
    assert "Left and right are those of the person." in text
