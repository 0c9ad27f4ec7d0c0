"""What ``predict`` does with its words."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.cli.commands import check_names, load, parse_device, parse_part, parse_slices, parse_threshold
from diffad.distributed import Process
from diffad.io.subjects import Search, Subject, find_scans, group_subjects, parse_mask
from diffad.io.terminal import say
from diffad.predict import bids

if TYPE_CHECKING:
    from diffad.predict.summary import CohortSummary

AXES = ("axial", "coronal", "sagittal")


@dataclass(frozen=True)
class Words:
    """What was said on the command line, but for how scans are looked at."""

    sources: Sequence[Path]
    model: str
    out: Path
    mask: str = ""
    region: str = ""
    sequences: str = ""
    device: str = "auto"
    overwrite: bool = False
    layout: str = "auto"
    page: bool = True
    on_failure: str = "any"

    @property
    def names(self) -> list[str]:
        """Sequences of a subject, in order."""
        return [s.strip() for s in self.sequences.split(",") if s.strip()]

    @property
    def masks(self) -> tuple[str | Path | None, str | Path | None]:
        """Brain mask and region, as files or as ends of names."""
        brain, region = (parse_mask(m) if m else None for m in (self.mask, self.region))
        return brain, region


def predict(words: Words, options: dict[str, Any], prepare: dict[str, Any] | None = None) -> int:
    """Run ``diffad predict`` and return its exit code.

    Args:
        words: What was said.
        options: How scans are looked at, as words.
        prepare: How they are made ready first, as words; none takes them as they are.

    Raises:
        ValueError: If there is no scan, or the model or an option cannot be used.
        OSError: If there is no such model, or the results cannot be written.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options |= {"slices": parse_slices(options["slices"]), "threshold": parse_threshold(options["threshold"])}
    options |= {"axes": parse_axes(options["axes"])}
    process, where = Process.from_launcher(), parse_device(words.device)
    if process.world_size > 1 and where.startswith("cuda"):
        where = str(process.device)
    search = find_scans(words.sources, words.out, *words.masks)
    cohort, passed = _cohort(words, search, process)
    try:
        summary = _predict(words, cohort, where, process, options, prepare)
    except KeyboardInterrupt:
        print("\nstopped; finished scans are whole, run the same command to go on", file=sys.stderr)
        return 130
    return _told(words, summary, passed) if process.is_main else 0


def _told(words: Words, summary: CohortSummary, passed: int) -> int:
    for line in (failures := summary.failures()):
        say(f"{len(failures)} scans failed:\n{line}" if line is failures[0] else line)
    told = f" (passed over {passed} masks and maps)" if passed else ""
    print(f"{summary}{told}; see {words.out / 'results.csv'}")
    return summary.code(words.on_failure)


def _cohort(words: Words, search: Search, process: Process) -> tuple[list[Subject], int]:
    """Make subjects of scans; those of a BIDS tree keep its names, and what is missing there is told."""
    roots = {bids.root_of(path) for path in search.scans}
    if words.layout == "plain" or (words.layout == "auto" and None in roots):
        return group_subjects(search.scans, words.names), len(search.ignored)
    if None in roots or len(roots) > 1:
        raise ValueError("--layout bids: expected scans of one folder with a dataset_description.json")
    (root,) = roots
    assert root is not None
    scans = [p for p in search.scans if bids.is_scan(p, root, words.sources)]
    if not scans:
        raise ValueError(f"{root}: expected scans in sub-*/anat, found none")
    found = [bids.place_subject(s) for s in group_subjects(scans, words.names)]
    if not words.names and process.is_main and (warning := bids.warn_mixed(found)):
        say(f"warning: {warning}")
    whole = any(source.resolve() == root for source in words.sources)
    missing = [bids.place_subject(s) for s in bids.find_gaps(root, scans, words.names)] if whole else []
    return found + missing, len(search.ignored) + len(search.scans) - len(scans)


def _predict(
    words: Words,
    cohort: Sequence[Subject],
    device: str,
    process: Process,
    options: dict[str, Any],
    prepare: dict[str, Any] | None,
) -> CohortSummary:
    from diffad.method import PARTS
    from diffad.predict import Cohort, Options

    pipe = load(words.model).to(device)
    check_names(words.names, pipe.config.sequences)
    for part in PARTS:
        options[part] = parse_part(part, options[part], dict(pipe.config[part] or {}))
    mask, region = words.masks
    made = Cohort(
        pipe,
        words.out,
        Options(**options),
        mask,
        words.overwrite,
        region,
        prepare=parse_prepare(prepare, mask),
        page=words.page,
        share=process,
    )
    if process.is_main and any(subject.bids for subject in cohort):
        roots = {root for s in cohort for p in s.paths[:1] if (root := bids.root_of(p))}
        bids.write_description(words.out, sorted(roots))
    summary = made.run(cohort)
    if words.page and process.is_main:
        from diffad.predict.index import write_cohort

        write_cohort(words.out, cohort, made.results.rows)
    return summary


def parse_prepare(words: dict[str, Any] | None, mask: str | Path | None) -> Any:
    """Read how scans are made ready.

    Raises:
        ValueError: If the words do not go together.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    if words is None:
        return None
    from diffad.prepare import PrepareOptions

    brain = "given" if mask and words["brain"] == "auto" else words["brain"]
    return PrepareOptions(**words | {"brain": "" if brain == "auto" else brain})


def parse_axes(text: str) -> tuple[str, ...] | None:
    """Read the axes that slices are cut along.

    Raises:
        BadParameter: If one is unknown or comes twice.
    """
    import typer

    axes = tuple(a.strip() for a in text.split(",") if a.strip())
    if not set(axes) <= set(AXES) or len(set(axes)) < len(axes):
        raise typer.BadParameter(f"expected --axes of {', '.join(AXES)}, each once, got {text!r}")
    return axes or None
