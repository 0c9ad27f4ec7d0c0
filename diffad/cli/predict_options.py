"""Options that every command shares which looks at many scans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from diffad.cli.completion import complete_model
from diffad.cli.options import parse_brain
from diffad.config.choices import FailurePolicy

if TYPE_CHECKING:
    from pathlib import Path

    from diffad.prepare.options import PrepareOptions

ModelChoice = Annotated[
    str,
    typer.Option(
        metavar="NAME|FOLDER|auto[:PLACE,...]",
        autocompletion=complete_model,
        help="A shipped model, a pipeline folder or a hub id; auto gives each scan the shipped model it "
        "suits best, or one of the places: folders of pipelines, pipelines, or shipped.",
    ),
]
Threshold = Annotated[
    str,
    typer.Option(
        metavar="NUMBER|otsu", help="Threshold of the detections; by default the model's calibrated one."
    ),
]
KeepSmall = Annotated[
    bool,
    typer.Option(
        "--keep-small", help="Keep detections no larger than those of healthy heads, of a calibrated model."
    ),
]
Spaces = Annotated[
    list[str] | None,
    typer.Option(
        "--space",
        metavar="native|MNI152NLin2009aSym",
        help="Write results in the space of the template, too; native is always written.",
    ),
]
Page = Annotated[bool, typer.Option(help="Write a web page of each scan, and an index of all.")]
OnFailure = Annotated[
    FailurePolicy, typer.Option(help="Exit with code 1 if any scan failed, only if all did, or never.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Redo scans that have results.")]
Verify = Annotated[
    bool,
    typer.Option(
        "--verify",
        help="Compare the content of finished files with what was written, and redo what is damaged; "
        "sizes are compared always.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="Let scans outside what the model knows fail, rather than warn.")
]


def choose_preparation(
    modality: str, bias: bool, brain: str, register: str, mask: str | Path | None
) -> PrepareOptions:
    """Say how scans are made ready."""
    from diffad.prepare.options import PrepareOptions

    return PrepareOptions(modality, bias, parse_brain(brain, mask), register)
