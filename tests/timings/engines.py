"""How fast each engine runs the network of a whole head, and how far its maps are from those of torch.

    python -m tests.timings.engines SCAN --mask MASK --brains BRAINS [--model MODEL] [--every N] [--json FILE]

SCAN is a healthy head whose axial slices are all looked at by the model in torch, single precision: what its
network is called with is taken down. Every ``--every``-th of these evaluations is then run by each engine in
turn, forwards and backwards, so that what else the machine does meets all alike; seconds are those of the
processor, on one thread, scaled to all evaluations of the head. "ratio" is to torch in bf16. Differences are
to torch in fp32: of mean AP on implanted slices (``heights``, ``--people`` of each site in BRAINS) and 99th
percentile of maps of SCAN in the brain, in units of the map and as a share of the threshold.
"export" is the time until the first answer, with nothing exported or compiled before. int8 is measured
on SCAN itself unless --healthy names others. Pin it to one core:

    OMP_NUM_THREADS=1 taskset -c 1 python -m tests.timings.engines ...
"""

import argparse
import copy
import json
import os
import tempfile
import time
import warnings
from pathlib import Path

import torch

from diffad import AnomalyPipeline
from diffad.engines.core import find_core, pick_given
from diffad.inference.precision import PRECISIONS
from diffad.io.subjects import find_scans, find_subject_mask
from diffad.predict.exporting import Recorder, export_model, measure_gap
from diffad.predict.listing import list_subjects
from diffad.predict.options import Inputs, Options
from tests.timings import heights

VARIANTS = [
    ("torch", "fp32", ""),
    ("torch", "bf16", ""),
    ("torch", "fp32", "channels_last"),
    ("torch", "bf16", "channels_last"),
    ("compile", "fp32", ""),
    ("compile", "bf16", ""),
    ("compile", "int8", ""),
    ("onnx", "fp32", ""),
    ("onnx", "int8", ""),
    ("openvino", "fp32", ""),
    ("openvino", "bf16", ""),
    ("openvino", "int8", ""),
]
BATCH = 8


def load(model, engine="torch", layout=""):
    pipe = AnomalyPipeline.from_pretrained(model, engine=engine)
    pipe.set_progress_bar_config(disable=True)
    if layout:
        pipe.network.to(memory_format=torch.channels_last)
    return pipe


def make_core(pipe, precision):
    """Return what answers as the core of the network does."""
    owner = pipe.network.get_submodule(find_core(pipe.network))
    if pipe.engine.name != "torch":
        bound = pipe.engine.bind(pipe.network, precision, BATCH)
        return bound.get_submodule(find_core(pipe.network)).run_core
    narrow = PRECISIONS[precision]

    def run(x, *rest):
        if owner.unet.conv_in.weight.is_contiguous(memory_format=torch.channels_last):
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad(), torch.autocast("cpu", narrow, enabled=narrow is not None):
            return owner.run_core(x, *rest)

    return run


def prepare(options, subjects, calls):
    """Export all that is asked for; return cores and seconds by variant."""
    cores, seconds = {}, {}
    for engine, precision, layout in options.variants:
        start = time.perf_counter()
        try:
            if precision == "int8":
                export_model(
                    load(options.model), engine, precision, subjects, Options(slices="all"), options.mask
                )
            pipe, start = (
                load(options.model, engine, layout),
                time.perf_counter() if precision == "int8" else start,
            )
            core = make_core(pipe, precision)
            core(*calls[0])
        except Exception as error:
            print(f"{engine} {precision}: {type(error).__name__}: {str(error)[:200]}", flush=True)
            continue
        cores[engine, precision, layout] = core
        seconds[engine, precision, layout] = time.perf_counter() - start
        print(f"ready: {engine} {precision} {layout} {seconds[engine, precision, layout]:.1f} s", flush=True)
    return cores, seconds


