"""A lesion painted by our own network: a region re-sampled as of another class, given all the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from diffad.denoise import null_label
from diffad.fill.fill import FillOptions, describe_call, drop_map_warnings, find_top_level
from diffad.fill.lesion import FillRegion
from diffad.inference.scan import ScanSource
from diffad.io.stages import run_stage
from diffad.pipeline import AnomalyPipeline
from diffad.synthesise.options import SynthesisOptions, find_start
from diffad.synthesise.result import SynthesisedScan, mark_change


def synthesise_by_class(
    pipe: AnomalyPipeline, source: ScanSource, region: FillRegion, options: SynthesisOptions
) -> SynthesisedScan:
    """Re-sample a region of a scan as a network sees a class, given the brain around it.

    The scan is noised to a level, half of the highest that the network knows by default, and sampled again
    inside the region (RePaint), by classifier-free guidance towards the class where the network takes labels,
    else by the gradient of the classifier of the pipeline.

    Args:
        pipe: The model, of one sequence.
        source: The scan.
        region: Where it may change.
        options: The class, and how strongly.

    Raises:
        ValueError: If the model knows no classes, or not this one, or the scan does not suit it.
    """
    volume = source.volume
    assert volume is not None
    guidance = choose_guidance(pipe, options)
    top = find_top_level(pipe)
    steps = options.inference_steps - find_start(options.inference_steps, options.own_strength)
    level = round(top * options.own_strength)
    image, change, nfe, notes = volume.data[0], np.zeros(volume.data.shape[1:]), 0, list[str]()
    if steps and level:
        moves = FillOptions(steps=min(steps, level), batch_size=options.batch_size)
        call = describe_call(pipe, region, level, moves) | {"guidance": guidance, "seed": options.seed}
        with run_stage("painting"):
            output = pipe(volume, source.brain[0, 0].numpy(), **call)
        image = np.where(region.fill_mask, output.reconstruction[0, 0].numpy(), image).astype(np.float32)
        window = output.info["window"]
        change = (image - volume.data[0]) / (window["upper"][0] - window["lower"][0])
        nfe, notes = int(output.info["nfe"]), drop_map_warnings(output.info)
    label = mark_change(change, region.fill_mask, options.visible)
    facts: dict[str, Any] = {
        "model": str((pipe.config.provenance or {}).get("name", "unnamed")),
        "class": options.label,
    }
    facts |= {"guidance": guidance["name"], "level": level, "steps": min(steps, level), "nfe": nfe}
    warnings = [*source.warnings, *region.warnings, *notes]
    facts["change"] = float(np.abs(change[region.fill_mask]).mean())
    return SynthesisedScan(volume, image, region, label, facts | {"warnings": list(dict.fromkeys(warnings))})


def choose_guidance(pipe: AnomalyPipeline, options: SynthesisOptions) -> dict[str, Any]:
    """Return what steers a pipeline to a class, as a part with its options.

    Raises:
        ValueError: If its network takes no labels and it brings no classifier, or it does not know the class.
    """
    label, network = options.label, pipe.network
    null = null_label(network)
    classes = null if null is not None else getattr(getattr(pipe.classifier, "config", None), "classes", None)
    if classes is None:
        text = "a network without labels, and no classifier"
        name = (pipe.config.provenance or {}).get("name", "the model")
        raise ValueError(
            f"{name}: expected a model that knows classes, as configs/guided.yaml trains, found {text}"
        )
    if label is None or not 0 < label < classes:
        raise ValueError(
            f"label: expected a class in 1..{classes - 1} of the model, got {label}; 0 is healthy"
        )
    if int(network.config.in_channels) != 1:
        raise ValueError(f"expected a model of one sequence, found one of {network.config.in_channels}")
    name = "classifier" if null is None else "classifier_free"
    return {"name": name, "scale": options.own_scale, "target": label}
