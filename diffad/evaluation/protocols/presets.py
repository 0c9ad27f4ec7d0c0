"""The protocols of the benchmarks, and our own: a row of choices each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from diffad.evaluation.protocols.protocol import Protocol
from diffad.registry import PROTOCOLS

PRESETS: dict[str, dict[str, Any]] = {
    # the default: nothing looks at the truth of the scans it scores
    "diffad": {
        "summary": "Own resolution, inside the brain, threshold from healthy scans of other subjects.",
        "source": "diffad",
        "pool": "topk",
        "share": 0.01,
        "threshold": "healthy",
        "tuned_on": "tuning",
        "fpr": 0.01,
        "dice_aggregate": "subject",
        "dice_of": "anomalous",
    },
    # the tables of `diffad evaluate`: what was detected when the maps were made
    "stored": {
        "summary": "Own resolution, inside the brain, detections and image scores as stored with the maps.",
        "source": "diffad",
        "pool": "model",
        "threshold": "stored",
        "dice_of": "anomalous",
        "regions": False,
        "intervals": False,
    },
    # that of docs/methods/comparison.md
    "lesioned": {
        "summary": "Pixels inside the brain of images with lesions pooled, exact best Dice.",
        "source": "diffad",
        "pixel_samples": "anomalous",
        "dice_of": "anomalous",
        "regions": False,
    },
    # its denoising autoencoder took size (128, 128)
    "medianomaly": {
        "summary": "All pixels of all images pooled, mean score, best Dice of 200 order statistics.",
        "source": "MedIAnomaly: a comparative study of anomaly detection in medical images "
        "(Cai et al., 2025)",
        "size": (64, 64),
        "slices": True,
        "where": "all",
        "pool_where": "all",
        "threshold": "order",
        "dice_aggregate": "image",
    },
    # the published AUPRO is biased upwards by the library it was made with; here it is exact
    "bmad": {
        "summary": "All pixels pooled at 224 pixels, highest score, AUPRO to 0.3 (higher as published).",
        "source": "BMAD: benchmarks for medical anomaly detection (Bao et al., CVPRW 2024)",
        "size": (224, 224),
        "slices": True,
        "where": "all",
        "pool": "max",
        "pool_where": "all",
        "comparison": ">=",
        "threshold": "f1",
        "dice_aggregate": "image",
    },
    # that of cDDPM and its kin, too
    "pddpm": {
        "summary": "Mean over volumes, eroded brain, 3-D median, threshold tuned on validation scans.",
        "source": "Patched diffusion models for anomaly detection in brain MRI (Behrendt et al., MIDL 2023)",
        "size": (96, 96),
        "where": "all",
        "masked": True,
        "erosion_per": 25,
        "median": 5,
        "median_axes": 3,
        "median_border": "reflect",
        "min_size": 8,
        "filled": True,
        "pool_map": "processed",
        "aggregate": "volume",
        "threshold": "bisection",
        "tuned_on": "tuning",
        "steps": 10,
    },
    "kascenas": {
        "summary": "All slices pooled, in the eroded brain after a 2-D median, best Dice of 1000 thresholds.",
        "source": "Denoising autoencoders for anomaly detection in brain MRI (Kascenas et al., MIDL 2022)",
        "size": (128, 128),
        "where": "all",
        "masked": True,
        "erosion": 2,
        "erosion_rule": "average",
        "median": 5,
        "min_size": 21,
        "filled": True,
        "threshold": "grid",
        "grid": (0.0, 0.999, 1000),
    },
    # sigma 4 is its optional blur
    "upd": {
        "summary": "All pixels of all slices pooled, highest score in the brain, exact best Dice.",
        "source": "Unsupervised pathology detection: a deep dive (Lagogiannis et al., 2023)",
        "size": (128, 128),
        "slices": True,
        "where": "all",
        "pool": "max",
        "comparison": ">=",
        "dice_aggregate": "image",
    },
    # the stroke protocol of autoDDPM and THOR; threshold "healthy_grid" with fpr .05 is their other one
    "bercea": {
        "summary": "Pixels of slices with lesions pooled, by lesion size, best Dice of 101 thresholds.",
        "source": "Diffusion models with implicit guidance for medical anomaly detection "
        "(Bercea et al., 2024)",
        "size": (128, 128),
        "slices": True,
        "where": "all",
        "pool_where": "all",
        "pixel_samples": "anomalous",
        "least_lesion": 4,
        "strata": (71, 570),
        "threshold": "grid",
        "grid": (0.0, 1.0, 101),
        "dice_aggregate": "image",
    },
    # every method has one cut a sequence, from lesions of other subjects; median=4 is its other table.
    # Published maps are 0 outside the brain, so it is all the same to leave these voxels out, unless a
    # lesion lies there
    "uadimag": {
        "summary": "Whole volumes, pooled AP, mean Dice of subjects at one cut, from lesions of others.",
        "source": "Large-scale benchmark of unsupervised anomaly detection in brain MRI, UAD-IMAG "
        "(Frotscher et al., 2025)",
        "median_axes": 3,
        "median_border": "reflect",
        "threshold": "mean_dice",
        "tuned_on": "tuning",
        "dice_aggregate": "subject",
        "dice_of": "anomalous",
        "regions": False,
    },
}
"""Choices by the name of a protocol; what is not named has the default of ``Protocol``."""


def make_builder(name: str) -> Callable[..., Protocol]:
    """Return a function that builds a preset, with other choices where it is given some."""

    def build_preset(**overrides: Any) -> Protocol:
        return Protocol.from_options({"name": name} | PRESETS[name] | overrides)

    build_preset.__doc__ = PRESETS[name]["summary"]
    return build_preset


for _name in PRESETS:
    PROTOCOLS.register(_name)(make_builder(_name))
