"""Measure how often the atlas names the place of a voxel, and of a ball, as the head's own labels do.

python -m tests.timings.place_check FOLDER_OF_BRAINS MATRICES.json

By hand. The heads are those of ``ixi_hh/val``, which the atlas was not made of: once registered, once by the
shape of the brain.
"""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

from diffad.data.atlas.brain_shape import fit_brain_shape
from diffad.data.atlas.place_atlas import PlaceAtlas, Region, load_place_atlas
from diffad.data.atlas.place_name import name_place
from diffad.data.atlas.template_map import TemplateMap
from tests.timings.place_heads import LabelledHead, read_heads, register_head
from tests.timings.place_tables import tabulate_muse
from tests.timings.place_vote import INFRATENTORIAL, find_zones

BALLS, RADII = 60, (3.0, 6.0, 12.0)
"""Balls of each radius in mm in a head."""
LARGEST_ODD_SHARE = 0.02
"""Largest share of labels of a head on the other side than they say."""
MUSE = tabulate_muse()


def make_truth(head: LabelledHead) -> PlaceAtlas:
    """Return a head's own labels as an atlas whose world is that of the head."""
    _, periventricular, juxtacortical = find_zones(head)
    regions, labels = [Region(0, "", "", "", ())], np.zeros(head.labels.shape, dtype=np.int16)
    for label, (side, structure, tissue) in MUSE.items():
        for near in (0, 1, 2, 3):
            chosen = (head.labels == label) & (periventricular + 2 * juxtacortical == near)
            zones = [z for z, bit in (("periventricular", 1), ("juxtacortical", 2)) if near & bit]
            zones += ["infratentorial"] if structure in INFRATENTORIAL else []
            labels[chosen] = len(regions)
            regions.append(Region(len(regions), side, structure, tissue, tuple(zones)))
    return PlaceAtlas(labels, head.affine, regions)


def compare_voxels(truth: PlaceAtlas, head: LabelledHead, way: TemplateMap, counts: Counter) -> None:
    """Count voxels that are named alike, all and by structure and zone."""
    atlas, index = load_place_atlas(), np.argwhere(truth.labels > 0)
    points = way.move(index @ head.affine[:3, :3].T + head.affine[:3, 3])
    theirs = truth.labels[tuple(index.T)]
    pairs, numbers = np.unique(np.stack([theirs, atlas.look_up(points)]), axis=1, return_counts=True)
    for (a, b), n in zip(pairs.T.tolist(), numbers.tolist(), strict=True):
        one, two = truth.regions[a], atlas.regions[b]
        counts["voxels"] += n
        counts["structure"] += n * (one.structure == two.structure)
        counts["tissue"] += n * (one.tissue == two.tissue)
        if one.side:
            counts["sided"] += n
            counts["side"] += n * (one.side == two.side)
            counts["other side"] += n * ({one.side, two.side} == {"left", "right"})
        for kind, x, y in (("structure", one.structure, two.structure), ("tissue", one.tissue, two.tissue)):
            counts[f"{kind} {x} true"] += n
            counts[f"{kind} {y} named"] += n
            counts[f"{kind} {x} both"] += n * (x == y)
        for zone in set(one.zones) | set(two.zones):
            counts[f"zone {zone} true"] += n * (zone in one.zones)
            counts[f"zone {zone} named"] += n * (zone in two.zones)
            counts[f"zone {zone} both"] += n * (zone in one.zones and zone in two.zones)


