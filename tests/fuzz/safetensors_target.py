"""Tensors on disk from strangers: checkpoints, cached scans, maps, encoders and weights."""

import json
import shutil
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from diffad import AnomalyPipeline
from diffad.benchmark import storage
from diffad.benchmark.methods import Prediction
from diffad.data.cache import Cache, CachedScan
from diffad.registry import MODELS
from diffad.training.checkpoint import Checkpoint, load_newest, save_checkpoint
from diffad.training.transfer import load_encoder, load_weights, save_encoder
from tests.fuzz.model_target import SIDE, make_pipeline
from tests.fuzz.mutations import dump_json, mutate_bytes, mutate_tree
from tests.fuzz.pool import WrongResultError

CONFIG = {"name": "x", "train": {"steps": 9}}
LENGTHS = (0, 1, 2, 7, 8, 2**16, 2**31, 2**32, 2**62, 2**63, 2**64 - 1, 100_000_001)
OFFSETS = ([0, 0], [-1, 4], [4, 0], [0, 2**63], [2**63, 2**63], [0, 1], [10**30, 10**30], [1.5, 2], None)
DTYPES = ("F64", "F16", "BF16", "I64", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "C64", "X", "", None, 5)
SHAPES = ([], [0], [-1], [2**40, 2**40], [2**63], [1.5], [[1]], None, "x", [1] * 70, [0, 2**62])


def change_length(rng, content):
    """Claim another length of the header."""
    length = rng.choice(LENGTHS)
    return length.to_bytes(8, "little") + content[8:], f"header of {length} bytes"


def change_entry(rng, content):
    """Change type, shape or place of a tensor in the header."""
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    name = rng.choice([key for key in header if key != "__metadata__"])
    key, values = rng.choice((("dtype", DTYPES), ("shape", SHAPES), ("data_offsets", OFFSETS)))
    kind = rng.choice(("entry", "entry", "tree", "copy", "swap"))
    change = f"{kind} of {name}"
    if kind == "entry":
        header[name][key] = rng.choice(values)
        change = f"{name}.{key} = {header[name][key]}"
    elif kind == "tree":
        header, change = mutate_tree(rng, header)
    elif kind == "copy":
        header[f"{name}x"] = header[name]
    else:
        other = rng.choice([key for key in header if key != "__metadata__"])
        header[name], header[other] = header[other], header[name]
    packed = dump_json(header)
    return len(packed).to_bytes(8, "little") + packed + content[8 + size :], change


def change_values(rng, path):
    """Write other tensors of the same names: not finite, huge, of another type or shape."""
    tensors = load_file(path)
    name = rng.choice(sorted(tensors))
    value = tensors[name]
    changes = {
        "nan": lambda x: torch.full_like(x.float(), float("nan")),
        "inf": lambda x: torch.full_like(x.float(), float("inf")),
        "huge": lambda x: torch.full_like(x.float(), 3e38),
        "double": lambda x: x.double(),
        "half": lambda x: x.half(),
        "whole": lambda x: x.to(torch.int64),
        "bool": lambda x: x.bool(),
        "flat": lambda x: x.flatten()[:-1],
        "scalar": lambda x: x.flatten()[0],
        "batch": lambda x: x[None],
        "empty": lambda x: x.flatten()[:0],
    }
    kind = rng.choice(sorted(changes))
    save_file({**tensors, name: changes[kind](value).contiguous()}, path)
    return f"{name} {kind}"


def make_checkpoint(folder):
    """Write two checkpoints of a run."""
    for step in (1, 2):
        tensors = {"a.weight": torch.full((4, 5), float(step)), "b": torch.arange(7.0)}
        optimizer = {"0.step": torch.tensor(3.0), "0.exp_avg": torch.rand(4, 5)}
        info = {"step": step, "config": CONFIG, "seconds": 3.0, "ema_step": step}
        save_checkpoint(folder / "run", Checkpoint(tensors, tensors, optimizer, info), keep=2)


def read_checkpoint(folder):
    """Go on from the newest whole checkpoint, which is one of the two."""
    state = load_newest(folder / "run", CONFIG)
    step = state.info["step"]
    if not torch.equal(state.model["a.weight"], torch.full((4, 5), float(step))):
        raise WrongResultError(f"a checkpoint of step {step} with other weights")


def read_cache(folder):
    """Read a scan from the cache, or make it again: it is the same."""
    scan = folder / "scan.nii.gz"
    fresh = make_cached()
    cached = Cache(folder / "cache", {"size": 8}).load_or_make([scan], make_cached)
    Cache(folder / "cache", {"size": 8}).read_digest([scan])
    if not (torch.equal(cached.image, fresh.image) and torch.equal(cached.mask, fresh.mask)):
        raise WrongResultError("a cached scan with other voxels")


