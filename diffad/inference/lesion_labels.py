"""The detections of a scan as BIDS has segmentations: a volume of numbers, and a table that names them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from diffad.data.detections import label_detections
from diffad.data.volume import Array, Volume
from diffad.inference.lesions import Lesion, get_file_matrix, tabulate_lesions
from diffad.io.escape import format_csv

NO_VALUE = "n/a"
"""What an empty cell of a BIDS table holds."""
COLUMN_TEXTS = {
    "name": "Name of the detection; no person has judged whether it is a lesion",
    "volume_ml": "Volume",
    "voxels": "Number of voxels",
    "centre_x_mm": "Centre of mass, to the right in world coordinates",
    "centre_y_mm": "Centre of mass, to the front in world coordinates",
    "centre_z_mm": "Centre of mass, upwards in world coordinates",
    **{f"centre_{axis}": f"Centre of mass along axis {axis} of the file, in voxels from 0" for axis in "ijk"},
    **{f"extent_{axis}_mm": f"Edge of the box around it along axis {axis} of the file" for axis in "ijk"},
    "mean": "Mean of the anomaly map in it",
    "peak": "Highest value of the anomaly map in it",
    **{f"peak_{axis}": f"Where that is along axis {axis} of the file, in voxels from 0" for axis in "ijk"},
    "p_value": "Smallest voxel-wise p-value in it, not corrected for the number of voxels",
    "place": "Where it lies, by the votes of its voxels",
    "side": "Side of the person: left, right, both or midline",
    "structure": "Lobes or structures it lies in",
    "tissue": "Tissues it lies in",
    "zone": "Zones of the criteria of multiple sclerosis it lies in",
    "place_source": "How its place is known: a registration, or the shape of the brain",
}
"""What the columns hold but ``index``, which BIDS defines."""
UNITS = {"ml": "mL", "mm": "mm"}
"""Units by the last word of a column."""


def paint_numbers(lesions: Sequence[Lesion], mask: Array, volume: Volume) -> Array:
    """Paint every detection with its number.

    Args:
        lesions: What ``find_lesions`` found in the mask.
        mask: Detections, (I, J, K), bool.
        volume: The scan, for its geometry.

    Returns:
        Numbers of the detections and 0 elsewhere, (I, J, K), int32.
    """
    labels = label_detections(mask)
    from_file, numbers = np.linalg.inv(get_file_matrix(volume)), np.zeros(labels.max() + 1, dtype=np.int32)
    for lesion in lesions:
        peak = from_file[:3, :3] @ np.array(lesion.peak_voxel) + from_file[:3, 3]
        numbers[labels[tuple(peak.round().astype(int))]] = lesion.number
    numbers[0] = 0
    return numbers[labels]


def format_lookup_table(lesions: Sequence[Lesion]) -> str:
    """Format the table of the numbers, as BIDS has it: ``index`` and ``name`` first, ``n/a`` if not known."""
    columns, rows = tabulate_lesions(lesions)
    columns = ["index", "name", *(column for column in columns if column != "number")]
    entries = [{"index": row["number"], "name": f"detection {row['number']}"} | row for row in rows]
    filled_rows = [{c: NO_VALUE if row[c] in (None, "") else row[c] for c in columns} for row in entries]
    return format_csv(columns, filled_rows, delimiter="\t")


def describe_columns() -> dict[str, dict[str, str]]:
    """Return what the columns hold, as the sidecar of the table says it."""
    ends = {name: UNITS.get(name.rpartition("_")[2]) for name in COLUMN_TEXTS}
    units = {name: {"Units": unit} for name, unit in ends.items() if unit}
    return {name: {"Description": text} | units.get(name, {}) for name, text in COLUMN_TEXTS.items()}
