"""Tables and records of a cohort that tests of group maps read and change."""

import csv
import json

import nibabel as nib
import numpy as np

from tests.helpers.cohorts import load

COUNT = 4
"""Scans of the cohort."""
MAP = "_space-MNI152NLin2009aSym"


def cut_seen(path):
    image = nib.load(path)
    data = np.asarray(image.dataobj).copy()
    data[: len(data) // 2] = 0
    nib.save(nib.Nifti1Image(data, image.affine, image.header), path)


def change_row(folder, scan, **cells):
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        if row["scan"] == scan:
            row.update(cells)
    with (folder / "results.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def change_info(folder, scan, **values):
    path = folder / f"{scan}_info.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def read_table(path):
    with path.open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


def stack(folder, kind, scans=range(COUNT)):
    return np.stack([load(folder / f"sub-{n}_T1w{MAP}_{kind}.nii.gz") for n in scans])


def write_people(path, values, column="diagnosis", delimiter="\t"):
    lines = [("participant_id", column), *values.items()]
    path.write_text("".join(f"{delimiter.join(line)}\n" for line in lines))
    return path
