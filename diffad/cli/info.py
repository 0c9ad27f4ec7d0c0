"""The command that says what something is."""

from __future__ import annotations

from typing import Annotated

import typer

from diffad.cli.options import Mask
from diffad.io.terminal import show


def info_command(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCAN|MODEL|RESULT",
            help="A scan or a folder of scans, DICOM too, a model, or what predict wrote.",
        ),
    ],
    mask: Mask = "",
) -> None:
    """Say what a scan, a model or a result is, whether it would run, and what is missing for that.

    Of a folder of DICOM files it lists the series, which of them predict takes, and why not the others.

    The exit code is 1 if no model could look at a scan as it is.

    \b
    Examples:
      diffad info sub-01_T1w.nii.gz --mask _brain_mask
      diffad info ixi-t1-axial
      diffad info maps --json
      diffad info dicom/
    """  # noqa: D301 (\b keeps the lines that follow as they are)
    from diffad.predict.facts import read_facts, tabulate_facts

    facts = read_facts(target, mask)
    show("info", "\n".join(tabulate_facts(facts)), **facts)
    raise typer.Exit(0 if facts.get("runs", True) else 1)
