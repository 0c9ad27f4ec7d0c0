"""One bad scan never ends a cohort: odd files of all kinds, each told once, and the good ones done."""

import re
import resource

import pytest

from diffad.io.escape import escape_text, unguard_cell
from tests.helpers.cohorts import table
from tests.helpers.odd import BAD, FINE, make_cohort


@pytest.fixture
def odd(tmp_path):
    return make_cohort(tmp_path / "odd")


WITHOUT_CONTENT = {"nowhere", "annex-link", "annex-text", "lfs"}
"""They are counted in one note at the end, and stand in the table."""


def test_cohort_of_odd_files_ends_with_each_of_them_named_once(predict, odd):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    code, told = predict(scans=[odd])
    rows = {unguard_cell(name): row for name, row in table(predict.out).items()}
    failed, fine = set(BAD) - WITHOUT_CONTENT, {*map(escape_text, FINE), "inside"}
    summary = f"{len(fine)} done, {len(BAD)} failed; see "
    assert (code, told.startswith(summary)) == (1, True)
    assert sorted(re.findall(r"^failed (\S+): ", told, re.MULTILINE)) == sorted(failed)
    assert told.count(f"note: {len(WITHOUT_CONTENT)} of {len(BAD) + len(fine)} subjects have no content") == 1
    assert {name for name, row in rows.items() if row["status"] == "ok"} == fine
    assert {name for name, row in rows.items() if row["status"] == "failed" and row["error"]} == set(BAD)
    assert "metres" in rows["metres"]["warnings"]
    assert told.replace("\n", "").isprintable()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_500_000
    assert predict(scans=[odd])[1].startswith(f"{len(fine)} done before, {len(BAD)} failed")
