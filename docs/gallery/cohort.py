"""A cohort: maps, pages and a table of all scans of a folder."""

import csv
from pathlib import Path

from matplotlib.figure import Figure

from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.predict import Inputs, Options, predict_scans

SPACING = 2.0
SLICES = (46, 48)

make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
inputs = Inputs([Path("phantoms/test")], "ixi-t1-axial", Path("cohort"), "_desc-brain_mask", layout="plain")
print(predict_scans(inputs, Options(slices=SLICES)))  # a second call does what is missing, and nothing twice

rows = list(csv.DictReader(Path("cohort/results.csv").read_text(encoding="utf-8").splitlines()))
people = csv.DictReader(Path("phantoms/participants.tsv").read_text().splitlines(), delimiter="\t")
groups = {person["participant_id"]: person["lesion"] for person in people}

figure = Figure(figsize=(7, 3), layout="constrained")
axes = figure.add_subplot(title="Image score of each scan", xlabel="mean of the highest 1 % of its map")
names = [row["scan"].split("_")[0] for row in rows]
kinds = [groups[name] if groups[name] != "n/a" else "healthy" for name in names]
colours = ["tab:gray" if kind == "healthy" else "tab:orange" for kind in kinds]
axes.barh(
    [f"{n} ({k})" for n, k in zip(names, kinds, strict=True)],
    [float(r["score"]) for r in rows],
    color=colours,
)
figure.savefig("cohort.png", dpi=80)
print("see cohort/index.html")
