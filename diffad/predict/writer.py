"""The files of one scan: written aside, then moved to their place in one go."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from diffad.inference.output import AnomalyOutput
from diffad.io.naming import REQUIRED_KINDS, RESULT_SUFFIXES, Naming
from diffad.io.scratch import scratch_folder
from diffad.io.spaces import SPACE_SUFFIXES
from diffad.io.terminal import hold_interrupts
from diffad.predict.derivative import describe_scan_files
from diffad.predict.finished import store_files
from diffad.predict.template_space import write_in_template
from diffad.prepare.to_template import TemplateWay


def check_names(naming: Naming, out: Path, in_template: bool = False) -> None:
    """Refuse a scan whose results would have names that the file system of ``out`` cannot hold.

    Args:
        naming: What the files are called.
        out: Folder of all results.
        in_template: Whether there are results in the space of the template, whose names are longer.

    Raises:
        ValueError: If a name is too long.
    """
    limit = os.pathconf(out, "PC_NAME_MAX")
    kinds = [kind for kind in RESULT_SUFFIXES if in_template or kind not in SPACE_SUFFIXES]
    longest = max((naming.path(kind).name for kind in kinds), key=lambda n: len(os.fsencode(n)))
    if (size := len(os.fsencode(longest))) > limit:
        raise ValueError(
            f"{naming.name}: expected results whose names have at most {limit} bytes, found {size}; "
            "give the scan a shorter name"
        )


def write_scan(
    output: AnomalyOutput,
    naming: Naming,
    out: Path,
    page: bool = False,
    preparation: bytes | None = None,
    way: TemplateWay | None = None,
) -> None:
    """Write all files of a scan; what says that they are whole comes last.

    Args:
        output: What was found.
        naming: What the files are called.
        out: Folder of all results.
        page: Also write the web page.
        preparation: Picture of how the scan was made ready, as PNG; none where it was taken as it is.
        way: The way to the template, where results are written there, too.

    Raises:
        OSError: If a file cannot be written; earlier results of the scan are then as they were.
    """
    with scratch_folder(out / naming.name) as folder:
        if preparation is not None:
            (folder / f"{naming.name}{RESULT_SUFFIXES['preparation']}").write_bytes(preparation)
        files = write_in_template(output, way, naming, out, folder) if way else {}
        files |= _write_files(output, naming, out, folder, page)
        store_files(output.info, files["info"], files)
        publish_results(files, naming.files(out), naming.former_files(out))


def _write_files(
    output: AnomalyOutput, naming: Naming, out: Path, folder: Path, page: bool
) -> dict[str, Path]:
    from diffad.inference.lesions import write_lesions
    from diffad.report.montage import save_report

    name, lesions = naming.name, output.lesions()
    output.save(folder, name)
    write_lesions(lesions, folder, name)
    save_report(output, folder / f"{name}{RESULT_SUFFIXES['report']}")
    if page:
        _write_scan_page(output, lesions, naming, folder / f"{name}{RESULT_SUFFIXES['page']}")
    paths = {kind: folder / f"{name}{end}" for kind, end in RESULT_SUFFIXES.items()}
    if naming.bids:
        paths |= describe_scan_files(output, lesions, naming, out, folder)
    return {kind: path for kind, path in paths.items() if path.is_file()}


def _write_scan_page(output: AnomalyOutput, lesions: Any, naming: Naming, path: Path) -> None:
    from diffad.report.viewer import write_page

    up = "../" * len(naming.folder.parts)
    names = {
        kind: path.with_name(f"{naming.name}{RESULT_SUFFIXES[kind]}") for kind in ("report", "preparation")
    }
    pictures = {kind: file.read_bytes() for kind, file in names.items() if file.is_file()}
    write_page(
        output,
        path,
        lesions,
        title=naming.name,
        links={"All scans": f"{up}index.html"},
        picture=pictures.get("report"),
        preparation=pictures.get("preparation"),
    )


def publish_results(
    files: dict[str, Path], places: dict[str, Path], former_places: dict[str, Path] | None = None
) -> None:
    """Move files to their places, those of other options gone first, in one go that Ctrl-C cannot part.

    Args:
        files: What was written, by kind.
        places: Where each kind goes.
        former_places: Where former versions put some kinds, which are gone afterwards.

    Raises:
        FileNotFoundError: If a kind is missing without which a scan is not finished.
    """
    if gaps := [kind for kind in REQUIRED_KINDS if not (kind in files and files[kind].is_file())]:
        raise FileNotFoundError(errno.ENOENT, f"{', '.join(gaps)} vanished before they were in place")
    places["info"].parent.mkdir(parents=True, exist_ok=True)
    with hold_interrupts():
        places["info"].unlink(missing_ok=True)
        for kind, place in places.items():
            if kind in files:
                files[kind].replace(place)
            else:
                place.unlink(missing_ok=True)
        for place in (former_places or {}).values():
            place.unlink(missing_ok=True)


def add_in_template(output: AnomalyOutput, naming: Naming, out: Path, way: TemplateWay | None) -> None:
    """Write the results in the template of a scan that is finished on its own grid, and what is stored of it.

    Args:
        output: Its result, as it lies there, with what is known of the template in ``info``.
        naming: What the files are called.
        out: Folder of all results.
        way: The way to the template; none of a scan that cannot be brought there.

    Raises:
        OSError: If a file cannot be written.
    """
    places, files = naming.files(out), dict[str, Path]()
    with scratch_folder(out / naming.name) as folder:
        written_files = write_in_template(output, way, naming, out, folder) if way else {}
        with hold_interrupts():
            for kind, path in written_files.items():
                files[kind] = path.replace(places[kind])
            store_files(output.info, places["info"], files)
    if places["page"].is_file() and (way is None or way.warnings):
        write_lesions_and_page(output, naming, out)  # which shows the new warnings


def write_lesions_and_page(output: AnomalyOutput, naming: Naming, out: Path) -> None:
    """Make the lesion tables and the page of a finished scan anew, and give former names their new form.

    Raises:
        OSError: If a file cannot be written.
    """
    from diffad.inference.lesions import write_lesions
    from diffad.report.viewer import write_page

    places, lesions = naming.files(out), output.lesions()
    for kind, path in naming.former_files(out).items():
        if path.is_file() and not places[kind].exists():
            path.replace(places[kind])
    with scratch_folder(out / naming.name) as folder:
        files = {f"lesions_{k}": path for k, path in write_lesions(lesions, folder, naming.name).items()}
        if naming.bids:
            files |= describe_scan_files(output, lesions, naming, out, folder)
        for kind, path in files.items():
            path.replace(places[kind])
    drawn_kinds = [kind for kind in ("report", "preparation") if places[kind].is_file()]
    pictures = {kind: places[kind].read_bytes() for kind in drawn_kinds}
    up = "../" * len(naming.folder.parts)
    links = {"All scans": f"{up}index.html"}
    write_page(
        output,
        places["page"],
        lesions,
        title=naming.name,
        links=links,
        picture=pictures.get("report"),
        preparation=pictures.get("preparation"),
    )
    if output.info.get("files"):
        store_files(output.info, places["info"], {kind: places[kind] for kind in ("page", *files)})
