"""A run over scans on disk, from their names to the folder of results: what ``diffad predict`` does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch

from diffad.distributed import Process
from diffad.inference.candidates import is_auto, list_candidates
from diffad.inference.slice_range import explain_numbers
from diffad.io.console import get_console
from diffad.io.escape import escape_name
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.io.subjects import Subject, find_scans
from diffad.io.terminal import say
from diffad.pipeline import AnomalyPipeline
from diffad.predict import bids
from diffad.predict.dataset import describe_dataset
from diffad.predict.index import write_cohort
from diffad.predict.listing import CohortListing, list_subjects
from diffad.predict.options import Inputs, Options
from diffad.predict.results import ResultRow
from diffad.predict.runner import Cohort
from diffad.predict.shelf import ModelSet
from diffad.predict.summary import CohortSummary
from diffad.predict.template_space import NOTE, require_apart, require_packages


def predict_scans(
    inputs: Inputs, options: Options | None = None, process: Process | None = None
) -> CohortSummary:
    """Look at all scans, each with the one model or the one it suits best; what is finished is left alone.

    Args:
        inputs: Scans, model and folder of the results.
        options: How scans are looked at; the model's own way by default.
        process: Which of several processes this is; asks the launcher by default.

    Returns:
        What became of all scans, those of other processes too.

    Raises:
        ValueError: If there is no scan, or the model or an option cannot be used.
        OSError: If there is no such model, or the results cannot be written.
        ImportError: If a package of the extra ``prepare`` is missing.
    """
    process, options = process or Process.from_launcher(), options or Options()
    if process.is_main and isinstance(options.slices, tuple):
        say(f"warning: {explain_numbers(options.slices, inputs.prepare is not None)}")
    in_template = TEMPLATE_SPACE in inputs.spaces
    if in_template:
        require_packages()
    if in_template and process.is_main:
        say(NOTE)
    search = find_scans(inputs.sources, inputs.out, inputs.mask, inputs.region, takes_dicom=True)
    listing = list_subjects(inputs, search)
    subjects = listing.subjects
    if in_template:
        require_apart(subjects)
    cohort = Cohort(
        _find_models(inputs, process),
        inputs.out,
        options,
        inputs.mask,
        inputs.overwrite,
        inputs.region,
        prepare=inputs.prepare,
        page=inputs.page,
        share=process,
        verify=inputs.verify,
        in_template=in_template,
        keep_prepared=inputs.keep_prepared,
    )
    if process.is_main:
        _describe_derivative(inputs.out, subjects)
        count = f"{len(subjects)} scan" + ("s" if len(subjects) != 1 else "")
        begin: dict[str, Any] = {"scans": len(subjects), "model": inputs.model, "out": str(inputs.out)}
        get_console().emit("cohort", f"{count} to look at; results go to {inputs.out}", **begin)
    summary = cohort.run(subjects)
    if process.is_main:
        _record_absent(cohort, listing, summary)
    if inputs.page and process.is_main:
        write_cohort(inputs.out, subjects, cohort.results.rows)
    return summary


def _find_models(inputs: Inputs, process: Process) -> AnomalyPipeline | ModelSet:
    device = choose_device(inputs.device, process)
    if is_auto(inputs.model):
        return _list_models(inputs, device, process.is_main)
    pipe = load_model(inputs.model, device)
    check_sequence_names(inputs.sequences, pipe.config.sequences)
    return pipe


def _list_models(inputs: Inputs, device: str, is_main: bool) -> ModelSet:
    """Find the models to choose among that take the sequences asked for."""
    candidates, warnings = list_candidates(inputs.model)
    for warning in warnings if is_main else ():
        say(f"warning: {warning}")
    names = [c.sequences for c in candidates]
    usable = [c for c in candidates if _takes_sequences(inputs.sequences, c.sequences)]
    if not usable:
        check_sequence_names(inputs.sequences, names[0])
    quieten()
    is_ct = inputs.prepare.modality == "ct" if inputs.prepare else None
    return ModelSet(usable, partial(load_model, device=device), torch.device(device), is_ct)


def _takes_sequences(names: Sequence[str], model: Sequence[str] | None) -> bool:
    return not (names and model) or [n.lower() for n in names] == [n.lower() for n in model]


def quieten() -> None:
    """Silence the libraries that models are built with, and let tiny numbers be 0 in this thread."""
    from diffusers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity(logging.CRITICAL)  # what matters comes as an exception, and is said once
    torch.set_flush_denormal(True)  # denormal numbers slow a CPU down a hundredfold, and no map needs them


def load_model(name: str, device: str) -> AnomalyPipeline:
    """Load a pipeline without a word on the way.

    Args:
        name: Name of a shipped model, a pipeline folder, or a hub id.
        device: Where its networks go.

    Raises:
        OSError: If there is no such model.
        ValueError: If its files do not fit together; the model is named.
    """
    quieten()
    pipe: AnomalyPipeline = AnomalyPipeline.from_pretrained(name).to(device)
    return pipe


def choose_device(name: str, process: Process | None = None) -> str:
    """Return the device of a process: "auto" is a GPU where there is one, and each process has its own.

    The GPU of a Mac, "mps", is taken where it is named alone: nothing here was tried on one.
    """
    device = ("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name
    if process is not None and process.world_size > 1 and device.startswith("cuda"):
        return str(process.device)
    return device


def check_sequence_names(names: Sequence[str], model: Sequence[str] | None) -> None:
    """Refuse sequences that are not the model's, or not in its order.

    Raises:
        ValueError: With both lists.
    """
    if not _takes_sequences(names, model):
        assert model is not None
        raise ValueError(
            f"sequences: expected {','.join(model)}, as the model was trained on, got {','.join(names)}"
        )


def _record_absent(cohort: Cohort, listing: CohortListing, summary: CohortSummary) -> None:
    """Give subjects that cannot be looked at a row in the table, unless it has results of theirs."""
    cohort.results.add(
        *(
            ResultRow(name, "failed", error=listing.details.get(name, reason))
            for name, reason in listing.absent.items()
            if cohort.results.rows.get(escape_name(name), {}).get("status") != "ok"
        )
    )
    summary.absent, summary.notes = listing.absent, listing.describe()
    summary.ignored_files = listing.ignored_files


def _describe_derivative(out: Path, subjects: Sequence[Subject]) -> None:
    if any(subject.bids for subject in subjects):
        roots = {root for s in subjects for path in s.paths[:1] if (root := bids.root_of(path))}
        describe_dataset(out, sorted(roots))
