"""How a model does at four heights of brains kept aside, on real scans, and on heads of another site.

    python -m tests.timings.heights MODEL --brains BRAINS [--prepared PREPARED] [--json FILE]
    python -m tests.timings.heights MODEL --brains BRAINS --parts slices --sites ixi_hh --people 10

BRAINS holds ``ixi_hh/val`` and ``ds002748/val`` (healthy T1), ``ms_patient07``, ``glioma_pat0001`` and
``glioma_pat0005``; PREPARED holds what ``diffad prepare`` wrote of healthy heads of a third site. What is not
there is left out.

Slices lie at four heights of the brain's own box. Each gets one lesion of each of four kinds, 7 to 18 mm in
radius, in the grid of the scan and in one intensity window whatever the model, so that models are compared
on the same lesions; a model that is shown neighbours is shown the lesion in them, too. AP is pooled over
people: one cell for each kind and height, "all" over the heights of a kind, and "mean" over the kinds.
"healthy" is the share of voxels of the slices without lesions above the model's own threshold, and above
the one that 1 % of these very voxels exceed: that one says whether the heights are alike. Real scans are
looked at in slices evenly spread, and their AP stands beside that of the intensity (bright, and dark) in
the same voxels. Another sampler, score, noise or guidance than the model's own is given as YAML: --sampler
'{name: oneshot, levels: [60], repeats: 1}'.
"""

import argparse
import json
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import torch
import yaml

from diffad import AnomalyPipeline
from diffad.config import SpaceConfig, from_dict
from diffad.data.lesions import KINDS, implant
from diffad.data.lesions.implant import _seed_generator
from diffad.data.neighbours import NeighbourSlices
from diffad.data.slices import to_slices
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.evaluation.metrics.ranking import average_precision
from diffad.inference.contrasts import find_contrast
from diffad.inference.scan import read_source
from diffad.inference.stacking import assemble_maps, make_stacks, measure_windows
from diffad.method import Method

HEIGHTS = (0.3, 0.45, 0.6, 0.75)
RADIUS_MM = (7.4, 18.5)
SOURCES, WINDOWS = {}, {}
IMPLANT_SPACE = {"high": 90.0, "headroom": 0.18}
SITES = ("ixi_hh", "ds002748")
REAL = {
    "ms T1": ("ms_patient07/p07_T1.nii.gz", "ms_patient07/p07_lesions.nii.gz", None),
    "ms T2": ("ms_patient07/p07_T2.nii.gz", "ms_patient07/p07_lesions.nii.gz", None),
    "ms FLAIR": ("ms_patient07/p07_FLAIR.nii.gz", "ms_patient07/p07_lesions.nii.gz", None),
} | {
    f"glioma {n[-1]} {s}": (
        f"glioma_{n}/{n}_{s}.nii.gz",
        f"glioma_{n}/{n}_lesions.nii.gz",
        f"glioma_{n}/{n}_brain.nii.gz",
    )
    for n in ("pat0001", "pat0005")
    for s in ("FLAIR", "T1C")
}


def cut(pipe, scan, mask=None):
    """Cut a scan as the model does: its stack, with the intensity window of the whole scan."""
    source = read_source(scan, mask)
    space = Space(from_dict(SpaceConfig, dict(pipe.config.space)))
    (stack,) = make_stacks(source, space.config.axis, neighbours=space.config.neighbours)
    SOURCES[stack.name] = source
    WINDOWS[stack.name] = measure_windows(source, Space(replace(space.config, **IMPLANT_SPACE)))[0]
    return replace(stack, window=measure_windows(source, space)[0])


def make_detect(pipe, detector, usual):
    """Return what maps stacks, in units of healthy scans at the same place where the model asks for it."""
    healthy, axis = getattr(pipe, "healthy", None), pipe.config.space["axis"]
    if not usual or healthy is None or pipe.config.postprocess.get("normalise", "none") == "none":
        return detector

    def detect(stacks):
        return [normalise(r, s, SOURCES[s.name]) for r, s in zip(detector(stacks), stacks, strict=True)]

    def normalise(result, stack, source):
        maps = assemble_maps(source, [stack], [result], axis)
        scores = healthy.normalise(maps.anomaly, maps.analysed, source.brain)
        return replace(result, anomaly=to_slices(scores[0], axis)[list(stack.keys)])

    return detect


def pick(stack, rows):
    """Keep some of the slices of a stack, with all that belongs to each."""
    values = {f.name: getattr(stack, f.name) for f in fields(stack)}
    count = len(stack.image)
    per_slice = [
        k
        for k, v in values.items()
        if (torch.is_tensor(v) and v.ndim and len(v) == count)
        or (isinstance(v, list | tuple) and len(v) == count and k not in ("spacing", "centre", "window"))
    ]
    return replace(
        stack,
        neighbours=pick_neighbours(stack, rows),
        **{
            k: values[k][rows] if torch.is_tensor(values[k]) else [values[k][i] for i in rows]
            for k in per_slice
        },
    )


