"""Slices of a folder: masked, padded to a square, of one size, and named when they are wrong."""

import pytest
import torch
from PIL import Image

from diffad.data.slice_folder import load_slices
from tests.evaluation.conftest import SIZE, folder, scans

__all__ = ["folder"]


def test_slices_are_masked_padded_to_a_square_and_resized(folder):
    train, val, brain = load_slices(folder, SIZE)
    slices, mask = scans(24)
    with Image.open(folder / "brain_mask.png") as image:
        assert image.size == (SIZE - 6, SIZE)
    assert torch.equal(brain, mask)
    torch.testing.assert_close(torch.cat([train, val]), slices, atol=1 / 255, rtol=0)
    small = load_slices(folder, 32)
    assert [part.shape for part in small] == [(20, 1, 32, 32), (4, 1, 32, 32), (1, 1, 32, 32)]
    assert not small[1][~small[2].expand(4, -1, -1, -1)].any()


def test_file_that_is_wrong_is_named(folder):
    odd = folder / "val" / "odd.png"
    Image.new("L", (7, 9)).save(odd)
    with pytest.raises(ValueError, match=r"odd.png: expected the shape of the mask \(40, 34\), got \(9, 7\)"):
        load_slices(folder, 32)
    odd.write_bytes(b"not a picture")
    with pytest.raises(ValueError, match=r"odd.png: expected an image, found a file of no format"):
        load_slices(folder, 32)
    for file in (folder / "val").iterdir():
        file.unlink()
    with pytest.raises(FileNotFoundError, match="val: expected PNG files, found none"):
        load_slices(folder, 32)
    (folder / "brain_mask.png").unlink()
    with pytest.raises(ValueError, match=r"brain_mask\.png"):
        load_slices(folder, 32)
