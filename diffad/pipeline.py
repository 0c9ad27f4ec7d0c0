"""The pipeline: a scan in, its anomaly map out."""

from __future__ import annotations

import inspect
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import DiffusionPipeline
from torch import Tensor

from diffad.capabilities import attach_networks
from diffad.config import PartSpec, PostprocessConfig, SpaceConfig, from_dict, to_dict
from diffad.data.intensity import IntensityWindow
from diffad.data.space import Space
from diffad.data.volume import Volume
from diffad.denoise import NetworkDenoiser
from diffad.inference.detector import Detector
from diffad.inference.domain import (
    DomainCheck,
    check_domain,
    list_offset_warnings,
    list_window_warnings,
)
from diffad.inference.flagged import FlaggedShare, measure_flagged
from diffad.inference.headline import Coverage, make_headline
from diffad.inference.healthy import FILE, HealthyMaps
from diffad.inference.orientations import Slicing, axis_warnings, resolve_axes
from diffad.inference.output import AnomalyOutput as AnomalyOutput
from diffad.inference.postprocess import Postprocess
from diffad.inference.precision import PRECISIONS, resolve_precision
from diffad.inference.provenance import describe_provenance
from diffad.inference.scan import ScanSource, check_sequences, read_source
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import (
    ALL,
    AUTO,
    SliceChoice,
    SliceSelection,
    check_slices,
    choose_slices,
)
from diffad.inference.stack import Stack
from diffad.inference.stacking import (
    ScanMaps,
    assemble_maps,
    check_sequence_count,
    describe_windows,
    fuse_scan_maps,
    make_stacks,
    measure_windows,
    normalise_maps,
)
from diffad.inference.stored import check_model
from diffad.inference.thresholding import (
    binarise_maps,
    check_threshold_option,
    compare_scan,
    compute_p_values,
    describe_floor,
    resolve_thresholds,
)
from diffad.io.digests import write_digests
from diffad.method import Method
from diffad.models.chunked import Chunked
from diffad.models.pretrained import (
    AUXILIARY_NETWORKS,
    ModelError,
    check_weights,
    incompatible_model,
    locate_model,
    quiet_loading,
)
from diffad.models.wrapped import wrap_network
from diffad.protocols import Denoiser
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES, Registry
from diffad.schedule import Schedule
from diffad.threshold import pool_maps

Scan = str | Path | Sequence[str | Path] | Volume | Tensor
HUB_OPTIONS = ("cache_dir", "force_download", "local_files_only", "proxies", "revision", "token", "variant")


