"""Model folders from strangers: one of their files mutated, loaded, and used once."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from diffusers import DDPMScheduler

from diffad import AnomalyPipeline
from diffad.registry import MODELS
from diffad.threshold import calibrate_thresholds
from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_tree
from tests.fuzz.pool import WrongResultError

SIDE = 16


class ModelTarget:
    """A tiny calibrated pipeline with a classifier beside it."""

    names_file = True

    def prepare(self):
        """Make the folder that is mutated, and use it once."""
        torch.set_num_threads(1)
        self.base = tempfile.TemporaryDirectory(prefix="diffad-fuzz-model-")
        self.folder = Path(self.base.name) / "model"
        make_pipeline().save_pretrained(self.folder)
        self.files = sorted(p.relative_to(self.folder) for p in self.folder.rglob("*") if p.is_file())
        self.feed(Path(self.base.name))

    def mutate(self, rng, folder):
        """Write ``model``, a copy in which one file is another."""
        shutil.copytree(self.folder, folder / "model")
        name = rng.choice([*self.files, Path("model_index.json"), Path("model_index.json")])
        path = folder / "model" / name
        if rng.random() < 0.03:
            path.unlink()
            return f"{name}: removed"
        content, change = self._mutate(rng, path)
        path.write_bytes(content)
        return f"{name}: {change}"

    def _mutate(self, rng, path):
        content = path.read_bytes()
        if path.suffix == ".md" or rng.random() < 0.2:
            return mutate_bytes(rng, content)
        if path.suffix == ".json":
            tree, change = mutate_tree(rng, json.loads(content))
            return dump_json(tree), change
        size = int.from_bytes(content[:8], "little")
        tree, change = mutate_tree(rng, json.loads(content[8 : 8 + size]))
        header = dump_json(tree)
        return len(header).to_bytes(8, "little") + header + content[8 + size :], f"header {change}"

    def feed(self, folder):
        """Load the model, look at a tensor with it, and check that the map is one."""
        pipe = AnomalyPipeline.from_pretrained(folder / "model")
        pipe.set_progress_bar_config(disable=True)
        torch.manual_seed(0)
        output = pipe(torch.rand(1, 1, SIDE, SIDE) * 0.8 + 0.1)
        if not output.anomaly_map.isfinite().all():
            raise WrongResultError("a map that is not finite")
        if not output.anomaly_map.any():
            raise WrongResultError("a map of zeros")


def make_pipeline():
    """Return the pipeline, with the calibration of random maps."""
    torch.manual_seed(0)
    network = MODELS.build("unet2d", channels=[8, 8], layers=1, groups=4, attention=False)
    classifier = MODELS.build("classifier", channels=[8], layers=1, groups=4, attention=False)
    maps = [(torch.rand(1, SIDE, SIDE), None) for _ in range(4)]
    return AnomalyPipeline(
        network,
        DDPMScheduler(num_train_timesteps=50, clip_sample=False),
        noise={"name": "simplex", "octaves": 2, "feature_size": 8},
        sampler={"name": "chain", "level": 10, "steps": 2},
        score={"name": "product", "scores": [{"name": "l1"}, {"name": "ssim", "window": 5}]},
        space={"size": SIDE},
        postprocess={"median": 3, "erosion": 1},
        calibration=calibrate_thresholds(maps).to_dict(),
        provenance={"name": "fuzz", "steps": 1},
        classifier=classifier,
    )
