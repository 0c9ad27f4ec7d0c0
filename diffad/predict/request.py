"""Everything the maps of a scan follow from, as it is stored with them and compared on the next run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diffad.dicom.stored import hash_series
from diffad.io.digests import hash_file
from diffad.method import Method
from diffad.predict.options import Options

if TYPE_CHECKING:
    from diffad.prepare import PrepareOptions


def collect_request(
    model: str,
    options: Options,
    method: Method,
    prepare: PrepareOptions | None,
    files: Mapping[str, Any],
) -> dict[str, Any]:
    """Return everything the maps follow from, as JSON gives it back.

    Args:
        model: Hash of the model.
        options: How the scan is looked at.
        method: Parts that are used.
        prepare: How the scan is made ready, or none.
        files: The paths "scan", and "mask" and "region" or none; "dicom" holds the images of a series.
    """
    request = options.to_request() | method.to_dict()
    if prepare:
        request |= {"prepare": asdict(prepare) | {"threads": 0}}
    images = files.get("dicom")
    digests: dict[str, Any] = {
        "scan": [hash_series(images.files)] if images else [hash_file(path) for path in files["scan"]]
    }
    digests["mask"] = _hash(files["mask"])
    digests |= {"region": _hash(files["region"])} if files["region"] else {}
    plain_request: dict[str, Any] = json.loads(json.dumps({"model": model, **request, **digests}))
    return plain_request


def compare_requests(before: Any, request: Mapping[str, Any]) -> list[str]:
    """Return the names of what differs between two requests, the stored one of any form."""
    stored: Mapping[str, Any] = before if isinstance(before, Mapping) else {}
    return [key for key in {**request, **stored} if stored.get(key) != request.get(key)]


def _hash(path: Path | None) -> str | None:
    return hash_file(path) if path else None
