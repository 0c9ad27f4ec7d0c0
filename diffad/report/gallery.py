"""A picture of each method at work: ``python -m diffad.report.gallery DATA LABEL=MODEL... --out DIR``."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from diffad.data.lesions import KINDS, implant_all
from diffad.data.slice_folder import load_slices


def compose_gallery(
    scans: Sequence[Tensor],
    reconstructions: Sequence[Tensor],
    maps: Sequence[Tensor],
    lesions: Sequence[Tensor],
) -> Tensor:
    """Lay columns of (scan, reconstruction, map) side by side, with the lesion outlined on scan and map.

    Args:
        scans: Scans in [0, 1], each (H, W).
        reconstructions: Their pseudo-healthy reconstructions.
        maps: Anomaly maps; all share one scale, whose white is their 99.9th percentile.
        lesions: Extents of the lesions, bool.

    Returns:
        The picture in [0, 1], (3, 3 H, n W).
    """
    top = max(float(torch.quantile(torch.stack(list(maps)), 0.999)), 1e-12)
    columns = []
    for scan, x_hat, anomaly, lesion in zip(scans, reconstructions, maps, lesions, strict=True):
        heat = _colour_heat((anomaly / top).clamp(0, 1))
        rows = [_draw_outline(_to_grey(scan), lesion), _to_grey(x_hat), _draw_outline(heat, lesion)]
        columns.append(torch.cat(rows, dim=1))
    return torch.cat(columns, dim=2)


def _to_grey(image: Tensor) -> Tensor:
    return image.clamp(0, 1).expand(3, *image.shape).clone()


def _colour_heat(value: Tensor) -> Tensor:
    """Colour values in [0, 1] black, red, yellow, white."""
    return torch.stack([(3 * value - k).clamp(0, 1) for k in range(3)])


def _draw_outline(picture: Tensor, lesion: Tensor) -> Tensor:
    dilated_lesion = torch.nn.functional.max_pool2d(lesion[None, None].float(), 3, 1, 1)[0, 0] > 0
    colour = torch.tensor([0.1, 0.9, 1.0])
    picture[:, dilated_lesion & ~lesion] = colour[:, None]
    return picture


def draw_gallery(source: str, data: Path, out: Path, item: int, size: int, seed: int) -> Path:
    """Draw one method on one slice with a lesion of each kind.

    Args:
        source: Name or folder of a pipeline, or ``LABEL=FOLDER``.
        data: Folder with train/, val/ and brain_mask.png.
        out: Folder of the pictures.
        item: Number of the validation slice, from 0.
        size: Side of the slice, in pixels.
        seed: Seed of lesions and noise.

    Raises:
        OSError: If a file cannot be written.
        ValueError: If a file is missing or cannot be read.
        ValueError: If the pipeline cannot be used, or a slice has another shape than the mask.
    """
    from PIL import Image

    from diffad.io.atomic import write_bytes
    from diffad.pipeline import AnomalyPipeline

    _, val, brain = load_slices(data, size)
    lesions = implant_all(val[item : item + 1], brain, seed)
    x, y = (torch.cat([lesions[kind][k] for kind in KINDS]) for k in (0, 1))
    label, _, folder = source.rpartition("=")
    pipe = AnomalyPipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    result = pipe(x, mask=brain.expand_as(x), seed=seed, precision="auto")
    columns = [list(v[:, 0]) for v in (x, result.reconstruction, result.anomaly_map, y.bool())]
    pixels = (rearrange(compose_gallery(*columns), "c h w -> h w c") * 255).byte().numpy()
    content, path = io.BytesIO(), out / f"{label or Path(folder).name}.png"
    Image.fromarray(pixels).save(content, "PNG", optimize=True)
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(path, content.getvalue())
    return path


def run_gallery_arguments(arguments: Sequence[str] | None = None) -> None:
    """Draw scan, reconstruction and map of a slice with a dark, bright, textured and mass-effect lesion."""
    parser = argparse.ArgumentParser(
        prog="python -m diffad.report.gallery", description=run_gallery_arguments.__doc__
    )
    parser.add_argument("data", type=Path, help="folder with train/, val/ and brain_mask.png")
    parser.add_argument("models", nargs="+", help="pipelines: FOLDER, NAME of a shipped one, or LABEL=FOLDER")
    parser.add_argument("--out", type=Path, default=Path("docs/images"), help="folder of the pictures")
    parser.add_argument("--item", type=int, default=0, help="number of the validation slice, from 0")
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
