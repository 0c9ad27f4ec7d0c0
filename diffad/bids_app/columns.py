"""What the columns of the table of a group hold."""

from __future__ import annotations

from typing import Any

VERDICTS = {
    "nothing": "nothing above what healthy scans show",
    "detections": "detections, which no person has judged",
    "unusual": "the scan as a whole is unlike healthy ones, without a detection",
    "not credible": "far more is flagged than lesions could explain",
}
COLUMN_TEXTS: dict[str, dict[str, Any]] = {
    "participant_id": {"Description": "Label of the participant"},
    "session_id": {"Description": "Label of the session"},
    "scan": {"Description": "Name of the scan, by its entities and its suffix"},
    "suffix": {"Description": "Suffix of the scan, which is its contrast"},
    "status": {
        "Description": "Whether there are results",
        "Levels": {"ok": "there are", "failed": "there are none; the column error says why"},
    },
    "verdict": {"Description": "What the result amounts to", "Levels": VERDICTS},
    "detections": {"Description": "Number of connected components of the detections"},
    "volume_ml": {"Description": "Volume of all detections", "Units": "mL"},
    "largest_ml": {"Description": "Volume of the largest detection", "Units": "mL"},
    "largest_place": {"Description": "Where the largest detection lies"},
    "score": {"Description": "Image score: higher is less healthy"},
    "p_value": {"Description": "How surprising the scan were if it was healthy, by whole healthy scans"},
    "threshold": {"Description": "Threshold of the detections, in units of the anomaly map"},
    "domain": {
        "Description": "Whether the scan is like those that the model knows",
        "Levels": {"inside": "it is", "outside": "it is not", "unknown": "the model does not say"},
    },
    "model": {"Description": "Name of the model"},
    "scope": {"Description": "What the model knows"},
    "coverage": {"Description": "How much of the scan was analysed"},
    "flagged_share": {"Description": "How much of that is flagged"},
    "nfe": {"Description": "Network evaluations for each slice"},
    "seconds": {"Description": "Time that it took", "Units": "s"},
    "warnings": {"Description": "What should be known of the result"},
    "error": {"Description": "Why there are no results"},
}
"""By column, in order."""
OWN_COLUMNS = tuple(COLUMN_TEXTS)
