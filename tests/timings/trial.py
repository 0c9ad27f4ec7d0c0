"""Run tests in a copy of the tree, each time in a fork of a process that has the heavy packages loaded."""

import contextlib
import gc
import importlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

import pytest

HEAVY = """coverage einops hypothesis hypothesis.extra.numpy numpy scipy.ndimage scipy.stats scipy.signal
scipy.interpolate scipy.spatial torch torch.utils.data torch.utils.tensorboard torch.distributed numba
opensimplex diffusers diffusers.models.unets.unet_2d diffusers.schedulers accelerate safetensors.torch
monai.metrics monai.losses monai.transforms monai.networks nibabel yaml rich.console rich.progress typer
PIL.Image matplotlib.pyplot skimage.metrics skimage.morphology sklearn.metrics SimpleITK"""
CHECKOUT = Path(__file__).resolve().parents[2]
MEMORY = 12 * 2**30


def preload():
    """Import packages of others that take long, and none of ours."""
    for name in HEAVY.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()


def tracked(root):
    """List the files of the checkout that git does not ignore, relative to ``root``."""
    command = ["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(command, capture_output=True, check=True, text=True).stdout.split("\0")
    return sorted(name for name in names if name and (root / name).exists())


class Tree:
    """A copy of the checkout in a temporary folder, in which one fault at a time is tried."""

    def __init__(self, root):
        self.base = Path(tempfile.mkdtemp(prefix="diffad-mutation-"))
        self.root = self.base / "tree"
        for name in tracked(root):
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, self.root / name, follow_symlinks=False)

    def remove(self):
        """Delete the copy."""
        shutil.rmtree(self.base, ignore_errors=True)

    @contextlib.contextmanager
    def faulty(self, fault):
        """Put the fault into the copy, with nothing of it compiled before, and take it back."""
        path = self.root / fault.path
        source, times = path.read_bytes(), path.stat()
        with self._uncompiled(path):
            path.write_bytes(fault.apply(source))
            try:
                yield
            finally:
                path.write_bytes(source)
                os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    @contextlib.contextmanager
    def _uncompiled(self, path):
        folder, aside = path.parent / "__pycache__", self.base / "aside"
        kept = list(folder.glob("*" if compiles(path) else f"{path.stem}.*"))
        aside.mkdir()
        for file in kept:
            file.rename(aside / file.name)
        try:
            yield
        finally:
            for file in folder.glob("*" if compiles(path) else f"{path.stem}.*"):
                file.unlink()
            for file in kept:
                (aside / file.name).rename(file)
            aside.rmdir()

    def run(self, job, limit):
        """Run ``job`` in a fork for ``limit`` seconds of processor time, or ten times as many by the clock.

        Returns what it reports, with how it ended and the processor time it took.
        """
        result = self.base / "result.json"
        result.write_text("{}")
        pid = os.fork()
        if pid == 0:
            self._child(job, result, limit)
        end, cpu = _wait(pid, 10 * limit)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        report = json.loads(result.read_text())
        if "error" in report:
            raise RuntimeError(report["error"])
        return {**report, "end": end, "cpu": cpu}

    def _child(self, job, result, limit):
        try:
            self._enter(limit)
            result.write_text(json.dumps(job(self.root, result)))
        except BaseException:
            result.write_text(json.dumps({"error": traceback.format_exc()}))
        finally:
            os._exit(0)

    def _enter(self, limit):
        """Stand in the copy: in a group of its own, output to a file, our packages unread."""
        os.setsid()
        output = os.open(self.base / "output.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit), int(limit) + 1))
        os.chdir(self.root)
        sys.path[:] = [str(self.root), *(p for p in sys.path if Path(p or ".").resolve() != CHECKOUT)]
        for name in [n for n in sys.modules if n.split(".")[0] in ("tests", "diffad")]:
            del sys.modules[name]


def compiles(path):
    """Whether numba compiles functions of this module, or of one beside it that imports from it.

    What numba keeps on disk knows changes of its own module only.
    """
    beside = [p for p in path.parent.glob("*.py") if re.search(r"\bnumba\b|@compiled", p.read_text())]
    return path in beside or any(f".{path.stem} import" in p.read_text() for p in beside)


def _wait(pid, limit):
    """Wait for a process; say how it ended and its seconds of processor time, its children's with it."""
    until = time.monotonic() + limit
    while time.monotonic() < until:
        ended, status, usage = os.wait4(pid, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            end = {0: "done", -signal.SIGXCPU: "time limit"}.get(code, f"exit {code}")
            return end, usage.ru_utime + usage.ru_stime
        time.sleep(0.01)
    os.killpg(pid, signal.SIGKILL)
    _, _, usage = os.wait4(pid, 0)
    return "time limit", usage.ru_utime + usage.ru_stime


class Watch:
    """A plugin of pytest: chooses tests, in their order, and notes what came of each."""

    def __init__(self, wanted, result):
        self.order = None if wanted is None else {name: i for i, name in enumerate(wanted)}
        self.result, self.tests, self.by = result, {}, None

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        if self.order is not None:
            items[:] = sorted(
                (i for i in items if i.nodeid in self.order), key=lambda i: self.order[i.nodeid]
            )

    def pytest_runtest_logstart(self, nodeid):
        self.result.write_text(json.dumps({"by": nodeid}))

    def pytest_collectreport(self, report):
        if report.failed:
            self.by = self.by or report.nodeid

    def pytest_runtest_logreport(self, report):
        test = self.tests.setdefault(report.nodeid, {"seconds": 0.0, "outcome": "passed"})
        test["seconds"] += report.duration
        if report.outcome != "passed":
            test["outcome"] = report.outcome
        if report.failed:
            self.by = self.by or report.nodeid


def run_tests(root, result, files, wanted=None, options=(), plugins=()):
    """Run tests with pytest; return its code, each test's outcome and seconds, and the first that failed."""
    watch = Watch(wanted, result)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    without = [f"-pno:{name}" for name in ("cacheprovider", "unraisableexception", "threadexception")]
    fixed = ["-q", "-m", "not slow", "--rootdir", str(root), *without]
    code = int(pytest.main([*fixed, *options, *files], plugins=[watch, *plugins]))
    ours = Path(sys.modules["diffad"].__file__).resolve() if "diffad" in sys.modules else root
    if not ours.is_relative_to(root.resolve()):
        raise RuntimeError(f"expected the copy of diffad in {root}, got {ours}")
    return {"code": code, "tests": watch.tests, "by": watch.by}
