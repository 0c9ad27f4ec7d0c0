"""Whether a scan was filled before, from the same files and in the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from diffad.fill.fill import FillOptions
from diffad.io.digests import compare_file, hash_file
from diffad.io.terminal import say
from diffad.io.text import read_json
from diffad.pipeline import AnomalyPipeline


def describe_fill_request(
    pipe: AnomalyPipeline, scans: Sequence[Path], masks: Sequence[Path | None], options: FillOptions
) -> dict[str, Any]:
    """Return what a fill follows from: model, content of the files, and options.

    Args:
        pipe: The model.
        scans: Files of the scan.
        masks: Masks of its lesion and its brain.
        options: How it is filled; the size of batches makes no difference.
    """
    model = {key: value for key, value in sorted((pipe.config.provenance or {}).items())}
    values = {key: value for key, value in asdict(options).items() if key != "batch_size"}
    files = [hash_file(path) if path else "" for path in (*scans, *masks)]
    return {"model": model, "files": files, **values}


def is_filled(record: Path, request: dict[str, Any], kind: str = "fill") -> bool:
    """Tell whether a fill is there, whole and of this request; a damaged one is said, and made again.

    Args:
        record: The JSON file of the fill.
        request: What is asked for, see ``describe_fill_request``.
        kind: What messages call it.

    Raises:
        ValueError: If it is of another request.
    """
    if not record.is_file():
        return False
    content = read_json(record)
    former = content.get("request") if isinstance(content, dict) else None
    if former != request:
        keys = [key for key in request if not isinstance(former, dict) or former.get(key) != request[key]]
        raise ValueError(
            f"{record}: expected a {kind} of the same files in the same way, found one with other "
            f"{', '.join(keys)}; choose another folder, or --overwrite"
        )
    entries = content.get("outputs")
    outputs = entries if isinstance(entries, dict) and entries else {record.name: None}
    damage = [text for name, e in outputs.items() if (text := compare_file(record.parent / name, e))]
    if damage:
        say(f"note: {record.stem}: {damage[0]}; it is made again")
    return not damage
