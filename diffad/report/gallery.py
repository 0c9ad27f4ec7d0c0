"""A picture of each method at work: ``python -m diffad.report.gallery DATA LABEL=MODEL... --out DIR``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.lesions import KINDS, implant_all
from diffad.data.slice_folder import load_slices


def compose_gallery(
    scans: Sequence[Tensor], twins: Sequence[Tensor], maps: Sequence[Tensor], lesions: Sequence[Tensor]
) -> Tensor:
    """Lay columns of (scan, twin, map) side by side, with the outline of the lesion on scan and map.

    Args:
        scans: Scans in [0, 1], each (H, W).
        twins: Their pseudo-healthy twins.
        maps: Anomaly maps; all share one scale, whose white is their 99.9th percentile.
        lesions: Extents of the lesions, bool.

    Returns:
        The picture in [0, 1], (3, 3 H, n W).
    """
    top = max(float(torch.quantile(torch.stack(list(maps)), 0.999)), 1e-12)
    columns = []
    for scan, twin, anomaly, lesion in zip(scans, twins, maps, lesions, strict=True):
        hot = _hot((anomaly / top).clamp(0, 1))
        rows = [_outlined(_grey(scan), lesion), _grey(twin), _outlined(hot, lesion)]
        columns.append(torch.cat(rows, dim=1))
    return torch.cat(columns, dim=2)


def _grey(image: Tensor) -> Tensor:
    return image.clamp(0, 1).expand(3, *image.shape).clone()


def _hot(value: Tensor) -> Tensor:
    """Colour values in [0, 1] black, red, yellow, white."""
    return torch.stack([(3 * value - k).clamp(0, 1) for k in range(3)])


def _outlined(picture: Tensor, lesion: Tensor) -> Tensor:
    grown = torch.nn.functional.max_pool2d(lesion[None, None].float(), 3, 1, 1)[0, 0] > 0
    colour = torch.tensor([0.1, 0.9, 1.0])
    picture[:, grown & ~lesion] = colour[:, None]
    return picture


def draw_gallery(source: str, data: Path, out: Path, item: int, size: int, seed: int) -> Path:
    """Draw one method on one slice with a lesion of each kind.

    Args:
        source: Name or folder of a pipeline, or ``LABEL=FOLDER``.
        data: Folder with train/, val/ and brain_mask.png.
        out: Folder of the pictures.
        item: Which validation slice.
        size: Side of the slice, in pixels.
        seed: Seed of lesions and noise.
    """
    from PIL import Image

    from diffad.pipeline import AnomalyPipeline

    _, val, brain = load_slices(data, size)
    lesions = implant_all(val[item : item + 1], brain, seed)
    x, y = (torch.cat([lesions[kind][k] for kind in KINDS]) for k in (0, 1))
    label, _, folder = source.rpartition("=")
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    found = pipe(x, mask=brain.expand_as(x), seed=seed, precision="auto")
    parts = [list(v[:, 0]) for v in (x, found.reconstruction, found.anomaly_map, y.bool())]
    pixels = (rearrange(compose_gallery(*parts), "c h w -> h w c") * 255).byte().numpy()
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{label or Path(folder).name}.png"
    Image.fromarray(pixels).save(path, optimize=True)
    return path


def run_gallery_arguments(arguments: Sequence[str] | None = None) -> None:
    """Draw scan, twin and map of a slice with a dark, a bright, a textured lesion and mass effect."""
    parser = argparse.ArgumentParser(
        prog="python -m diffad.report.gallery", description=run_gallery_arguments.__doc__
    )
    parser.add_argument("data", type=Path, help="folder with train/, val/ and brain_mask.png")
    parser.add_argument("models", nargs="+", help="pipelines: FOLDER, shipped name, or LABEL=FOLDER")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--item", type=int, default=0, help="which validation slice")
    parser.add_argument("--size", type=int, default=128, help="side of the slice, in pixels")
    parser.add_argument("--seed", type=int, default=0, help="seed of lesions and noise")
    options = parser.parse_intermixed_args(arguments)
    for source in options.models:
        try:
            print(draw_gallery(source, options.data, options.out, options.item, options.size, options.seed))
        except (OSError, ValueError) as error:
            parser.error(str(error))


if __name__ == "__main__":
    run_gallery_arguments()
