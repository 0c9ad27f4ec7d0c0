"""Two methods on one network: another sampler and another score change the map, not the training."""

from pathlib import Path

import nibabel as nib
from matplotlib.figure import Figure

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.evaluation import average_precision
from diffad.training.run import train

SPACING = 2.0
STEPS = 150
METHODS = {
    "chain, squared error": {},
    "one step, error and SSIM": {
        "sampler": {"name": "oneshot", "levels": [100, 200], "repeats": 2},
        "score": {"name": "product", "scores": [{"name": "l1"}, {"name": "ssim", "window": 5}]},
    },
}

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
words = ["variant=smoke", "data.root=phantoms", "data.mask=*_desc-brain_mask.nii.gz", "data.limit=4"]
pipe = AnomalyPipeline.from_pretrained(train(load("anoddpm", [*words, f"train.steps={STEPS}"])))

figure = Figure(figsize=(8, 5.4), layout="constrained")
for row, name in enumerate(["sub-003", "sub-006"]):
    folder = Path("phantoms/test") / name / "anat"
    truth = nib.load(f"phantoms/lesions/{name}_lesion.nii.gz").get_fdata() > 0
    place = int(truth.sum((0, 1)).argmax())
    scan, mask = folder / f"{name}_T1w.nii.gz", folder / f"{name}_desc-brain_mask.nii.gz"
    for column, (title, parts) in enumerate(METHODS.items()):
        out = pipe(scan, mask, **parts)
        anomaly, inside = out.anomaly_map[0, 0].numpy(), out.brain[0, 0].numpy()
        quality = average_precision(anomaly[inside], truth[inside])
        axes = figure.add_subplot(2, 2, 2 * row + column + 1)
        axes.imshow(anomaly[..., place].T, cmap="inferno", origin="lower")
        axes.contour(truth[..., place].T, [0.5], colors="white", linewidths=0.8)
        axes.set_title(f"{name}: {title}, AP {quality:.2f}", fontsize=9)
        axes.set_axis_off()
figure.savefig("two_methods.png", dpi=70)
# with intervals, tests and many lesions: diffad benchmark CONFIG
