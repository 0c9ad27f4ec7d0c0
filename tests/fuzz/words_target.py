"""Words on the command line: options of predict, evaluate and train, mutated and left to ``main``."""

import contextlib
import io
import os
import re
import tempfile
from pathlib import Path
from unittest import mock

import torch

from diffad.cli import main
from diffad.training.parts import check_parts
from tests.fuzz.pool import WrongResultError
from tests.helpers.cohorts import brain, inside, table, write, write_model

NUMBERS = (
    "",
    "0",
    "-1",
    "1",
    "0.5",
    "nan",
    "inf",
    "-inf",
    "1e400",
    "1e-400",
    "9" * 5000,
    "10**9",
    "0x10",
    "٣",
    "1_0",
)
TEXTS = (
    "x", "\0", "\x1b[2J", "../..", "/dev/zero", "/dev/null", "x" * 300, "x" * 100_000, "é\ud7ff", "=", ",",
    ",,", ":", "--help", "-", "--", "[red]x[/]", "{", "}", "{}", "[]", "null", "true", "*", "&a [*a]",
    "!!bool x", "[" * 3000, "{a: " * 3000, "{name: }", "{name: [x]}", "{name: 5}", "{name: null}", "{5: 6}",
    "{name: x, name: x}", "%", "\n", "\r", "a\nb", "$HOME", "~", "~nobody/x", "None", "otsu", "auto",
)  # fmt: skip
RANGES = (
    "3:6",
    "0:0",
    "5:3",
    ":",
    "3:",
    ":3",
    "-5:4",
    f"0:{10**30}",
    "a:b",
    "3:6:9",
    "1.5:3",
    " 3:6",
    f"{10**400}:1",
)
PARTS = (
    "chain", "oneshot", "{name: chain, level: 20, steps: 2}", "level=20", "level=", "level=nan", "level=0",
    "level=101", f"level={10**30}", "level=[20]", "level={a: 1}", "levels=[20]", "levels=20", "levels=[]",
    "name=chain", "name=", "name=l1", "steps=2", "steps=0", f"steps={10**9}", "a.b.c=1", "level.x=1", "=1",
    "{name: chain, x: 1}", "gaussian", "{name: simplex, octaves: 2}", f"{{name: simplex, octaves: {10**9}}}",
    "l1", "{name: ssim, window: 5}", "{name: ssim, window: 10000000}", "{name: product, scores: []}",
    "{name: product, scores: [l1]}", "{name: product, scores: [{name: l1}]}",
    "{name: product, scores: [{name: product, scores: [{name: x}]}]}", "{name: encoder, source: mirror}",
    "{name: free}", "{name: classifier}", "patched", "ensemble", "fusion", "{name: patched, inner: 5}",
    "{name: ensemble, samplers: [{name: oneshot, levels: [20]}]}", "conditioned",
)  # fmt: skip
PREDICT = {
    "--slices": RANGES, "--threshold": ("otsu", "0.5", "-1", "1e308"), "--sampler": PARTS, "--score": PARTS,
    "--noise": PARTS, "--guidance": PARTS, "--seed": ("5", str(2**64), str(10**30)),
    "--axes": ("axial", "axial,x"), "--batch-size": ("2", "0", str(10**12)),
    "--sequences": ("t1", "t1,flair"), "--precision": ("bf16", "fp32"), "--max-voxels": ("10", str(10**30)),
    "--mask": ("_brain", "*"), "--region": ("_brain",), "--device": ("cpu", "cuda"),
    "--fusion": ("mean", "max"), "--noise-across": ("scan",), "--trust": ("qform",),
    "--layout": ("bids", "flat"), "--on-failure": ("all", "never"), "--model": (), "--out": (),
}  # fmt: skip
EVALUATE = {
    "--masks": (), "--brains": (), "--protocol": ("diffad", "pddpm", "thor"), "--folds": ("2", str(10**30)),
    "--out": ("x.json", "x.csv", "x.txt"), "--normals": (), "--resample": (None,), "--normative": (None,),
    "--healthy-without-mask": (None,),
}  # fmt: skip
KEYS = (
    "train.steps", "train.lr", "train.batch_size", "train.ema", "data.root", "data.name", "data.shares",
    "noise", "noise.name", "sampler", "sampler.level", "score", "score.name", "model.channels", "model",
    "scheduler.num_train_timesteps", "output", "name", "task", "space.size", "space", "guidance", "variant",
    "plugins", "seed", "train", "", "a.b", "train.steps.x",
)  # fmt: skip


