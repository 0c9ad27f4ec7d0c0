"""One series to one NIfTI file, by dcm2niix, in a scratch folder."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import gettempdir

from diffad.data.volume_error import VolumeError
from diffad.dicom.decode import CONVERTER_SYNTAXES, copy_decoded
from diffad.dicom.header import read_image_header
from diffad.dicom.packages import find_converter
from diffad.dicom.places import FramePlace
from diffad.dicom.tilt import write_upright
from diffad.io.dicom_files import DicomSource
from diffad.io.scratch import scratch_folder

TIMEOUT_SECONDS = 600.0
"""How long the conversion of one series may take."""
ARGUMENTS = (
    "-g",
    "i",
    "-b",
    "n",
    "-z",
    "n",
    "-c",
    "",
    "-f",
    "scan",
    "-i",
    "n",
    "-x",
    "i",
    "-l",
    "o",
    "-d",
    "0",
)
"""No defaults of the user's, no sidecar, no comment of the header, no crop, values as they are."""
KNOWN_WARNINGS = (
    ("varying", "values were scaled from slice to slice in the images"),
    ("rgb", "the images have colours"),
)
"""Words in what dcm2niix says, and what is said of them; its own sentences may hold names."""


@contextmanager
def convert_series(
    source: DicomSource, tilted_places: list[FramePlace] | None
) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """Lend a NIfTI file of a series, which is gone afterwards, and what should be known of it.

    dcm2niix sees links to these files alone, by neutral names.

    Args:
        source: Which images.
        tilted_places: Where slices of a tilted gantry lie, which are straightened here; or none.

    Raises:
        VolumeError: If it cannot be converted, or comes out as no single volume.
        ImportError: If a package of the extra ``dicom`` is missing.
    """
    converter = find_converter()
    with scratch_folder(Path(gettempdir()) / f"diffad-dicom-{os.getuid()}") as folder:
        folder.chmod(0o700)
        if tilted_places is not None:
            write_upright(source, tilted_places, folder / "scan.nii")
            yield folder / "scan.nii", ()
            return
        images, out = folder / "images", folder / "out"
        images.mkdir()
        out.mkdir()
        _lend_files(source, images)
        text = _run([str(converter), *ARGUMENTS, "-o", str(out), str(images)], source)
        path = _take_file(sorted(out.glob("*.nii")), source, text)
        yield path, _read_warnings(text)


def _lend_files(source: DicomSource, folder: Path) -> None:
    """Link the images of a series into a folder, or decode them where dcm2niix cannot."""
    for index, path in enumerate(source.files):
        header = read_image_header(path)
        if header is None:
            raise VolumeError(f"{source.label}: expected images that can be read, found a damaged file")
        target = folder / f"{index:05d}.dcm"
        if header.syntax in CONVERTER_SYNTAXES:
            target.symlink_to(os.path.abspath(path))  # noqa: PTH100 (resolve would follow links of git-annex)
        else:
            copy_decoded(path, target, source.label)


def _run(command: Sequence[str], source: DicomSource) -> str:
    """Run dcm2niix and return what it says, which is never shown: it may name the patient."""
    try:
        process = subprocess.run(
            command,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired as error:
        wait = f"none within {TIMEOUT_SECONDS:.0f} s"
        raise VolumeError(f"{source.label}: expected dcm2niix to convert the series, found {wait}") from error
    text = process.stdout + process.stderr
    if process.returncode:
        finding = f"exit code {process.returncode}{_explain(text)}"
        raise VolumeError(f"{source.label}: expected dcm2niix to convert the series, found {finding}")
    return text


def _explain(text: str) -> str:
    """Say why a conversion failed, in words of ours."""
    causes = (("decod", "images that cannot be decoded"), ("unable to", "a file that it cannot read"))
    finding = [sentence for word, sentence in causes if word in text.lower()]
    return f" ({finding[0]})" if finding else ""


def _take_file(paths: Sequence[Path], source: DicomSource, text: str) -> Path:
    """Return the one file that stands for the series."""
    if len(paths) != 1:
        finding = f"{len(paths)} volumes{_explain(text)}"
        raise VolumeError(f"{source.label}: expected one volume of series {source.number}, found {finding}")
    return paths[0]


def _read_warnings(text: str) -> tuple[str, ...]:
    lines = [line.lower() for line in text.splitlines() if line.lower().startswith("warning")]
    return tuple(note for word, note in KNOWN_WARNINGS if any(word in line for line in lines))
