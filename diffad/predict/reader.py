"""The first stage of a cohort: whether a scan is to be done, and what is read of it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.inference.choice import ModelChoice
from diffad.io.spaces import TEMPLATE_SPACE
from diffad.io.subjects import Subject, find_subject_mask
from diffad.io.terminal import format_error, say
from diffad.predict.claims import ScanClaims
from diffad.predict.finished import inspect_results
from diffad.predict.load import LoadedScan, load_scan
from diffad.predict.options import Options
from diffad.predict.outcome import PendingScan, ScanOutcome
from diffad.predict.request import collect_request, compare_requests
from diffad.predict.results import ResultRow
from diffad.predict.shelf import ModelShelf
from diffad.predict.template_space import lacks_template, place_in_template, read_finished_output
from diffad.predict.writer import check_names

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions


@dataclass(frozen=True)
class ScanReader:
    """Claims scans, passes over what is done, and reads the rest.

    Args:
        out: Folder of the results.
        shelf: The model of each scan.
        options: How scans are looked at.
        mask: Brain mask of all scans, or the end of the masks' names, or none.
        region: Where reconstructions may differ, alike.
        prepare: How scans are made ready first, or none.
        overwrite: Redo what is there.
        verify: Compare the content of finished files, not only their size.
        claims: Scans that this program is at work on.
        writing: Context in which a file of ``out`` is written.
        in_template: Whether results are written in the space of the template, too.
        keep_prepared: Folder in which prepared scans are kept, or none.
    """

    out: Path
    shelf: ModelShelf
    options: Options
    mask: str | Path | None
    region: str | Path | None
    prepare: PrepareOptions | None
    overwrite: bool
    verify: bool
    claims: ScanClaims
    writing: Callable[[str], AbstractContextManager[None]]
    in_template: bool = False
    keep_prepared: Path | None = None

    def read(self, subject: Subject) -> PendingScan | ScanOutcome:
        """Claim a scan and read it; one that is done, or that another program has, is not read.

        Raises:
            ValueError: If a file cannot be used; it is named.
            WriteError: If it cannot be claimed.
        """
        check_names(subject.naming, self.out, self.in_template)
        if subject.missing:
            present = ", ".join(p.name for p in subject.paths) or "no scan"
            raise ValueError(
                f"expected every sequence, found {present} but none for {', '.join(subject.missing)}"
            )
        with self.writing("a lock file"):
            if not self.claims.acquire(subject.naming):
                return ScanOutcome(None, "busy")
        mask = find_subject_mask(subject, self.mask)
        region = find_subject_mask(subject, self.region, "region")
        files = {"scan": subject.paths, "dicom": subject.dicom, "mask": mask, "region": region}
        info = self._find_finished(subject)
        choice = self.shelf.recall(info)
        if info is not None and choice is not None:
            return self._compare(subject, info, self._describe_request(choice, files))
        return self._read_scan(files, choice, info, subject)

    def _read_scan(
        self, files: dict[str, Any], choice: ModelChoice | None, info: dict[str, Any] | None, subject: Subject
    ) -> PendingScan | ScanOutcome:
        """Read a scan, choose its model if need be, and compare results that are there with its choice."""
        is_region, reading = files["region"] is not None, self.options.reading
        request = self._describe_request(choice, files) if choice else None
        source = files["dicom"] or files["scan"]
        scan = load_scan(source, files["mask"], self.prepare, is_region, reading=reading)
        self._keep(scan, subject, files)
        choice = choice or self.shelf.choose(scan)
        request = request or self._describe_request(choice, files)
        if info is not None:
            return self._compare(subject, info, request)
        return PendingScan(request, files["region"], scan, choice)

    def _keep(self, scan: LoadedScan, subject: Subject, files: dict[str, Any]) -> None:
        """Keep a prepared scan where that was asked for; one that is there stays."""
        if self.keep_prepared is None or scan.preparation is None or self.prepare is None:
            return
        from diffad.prepare.files import describe_request, write_prepared

        request = describe_request([*files["scan"]], files["mask"], self.prepare, self.options.reading)
        try:
            write_prepared(scan.preparation, self.keep_prepared, subject.name, request)
        except FileExistsError as error:
            say(f"note: {subject.name}: the prepared scan is not kept again: {error}")

    def _describe_request(self, choice: ModelChoice, files: dict[str, Any]) -> dict[str, Any]:
        model = self.shelf.take(choice)
        return collect_request(model.digest, self.options, model.method, self.prepare, files)

    def _find_finished(self, subject: Subject) -> dict[str, Any] | None:
        """Return what is stored of a scan that was done before; none if it is to be done now."""
        if self.overwrite:
            return None
        scan = inspect_results(subject.naming.find_files(self.out), self.verify)
        if scan.damage:
            say(f"redoing {subject.name}: {scan.damage}")
        return None if scan.damage else scan.info

    def _compare(self, subject: Subject, info: dict[str, Any], request: dict[str, Any]) -> ScanOutcome:
        """Return the outcome of a scan that was done before, with these options or others."""
        differences = compare_requests(info.get("request"), request)
        if differences:
            say(f"kept {subject.name}: made with other {', '.join(differences)}; --overwrite makes it anew")
        elif self.in_template and lacks_template(info):
            return self._add_template_maps(subject, info)
        return ScanOutcome(ResultRow.from_info(subject.name, info), "other" if differences else "skipped")

    def _add_template_maps(self, subject: Subject, info: dict[str, Any]) -> ScanOutcome:
        """Bring finished results to the template, as they lie there; these stay, whatever happens."""
        try:
            output = read_finished_output(subject.naming.find_files(self.out))
            way = place_in_template(output, subject.name)
        except (ValueError, OSError) as error:
            say(f"warning: {subject.name}: not brought to {TEMPLATE_SPACE}: {format_error(error)}")
            return ScanOutcome(ResultRow.from_info(subject.name, info), "skipped")
        return ScanOutcome(ResultRow.from_info(subject.name, output.info), "skipped", output, way=way)
