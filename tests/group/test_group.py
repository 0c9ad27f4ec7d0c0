"""The command: which scans go in, what is written, and what is refused."""

import json

import nibabel as nib
import numpy as np
import pytest

from diffad.cli import main
from diffad.group.run import slugify
from diffad.io.spaces import TEMPLATE_SPACE
from tests.helpers.cohorts import load
from tests.helpers.groups import MAP, change_info, change_row, read_table, stack, write_people


def test_maps_are_those_of_the_stack_and_count_what_was_analysed_alone(group, folder, template):
    code, told = group()
    assert (code, f"4 all; see {group.out / 'index.html'}" in told) == (0, True), told
    seen, mask = stack(folder, "seen") > 0, stack(folder, "mask") > 0
    assert mask.any()
    values = np.ma.array(stack(folder, "anomaly").astype(np.float64), mask=~seen)
    count = seen.sum(0)
    assert {3, 4} <= set(np.unique(count))
    made = {kind: nib.load(group.out / f"all_{kind}.nii.gz") for kind in ("mean", "sd", "overlap", "n")}
    assert np.array_equal(np.asarray(made["n"].dataobj), count)
    assert np.allclose(made["mean"].dataobj, values.mean(0).filled(0), atol=1e-6)
    deviation = np.where(count > 1, values.std(0, ddof=1).filled(0), 0)
    assert np.allclose(made["sd"].dataobj, deviation, atol=1e-6)
    assert np.allclose(made["overlap"].dataobj, (mask & seen).sum(0) / np.maximum(count, 1), atol=1e-6)
    for image in made.values():
        assert np.array_equal(image.affine, template.grid.affine)
        assert int(image.header["sform_code"]) == 4


def test_tables_record_and_page_say_the_same(group, folder):
    change_row(folder, "sub-3_T1w", status="failed", error="of a reason")
    group()
    record = json.loads((group.out / "group.json").read_text())
    assert record["groups"][0]["n"] == 3
    assert record["left_out"] == {"sub-3_T1w": "failed"}
    assert record["space"] == TEMPLATE_SPACE
    rows = {row["scan"]: row for row in read_table(group.out / "scans.tsv")}
    assert rows["sub-3_T1w"] == {"scan": "sub-3_T1w", "group": "", "left_out": "failed"}
    assert rows["sub-0_T1w"]["group"] == "all"
    rows = read_table(group.out / "regions.tsv")
    assert max(int(row["analysed"]) for row in rows) == 3
    page = (group.out / "index.html").read_text()
    assert "3 scans; the highest share" in page
    assert "<li>1 failed: sub-3_T1w</li>" in page
    assert (group.out / "all_overlap.png").read_bytes().startswith(b"\x89PNG")


def test_order_of_the_table_changes_no_bit(group, folder, tmp_path):
    group()
    lines = (folder / "results.csv").read_text().splitlines()
    (folder / "results.csv").write_text("\n".join([lines[0], *reversed(lines[1:])]) + "\n")
    group(out=tmp_path / "again")
    maps = [*group.out.glob("*.nii.gz")]
    assert len(maps) == 4
    for path in maps:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_groups_by_a_column_have_maps_of_their_own_and_add_up(group, folder):
    people = {"sub-0": "MDD/mild", "sub-1": "MDD/mild", "sub-2": "HC", "sub-3": "n/a"}
    write_people(folder / "participants.tsv", people)
    code, told = group("--by", "diagnosis")
    assert code == 0, told
    assert "4 all, 1 diagnosis: HC, 2 diagnosis: MDD/mild" in told
    assert "warning: 1 scans have no diagnosis in" in told
    assert "diagnosis: HC: only 1 scan, so that the standard deviation is not defined" in told
    counts = {
        name: load(group.out / f"{name}_n.nii.gz") for name in ("all", "diagnosis-HC", "diagnosis-MDDmild")
    }
    seen = stack(folder, "seen") > 0
    assert np.array_equal(counts["all"], seen.sum(0))
    assert np.array_equal(counts["diagnosis-MDDmild"], seen[:2].sum(0))
    values = np.ma.array(stack(folder, "anomaly").astype(np.float64), mask=~seen).mean(0).filled(0)
    assert np.allclose(load(group.out / "all_mean.nii.gz"), values, atol=1e-6)  # merged, not summed anew
    assert not load(group.out / "diagnosis-HC_sd.nii.gz").any()
    groups = {row["scan"]: row["group"] for row in read_table(group.out / "scans.tsv")}
    assert groups["sub-2_T1w"] == "diagnosis: HC"
    assert groups["sub-3_T1w"] == "all"


