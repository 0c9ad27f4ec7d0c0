"""Thresholds from healthy scans of your own, where those of a model let too much through."""

from pathlib import Path

from matplotlib.figure import Figure

from diffad import AnomalyPipeline
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.predict import Options, Subject
from diffad.predict.calibrate import calibrate_on

SPACING = 2.0
SLICES = (46, 48)
MASK = "_desc-brain_mask"

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
controls = sorted(Path("phantoms/train").rglob("*_T1w.nii.gz")) + sorted(
    Path("phantoms/val").rglob("*_T1w.nii.gz")
)
subjects = [Subject(path.name.split("_")[0], (path,)) for path in controls]

shipped = AnomalyPipeline.from_pretrained("ixi-t1-axial")
ours = AnomalyPipeline.from_pretrained("ixi-t1-axial")
calibrate_on(ours, subjects, Options(slices=SLICES), MASK)
ours.save_pretrained("models/ours")

figure = Figure(figsize=(7, 2.6), layout="constrained")
axes = figure.add_subplot(title="Flagged at a nominal 1 %", xlabel="% of the voxels that were looked at")
for name, kind in (("sub-004", "healthy"), ("sub-006", "haemorrhage")):
    folder = Path("phantoms/test") / name / "anat"
    scan, mask = folder / f"{name}_T1w.nii.gz", folder / f"{name}{MASK}.nii.gz"
    for model, pipe, colour in (("as shipped", shipped, "tab:gray"), ("our controls", ours, "tab:green")):
        out = pipe(scan, mask, slices=SLICES)
        share = 100 * float(out.mask[out.analysed].float().mean())
        print(f"{name} ({kind}), {model}: {share:.2f} % above {out.info['threshold']:.4f}")
        axes.barh(f"{name} ({kind}), {model}", share, color=colour)
figure.savefig("own_controls.png", dpi=80)