def measure_seconds(cores, calls, every):
    """Return seconds of the processor for all calls, by variant."""
    spent = dict.fromkeys(cores, 0.0)
    chosen = [call for call in calls if len(call[0]) == BATCH][::every]
    for core in cores.values():  # an export may have made torch forget what it had compiled
        core(*chosen[0])
    for number, call in enumerate(chosen):
        order = list(cores) if number % 2 else list(cores)[::-1]
        for name in order:
            start = time.process_time()
            cores[name](*call)
            spent[name] += time.process_time() - start
    items = sum(len(call[0]) for call in calls)
    return {name: value * items / (BATCH * len(chosen)) for name, value in spent.items()}


def measure_ap(options, engine, precision, layout):
    """Return the mean AP of implanted slices."""
    pipe = load(options.model, engine, layout)
    detector = pipe.detector(None, batch_size=BATCH, precision=precision)
    detect = heights.make_detect(pipe, detector, True)
    result = heights.score_slices(pipe, detect, options.brains, heights.SITES, options.people, 0)
    return result["mean of sites"]["mean"]


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scan", type=Path)
    parser.add_argument("--mask", required=True, help="of scans, or the ending of the masks' names")
    parser.add_argument("--healthy", type=Path, help="scans that int8 is measured on")
    parser.add_argument("--brains", type=Path)
    parser.add_argument("--people", type=int, default=2)
    parser.add_argument("--model", default="brain-any")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--slices", default="all", help="slices whose maps are compared")
    parser.add_argument("--only", default="", help="variants, as compile-int8,torch-bf16")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    torch.set_flush_denormal(True)
    torch.set_num_threads(1)
    only = options.only.split(",") if options.only else []
    base = VARIANTS[:2]
    options.variants = [v for v in VARIANTS if not only or v in base or "-".join(filter(None, v)) in only]
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"DIFFAD_CACHE": folder, "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor"}
        run(options)


def run(options):
    pipe = load(options.model)
    pipe.engine = recorder = Recorder()
    inputs = Inputs([options.healthy or options.scan], options.model, Path(), options.mask)
    subjects = list_subjects(inputs, find_scans(inputs.sources, None, options.mask)).subjects
    one = Inputs([options.scan], options.model, Path(), options.mask)
    (head,) = list_subjects(one, find_scans(one.sources, None, options.mask)).subjects
    mask = find_subject_mask(head, options.mask)
    pipe(head.paths[0], mask, slices="all", precision="fp32")
    calls = copy.copy(recorder.calls)
    shape, count = tuple(calls[0][0].shape), sum(len(call[0]) for call in calls)
    print(f"{count} images in {len(calls)} evaluations, {shape}")
    cores, exports = prepare(options, subjects, calls)
    calls = [pick_given(call) for call in calls]
    seconds = measure_seconds(cores, calls, options.every)
    rows, reference, reference_ap = [], None, None
    for engine, precision, layout in cores:
        pipe = load(options.model, engine, layout)
        output = pipe(head.paths[0], mask, slices=options.slices, precision=precision)
        ap = measure_ap(options, engine, precision, layout) if options.brains else float("nan")
        reference, reference_ap = reference or output, reference_ap or ap
        gap, threshold = measure_gap(output, reference), float(reference.info["threshold"])
        name = (engine, precision, layout)
        rows.append(
            {
                "engine": " ".join(filter(None, (engine, layout))),
                "precision": precision,
                "seconds": round(seconds[name], 2),
                "ratio": round(seconds["torch", "bf16", ""] / seconds[name], 2),
                "ap": round(ap, 4),
                "ap_difference": round(ap - reference_ap, 4),
                "p99": float(f"{gap:.3g}"),
                "p99_share": round(gap / threshold, 4),
                "export_seconds": round(exports[name], 1),
            }
        )
        print(rows[-1], flush=True)
    print_table(rows)
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))


def print_table(rows):
    print("| engine | precision | seconds | ratio | AP difference | p99 | of the threshold | export s |")
    print("|---|---|---|---|---|---|---|---|")
    for r in rows:
        speed = f"{r['seconds']:.2f} | {r['ratio']:.2f} | {r['ap_difference']:+.4f}"
        gaps = f"{r['p99']:.2g} | {r['p99_share']:.1%} | {r['export_seconds']:.0f}"
        print(f"| {r['engine']} | {r['precision']} | {speed} | {gaps} |")


if __name__ == "__main__":
    main()
