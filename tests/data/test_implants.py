import csv
import math

import nibabel as nib
import numpy as np
import pytest
import torch

from diffad.cli import main
from diffad.data.implants.plan import SIZES, draw_volume, plan_volume
from diffad.data.implants.write import name_run
from diffad.data.lesions import KINDS
from diffad.data.lesions.irregular import draw_irregular, implant_irregular
from diffad.data.regions import REGIONS, find_regions, measure_depth


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def make_brain(size=(48, 56, 48)):
    """A ball-shaped brain with smooth tissue."""
    axes = [torch.linspace(-1, 1, n) for n in size]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    brain = distance < 0.9
    return (0.55 + 0.1 * torch.sin(9 * distance))[None] * brain, brain[None]


@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (1.0, 1.0, 3.0)])
@pytest.mark.parametrize("volume", [10.0, 2000.0])
@pytest.mark.parametrize("kind", KINDS)
def test_lesion_has_its_volume_in_the_brain_and_changes_little_else(kind, volume, spacing):
    image, brain = make_brain()
    lesion = implant_irregular(image, brain, brain[0], kind, volume, spacing, generator(3))
    voxel, size = math.prod(spacing), float(lesion.mask.sum()) * math.prod(spacing)
    assert abs(size - volume) <= max(0.35 * volume, voxel)
    assert not (lesion.mask & ~brain).any()
    assert torch.equal(lesion.image[~brain], image[~brain])
    # a textured voxel has the mean it had
    assert volume == 10 or (lesion.image - image)[lesion.mask].abs().mean() > 0.02
    assert lesion.image.min() >= 0
    assert lesion.image.max() <= 1


def test_shape_is_one_piece_and_no_ellipsoid():
    _, brain = make_brain((60, 60, 60))
    blob, inside = draw_irregular((30, 30, 30), 8000.0, (1.0, 1.0, 1.0), brain[0], generator(1))
    from scipy.ndimage import label

    assert label(inside.numpy())[1] == 1
    assert torch.equal(blob.q < 1, inside)
    points = inside.nonzero().double()
    centred = points - points.mean(0)
    # of an ellipsoid of uniform density no voxel lies beyond 5 in squared Mahalanobis distance
    distance = (centred @ torch.linalg.inv(centred.T.cov()) * centred).sum(1)
    assert distance.max() > 6


def test_plan_shows_every_kind_in_every_size():
    plans = [plan_volume(number) for number in range(16)]
    assert {(p.kind, p.size) for p in plans} == {(kind, size) for kind in KINDS for size in SIZES}
    assert {p.kind for p in plans[:4]} == set(KINDS)
    volumes = [draw_volume("tiny", generator(i)) for i in range(50)]
    assert 10 <= min(volumes) < max(volumes) <= 100


def test_regions_lie_where_their_names_say():
    _, brain = make_brain((90, 100, 80))
    inside = brain[0].numpy()
    regions = find_regions(inside, measure_depth(inside, (2.0, 2.0, 2.0)))
    assert (regions[~inside] == -1).all()
    places = {"cortical": (45, 50, 75), "deep": (72, 50, 40), "periventricular": (45, 50, 40)}
    for name, place in {**places, "infratentorial": (45, 30, 14)}.items():
        assert REGIONS[regions[place]] == name


def test_names_stay_names_of_bids():
    assert name_run("sub-01_T1w", 2) == "sub-01_run-02_T1w"
    assert name_run("head", 0) == "head-00"


@pytest.fixture
def healthy(tmp_path):
    folder = tmp_path / "healthy"
    folder.mkdir()
    image, brain = make_brain((36, 42, 36))
    for number in (1, 2):
        affine = np.diag([4.0, 4.0, 4.0, 1.0])
        noisy = image[0] * 200 + number * brain[0]
        nib.save(nib.Nifti1Image(noisy.numpy(), affine), folder / f"sub-0{number}_T1w.nii.gz")
        mask = nib.Nifti1Image(brain[0].numpy().astype(np.uint8), affine)
        nib.save(mask, folder / f"sub-0{number}_T1w_brain.nii.gz")
    return folder


def implant_set(healthy, out, *words):
    return main(["implant", str(healthy), "--mask", "_brain", "--out", str(out), "--healthy", *words])


def test_set_is_the_same_twice_and_its_tables_fit_its_masks(healthy, tmp_path):
    for name in ("a", "b"):
        assert implant_set(healthy, tmp_path / name, "--per-scan", "2") == 0
    files = sorted(p.relative_to(tmp_path / "a") for p in (tmp_path / "a").rglob("*.*"))
    assert len(files) == 2 * 3 * 3 + 2
    for file in files:
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    rows = list(csv.DictReader((tmp_path / "a" / "lesions.csv").open()))
    assert {row["kind"] for row in rows} == set(KINDS)
    for row in rows:
        mask = nib.load(tmp_path / "a" / "lesions" / f"{row['scan']}_lesion.nii.gz").get_fdata() > 0
        assert mask.sum() * 0.064 >= float(row["ml"]) - 1e-3
    healthy_mask = nib.load(tmp_path / "a" / "lesions" / "sub-01_run-00_T1w_lesion.nii.gz")
    assert not healthy_mask.get_fdata().any()
    # what is scored by diffad benchmark
    table = list(csv.DictReader((tmp_path / "a" / "table.csv").open()))
    assert all((tmp_path / "a" / row["path"]).is_file() for row in table)
    assert {row["group"] for row in table} == {"healthy", *KINDS}


def test_wrong_use_is_said(healthy, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    assert implant_set(healthy, tmp_path / "full") == 1
    assert "expected a new or an empty folder" in capsys.readouterr().err
    assert main(["implant", str(healthy), "--mask", "_skull", "--out", str(tmp_path / "c")]) == 1
    assert "expected a brain mask _skull beside it, found none" in capsys.readouterr().err


def test_heads_are_painted_from_label_maps(tmp_path):
    axes = [torch.linspace(-1, 1, n) for n in (60, 72, 60)]
    distance = torch.stack(torch.meshgrid(*axes, indexing="ij")).square().sum(0).sqrt()
    labels = torch.zeros(60, 72, 60)
    for value, edge in ((24, 0.95), (3, 0.85), (2, 0.7), (4, 0.2)):
        labels[distance < edge] = value
    (tmp_path / "maps").mkdir()
    affine = np.diag([2.5, 2.5, 2.5, 1.0])
    nib.save(nib.Nifti1Image(labels.numpy().astype(np.int16), affine), tmp_path / "maps" / "a_seg.nii.gz")
    assert main(["implant", str(tmp_path / "maps"), "--paint", "t2,flair", "--out", str(tmp_path / "o")]) == 0
    names = {p.name for p in (tmp_path / "o" / "scans").glob("*[0-9].nii.gz")}
    assert names == {"a_seg_flair-01.nii.gz", "a_seg_t2-01.nii.gz"}
    rows = csv.DictReader((tmp_path / "o" / "table.csv").open())
    assert {row["subject"] for row in rows} == {"a_seg"}
    means = {}
    for contrast in ("t2", "flair"):
        image = nib.load(tmp_path / "o" / "painted" / f"a_seg_{contrast}.nii.gz").get_fdata()
        middle = tuple(slice(n // 2 - 3, n // 2 + 3) for n in image.shape)
        brain = nib.load(tmp_path / "o" / "painted" / f"a_seg_{contrast}_brain_mask.nii.gz").get_fdata() > 0
        means[contrast] = image[middle].mean() / image[brain].mean()
    # fluid is the brightest in T2 and dark in FLAIR
    assert means["t2"] > 1 > means["flair"]
