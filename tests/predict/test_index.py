"""The index of a cohort: what the table says, and links to what is in the folder alone."""

import pytest

from diffad.predict.index import write_cohort
from diffad.predict.results import ResultRow, Results


@pytest.mark.parametrize("name", ["../other/s0", "/etc/s0", "s0/../../x", "..", "", "javascript:alert(1)"])
def test_row_of_a_strange_name_gets_no_link(tmp_path, name):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "s0_report.html").write_text("not of this folder")
    out = tmp_path / "out"
    out.mkdir()
    results = Results(out / "results.csv")
    results.add(ResultRow(name, "ok"))
    page = write_cohort(out, [], Results(out / "results.csv").rows).read_text()
    assert "s0_report.html" not in page
    assert f'href="{name}' not in page


def test_names_are_shown_and_not_run(tmp_path):
    results = Results(tmp_path / "results.csv")
    results.add(ResultRow("<script>x</script>\x1b\n", "failed", error="=cmd|'!A0"))
    page = write_cohort(tmp_path, [], Results(tmp_path / "results.csv").rows).read_text()
    assert "<script>x" not in page
    assert "&lt;script&gt;x&lt;/script&gt;\\x1b\\n" in page


def test_table_of_before_warnings_is_read(tmp_path):
    path = tmp_path / "results.csv"
    path.write_text("scan,status,score,volume_ml,threshold,seconds,nfe,error\ns0,ok,1,2,3,4,5,\n")
    results = Results(path)
    assert results.rows["s0"]["score"] == "1"
    results.add(ResultRow("s1", "ok", warnings="odd"))
    assert ",error,warnings," in path.read_text().splitlines()[0]
    assert [row["warnings"] for row in Results(path).rows.values()] == ["", "odd"]


@pytest.mark.parametrize("text", ["a,b\n1,2\n", "", "scan\n", '"', "\x00", "\xff" * 10])
def test_another_table_is_refused_by_name(tmp_path, text):
    path = tmp_path / "results.csv"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=f"^{path}: expected"):
        Results(path)
