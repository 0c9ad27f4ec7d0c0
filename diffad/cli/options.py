"""What several commands share: how options are declared, and how their texts are read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from diffad.cli.completion import complete_config, complete_model
from diffad.config.choices import BrainChoice, EngineName, Geometry, Modality, Precision, Registration
from diffad.config.schema import PartSpec
from diffad.config.yaml import override, parse_yaml
from diffad.registry import suggest_name

DEFAULT_MODEL = "brain-any"
"""Model of commands that take one for all scans."""
AUTO_MODEL = "auto"
"""Model of commands that choose one for each scan."""

Model = Annotated[
    str,
    typer.Option(
        autocompletion=complete_model, help="Name of a shipped model, a pipeline folder, or a hub id."
    ),
]
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        autocompletion=complete_model,
        help="Name of a shipped model, a pipeline folder, or a hub id.",
    ),
]
Mask = Annotated[
    str,
    typer.Option(
        metavar="FILE|SUFFIX", help="Brain mask of all scans, or the ending of the masks' names, like _brain."
    ),
]
MaskThreshold = Annotated[
    float | None,
    typer.Option(
        metavar="NUMBER",
        help="What of a brain mask lies above it is brain; 0 by default, and .5 of probabilities.",
        show_default=False,
    ),
]
Trust = Annotated[
    Geometry | None,
    typer.Option(
        help="Orientation that is taken where qform and sform of a NIfTI file differ; sform by default.",
        show_default=False,
    ),
]
MaxVoxels = Annotated[
    int,
    typer.Option(min=1, metavar="COUNT", help="Most voxels of a file; one that claims more is refused."),
]
Slices = Annotated[
    str,
    typer.Option(
        metavar="LOW:HIGHmm|auto|all",
        help="Slices to look at, in mm of MNI152, as 19:27mm; auto, the default, is what the model knows. "
        "FIRST:LAST counts slices of the grid that is looked at, from 0 in RAS, without LAST.",
    ),
]
Sequences = Annotated[
    str,
    typer.Option(
        metavar="A,B", help="Endings of the names of a subject's sequences, in order, like t1,flair."
    ),
]
Series = Annotated[
    str,
    typer.Option(
        metavar="NUMBER|UID|all",
        help="Which series of DICOM folders; by default the whole head that suits the model best, all for "
        "each that is usable. diffad info lists them.",
    ),
]
KeepIdentifiers = Annotated[
    bool,
    typer.Option(
        "--keep-identifiers",
        help="Let names and messages hold what identifies the patient of DICOM files.",
    ),
]
BatchSize = Annotated[int, typer.Option(help="Slices per network evaluation; a GPU likes more of them.")]
Device = Annotated[str, typer.Option(help="auto, cpu, or a GPU such as cuda, or mps of a Mac.")]
Engine = Annotated[
    EngineName,
    typer.Option(help="What runs the network: torch, torch compiled, or an export of it; on the CPU."),
]
Number = Annotated[
    Precision,
    typer.Option(help="Number format of the network; auto is bf16 where it is native. int8 is of an engine."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")]
ConfigName = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG",
        autocompletion=complete_config,
        help="A YAML file, or the name of a shipped config.",
    ),
]
Assignments = Annotated[
    list[str] | None, typer.Argument(metavar="KEY=VALUE", help="Changes to the config, by dotted keys.")
]
ScanModality = Annotated[Modality, typer.Option(help="Kind of the scans; ct expects Hounsfield units.")]
Brain = Annotated[
    BrainChoice,
    typer.Option(
        help="How the brain is found; auto is given with --mask, else deepbet or, for CT, threshold."
    ),
]
Register = Annotated[Registration, typer.Option(help="How scans are registered to MNI152.")]
Bias = Annotated[bool, typer.Option(help="Correct the bias field of an MRI (N4).")]
Prepare = Annotated[
    bool,
    typer.Option(
        "--prepare",
        help="Prepare scans first, see diffad prepare; results return to the scan's own grid.",
    ),
]


@contextmanager
def report_wrong_usage() -> Iterator[None]:
    """Turn what a set of options refuses into wrong usage, under the option's name on the command line."""
    try:
        yield
    except ValueError as error:
        text = re.sub(r"^(\w+):", lambda match: f"--{match[1].replace('_', '-')}:", str(error))
        raise typer.BadParameter(text) from error


