"""JSON that diffad keeps for itself, in the hands of strangers: every reader of it, one record each time."""

import io
import json
import math
import tempfile
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import torch

from diffad.benchmark import collect, score, storage
from diffad.benchmark.methods import Prediction
from diffad.benchmark.units import EvaluationUnit
from diffad.cli import main
from diffad.data.layouts.medianomaly import MedianomalyJson
from diffad.data.phantom.plan import PhantomOptions
from diffad.data.phantom.write import _claim_folder
from diffad.inference.lesions import Lesion, read_lesions, write_lesions
from diffad.io.claims import Claim
from diffad.io.digests import find_damage, write_digests
from diffad.io.naming import Naming
from diffad.io.own_maps import is_own_map, read_scan_info
from diffad.predict.finished import inspect_results
from diffad.predict.results import ResultRow
from diffad.prepare.files import ENDS, read_finished
from diffad.report.reading import read_maps
from diffad.training.curves import save_curves
from diffad.training.journal import RunLog
from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_tree
from tests.fuzz.pool import WrongResultError
from tests.fuzz.safetensors_target import make_checkpoint, make_encoder, read_checkpoint, read_encoder
from tests.fuzz.words_target import draw_nothing
from tests.helpers.cohorts import brain, write, write_model

LESION = Lesion(1, 2.5, 300, (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (7.0, 8.0, 9.0), 0.3, 0.7, (4, 5, 6), 0.01)
UNIT = EvaluationUnit("m", 0, "diffad")


class Record:
    """A record: how its folder is made, which file of it is mutated, and how it is read."""

    def __init__(self, name, make, read):
        self.name, self.make, self.read = name, make, read


def make_info(folder, results):
    """Copy the results of a scan."""
    for path in results.iterdir():
        if path.is_file():
            (folder / path.name).write_bytes(path.read_bytes())


def read_info(folder):
    """Use the record of a scan as predict, evaluate and report do."""
    files = Naming("s").files(folder)
    is_own_map(files["anomaly"])
    finished = inspect_results(files, verify=True)
    if finished.info is not None:
        row = ResultRow.from_info("s", finished.info)
        asdict(row)
    read_scan_info(files["info"])
    read_maps(files).lesions()


def make_lesions(folder, _):
    """Write a table of two lesions."""
    write_lesions([LESION, LESION], folder, "s")


def read_back_lesions(folder):
    """Read lesions, and use their fields."""
    for lesion in read_lesions(folder / "s_lesions.json"):
        if not math.isfinite(sum(lesion.centre_mm) + lesion.volume_ml + lesion.peak + lesion.voxels):
            raise WrongResultError(f"a lesion at {lesion.centre_mm}")


def make_digests(folder, _):
    """Write weights and their digests."""
    (folder / "w.safetensors").write_bytes(b"weights")
    write_digests(folder, [folder / "w.safetensors"])


def make_data(folder, _):
    """Write a data set whose table is JSON."""
    (folder / "images").mkdir()
    for name in "abc":
        (folder / f"images/{name}.png").write_bytes(b"picture")
    tree = {"train": {"0": ["a.png"]}, "test": {"0": ["b.png"], "1": ["c.png"]}}
    (folder / "data.json").write_bytes(dump_json(tree))


def make_maps(folder, _):
    """Write maps of a benchmark."""
    prediction = Prediction([torch.rand(3, 4)], [torch.rand(3, 4)], [torch.ones(3, 4) > 0], [0.5], 1, 2, 3.0)
    path = folder / "maps/m/seed-0/t.safetensors"
    storage.store_maps(path, prediction, {"fingerprint": "f", "label": "m", "parameters": 3})


def read_maps_record(folder):
    """Read maps as far as their record counts as finished."""
    path = folder / "maps/m/seed-0/t.safetensors"
    if storage.check_state(path, "f") == "finished":
        storage.load_maps(path)
        collect._sum_cost(folder, "m")


def make_metrics(folder, _):
    """Write metrics of a benchmark."""
    values = {
        "fingerprint": "f",
        "kinds": {"all": {"auroc": [0.5, 0.4, 0.6], "dice": [0.3, 0.2, 0.4]}},
        "subjects": {"s1": [0.3], "s2": [0.4, 0.5]},
        "curves": {"roc": [[0, 0.5, 1], [0, 0.7, 1]]},
        "warnings": ["w"],
    }
    (folder / "metrics.json").write_bytes(dump_json(values))


def read_metrics(folder):
    """Read metrics, and put them into tables."""
    score._read_fingerprint(folder / "metrics.json")
    metrics = score.load_metrics(folder / "metrics.json")
    collect.summarise_kinds(UNIT, metrics)
    collect._average_subjects({UNIT: metrics})
    collect._collect_curves({UNIT: metrics})


def make_prepared(folder, _):
    """Write a prepared scan."""
    for end in ENDS:
        (folder / f"s{end}").write_bytes(b"12345")
    written = [{"bytes": 5, "sha256": "x"} for _ in ENDS]
    (folder / f"s{ENDS[-1]}").write_bytes(dump_json({"request": {"a": 1}, "written": written[:-1]}))


def make_phantom_folder(folder, _):
    """Write the description of a data set of phantoms."""
    _claim_folder(folder / "p", PhantomOptions(), "")


def make_claim(folder, _):
    """Write who holds a claim."""
    (folder / "x.lock").write_bytes(dump_json({"host": "h", "pid": 5}))


def make_log(folder, _):
    """Write the log of a run."""
    lines = [{"step": i, "loss": 0.5 / i, "val_loss": 0.4, "val_mae_5": 0.3} for i in range(1, 9)]
    (folder / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


def read_log(folder):
    """Read the log as a run that goes on does, and draw its curves."""
    state = SimpleNamespace(accelerator=SimpleNamespace(is_main_process=True), folder=folder, step=7)
    RunLog(state, True)._read_earlier_lines()
    save_curves(folder / "log.jsonl", folder / "curves.png")


def read_phantoms(folder):
    """Go on with a data set of phantoms, without drawing any."""
    _claim_folder(folder / "p", PhantomOptions(), "")


RECORDS = (
    Record("s_info.json", make_info, read_info),
    Record("s_lesions.json", make_lesions, read_back_lesions),
    Record("digests.json", make_digests, find_damage),
    Record("data.json", make_data, lambda folder: MedianomalyJson().entries(folder)),
    Record("maps/m/seed-0/t.json", make_maps, read_maps_record),
    Record("metrics.json", make_metrics, read_metrics),
    Record(f"s{ENDS[-1]}", make_prepared, lambda folder: read_finished(folder, "s")),
    Record("p/dataset_description.json", make_phantom_folder, read_phantoms),
    Record("encoder/encoder.json", lambda folder, _: make_encoder(folder), read_encoder),
    Record("run/step-0000002/info.json", lambda folder, _: make_checkpoint(folder), read_checkpoint),
    Record("x.lock", make_claim, lambda folder: Claim(folder / "x.lock").describe_holder()),
    Record("log.jsonl", make_log, read_log),
)


class JsonTarget:
    """Each record that diffad reads back, a key or some bytes of it mutated."""

    names_file = True

    def prepare(self):
        """Predict one scan, whose results are copied."""
        torch.set_num_threads(1)
        self.base = tempfile.TemporaryDirectory(prefix="diffad-fuzz-json-")
        root = Path(self.base.name)
        write(root / "s.nii.gz", brain(shape=(16, 18, 8)))
        words = ["--model", str(write_model(root / "model")), "--out", str(root / "out"), "--no-page"]
        with mock.patch("diffad.report.montage.save_report", draw_nothing), redirect_stdout(io.StringIO()):
            main(["predict", str(root / "s.nii.gz"), *words])
        self.results = root / "out"
        np.seterr(all="ignore")

    def mutate(self, rng, folder):
        """Write one record with all that lies beside it, and mutate it."""
        record = rng.choice(RECORDS)
        record.make(folder, self.results)
        path = folder / record.name
        content, changes = path.read_bytes(), []
        for _ in range(rng.choice((1, 1, 1, 2))):
            content, change = _mutate_record(rng, content)
            changes.append(change)
        path.write_bytes(content)
        self.record = record
        return f"{record.name}: {'; '.join(changes)}"

    def feed(self, folder):
        """Read the record."""
        self.record.read(folder)


def _mutate_record(rng, content):
    if rng.random() < 0.25:
        return mutate_bytes(rng, content)
    if rng.random() < 0.08:
        depth = rng.choice((100, 2000, 100_000))
        return b"[" * depth + b"]" * depth, f"{depth} brackets"
    try:
        lines = content.splitlines() if content.count(b'"step"') > 1 else [content]
        number = rng.randrange(len(lines))
        tree, change = mutate_tree(rng, json.loads(lines[number]))
    except (ValueError, IndexError, RecursionError):
        return content, "nothing: damaged before"
    lines[number] = dump_json(tree)
    return b"\n".join(lines), change