def test_scans_outside_are_left_out_and_named_or_taken_and_said(group, folder, tmp_path):
    change_row(folder, "sub-2_T1w", domain="outside")
    told = group()[1]
    assert "note: left out 1 outside what the model knows: sub-2_T1w" in told
    assert "3 all, 1 left out" in told
    told = group("--include-outside", out=tmp_path / "more")[1]
    assert "1 of 4 scans are outside what the model knows, and are included" in told


def test_scan_without_maps_in_the_template_is_left_out_and_one_scan_is_said(group, folder):
    for scan in ("sub-0_T1w", "sub-1_T1w", "sub-2_T1w"):
        (folder / f"{scan}{MAP}_mask.nii.gz").unlink()
    told = group()[1]
    assert f"left out 3 no maps in {TEMPLATE_SPACE}" in told
    assert "all: only 1 scan, so that the standard deviation is not defined (0)" in told


def test_damaged_map_costs_its_scan_alone(group, folder):
    (folder / f"sub-0_T1w{MAP}_mask.nii.gz").unlink()
    (folder / f"sub-0_T1w{MAP}_mask.nii.gz").write_bytes(b"no volume")
    code, told = group()
    assert (code, "warning: left out sub-0_T1w: " in told, "3 all, 1 left out" in told) == (0, True, True)
    assert load(group.out / "all_n.nii.gz").max() == 3


def test_several_models_are_refused_and_one_can_be_chosen(group, folder):
    stored = json.loads((folder / "sub-0_T1w_info.json").read_text())
    for scan in ("sub-2_T1w", "sub-3_T1w"):
        change_info(folder, scan, model={"name": "b"}, request=stored["request"] | {"model": "hash"})
    code, told = group()
    assert (code, "found 2 kinds, which differ in model: 2 by " in told) == (1, True), told
    assert not group.out.exists()
    assert "2 all, 2 left out" in group("--model", "b")[1]
    code, told = group("--model", "c")
    assert (code, "4 of another model); --model c takes none" in told) == (1, True)


def test_what_is_no_folder_of_results_is_refused(group, folder, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["group", str(tmp_path / "empty"), "--out", str(group.out)]) == 1
    assert "expected results of diffad predict with results.csv, found none" in capsys.readouterr().err
    for path in folder.glob(f"*{MAP}*"):
        path.unlink()
    code, told = group()
    assert (code, f"run diffad predict again with --space {TEMPLATE_SPACE}" in told) == (1, True)


def test_other_folders_are_never_overwritten(group, folder, tmp_path):
    assert group(out=folder)[1].endswith("expected another folder than that of the results\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x")
    code, told = group(out=tmp_path / "mine")
    assert (code, "found other files in it" in told) == (1, True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "x"
    assert group()[0] == 0
    change_row(folder, "sub-0_T1w", status="failed")
    assert "3 all, 1 left out" in group()[1]  # group maps take the place of earlier ones
    (group.out / "maps").mkdir()  # results in a folder of group maps, say
    code, told = group()
    assert (code, "found other files in it: maps" in told, (group.out / "maps").is_dir()) == (1, True, True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--by", "diagnosis"), "expected a participants.tsv there or in the data set above it"),
        (("--by", "diagnose", "--participants", "TABLE"), "did you mean 'diagnosis'?"),
        (("--by", "diagnosis", "--participants", "OTHER"), "expected a diagnosis of sub-0_T1w"),
        (("--by", "diagnosis", "--participants", "TWICE"), "found 'HC' and 'MDD'"),
        (("--participants", "TABLE"), "expected --by COLUMN"),
    ],
)
def test_wrong_tables_of_people_are_named(group, tmp_path, words, text):
    write_people(tmp_path / "TABLE", {"sub-0": "HC"})
    write_people(tmp_path / "OTHER", {"sub-9": "HC"})
    table = write_people(tmp_path / "TWICE", {"sub-0": "HC"})
    table.write_text(table.read_text() + "sub-0\tMDD\n")
    code, told = group(*(tmp_path / w if w.isupper() else w for w in words))
    assert (code != 0, text in told) == (True, True), told
    assert not group.out.exists()


def test_groups_never_share_the_names_of_their_files():
    slugs = slugify("a b", ["x/y", "x y", "XY", "é", "ü"])
    assert slugs == {"x/y": "ab-xy", "x y": "ab-xy2", "XY": "ab-XY3", "é": "ab-value", "ü": "ab-value2"}
