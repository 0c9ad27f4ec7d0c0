"""Files of one import each, by which diffusers loads a folder where nobody imported diffad."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

FILE = "pipeline.py"
TEXT = '''"""Lets diffusers load this folder where diffad is installed, but nobody imported it:

    DiffusionPipeline.from_pretrained(PLACE, custom_pipeline=PLACE, trust_remote_code=True)

diffad itself never reads this file.
"""

from {module} import {name} as {name}
'''


def write_thin_files(folder: Path, pipeline: type, networks: Mapping[str, Any]) -> list[Path]:
    """Write ``pipeline.py``, and beside each network a file named like the module of its class.

    Args:
        folder: Folder of a pipeline.
        pipeline: Its class.
        networks: Its networks, by the folders they lie in.

    Raises:
        OSError: If one cannot be written.
    """
    classes = {FILE: pipeline} | {f"{part}/{type(n).__module__}.py": type(n) for part, n in networks.items()}
    for name, kind in classes.items():
        text = TEXT.format(module=kind.__module__, name=kind.__name__)
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in classes]
