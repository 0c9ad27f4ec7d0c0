"""The level of the group: one table and one page over what was written of all participants."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diffad.bids_app.columns import COLUMN_TEXTS, OWN_COLUMNS
from diffad.bids_app.inputs import AppInputs, require_dataset
from diffad.bids_app.participants_table import ParticipantsTable, read_participants
from diffad.bids_app.selection import list_participants
from diffad.inference.lesions import Lesion, read_lesions
from diffad.io.atomic import write_text
from diffad.io.entities import parse_bids_name
from diffad.io.escape import escape_name, format_csv
from diffad.io.files import require_file
from diffad.io.naming import Naming, find_maps
from diffad.io.own_maps import read_scan_info
from diffad.io.search import list_names
from diffad.io.terminal import format_error, say
from diffad.predict.dataset import describe_dataset
from diffad.predict.index import write_cohort
from diffad.predict.results import ResultRow, Results

NO_VALUE = "n/a"


@dataclass(frozen=True)
class GroupFiles:
    """What was written over all participants.

    Args:
        table: The table, TSV.
        page: The index of the pages.
        scans: How many rows there are.
        failures: How many of them have no results.
    """

    table: Path
    page: Path
    scans: int
    failures: int


def write_group(app: AppInputs) -> GroupFiles:
    """Write the table of all scans with the columns of their participants, and the index of their pages.

    Results of other machines need no row in ``results.csv``: what is stored with the maps makes one.

    Args:
        app: Where data set and derivative lie.

    Raises:
        ValueError: If there is no data set, or nothing was written yet.
        OSError: If a file cannot be written.
    """
    require_dataset(app.root, app.out)
    namings = {escape_name(naming.name): naming for naming in find_maps(app.out).values()}
    results = Results(app.out / "results.csv")
    if not namings and not results.rows:
        raise ValueError(
            f"{app.out}: expected results of participants, found none; run the level participant first"
        )
    describe_dataset(app.out, [app.root])
    results.add(*_read_rows(app.out, namings, results.rows))
    rows = dict(sorted(_drop_outdated(results.rows).items()))
    participants = read_participants(app.root)
    _say_gaps(app.root, rows)
    table = _write_table(app.out, rows, namings, participants)
    page = write_cohort(app.out, [], rows)
    failures = sum(row["status"] != "ok" for row in rows.values())
    return GroupFiles(table, page, len(rows), failures)


def _drop_outdated(rows: Mapping[str, Mapping[str, str]]) -> dict[str, Mapping[str, str]]:
    """Leave out that a participant had no scan, where there are results of one by now."""
    finished_scans = [name for name, row in rows.items() if row["status"] == "ok"]
    return {
        name: row
        for name, row in rows.items()
        if row["status"] == "ok" or not any(other.startswith(f"{name}_") for other in finished_scans)
    }


def _read_rows(out: Path, namings: Mapping[str, Naming], rows: Mapping[str, Any]) -> list[ResultRow]:
    """Make the rows of scans that have maps but no row, or one that says that they failed."""
    found_rows = []
    for name, naming in namings.items():
        if rows.get(name, {}).get("status") == "ok":
            continue
        try:
            info = read_scan_info(naming.files(out)["info"])
            found_rows.append(ResultRow.from_info(naming.name, info))
        except (ValueError, OSError) as error:
            say(f"warning: {naming.name} is left out: {format_error(error)}")
    return found_rows


def _say_gaps(root: Path, rows: Mapping[str, Any]) -> None:
    """Name the participants of the data set that no row is of."""
    labels = {name.entities["sub"] for row in rows if (name := parse_bids_name(row))}
    gaps = [f"sub-{label}" for label in list_participants(root) if label not in labels]
    if gaps:
        verb = "participant has" if len(gaps) == 1 else "participants have"
        say(f"note: {len(gaps)} {verb} no row, though {root} holds them: {list_names(gaps, 10)}")


def _write_table(
    out: Path,
    rows: Mapping[str, Mapping[str, str]],
    namings: Mapping[str, Naming],
    participants: ParticipantsTable,
) -> Path:
    joined_rows = [_join_row(out, row, namings.get(name), participants) for name, row in rows.items()]
    columns = [*OWN_COLUMNS, *participants.columns]
    filled_rows = [
        {c: NO_VALUE if row.get(c) in (None, "") else row[c] for c in columns} for row in joined_rows
    ]
    path = out / "group.tsv"
    write_text(path, format_csv(columns, filled_rows, delimiter="\t"))
    texts = {column: COLUMN_TEXTS[column] for column in OWN_COLUMNS} | participants.texts
    write_text(path.with_suffix(".json"), json.dumps(texts, indent=1) + "\n")
    return path


def _join_row(
    out: Path, row: Mapping[str, str], naming: Naming | None, participants: ParticipantsTable
) -> dict[str, Any]:
    """Put the row of a scan, its detections and the columns of its participant together."""
    name = parse_bids_name(row["scan"])
    entities = name.entities if name else {}
    label = f"sub-{entities['sub']}" if "sub" in entities else ""
    cells = {"participant_id": label, "session_id": f"ses-{entities['ses']}" if "ses" in entities else ""}
    lesions = _read_detections(out, naming) if naming and row["status"] == "ok" else None
    cells |= {"suffix": name.suffix if name and name.suffix != name.entities.get("ses") else ""}
    counts: dict[str, Any] = {} if lesions is None else {"detections": len(lesions)}
    if lesions:
        largest = max(lesions, key=lambda lesion: lesion.volume_ml)
        counts |= {"largest_ml": largest.volume_ml, "largest_place": largest.place}
    return {**row, **cells, **counts, **participants.rows.get(label, {})}


def _read_detections(out: Path, naming: Naming) -> list[Lesion] | None:
    try:
        return read_lesions(require_file(naming.find_files(out)["lesions_json"]))
    except (ValueError, OSError) as error:
        say(f"warning: {naming.name}: its detections are not counted: {format_error(error)}")
        return None
