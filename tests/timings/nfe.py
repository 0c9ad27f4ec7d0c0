"""How many evaluations partial diffusion needs: ``python tests/timings/nfe.py DATA MODEL [--save PNG]``.

Scores a trained pipeline on implanted lesions with the full chain and with strided ones, in one run.
"""

import argparse
from pathlib import Path

import torch

from diffad.evaluation.implanted import load_slices
from diffad.evaluation.methods import format_methods, model, score_methods

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


def curve(methods, path):
    """Draw mean AP against the number of evaluations, a line for each family."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for family, mark in (("DDIM", "o-"), ("DDPM", "s--"), ("DPM-Solver++", "^:")):
        points = sorted((m.nfe, m.rows[-1].ap) for m in methods if m.name.split()[0] == family)
        axes.plot(*zip(*points, strict=True), mark, label=family)
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
    torch.set_flush_denormal(True)
    _, val, brain = load_slices(options.data, 128)
    methods = []
    for label, sampler in chains(options.level, not options.no_full).items():
        methods.append(model(f"{label}={options.model}", brain, {"sampler": sampler}, "bf16"))
    score_methods(methods, val[: options.limit], brain, [options.seed])
    print(format_methods(methods))
    if options.save:
        curve(methods, options.save)


if __name__ == "__main__":
    main()
