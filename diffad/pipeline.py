"""The pipeline: a scan in, its anomaly map out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from diffad.config import PartSpec, PostprocessConfig, SpaceConfig, from_dict, to_dict
from diffad.data.space import Space
from diffad.engines import Engine
from diffad.hub.facts import list_facts, name_pipeline
from diffad.hub.stored_pipeline import StoredPipeline
from diffad.inference.assembly import assemble_detector
from diffad.inference.contrasts import adapt_pipeline, check_contrasts, list_contrast_warnings
from diffad.inference.detector import DetectorRun
from diffad.inference.diffusers_options import draw_seed, set_steps
from diffad.inference.domain import check_domain
from diffad.inference.finishing import ScanRun
from diffad.inference.healthy import HealthyMaps
from diffad.inference.inputs import read_input
from diffad.inference.output import AnomalyOutput as AnomalyOutput
from diffad.inference.precision import PRECISIONS as PRECISIONS
from diffad.inference.precision import list_engine_warnings, resolve_precision
from diffad.inference.scan_contrast import ScanContrast
from diffad.inference.slice_plan import plan_slices
from diffad.inference.slice_range import SliceChoice
from diffad.inference.stacking import (
    assemble_maps,
    cut_source,
    fuse_scan_maps,
    measure_windows,
)
from diffad.inference.thresholding import check_threshold_option
from diffad.io.wording import format_facts
from diffad.method import Method
from diffad.models.coding import make_coding
from diffad.models.memory import Memory
from diffad.models.neighbours import check_neighbours
from diffad.models.pretrained import AUXILIARY_NETWORKS
from diffad.models.wrapped import wrap_network
from diffad.protocols import Detector
from diffad.types import Detection


class AnomalyPipeline(StoredPipeline):
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
        contrasts: What is different for scans of a contrast ("T1", "T2", "FLAIR"): parts, and what healthy
            scans of it said; see ``diffad.inference.contrasts``. None treats all scans alike.
        scope: What it says of itself in words, and the slices it knows, see ``ModelScope``; or none.
        codec: Encodes scans for a network of codes, where ``space.code`` is "latent"; or none.
        references: Healthy images that scans are compared with, for parts that ask for them; or none.
    """

    _optional_components: ClassVar[list[str]] = list(AUXILIARY_NETWORKS)
    contrast_maps: dict[str, HealthyMaps]
    """What maps of healthy scans of a contrast look like by place."""
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
        contrasts: dict[str, dict[str, Any]] | None = None,
        scope: dict[str, Any] | None = None,
        codec: Any = None,
        references: Any = None,
    ) -> None:
        super().__init__()
        check_contrasts(contrasts)
        self.register_modules(
            network=wrap_network("", {}, network),
            scheduler=scheduler,
            classifier=classifier,
            autoencoder=autoencoder,
            codec=codec,
            references=references,
        )
        space_config = from_dict(SpaceConfig, space or {}, "space.")
        check_neighbours(self.network, space_config.neighbours)
        self.coding = make_coding(space_config, self.network.config.in_channels, codec)
        self.register_to_config(
            noise=noise or {"name": "gaussian"},
            sampler=sampler or {"name": "chain"},
            score=score or {"name": "l1"},
            guidance=guidance,
            space=to_dict(space_config),
            postprocess=to_dict(from_dict(PostprocessConfig, postprocess or {}, "postprocess.")),
            calibration=calibration,
            provenance=provenance or {},
            sequences=None if sequences is None else list(sequences),
            domain=None if domain is None else list(domain),
            contrasts=contrasts,
            scope=scope,
        )
        self.healthy, self.contrast_maps = None, {}
        self.engine, self.memory = Engine(), Memory()
        self.set_progress_bar_config(disable=not sys.stderr.isatty(), desc="slices", leave=False)

    @property
    def networks(self) -> dict[str, Any]:
        """The trained networks that parts may ask for, by name."""
        networks = {name: getattr(self, name) for name in ("network", *AUXILIARY_NETWORKS)}
        return {name: network.eval() for name, network in networks.items() if network is not None}

    @property
    def method(self) -> Method:
        """The parts of the model's own method."""
        return Method.of(self.config)

    @property
    def supervision(self) -> str:
        """What it was given in training, see ``SUPERVISIONS``; "not stated" of models that do not say."""
        return str(dict(self.config.provenance or {}).get("supervision", "not stated"))

    @property
    def backbone(self) -> str | None:
        """Name of the network of features that was trained elsewhere; none where there is none."""
        return self.network.backbone if isinstance(self.network, Detector) else None

    def detect(self, x: Tensor, mask: Tensor) -> Detection:
        """Find anomalies in a batch of slices or volumes in the space of the network, as a detector does.

        Args:
            x: Scans, (B, C, *S), in [0, 1].
            mask: Brain masks, (B, 1, *S).
        """
        output = self(x, mask, threshold=0.0)
        return Detection(output.anomaly_map, output.reconstruction)

    def adapt_to(self, contrast: str) -> AnomalyPipeline:
        """Return the pipeline with what it sets for a contrast; itself where it sets nothing for that.

        Args:
            contrast: A name, as ``find_contrast`` returns it.
        """
        return adapt_pipeline(self, contrast)

    def detector(
        self,
        method: Method | None = None,
        *,
        seed: int = 0,
        batch_size: int = 8,
        precision: str = "fp32",
        progress: Callable[[int], Any] = lambda count: None,
    ) -> DetectorRun:
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
        parts = (method or Method()).over(self.method)
        return assemble_detector(self, parts, seed, batch_size, precision, progress)

    @torch.no_grad()
    def __call__(
        self,
        scan: Any,
        mask: Any = None,
        *,
        sampler: PartSpec | None = None,
        score: PartSpec | None = None,
        noise: PartSpec | None = None,
        guidance: PartSpec | None = None,
        region: Any = None,
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
        generator: torch.Generator | None = None,
        num_inference_steps: int | None = None,
    ) -> AnomalyOutput:
        """Find anomalies in a scan.

        Args:
            scan: A NIfTI path or nibabel image (or a list, one per sequence), a Volume, a tensor or array
                (B, C, *S) in [0, 1], or one slice as a PNG path, a Pillow image or an array (H, W).
            mask: Brain mask, in any of these forms on the grid of the scan, or an array (I, J, K); by default
                the scan's non-zero voxels, which suits skull-stripped scans.
            sampler: Another sampler than the model's own, by name with options.
            score: Another score than the model's own, by name with options.
            noise: Another noise than the model's own, by name with options.
            guidance: Another guidance than the model's own, by name with options.
            region: Where the reconstruction may differ from the scan, for samplers that change a region only:
                as a mask is given, or a tensor (B, 1, *S) in [0, 1]; none leaves it to the sampler.
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
            precision: "fp32", "bf16", "fp16", "int8" (of an engine), or "auto" for bf16 where it is native.
            mask_threshold: What of the mask lies above it is brain; none takes 0, or .5 of probabilities.
            strict: Refuse a scan outside what the model knows, rather than warn.
            keep_small: Keep detections that are no larger than what healthy heads have, which a calibrated
                model drops, see ``postprocess.clusters``.
            generator: Draws the seed, as diffusers has it; ``info["seed"]`` says which. Not with ``seed``.
            num_inference_steps: The option ``steps`` of the sampler, by the name of diffusers.

        Returns:
            Maps, reconstruction, detections and score on the scan's own grid; what a reader should know of
            the scan and its result is in ``info["warnings"]``.

        Raises:
            TypeError: If the scan is nothing that a scan can be.
            ValueError: If the scan, the mask or an option cannot be used.
            DomainError: If the scan is outside what the model knows, and ``strict``.
        """
        start = time.perf_counter()
        check_threshold_option(threshold)
        seed = draw_seed(seed, generator)
        channels, names = self.channels, self.config.sequences
        source = read_input(scan, mask, region, channels, names, mask_threshold)
        contrast = ScanContrast.of_source(source) if self.config.contrasts else ScanContrast()
        view = self.adapt_to(contrast.choice)
        method = set_steps(Method(noise, sampler, score, guidance).over(view.method), num_inference_steps)
        space = from_dict(SpaceConfig, dict(view.config.space))
        cuts, selection = plan_slices(source, view.config, axes, slices, fusion, noise_across)
        domain = check_domain(source, view.config).explain(contrast.cause).add_reasons(selection.reasons)
        domain = domain.require(source.name, strict)
        windows = measure_windows(source, Space(space))
        stacks = [cut_source(source, axis, cuts, windows, channels, space.neighbours) for axis in cuts.axes]
        with self.progress_bar(total=sum(len(s.image) for cut in stacks for s in cut)) as bar:
            options: dict[str, Any] = {"seed": seed, "batch_size": batch_size, "precision": precision}
            detector = view.detector(method, **options, progress=bar.update)
            results = zip(stacks, [detector(cut) for cut in stacks], cuts.axes, strict=True)
        across = view.config.postprocess["across"]
        maps = fuse_scan_maps([assemble_maps(source, *result, across) for result in results], fusion)
        # a threshold belongs to the maps it was measured on, and other parts make others
        usual = region is None and method == view.method and cuts.usual
        how = (view.config, view.healthy, method, usual, cuts, selection, windows, stacks, domain, maps)
        precision = resolve_precision(precision, self.device, self.engine.name)
        warnings = list_contrast_warnings(contrast, self.config)
        warnings += list_engine_warnings(self.engine, precision, view.config.calibration)
        output = ScanRun(source, *how, warnings).finish(threshold, keep_small, strict)
        output.info |= {
            **({"contrast": contrast.choice} if self.config.contrasts else {}),
            "seed": seed,
            "engine": self.engine.name,
            "precision": precision,
            "seconds": round(time.perf_counter() - start, 3),
        }
        return output

    def __repr__(self) -> str:
        title = f"{type(self).__name__} {name_pipeline(self.config)}"
        return format_facts(title, list_facts(self.config, self.network, self.channels))
