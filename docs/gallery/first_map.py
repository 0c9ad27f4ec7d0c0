"""A first map: one scan and its brain mask in, a map and a picture out."""

from pathlib import Path

from diffad import AnomalyPipeline
from diffad.data.phantom import PhantomOptions, make_phantoms

SPACING = 2.0
SLICES = (46, 48)

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
folder = Path("phantoms/test/sub-006/anat")

pipe = AnomalyPipeline.from_pretrained("ixi-t1-axial")
out = pipe(folder / "sub-006_T1w.nii.gz", folder / "sub-006_desc-brain_mask.nii.gz", slices=SLICES)
print(out)
out.save("maps")
out.plot().savefig("first_map.png", dpi=50)