def pick_neighbours(stack, rows):
    """Return the neighbours of some slices, each with copies of its own that a lesion may go on in."""
    if (near := stack.neighbours) is None:
        return None
    images, brains = torch.cat([stack.image, near.image]), torch.cat([stack.brain, near.brain])
    flat, count = [i for row in rows for i in near.rows[row]], len(near.rows[0])
    own = [list(range(len(rows) + k * count, len(rows) + (k + 1) * count)) for k in range(len(rows))]
    return NeighbourSlices(images[flat], brains[flat], own)


def rows_at(stack, heights):
    """Return the slice nearest each height of the brain's box, 0 at the bottom."""
    keys = np.asarray(stack.keys)
    return [int(np.abs(keys - (keys[0] + h * (keys[-1] - keys[0]))).argmin()) for h in heights]


def with_lesions(stack, kind, name, seed):
    """Return the stack with one lesion in each slice, in the scan's own grid, and the masks (N, 1, H, W).

    It goes on in the neighbours that the network is shown, which change as much as their slice does.
    """
    mm = min(stack.spacing)
    images, masks = [], []
    for row, (image, brain) in enumerate(zip(stack.image, stack.brain, strict=True)):
        x = WINDOWS[stack.name].apply(image, channel_axis=0)
        generator = _seed_generator(seed, f"{kind}/{name}", row)
        lesion = implant(x, brain, kind, generator, tuple(r / mm for r in RADIUS_MM))
        raw = WINDOWS[stack.name].invert(lesion.image, channel_axis=0)
        images.append(torch.where(lesion.image == x, image, raw))
        masks.append(lesion.mask)
    lesioned = torch.stack(images)
    if (near := stack.neighbours) is not None:
        changes = (lesioned - stack.image).repeat_interleave(len(near.rows[0]), 0)
        near = replace(near, image=near.image + changes)
    return replace(stack, image=lesioned, neighbours=near), torch.stack(masks)


def ap(scores, truth):
    """Average precision; none where a class is missing."""
    return None if truth.all() or not truth.any() else float(average_precision(scores, truth))


def score_slices(pipe, detect, brains, sites, people, seed):
    """Measure implants and healthy slices at each height, site by site."""
    result = {}
    for site in sites:
        paths = sorted((brains / site / "val").glob("*_T1w.nii.gz"))[:people]
        if not paths:
            continue
        stacks = []
        for path in paths:
            mask = path.with_name(path.name.replace("_T1w", "_label-brain_mask"))
            stack = cut(pipe, path, mask if mask.exists() else None)
            stacks.append((path.name, pick(stack, rows_at(stack, HEIGHTS))))
        result[site] = score_site(pipe, detect, stacks, seed)
    if len(result) > 1:
        result["mean of sites"] = {"mean": float(np.mean([r["mean"] for r in result.values()]))}
    return result


def score_site(pipe, detect, stacks, seed):
    """Measure the slices of one site."""
    cells, rows, share = {}, {}, []
    for kind in KINDS:
        lesioned = [with_lesions(stack, kind, name, seed) for name, stack in stacks]
        maps = detect([stack for stack, _ in lesioned])
        by_height = []
        for h in range(len(HEIGHTS)):
            inside = [s.brain[h] for s, _ in lesioned]
            scores = torch.cat([m.anomaly[h][b] for m, b in zip(maps, inside, strict=True)]).numpy()
            truth = torch.cat([t[h][b] for (_, t), b in zip(lesioned, inside, strict=True)]).numpy()
            by_height.append((scores, truth))
            share.append(truth.mean())
        cells[kind] = [ap(*pair) for pair in by_height]
        rows[kind] = ap(*(np.concatenate(v) for v in zip(*by_height, strict=True)))
    maps = detect([stack for _, stack in stacks])
    healthy = [
        torch.cat([m.anomaly[h][s.brain[h]] for m, (_, s) in zip(maps, stacks, strict=True)]).numpy()
        for h in range(len(HEIGHTS))
    ]
    own, equal = own_threshold(pipe), float(np.quantile(np.concatenate(healthy), 0.99))
    return {
        "people": len(stacks),
        "prevalence": float(np.mean(share)),
        "cells": cells,
        "all": rows,
        "mean": float(np.mean(list(rows.values()))),
        "heights": [float(np.mean([cells[k][h] for k in KINDS])) for h in range(len(HEIGHTS))],
        "healthy above the model's threshold": [over(v, own) for v in healthy],
        "healthy above their common 1 % threshold": [over(v, equal) for v in healthy],
    }


def over(values, threshold):
    """Share of values above a threshold; none without one."""
    return None if threshold is None else float((values > threshold).mean())


