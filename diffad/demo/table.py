"""The measures of the demo as a terminal shows them: a table, and what came out in words."""

from __future__ import annotations

from typing import Any

from rich.table import Table

from diffad.demo.plan import format_name


def format_measures(result: dict[str, Any]) -> Table:
    """Lay out the measures for a terminal."""
    first, end = result["slices"]
    title = f"{result['model']}: four lesions in {result['head']}, axial slices {first} to {end - 1}"
    caption = _format_caption(result)
    grid = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    grid.add_column("lesion")
    threshold = f"Dice at\n{result['threshold']:.3g}"
    for name in ("ml", "AP", "AP by\nchance", "AUROC", "best Dice\n(oracle)", threshold, "found", "covered"):
        grid.add_column(name, justify="right")
    for name, measures in result["lesions"].items():
        grid.add_row(
            format_name(name),
            *_format_cells(measures),
            "yes" if measures["found"] else "no",
            _format_cover(measures),
        )
    grid.add_section()
    pool_scores, count = result["pooled"], len(result["lesions"])
    grid.add_row(
        "all four",
        *_format_cells(pool_scores),
        f"{pool_scores['found']} of {count}",
        _format_cover(pool_scores),
        style="bold",
    )
    return grid


def _format_cover(measures: dict[str, Any]) -> str:
    return f"{measures['covered']:.0%}"


def _format_caption(result: dict[str, Any]) -> str:
    lines = [
        "All brain voxels of these slices count.",
        f"Threshold: {result['threshold_rule']}.",
        "Found: detections cover at least a tenth of the lesion.",
        *list_omissions(result),
        "Detections are cleaned up: their Dice may beat that of the best threshold.",
    ]
    return "\n".join(lines)


def list_omissions(result: dict[str, Any]) -> list[str]:
    """Say which detections do not count, if any; up to one line."""
    least_ml = result["least_ml"]
    return [f"Detections below {least_ml:.1f} ml do not count: healthy heads have such."] if least_ml else []


def _format_cells(measures: dict[str, Any]) -> list[str]:
    names = ("ap", "chance_ap", "auroc", "best_dice_oracle", "dice")
    return [f"{measures['ml']:.1f}", *(f"{measures[name]:.3f}" for name in names)]


def describe_heads(result: dict[str, Any]) -> str:
    """Say in words what came out for the brain with lesions, and for the same brain without."""
    healthy = result["healthy"]
    count = result["slices"][1] - result["slices"][0]
    alarms = f"{count_detections(healthy['detections'])}, {healthy['false_alarm_rate']:.1%} of the voxels"
    lines = [
        f"With lesions: {describe_elsewhere(result)}; image score {healthy['score_with_lesions']:.3g}.",
        f"  {result['verdict']}",
        f"Same brain without lesions: {alarms}; image score {healthy['score']:.3g}.",
        f"  {healthy['verdict']}; flagged: {healthy['flagged']}",
        *([result["note"]] if result["note"] else []),
        f"{result['seconds']:.1f} s for {count} slices, {result['nfe']} network evaluations per slice; "
        f"{result['total_seconds']:.0f} s in all, with every file written.",
    ]
    return "\n".join(lines)


def describe_elsewhere(result: dict[str, Any]) -> str:
    """Say how many detections touch no lesion, and how large they are together."""
    elsewhere = result["elsewhere"]
    size = f" ({elsewhere['ml']:.1f} ml)" if elsewhere["detections"] else ""
    return f"{count_detections(elsewhere['detections'])} beside the lesions{size}"


def count_detections(count: int) -> str:
    """Return how many detections there are, in words."""
    return f"{count or 'no'} detection{'s' * (count != 1)}"
