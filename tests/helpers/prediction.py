"""A model and a cohort to run the command on."""

import pytest

from diffad.cli import main
from tests.helpers.cohorts import brain, write, write_model


@pytest.fixture(scope="module", autouse=True)
def _quick_report():
    """Drawing takes longer than all else here; one test draws."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("diffad.report.montage.save_report", lambda out, path: path.write_bytes(b"picture"))
        yield


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def cohort(tmp_path):
    for seed in range(2):
        write(tmp_path / "scans" / f"s{seed}.nii.gz", brain(seed))
    return tmp_path / "scans"


@pytest.fixture
def predict(model, cohort, tmp_path, capsys):
    """Run the command; return its exit code and what it printed."""

    def run(*words, scans=(cohort,), model=model):
        code = main(
            ["predict", *map(str, scans), "--model", str(model), "--out", str(tmp_path / "out"), *words]
        )
        told = capsys.readouterr()
        assert "Traceback" not in told.err
        return code, told.out + told.err

    run.out = tmp_path / "out"
    return run
