"""What a data set says of its participants: age, sex and whatever else its table has."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from diffad.bids_app.columns import OWN_COLUMNS
from diffad.io.terminal import say
from diffad.io.text import read_json, read_text

KEY = "participant_id"
PREFIX = "participants_"
"""Before the name of a column that the table of the group has already."""


@dataclass(frozen=True)
class ParticipantsTable:
    """The table of the participants.

    Args:
        columns: Names of its columns, but for that of the participant.
        rows: Values by participant, as ``sub-01``.
        texts: What the columns hold, as far as the data set says it.
    """

    columns: Sequence[str] = ()
    rows: dict[str, dict[str, str]] = field(default_factory=dict)
    texts: dict[str, Any] = field(default_factory=dict)


def read_participants(root: Path) -> ParticipantsTable:
    """Read ``participants.tsv``; where it is missing or damaged, that is said, and the table is empty.

    Args:
        root: The data set.
    """
    path = root / "participants.tsv"
    if not path.exists():
        say(f"note: {path} is not there, so that the table has no columns of it")
        return ParticipantsTable()
    try:
        text = read_text(path, "a table of participants", encoding="utf-8-sig")
        table = csv.DictReader(io.StringIO(text, newline=""), delimiter="\t", restval="", strict=True)
        lines, heads = list(table), [head for head in table.fieldnames or [] if head]
        if KEY not in heads:
            raise ValueError(f"{path}: expected a column {KEY}, found {', '.join(heads) or 'none'}")
    except (ValueError, OSError, csv.Error) as error:
        say(f"warning: {path} is not joined: {error}")
        return ParticipantsTable()
    names = {head: f"{PREFIX}{head}" if head in OWN_COLUMNS else head for head in heads if head != KEY}
    rows = {_name_participant(line[KEY]): {n: line[h] or "" for h, n in names.items()} for line in lines}
    _say_repeats(path, [line[KEY] for line in lines])
    return ParticipantsTable(list(names.values()), rows, _read_texts(path.with_suffix(".json"), names))


def _name_participant(label: str) -> str:
    return label if label.startswith("sub-") else f"sub-{label}"


def _say_repeats(path: Path, labels: Sequence[str]) -> None:
    if repeats := sorted({label for label in labels if labels.count(label) > 1}):
        say(f"warning: {path}: the last row of {', '.join(repeats)} is taken, as there are several")


def _read_texts(path: Path, names: dict[str, str]) -> dict[str, Any]:
    """Read what the columns hold; a column of which nothing is said is one of the participants' table."""
    texts: Any = {}
    if path.exists():
        try:
            texts = read_json(path, "what the columns of participants hold")
        except (ValueError, OSError) as error:
            say(f"warning: {path} is passed over: {error}")
    known_texts = texts if isinstance(texts, dict) else {}
    plain = {"Description": "Column of participants.tsv of the data set"}
    return {name: known_texts.get(head, plain) for head, name in names.items()}
