"""The demo: four lesions of known extent in a brain, and how well a model detects them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.data.volume import Volume
from diffad.demo.case import make_case
from diffad.demo.files import describe_files, publish_files, write_files
from diffad.demo.plan import choose_plan, import_template_loader
from diffad.demo.table import describe_heads, format_measures
from diffad.io.scratch import scratch_folder
from diffad.io.terminal import show, tell
from diffad.pipeline import AnomalyPipeline

if TYPE_CHECKING:
    from rich.console import Console

DEMO_MODEL = "brain-any"


def run_demo(
    out: str | Path = "demo_out",
    model: str | Path = DEMO_MODEL,
    seed: int = 0,
    brain: Volume | None = None,
    slices: tuple[int, int] | None = None,
    radius: tuple[float, float] | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Implant four lesions in a brain, look for them, and measure how well they are detected.

    The model says what is shown: ``brain-any`` a whole FLAIR phantom with bright lesions of four sizes, all
    others lesions of four kinds in the MNI152 T1 template. Writes scans, lesion mask, the files of ``diffad
    predict``, ``demo.png`` (both heads in three planes), ``montage.png`` (a row a lesion), ``table.json``.
    Nothing in ``out`` changes before all is done; files of an older run are then replaced, others stay.

    Args:
        out: Folder to write to.
        model: A shipped model, a folder, or a hub id; it must analyse axial slices.
        seed: Seed of lesions and noise.
        brain: A skull-stripped scan to show instead, with lesions of four kinds.
        slices: First and last (exclusive) axial slice to analyse; none for those that the model knows.
        radius: Smallest and largest radius of all lesions, in voxels; none for those of the plan.
        console: Where to print; where all commands do by default.

    Returns:
        The measures, as in ``table.json``.

    Raises:
        ImportError: If the default brain is asked for and nilearn is missing.
        ValueError: If the model does not analyse axial slices, or the lesions do not fit the brain.
        OSError: If there is no such model, or a file cannot be written.
    """
    from diffad.predict import Options

    start, out = time.perf_counter(), Path(out)
    if brain is None:
        import_template_loader()  # before the model, which takes longer
    out.mkdir(parents=True, exist_ok=True)
    pipe = load_axial_model(model)
    plan = choose_plan(pipe.config.provenance.get("name"), brain).adapt(slices, radius)
    _show(console, f"Implanting four synthetic lesions in {plan.head} ...")
    case = make_case(plan.load(), plan.lesions, plan.slices, seed, plan.shuffled)
    first, end = case.slices
    part = "the whole brain" if plan.slices is None else f"axial slices {first} to {end - 1}"
    _show(console, f"Analysing {part}, with and without lesions ...")
    with scratch_folder(out / "demo") as folder:
        result = write_files(pipe, case, plan, Options(slices=plan.slices, seed=seed), folder)
        result |= {"model": str(model), "seed": seed, "total_seconds": round(time.perf_counter() - start, 1)}
        (folder / "table.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
        publish_files(folder, out)
    _show(console, format_measures(result))
    _show(console, f"{describe_heads(result)}\n{describe_files(out, plan)}", **result)
    return result


def _show(console: Console | None, thing: Any, **fields: Any) -> None:
    """Print on a console of rich, or, where there is none, as all commands do."""
    if console is not None:
        console.print(thing, soft_wrap=isinstance(thing, str))
    elif fields or not isinstance(thing, str):
        show("demo", thing, **fields)
    else:
        tell(thing)


def load_axial_model(model: str | Path) -> AnomalyPipeline:
    """Load a model, refusing one that does not analyse axial slices.

    Raises:
        OSError: If there is no such model.
        ValueError: If its slices are not axial.
    """
    pipe = AnomalyPipeline.from_pretrained(model)
    if (axis := pipe.config.space["axis"]) != "axial":
        raise ValueError(f"{model}: expected a model of axial slices, got one of axis {axis!r}")
    return pipe
