"""Train on a folder of healthy scans, and look at one with a lesion."""

from pathlib import Path

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.training.run import train

SPACING = 2.0
SLICES = (46, 48)
STEPS = 300

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))

config = load(
    "anoddpm",
    [
        "variant=smoke",  # a tiny network; leave it out, and the next three lines, for a real run
        f"data.slices={list(SLICES)}",
        f"train.steps={STEPS}",
        "model.channels=[16, 32]",
        "data.root=phantoms",  # any folder of skull-stripped scans, or of scans with brain masks
        "data.mask=*_desc-brain_mask.nii.gz",
        "train.levels=[1, 300]",
        "sampler={name: oneshot, levels: [100, 200], repeats: 2}",
        "score={name: l1}",
        "postprocess={median: 3}",
    ],
)
pipe = AnomalyPipeline.from_pretrained(train(config))
print(pipe)

folder = Path("phantoms/test/sub-006/anat")
out = pipe(folder / "sub-006_T1w.nii.gz", folder / "sub-006_desc-brain_mask.nii.gz", slices=SLICES)
print(out)
out.plot().savefig("train_on_a_folder.png", dpi=50)
