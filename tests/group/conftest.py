"""Results of a small cohort in the template, and the command that sums them up."""

import pytest

from diffad.cli import main
from diffad.group import regions
from diffad.io.spaces import TEMPLATE_SPACE
from tests.helpers.cohorts import brain, write_model
from tests.helpers.cohorts import write as save
from tests.helpers.groups import COUNT, MAP, cut_seen
from tests.helpers.ways import SHAPE, coarsen_template, register_at_once


@pytest.fixture(scope="module")
def template():
    """The template with voxels of 4 mm."""
    with pytest.MonkeyPatch.context() as patch:
        yield coarsen_template(patch)
    regions.draw_labels.cache_clear()
    regions.measure_regions.cache_clear()


@pytest.fixture(scope="module")
def results(tmp_path_factory, template):
    """Results of four scans in the template, of which one was analysed in part."""
    pytest.importorskip("SimpleITK")
    work = tmp_path_factory.mktemp("group")
    for seed in range(COUNT):
        save(work / "scans" / f"sub-{seed}_T1w.nii.gz", brain(seed, SHAPE))
    model, out = write_model(work / "model"), work / "maps"
    with pytest.MonkeyPatch.context() as patch:
        register_at_once(patch)
        patch.setattr("diffad.report.montage.save_report", lambda out, path: path.write_bytes(b"picture"))
        words = ["predict", str(work / "scans"), "--model", str(model), "--threshold", "0.1", "--no-page"]
        assert main([*words, "--out", str(out), "--space", TEMPLATE_SPACE, "--device", "cpu"]) == 0
    cut_seen(out / f"sub-1_T1w{MAP}_seen.nii.gz")
    return out


@pytest.fixture
def folder(results, tmp_path):
    """The same results, which a test may change: maps are links, tables are copies."""
    copy = tmp_path / "maps"
    copy.mkdir()
    for path in results.iterdir():
        if path.is_file():
            is_map = path.name.endswith((".nii.gz", ".tfm"))
            (copy / path.name).hardlink_to(path) if is_map else (copy / path.name).write_bytes(
                path.read_bytes()
            )
    return copy


@pytest.fixture
def group(folder, tmp_path, capsys):
    def run(*words, out=tmp_path / "group"):
        capsys.readouterr()
        code = main(["group", str(folder), "--out", str(out), *map(str, words)])
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out + told.err

    run.out = tmp_path / "group"
    return run
