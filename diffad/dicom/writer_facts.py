"""What all objects of a result have in common: who made them, of what, when, and their UIDs."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from diffad.dicom.references import SourceSeries
from diffad.dicom.writer_result import KINDS
from diffad.io.digests import hash_file
from diffad.io.version import __version__

MAKER, SERIAL = "diffad", "none"
NOTICE = "not for diagnosis"
NUMBERS = {"detections": 1, "anomaly": 2, "report": 3}
"""Kinds of objects, with the last digit of their series' number."""


@dataclass(frozen=True)
class ObjectFacts:
    """Facts of all objects of a result; the same files give the same, so that objects come out alike.

    Args:
        series: The series that they refer to.
        digest: Of all that they are made of.
        date: When the result was made.
    """

    series: SourceSeries
    digest: str
    date: datetime

    @classmethod
    def of(cls, series: SourceSeries, files: Mapping[str, Path]) -> ObjectFacts:
        """Collect the facts of a result's files, by kind, and a series."""
        date = datetime.fromtimestamp(int(files["info"].stat().st_mtime))
        texts = [__version__, date.isoformat(), series.uid, *(str(h.SOPInstanceUID) for h in series.headers)]
        texts += [hash_file(files[kind]) for kind in KINDS]
        return cls(series, hashlib.sha256("\n".join(texts).encode()).hexdigest(), date)

    def derive_uid(self, *words: str) -> str:
        """Return a UID that follows from the digest and some words: 2.25 and a name-based UUID."""
        return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, '/'.join((self.digest, *words))).int}"

    def describe_object(self, kind: str) -> dict[str, Any]:
        """Return what the constructors of highdicom ask of every object of a kind."""
        number = int(self.series.headers[0].get("SeriesNumber") or 0)
        return {
            "series_instance_uid": self.derive_uid(kind, "series"),
            "sop_instance_uid": self.derive_uid(kind, "instance"),
            "series_number": max(number, 0) % 10**7 * 100 + NUMBERS[kind],
            "instance_number": 1,
            "manufacturer": MAKER,
            "manufacturer_model_name": MAKER,
            "software_versions": __version__,
            "device_serial_number": SERIAL,
            "series_description": f"diffad {kind}: {NOTICE}",
            "content_date": self.date.date(),
            "content_time": self.date.time(),
            "series_date": self.date.date(),
            "series_time": self.date.time(),
            "specific_character_set": "ISO_IR 192",
        }

    def settle(self, item: Any, kind: str) -> Any:
        """Replace what highdicom takes from the clock and from chance, and return the object."""
        date, time = self.date.strftime("%Y%m%d"), self.date.strftime("%H%M%S")
        item.InstanceCreationDate, item.InstanceCreationTime = date, time
        item.ContentDate, item.ContentTime = date, time
        for part in item.get("ContributingEquipmentSequence") or ():
            if "ContributionDateTime" in part:
                part.ContributionDateTime = date + time
        if "DimensionOrganizationSequence" in item:
            uid = self.derive_uid(kind, "dimensions")
            for part in (*item.DimensionOrganizationSequence, *item.DimensionIndexSequence):
                part.DimensionOrganizationUID = uid
        return item
