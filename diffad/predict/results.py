"""The table of a cohort: one row a scan, on disk after every scan."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from diffad.io.atomic import write_text
from diffad.io.claims import RUNNING, hold_claim
from diffad.io.escape import escape_name, escape_text, format_csv, unguard_cell
from diffad.io.files import open_regular
from diffad.io.wording import BoundedError

SEPARATOR = " | "
"""Between the warnings of a scan."""
PATIENCE_SECONDS = 60.0
"""How long to wait for another program that writes the table, which takes it a moment."""


@dataclass(frozen=True)
class ResultRow:
    """What became of one scan.

    Args:
        scan: Name of the results.
        status: "ok" or "failed".
        verdict: What the result amounts to: "nothing" above what healthy scans show, "detections" that no
            person has judged, "unusual" as a whole without a detection, "not credible", or that of a
            "poor scan", which is not judged.
        model: Name of the model.
        scope: What the model knows.
        coverage: How much of the scan was analysed.
        flagged_share: How much of that is flagged, and whether that is credible.
        score: Image score.
        volume_ml: Volume of all detections, in ml.
        threshold: Threshold of the detections.
        seconds: Time it took.
        nfe: Network evaluations per slice.
        error: Why it failed.
        warnings: What should be known of the result, in sentences.
        domain: "inside" or "outside" what the model knows, or "unknown".
        p_value: How surprising the scan were if it was healthy, by whole healthy scans; empty where unknown.
        quality: "good", "poor" with what the scan has, or "unknown".
    """

    scan: str
    status: str
    verdict: str = ""
    model: str = ""
    scope: str = ""
    coverage: str = ""
    flagged_share: str = ""
    score: float | str = ""
    volume_ml: float | str = ""
    threshold: float | str = ""
    seconds: float | str = ""
    nfe: int | str = ""
    error: str = ""
    warnings: str = ""
    domain: str = ""
    p_value: float | str = ""
    quality: str = ""

    @classmethod
    def from_info(cls, name: str, info: dict[str, Any]) -> ResultRow:
        """Make the row of a finished scan from what is stored with its maps."""
        warnings = info.get("warnings") or []
        sentences = warnings if isinstance(warnings, list) else [warnings]
        return cls(
            name,
            "ok",
            verdict=str(info.get("verdict", "")),
            **_get_headline(info.get("headline")),
            score=info.get("image_score", ""),
            volume_ml=info.get("anomalous_ml", ""),
            threshold=info.get("threshold", ""),
            seconds=info.get("seconds", ""),
            nfe=info.get("nfe", ""),
            warnings=SEPARATOR.join(map(str, sentences)),
            domain=_get_status(info.get("domain")),
            p_value=_get_p_value(info.get("healthy_scans")),
            quality=_get_quality(info.get("quality")),
        )


def _get_headline(texts: Any) -> dict[str, str]:
    """Return what is said first of a stored result, of results from before it was stored nothing."""
    keys = {"model": "model", "scope": "scope", "coverage": "analysed", "flagged_share": "flagged"}
    return {own: str(texts.get(key, "")) for own, key in keys.items()} if isinstance(texts, dict) else {}


def _get_status(domain: Any) -> str:
    """Return the status of a stored domain, of results from before there was one too."""
    return str(domain.get("status", "")) if isinstance(domain, dict) else ""


def _get_quality(quality: Any) -> str:
    """Return the quality of a stored scan and what it has, of results from before it was measured too."""
    if not isinstance(quality, dict):
        return ""
    flags = quality.get("flags") or []
    return f"{quality.get('status', '')}{': ' if flags else ''}{', '.join(map(str, flags))}"


def _get_p_value(comparison: Any) -> float | str:
    """Return the p-value of a stored comparison with healthy scans, empty where there is none."""
    return comparison.get("p_value", "") if isinstance(comparison, dict) else ""


Table = dict[str, dict[str, str]]
"""Rows by scan; names are shown as ``escape_name`` shows them."""

COLUMNS = [f.name for f in fields(ResultRow)]
HEADLINE_COLUMNS = ("verdict", "model", "scope", "coverage", "flagged_share")
_RECENT = [name for name in COLUMNS if name != "quality"]
_FORMER = [name for name in _RECENT if name not in HEADLINE_COLUMNS]
FORMER_COLUMNS = (_FORMER[:-3], _FORMER[:-2], _FORMER[:-1], _FORMER, _RECENT)
"""Columns of tables from before there were warnings, domains, p-values, headlines, or quality in them."""


class Results:
    """The file ``results.csv``; rows of earlier runs and of other programs stay.

    Several programs add rows at the same time: each adds to what is on disk, one after the other.

    Args:
        path: The file; made with the first row.

    Raises:
        ValueError: If the file is there and is another table.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = self.read()

    def read(self) -> Table:
        """Return what is on disk now.

        Raises:
            ValueError: If it is another table.
        """
        return _read_table(self.path) if self.path.exists() else {}

    def add(self, *rows: ResultRow, order: Sequence[str] = ()) -> None:
        """Add or replace rows and write the table, whole or not at all, if that changes it.

        Args:
            rows: What became of some scans.
            order: Names of scans, whose rows come last and in this order; none leaves the rows as they are.

        Raises:
            OSError: If the table cannot be written.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        lock = self.path.parent / RUNNING / f"{self.path.name}.lock"
        with hold_claim(lock, PATIENCE_SECONDS, str(self.path)):
            before = self.read()
            values = [_format_row(row) for row in rows]
            table = before | {value["scan"]: value for value in values}
            if order:
                table = _sort_rows(table, order)
            if list(table.items()) != list(before.items()):
                write_text(self.path, format_csv(COLUMNS, table.values()))
            self.rows = table


def _format_row(row: ResultRow) -> dict[str, str]:
    cells = {key: "" if v is None else escape_text(str(v)) for key, v in asdict(row).items()}
    return cells | {"scan": escape_name(row.scan)}


def _sort_rows(table: Table, order: Sequence[str]) -> Table:
    places = {escape_name(name): index for index, name in enumerate(order)}
    return dict(sorted(table.items(), key=lambda item: places.get(item[0], -1)))


def _read_table(path: Path) -> Table:
    try:
        with open_regular(path) as binary:
            text = binary.read().decode("utf-8")
        table = csv.DictReader(io.StringIO(text, newline=""), restval="", strict=True)
        rows, columns = list(table), list(table.fieldnames or [])
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected a table of results, found an unreadable one ({error})") from error
    if columns not in (COLUMNS, *FORMER_COLUMNS):
        raise BoundedError(f"{path}: expected the columns {', '.join(COLUMNS)}, found {', '.join(columns)}")
    cells = [{key: escape_text(unguard_cell(row.get(key) or "")) for key in COLUMNS} for row in rows]
    return {row["scan"]: row for row in cells}
