"""A folder of Stable Diffusion, looked at before anything of it is loaded; nothing is unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from diffad.io.digests import hash_file
from diffad.io.wording import shorten
from diffad.models.folder import ModelError, read_mapping

INDEX = "model_index.json"
PARTS = {
    "unet": ("UNet2DConditionModel", "diffusion_pytorch_model"),
    "vae": ("AutoencoderKL", "diffusion_pytorch_model"),
    "text_encoder": ("CLIPTextModel", "model"),
}
"""Networks of a folder: their classes, and how the files of their weights begin."""
PICKLES = (".bin", ".pt", ".pth", ".ckpt")
SAFETY = (
    "the safety checker of the folder is left out: it judges photographs, and would blacken scans; "
    "nothing checks what is made"
)


def is_stable_folder(folder: Path) -> bool:
    """Tell whether a folder holds a pipeline of another kind than ours, which must be Stable Diffusion."""
    index = folder / INDEX
    return index.is_file() and read_mapping(index).get("_class_name") != "AnomalyPipeline"


def check_stable_folder(folder: Path) -> tuple[dict[str, str | None], list[str]]:
    """Refuse what is no folder of Stable Diffusion with its weights as safetensors.

    Args:
        folder: As ``StableDiffusionPipeline.save_pretrained`` writes it.

    Returns:
        The variant of the weights of each part, such as "fp16" or none, and what a user should know.

    Raises:
        ModelError: If it is not there, of another kind, without a part, or holds pickled weights alone.
    """
    if not folder.is_dir():
        text = "a file" if folder.exists() else "nothing of that name"
        raise ModelError(f"{folder}: expected a folder of Stable Diffusion, found {text}")
    if not (folder / INDEX).is_file():
        raise ModelError(f"{folder}: expected a folder of Stable Diffusion with {INDEX}, found none in it")
    index = read_mapping(folder / INDEX)
    _check_classes(folder, index)
    for name in ("tokenizer", "scheduler"):
        if not (folder / name).is_dir():
            raise ModelError(f"{folder}: expected the folder {name} of Stable Diffusion, found none")
    has_checker = any(index.get("safety_checker") or ())
    variants = {name: _find_variant(folder / name, stem) for name, (_, stem) in PARTS.items()}
    return variants, [SAFETY] if has_checker else []


def describe_stable_folder(folder: Path) -> dict[str, Any]:
    """Return what a folder holds, by which results know whether they are of the same model."""
    files = sorted(
        path
        for name in (*PARTS, "tokenizer", "scheduler")
        for path in (folder / name).glob("*")
        if path.suffix in (".json", ".txt", ".safetensors")
    )
    return {"name": folder.name} | {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _check_classes(folder: Path, index: Mapping[str, Any]) -> None:
    kind = index.get("_class_name")
    if not str(kind).startswith("StableDiffusion") or "XL" in str(kind) or "text_encoder_2" in index:
        text = shorten(repr(kind))
        raise ModelError(f"{folder / INDEX}: expected a StableDiffusionPipeline (1.x or 2.x), found {text}")
    for name, (part, _) in PARTS.items():
        entry = index.get(name)
        found = entry[-1] if isinstance(entry, list) and entry else None
        if found != part:
            text = shorten(repr(found))
            raise ModelError(f"{folder / INDEX}: expected {name} to be a {part}, found {text}")


def _find_variant(folder: Path, stem: str) -> str | None:
    """Return the variant of the weights that are there, none where they have no ending of their own."""
    names = [path.name for path in folder.glob("*")] if folder.is_dir() else []
    for variant in (None, "fp16", "bf16"):
        start = stem if variant is None else f"{stem}.{variant}"
        if {f"{start}.safetensors", f"{stem}.safetensors.index{f'.{variant}' if variant else ''}.json"} & {
            *names
        }:
            return variant
    pickles = [name for name in sorted(names) if name.endswith(PICKLES)]
    text = f"{shorten(pickles[0])}, which is pickled and could run code" if pickles else "none"
    raise ModelError(f"{folder}: expected weights as {stem}.safetensors, found {text}")
