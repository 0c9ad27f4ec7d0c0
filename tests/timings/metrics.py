"""Times metrics against scikit-learn and a loop: ``python tests/timings/metrics.py [PIXELS [MAPS]]``."""

import sys
import time

import numpy as np
from skimage.measure import label, regionprops
from sklearn.metrics import average_precision_score, roc_auc_score

from diffad.evaluation import ProCurve, RankCurve, RankHistogram


def seconds(call, repeats=3):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        result = call()
        times.append(time.perf_counter() - start)
    return min(times), result


def main(pixels):
    rng = np.random.default_rng(0)
    truth = rng.random(pixels) < 0.025
    scores = (rng.gamma(2, 0.05, pixels) + 0.1 * truth).astype(np.float32)

    def ours():
        curve = RankCurve.of(scores, truth)
        return curve.auroc(), curve.average_precision(), curve.best_dice().dice

    ours_s, values = seconds(ours)
    theirs_s, oracle = seconds(
        lambda: (roc_auc_score(truth, scores), average_precision_score(truth, scores)), repeats=1
    )
    print(f"{pixels:,} pixels: AUROC {values[0]:.6f}, AP {values[1]:.6f}, best Dice {values[2]:.6f}")
    print(f"largest difference {max(abs(a - b) for a, b in zip(values, oracle, strict=False)):.1e}")
    print(f"three metrics {ours_s:.2f} s, scikit-learn's two {theirs_s:.2f} s: {theirs_s / ours_s:.1f} x")

    parts = list(zip(np.array_split(scores, 100), np.array_split(truth, 100), strict=True))

    def streamed():
        counts = RankHistogram()
        for part in parts:
            counts.add(*part)
        curve = counts.curve()
        return (curve.auroc(), curve.average_precision(), curve.best_dice().dice), counts

    stream_s, (found, counts) = seconds(streamed, repeats=1)
    held = counts.to_arrays()["counts"].nbytes / 2**20
    worst = max(abs(a - b) for a, b in zip(found, values, strict=True))
    print(f"streamed in 100 parts {stream_s:.2f} s: {theirs_s / stream_s:.1f} x")
    print(f"it keeps {held:.0f} MB, and is off by {worst:.1e}")


def loop(maps, masks, limit=0.3, steps=200):
    """Threshold by threshold and region by region, as published code does it; at 200 thresholds only."""
    at = np.linspace(maps.min(), maps.max(), steps)[::-1]
    healthy, points = ~masks, [(0.0, 0.0)]
    for t in at:
        flagged = maps >= t
        covered = [
            flagged[i][tuple(r.coords.T)].mean()
            for i, mask in enumerate(masks)
            for r in regionprops(label(mask))
        ]
        points.append(((flagged & healthy).sum() / healthy.sum(), np.mean(covered)))
    x, y = np.array(points).T
    kept = x < limit
    end = np.interp(limit, x, y)
    return np.trapezoid(np.append(y[kept], end), np.append(x[kept], limit)) / limit


def regions(count):
    rng = np.random.default_rng(0)
    maps = rng.gamma(2, 0.05, (count, 240, 240)).astype(np.float32)
    masks = np.zeros(maps.shape, bool)
    for mask in masks[::2]:
        for i, j in rng.integers(20, 200, (3, 2)):
            mask[i : i + 15, j : j + 20] = True
    maps[masks] += 0.1
    ours_s, ours = seconds(lambda: ProCurve.of(maps, masks).area(), repeats=1)
    theirs_s, theirs = seconds(lambda: loop(maps, masks), repeats=1)
    print(f"AUPRO of {count} maps of 240 x 240: {ours:.5f} at every threshold, {theirs:.5f} at 200")
    print(f"one sort {ours_s:.2f} s, loop over 200 thresholds {theirs_s:.2f} s: {theirs_s / ours_s:.1f} x")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
    regions(int(sys.argv[2]) if len(sys.argv) > 2 else 500)
