"""Which slices of a scan a pipeline looks at, along which axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from diffad.inference.orientations import Slicing, resolve_axes
from diffad.inference.scan import ScanSource
from diffad.inference.scope import ModelScope
from diffad.inference.slice_range import ALL, AUTO, SliceChoice, SliceSelection, check_slices, choose_slices


def plan_slices(
    source: ScanSource,
    config: Mapping[str, Any],
    axes: Sequence[str] | None,
    slices: SliceChoice,
    fusion: str,
    noise_across: str,
) -> tuple[Slicing, SliceSelection]:
    """Find axes and slices to look at; what a model knows along its own axis holds for no other.

    Args:
        source: The scan.
        config: Settings of the model.
        axes: Planes that were asked for; none for the model's own.
        slices: Slices that were asked for.
        fusion: How maps of several axes become one.
        noise_across: Whether noise is drawn for each slice or for a scan.

    Raises:
        ValueError: If the axes or the slices cannot be used.
    """
    check_slices(slices)
    axis = config["space"]["axis"]
    explicit = None if slices in (AUTO, ALL) else slices
    own_axes = resolve_axes(axes, axis, source.image.ndim == 4, explicit)
    cuts = Slicing(tuple(own_axes), axis, None, fusion, noise_across, axes is not None)
    known_mm = ModelScope.of(config).range_mm if cuts.axes == (cuts.own_axis,) else None
    selection = choose_slices(source, cuts.axes[0], slices, known_mm)
    return replace(cuts, slices=selection.slices), selection
