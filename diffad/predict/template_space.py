"""Results in the space of the template: how a scan gets there, and its maps, masks and transform as files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from diffad.data.atlas.template_map import REGISTERED, TemplateMap
from diffad.data.flat_file import is_flat_name
from diffad.data.volume import Array, Volume
from diffad.inference.output import DTYPES, AnomalyOutput
from diffad.io.atomic import write_text
from diffad.io.extras import import_extra
from diffad.io.naming import RESULT_SUFFIXES, Naming
from diffad.io.spaces import TEMPLATE_SPACE, TRANSFORM
from diffad.io.stages import run_stage
from diffad.io.subjects import Subject
from diffad.io.terminal import format_error, say
from diffad.predict.derivative import describe_carried_files
from diffad.prepare.geometry import format_itk
from diffad.prepare.read import MIN_SIDE, get_grid
from diffad.prepare.to_template import (
    PREPARATION,
    TemplateWay,
    make_template_volume,
    pick_quality,
    register_scan,
    take_header,
)
from diffad.report.reading import read_maps

HOW = {"registration": "a registration of its own", "preparation": "the registration of --prepare"}
HOW["header"] = "its header, which says that it lies in MNI152, taken as it is"
"""What is said of the source of a way."""
NOTE = (
    f"note: maps in {TEMPLATE_SPACE} are for comparing scans; volumes in ml are measured on each scan's own "
    "grid alone"
)


def require_packages() -> None:
    """Refuse to go to the template without the packages that lead there, before any work is done.

    Raises:
        ImportError: If one is missing; it is named.
    """
    import_extra("SimpleITK", "prepare")
    import_extra("nilearn.datasets", "prepare")


def require_apart(subjects: Sequence[Subject]) -> None:
    """Refuse scans of which one's results in the template would be called as those of another on its grid.

    Raises:
        ValueError: With both names.
    """
    owners: dict[str, str] = {}
    for subject in subjects:
        for kind in RESULT_SUFFIXES:
            place = subject.naming.path(kind).as_posix()
            if (owner := owners.setdefault(place, subject.name)) != subject.name:
                pair = f"{owner} and {subject.name}"
                raise ValueError(f"{pair} would share results called {place}; rename one, or run them apart")


def place_in_template(output: AnomalyOutput, name: str) -> TemplateWay | None:
    """Find the way of a scan to the template, say how good it is, and store that with the result.

    Args:
        output: Result on the scan's own grid; its ``info`` gets ``spaces``, and warnings.
        name: The scan, for messages.

    Returns:
        The way; none of a scan that cannot be brought there, whose result is as good without.
    """
    info = output.info
    try:
        with run_stage("template"):
            way = find_way(output)
        entry, warnings = way.to_info(), list(way.warnings)
    except (ValueError, RuntimeError, OSError) as error:
        way, reason = None, format_error(error)
        entry, warnings = {"source": "none", "reason": reason}, [f"no maps in {TEMPLATE_SPACE}: {reason}"]
    info["spaces"] = {TEMPLATE_SPACE: entry}
    new_warnings = [text for text in warnings if text not in info.get("warnings", [])]
    info["warnings"] = [*info.get("warnings", []), *new_warnings]
    for text in new_warnings:
        say(f"warning: {name}: {text}")
    if way is not None:
        dice = way.quality.get("dice")
        overlap = "" if dice is None else f"; its brain and the template's overlap by a Dice of {dice:.2f}"
        say(f"{name}: in {TEMPLATE_SPACE} by {HOW[way.source]}{overlap}")
    return way


def lacks_template(info: Mapping[str, Any]) -> bool:
    """Tell whether nobody tried yet to bring a finished result to the template, by what is stored of it."""
    spaces = info.get("spaces")
    return not (isinstance(spaces, Mapping) and isinstance(spaces.get(TEMPLATE_SPACE), Mapping))


def read_finished_output(files: Mapping[str, Path]) -> AnomalyOutput:
    """Read the result of a finished scan with all of its maps, and the scan.

    Raises:
        ValueError: If a file cannot be used, or the scan is another one now.
        OSError: If a file is missing.
    """
    output = read_maps(files)
    if files["std"].is_file():
        assert output.volume is not None
        volume = Volume.load(files["std"], allow_constant=True, options=output.volume.options)
        output.std = torch.from_numpy(volume.data)[None]
    return output


def find_way(output: AnomalyOutput) -> TemplateWay:
    """Find the way of a result to the template: by the scan's preparation, its header, or a registration.

    Raises:
        ValueError: If the scan cannot be brought there.
    """
    volume, info = output.volume, output.info
    if volume is None or is_flat_name(volume.path or Path()) or min(volume.data.shape[1:]) < MIN_SIDE:
        expectation = f"a volume of at least {MIN_SIDE} voxels along each axis"
        raise ValueError(f"expected {expectation}, found {'x'.join(map(str, output.image.shape[2:]))}")
    template_map, brain = TemplateMap.from_info(info), output.brain[0, 0].bool().numpy()
    if template_map is None or template_map.source != REGISTERED:
        return register_scan(volume, brain, _is_ct(info))
    steps = (info.get("prepare") or {}).get("steps", [])
    step: Mapping[str, Any] = next((s for s in steps if s.get("step") == "register"), {})
    if not step:
        return take_header(volume, brain)
    if step.get("kind") == "rigid":  # which leaves the size of the brain as it is
        return register_scan(volume, brain, _is_ct(info))
    return TemplateWay(np.linalg.inv(template_map.matrix), PREPARATION, pick_quality(step))


def _is_ct(info: Mapping[str, Any]) -> bool:
    return (info.get("config") or {}).get("space", {}).get("intensity") == "ct"


def write_in_template(
    output: AnomalyOutput, way: TemplateWay, naming: Naming, out: Path, folder: Path
) -> dict[str, Path]:
    """Write the scan, its maps and masks in the template, and the transform that brings them there.

    Maps and images are interpolated linearly and masks take the nearest voxel; maps are cut to what was
    analysed, as on the scan's own grid.

    Args:
        output: Result on the scan's own grid.
        way: The way to the template.
        naming: What the files are called in the end; here they are called as in a plain folder.
        out: Folder of all results.
        folder: Scratch folder, where they are written.

    Returns:
        The written files by kind.

    Raises:
        OSError: If a file cannot be written.
    """
    template, paths, name = make_template_volume(), dict[str, Path](), naming.name
    for kind, values in carry_result(output, way):
        paths[f"template_{kind}"] = path = folder / f"{name}{RESULT_SUFFIXES[f'template_{kind}']}"
        template.save(values, path, dtype=DTYPES.get(kind, np.float32))
    paths[TRANSFORM] = folder / f"{name}{RESULT_SUFFIXES[TRANSFORM]}"
    write_text(paths[TRANSFORM], format_itk(way.to_native))
    return paths | (describe_carried_files(paths, output, naming, out) if naming.bids else {})


def carry_result(output: AnomalyOutput, way: TemplateWay) -> Iterator[tuple[str, Array]]:
    """Bring the images of a result to the template one after the other, by kind, as (C, I, J, K)."""
    assert output.volume is not None
    volume = output.volume
    seen_mask = _carry(output.analysed[0].bool().numpy(), volume, way, nearest=True) > 0.5
    for kind, values in {"scan": output.image, **output.get_kinds()}.items():
        image = values[0].float().numpy()
        if kind in DTYPES:
            yield kind, seen_mask if kind == "seen" else _carry(image, volume, way, nearest=True) > 0.5
        elif kind == "anomaly":
            yield kind, _carry(image, volume, way) * seen_mask
        elif kind == "pvalue":
            yield kind, np.where(seen_mask, _carry(image, volume, way, fill=1.0), np.float32(1))
        else:
            fill = 0.0 if kind == "std" else measure_background(output.image[0].float().numpy())
            yield kind, _carry(image, volume, way, fill=fill)


def measure_background(images: Array) -> float:
    """Return what lies beyond a scan (C, I, J, K): the median of its outer faces, as -1000 of air in a CT."""
    faces = [np.take(images, (0, -1), axis).ravel() for axis in (1, 2, 3)]
    return float(np.median(np.concatenate(faces)))


def _carry(images: Array, volume: Volume, way: TemplateWay, **options: Any) -> Array:
    return np.stack([way.carry(image, get_grid(volume), threads=1, **options) for image in images])
