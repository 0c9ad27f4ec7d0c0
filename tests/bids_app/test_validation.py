"""The data set is validated before anything is looked at, where the validator is there."""

import json

import pytest

from diffad.bids_app import validation

VALIDATOR = validation.find_validator()
needs_validator = pytest.mark.skipif(VALIDATOR is None, reason="bids-validator-deno is not installed")


@pytest.fixture
def validated(app, monkeypatch):
    """The program, with the validator."""
    monkeypatch.setattr(validation, "find_validator", lambda: VALIDATOR)
    return app


@needs_validator
def test_valid_data_set_is_looked_at(validated, tmp_path):
    code, told = validated("--participant-label", "01", "--sequences", "T1w", "-w", tmp_path / "work")
    assert (code, "not validated" in told) == (0, False)


@needs_validator
def test_data_set_with_errors_is_refused_unless_that_is_skipped(validated, tree):
    (tree / "sub-01/anat/sub-01_T1w.txt").write_text("x")
    code, told = validated()
    assert (code, validated.out.exists()) == (1, False)
    assert "expected a valid BIDS data set, found " in told
    assert "sub-01_T1w.txt" in told
    assert validated("--skip-bids-validation", "--participant-label", "01")[0] == 0


@needs_validator
def test_errors_of_other_participants_do_not_count(validated, tree):
    (tree / "sub-02/ses-a/anat/sub-02_ses-a_T1w.txt").write_text("x")
    assert validated("--participant-label", "01", "--sequences", "T1w")[0] == 0
    assert validated("--participant-label", "02")[0] == 1


def test_validator_that_fails_itself_is_named_and_the_run_goes_on(app, tmp_path, monkeypatch):
    broken = tmp_path / "validator"
    broken.write_text("#!/bin/sh\necho 'out of memory' >&2\nexit 3\n")
    broken.chmod(0o755)
    monkeypatch.setattr(validation, "find_validator", lambda: str(broken))
    code, told = app("--participant-label", "01")
    assert code == 0
    assert "warning: the data set was not validated, as bids-validator-deno failed: out of memory" in told


def test_validator_is_found_beside_python_or_on_the_path(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "")
    assert validation.find_validator() is None
    (tmp_path / validation.VALIDATOR).write_text("")
    assert validation.find_validator() == str(tmp_path / validation.VALIDATOR)


def test_only_errors_are_read(tmp_path):
    answer = {
        "issues": {"issues": [{"severity": "warning", "code": "A"}, {"severity": "error", "code": "B"}]}
    }
    program = tmp_path / "validator"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(answer)}\nE\n")
    program.chmod(0o755)
    assert [issue["code"] for issue in validation.list_errors(tmp_path, str(program))] == ["B"]
