"""Names of results: plain and BIDS, there and back, no two alike."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffad.io.naming import RESULT_SUFFIXES, Naming, find_maps, parse_map_name

SCANS = ["sub-01_T1w", "sub-01_ses-2_run-1_FLAIR", "sub-01_desc-preproc_T1w", "sub-01_acq-a_desc-raw_T2w"]


def test_bids_keeps_entities_and_calls_masks_masks():
    naming = Naming("sub-01_run-1_T1w", Path("sub-01/anat"), bids=True)
    names = {kind: naming.path(kind).name for kind in RESULT_SUFFIXES}
    assert names["anomaly"] == "sub-01_run-1_desc-anomaly_T1w.nii.gz"
    assert names["info"] == "sub-01_run-1_desc-anomaly_T1w.json"
    assert names["mask"] == "sub-01_run-1_desc-anomalyT1w_mask.nii.gz"
    assert names["seen"] == "sub-01_run-1_desc-seenT1w_mask.nii.gz"
    assert naming.path("page").parent == Path("sub-01/anat")


@pytest.mark.parametrize("bids", [True, False])
def test_no_two_results_share_a_name(bids):
    namings = [Naming(scan, Path("a"), bids) for scan in SCANS]
    paths = [path for naming in namings for path in naming.files(Path()).values()]
    assert len(set(paths)) == len(paths)


@given(words=st.lists(st.from_regex(r"[a-z]+-[a-zA-Z0-9]+", fullmatch=True), max_size=3), bids=st.booleans())
def test_map_tells_whose_it_is(words, bids):
    kept = sorted({w.split("-")[0]: w for w in words if not w.startswith(("desc", "sub", "mod"))}.values())
    naming = Naming("_".join(["sub-01", *kept, "T1w"]), Path("sub-01/anat"), bids)
    assert parse_map_name(Path("out") / naming.path("anomaly"), Path("out")) == naming


@pytest.mark.parametrize("scan", SCANS)
def test_described_scan_keeps_its_description(scan):
    naming = Naming(scan, Path("sub-01"), bids=True)
    assert parse_map_name(Path("out") / naming.path("anomaly"), Path("out")) == naming


def test_maps_of_both_layouts_are_found_and_masks_are_none(tmp_path):
    namings = [Naming("A"), Naming("sub-01_T1w", Path("sub-01/ses-1/anat"), bids=True)]
    for naming in namings:
        for path in naming.files(tmp_path).values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    assert list(find_maps(tmp_path).values()) == namings


def test_maps_below_a_split_folder_are_found_and_those_half_written_are_not(tmp_path):
    split = Naming("sub-01_T1w", Path("test/sub-01/anat"), bids=True)
    partial = Naming("sub-02_T1w", Path(".sub-02_T1w.partial/sub-02/anat"), bids=True)
    for naming in (split, partial):
        path = tmp_path / naming.path("anomaly")
        path.parent.mkdir(parents=True)
        path.touch()
    assert list(find_maps(tmp_path).values()) == [split]
