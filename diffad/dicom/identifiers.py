"""What identifies a patient, kept out of everything that is shown or written."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

KEYWORDS = (
    "PatientName",
    "PatientID",
    "OtherPatientIDs",
    "OtherPatientNames",
    "PatientBirthDate",
    "PatientBirthName",
    "PatientAddress",
    "PatientTelephoneNumbers",
    "AccessionNumber",
    "InstitutionName",
    "InstitutionAddress",
    "ReferringPhysicianName",
    "PerformingPhysicianName",
    "OperatorsName",
)
"""Attributes that tell who was scanned, where and for whom."""
SUBSTITUTE = "hidden"
"""What stands for a word that identifies someone."""
MIN_LETTERS = 3
"""Shorter words, such as initials or a number of two digits, are found in every name."""
COMMON_WORDS = frozenset(
    {"anon", "anonymous", "anonymized", "anonymised", "patient", "name", "unknown", "none"}
)
DOMAIN_WORDS = frozenset({"brain", "head", "scan", "test", "phantom", "dicom", "study", "the", "hospital"})


def read_identifiers(item: Any) -> frozenset[str]:
    """Return the words of one image's header that identify the patient, in lower case.

    Args:
        item: A data set of pydicom.
    """
    words: set[str] = set()
    for keyword in KEYWORDS:
        text = str(item.get(keyword, "") or "").lower()
        parts = re.split(r"[\^=\\\s,;\[\]']+", text) if "Name" in keyword or "Other" in keyword else [text]
        words |= {part.strip() for part in (*parts, _squeeze(text))}
    return frozenset(w for w in words if len(w) >= MIN_LETTERS and w not in COMMON_WORDS | DOMAIN_WORDS)


def names_someone(text: str, words: Iterable[str]) -> bool:
    """Tell whether a text holds a word that identifies someone, whatever separates its letters."""
    lower_text = text.lower()
    tokens = set(re.split(r"[^0-9a-z\u00c0-\uffff]+", lower_text))
    squeezed_text = _squeeze(lower_text)
    return any(_holds(word, lower_text, tokens, squeezed_text) for word in words)


def _holds(word: str, text: str, tokens: set[str], squeezed_text: str) -> bool:
    """Find a word; a short one only on its own, as "ann" is in "scanner"."""
    if len(word) <= MIN_LETTERS + 1:
        return word in tokens
    return word in text or (len(_squeeze(word)) > MIN_LETTERS + 1 and _squeeze(word) in squeezed_text)


def hide_identifiers(path: Path | str, words: Iterable[str]) -> str:
    """Return a path whose parts that identify someone are hidden."""
    known_words = tuple(words)
    parts = Path(path).parts
    return str(Path(*(SUBSTITUTE if names_someone(part, known_words) else part for part in parts)))


def hide_text(text: str, words: Iterable[str]) -> str:
    """Return a text of a header, or that it is hidden where it identifies someone."""
    return SUBSTITUTE if names_someone(text, tuple(words)) else text


def _squeeze(text: str) -> str:
    return re.sub(r"[^0-9a-z\u00c0-\uffff]+", "", text)
