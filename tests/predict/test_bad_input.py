"""Bad input: one clear line, an exit code that is not 0, and the rest go on."""

import gzip
import shutil

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from tests.helpers.cohorts import AFFINE, all_files, brain, inside, names, table, write, write_model


def with_header(raw, **values):
    header = nib.Nifti1Header(gzip.decompress(raw)[:348])
    for key, value in values.items():
        header[key] = value
    return gzip.compress(header.binaryblock + gzip.decompress(raw)[348:])


def bad_scan(name, good):
    """Return what is wrong with a scan: bytes of a file, or voxels."""
    x, raw = brain(), good.read_bytes()
    broken = x.copy()
    broken[12, 14, 5] = np.nan
    pixdim = nib.load(good).header["pixdim"]
    return {
        "truncated": raw[: len(raw) // 2],
        "text": b"no scan at all",
        "nothing": b"",
        "nan": broken,
        "infinite": np.where(np.isnan(broken), np.inf, broken),
        "constant": np.full_like(x, 7),
        "zero": np.zeros_like(x),
        "flat": np.where(x > 0, np.float32(50), np.float32(0)),
        "line": x[:, 5, 5],
        "two_sequences": np.stack([x, x], -1),
        "no_voxels": with_header(raw, dim=[3, 24, 28, 0, 1, 1, 1, 1]),
        "zero_spacing": with_header(raw, pixdim=[pixdim[0], 0, *pixdim[2:]]),
        "negative_spacing": with_header(raw, pixdim=[*pixdim[:2], -2, *pixdim[3:]]),
        "singular": with_header(raw, srow_x=[0, 0, 0, 0]),
    }[name]


BAD = {
    "truncated": "expected a readable NIfTI file, found EOFError",
    "text": "without a NIfTI-1 or NIfTI-2 signature",
    "nothing": "0 bytes",
    "nan": "expected finite voxels, found 1 of",
    "infinite": "expected finite voxels, found 1 of",
    "constant": "expected contrast, found 7 everywhere",
    "zero": "expected contrast, found 0 everywhere",
    "flat": "expected contrast inside the brain mask, got the constant 50",
    "line": "expected 3-D, or 4-D with sequences last, found 1-D (24,)",
    "two_sequences": "expected 1 sequence(s), as the model was trained on, got 2",
    "no_voxels": "found an empty one of shape (24, 28, 0)",
    "zero_spacing": "expected positive voxel spacing (pixdim), found [0.0",
    "negative_spacing": "expected positive voxel spacing (pixdim), found [2.0, -2.0",
    "singular": "expected an invertible affine",
    "nowhere": "expected a NIfTI file, found no such file",
}


@pytest.fixture(scope="module")
def bad_run(model, tmp_path_factory):
    """One run over all bad scans and two good ones; returns the folder, the exit code and the table."""
    root = tmp_path_factory.mktemp("bad")
    good = write(root / "scans" / "a_good.nii.gz", brain())
    for name in BAD:
        path = root / "scans" / f"{name}.nii.gz"
        if name != "nowhere":
            data = bad_scan(name, good)
            path.write_bytes(data) if isinstance(data, bytes) else write(path, data)
    shutil.copy(good, root / "scans" / "z_good.nii.gz")
    code = main(
        [
            "predict",
            *map(str, (root / "scans", root / "nowhere.nii.gz")),
            "--model",
            str(model),
            "--out",
            str(root / "out"),
        ]
    )
    return root / "out", code, table(root / "out")


@pytest.mark.parametrize("name", BAD)
def test_bad_scan_is_reported_with_its_name_and_what_is_wrong(bad_run, name):
    _, code, rows = bad_run
    assert code == 1
    assert rows[name]["status"] == "failed"
    assert f"{name}.nii.gz: " in rows[name]["error"]
    assert BAD[name] in rows[name]["error"]


def test_good_scans_among_bad_ones_are_done(bad_run):
    out, _, rows = bad_run
    assert [name for name, row in rows.items() if row["status"] == "ok"] == ["a_good", "z_good"]
    assert names(out) == all_files("a_good", "z_good")


@pytest.mark.parametrize(
    ("mask", "affine", "message"),
    [
        (inside() & False, AFFINE, "found an empty mask"),
        (inside()[1:], AFFINE, "found shape (23, 28, 10)"),
        (inside(), AFFINE + np.eye(4)[0][:, None] * [0, 0, 0, 5], "-41.0]"),
    ],
    ids=["empty", "shape", "affine"],
)
def test_mask_that_does_not_fit_fails_the_scan_and_is_named(predict, cohort, tmp_path, mask, affine, message):
    path = write(tmp_path / "m.nii.gz", np.uint8(mask), affine)
    code, told = predict("--mask", str(path), scans=[cohort / "s0.nii.gz"])
    assert code == 1
    assert f"failed s0: {path}: expected" in told
    assert message in told
    assert names(predict.out) == all_files()


def test_slices_beyond_the_scan_fail_it(predict):
    code, told = predict("--slices", "50:60")
    assert (code, "expected brain in the axial slices 50 to 59, found none" in told) == (1, True)


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--slices", "9:3"], 2, "--slices: expected FIRST:LAST"),
        (["--slices", "-1:3"], 2, "--slices: expected FIRST:LAST"),
        (["--threshold", "nan"], 2, "--threshold: expected a number"),
        (["--threshold", "high"], 2, "--threshold: expected a number"),
        (["--precision", "fp8"], 2, "fp8"),
        (["--batch-size", "0"], 2, "--batch-size: expected at least 1 slice, got 0"),
        (["--device", "tpu"], 2, "--device: expected auto, cpu"),
        (["--sampler", "{name: ["], 2, "--sampler"),
        (["--sampler", "3"], 2, "--sampler: expected a name, a YAML mapping or key=value"),
        (["--sampler", "chian"], 1, "unknown sampler 'chian'; did you mean 'chain'?"),
        (["--sampler", "{name: chain, lvel: 2}"], 1, "'lvel'; did you mean 'level'?"),
        (["--sampler", "level=20"], 1, "did you mean 'levels'?"),
        (["--mask", "no/such.nii.gz"], 1, "expected a mask file"),
        (["--sequences", "t1,t2"], 1, "end in t1 or t2"),
    ],
)
def test_wrong_option_is_one_clear_error_and_writes_nothing(predict, words, code, message):
    got, told = predict(*words)
    assert (got, message in told) == (code, True), told
    assert not predict.out.exists()


