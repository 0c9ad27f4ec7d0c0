"""MedIAnomaly: one folder a data set, in three ways."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import IMAGES, Rule, RuleLayout, describe_faults, list_files
from diffad.registry import LAYOUTS

FILE = r"(?P<case>[^/]+)\.(?:png|jpe?g)"


@LAYOUTS.register("medianomaly_brats")
class MedianomalyBrats(RuleLayout):
    """MedIAnomaly's BraTS2021: train/, test/normal, test/tumor, and test/annotation with seg for flair."""

    name = "medianomaly_brats"
    suffixes = IMAGES
    lesions = ("test",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"test/annotation/" + FILE, "lesion", split="test", label=1),
        Rule(r"test/tumor/" + FILE, split="test", label=1),
        Rule(r"test/normal/" + FILE, split="test", label=0),
        Rule(r"train/" + FILE, split="train", label=0),
    )

    def case_of(self, match: re.Match[str]) -> str:
        """Return the name that image and mask share; normal slices of a tumour's patient are others."""
        kind = "normal" if "test/normal/" in match.string else ""
        return f"{kind}{match['case'].replace('seg', 'flair')}"

    def subject_of(self, match: re.Match[str]) -> str:
        """Return the patient, where the name begins with one."""
        found = re.match(r"BraTS2021_\d{5}", match["case"])
        return found.group() if found else match["case"]


@LAYOUTS.register("medianomaly_json")
class MedianomalyJson(Layout):
    """MedIAnomaly's RSNA, VinCXR, BrainTumor and LAG: images/ and data.json with the splits."""

    def fits(self, root: Path) -> int:
        """Return how many images there are, where a table lists any."""
        if not (root / "data.json").is_file() or not (root / "images").is_dir():
            return 0
        return len(list_files(root / "images", IMAGES))

    def entries(self, root: Path) -> Listing:
        """List the images of the table that are there.

        Raises:
            DataError: If the table cannot be read or no image is there.
        """
        path = root / "data.json"
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            rows = list(_rows(table))
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise DataError(f"{path}: expected splits, labels and file names, found {error}") from error
        found = [(name, split, label, root / "images" / name) for name, split, label in rows]
        made = [
            Entry(f"{split}-{Path(name).stem}", Path(name).stem, {"image": file}, split=split, label=label)
            for name, split, label, file in sorted(found)
            if file.is_file()
        ]
        if not made:
            raise DataError(f"{root}: expected the images of {path.name} in images/, found none")
        missing = [file for *_, file in found if not file.is_file()]
        listed = {file for *_, file in found}
        strangers = [p for p in list_files(root / "images", IMAGES) if p not in listed]
        problems = describe_faults(missing, root, f"images of {path.name} that are not there")
        return Listing(
            "medianomaly_json", made, problems + describe_faults(strangers, root, "images in no split")
        )


def _rows(table: dict[str, dict[str, list[str]]]) -> Iterator[tuple[str, str, int]]:
    for split, labels in table.items():
        for label, names in labels.items():
            for name in names:
                yield name, split, int(label)


@LAYOUTS.register("medianomaly_isic")
class MedianomalyIsic(Layout):
    """MedIAnomaly's ISIC2018: *_Training_Input and *_Test_Input, normal where the table says NV."""

    def fits(self, root: Path) -> int:
        """Return how many images lie in folders of that name."""
        return sum(len(list_files(folder, IMAGES)) for folder in root.glob("ISIC2018_Task3_*_Input"))

    def entries(self, root: Path) -> Listing:
        """List the images of both tables.

        Raises:
            DataError: If there is no table or no image.
        """
        made, problems = [], []
        for part, split in (("Training", "train"), ("Test", "test")):
            folder = root / f"ISIC2018_Task3_{part}_Input"
            tables = sorted((root / f"ISIC2018_Task3_{part}_GroundTruth").glob("*.csv"))
            if not tables:
                problems.append(f"{root}: expected a table in ISIC2018_Task3_{part}_GroundTruth, found none")
                continue
            with tables[0].open(newline="", encoding="utf-8-sig") as file:
                rows = [(row["image"], int(float(row["NV"]) != 1)) for row in csv.DictReader(file)]
            there = [(name, label, folder / f"{name}.jpg") for name, label in sorted(rows)]
            made += [
                Entry(name, name, {"image": path}, split=split, label=label)
                for name, label, path in there
                if path.is_file()
            ]
            missing = [path for *_, path in there if not path.is_file()]
            problems += describe_faults(missing, root, f"images of {tables[0].name} that are not there")
        if not made:
            raise DataError(f"{root}: expected images and tables of ISIC 2018, found none")
        return Listing("medianomaly_isic", made, problems)
