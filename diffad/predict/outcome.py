"""What becomes of one scan on its way through a cohort."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from diffad.inference.choice import ModelChoice
from diffad.inference.output import AnomalyOutput
from diffad.io.subjects import Subject
from diffad.io.terminal import format_error, say
from diffad.predict.load import LoadedScan
from diffad.predict.results import ResultRow
from diffad.prepare.to_template import TemplateWay

P = ParamSpec("P")
T = TypeVar("T")

DISK_ERRORS = (
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EIO,
    errno.ENODEV,
    errno.ENXIO,
    errno.ESTALE,
    errno.EACCES,
    errno.EPERM,
    errno.EMFILE,
    errno.ENFILE,
)
"""Errors after which no other scan could be written either; any other is a matter of one scan."""


class WriteError(OSError):
    """The results cannot be written, so there is no use in going on."""


@dataclass
class PendingScan:
    """A scan that is to be looked at: what is asked of it, what was read, and the model that looks at it."""

    request: dict[str, Any]
    region: Path | None
    ready: LoadedScan
    choice: ModelChoice


@dataclass
class ScanOutcome:
    """What became of a scan: its row in the table, where in the summary it counts, what is to be written.

    Args:
        row: Its row; none for a scan that another program is at work on.
        counts: Field of ``CohortSummary``.
        output: What is to be written, if anything.
        preparation: Picture of how the scan was made ready, as PNG; none where it was taken as it is.
        way: The way to the template, where results are written there, too.
    """

    row: ResultRow | None
    counts: str
    output: AnomalyOutput | None = None
    preparation: bytes | None = None
    way: TemplateWay | None = None


def guard_stage(
    stage: Callable[Concatenate[Subject, P], T], subject: Subject, *rest: P.args, **options: P.kwargs
) -> T | ScanOutcome:
    """Run a stage of a scan; whatever is wrong with one scan must not cost the others.

    Args:
        stage: What is done with it.
        subject: The scan.
        *rest: What else the stage is given.
        **options: Likewise, by name.

    Returns:
        What the stage returns, or the outcome of a scan that cannot be used, which is said.

    Raises:
        WriteError: If nothing more can be written.
    """
    try:
        return stage(subject, *rest, **options)
    except WriteError:
        raise
    except Exception as error:
        message = format_error(error)
        say(f"failed {subject.name}: {message}", error)
        return fail_scan(subject.name, message)


def fail_scan(name: str, message: str) -> ScanOutcome:
    """Return the outcome of a scan that cannot be used."""
    return ScanOutcome(ResultRow(name, "failed", error=message), "failed")


OUTCOMES = {"skipped": "done before", "other": "kept from other options"}
"""What is said of scans that are not looked at now."""


def describe_outcome(outcome: ScanOutcome) -> str:
    """Say in a few words what became of a scan."""
    row = outcome.row
    if row is None or row.status == "failed":
        return "failed"
    words = [OUTCOMES[outcome.counts]] if outcome.counts in OUTCOMES else []
    words += [f"{float(row.volume_ml):.2f} ml detected"] if row.volume_ml != "" else []
    words += ["with warnings"] if row.warnings else []
    return ", ".join(words)
