"""Many scans, one after the other; what is wrong with one does not cost the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import format_error
from diffad.prepare.files import describe_request, read_finished, write_prepared
from diffad.prepare.options import PrepareOptions
from diffad.prepare.run import prepare


@dataclass
class PrepareSummary:
    """Names of the scans by what became of them; of the failed ones, why."""

    done: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        told = {"done": self.done, "done before": self.skipped, "failed": self.failed}
        return ", ".join(f"{len(names)} {what}" for what, names in told.items() if names) or "nothing to do"


def prepare_all(
    subjects: Sequence[Subject],
    out: Path,
    options: PrepareOptions,
    mask: str | Path | None,
    scan: Callable[[str], AbstractContextManager[None]],
    say: Callable[[str, BaseException | None], None],
) -> PrepareSummary:
    """Prepare every subject into a folder; finished ones are skipped, failed ones reported.

    Args:
        subjects: What to prepare.
        out: Folder of the results.
        options: How.
        mask: Brain mask of all scans, or the end of the masks' names; see ``find_subject_mask``.
        scan: Counts a scan while it runs.
        say: Tells the person who waits something, with the error it comes from.

    Raises:
        ImportError: If a package is missing, which no scan can do without.
    """
    summary = PrepareSummary()
    for subject in subjects:
        with scan(subject.name):
            try:
                _prepare(subject, out, options, mask, summary, say)
            except ImportError:
                raise
            except Exception as error:  # whatever is wrong with one scan must not cost the others
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
) -> None:
    if subject.missing:
        raise ValueError(f"expected every sequence, found none for {', '.join(subject.missing)}")
    paths, own = list(subject.paths), find_subject_mask(subject, mask)
    asked = describe_request(paths, own, options)
    before = read_finished(out, subject.name)
    if before is not None:
        _check_same(before["request"], asked, out, subject.name)
        summary.skipped.append(subject.name)
        return
    prepared = prepare(paths, options, own)
    write_prepared(prepared, out, subject.name, asked)
    for warning in prepared.record["warnings"]:
        say(f"warning: {warning}", None)
    summary.done.append(subject.name)


def _check_same(before: object, asked: object, out: Path, name: str) -> None:
    if before != asked:
        raise FileExistsError(
            f"{out / name}.nii.gz: expected the files and options of this run, found it made with others; "
            "nothing is overwritten, so give another --out"
        )
