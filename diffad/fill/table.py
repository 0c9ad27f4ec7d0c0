"""The self-test of many scans, as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from diffad.fill.fill import FillOptions
from diffad.fill.selftest import compare_fills, summarise_fills
from diffad.fill.summary import FillSummary
from diffad.io.atomic import write_text
from diffad.io.subjects import Subject, find_subject_mask
from diffad.pipeline import AnomalyPipeline

SCORES = {
    "mse": "MSE",
    "psnr_01": "PSNR, range 1",
    "psnr": "PSNR",
    "ssim_2d": "SSIM 2-D",
    "ssim_3d": "SSIM 3-D",
    "sharpness": "sharpness",
}
"""Scores of the table, by what it calls them."""


def score_scans(
    pipe: AnomalyPipeline,
    subjects: Sequence[Subject],
    mask: str | Path | None,
    out: Path,
    options: FillOptions,
) -> tuple[list[dict[str, float | str]], FillSummary]:
    """Score fills of healthy scans, write selftest.csv, and return its rows, mean and SD over scans.

    Beside them it returns which scans were scored, and which failed.

    Args:
        pipe: The model.
        subjects: Healthy scans.
        mask: Brain mask of all scans, the end of the masks' names, or none.
        out: Folder of the table.
        options: How the model fills.

    Raises:
        ValueError: If no scan could be used.
    """
    cases, summary = [], FillSummary()
    for number, subject in enumerate(subjects):
        try:
            brain = find_subject_mask(subject, mask)
            cases.append(compare_fills(pipe, subject.paths[0], brain, number, options))
            summary.fills.append(subject.name)
        except (ValueError, OSError) as error:
            summary.fail(subject.name, error)
    if not cases:
        raise ValueError("expected healthy scans to lay masks into, found none that can be used")
    rows = summarise_fills(cases)
    out.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / "selftest.csv", text.getvalue())
    return rows, summary


def format_table(rows: Sequence[dict[str, float | str]]) -> str:
    """Return rows of ``summarise_fills`` as a Markdown table."""
    head = ["fill", *SCORES.values()]
    lines = [head, ["---"] * len(head)]
    for row in rows:
        lines.append([str(row["fill"]), *(f"{row[s]:.4g} ± {row[s + '_sd']:.2g}" for s in SCORES)])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
