"""What results follow from: which files, which model, and what is stored with them."""

from __future__ import annotations

import hashlib
import json

from diffad.pipeline import AnomalyPipeline

PLAIN_CODE = ("code", "pixels")
"""Setting of a space that older models do not have; results of theirs stay those of the same model."""


def hash_model(pipe: AnomalyPipeline) -> str:
    """Return a hash of the weights and of all that is stored with them."""
    parts = ("noise", "score", "guidance", "space", "postprocess", "calibration")
    settings = {k: pipe.config[k] for k in parts} | dict(pipe.scheduler.config)
    settings["space"] = {k: v for k, v in settings["space"].items() if (k, v) != PLAIN_CODE}
    if pipe.config.get("scope"):  # which slices it knows decides which are looked at
        settings["scope"] = pipe.config["scope"]
    text = json.dumps(settings, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode())
    if pipe.config.contrasts:
        digest.update(json.dumps(pipe.config.contrasts, sort_keys=True, default=str).encode())
    healthy_maps = [pipe.healthy, *(maps for _, maps in sorted(pipe.contrast_maps.items()))]
    for maps in (maps for maps in healthy_maps if maps is not None):
        digest.update(maps.mean.numpy().tobytes() + maps.sd.numpy().tobytes())
    digest.update(pipe.engine.identity.encode())
    for network in pipe.networks.values():
        for name, weights in sorted(network.state_dict().items()):
            digest.update(name.encode() + weights.cpu().double().numpy().tobytes())
    return digest.hexdigest()