def make_cache(folder):
    """Write a scan and its cache; the digest of the scan goes by path, size and time."""
    (folder / "scan.nii.gz").write_bytes(b"scan")
    Cache(folder / "cache", {"size": 8}).load_or_make([folder / "scan.nii.gz"], make_cached)


def make_cached():
    """Return a prepared scan."""
    ramp = torch.linspace(0, 1, 3 * 64).reshape(3, 1, 8, 8)
    return CachedScan(ramp, (ramp > 0.5).to(torch.uint8), "digest", torch.zeros(len(ramp), 2))


def make_maps(folder):
    """Write maps of a benchmark."""
    prediction = Prediction([torch.rand(3, 4)], [torch.rand(3, 4)], [torch.ones(3, 4) > 0], [0.5], 1, 2, 3.0)
    storage.store_maps(folder / "m.safetensors", prediction, {"fingerprint": "f", "label": "m"})


def read_maps(folder):
    """Read maps that count as finished, and maps that do not."""
    state = storage.check_state(folder / "m.safetensors", "f")
    prediction = storage.load_maps(folder / "m.safetensors")
    if state == "finished" and prediction.maps[0].shape != (3, 4):
        raise WrongResultError("finished maps of another shape")


def build_network():
    """Return a network with an encoder."""
    backbone = {"name": "unet2d", "channels": [8, 8], "layers": 1, "groups": 4, "attention": False}
    encoder = {"depth": 18, "width": 8, "planes": 8}
    return MODELS.build("conditioned", backbone=backbone, encoder=encoder)


def make_encoder(folder):
    """Write an encoder."""
    save_encoder(build_network().encoder, folder / "encoder", True, {"steps": 1})


def read_encoder(folder):
    """Load an encoder, whose weights are numbers afterwards."""
    network = build_network()
    load_encoder(network, folder / "encoder")
    check_finite(network)


def make_weights(folder):
    """Write a pipeline."""
    make_pipeline().save_pretrained(folder / "model")


def read_weights(folder):
    """Load the network of a pipeline for more training, and the pipeline for use."""
    network = MODELS.build("unet2d", channels=[8, 8], layers=1, groups=4, attention=False)
    load_weights(network, folder / "model")
    check_finite(network)
    pipe = AnomalyPipeline.from_pretrained(folder / "model")
    pipe.set_progress_bar_config(disable=True)
    if not pipe(torch.rand(1, 1, SIDE, SIDE) * 0.8 + 0.1).anomaly_map.isfinite().all():
        raise WrongResultError("a map that is not finite")


def check_finite(network):
    """Refuse weights that are no numbers."""
    if not all(value.isfinite().all() for value in network.state_dict().values()):
        raise WrongResultError("weights that are not finite")


KINDS = (
    ("run/step-0000002", make_checkpoint, read_checkpoint),
    ("cache", make_cache, read_cache),
    (".", make_maps, read_maps),
    ("encoder", make_encoder, read_encoder),
    ("model/network", make_weights, read_weights),
)
"""Folder of the file, what makes it, and its reader."""


class SafetensorsTarget:
    """Each kind of tensors on disk, the header, the values or some bytes of one file mutated."""

    names_file = True

    def prepare(self):
        """Make each kind once."""
        torch.set_num_threads(1)
        torch.manual_seed(0)
        self.base = tempfile.TemporaryDirectory(prefix="diffad-fuzz-tensors-")
        for number, (_, make, read) in enumerate(KINDS):
            (Path(self.base.name) / str(number)).mkdir()
            make(Path(self.base.name) / str(number))
            read(Path(self.base.name) / str(number))

    def mutate(self, rng, folder):
        """Write one kind, and mutate one of its files."""
        number = rng.randrange(len(KINDS))
        place, make, self.read = KINDS[number]
        if place == "cache":
            make(folder)
        else:
            shutil.copytree(Path(self.base.name) / str(number), folder, dirs_exist_ok=True)
        path = rng.choice(sorted((folder / place).glob("*.safetensors")))
        if rng.random() < 0.25:
            return f"{path.name}: {change_values(rng, path)}"
        mutate = rng.choice((change_length, change_entry, change_entry, mutate_bytes))
        content, change = mutate(rng, path.read_bytes())
        path.write_bytes(content)
        return f"{path.name}: {change}"

    def feed(self, folder):
        """Read it."""
        self.read(folder)