@pytest.mark.parametrize("own", [True, False], ids=["left over", "missing"])
def test_weights_of_another_architecture_are_refused(predict, model, tmp_path, own):
    other = write_model(tmp_path / "other", attention=True)
    source, target = (other, shutil.copytree(model, tmp_path / "m")) if own else (model, other)
    weights = "network/diffusion_pytorch_model.safetensors"
    shutil.copy(source / weights, target / weights)
    code, told = predict(model=target)
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith(f"error: {target}: expected a model whose files fit together, found: ")
    assert f"{target}/network: expected weights of this architecture, found others: unet." in told
    assert ("belongs to no layer" if own else "is missing") in told


def damaged(kind, folder):
    weights = folder / "network/diffusion_pytorch_model.safetensors"
    if kind == "wide":
        text = (folder / "network/config.json").read_text()
        (folder / "network/config.json").write_text(text.replace("16", "24"))
    elif kind == "cut":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif kind == "gone":
        weights.unlink()
    else:
        (folder / "model_index.json").write_text("{")


@pytest.mark.parametrize("kind", ["wide", "cut", "gone", "index"])
def test_damaged_model_is_one_clear_error_that_names_it(predict, model, tmp_path, kind):
    folder = shutil.copytree(model, tmp_path / "m")
    damaged(kind, folder)
    code, told = predict(model=folder)
    assert (code, told.count("\n")) == (1, 1), told
    assert told.startswith(f"error: {folder}: expected a model whose files fit together, found")


def test_unknown_model_is_one_clear_error(predict):
    code, told = predict(model="ixi-t9")
    assert (code, told.count("\n")) == (1, 1)
    assert told.startswith("error: ixi-t9: no such model")