def compare_balls(truth: PlaceAtlas, head: LabelledHead, way: TemplateMap, counts: Counter) -> None:
    """Count balls at random places of the brain that are named alike."""
    rng = np.random.default_rng(0)
    inside = np.argwhere(truth.labels > 0)
    points = inside @ head.affine[:3, :3].T + head.affine[:3, 3]
    for radius in RADII:
        for centre in points[rng.integers(0, len(points), BALLS)]:
            ball = points[((points - centre) ** 2).sum(1) <= radius**2]
            one, two = name_place(ball, truth), name_place(way.move(ball), load_place_atlas())
            counts[f"ball {radius:g}"] += 1
            first = one.structure.split(" and ")[0]
            counts[f"ball {radius:g} structure"] += first in two.structure.split(" and ")
            counts[f"ball {radius:g} tissue"] += one.tissue.split(" and ")[0] in two.tissue.split(" and ")
            counts[f"ball {radius:g} side"] += one.side == two.side or "midline" in (one.side, two.side)
            counts[f"ball {radius:g} opposite"] += {one.side, two.side} == {"left", "right"}
            if {one.side, two.side} == {"left", "right"}:
                counts["furthest opposite"] = max(
                    counts["furthest opposite"], abs(way.move(centre[None])[0, 0])
                )
            for zone in ("periventricular", "juxtacortical", "infratentorial"):
                a, b = (zone in name.zone.split(" and ") for name in (one, two))
                counts[
                    f"ball {radius:g} {zone} {'both' if a and b else 'true' if a else 'named' if b else '-'}"
                ] += 1


def report(counts: Counter) -> None:
    """Print shares and overlaps."""
    n = counts["voxels"]
    print(f"voxels {n}: structure {counts['structure'] / n:.3f}, tissue {counts['tissue'] / n:.3f}")
    side, other = (counts[k] / counts["sided"] for k in ("side", "other side"))
    print(f"  side {side:.4f}, the other side {other:.5f}")
    for name in sorted(k[:-5] for k in counts if k.endswith(" true") and not k.startswith("ball")):
        dice = 2 * counts[f"{name} both"] / (counts[f"{name} true"] + counts[f"{name} named"])
        print(f"  Dice {dice:.3f}, found {counts[f'{name} both'] / counts[f'{name} true']:.3f}: {name}")
    for radius in RADII:
        ball = f"ball {radius:g}"
        shares = {
            k: counts[f"{ball} {k}"] / counts[ball] for k in ("structure", "tissue", "side", "opposite")
        }
        print(f"{ball} mm: " + ", ".join(f"{k} {v:.3f}" for k, v in shares.items()))
        for zone in ("periventricular", "juxtacortical", "infratentorial"):
            both, true, named = (counts[f"{ball} {zone} {k}"] for k in ("both", "true", "named"))
            print(
                f"  {zone}: found {both / max(both + true, 1):.3f}, right {both / max(both + named, 1):.3f}"
            )
    print(f"furthest ball on the other side: {counts['furthest opposite']:.1f} mm from the middle")


def measure_odd_sides(truth: PlaceAtlas, way: TemplateMap) -> float:
    """Return the share of a head's own labels that lie over 6 mm beyond the middle, on the other side."""
    index = np.argwhere(truth.labels > 0)
    x = way.move(index @ truth.affine[:3, :3].T + truth.affine[:3, 3])[:, 0]
    sides = np.array([{"left": -1, "right": 1}.get(r.side, 0) for r in truth.regions])
    return float((x * sides[truth.labels[tuple(index.T)]] < -6).mean())


def main(brains: str, matrices: str) -> None:
    """Compare all heads of the validation split but those whose labels swap sides themselves."""
    counts: dict[str, Counter] = defaultdict(Counter)
    for head in read_heads(Path(brains), "val", 1):
        truth = make_truth(head)
        registered = TemplateMap(np.linalg.inv(register_head(head, Path(matrices))))
        if (share := measure_odd_sides(truth, registered)) > LARGEST_ODD_SHARE:
            print(f"{head.name} is left out: {share:.0%} of its own labels lie on the other side")
            continue
        for way in (registered, fit_brain_shape(head.brain, head.affine)):
            compare_voxels(truth, head, way, counts[way.source])
            compare_balls(truth, head, way, counts[way.source])
    for source, result in counts.items():
        print(f"== {source}")
        report(result)


if __name__ == "__main__":
    main(*sys.argv[1:])
