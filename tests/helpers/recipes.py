"""The shipped recipes in little: they train for two steps, and compare what is there without a training."""

import yaml

from diffad.config.yaml import merge
from tests.helpers.pages import ROOT

TINY = {"steps": 2, "batch_size": 2, "warmup": 0, "device": "cpu", "mixed_precision": "no", "workers": 0,
        "validate_every": 2, "validate_items": 2, "validate_levels": 2, "checkpoint_every": 2}  # fmt: skip
"""How long a recipe of the stage trains."""


def write_recipes(folder):
    """Write the shipped recipes, with tiny networks that train for two steps."""
    folder.mkdir()
    for path in sorted((ROOT / "configs").glob("*.yaml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        small = shrink_benchmark(values) if path.stem.startswith("benchmark") else shrink(values)
        (folder / path.name).write_text(yaml.safe_dump(small, sort_keys=False))


def shrink(values):
    """Lay the tiny numbers of the variant "smoke" over a recipe and over each of its variants."""
    smoke = (values.get("variants") or {}).get("smoke", {})
    tiny = {key: part for key, part in smoke.items() if key not in ("data", "corrupt")}
    tiny = merge(tiny, {"train": TINY})
    variants = {name: merge(part, tiny) for name, part in (values.pop("variants", None) or {}).items()}
    small = merge(values, tiny)
    if "box" in small.get("sampler", {}) and small.get("space", {}).get("axis") == "volume":
        small["sampler"]["box"] = 16  # the volumes of the stage are 21 voxels wide
    return small | {"variants": variants} if variants else small


def shrink_benchmark(values):
    """Take two slices and one seed, and only what is there without a training."""
    data = values["data"] | {"limit": 2} | ({"size": 32} if "size" in values["data"] else {})
    methods = [method for method in values["methods"] if method.get("pipeline", "/").count("/") == 0]
    few = {"seeds": [0], "resamples": 20, "precision": "fp32", "networks": [], "methods": methods}
    return values | {"data": data} | few
