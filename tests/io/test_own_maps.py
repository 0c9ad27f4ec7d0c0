"""What predict stored with the maps is checked as deep as a reader goes."""

import json

import pytest

from diffad.io.files import FileError
from diffad.io.own_maps import read_scan_info
from diffad.report.montage import describe_origin

DAMAGE = {
    "files": 3,
    "sampler": "chain",
    "versions": [1],
    "warnings": [5],
    "scan": [7],
    "slice_range": [1, "a"],
    "slices": "many",
    "threshold_rule": ["otsu"],
    "config": {"space": 4},
}


@pytest.mark.parametrize("key", DAMAGE)
def test_damage_is_named_with_the_file(tmp_path, key):
    path = tmp_path / "a_info.json"
    path.write_text(json.dumps({"image_score": 1.0, key: DAMAGE[key]}))
    with pytest.raises(FileError, match=f"{path}: expected what predict stored with the maps with .*{key}"):
        read_scan_info(path)


@pytest.mark.parametrize("space", [{"axis": 3}, {"intensity": "ct", "centre": "x", "width": 80}])
def test_damaged_space_is_named(tmp_path, space):
    path = tmp_path / "a_info.json"
    path.write_text(json.dumps({"config": {"space": space}}))
    with pytest.raises(FileError, match=r"config\.space"):
        read_scan_info(path)


def test_origin_is_told_though_little_is_known():
    assert "Model mine" in describe_origin({"model": "mine", "sampler": {"level": 3}})
    assert "Model unnamed" in describe_origin({"model": None})
