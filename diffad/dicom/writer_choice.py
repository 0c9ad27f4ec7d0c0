"""Which series of a folder a result belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from diffad.dicom.references import find_series, read_source_series
from diffad.dicom.writer import place_result
from diffad.dicom.writer_packages import DicomError
from diffad.dicom.writer_result import read_stored_result
from diffad.io.own_maps import read_scan_info


class SeriesFinder:
    """Finds the series of results; each folder is looked through once.

    Args:
        folder: Folder of DICOM files, any number of series in it; by default what each result names.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._found: dict[Path, dict[str, list[Path]]] = {}

    def find(self, files: Mapping[str, Path], is_only: bool) -> list[Path]:
        """Return the files of the series that a result was made of.

        That is the one that the result names, or else the only one that it fits. A folder of one series and a
        single result are not compared here, as writing objects does that.

        Args:
            files: Files of the result by kind, see ``Naming.files``.
            is_only: Whether there is no other result.

        Raises:
            DicomError: If none is known, or more than one fits.
            ValueError: If the record of the result cannot be read.
        """
        info = read_scan_info(files["info"])
        entry = info.get("dicom")
        record: dict[str, Any] = entry if isinstance(entry, dict) else {}
        folder = self._name_folder(record, files["info"])
        series = self._look_through(folder)
        if uid := record.get("series_uid"):
            if uid not in series:
                raise DicomError(
                    f"{folder}: expected the series that {files['info'].name} names, found others"
                )
            return series[uid]
        if len(series) == 1 and is_only:
            return next(iter(series.values()))
        return _choose_fitting(files, list(series.values()), folder)

    def _name_folder(self, record: Mapping[str, Any], path: Path) -> Path:
        if self.folder is not None:
            return self.folder
        if not isinstance(record.get("folder"), str):
            raise DicomError(
                f"{path}: expected the folder of its series in it, found none; name it by --source"
            )
        return Path(record["folder"])

    def _look_through(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._found:
            if not folder.exists():
                raise DicomError(f"{folder}: expected a folder of DICOM files, found no such folder")
            self._found[folder] = find_series(folder)
        return self._found[folder]


def _choose_fitting(files: Mapping[str, Path], series: Sequence[list[Path]], folder: Path) -> list[Path]:
    """Return the one series that shows the scan of a result, where nothing is in doubt.

    Raises:
        DicomError: If none does, or several do.
    """
    result, matches = read_stored_result(files), []
    for paths in series:
        try:
            doubts = place_result(result, read_source_series(paths))[1]
        except DicomError:
            continue
        if not doubts:
            matches.append(paths)
    if len(matches) != 1:
        count = "none" if not matches else f"{len(matches)} that do"
        raise DicomError(
            f"{folder}: expected one series, of {len(series)}, that shows the scan of "
            f"{files['anomaly'].name}, found {count}"
        )
    return matches[0]
