"""Train on a folder of healthy scans, and look at one with a lesion."""

from pathlib import Path

from diffad import AnomalyPipeline
from diffad.config import load
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.training.run import train

SPACING = 2.0
STEPS = 150

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))

# data.root may be any folder of skull-stripped scans, or of scans with brain masks
words = ["variant=smoke", "data.root=phantoms", "data.mask=*_desc-brain_mask.nii.gz", "data.limit=4"]
pipe = AnomalyPipeline.from_pretrained(train(load("anoddpm", [*words, f"train.steps={STEPS}"])))
print(pipe)

folder = Path("phantoms/test/sub-006/anat")
out = pipe(folder / "sub-006_T1w.nii.gz", folder / "sub-006_desc-brain_mask.nii.gz")
print(out)
out.plot().savefig("train_on_a_folder.png", dpi=40)
