"""UAD-IMAG: whole volumes of many studies, processed alike."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import ClassVar

from diffad.data.items import DataError
from diffad.data.layouts.base import Entry, Listing
from diffad.data.layouts.rules import Rule, RuleLayout, describe_faults, list_files
from diffad.data.layouts.table import read_header
from diffad.io.text import read_text
from diffad.registry import LAYOUTS

PLACE = r"(?:(?P<group>[^/]+)/)?sub-(?P<subject>[A-Za-z0-9]+)/(?:ses-[A-Za-z0-9]+/)?anat/"
CASE = r"(?P<case>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)_"
MASKS = ("seg-anomaly_mask", "seg-lesion_mask")
"""Names of a mask after and before the published processing."""


@LAYOUTS.register("uadimag")
class UadImag(RuleLayout):
    """UAD-IMAG: DATASET/sub-ID/anat/sub-ID_T1w.nii.gz and sub-ID_seg-anomaly_mask.nii.gz; split.csv (Path).

    A scan without a mask counts as healthy there, and in silence; here each is named as a problem, which a
    mask of zeros settles. Only the scans that ``split.csv`` lists are taken, where there is one.
    """

    name = "uadimag"
    lesion_splits = ("*",)
    sequences: ClassVar[dict[str, str]] = {"t1w": "t1", "t2w": "t2", "flair": "flair"}
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(PLACE + CASE + rf"{MASKS[0]}\.nii(\.gz)?", "lesion", split="test"),
        Rule(PLACE + CASE + rf"{MASKS[1]}\.nii(\.gz)?", "lesion", split="test", spare=True),
        Rule(PLACE + CASE + r"(?P<sequence>T1w|T2w|FLAIR)\.nii(\.gz)?", split="test"),
    )

    def name_case(self, match: re.Match[str]) -> str:
        """Return study and case, as studies number their people alike."""
        return "-".join(filter(None, (match["group"], match["case"])))

    def name_subject(self, match: re.Match[str]) -> str:
        """Return study and number."""
        return "-".join(filter(None, (match["group"], match["subject"])))

    def fits(self, root: Path) -> int:
        """Return how many files have these names; 0 without a mask, as BIDS has the same scans."""
        names = [path.name for path in list_files(root, self.suffixes)]
        return super().fits(root) if any(mask in name for mask in MASKS for name in names) else 0

    def entries(self, root: Path) -> Listing:
        """List the scans that ``split.csv`` names, or all where there is none, and what is wrong.

        Raises:
            DataError: If no file fits, or none of those listed is there.
        """
        listing = super().entries(root)
        table = root / "split.csv"
        if not table.is_file():
            return listing
        if read_header(table) != {"path"}:
            problem = (
                f"{table}: expected a table of one column, Path; it is passed over, and all scans are taken"
            )
            return Listing(listing.layout, listing.entries, [*listing.problems, problem])
        return _choose_listed(listing, table)


def _choose_listed(listing: Listing, table: Path) -> Listing:
    rows = csv.DictReader(io.StringIO(read_text(table, encoding="utf-8-sig"), newline=""))
    values = {value.strip() for row in rows for value in row.values() if value and value.strip()}
    found = {entry.name: _list_matches(entry, table.parent, values) for entry in listing.entries}
    entries = [entry for entry in listing.entries if found[entry.name]]
    if not entries:
        raise DataError(f"{table}: expected scans that are there, found none of {len(values)}")
    rest = values - set().union(*found.values())
    lost = [table.parent / Path(value).name for value in sorted(rest)]
    problems = [
        *listing.problems,
        *describe_faults(lost, table.parent, "scans of split.csv that are not there"),
    ]
    return Listing(listing.layout, entries, problems)


def _list_matches(entry: Entry, root: Path, values: set[str]) -> set[str]:
    """Return the listed paths that end as one of the entry's does below the root."""
    ends = tuple(f"/{path.relative_to(root).as_posix()}" for path in entry.images.values())
    return {value for value in values if f"/{value}".endswith(ends)}
