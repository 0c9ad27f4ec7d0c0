"""The examples of docstrings run."""

import ast
import doctest

import pytest
import torch

from diffad import registry
from tests.helpers.pages import ROOT
from tests.helpers.toys import IdentityDenoiser, linear_schedule, white_noise

SOURCES = [path for name in ("diffad", "noise", "samplers") for path in sorted((ROOT / name).rglob("*.py"))]


def list_examples(path):
    """Return the examples of a file, by docstring, as lists of lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    texts = [ast.get_docstring(node) or "" for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    examples = [doctest.DocTestParser().get_examples(text) for text in texts]
    return [[example.source for example in lines] for lines in examples if lines]


EXAMPLES = [
    pytest.param(lines, id=f"{path.relative_to(ROOT)}-{number}")
    for path in SOURCES
    for number, lines in enumerate(list_examples(path))
]


class ToldDenoiser(IdentityDenoiser):
    """A denoiser that may be told a class."""

    null_label = 2


@pytest.fixture
def names(tmp_path, monkeypatch):
    """What the examples take for granted: registries, a scan, its mask, a denoiser, and trained networks."""
    monkeypatch.chdir(tmp_path)
    classifier = registry.MODELS.build("classifier", channels=(8, 16), layers=1, groups=8)
    for folder in ("runs/classifier", "runs/f"):
        classifier.save_pretrained(folder)
    registry.MODELS.build("autoencoder", stem=8, down=(8, 8), up=(8, 8), layers=1).save_pretrained("runs/ae")
    x = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    things = {"x": x, "mask": torch.ones_like(x), "denoiser": ToldDenoiser(linear_schedule())}
    things |= {"noise": white_noise, "generators": [torch.Generator().manual_seed(0)]}
    return things | {name: part for name, part in vars(registry).items() if name.isupper()}


def test_there_are_examples():
    assert len(EXAMPLES) > 10


@pytest.mark.parametrize("lines", EXAMPLES)
def test_example_runs(lines, names):
    for line in lines:
        exec(line, names)