def require_sources(sources: Sequence[Path]) -> Sequence[Path]:
    """Return the scans, but refuse a command none of whose scans is there, before any work is done.

    Args:
        sources: Files and folders that were named.

    Raises:
        BadParameter: If the words are those of a BIDS App.
        FileNotFoundError: With what is not there, and the name in its folder that is most like it.
    """
    gaps = [path for path in sources if not os.path.lexists(path)]
    if len(sources) == 3 and str(sources[2]) in ("participant", "group") and sources[2] in gaps:
        command = f"diffad bids-app {sources[0]} {sources[1]} {sources[2]}"
        raise typer.BadParameter(f"expected scans, got the words of a BIDS App; write {command}")
    if len(gaps) == len(sources):
        folder = gaps[0].parent
        names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
        hint = suggest_name(gaps[0].name, names)
        raise FileNotFoundError(f"{gaps[0]}: expected a file or a folder, found nothing of that name{hint}")
    return sources


def parse_slices(text: str) -> tuple[int, int] | str | None:
    """Read FIRST:LAST, LOW:HIGHmm, auto or all; none where there is no text.

    Raises:
        BadParameter: If it is none of these.
    """
    from diffad.config.choices import SLICE_RANGE

    if not text or text in ("auto", "all") or re.fullmatch(SLICE_RANGE, text):
        return text or None
    match = re.fullmatch(r"(-?\d+):(-?\d+)", text)
    if match is None:
        expectation = "FIRST:LAST, two whole numbers, LOW:HIGHmm in mm of MNI152, auto or all"
        raise typer.BadParameter(f"--slices: expected {expectation}, got {text!r}")
    return int(match[1]), int(match[2])


def parse_threshold(text: str) -> float | str | None:
    """Read a threshold: a number, or a word for ``Options`` to judge."""
    try:
        return float(text)
    except ValueError:
        return text or None


def parse_words(text: str) -> tuple[str, ...]:
    """Read words that are separated by commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def parse_mask_option(text: str) -> str | Path | None:
    """Read a mask option: a file, or the ending of the names of masks; none where there is no text.

    Raises:
        ValueError: If it is the path of a file that does not exist.
    """
    from diffad.io.subjects import parse_mask

    return parse_mask(text) if text else None


def parse_brain(method: str, mask: str | Path | None) -> str:
    """Read how the brain is found, as ``PrepareOptions`` takes it.

    Raises:
        BadParameter: If there is a mask, but the brain is to be found in another way.
    """
    if mask is not None and method not in ("auto", "given"):
        raise typer.BadParameter(f"--brain: expected given or auto beside a --mask, got {method}")
    if method != "auto":
        return method
    return "" if mask is None else "given"


def parse_part(option: str, texts: Sequence[str]) -> PartSpec | None:
    """Read a part: a name, a YAML mapping, or options as key=value; without a name they change the model's.

    Args:
        option: Which part it is, "sampler" for example.
        texts: What was given for it, in order.

    Raises:
        BadParameter: If it is none of these.
    """
    if not texts:
        return None
    part: PartSpec = {}
    for text in texts:
        try:
            part = _change_part(part, text)
        except ValueError as error:
            raise typer.BadParameter(f"--{option}: {error}") from error
    return part


def _change_part(part: PartSpec, text: str) -> PartSpec:
    if "=" in text and not text.lstrip().startswith("{"):
        changed_part = override(part, [text])
        # another part has other options
        return {"name": changed_part["name"]} if text.startswith("name=") else changed_part
    value: Any = parse_yaml(text, repr(text))
    if not isinstance(value, str | dict):
        raise ValueError(f"expected a name, a YAML mapping or key=value, got {text!r}")
    return {"name": value} if isinstance(value, str) else value