class WordsTarget:
    """A tiny model, a scan, and what predict and evaluate make of them."""

    names_file = False

    def prepare(self):
        """Predict one scan."""
        torch.set_num_threads(1)
        self.base = tempfile.TemporaryDirectory(prefix="diffad-fuzz-words-")
        self.root = Path(self.base.name)
        shape = (16, 18, 8)
        write(self.root / "scans/s.nii.gz", brain(shape=shape))
        write(self.root / "masks/s_lesion.nii.gz", (brain(shape=shape) > 118).astype("uint8"))
        write(self.root / "brains/s_brain.nii.gz", inside(shape).astype("uint8"))
        write_model(self.root / "model")
        self._run(["predict", *self._predict(self.root / "maps")])

    def _predict(self, out):
        scan, model = self.root / "scans/s.nii.gz", self.root / "model"
        return [str(scan), "--model", str(model), "--out", str(out), "--no-page"]

    def mutate(self, rng, folder):
        """Choose a command and change its words."""
        command = rng.choice(("predict", "predict", "evaluate", "train", "train"))
        if command == "predict":
            words = self._predict(folder / "out") + _draw_options(rng, PREDICT)
        elif command == "evaluate":
            words = [str(self.root / "maps"), "--masks", str(self.root / "masks")]
            words += _draw_options(rng, EVALUATE)
        else:
            values = (*PARTS, *NUMBERS, *TEXTS)
            words = ["smoke", f"output={folder}/out"]
            words += [f"{rng.choice(KEYS)}={rng.choice(values)}" for _ in range(rng.choice((1, 1, 2, 3)))]
        if rng.random() < 0.1:
            words[rng.randrange(len(words))] = rng.choice((*TEXTS, *NUMBERS))
        self.words, self.echo = [command, *words], 2 * max(map(len, words))
        return " ".join(word[:60] for word in self.words if str(self.root) not in word)

    def feed(self, folder):
        """Run the command as a user would; what it prints is short, and no scan fails for a fault of ours."""
        with contextlib.chdir(folder):
            code, text = self._run(self.words)
        if long_lines := [line for line in text.splitlines() if len(line) > 2100 + self.echo]:
            raise WrongResultError(f"a line of {len(long_lines[0])} characters: {long_lines[0][:300]}")
        if (folder / "out/results.csv").is_file():
            errors = [row["error"] for row in table(folder / "out").values()]
            if raw := [error for error in errors if re.match(r"\w*(Error|Exception)\b", error)]:
                raise WrongResultError(f"a scan failed: {raw[0][:300]}")
        if code:
            raise ValueError(text[-900:])

    @staticmethod
    def _run(words):
        stream = io.StringIO()
        changes = {"DIFFAD_DEBUG": "1", "COLUMNS": "110", "HF_HUB_OFFLINE": "1"}
        with (
            mock.patch.dict(os.environ, changes),
            mock.patch("diffad.training.run.train", check_training),
            mock.patch("diffad.report.montage.save_report", draw_nothing),
            contextlib.redirect_stderr(stream),
            contextlib.redirect_stdout(stream),
        ):
            return main(words), stream.getvalue()


def draw_nothing(output, path):
    """Stand in for the picture of a scan, which takes longer than all else."""
    path.write_bytes(b"picture")


def check_training(config):
    """Check the parts of a run that does not start."""
    check_parts(config)
    return Path(config.output)


def _draw_options(rng, options):
    words = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        name = rng.choice(list(options))
        value = rng.choice(options[name] if options[name] and rng.random() < 0.6 else (*NUMBERS, *TEXTS))
        words += [name] if value is None else [name, value] if rng.random() < 0.8 else [f"{name}={value}"]
    return words
