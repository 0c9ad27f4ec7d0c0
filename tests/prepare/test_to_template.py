"""Images brought to the template lie where the transform says, and return."""

import nibabel as nib
import numpy as np
import pytest

from diffad.data.volume import Volume
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.prepare.geometry import format_itk, map_voxels, resample
from diffad.prepare.read import get_grid
from diffad.prepare.template import TEMPLATE_NAME, load_mni152
from diffad.prepare.to_template import TemplateWay, make_template_volume, register_scan, take_header
from tests.helpers.heads import CENTRE, GRIDS, LESION, affine_of, blob, centroid, head, volume, world

sitk = pytest.importorskip("SimpleITK")
WAY = TemplateWay(
    np.array([[0.9, 0.05, 0, 3], [-0.06, 0.92, 0.1, -4], [0.02, -0.09, 0.85, 12], [0, 0, 0, 1.0]]),
    "registration",
)
"""A way that turns, scales and shears a little."""


def to_template(points):
    return np.linalg.solve(WAY.to_native, [*points, 1.0])[:3]


def test_template_is_the_symmetric_one_of_release_a():
    template = load_mni152()
    assert np.array_equal(template.image, template.image[::-1])
    assert np.array_equal(template.brain, template.brain[::-1])
    assert template.grid.shape == (197, 233, 189)  # of release c: 193 x 229 x 193
    assert template.grid.affine[:3, 3].tolist() == [-98, -134, -72]
    assert TEMPLATE_NAME.startswith(TEMPLATE_SPACE)


@pytest.mark.parametrize("name", ["plain", "anisotropic", "oblique", "las", "oblique las"])
def test_saved_transform_gives_simpleitk_the_same_image(tmp_path, name):
    scan, _, affine = head(name)
    nib.save(nib.Nifti1Image(scan, affine), tmp_path / "scan.nii.gz")
    (tmp_path / "x.tfm").write_text(format_itk(WAY.to_native))
    template, native = make_template_volume(), Volume.load(tmp_path / "scan.nii.gz")
    template.save(template.data, tmp_path / "template.nii.gz")
    ours = WAY.carry(native.data[0], get_grid(native))
    image, like = (
        sitk.ReadImage(str(tmp_path / f"{n}.nii.gz"), sitk.sitkFloat32) for n in ("scan", "template")
    )
    theirs = sitk.Resample(image, like, sitk.ReadTransform(str(tmp_path / "x.tfm")), sitk.sitkLinear, 0.0)
    # ITK looks LPS: its axes of the template run as ours do in the file
    expected = sitk.GetArrayFromImage(theirs).transpose(2, 1, 0)
    assert ours.shape == expected.shape == template.data.shape[1:]
    assert 0.85 * scan.max() < ours.max() <= scan.max()  # nothing beyond the values of the scan
    different = np.abs(ours - expected) > 0.05
    assert different.mean() < 1e-4  # single voxels at the very edge of the scan


@pytest.mark.parametrize("name", GRIDS)
def test_lesion_lies_where_the_transform_puts_it_and_returns_within_a_voxel(name):
    image, _ = volume(name)
    grid = get_grid(image)
    lesion = blob(world(grid.shape, image.affine), LESION)
    carried = WAY.carry(lesion, grid)
    assert np.abs(centroid(carried, load_mni152().grid.affine) - to_template(LESION)).max() < 0.5  # mm
    returned = WAY.back(carried, grid)
    error = np.linalg.solve(image.affine[:3, :3], centroid(returned, image.affine) - LESION)
    assert np.abs(error).max() < 0.5  # voxels of the scan
    assert 0 <= returned.min() <= returned.max() <= lesion.max() + 1e-6


