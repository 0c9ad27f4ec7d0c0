"""Whether a data set is one, by the BIDS validator, where that is installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diffad.io.terminal import say
from diffad.io.wording import shorten

VALIDATOR = "bids-validator-deno"
ABSENT_NOTE = (
    "note: the data set was not validated, as there is no bids-validator-deno; "
    'pip install "diffad[bids]" brings it'
)
MOST_ERRORS = 5
"""How many errors of a data set are named."""


def find_validator() -> str | None:
    """Return where the validator is, beside this Python or on the path; none if it is not installed."""
    program = Path(sys.executable).with_name(VALIDATOR)
    return str(program) if program.is_file() else shutil.which(VALIDATOR)


def validate_dataset(root: Path, participants: Sequence[str], work: Path | None = None) -> None:
    """Refuse a data set that the BIDS validator finds errors in; without the validator, say so.

    Nothing is downloaded: the schema comes with the validator. Errors in folders of other participants do
    not count.

    Args:
        root: The data set.
        participants: Labels of the participants that are looked at.
        work: Folder for what the validator keeps; none for a place in the home of the user.

    Raises:
        ValueError: With the first errors.
    """
    if (validator := find_validator()) is None:
        say(ABSENT_NOTE)
        return
    issues = list_errors(root, validator, work)
    own_issues = [issue for issue in issues or () if _concerns(issue, participants)]
    if own_issues:
        texts = list(dict.fromkeys(map(_format_issue, own_issues)))
        rest = f" and {len(texts) - MOST_ERRORS} more" if len(texts) > MOST_ERRORS else ""
        raise ValueError(
            f"{root}: expected a valid BIDS data set, found {'; '.join(texts[:MOST_ERRORS])}{rest} "
            f"({VALIDATOR} {root} says all); --skip-bids-validation goes on without"
        )


def list_errors(root: Path, validator: str, work: Path | None = None) -> list[dict[str, Any]] | None:
    """Run the validator; return the errors it finds, or none if it fails itself, which is said."""
    command = [validator, str(root), "--format", "json", "--ignoreWarnings"]
    variables = {**os.environ, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"}
    variables |= {"DENO_DIR": str(work / "deno")} if work else {}
    try:
        process = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", check=False, env=variables
        )
        issues = json.loads(process.stdout)["issues"]["issues"]
        return [issue for issue in issues if issue["severity"] == "error"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = process.stderr.strip().splitlines()[-1:] if isinstance(error, ValueError) else []
        text = shorten(reason[0] if reason else f"{type(error).__name__}: {error}")
        say(f"warning: the data set was not validated, as {VALIDATOR} failed: {text}")
        return None


def _concerns(issue: dict[str, Any], participants: Sequence[str]) -> bool:
    """Tell whether an error lies in no folder of a participant, or in one of these."""
    first = str(issue.get("location") or "/").split("/")[1:2]
    label = first[0].removeprefix("sub-") if first and first[0].startswith("sub-") else None
    return label is None or label in participants


def _format_issue(issue: dict[str, Any]) -> str:
    code = " ".join(str(issue[key]) for key in ("code", "subCode") if issue.get(key))
    return f"{code} in {issue['location']}" if issue.get("location") else code
