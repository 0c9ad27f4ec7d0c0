"""Times our three metrics against scikit-learn's two: ``python tests/benchmarks/metrics.py [PIXELS]``."""

import sys
import time

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from diffad.evaluation import RankCurve


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


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