def own_threshold(pipe):
    """Return the model's calibrated threshold, or none."""
    from diffad.threshold import Calibration

    calibration = pipe.config.calibration
    return (
        Calibration.from_dict(calibration).threshold(pipe.config.postprocess["fpr"]) if calibration else None
    )


def score_real(pipe, make, brains, slices):
    """Measure real lesions, beside the intensity in the same voxels, by what a model sets for a contrast."""
    from diffad.data.masks import load_mask

    result = {}
    for name, (scan, lesion, mask) in REAL.items():
        if not (brains / scan).exists():
            continue
        volume = Volume.load(brains / scan)
        stack = cut(pipe, volume, None if mask is None else brains / mask)
        contrast = find_contrast(volume, SOURCES[stack.name].brain[0, 0]) if pipe.config.contrasts else ""
        view = pipe.adapt_to(contrast)
        detect = make(view)
        rows = rows_at(stack, np.linspace(0.1, 0.95, slices))
        truth = to_slices(
            torch.from_numpy(np.asarray(load_mask(brains / lesion, volume)))[None] > 0,
            pipe.config.space["axis"],
        )
        stack = pick(stack, rows)
        inside = stack.brain
        y = truth[list(stack.keys)][inside].numpy()
        x, scores = stack.image[:, :1][inside].numpy(), detect([stack])[0].anomaly[inside].numpy()
        result[name] = {
            "AP": ap(scores, y),
            "bright": ap(x, y),
            "dark": ap(-x, y),
            "prevalence": float(y.mean()),
            "flagged": over(scores, own_threshold(view)),
        }
    return result


def score_heads(pipe, detect, prepared, slices):
    """Measure the share of healthy heads of another site above the model's threshold."""
    result = {}
    for mask in sorted(prepared.rglob("*_brain_mask.nii.gz")):
        path = mask.with_name(mask.name.replace("_brain_mask", ""))
        stack = cut(pipe, path, mask)
        stack = pick(stack, rows_at(stack, np.linspace(0.1, 0.95, slices)))
        scores = detect([stack])[0].anomaly[stack.brain].numpy()
        result[path.name] = {
            "above the model's threshold": over(scores, own_threshold(pipe)),
            "P99": float(np.quantile(scores, 0.99)),
        }
    return result


def show(value):
    """Write a number, or a list of them, in short."""
    if isinstance(value, list):
        return " ".join(show(v) for v in value)
    return "   -" if value is None else f"{value:.3f}" if isinstance(value, float) else str(value)


def print_tables(result):
    """Print what was measured."""
    for site, r in result.get("slices", {}).items():
        print(
            f"\n{site}: mean AP {show(r['mean'])}"
            + (f", {r['people']} people, prevalence {show(r['prevalence'])}" if "people" in r else "")
        )
        if "people" not in r:
            continue
        print(f"{'AP by height':42s} " + " ".join(f"{h:5.2f}" for h in HEIGHTS) + "   all")
        for kind in KINDS:
            print(f"{kind:42s} {show(r['cells'][kind])} {show(r['all'][kind])}")
        print(f"{'mean of kinds':42s} {show(r['heights'])} {show(r['mean'])}")
        for name in (n for n in r if n.startswith("healthy")):
            print(f"{name:42s} {show(r[name])}")
    for part in ("real", "heads"):
        for name, r in result.get(part, {}).items():
            print(f"{name:24s} " + "  ".join(f"{k} {show(v)}" for k, v in r.items()))


def main():
    """Measure a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--brains", type=Path, required=True)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--people", type=int, default=5, help="of each site")
    parser.add_argument("--sites", default=",".join(SITES))
    parser.add_argument("--slices", type=int, default=20, help="of each real scan")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="fp32")
    parser.add_argument("--parts", default="slices,real,heads")
    parser.add_argument("--json", type=Path)
    for part in ("sampler", "score", "noise", "guidance"):
        parser.add_argument(f"--{part}", type=yaml.safe_load, help="another than the model's own, as YAML")
    options = parser.parse_args()
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    start = time.perf_counter()
    pipe = AnomalyPipeline.from_pretrained(options.model)
    method = Method(options.noise, options.sampler, options.score, options.guidance)
    if method != Method():
        pipe.register_to_config(calibration=None)  # thresholds of other maps

    def make(view):
        detector = view.detector(method, batch_size=options.batch, precision=options.precision)
        return make_detect(view, detector, method == Method())

    detect = make(pipe)
    parts, result = options.parts.split(","), {"model": options.model}
    if "slices" in parts:
        result["slices"] = score_slices(
            pipe, detect, options.brains, options.sites.split(","), options.people, options.seed
        )
    if "real" in parts:
        result["real"] = score_real(pipe, make, options.brains, options.slices)
    if "heads" in parts and options.prepared:
        result["heads"] = score_heads(pipe, detect, options.prepared, options.slices)
    result["seconds"] = round(time.perf_counter() - start, 1)
    print_tables(result)
    print(f"\n{result['seconds']:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
