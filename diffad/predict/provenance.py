"""What results follow from: which files, which model, and what is stored with them."""

from __future__ import annotations

import hashlib
import json

from diffad.pipeline import AnomalyPipeline


def hash_model(pipe: AnomalyPipeline) -> str:
    """Return a hash of the weights and of all that is stored with them."""
    parts = ("noise", "score", "guidance", "space", "postprocess", "calibration")
    settings = {k: pipe.config[k] for k in parts} | dict(pipe.scheduler.config)
    if pipe.config.get("scope"):  # which slices it knows decides which are looked at
        settings["scope"] = pipe.config["scope"]
    text = json.dumps(settings, sort_keys=True, default=str)
    digest = hashlib.sha256(text.encode())
    if pipe.healthy is not None:
        digest.update(pipe.healthy.mean.numpy().tobytes() + pipe.healthy.sd.numpy().tobytes())
    for network in pipe.networks.values():
        for name, weights in sorted(network.state_dict().items()):
            digest.update(name.encode() + weights.cpu().double().numpy().tobytes())
    return digest.hexdigest()
