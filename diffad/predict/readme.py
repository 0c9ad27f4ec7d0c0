"""The text that a derivative carries: what its files are, and how to write of them."""

from __future__ import annotations

from diffad.io.version import __version__

TEXT = """# Anomaly maps of diffad

Made by diffad {version}. Research use only: nothing here has been validated on patients,
and no person has judged the detections.

| file | what it is |
|---|---|
| `*_desc-anomaly_<suffix>.nii.gz` | anomaly map: higher is less healthy; its sidecar says what made it |
| `*_desc-twin_<suffix>.nii.gz` | pseudo-healthy reconstruction, in the intensities of the scan |
| `*_desc-std_<suffix>.nii.gz` | spread of several reconstructions, where there were several |
| `*_desc-pvalue_<suffix>.nii.gz` | voxel-wise p-values, of a calibrated model |
| `*_desc-anomaly<Suffix>_mask.nii.gz` | detections above the threshold |
| `*_desc-anomaly<Suffix>_dseg.nii.gz`, `.tsv` | the same, numbered, and a row for each |
| `*_desc-seen<Suffix>_mask.nii.gz` | part of the brain that was analysed |
| `*_desc-unseen<Suffix>_mask.nii.gz` | the rest, where there is some |
| `*_desc-report_<suffix>.html`, `.png` | the page of the scan, and its picture |
| `group.tsv` | a row for each scan, with the columns of the participants |
| `results.csv`, `index.html` | the table by which a run goes on, and the pages of all scans |

All volumes lie on the grid of their scan: `SpatialReference` in the sidecar is the scan itself.
Pages, pictures and tables over all scans have no names in BIDS and are listed in `.bidsignore`.

## Methods, as you may quote them

> Scans were analysed with diffad {version}. A diffusion model of healthy brains rebuilt each scan
> as a pseudo-healthy one, and the difference between both was taken as the anomaly map.
> Detections are voxels above a threshold. The model, its calibration, the settings and the
> versions of all software are in the sidecar of each anomaly map.

Cite diffad, the paper of the method (the sidecar names the parts under `config`), and the data
that the model was trained on (see its card: `diffad models path NAME`).
"""


def format_readme() -> str:
    """Return the text, with the version that writes it."""
    return TEXT.format(version=__version__)
