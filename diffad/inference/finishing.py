"""A finished run over a scan made a result: thresholds, verdict, warnings, and what made it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from diffad.config import SpaceConfig, from_dict
from diffad.data.intensity import IntensityWindow
from diffad.inference.domain import DomainCheck
from diffad.inference.flagged import measure_flagged
from diffad.inference.headline import Coverage, make_headline
from diffad.inference.healthy import HealthyMaps
from diffad.inference.orientations import Slicing
from diffad.inference.output import AnomalyOutput
from diffad.inference.placing import describe_template_map
from diffad.inference.provenance import describe_provenance
from diffad.inference.quality import ScanQuality, measure_scan_quality
from diffad.inference.result import compare_output, cut_maps, list_scan_warnings
from diffad.inference.scan import ScanSource
from diffad.inference.scan_maps import ScanMaps, normalise_maps
from diffad.inference.scan_windows import describe_windows
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import SliceSelection
from diffad.inference.stack import Stack
from diffad.inference.thresholding import describe_floor
from diffad.method import Method


@dataclass(frozen=True)
class ScanRun:
    """A scan, how it was looked at, and its maps.

    Args:
        source: The scan.
        config: Settings of the model, for scans of this contrast.
        healthy: Healthy maps of the model, or none.
        method: Parts that were used.
        usual: Whether the maps are made as those of healthy scans were, so that thresholds hold.
        cuts: Axes and slices.
        selection: Why these slices.
        windows: Intensity window of each item.
        stacks: What was cut, by axis.
        domain: Whether the model knows such scans.
        maps: What came out.
        contrast_warnings: What a reader should know of its contrast.
    """

    source: ScanSource
    config: Mapping[str, Any]
    healthy: HealthyMaps | None
    method: Method
    usual: bool
    cuts: Slicing
    selection: SliceSelection
    windows: Sequence[IntensityWindow]
    stacks: Sequence[Sequence[Stack]]
    domain: DomainCheck
    maps: ScanMaps
    contrast_warnings: Sequence[str] = ()

    def finish(self, threshold: float | str | None, keep_small: bool, strict: bool) -> AnomalyOutput:
        """Cut and judge the maps, and say what made them.

        Args:
            threshold: A number, "otsu", or none for the calibrated one.
            keep_small: Keep detections that are no larger than what healthy heads have.
            strict: Refuse a result that is not credible.

        Raises:
            DomainError: If it is not, and ``strict``.
        """
        post, source = self.config["postprocess"], self.source
        maps, notes = normalise_maps(source, self.maps, self.healthy, post, self.usual)
        calibration = None if notes or not self.usual else self.config["calibration"]
        output = cut_maps(source, maps, threshold, calibration, post, keep_small)
        share = measure_flagged(output, calibration, post["fpr"])
        domain = self.domain.judge(share).require(source.name, strict)
        coverage = Coverage.measure(source.brain, maps.analysed, self.stacks, self.cuts.axes)
        comparison = compare_output(output, calibration, post) if self.selection.slices is None else {}
        quality = ScanQuality(measure_scan_quality(source, self.config["space"]["intensity"]))
        map_warnings = [
            *domain.doubts,
            *(share.list_warnings() if share.is_lump else ()),
            *notes,
            *comparison.get("healthy_scans", {}).get("notes", ()),
        ]
        warnings = [*self._list_warnings(domain), *quality.list_warnings(), *map_warnings]
        scope, is_flagged = ModelScope.of(self.config), bool(output.mask.any())
        verdict = (domain, share, comparison.get("healthy_scans"), is_flagged, quality.flags)
        details = {
            **comparison,
            "nfe": maps.nfe,
            "slices": coverage.slices,
            **describe_provenance(self.config, self.method),
            **self.cuts.to_info(),
            **describe_windows(self.windows),
            **domain.to_info(),
            **quality.to_info(),
            **describe_floor(calibration),
            **describe_template_map(source.brain, source.volume),
            "warnings": list(dict.fromkeys(warnings)),
            "map_warnings": list(dict.fromkeys(map_warnings)),
        }
        output.info = make_headline(scope, coverage, *verdict) | output.info | details
        return output

    def _list_warnings(self, domain: DomainCheck) -> list[str]:
        space = from_dict(SpaceConfig, dict(self.config["space"]))
        warnings = list_scan_warnings(self.source, self.windows, self.cuts, domain, space)
        return [*self.contrast_warnings, *warnings, *self.selection.warnings]
