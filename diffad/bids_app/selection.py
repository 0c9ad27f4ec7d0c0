"""Which scans of a data set are looked at, and which participants have none."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from diffad.bids_app.filters import Query
from diffad.io.entities import BidsName, is_companion, parse_bids_name
from diffad.io.nifti import is_volume_name, stem
from diffad.io.paths import is_folder, is_lost
from diffad.io.search import NO_CONTENT, list_names
from diffad.io.walk import find_content_gap
from diffad.predict.bids import FOLDERS

MOST_LABELS = 20
"""How many labels are named where one is unknown."""


@dataclass
class Selection:
    """Scans that are looked at.

    Args:
        scans: Their files, by the label of their participant.
        absent: Why participants, sessions or scans cannot be looked at, by name.
        others: Scans of other kinds, which are passed over.
        answered_queries: Names of the queries that a scan was found for.
    """

    scans: dict[str, list[Path]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    others: list[Path] = field(default_factory=list)
    answered_queries: set[str] = field(default_factory=set)

    @property
    def paths(self) -> list[Path]:
        """All scans, in order."""
        return [path for paths in self.scans.values() for path in paths]


def list_participants(root: Path) -> list[str]:
    """List the labels of the participants of a data set, in order.

    Raises:
        ValueError: If there is none.
    """
    folders = sorted(path for path in root.glob("sub-*") if is_folder(path) or is_lost(path))
    if not folders:
        raise ValueError(f"{root}: expected participants in folders sub-*, found none")
    return [path.name.removeprefix("sub-") for path in folders]


def choose_participants(root: Path, labels: Sequence[str]) -> list[str]:
    """Return the participants that were asked for, or all.

    Raises:
        ValueError: If one is unknown; those that are there are named.
    """
    known_labels = list_participants(root)
    return _require_labels("--participant-label", labels, known_labels, f"participants of {root}")


def choose_sessions(root: Path, participants: Sequence[str], labels: Sequence[str]) -> list[str]:
    """Return the sessions that were asked for; none asks for all.

    Raises:
        ValueError: If no participant has one of them; those that are there are named.
    """
    if not labels:
        return []
    visits = (path for label in participants for path in (root / f"sub-{label}").glob("ses-*"))
    known_labels = sorted({path.name.removeprefix("ses-") for path in visits})
    return _require_labels("--session-label", labels, known_labels, f"sessions of {root}")


def _require_labels(option: str, labels: Sequence[str], known_labels: Sequence[str], what: str) -> list[str]:
    if unknown_labels := [label for label in labels if label not in known_labels]:
        text = list_names(known_labels, MOST_LABELS) or "none"
        raise ValueError(f"{option}: expected {what}, got {', '.join(unknown_labels)}; there are {text}")
    return list(labels or known_labels)


def select_scans(
    root: Path, participants: Sequence[str], sessions: Sequence[str], queries: Sequence[Query]
) -> Selection:
    """Find the scans that the queries ask for.

    Args:
        root: The data set.
        participants: Labels of participants.
        sessions: Labels of sessions; none for all.
        queries: What is looked at.
    """
    selection = Selection()
    for label in participants:
        scans = selection.scans.setdefault(label, [])
        for visit in _list_visits(root / f"sub-{label}", sessions, selection):
            chosen_scans = _choose_scans(visit, queries, selection)
            if not chosen_scans and not is_lost(visit) and not _names_gap(visit, selection):
                name = "_".join(visit.relative_to(root).parts)
                selection.absent[name] = f"no scan that is {' or '.join(map(str, queries))}"
            scans += chosen_scans
    return selection


def _list_visits(folder: Path, sessions: Sequence[str], selection: Selection) -> list[Path]:
    """List the folders of the sessions of a participant, or that of the participant without sessions."""
    if is_lost(folder):
        selection.absent[folder.name] = NO_CONTENT
        return []
    visits = [path for path in sorted(folder.glob("ses-*")) if is_folder(path) or is_lost(path)]
    if not sessions:
        selection.absent |= {f"{folder.name}_{path.name}": NO_CONTENT for path in visits if is_lost(path)}
        return visits or [folder]
    chosen_visits = [path for path in visits if path.name.removeprefix("ses-") in sessions]
    if not chosen_visits:
        selection.absent[folder.name] = f"no session {' or '.join(sessions)}"
    return chosen_visits


def _choose_scans(visit: Path, queries: Sequence[Query], selection: Selection) -> list[Path]:
    scans = []
    for path, name in _list_volumes(visit):
        ends = path.parent.name, path.name[len(stem(path)) :]
        names = {query.name for query in queries if query.matches(name, *ends)}
        selection.answered_queries |= names
        if not names:
            selection.others.append(path)
        elif find_content_gap(path):
            selection.absent[stem(path)] = NO_CONTENT
        else:
            scans.append(path)
    return scans


def _list_volumes(visit: Path) -> Iterable[tuple[Path, BidsName]]:
    """List the scans of a visit with their names, to which the session of the folder belongs."""
    session = visit.name.removeprefix("ses-") if visit.name.startswith("ses-") else None
    for folder in FOLDERS:
        for path in sorted((visit / folder).glob("sub-*")):
            name = parse_bids_name(stem(path)) if is_volume_name(path) else None
            if name is None or is_companion(stem(path)):
                continue
            yield path, BidsName({"ses": session, **name.entities} if session else name.entities, name.words)


def _names_gap(visit: Path, selection: Selection) -> bool:
    """Tell whether a scan of a visit was named already, as its content is not there."""
    return any(stem(path) in selection.absent for path, _ in _list_volumes(visit))
