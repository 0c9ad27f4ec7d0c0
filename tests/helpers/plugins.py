"""Parts from outside: what a user's own file may hold, and a process in which it is not known yet."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOISE = '''
"""Noise of one sign for each item."""
import torch
from diffad.registry import NOISES


@NOISES.register("signs")
class SignNoise:
    """Draws +1 or -1 for every pixel."""

    def __init__(self, *, chance: float = 0.5) -> None:
        self.chance = chance

    def __call__(self, like, t=None, *, generator):
        draws = [torch.rand(x.shape, generator=g) < self.chance for x, g in zip(like, generator)]
        return 2 * torch.stack(draws).to(like) - 1
'''
NETWORK = '''
import torch
from diffad.registry import MODELS


@MODELS.register("plain")
class Net(torch.nn.Module):
    """One convolution that knows no level."""

    def __init__(self, width: int = 3) -> None:
        super().__init__()
        self.layer = torch.nn.Conv2d(1, 1, width, padding=width // 2)

    def forward(self, x, labels):
        return self.layer(x)
'''


def write_plugin(path, text=NOISE):
    """Write a plug-in, and return its place."""
    path.write_text(text)
    return path


def run_module(module, *words, cwd=ROOT, path=""):
    """Run ``python -m MODULE WORDS`` in a process of its own."""
    paths = os.pathsep.join(filter(None, [str(ROOT), str(path)]))
    environment = os.environ | {"PYTHONPATH": paths, "DIFFAD_DEBUG": "0"}
    command = [sys.executable, "-m", module, *map(str, words)]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
