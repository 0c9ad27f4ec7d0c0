"""The pipeline: a scan in, its anomaly map out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from diffad import scans
from diffad.config import PartSpec, PostprocessConfig, SpaceConfig, from_dict, to_dict
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.denoise import NetworkDenoiser
from diffad.detect import Detector
from diffad.output import AnomalyOutput as AnomalyOutput
from diffad.postprocess import Postprocess
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES
from diffad.schedule import Schedule
from diffad.shipped import check_folder, locate
from diffad.threshold import Calibration, otsu, pool

Scan = str | Path | Sequence[str | Path] | Volume | Tensor
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class AnomalyPipeline(DiffusionPipeline):
    """Rebuilds a pseudo-healthy twin of a scan and returns where the two differ.

    Args:
        network: A registered network.
        scheduler: A diffusers scheduler, for its noise levels and prediction type.
        noise: Noise the network was trained with, by name with options.
        sampler: How the scan is rebuilt, by name with options.
        score: How scan and twin are compared, by name with options.
        guidance: What steers the way back, by name with options, or none.
        space: Grid and intensities of the network, see ``SpaceConfig``.
        postprocess: How maps are smoothed, cut and pooled, see ``PostprocessConfig``.
        calibration: Thresholds from healthy scans, see ``Calibration``, or none.
        provenance: What made the network.
    """

    def __init__(
        self,
        network: Any,
        scheduler: Any,
        noise: PartSpec | None = None,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        guidance: PartSpec | None = None,
        space: dict[str, Any] | None = None,
        postprocess: dict[str, Any] | None = None,
        calibration: dict[str, Any] | None = None,
        provenance: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(network=network, scheduler=scheduler)
        self.register_to_config(
            noise=noise or {"name": "gaussian"},
            sampler=sampler or {"name": "chain"},
            score=score or {"name": "l1"},
            guidance=guidance,
            space=to_dict(from_dict(SpaceConfig, space or {}, "space.")),
            postprocess=to_dict(from_dict(PostprocessConfig, postprocess or {}, "postprocess.")),
            calibration=calibration,
            provenance=provenance or {},
        )
        self.set_progress_bar_config(disable=not sys.stderr.isatty(), desc="slices", leave=False)

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> AnomalyPipeline:
        """Load a pipeline by the name of a shipped model, from a folder, or by hub id.

        Raises:
            OSError: If there is no such model; the shipped ones are listed.
            ValueError: If the folder asks for classes that are not registered parts.
        """
        folder = locate(name)
        if Path(folder).is_dir():
            check_folder(Path(folder))
        pipe: AnomalyPipeline = super().from_pretrained(str(folder), use_safetensors=True, **options)
        return pipe

    def detector(
        self,
        *,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        seed: int = 0,
        batch_size: int = 16,
        precision: str = "fp32",
        progress: Callable[[int], Any] = lambda done: None,
    ) -> Detector:
        """Put the parts together for one run; see ``__call__``."""
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        config = self.config
        self.network.eval()
        kind = self.scheduler.config.prediction_type
        denoiser: Any = NetworkDenoiser(self.network, Schedule.from_diffusers(self.scheduler), kind)
        if config.guidance:
            denoiser = GUIDANCES.build(**config.guidance)(denoiser)
        options = config.postprocess
        return Detector(
            denoiser=denoiser,
            noise=NOISES.build(**config.noise),
            sampler=SAMPLERS.build(**(sampler or config.sampler)),
            score=SCORES.build(**(score or config.score)),
            post=Postprocess(options["erosion"], options["median"], options["min_size"]),
            space=Space(from_dict(SpaceConfig, dict(config.space))),
            seed=seed,
            batch_size=batch_size,
            device=self.device,
            autocast=PRECISIONS[precision],
            progress=progress,
        )

    @torch.no_grad()
    def __call__(
        self,
        scan: Scan,
        mask: str | Path | np.ndarray | Tensor | None = None,
        *,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        threshold: float | str | None = None,
        slices: tuple[int, int] | None = None,
        seed: int = 0,
        batch_size: int = 16,
        precision: str = "fp32",
    ) -> AnomalyOutput:
        """Find anomalies in a scan.

        Args:
            scan: A NIfTI path (or one path per sequence), a Volume, or a tensor (B, C, *S) in [0, 1].
            mask: Brain mask: a NIfTI path, an array (I, J, K), or a tensor (B, 1, *S); by default the scan's
                non-zero voxels, which suits skull-stripped scans.
            sampler: Another sampler than the model's own, by name with options.
            score: Another score than the model's own, by name with options.
            threshold: A number, "otsu", or none for the model's calibrated threshold (Otsu's where it has none).
            slices: First and last (exclusive) slice of a volume to look at, counted in RAS; none for all.
            seed: Seed of all noise. The noise of a slice follows from the seed and its position alone.
            batch_size: Slices per network evaluation.
            precision: "fp32", "bf16" or "fp16".

        Returns:
            Maps, twin, detections and score on the scan's own grid.

        Raises:
            ValueError: If the scan, the mask or an option cannot be used.
        """
        began = time.perf_counter()
        source = scans.read(scan, mask)
        stacks = scans.stacks(source, self.config.space["axis"], slices)
        scans.check_channels(stacks, self.network.config.in_channels, source.name)
        with self.progress_bar(total=sum(len(s.image) for s in stacks)) as bar:
            detector = self.detector(
                sampler=sampler, score=score, seed=seed, batch_size=batch_size, precision=precision, progress=bar.update
            )
            found = detector(stacks)
        anomaly, twin = scans.assemble(source, stacks, found, self.config.space["axis"])
        seen = scans.seen(source, stacks, self.config.space["axis"])
        cut, rule = self._threshold(threshold, anomaly, seen)
        options = self.config.postprocess
        info = {
            "threshold": cut,
            "threshold_rule": rule,
            "nfe": found[0].nfe,
            "slices": sum(len(s.image) for s in stacks),
            "seed": seed,
            "precision": precision,
            "sampler": dict(sampler or self.config.sampler),
            "score": dict(score or self.config.score),
            **self._origin(),
            "seconds": round(time.perf_counter() - began, 3),
        }
        return AnomalyOutput(
            anomaly_map=anomaly,
            reconstruction=twin,
            mask=detector.post.binarise(anomaly, cut, source.brain),
            score=pool(anomaly, seen, options["pool"], options["share"]),
            info=info,
            image=source.image,
            brain=source.brain,
            volume=source.volume,
        )

    def _threshold(self, wish: float | str | None, anomaly: Tensor, seen: Tensor) -> tuple[float, str]:
        """Return the threshold and the rule it comes from."""
        if isinstance(wish, int | float):
            return float(wish), "fixed"
        if wish not in (None, "otsu"):
            raise ValueError(f"expected threshold a number, 'otsu' or None, got {wish!r}")
        if wish is None and self.config.calibration:
            fpr = self.config.postprocess["fpr"]
            return Calibration.from_dict(self.config.calibration).threshold(fpr), f"healthy pixel FPR {fpr:g}"
        return otsu(anomaly, seen), "otsu"

    def _origin(self) -> dict[str, Any]:
        import diffusers

        from diffad import __version__

        versions = {"diffad": __version__, "torch": torch.__version__, "diffusers": diffusers.__version__}
        config = {k: self.config[k] for k in ("noise", "guidance", "space", "postprocess", "calibration")}
        return {"model": dict(self.config.provenance), "config": config, "versions": versions}


