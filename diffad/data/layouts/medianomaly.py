"""MedIAnomaly: one folder for each data set, in three ways."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Layout, Listing
from diffad.data.layouts.rules import IMAGES, Rule, RuleLayout, describe_faults, list_files
from diffad.io.paths import is_present_file
from diffad.io.shapes import is_text, list_of, mapping_of
from diffad.io.text import read_json, read_text
from diffad.io.wording import shorten
from diffad.registry import LAYOUTS

FILE = r"(?P<case>[^/]+)\.(?:png|jpe?g)"


@LAYOUTS.register("medianomaly_brats")
class MedianomalyBrats(RuleLayout):
    """BraTS2021 of MedIAnomaly: train/, test/normal, test/tumor, test/annotation with seg for flair."""

    name = "medianomaly_brats"
    suffixes = IMAGES
    lesion_splits = ("test",)
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(r"test/annotation/" + FILE, "lesion", split="test", label=1),
        Rule(r"test/tumor/" + FILE, split="test", label=1),
        Rule(r"test/normal/" + FILE, split="test", label=0),
        Rule(r"train/" + FILE, split="train", label=0),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return the name that image and mask share; normal slices of a patient with a tumour differ."""
        kind = "normal" if "test/normal/" in match.string else ""
        return f"{kind}{match['case'].replace('seg', 'flair')}"

    def name_subject(self, match: re.Match[str]) -> str:
        """Return the patient, if the name begins with one."""
        patient = re.match(r"BraTS2021_\d{5}", match["case"])
        return patient.group() if patient else match["case"]


TABLE = mapping_of(mapping_of(list_of(is_text)))
"""Names of files by label by split."""


@LAYOUTS.register("medianomaly_json")
class MedianomalyJson(Layout):
    """RSNA, VinCXR, BrainTumor and LAG of MedIAnomaly: images/ and data.json with the splits."""

    def fits(self, root: Path) -> int:
        """Return the number of images, if there is a table."""
        if not (root / "data.json").is_file() or not (root / "images").is_dir():
            return 0
        return len(list_files(root / "images", IMAGES))

    def entries(self, root: Path) -> Listing:
        """List the images of the table that exist.

        Raises:
            DataError: If the table cannot be read, or no image is found.
        """
        path = root / "data.json"
        try:
            rows = list(_list_rows(read_json(path)))
        except (OSError, ValueError) as error:
            reason = shorten(error)
            raise DataError(f"{path}: expected splits, labels and file names, found {reason}") from error
        images = [(name, split, label, root / "images" / name) for name, split, label in rows]
        entries = [
            Entry(f"{split}-{Path(name).stem}", Path(name).stem, {"image": file}, split=split, label=label)
            for name, split, label, file in sorted(images)
            if is_present_file(file)
        ]
        if not entries:
            raise DataError(f"{root}: expected the images of {path.name} in images/, found none")
        missing_files = [file for *_, file in images if not is_present_file(file)]
        listed_files = {file for *_, file in images}
        unlisted_files = [p for p in list_files(root / "images", IMAGES) if p not in listed_files]
        problems = describe_faults(missing_files, root, f"missing images that {path.name} lists")
        return Listing(
            "medianomaly_json",
            entries,
            problems + describe_faults(unlisted_files, root, "images in no split"),
        )


def _list_rows(table: dict[str, dict[str, list[str]]]) -> Iterator[tuple[str, str, int]]:
    if not TABLE(table):
        raise ValueError("something else")
    for split, labels in table.items():
        for label, names in labels.items():
            for name in names:
                yield name, split, int(label)


@LAYOUTS.register("medianomaly_isic")
class MedianomalyIsic(Layout):
    """ISIC2018 of MedIAnomaly: *_Training_Input and *_Test_Input, normal where the table says NV."""

    def fits(self, root: Path) -> int:
        """Return the number of images in folders of these names."""
        return sum(len(list_files(folder, IMAGES)) for folder in root.glob("ISIC2018_Task3_*_Input"))

    def entries(self, root: Path) -> Listing:
        """List the images of both tables.

        Raises:
            DataError: If there is no table or no image.
        """
        entries, problems = [], []
        for part, split in (("Training", "train"), ("Test", "test")):
            folder = root / f"ISIC2018_Task3_{part}_Input"
            tables = sorted((root / f"ISIC2018_Task3_{part}_GroundTruth").glob("*.csv"))
            if not tables:
                problems.append(f"{root}: expected a table in ISIC2018_Task3_{part}_GroundTruth, found none")
                continue
            rows = _read_labels(tables[0])
            images = [(name, label, folder / f"{name}.jpg") for name, label in sorted(rows)]
            entries += [
                Entry(name, name, {"image": path}, split=split, label=label)
                for name, label, path in images
                if is_present_file(path)
            ]
            missing_files = [path for *_, path in images if not is_present_file(path)]
            problems += describe_faults(missing_files, root, f"missing images that {tables[0].name} lists")
        if not entries:
            raise DataError(f"{root}: expected images and tables of ISIC 2018, found none")
        return Listing("medianomaly_isic", entries, problems)


def _read_labels(path: Path) -> list[tuple[str, int]]:
    try:
        table = csv.DictReader(io.StringIO(read_text(path, encoding="utf-8-sig"), newline=""))
        return [(row["image"], int(float(row["NV"]) != 1)) for row in table]
    except (ValueError, KeyError, TypeError, csv.Error) as error:
        raise DataError(f"{path}: expected a CSV with the columns image and NV, found {error}") from error
