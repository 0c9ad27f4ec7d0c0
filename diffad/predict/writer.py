"""The files of one scan: written aside, then moved to their place in one go."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from diffad.inference.output import AnomalyOutput
from diffad.io.atomic import scratch_folder
from diffad.io.naming import RESULT_SUFFIXES, Naming
from diffad.io.terminal import hold_interrupts


def write_scan(output: AnomalyOutput, naming: Naming, out: Path, page: bool = False) -> None:
    """Write all files of a scan; what says that they are whole comes last.

    Args:
        output: What was found.
        naming: What the files are called.
        out: Folder of all results.
        page: Also write the web page.

    Raises:
        OSError: If a file cannot be written; earlier results of the scan are then as they were.
    """
    with scratch_folder(out / naming.name) as folder:
        files = _write_files(output, naming, folder, page)
        publish_results(files, naming.files(out))


def _write_files(output: AnomalyOutput, naming: Naming, folder: Path, page: bool) -> dict[str, Path]:
    from diffad.inference.lesions import write_lesions
    from diffad.report.montage import save_report

    name, lesions = naming.name, output.lesions()
    output.save(folder, name)
    write_lesions(lesions, folder, name)
    save_report(output, folder / f"{name}{RESULT_SUFFIXES['report']}")
    if page:
        _write_scan_page(output, lesions, naming, folder / f"{name}{RESULT_SUFFIXES['page']}")
    paths = {kind: folder / f"{name}{end}" for kind, end in RESULT_SUFFIXES.items()}
    return {kind: path for kind, path in paths.items() if path.is_file()}


def _write_scan_page(output: AnomalyOutput, lesions: Any, naming: Naming, path: Path) -> None:
    from diffad.report.viewer import write_page

    up = "../" * len(naming.folder.parts)
    picture = path.with_name(f"{naming.name}{RESULT_SUFFIXES['report']}").read_bytes()
    write_page(
        output, path, lesions, title=naming.name, links={"All scans": f"{up}index.html"}, picture=picture
    )


def publish_results(files: dict[str, Path], places: dict[str, Path]) -> None:
    """Move files to their places, those of other options gone first, in one go that Ctrl-C cannot part."""
    places["info"].parent.mkdir(parents=True, exist_ok=True)
    with hold_interrupts():
        places["info"].unlink(missing_ok=True)
        for kind, place in places.items():
            if kind in files:
                files[kind].replace(place)
            else:
                place.unlink(missing_ok=True)


def write_lesions_and_page(output: AnomalyOutput, naming: Naming, out: Path) -> None:
    """Make the lesion tables and the page of a finished scan anew.

    Raises:
        OSError: If a file cannot be written.
    """
    from diffad.inference.lesions import write_lesions
    from diffad.report.viewer import write_page

    places, lesions = naming.files(out), output.lesions()
    with scratch_folder(out / naming.name) as folder:
        for kind, path in write_lesions(lesions, folder, naming.name).items():
            path.replace(places[f"lesions_{kind}"])
    picture = places["report"].read_bytes() if places["report"].is_file() else None
    up = "../" * len(naming.folder.parts)
    links = {"All scans": f"{up}index.html"}
    write_page(output, places["page"], lesions, title=naming.name, links=links, picture=picture)
