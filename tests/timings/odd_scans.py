"""What a model that knows its domain says of healthy brains kept aside, of real scans and of odd ones.

    python -m tests.timings.odd_scans BRAINS [--volumes VOLUMES] [--prepared PREPARED] [--step 3]

The domain is learnt from the T1 brains in BRAINS/ixi_hh/train and BRAINS/ds002748/train, every third of them.
No network is run. VOLUMES holds a CT without its skull and a glioma with thick slices, PREPARED what
``diffad prepare`` wrote of healthy heads of a third site; what is not there is left out.
"""

import argparse
from pathlib import Path

import numpy as np

from diffad.config import SpaceConfig, to_dict
from diffad.data.scan_slices import read_scan
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.inference.domain import check_domain, list_offset_warnings, summarise_domain
from diffad.inference.features import measure_channels
from diffad.inference.scan import read_source
from diffad.inference.stacking import measure_windows
from diffad.io.wording import shorten
from tests.helpers.odd_scans import HARMLESS, ODD, Scan

SITES = ("ixi_hh", "ds002748")
MASK = "_label-brain_mask"
PEOPLE = 3
SPACE = SpaceConfig(low=None)


def list_scans(folder):
    """List the T1 scans of a folder, each with its mask or none."""
    paths = sorted(folder.glob("*_T1w.nii.gz"))
    masks = [p.with_name(p.name.replace("_T1w", MASK)) for p in paths]
    return [(p, m if m.exists() else None) for p, m in zip(paths, masks, strict=True)]


def learn(brains, step):
    """Learn the domain of the training brains of both sites."""
    scans = [pair for site in SITES for pair in list_scans(brains / site / "train")[::step]]
    features = []
    for path, mask in scans:
        source = read_source(path, mask)
        features.append(measure_channels(source.volume, source.brain[0, 0]))
    return summarise_domain(features)


def look(config, scan, mask=None):
    """Return the status of a scan, its reasons, and what else is said before a network is run."""
    try:
        source = read_source(scan, mask)
        check = check_domain(source, config)
        windows = measure_windows(source, Space(SPACE))
    except ValueError as error:
        return "refused", [str(error)], []
    offset = list_offset_warnings(source, windows[0], config["space"])
    return check.status, list(check.reasons), [*source.warnings, *offset]


def show(name, results):
    """Print how many of a kind are inside, outside or refused, and the first of what is said of them."""
    statuses = [status for status, _, _ in results]
    counts = [(word, statuses.count(word)) for word in ("inside", "outside", "refused")]
    status = ", ".join(f"{word} {n}" for word, n in counts if n)
    sentences = [s for _, reasons, others in results for s in (*reasons, *others)]
    first = sentences[0].rsplit(".nii.gz: ")[-1].removeprefix("the scan: ") if sentences else ""
    print(f"| {name} | {status} | {shorten(first, 150)} |", flush=True)


def list_real(brains, volumes, prepared):
    """List real scans that are not those of the model, and some that are: name, scan, mask."""
    ms = brains / "ms_patient07"
    real = [("MS T2, named so", ms / "p07_T2.nii.gz", None)]
    real += [(f"MS {s}", forget_name(ms / f"p07_{s}.nii.gz"), None) for s in ("T1", "T1POST", "T2", "FLAIR")]
    for name in ("pat0001", "pat0005"):
        folder = brains / f"glioma_{name}"
        real += [
            (
                f"glioma {name} {s}",
                forget_name(folder / f"{name}_{s}.nii.gz"),
                folder / f"{name}_brain.nii.gz",
            )
            for s in ("FLAIR", "T1C")
        ]
    if volumes:
        ct = volumes / "ct_template_hu_stripped.nii.gz"
        real += [("CT without its skull", ct, None), ("the same, 0 for less", cut_zero(ct), None)]
        real += [
            (
                "glioma, thick T1c",
                volumes / "glioma_t1c_head.nii.gz",
                volumes / "glioma_t1c_brain_mask.nii.gz",
            )
        ]
        real += [
            (f"whole head, {n}", volumes / f"{n}_head.nii.gz", None) for n in ("glioma_flair", "healthy_t1")
        ]
    real += [
        (f"third site, whole head {p.name[:6]}", p, None)
        for p in sorted((brains / "ds000011").glob("*.nii.gz"))
    ]
    for path in sorted(prepared.glob("*_T1w.nii.gz")) if prepared else []:
        real.append(
            (
                f"third site, prepared {path.name[:6]}",
                path,
                path.with_name(path.name.replace("_T1w", "_T1w_brain_mask")),
            )
        )
    return real


def forget_name(path):
    """Return a scan without its name, so that its voxels alone speak."""
    volume = Volume.load(path)
    return Volume(volume.data, volume.affine)


def cut_zero(path):
    """Return a CT with 0 where it is below, as those without a skull often are."""
    volume = Volume.load(path)
    return Volume(volume.data.clip(0), volume.affine)


def load(path, mask):
    """Return a healthy scan as what odd ones are made of."""
    volume, brain = read_scan(path, mask)
    return Scan(np.where(brain, volume.data[0], 0), brain, tuple(volume.spacing))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("brains", type=Path)
    parser.add_argument("--volumes", type=Path)
    parser.add_argument("--prepared", type=Path)
    parser.add_argument("--step", type=int, default=3)
    options = parser.parse_args()
    domain = learn(options.brains, options.step)
    config = {"space": to_dict(SPACE), "postprocess": {"fpr": 0.01}, "domain": domain, "sequences": ["T1w"]}
    print("| scan | status | what is said first |\n|---|---|---|")
    for site in SITES:
        results = [look(config, *pair) for pair in list_scans(options.brains / site / "val")]
        show(f"{len(results)} healthy of {site}, kept aside", results)
    for name, scan, mask in list_real(options.brains, options.volumes, options.prepared):
        show(name, [look(config, scan, mask)])
    people = [load(*pair) for site in SITES for pair in list_scans(options.brains / site / "val")[:PEOPLE]]
    for name, change in {**HARMLESS, **ODD}.items():
        changed = [change(scan) for scan in people]
        volumes = [Volume(s.data[None], np.diag([*s.spacing, 1.0])) for s in changed]
        show(name, [look(config, v, s.brain) for v, s in zip(volumes, changed, strict=True)])


if __name__ == "__main__":
    main()
