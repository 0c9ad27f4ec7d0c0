"""What a BIDS App is asked to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from diffad.config.choices import require
from diffad.io.paths import is_folder, resolve_path
from diffad.io.terminal import say
from diffad.predict.bids import OTHER_FOLDERS
from diffad.predict.dataset import DESCRIPTION, read_description


@dataclass(frozen=True)
class AppInputs:
    """Which part of a data set is looked at, where results go, and how much of the machine is used.

    Args:
        root: The data set.
        out: Folder of the derivative; made if absent.
        participants: Labels of participants, with or without ``sub-``; none for all.
        sessions: Labels of sessions, with or without ``ses-``; none for all.
        filter_file: JSON file of filters; none for the usual scans.
        skips_validation: Do not run the BIDS validator on the data set.
        work: Folder for scratch and prepared scans; none for that of the system, and no prepared scans.
        nprocs: Most processor cores that are used; none for all.
        mem_gb: Most memory that is used, in GB; none for no limit.

    Raises:
        ValueError: If a value cannot be used; it is named.
    """

    root: Path
    out: Path
    participants: Sequence[str] = ()
    sessions: Sequence[str] = ()
    filter_file: Path | None = None
    skips_validation: bool = False
    work: Path | None = None
    nprocs: int | None = None
    mem_gb: float | None = None

    def __post_init__(self) -> None:
        require(self.nprocs is None or self.nprocs >= 1, "nprocs", "at least 1", self.nprocs)
        require(self.mem_gb is None or self.mem_gb > 0, "mem_gb", "more than 0 GB", self.mem_gb)
        for name, prefix in (("participants", "sub-"), ("sessions", "ses-")):
            labels = dict.fromkeys(label.removeprefix(prefix) for label in getattr(self, name))
            object.__setattr__(self, name, tuple(labels))


def require_dataset(root: Path, out: Path) -> None:
    """Refuse what is no BIDS data set, and a derivative that would be written into raw data.

    Args:
        root: The data set.
        out: The derivative.

    Raises:
        ValueError: Naming the folder, and what it lacks.
    """
    if not is_folder(root):
        raise ValueError(f"{root}: expected a BIDS data set, found no such folder")
    if not (root / DESCRIPTION).is_file():
        example = '{"Name": "my study", "BIDSVersion": "1.10.0"}'
        raise ValueError(
            f"{root}: expected a BIDS data set with a {DESCRIPTION}, found none; write one, such as {example}"
        )
    read_description(root)
    if resolve_path(out) == resolve_path(root):
        hint = f"choose {root / 'derivatives' / 'diffad'}"
        raise ValueError(f"{out}: expected a folder for the derivative, got the data set itself; {hint}")
    kind = read_description(out).get("DatasetType", "raw") if (out / DESCRIPTION).is_file() else "derivative"
    if kind != "derivative":
        raise ValueError(f"{out}: expected a folder for a derivative, found a BIDS data set of type {kind}")


def check_folders(app: AppInputs) -> None:
    """Warn of a derivative among raw data, and refuse scratch there, as the data set would not be valid then.

    Raises:
        ValueError: Naming the folder of scratch.
    """
    if _lies_among_data(app.out, app.root):
        hint = f"validators want it in {app.root / 'derivatives'}, or elsewhere"
        say(f"warning: {app.out} lies among the folders of the participants; {hint}")
    if app.work and _lies_among_data(app.work, app.root) and not _lies_in(app.work, app.out):
        raise ValueError(f"--work-dir: expected a folder outside of {app.root}, got {app.work}")


def _lies_in(path: Path, folder: Path) -> bool:
    return resolve_path(path).is_relative_to(resolve_path(folder))


def _lies_among_data(path: Path, root: Path) -> bool:
    """Tell whether a folder lies in a data set, but in none of its folders for what is no raw data."""
    parts = resolve_path(path).relative_to(resolve_path(root)).parts if _lies_in(path, root) else ()
    return _lies_in(path, root) and parts[:1] not in [(name,) for name in OTHER_FOLDERS]
