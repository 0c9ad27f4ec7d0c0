"""Several data sets in one training."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diffad.config import SpaceConfig
from diffad.data.items import DataError, HoldsScans
from diffad.data.mix import Mix, share_items
from diffad.types import generator_for
from tests.helpers.brains import save_volume
from tests.helpers.label_maps import save_labels

SPACE = SpaceConfig(size=32)
TOY = {"name": "toy", "count": 6}


def build(*parts, split="train", space=SPACE):
    return Mix(parts, split, space)


def test_weights_are_shares_of_a_pass_and_every_item_is_shown():
    data = build(TOY, {**TOY, "count": 4, "weight": 3})
    assert len(data) == 6 + 18
    assert {data[i].subject for i in range(6)} == {f"toy-{k}" for k in range(6)}
    assert {data[i].subject for i in range(6, 24)} == {f"toy-{k}" for k in range(4)}


@given(st.lists(st.tuples(st.integers(1, 500), st.floats(0.1, 10)), min_size=1, max_size=5))
def test_no_part_is_cut_short_and_shares_follow_the_weights(parts):
    lengths, weights = zip(*parts, strict=True)
    shares = share_items(lengths, weights)
    assert all(n >= length for n, length in zip(shares, lengths, strict=True))
    rates = [n / w for n, w in zip(shares, weights, strict=True)]
    assert max(rates) - min(rates) <= max(1 / w for w in weights) + 1e-6


def test_part_is_left_out_of_splits_that_it_is_not_in():
    parts = (TOY, {**TOY, "splits": ["train"]})
    assert len(build(*parts)) == 12
    assert len(build(*parts, split="val")) == 6
    with pytest.raises(DataError, match="a part in split 'test', found none"):
        build({**TOY, "splits": ["train"]}, split="test")


def test_synthetic_parts_are_drawn_anew_and_others_stay(tmp_path):
    save_labels(tmp_path / "a.nii.gz")
    maps = {"name": "labels", "root": str(tmp_path), "shares": {"train": 1.0}, "slices": [25, 35]}
    data = build(TOY, maps)
    last = len(data) - 1
    toy, other_toy = (data.draw(0, generator_for(g)).image for g in range(2))
    scan, other_scan = (data.draw(last, generator_for(g)).image for g in range(2))
    assert torch.equal(toy, other_toy)
    assert not torch.equal(scan, other_scan)
    assert torch.equal(data[last].image, data[last].image)


@pytest.mark.parametrize(
    ("names", "clash"),
    [
        (("sub-IXI012_T1w", "IXI012-HH-1211/T1"), True),
        (("sub-IXI012_T1w", "IXI013-HH-1211/T1"), False),
        (("sub-01_T1w", "sub-01_T2w"), False),  # numbers say nothing across folders
    ],
)
def test_person_in_two_splits_under_two_names_is_refused(tmp_path, names, clash):
    for k, (root, split) in enumerate((("a", "train"), ("a", "val"), ("b", "train"), ("b", "val"))):
        name = names[("a", "b").index(root)] if k in (0, 3) else f"other{k}"
        save_volume(tmp_path / root / split / f"{name}.nii.gz", seed=k)
    parts = [{"name": "volumes", "root": str(tmp_path / root)} for root in "ab"]
    if clash:
        with pytest.raises(
            DataError, match=r"sub-IXI012 in train of data\.parts\[0\] and IXI012.* in val of"
        ):
            build(*parts)
    else:
        assert len(build(*parts)) > 1


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([], "a part in split 'train', found none"),
        ([{"count": 3}], r"data\.parts\[0\]: expected a mapping with a name"),
        ([{"name": "toys"}], r"data\.parts\[0\]: unknown dataset 'toys'; did you mean 'toy'"),
        ([TOY, {"name": "toy", "side": 3}], r"data\.parts\[1\]: unknown option of dataset 'toy'"),
        ([{**TOY, "weight": 0}], "weight above 0, got 0"),
        ([{**TOY, "weight": "much"}], "weight above 0, got 'much'"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    with pytest.raises(DataError, match=message):
        build(*parts)


def test_roots_of_parts_lie_below_the_root(tmp_path):
    save_volume(tmp_path / "a" / "sub-1_T1w.nii.gz")
    part = {"name": "volumes", "root": "a", "shares": {"train": 1.0}}
    assert len(Mix([part], "train", SPACE, root=str(tmp_path)))
    absolute = {**part, "root": str(tmp_path / "a")}
    assert len(Mix([absolute], "train", SPACE, root="elsewhere"))


def test_scans_of_all_parts_are_read_with_their_sites(tmp_path):
    for site, count in (("a", 2), ("b", 3)):
        for k in range(count):
            save_volume(tmp_path / site / f"sub-{site}{k}_T1w.nii.gz", seed=10 * count + k)
    parts = [
        {"name": "volumes", "root": str(tmp_path / site), "shares": {"train": 1.0}, "site": site}
        for site in "ab"
    ]
    data = build(TOY, *parts)
    assert isinstance(data, HoldsScans)
    scans = [(site, volume.name.rpartition("/")[2]) for site, volume, _ in data.read_scans()]
    assert scans == [(s, f"sub-{s}{k}_T1w.nii.gz") for s, n in (("a", 2), ("b", 3)) for k in range(n)]
    assert [site for site, *_ in data.read_scans(every=2)] == ["a", "b", "b"]
