"""Training configs from strangers: mutated as values and as text, loaded, and their parts built."""

import random
from importlib import resources

import torch
import yaml

from diffad.config import list_configs, load
from diffad.config.yaml import read_yaml
from diffad.registry import GUIDANCES, NOISES, SAMPLERS, SCORES
from diffad.training.parts import build_network, build_part, build_scheduler
from tests.fuzz.mutations import get_value, mutate_bytes, mutate_tree, places

TAGS = ("!!bool x", "!!int x", "!!float x", "!!timestamp x", "!!binary x", "!!python/object:os.system {}")
SYNTAX = ("&a [*a]", "*missing", "? [a]", "{[1]: 2}", "<<: {}", "%YAML 9.9", "---", "...", "\t", "@", "`")
NUMBERS = ("2001-99-99", "1:2:99", "0x", "0b2", "9" * 5000, ".inf", ".nan", "1e99999")
SNIPPETS = (*TAGS, *SYNTAX, *NUMBERS, "!!set {a, b}", "!!omap [a: 1]")


def bomb(rng):
    """Return an alias bomb of some levels and aliases a level."""
    depth, width = rng.choice((3, 7, 9, 25)), rng.choice((2, 9, 30))
    kind = rng.choice(("list", "map"))
    lines = ["x0: &x0 {name: gaussian}"]
    for i in range(1, depth):
        aliases = [f"*x{i - 1}"] * width
        inner = ", ".join(aliases if kind == "list" else (f"k{j}: {a}" for j, a in enumerate(aliases)))
        lines.append(f"x{i}: &x{i} " + (f"[{inner}]" if kind == "list" else f"{{name: x, {inner}}}"))
    return "\n".join(lines) + f"\nnoise: {{name: gaussian, offset: *x{depth - 1}}}\n"


class YamlTarget:
    """Every shipped training config, in its smallest variant."""

    names_file = False  # its parts are built one by one, as words on a command line are

    def prepare(self):
        """Read the shipped configs as values and as text."""
        folder = resources.files("diffad.configs")
        self.texts = [(folder / f"{name}.yaml").read_text(encoding="utf-8") for name in list_configs()]
        self.trees = [yaml.safe_load(text) for text in self.texts]
        for name in list_configs():
            build_parts(load(name))

    def mutate(self, rng, folder):
        """Write ``config.yaml``."""
        kind = rng.choice(("tree", "tree", "tree", "tree", "text", "snippet", "bomb", "nest"))
        text, change = getattr(self, f"_mutate_{kind}")(rng)
        (folder / "config.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return f"{kind}: {change}"

    def _mutate_tree(self, rng):
        tree, changes = rng.choice(self.trees), []
        for _ in range(rng.choice((1, 1, 2, 4))):
            tree, change = mutate_tree(rng, tree)
            changes.append(change)
        return yaml.safe_dump(tree, sort_keys=False), "; ".join(changes)

    def _mutate_text(self, rng):
        return mutate_bytes(rng, rng.choice(self.texts).encode())

    def _mutate_snippet(self, rng):
        tree = rng.choice(self.trees)
        path, snippet = rng.choice(places(tree)[1:]), rng.choice(SNIPPETS)
        marker = f"MARK{random.Random(0).random()}"
        tree = yaml.safe_load(yaml.safe_dump(tree))
        get_value(tree, path[:-1])[path[-1]] = marker
        return yaml.safe_dump(tree, sort_keys=False).replace(marker, snippet), f"{snippet[:40]} at {path}"

    def _mutate_bomb(self, rng):
        text = bomb(rng)
        return f"{rng.choice(self.texts)}\n{text}" if rng.random() < 0.5 else text, "bomb"

    def _mutate_nest(self, rng):
        opening, closing = rng.choice((("[", "]"), ("{a: ", "}"), ("- ", ""), ("? ", "")))
        depth = rng.choice((10, 100, 1000, 50_000))
        text = f"noise: \n  {opening * depth}1{closing * depth}\n"
        return f"{rng.choice(self.texts)}\n{text}" if rng.random() < 0.5 else text, f"{depth} x {opening}"

    def feed(self, folder):
        """Load the config, also with a variant and a change, and build its parts."""
        path = folder / "config.yaml"
        config = load(path)
        build_parts(config)
        for name in read_yaml(path).get("variants") or {}:
            build_parts(load(path, [f"variant={name}"]))
        load(path, [f"noise={path.read_text(encoding='utf-8')[:2000]}"])


def build_parts(config):
    """Build all that a run of the config would, but its data; the network without its weights."""
    build_part(NOISES, config.noise, "noise")
    build_part(SAMPLERS, config.sampler, "sampler")
    build_part(SCORES, config.score, "score")
    if config.guidance:
        build_part(GUIDANCES, config.guidance, "guidance")
    build_scheduler(config)
    with torch.device("meta"):
        build_network(config)
