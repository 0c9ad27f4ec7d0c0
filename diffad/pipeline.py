"""The pipeline: a scan in, its anomaly map out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from safetensors import SafetensorError
from torch import Tensor

from diffad.capabilities import attach_networks
from diffad.config import PartSpec, PostprocessConfig, SpaceConfig, from_dict, to_dict
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.denoise import NetworkDenoiser
from diffad.inference import scan as scans
from diffad.inference import thresholding as verdict
from diffad.inference.detector import Detector
from diffad.inference.orientations import axis_warnings, derive_noise_keys, fuse_maps, resolve_axes
from diffad.inference.output import AnomalyOutput as AnomalyOutput
from diffad.inference.postprocess import Postprocess
from diffad.inference.precision import PRECISIONS, resolve_precision
from diffad.inference.stack import Stack, StackResult
from diffad.models.chunked import Chunked
from diffad.models.pretrained import (
    AUXILIARY_NETWORKS,
    check_folder,
    check_weights,
    incompatible_model,
    locate_model,
    quiet_loading,
)
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES, Registry
from diffad.schedule import Schedule
from diffad.threshold import pool_maps

Scan = str | Path | Sequence[str | Path] | Volume | Tensor
HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "token", "variant")


class AnomalyPipeline(DiffusionPipeline):
    """Rebuilds a pseudo-healthy twin of a scan and returns where the two differ.

    Args:
        network: A registered network.
        scheduler: A diffusers scheduler, for its noise levels and prediction type.
        noise: Noise that scans are corrupted with, by name with options.
        sampler: How the scan is rebuilt, by name with options.
        score: How scan and twin are compared, by name with options.
        guidance: What steers the way back, by name with options, or none.
        space: Grid and intensities of the network, see ``SpaceConfig``.
        postprocess: How maps are smoothed, cut and pooled, see ``PostprocessConfig``.
        calibration: Thresholds from healthy scans, see ``Calibration``, or none.
        provenance: What made the network.
        sequences: Names of the sequences the network takes, in order, or none.
        classifier: Tells healthy from diseased, for parts that ask for it; or none.
        autoencoder: Rebuilds clean slices, for parts that ask for it; or none.
    """

    _optional_components: ClassVar[list[str]] = list(AUXILIARY_NETWORKS)

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
        sequences: Sequence[str] | None = None,
        classifier: Any = None,
        autoencoder: Any = None,
    ) -> None:
        super().__init__()
        beside = {"classifier": classifier, "autoencoder": autoencoder}
        self.register_modules(network=network, scheduler=scheduler, **beside)
        self.register_to_config(
            noise=noise or {"name": "gaussian"},
            sampler=sampler or {"name": "chain"},
            score=score or {"name": "l1"},
            guidance=guidance,
            space=to_dict(from_dict(SpaceConfig, space or {}, "space.")),
            postprocess=to_dict(from_dict(PostprocessConfig, postprocess or {}, "postprocess.")),
            calibration=calibration,
            provenance=provenance or {},
            sequences=None if sequences is None else list(sequences),
        )
        self.set_progress_bar_config(disable=not sys.stderr.isatty(), desc="slices", leave=False)

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> AnomalyPipeline:
        """Load a pipeline by the name of a shipped model, from a folder, or by hub id.

        Nothing is unpickled, and no class is imported but registered networks and diffusers schedulers.

        Raises:
            OSError: If there is no such model; the shipped ones are listed.
            ModelError: If its files do not fit together or ask for classes that are not registered parts.
        """
        folder = Path(locate_model(name))
        if not folder.is_dir():
            hub = {k: v for k, v in options.items() if k in HUB_OPTIONS}
            folder = Path(cls.download(str(name), use_safetensors=True, **hub))
        check_folder(folder)
        try:
            with quiet_loading():
                pipe: AnomalyPipeline = super().from_pretrained(str(folder), use_safetensors=True, **options)
        except (OSError, ValueError, RuntimeError, KeyError, AttributeError, SafetensorError) as error:
            raise incompatible_model(name, error) from error
        for part, network in pipe.networks.items():
            check_weights(folder / part, network)
        return pipe

    @property
    def networks(self) -> dict[str, Any]:
        """The trained networks that parts may ask for, by name."""
        found = {name: getattr(self, name) for name in ("network", *AUXILIARY_NETWORKS)}
        return {name: network.eval() for name, network in found.items() if network is not None}

    def detector(
        self,
        *,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        noise: PartSpec | None = None,
        guidance: PartSpec | None = None,
        seed: int = 0,
        batch_size: int = 8,
        precision: str = "fp32",
        progress: Callable[[int], Any] = lambda done: None,
    ) -> Detector:
        """Put the parts together for one run; see ``__call__``."""
        config, kind = self.config, self.scheduler.config.prediction_type
        network = Chunked(self.network, batch_size)
        denoiser: Denoiser = NetworkDenoiser(network, Schedule.from_diffusers(self.scheduler), kind)
        if steer := guidance or config.guidance:
            denoiser = self._built(GUIDANCES, steer)(denoiser)
        return Detector(
            denoiser=denoiser,
            noise=NOISES.build(**(noise or config.noise)),
            sampler=self._built(SAMPLERS, sampler or config.sampler),
            score=self._built(SCORES, score or config.score),
            post=Postprocess.from_options(config.postprocess),
            space=Space(from_dict(SpaceConfig, dict(config.space))),
            seed=seed,
            batch_size=batch_size,
            device=self.device,
            autocast=PRECISIONS[resolve_precision(precision, self.device)],
            progress=progress,
        )

    def _built(self, registry: Registry, part: PartSpec) -> Any:
        built = registry.build(**part)
        attach_networks(built, self.networks)
        return built

    @torch.no_grad()
    def __call__(
        self,
        scan: Scan,
        mask: str | Path | np.ndarray | Tensor | None = None,
        *,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        noise: PartSpec | None = None,
        guidance: PartSpec | None = None,
        region: str | Path | np.ndarray | Tensor | None = None,
        threshold: float | str | None = None,
        slices: tuple[int, int] | None = None,
        axes: Sequence[str] | None = None,
        fusion: str = "mean",
        noise_across: str = "slice",
        seed: int = 0,
        batch_size: int = 8,
        precision: str = "fp32",
    ) -> AnomalyOutput:
        """Find anomalies in a scan.

        Args:
            scan: A NIfTI path (or one path per sequence), a Volume, or a tensor (B, C, *S) in [0, 1].
            mask: Brain mask: a NIfTI path, an array (I, J, K), or a tensor (B, 1, *S); by default the scan's
                non-zero voxels, which suits skull-stripped scans.
            sampler: Another sampler than the model's own, by name with options.
            score: Another score than the model's own, by name with options.
            noise: Another noise than the model's own, by name with options.
            guidance: Another guidance than the model's own, by name with options.
            region: Where the twin may differ from the scan, for samplers that change a region only: a NIfTI
                path, an array (I, J, K), or a tensor (B, 1, *S) in [0, 1]; none leaves it to the sampler.
            threshold: A number, "otsu", or none for the model's calibrated threshold; Otsu's where it has
                none, or where other parts than the model's own make other maps. Otsu's is found item by item.
            slices: First and last (exclusive) slice of a volume to look at, counted in RAS; none for all.
            axes: Cut slices along "axial", "coronal", "sagittal", or several of them, whose maps are fused
                (and whose twins are averaged); none for the model's own. Thresholds that were calibrated
                along the model's own axis do not hold for other maps, so Otsu's is taken then.
            fusion: How maps of several axes become one: "mean", "median", "min", "max" or "geometric".
            noise_across: "slice" draws noise for each slice, "scan" one for all slices along an axis, so
                that neighbours are corrupted alike.
            seed: Seed of all noise. The noise of a slice follows from the seed and its position alone.
            batch_size: Slices per network evaluation. Few suit the caches of a CPU, a GPU likes more.
            precision: "fp32", "bf16", "fp16", or "auto" for bf16 where the device has it natively.

        Returns:
            Maps, twin, detections and score on the scan's own grid.

        Raises:
            ValueError: If the scan, the mask or an option cannot be used.
        """
        began = time.perf_counter()
        verdict.check_threshold(threshold)
        wish = {"sampler": sampler, "score": score, "noise": noise, "guidance": guidance}
        parts: dict[str, Any] = {k: self.config[k] if p is None else p for k, p in wish.items()}
        scans.check_sequences(scan, self.config.sequences)
        own, source = self.config.space["axis"], scans.read_source(scan, mask, region)
        along = resolve_axes(axes, own, source.image.ndim == 4, slices)
        cuts = [self._stacks(source, axis, slices, noise_across) for axis in along]
        with self.progress_bar(total=sum(len(s.image) for stacks in cuts for s in stacks)) as bar:
            options: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "precision": precision}
            detector = self.detector(**parts, **options, progress=bar.update)
            found = [detector(stacks) for stacks in cuts]
        anomaly, twin, std = self._fused(source, cuts, found, along, fusion)
        seen = scans.analysed_mask(source, cuts[0], along[0])
        for stacks, axis in zip(cuts[1:], along[1:], strict=True):
            seen = seen | scans.analysed_mask(source, stacks, axis)
        post = self.config.postprocess
        # a threshold belongs to the maps it was measured on, and other parts make others
        own_parts = region is None and all(part == self.config[key] for key, part in parts.items())
        same = own_parts and along == [own] and noise_across == "slice"
        calibration = self.config.calibration if same else None
        limits, rule = verdict.resolve_thresholds(threshold, calibration, post["fpr"], anomaly, seen)
        result = AnomalyOutput(
            anomaly_map=anomaly,
            reconstruction=twin,
            mask=verdict.binarise_maps(anomaly, limits, source.brain, post),
            score=pool_maps(anomaly, seen, post["pool"], post["share"]),
            info={
                **verdict.describe_thresholds(limits, rule),
                "nfe": found[0][0].nfe,
                "slices": sum(len(s.image) for stacks in cuts for s in stacks),
                "seed": seed,
                "precision": resolve_precision(precision, self.device),
                **verdict.describe_provenance(self.config, parts),
                **self._told_axes(along, axes, fusion, noise_across),
            },
            image=source.image,
            brain=source.brain,
            volume=source.volume,
            std=std,
            p_value=verdict.compute_p_values(calibration, anomaly, seen),
        )
        result.info["seconds"] = round(time.perf_counter() - began, 3)
        return result

    def _stacks(
        self, source: scans.ScanSource, axis: str, slices: tuple[int, int] | None, across: str
    ) -> list[Stack]:
        found = scans.make_stacks(source, axis, slices)
        scans.check_channels(found, self.network.config.in_channels, source.name)
        own = self.config.space["axis"]
        return [replace(s, noise_keys=derive_noise_keys(s.keys, axis, own, across)) for s in found]

    def _fused(
        self,
        source: scans.ScanSource,
        cuts: Sequence[list[Stack]],
        found: Sequence[list[StackResult]],
        axes: Sequence[str],
        fusion: str,
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Put the maps of every axis on the grid of the scan, and make one of them."""
        every = zip(cuts, found, axes, strict=True)
        laid = [scans.assemble_maps(source, stacks, result, axis) for stacks, result, axis in every]
        maps, twins, stds = zip(*laid, strict=True)
        std = None if any(s is None for s in stds) else fuse_maps(stds)
        return fuse_maps(maps, fusion), fuse_maps(twins), std

    def _told_axes(
        self, along: Sequence[str], axes: Sequence[str] | None, fusion: str, across: str
    ) -> dict[str, Any]:
        """Say how slices were cut, where that is not the model's own way."""
        warnings = axis_warnings(along, self.config.space["axis"])
        told: dict[str, Any] = {"axes": list(along), "fusion": fusion} if axes is not None else {}
        told |= {"noise_across": across} if across != "slice" else {}
        return told | ({"warnings": warnings} if warnings else {})
