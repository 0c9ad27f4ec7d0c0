"""Two methods on one network: another sampler makes another map, without another training."""

from pathlib import Path

import nibabel as nib
from matplotlib.figure import Figure

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.evaluation import average_precision
from diffad.training.run import train

SPACING = 2.0
SLICES = (46, 48)
STEPS = 300
METHODS = {
    "one step, four times": {},
    "a chain of five steps": {"sampler": {"name": "chain", "level": 200, "steps": 5}},
}

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
words = ["variant=smoke", "data.root=phantoms", f"data.slices={list(SLICES)}", f"train.steps={STEPS}"]
words += [
    "train.levels=[1, 300]",
    "sampler={name: oneshot, levels: [100, 200], repeats: 2}",
    "score={name: l1}",
]
words += ["postprocess={median: 3}", "name=two_methods", "model.channels=[16, 32]"]
pipe = AnomalyPipeline.from_pretrained(train(load("anoddpm", words)))

folder = Path("phantoms/test/sub-006/anat")
scan, mask = folder / "sub-006_T1w.nii.gz", folder / "sub-006_desc-brain_mask.nii.gz"
truth = nib.load("phantoms/lesions/sub-006_lesion.nii.gz").get_fdata() > 0

figure = Figure(figsize=(6.5, 3.8), layout="constrained")
for column, (title, parts) in enumerate(METHODS.items()):
    out = pipe(scan, mask, slices=SLICES, **parts)
    anomaly, inside = out.anomaly_map[0, 0].numpy(), out.analysed[0, 0].numpy()
    quality = average_precision(anomaly[inside], truth[inside])
    axes = figure.add_subplot(1, 2, column + 1, title=f"{title}: AP {quality:.2f}")
    axes.imshow(anomaly[..., SLICES[0]].T, cmap="inferno", origin="lower")
    axes.contour(truth[..., SLICES[0]].T, [0.5], colors="white", linewidths=1)
    axes.set_axis_off()
figure.savefig("two_methods.png", dpi=80)
# with intervals, tests and many lesions: diffad benchmark CONFIG
