"""How many evaluations partial diffusion needs: ``python tests/timings/nfe.py DATA MODEL [--save PNG]``.

Scores a trained pipeline on implanted lesions with the full chain and with strided ones, in one run.
"""

import argparse
import tempfile
from pathlib import Path

from diffad.benchmark.config import BenchmarkConfig, DataConfig, MethodConfig
from diffad.benchmark.run import run_benchmark
from diffad.method import Method

STEPS = (1, 2, 5, 10, 25, 50)


def chains(level, full):
    """The samplers that are compared, by label."""
    rows = {f"DDIM {n}": {"name": "chain", "level": level, "steps": n, "step": "ddim"} for n in STEPS}
    rows |= {f"DDPM {n}": {"name": "chain", "level": level, "steps": n, "step": "ddpm"} for n in STEPS[2:-1]}
    rows |= {f"DPM-Solver++ {n}": {"name": "dpm_solver", "level": level, "steps": n} for n in (2, 5, 10)}
    if full:
        rows[f"DDIM {level}"] = {"name": "chain", "level": level, "step": "ddim"}
        every = {"name": "chain", "level": level, "step": "ddpm", "variance": "fixed_large"}
        rows[f"DDPM {level} (full chain)"] = every
    return rows


def configure(options, output):
    """The benchmark of one model with every sampler."""
    samplers = chains(options.level, not options.no_full)
    return BenchmarkConfig(
        name="nfe",
        data=DataConfig(slices=str(options.data), limit=options.limit),
        methods=tuple(
            MethodConfig(k, pipeline=options.model, parts=Method(sampler=v)) for k, v in samplers.items()
        ),
        baselines=False,
        seeds=(options.seed,),
        protocols=("lesioned",),
        resamples=0,
        precision="bf16",
        output=output,
    )


def collect_points(outcome):
    """Evaluations a slice, mean AP and seconds a slice of each sampler."""
    ap = {r.method: r.value for r in outcome.rows if (r.data, r.metric) == ("mean", "pixel_ap")}
    return {cost.method: (cost.nfe, ap[cost.method], cost.seconds) for cost in outcome.costs}


def draw_curve(points, path):
    """Draw mean AP against the number of evaluations, a line for each family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for family, mark in (("DDIM", "o-"), ("DDPM", "s--"), ("DPM-Solver++", "^:")):
        line = sorted((nfe, ap) for label, (nfe, ap, _) in points.items() if label.split()[0] == family)
        axes.plot(*zip(*line, strict=True), mark, label=family)
    axes.set(xscale="log", xlabel="network evaluations per slice", ylabel="mean AP, implanted lesions")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=110)


def main():
    """Measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("model")
    parser.add_argument("--level", type=int, default=250)
    parser.add_argument("--limit", type=int, default=24, help="validation slices; each gets four lesions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-full", action="store_true", help="leave out the two chains of every level")
    parser.add_argument("--save", type=Path, help="PNG file of the curve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as output:
        points = collect_points(run_benchmark(configure(options, output)))
    for label, (nfe, ap, seconds) in points.items():
        print(f"{label:24} {nfe:4} evaluations  AP {ap:.3f}  {seconds:.3f} s a slice")
    if options.save:
        draw_curve(points, options.save)


if __name__ == "__main__":
    main()
