"""In a MONAI pipeline: maps are items of the dictionary, on the grid of the image."""

from pathlib import Path

from matplotlib.figure import Figure
from monai.transforms import Compose, CropForegroundd, LoadImaged

from diffad import AnomalyPipeline
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.monai import AnomalyDetectiond

SPACING = 2.0
SLICES = (46, 48)

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
folder = Path("phantoms/test/sub-006/anat")
files = {"image": folder / "sub-006_T1w.nii.gz", "brain": folder / "sub-006_desc-brain_mask.nii.gz"}

pipe = AnomalyPipeline.from_pretrained("ixi-t1-axial")
maps = ["image_anomaly", "image_mask", "image_twin"]
chain = Compose(
    [
        LoadImaged(["image", "brain"], ensure_channel_first=True),
        AnomalyDetectiond("image", pipe, mask_key="brain", slices=SLICES),
        CropForegroundd(["image", *maps], source_key="brain"),
    ]
)
item = chain(files)
print({key: tuple(item[key].shape) for key in maps}, item["image_score"])

figure = Figure(figsize=(8, 2.9), layout="constrained")
for column, key in enumerate(["image", "image_twin", "image_anomaly"]):
    plane = item[key][0, :, :, int(item["image_anomaly"].sum((0, 1, 2)).argmax())]
    axes = figure.add_subplot(1, 3, column + 1, title=key)
    axes.imshow(plane.numpy().T, cmap="inferno" if "anomaly" in key else "gray", origin="lower")
    axes.set_axis_off()
figure.savefig("monai_pipeline.png", dpi=70)
