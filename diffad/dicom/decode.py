"""Images whose compression dcm2niix does not know, decoded by pydicom and its plug-ins."""

from __future__ import annotations

from pathlib import Path

from diffad.data.volume_error import VolumeError
from diffad.io.extras import import_extra

CONVERTER_SYNTAXES = {
    "",
    "1.2.840.10008.1.2",
    "1.2.840.10008.1.2.1",
    "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.4.57",
    "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.5",
}
"""Transfer syntaxes that dcm2niix reads without loss: plain ones, JPEG lossless, JPEG-LS, JPEG 2000, RLE."""


def copy_decoded(path: Path, target: Path, label: str) -> None:
    """Write an image again without compression.

    Args:
        path: The image.
        target: Where the copy goes.
        label: What messages call the scan.

    Raises:
        VolumeError: If its compression is not known.
        ImportError: If pydicom is missing.
    """
    pydicom = import_extra("pydicom", "dicom")
    try:
        item = pydicom.dcmread(path)
        if item.file_meta.TransferSyntaxUID.is_encapsulated:
            item.decompress()
        item.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        item.save_as(target, enforce_file_format=True)
    except Exception as error:  # decoders raise a dozen unrelated types
        syntax = _name_syntax(path)
        raise VolumeError(
            f"{label}: expected images that can be decoded, found {syntax} ({type(error).__name__}); "
            "export them without compression"
        ) from error


def _name_syntax(path: Path) -> str:
    pydicom = import_extra("pydicom", "dicom")
    try:
        return str(pydicom.dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID.name)
    except Exception:  # a damaged file has no syntax that could be named
        return "an unknown compression"
