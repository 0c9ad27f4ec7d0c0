"""The picture of a method at work, ``python -m diffad.report.gallery``."""

import pytest
import torch
from PIL import Image

from diffad.report import gallery
from tests.evaluation.conftest import folder
from tests.helpers.cohorts import write_model

__all__ = ["folder"]


def test_gallery_shows_scan_twin_and_map_with_the_lesion_outlined(folder, tmp_path):
    model = write_model(tmp_path / "pipe")
    gallery.run_gallery_arguments(
        [str(folder), f"mine={model}", "--size", "32", "--out", str(tmp_path / "new")]
    )
    with Image.open(tmp_path / "new" / "mine.png") as picture:
        assert picture.size == (4 * 32, 3 * 32)


def test_gallery_colours_the_map_from_black_to_white():
    scan, flat = torch.full((8, 8), 0.5), torch.zeros(8, 8)
    lesion = torch.zeros(8, 8, dtype=torch.bool)
    lesion[3:5, 3:5] = True
    picture = gallery.compose_gallery([scan], [scan], [lesion.float()], [lesion])
    assert picture.shape == (3, 24, 8)
    assert picture[:, 16 + 3, 3].tolist() == [1, 1, 1]
    assert picture[:, 16, 0].tolist() == [0, 0, 0]
    assert picture[:, 2, 3].tolist() == pytest.approx([0.1, 0.9, 1.0])
    assert picture[:, 8 + 2, 3].tolist() == [0.5, 0.5, 0.5]
    assert gallery.compose_gallery([scan], [scan], [flat], [lesion])[:, 16].max() == 0
