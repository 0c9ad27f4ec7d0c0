"""How much detections vary when a person is scanned again, simulated; writes the table of diffad compare.

    python tests/timings/rescan.py --contrast T1=FOLDER --contrast FLAIR=FOLDER --work WORK [--save]

Each folder holds scans with their brain masks (``A.nii.gz`` with ``A_brain_mask.nii.gz``), such as those of
``diffad implant`` and ``diffad phantom``. Every scan is re-scanned three times (moved, with other noise, bias
and gain), all four are looked at by brain-any, and every two are registered and matched as two visits are.
What is done in WORK is not done again; --save writes the table into the package.
"""

import argparse
import json
from pathlib import Path

from diffad.follow_up.noise import SHIPPED, RescanNoise, strip_request
from diffad.follow_up.noise_bins import Finding
from diffad.follow_up.rescans import BRAIN_END, pair_findings, write_rescans
from diffad.follow_up.visit import read_visit
from diffad.io.nifti import stem
from diffad.predict import Inputs, Options, predict_scans

COUNT, SEED = 3, 100


def look(paths, mask, out):
    """Look at scans and return their visits."""
    inputs = Inputs(paths, "brain-any", out, mask, layout="plain", page=False)
    predict_scans(inputs, Options())
    return [read_visit(path, out, stem(path)) for path in paths]


def measure_scan(path, mask, work):
    """Return all findings in every two of a scan and its re-scans, and the request."""
    (visit,) = look([path], mask, work / "scans")
    folder = work / stem(path)
    rescans = look(write_rescans(visit, folder, COUNT, SEED), BRAIN_END, folder / "results")
    findings = [(*f.pair, f.map_change) for f in pair_findings([visit, *rescans])]
    return findings, strip_request(visit.info["request"])


def measure_folder(folder, mask, work):
    """Return the pairs of a folder, kept in a file by scan."""
    pairs, request, kept = [], {}, work / "findings.json"
    work.mkdir(parents=True, exist_ok=True)
    done = json.loads(kept.read_text()) if kept.exists() else {}
    paths = [p for p in sorted(folder.glob("*.nii.gz")) if not p.name.endswith(f"{mask}.nii.gz")]
    for path in paths:
        if path.name not in done:
            done[path.name] = measure_scan(path, mask, work)
            kept.write_text(json.dumps(done))
        pairs += [Finding((a, b), change) for a, b, change in done[path.name][0]]
        request = done[path.name][1]
        print(path.name, [tuple(round(v, 2) for v in pair) for pair in done[path.name][0]], flush=True)
    return pairs, request, len(paths)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--contrast", action="append", required=True, metavar="NAME=FOLDER[:WORDS]")
    parser.add_argument("--mask", default="_brain_mask")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    record = {"command": "python tests/timings/rescan.py", "request": {}, "contrasts": {}}
    for entry in options.contrast:
        name, _, place = entry.partition("=")
        place, _, words = place.partition(":")
        pairs, record["request"], count = measure_folder(Path(place), options.mask, options.work / name)
        source = f"{count} {words or name + ' scans'}, each re-scanned {COUNT} times in simulation"
        if noise := RescanNoise.of(pairs, source):
            record["contrasts"][name] = noise.to_dict()
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if options.save:
        SHIPPED.write_text(text)


if __name__ == "__main__":
    main()
