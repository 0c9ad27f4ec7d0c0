"""Preparing many scans, one after the other; a fault in one does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from diffad.config.reading import ReadOptions
from diffad.dicom.read import read_series
from diffad.dicom.stored import hash_series
from diffad.io.claims import RUNNING, hold_claim
from diffad.io.scratch import shorten_name
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import format_error
from diffad.prepare.files import describe_request, read_finished, write_prepared
from diffad.prepare.options import PrepareOptions
from diffad.prepare.run import prepare

PATIENCE_SECONDS = 3600.0
"""How long to wait for another program that prepares the same scan; it is then done, and not done twice."""


@dataclass
class PrepareSummary:
    """Names of the scans by their outcome, and the reasons of the failed ones."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        groups = {"done": self.done, "done before": self.skipped, "failed": self.failed}
        return ", ".join(f"{len(names)} {what}" for what, names in groups.items() if names) or "nothing to do"


def prepare_all(
    subjects: Sequence[Subject],
    out: Path,
    options: PrepareOptions,
    mask: str | Path | None,
    scan: Callable[[str], AbstractContextManager[None]],
    say: Callable[[str, BaseException | None], None],
    *,
    reading: ReadOptions = ReadOptions(),  # noqa: B008 (frozen)
) -> PrepareSummary:
    """Prepare all subjects into a folder; finished ones are skipped, and failed ones reported.

    Args:
        subjects: Subjects to prepare.
        out: Folder of the results.
        options: Options of all scans.
        mask: Brain mask of all scans, or the end of the masks' names; see ``find_subject_mask``.
        scan: Context in which a scan runs, called with its name, to show progress.
        say: Prints a message, with the error behind it or none.
        reading: How files are read.

    Raises:
        ImportError: If a package is missing that every scan needs.
    """
    summary = PrepareSummary()
    for subject in subjects:
        with scan(subject.name):
            try:
                with hold_claim(out / RUNNING / f"{shorten_name(subject.name)}.lock", PATIENCE_SECONDS):
                    _prepare(subject, out, options, mask, summary, say, reading)
            except ImportError:
                raise
            except Exception as error:  # a fault in one scan must not stop the others
                summary.failed[subject.name] = format_error(error)
                say(f"failed {subject.name}: {summary.failed[subject.name]}", error)
    return summary


def _prepare(
    subject: Subject,
    out: Path,
    options: PrepareOptions,
    mask: str | Path | None,
    summary: PrepareSummary,
    say: Callable[[str, BaseException | None], None],
    reading: ReadOptions,
) -> None:
    if subject.missing:
        raise ValueError(f"expected a file for every sequence, found none for {', '.join(subject.missing)}")
    paths, mask_path = list(subject.paths), find_subject_mask(subject, mask)
    request = describe_request(paths, mask_path, options, reading)
    if subject.dicom:
        request |= {"files": [hash_series(subject.dicom.files), *request["files"][1:]]}
    old_record = read_finished(out, subject.name)
    if old_record is not None:
        _require_same(old_record["request"], request, out, subject.name)
        summary.skipped.append(subject.name)
        return
    native = read_series(subject.dicom, reading) if subject.dicom else paths
    scan = prepare(native, options, mask_path, reading=reading)
    if subject.dicom:
        scan = replace(scan, record=scan.record | {"dicom": subject.dicom.to_info()})
    write_prepared(scan, out, subject.name, request)
    for warning in scan.record["warnings"]:
        say(f"warning: {warning}", None)
    summary.done.append(subject.name)


def _require_same(old_request: object, request: object, out: Path, name: str) -> None:
    if old_request != request:
        raise FileExistsError(
            f"{out / name}.nii.gz: expected a file made with the scans and options of this run, found one "
            "made with others; as nothing is overwritten, choose another --out"
        )
