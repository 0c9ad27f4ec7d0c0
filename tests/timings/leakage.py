"""Whether what MCDDPM gains over pDDPM is noise that its whole slice gives away.

Run by hand: python -m tests.timings.leakage PATH/ixi_t1_axial OUT [steps]

Three networks of one size are trained on slices of 64 x 64, all with boxes of a quarter of the slice, the
same items and noise of the box: without a bridge (pDDPM, whose middle looks at its own way down as well),
with a whole slice that shares the noise of the box, as published, and with one that has its own. Both bridges
are then used both ways on the validation slices. The error is the mean absolute difference inside the brain
of healthy slices, in thousandths of the window; AP is over all pixels of the brains with a lesion of each
kind. A bridge that knows more of anatomy is as good with noise of its own; one that reads the noise is not.
"""

import sys
from pathlib import Path

import torch

from diffad.config import load
from diffad.data.lesions import KINDS, implant_all
from diffad.data.slice_folder import load_slices
from diffad.evaluation import average_precision
from diffad.pipeline import AnomalyPipeline
from diffad.training.run import train

BACKBONE = "name: adm, base: 32, mults: [1, 2, 3], layers: 1, patch: 2, head_channels: 32, context: true"
COMMON = [
    "variant=ixi",
    "space.size=64",
    "space.window=[52, 44]",
    "sampler.box=[26, 22]",
    "sampler.inner.levels=336",
    "noise={name: simplex, octaves: 5, persistence: 0.8, feature_size: 32}",
    "postprocess.median=3",
    "train.warmup=50",
    "train.validate_every=1000",
    "train.checkpoint_every=1000",
]
BRIDGE = f"model={{name: bridge, widths: [8, 16], backbone: {{{BACKBONE}}}}}"
TRAININGS = {
    "shared": [BRIDGE],
    "none": [f"model={{{BACKBONE}}}"],
    "own": [BRIDGE, "sampler.whole_noise=own"],
}
USES = [("none", "shared"), ("shared", "shared"), ("shared", "own"), ("own", "own"), ("own", "shared")]
"""What was trained, and the noise of the whole slice in use."""


def train_all(data, out, steps):
    """Train what is not there yet; return the folders of the pipelines."""
    folders = {}
    for name, changes in TRAININGS.items():
        folder = out / name / "pipeline"
        where = [f"data.root={data}", f"output={out}", f"name={name}", f"train.steps={steps}"]
        if not folder.exists():
            train(load("mcddpm", [*COMMON, *changes, *where]))
        folders[name] = folder
    return folders


def measure(pipe, val, brain, lesions, whole_noise):
    """Return the error on healthy slices in thousandths, and AP by kind."""
    sampler = {**pipe.config.sampler, "whole_noise": whole_noise}
    healthy = pipe(val, mask=brain.expand_as(val), seed=0, sampler=sampler)
    distance = (healthy.reconstruction - val).abs()[brain.expand_as(val)].mean()
    precisions = {}
    for kind in KINDS:
        x, truth = lesions[kind]
        inside = brain.expand_as(x)
        found = pipe(x, mask=inside, seed=0, sampler=sampler).anomaly_map[inside]
        precisions[kind] = average_precision(found.numpy(), truth[inside].numpy() > 0)
    return 1000 * float(distance), precisions


def main():
    data, out = Path(sys.argv[1]), Path(sys.argv[2])
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    torch.set_num_threads(1)
    folders = train_all(data, out, steps)
    _, val, brain = load_slices(data, 64)
    lesions = implant_all(val, brain, 0)
    print("trained use     error", *(f"{kind:>12}" for kind in KINDS), "        mean")
    for name, whole_noise in USES:
        pipe = AnomalyPipeline.from_pretrained(folders[name])
        pipe.set_progress_bar_config(disable=True)
        error, found = measure(pipe, val, brain, lesions, whole_noise)
        values = [*found.values(), sum(found.values()) / len(found)]
        print(f"{name:7} {whole_noise:7} {error:5.1f}", *(f"{value:12.3f}" for value in values), flush=True)


if __name__ == "__main__":
    main()