class AnomalyPipeline(DiffusionPipeline):
    """Rebuilds a scan as a healthy one and returns where the two differ.

    Args:
        network: A registered network, or any torch module ``network(x_t, labels)``.
        scheduler: A diffusers scheduler, for its noise levels and prediction type.
        noise: Noise that scans are corrupted with, by name with options.
        sampler: How the scan is rebuilt, by name with options.
        score: How scan and reconstruction are compared, by name with options.
        guidance: What steers the way back, by name with options, or none.
        space: Grid and intensities of the network, see ``SpaceConfig``.
        postprocess: How maps are smoothed, cut and pooled, see ``PostprocessConfig``.
        calibration: Thresholds from healthy scans, see ``Calibration``, or none.
        provenance: What made the network.
        sequences: Names of the sequences the network takes, in order, or none.
        classifier: Tells healthy from diseased, for parts that ask for it; or none.
        autoencoder: Rebuilds clean slices, for parts that ask for it; or none.
        domain: Ranges of the scans it knows, one mapping for each sequence, see ``KnownScans``; or none.
        scope: What it says of itself in words, and the slices it knows, see ``ModelScope``; or none.
    """

    _optional_components: ClassVar[list[str]] = list(AUXILIARY_NETWORKS)
    healthy: HealthyMaps | None
    """What maps of healthy scans look like by place, see ``postprocess.normalise``; none until measured."""

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
        domain: Sequence[dict[str, Any]] | None = None,
        scope: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.register_modules(
            network=wrap_network("", {}, network),
            scheduler=scheduler,
            classifier=classifier,
            autoencoder=autoencoder,
        )
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
            domain=None if domain is None else list(domain),
            scope=scope,
        )
        self.healthy = None
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
        try:
            check_model(folder, inspect.signature(cls).parameters, options)
            with quiet_loading():
                pipe: AnomalyPipeline = super().from_pretrained(str(folder), use_safetensors=True, **options)
        except Exception as error:  # whatever diffusers says of files from a stranger
            is_whole = isinstance(error, ModelError) and str(error).startswith(f"{name}: ")
            raise error if is_whole else incompatible_model(name, error) from error
        pipe.healthy = HealthyMaps.load(folder)
        for part, network in pipe.networks.items():
            if part not in options:
                check_weights(folder / part, network)
        return pipe

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Write the pipeline to a folder, with checksums of its weights, which loading compares.

        Raises:
            OSError: If it cannot be written.
        """
        super().save_pretrained(save_directory, **options)
        folder = Path(save_directory)
        if self.healthy is None:
            (folder / FILE).unlink(missing_ok=True)
        else:
            self.healthy.save(folder)
        write_digests(folder, folder.rglob("*.safetensors"))

    @property
    def networks(self) -> dict[str, Any]:
        """The trained networks that parts may ask for, by name."""
        networks = {name: getattr(self, name) for name in ("network", *AUXILIARY_NETWORKS)}
        return {name: network.eval() for name, network in networks.items() if network is not None}

    @property
    def method(self) -> Method:
        """The parts of the model's own method."""
        return Method.of(self.config)

    def detector(
        self,
        method: Method | None = None,
        *,
        seed: int = 0,
        batch_size: int = 8,
        precision: str = "fp32",
        progress: Callable[[int], Any] = lambda count: None,
    ) -> Detector:
        """Put the parts together for one run; see ``__call__``.

        Args:
            method: Parts that take the place of the model's own; none leaves all of them.
            seed: Seed of all noise.
            batch_size: Slices per network evaluation.
            precision: Number format of the network.
            progress: Called with the number of slices just finished.

        Raises:
            ValueError: If an option of a part, or the precision, cannot be used.
            UnknownNameError: If a part or an option is unknown.
        """
        config, parts = self.config, (method or Method()).over(self.method)
        network = Chunked(self.network, batch_size)
        schedule = Schedule.from_diffusers(self.scheduler)
        denoiser: Denoiser = NetworkDenoiser(network, schedule, self.scheduler.config.prediction_type)
        if parts.guidance:
            denoiser = self._build(GUIDANCES, parts.guidance)(denoiser)
        return Detector(
            denoiser=denoiser,
            noise=self._build(NOISES, parts.noise),
            sampler=self._build(SAMPLERS, parts.sampler),
            score=self._build(SCORES, parts.score),
            post=Postprocess.from_options(config.postprocess),
            space=Space(from_dict(SpaceConfig, dict(config.space))),
            seed=seed,
            batch_size=batch_size,
            device=self.device,
            autocast=PRECISIONS[resolve_precision(precision, self.device)],
            progress=progress,
        )

    def _build(self, registry: Registry, spec: PartSpec | None) -> Any:
        part = registry.build(**(spec or {}))
        attach_networks(part, self.networks)
        return part

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
        slices: SliceChoice = None,
        axes: Sequence[str] | None = None,
        fusion: str = "mean",
        noise_across: str = "slice",
        seed: int = 0,
        batch_size: int = 8,
        precision: str = "fp32",
        mask_threshold: float | None = None,
        strict: bool = False,
        keep_small: bool = False,
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
            region: Where the reconstruction may differ from the scan, for samplers that change a region only:
                a NIfTI path, an array (I, J, K), or a tensor (B, 1, *S) in [0, 1]; none leaves it to the
                sampler.
            threshold: A number, "otsu", or none for the model's calibrated threshold; Otsu's where it has
                none, or where other parts than the model's own make other maps. Otsu's is found item by item.
            slices: Slices of a volume to look at: "LOW:HIGHmm" in mm of MNI152, both included; "all";
                first and last (exclusive), counted in RAS on the grid of the scan; none or "auto" for those
                that the model knows, which are all where it does not say.
            axes: Cut slices along "axial", "coronal", "sagittal", or several of them, whose maps are fused
                (and whose reconstructions are averaged); none for the model's own. Thresholds that were
                calibrated along the model's own axis do not hold for other maps, so Otsu's is taken then.
            fusion: How maps of several axes become one: "mean", "median", "min", "max" or "geometric".
            noise_across: "slice" draws noise for each slice, "scan" one for all slices along an axis, so
                that neighbours are corrupted alike.
            seed: Seed of all noise. The noise of a slice follows from the seed and its position alone.
            batch_size: Slices per network evaluation. Few suit the caches of a CPU, a GPU likes more.
            precision: "fp32", "bf16", "fp16", or "auto" for bf16 where the device has it natively.
            mask_threshold: What of the mask lies above it is brain; none takes 0, or .5 of probabilities.
            strict: Refuse a scan outside what the model knows, rather than warn.
            keep_small: Keep detections that are no larger than what healthy heads have, which a calibrated
                model drops, see ``postprocess.clusters``.

        Returns:
            Maps, reconstruction, detections and score on the scan's own grid; what a reader should know of
            the scan and its result is in ``info["warnings"]``.

        Raises:
            ValueError: If the scan, the mask or an option cannot be used.
            DomainError: If the scan is outside what the model knows, and ``strict``.
        """
        start = time.perf_counter()
        check_threshold_option(threshold)
        method = Method(noise, sampler, score, guidance).over(self.method)
        check_sequences(scan, self.config.sequences)
        source = read_source(scan, mask, region, mask_threshold=mask_threshold)
        cuts = self._resolve_cuts(source, axes, slices, fusion, noise_across)
        cuts, selection = self._select_slices(source, cuts, slices)
        domain = self._check_domain(source, selection).require(source.name, strict)
        windows = measure_windows(source, Space(from_dict(SpaceConfig, dict(self.config.space))))
        stacks = [self._cut(source, axis, cuts, windows) for axis in cuts.axes]
        with self.progress_bar(total=sum(len(s.image) for cut in stacks for s in cut)) as bar:
            options: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "precision": precision}
            detector = self.detector(method, **options, progress=bar.update)
            results = zip(stacks, [detector(cut) for cut in stacks], cuts.axes, strict=True)
        maps = fuse_scan_maps([assemble_maps(source, *result) for result in results], fusion)
        # a threshold belongs to the maps it was measured on, and other parts make others
        usual = region is None and method == self.method and cuts.usual
        maps, notes = normalise_maps(source, maps, self.healthy, self.config.postprocess, usual)
        calibration = None if notes or not usual else self.config.calibration
        output = self._threshold(source, maps, threshold, calibration, keep_small)
        domain = domain.judge(self._measure_flagged(output, calibration)).require(source.name, strict)
        coverage = Coverage.measure(source.brain, maps.analysed, stacks, cuts.axes)
        warnings = [*self._list_warnings(source, windows, cuts, domain), *selection.warnings, *notes]
        comparison = self._compare_scan(output, calibration) if selection.slices is None else {}
        headline = self._make_headline(output, coverage, domain, calibration, comparison)
        output.info = (
            headline
            | output.info
            | {
                **comparison,
                "nfe": maps.nfe,
                "slices": coverage.slices,
                "seed": seed,
                "precision": resolve_precision(precision, self.device),
                **describe_provenance(self.config, method),
                **cuts.to_info(),
                **describe_windows(windows),
                **domain.to_info(),
                **describe_floor(calibration),
                "warnings": list(dict.fromkeys(warnings)),
                "seconds": round(time.perf_counter() - start, 3),
            }
        )
        return output

    def _list_warnings(
        self, source: ScanSource, windows: Sequence[IntensityWindow], cuts: Slicing, domain: DomainCheck
    ) -> list[str]:
        """List what a reader should know of a scan and its result."""
        return [
            *source.warnings,
            *domain.list_warnings(),
            *list_window_warnings(windows, self.config.space),
            *axis_warnings(cuts.axes, from_dict(SpaceConfig, dict(self.config.space)).axes),
            *domain.doubts,
            *list_offset_warnings(source, windows[0], self.config.space),
        ]

    def _select_slices(
        self, source: ScanSource, cuts: Slicing, slices: SliceChoice
    ) -> tuple[Slicing, SliceSelection]:
        """Find the slices to look at; what a model knows along its own axis holds for no other."""
        is_own = cuts.axes == (cuts.own_axis,)
        known_mm = ModelScope.of(self.config).range_mm if is_own else None
        selection = choose_slices(source, cuts.axes[0], slices, known_mm)
        return replace(cuts, slices=selection.slices), selection

    def _check_domain(self, source: ScanSource, selection: SliceSelection) -> DomainCheck:
        return check_domain(source, self.config).add_reasons(selection.reasons)

    def _measure_flagged(self, output: AnomalyOutput, calibration: Mapping[str, Any] | None) -> FlaggedShare:
        return measure_flagged(output, calibration, self.config.postprocess["fpr"])

    def _make_headline(
        self,
        output: AnomalyOutput,
        coverage: Coverage,
        domain: DomainCheck,
        calibration: Mapping[str, Any] | None,
        comparison: Mapping[str, Any],
    ) -> dict[str, Any]:
        share, scope = self._measure_flagged(output, calibration), ModelScope.of(self.config)
        scan = comparison.get("healthy_scans")
        return make_headline(scope, coverage, domain, share, scan, bool(output.mask.any()))

    def _resolve_cuts(
        self,
        source: ScanSource,
        axes: Sequence[str] | None,
        slices: SliceChoice,
        fusion: str,
        noise_across: str,
    ) -> Slicing:
        check_slices(slices)
        axis = self.config.space["axis"]
        explicit = None if slices in (AUTO, ALL) else slices
        resolved_axes = resolve_axes(axes, axis, source.image.ndim == 4, explicit)
        return Slicing(tuple(resolved_axes), axis, None, fusion, noise_across, axes is not None)

    def _compare_scan(self, output: AnomalyOutput, calibration: Mapping[str, Any] | None) -> dict[str, Any]:
        if output.volume is None:
            return {}
        return compare_scan(calibration, output.anomaly_map, output.analysed, self.config.postprocess)

    def _cut(
        self, source: ScanSource, axis: str, cuts: Slicing, windows: Sequence[IntensityWindow]
    ) -> list[Stack]:
        stacks = make_stacks(source, axis, cuts.slices)
        check_sequence_count(stacks, self.network.config.in_channels, source.name)
        pairs = zip(stacks, windows, strict=True)
        return [replace(s, noise_keys=cuts.noise_keys(s.keys, axis), window=w) for s, w in pairs]

    def _threshold(
        self,
        source: ScanSource,
        maps: ScanMaps,
        threshold: float | str | None,
        calibration: Mapping[str, Any] | None,
        keep_small: bool,
    ) -> AnomalyOutput:
        """Cut and pool finished maps."""
        post, anomaly, analysed = self.config.postprocess, maps.anomaly, maps.analysed
        clusters = "none" if keep_small else post["clusters"]
        thresholds = resolve_thresholds(threshold, calibration, post["fpr"], anomaly, analysed, clusters)
        size = (source.spacing, thresholds.least_mm3)
        return AnomalyOutput(
            anomaly_map=anomaly,
            reconstruction=maps.reconstruction,
            mask=binarise_maps(anomaly, thresholds.values, source.brain, post, *size),
            score=pool_maps(anomaly, analysed, post["pool"], post["share"]),
            info=thresholds.to_info(),
            image=source.image,
            brain=source.brain,
            volume=source.volume,
            std=maps.std,
            p_value=compute_p_values(calibration, anomaly, analysed),
            analysed=analysed,
        )
