"""What a user may change of a model before its thresholds are measured anew, and the folder it goes to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from diffad.config import PostprocessConfig, from_dict, to_dict
from diffad.inference.precision import resolve_precision
from diffad.io.atomic import staged_folder
from diffad.io.paths import require_new_folder
from diffad.pipeline import AnomalyPipeline
from diffad.predict.options import Options


def choose_engine(pipe: AnomalyPipeline, options: Options) -> Options:
    """Let the engine that is asked for run a model, and return the options with its number format settled.

    Args:
        pipe: The model.
        options: How scans are looked at; no engine leaves that of the model.

    Raises:
        ValueError: If the engine cannot run the model here, or not in that format.
        ImportError: If a package is missing.
    """
    if options.engine:
        pipe.to_engine(options.engine)
    precision = resolve_precision(options.precision, pipe.device, pipe.engine.name)
    pipe.detector(options.method, precision=precision, batch_size=options.batch_size)  # fails here, at once
    return replace(options, precision=precision)


def choose_units(pipe: AnomalyPipeline, normalise: str | None, across: float | None = None) -> None:
    """Let a model measure maps in units of healthy scans by place, or not, and smooth them across slices.

    Args:
        pipe: The model.
        normalise: "place" or "none"; none leaves what it does.
        across: SD in mm; none leaves it.

    Raises:
        ValueError: If a value is out of range, or the model takes no volumes.
    """
    options = {"normalise": normalise, "across": across}
    if changes := {key: value for key, value in options.items() if value is not None}:
        post = to_dict(from_dict(PostprocessConfig, {**pipe.config.postprocess, **changes}))
        pipe.register_to_config(postprocess=post)


def save_model(pipe: AnomalyPipeline, out: Path, table: Sequence[str] = ()) -> None:
    """Write a model to a new folder, whole or not at all.

    Args:
        pipe: The model.
        out: The folder.
        table: What it finds of lesions, for ``sensitivity.md``; empty for no such file.

    Raises:
        ValueError: If there is something.
        OSError: If it cannot be written.
    """
    require_new_folder(out, "the model")
    with staged_folder(out) as partial:
        pipe.save_pretrained(partial)
        if table:
            (partial / "sensitivity.md").write_text("\n".join(table) + "\n", encoding="utf-8")
        require_new_folder(out, "the model")  # someone may have come first meanwhile