@pytest.mark.parametrize("name", GRIDS)
def test_landmarks_in_masks_return_within_a_voxel(name):
    image, _ = volume(name)
    grid = get_grid(image)
    points = world(grid.shape, image.affine)
    for landmark in ([10.0, -40, 20], [-30.0, 10, 0], [30.0, -30, 25]):
        carried = WAY.carry(blob(points, np.array(landmark), 7.0) > 0.3, grid, nearest=True)
        assert set(np.unique(carried)) == {0.0, 1.0}
        returned = WAY.back(carried, grid, nearest=True)
        error = np.linalg.solve(image.affine[:3, :3], centroid(returned, image.affine) - landmark)
        assert np.abs(error).max() < 0.6


def test_left_stays_left_whichever_way_the_file_runs(tmp_path):
    """One head on one set of voxels, stored to the left and to the right, gives one image."""
    shape, right = (64, 72, 56), affine_of((3, 3, 3.5))
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = shape[0] - 1
    scan = (blob(world(shape, right), LESION) * 100).astype(np.float32)
    for name, data, affine in (("ras", scan, right), ("las", scan[::-1], right @ flip)):
        nib.save(nib.Nifti1Image(data, affine), tmp_path / f"{name}.nii.gz")
    volumes = [Volume.load(tmp_path / f"{name}.nii.gz") for name in ("ras", "las")]
    one, other = (WAY.carry(v.data[0], get_grid(v)) for v in volumes)
    assert np.array_equal(one, other)
    assert (
        centroid(one, load_mni152().grid.affine)[0] > 10
    )  # LESION lies on the right, CENTRE near the middle
    assert LESION[0] - CENTRE[0] == 20


def test_maps_in_the_template_say_so_in_their_header(tmp_path):
    template = make_template_volume()
    template.save(np.ones(template.data.shape[1:], bool), tmp_path / "a.nii.gz", np.uint8)
    image = nib.load(tmp_path / "a.nii.gz")
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (4, 4)
    assert np.array_equal(image.affine, load_mni152().grid.affine)
    assert image.get_data_dtype() == np.uint8


def test_header_that_lies_is_told_with_the_overlap():
    template = make_template_volume()
    way = take_header(template, load_mni152().brain)
    assert np.array_equal(way.to_native, np.eye(4))
    assert (way.quality["dice"], way.warnings) == (1.0, ())
    shifted = take_header(template, np.roll(load_mni152().brain, 40, 1))
    assert shifted.quality["dice"] < 0.8
    assert f"by a Dice of {shifted.quality['dice']:.2f}, expected at least 0.88" in shifted.warnings[0]


def test_record_holds_the_way_from_the_scan_to_the_template():
    matrix = np.array(WAY.to_info()["matrix"])
    assert np.allclose(matrix @ WAY.to_native, np.eye(4), atol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("flip", [(1, 1, 1), (-1, 1, 1)])
def test_registration_finds_a_known_way(flip):
    """The template itself, moved, comes back to where it was."""
    template, shape = load_mni152(), (80, 96, 72)
    affine = affine_of((2.2, 2.2, 2.4), turn=(6, -4, 5), flip=flip, shape=shape)
    grid = get_grid(Volume(np.zeros((1, *shape)), affine))
    from_native = np.linalg.inv(WAY.to_native)
    image, brain = (
        resample(x, map_voxels(grid, template.grid, from_native), shape, nearest=x.dtype == bool)
        for x in (template.image * 200, template.brain)
    )
    canonical = nib.as_closest_canonical(nib.Nifti1Image(image, affine))
    mask = nib.as_closest_canonical(nib.Nifti1Image(brain, affine)).get_fdata() > 0.5
    way = register_scan(Volume(canonical.get_fdata()[None], canonical.affine), mask, False)
    for point in ([0, 0, 0], [40, -60, 20], [-40, 20, 30]):
        error = (way.to_native - WAY.to_native) @ [*point, 1.0]
        assert np.abs(error[:3]).max() < 1.0  # mm, less than half a voxel
    assert way.quality["dice"] > 0.95
    assert way.warnings == ()
