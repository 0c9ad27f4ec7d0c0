"""Stopped anywhere, by whatever, a benchmark goes on to the same bytes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from diffad.benchmark import predict, score
from diffad.benchmark.run import STOP_MESSAGE, run_benchmark, run_command
from diffad.distributed import Process
from diffad.io.claims import RUNNING, ClaimedError, hold_claim

SINGLE_PROCESS = Process()


@pytest.fixture(scope="module")
def expected_table(tmp_path_factory, slices, model):
    """The tables of a run that nobody stops."""
    from diffad.benchmark.config import load_benchmark
    from tests.benchmark.conftest import TEXT

    folder = tmp_path_factory.mktemp("whole")
    text = (
        TEXT.replace("SLICES", str(slices)).replace("MODEL", str(model)).replace("OUT", str(folder / "out"))
    )
    (folder / "tiny.yaml").write_text(text)
    run_benchmark(load_benchmark(folder / "tiny.yaml"), SINGLE_PROCESS)
    return (folder / "out" / "results.csv").read_bytes()


def interrupt_call(monkeypatch, module, name, k):
    """Let the k-th call of a function be the one in which Ctrl-C is pressed."""
    original, calls = getattr(module, name), []

    def call(*args):
        calls.append(args)
        if len(calls) == k:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(module, name, call)


@pytest.mark.parametrize(("module", "name"), [(predict, "predict_unit"), (score, "evaluate_unit")])
@pytest.mark.parametrize("k", [1, 4, 9])
def test_interrupted_run_goes_on_to_the_same_bytes(
    file, tiny, expected_table, monkeypatch, capsys, module, name, k
):
    with monkeypatch.context() as patch:
        interrupt_call(patch, module, name, k)
        assert run_command(str(file), []) == 130
    assert STOP_MESSAGE in capsys.readouterr().err
    assert run_command(str(file), []) == 0
    assert (tiny().out / "results.csv").read_bytes() == expected_table


def test_broken_unit_is_made_again_with_a_warning(file, tiny, expected_table, capsys):
    assert run_command(str(file), []) == 0
    file_to_break = sorted((tiny().out / "maps").rglob("*.safetensors"))[3]
    file_to_break.write_bytes(file_to_break.read_bytes()[:100])
    info = sorted((tiny().out / "maps").rglob("*.json"))[5]
    info.write_text('{"finger')
    next((tiny().out / "scores").rglob("*.json")).write_text("[")
    (tiny().out / "results.csv").unlink()
    assert run_command(str(file), []) == 0
    assert capsys.readouterr().err.count("is broken and is made again") == 2
    assert (tiny().out / "results.csv").read_bytes() == expected_table


def test_other_model_under_the_same_path_is_reported_and_done_again(tmp_path, file, tiny, model, capsys):
    import shutil

    from tests.helpers.cohorts import write_model

    folder = shutil.copytree(model, tmp_path / "mine")
    change = [f"methods=[{{label: plain, pipeline: {folder}}}]", "seeds=[0]", "baselines=false"]
    assert run_command(str(file), change) == 0
    before = (tiny().out / "results.csv").read_bytes()
    shutil.rmtree(folder)
    write_model(folder, channels=(16, 16))
    assert run_command(str(file), change) == 0
    assert "comes from another model, data or settings" in capsys.readouterr().err
    assert (tiny().out / "results.csv").read_bytes() != before


def launch(file, *launcher):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}
    command = [sys.executable, *(launcher or ("-m", "diffad.benchmark")), str(file)]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def count_units(out):
    return len(list(out.rglob("maps/*/*/[!.]*.json")) + list(out.rglob("scores/*/*/[!.]*.json")))


def kill_after(file, out, count, number):
    """Start a benchmark and send it a signal as soon as it has finished so many units more."""
    before, process = count_units(out), launch(file)
    try:
        while process.poll() is None and count_units(out) < before + count:
            time.sleep(0.002)
        process.send_signal(number)
        process.communicate(timeout=60)
        return process.returncode
    finally:
        process.kill()


@pytest.mark.slow
def test_run_killed_twice_goes_on_to_the_same_bytes(file, tiny, expected_table):
    out = tiny().out
    assert kill_after(file, out, 3, signal.SIGKILL) == -signal.SIGKILL
    assert not (out / "results.csv").exists()
    assert 3 <= count_units(out) < 48
    assert kill_after(file, out, 6, signal.SIGKILL) == -signal.SIGKILL
    process = launch(file)
    process.communicate(timeout=120)
    assert process.returncode == 0
    assert (out / "results.csv").read_bytes() == expected_table


@pytest.mark.slow
def test_sigterm_ends_the_run_with_130(file, tiny):
    assert kill_after(file, tiny().out, 2, signal.SIGTERM) == 130


@pytest.mark.slow
def test_two_processes_make_the_same_table_as_one(file, tiny, expected_table):
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", "-m", "diffad.benchmark")
    process = launch(file, *launcher)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 0, stderr.decode()
    # each process has half of the units, and none is met twice
    lines = [line for line in stderr.decode().splitlines() if line.startswith("maps ")]
    assert len(lines) == len(list(tiny().out.rglob("maps/*/*/[!.]*.json")))
    assert {line.split(":")[0].split()[-1] for line in lines} == {str(len(lines) // 2)}
    assert (tiny().out / "results.csv").read_bytes() == expected_table


def test_second_run_in_the_same_folder_is_refused_and_harms_nothing(file, tiny, expected_table):
    out = tiny().out
    (out / "maps").mkdir(parents=True)
    partial = out / "maps" / ".01234567.unit.safetensors"  # of the run that is at work
    partial.write_bytes(b"half")
    with hold_claim(out / RUNNING / "benchmark.lock"):
        with pytest.raises(ClaimedError, match=f"^{out}: expected nobody else at work here, found process"):
            run_command(str(file), [])
        assert partial.exists()
    assert run_command(str(file), []) == 0
    assert not partial.exists()
    assert (out / "results.csv").read_bytes() == expected_table
    assert not (out / RUNNING).exists()
