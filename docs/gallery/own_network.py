"""A network of your own: any torch module that answers for a noisy slice and its level."""

from pathlib import Path

import torch
from torch import Tensor, nn

from diffad import MODELS, AnomalyPipeline
from diffad.config import load
from diffad.data.phantom import PhantomOptions, make_phantoms
from diffad.training.run import train

SPACING = 2.0
SLICES = (46, 48)
STEPS = 300


@MODELS.register("columns")
class ColumnNetwork(nn.Module):
    """Dilated convolutions in a row, which see ever more of the slice.

    Args:
        width: Features of each.
        depth: How many there are.
    """

    def __init__(self, width: int = 24, depth: int = 5) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, width, 3, padding=1)
        self.layers = nn.ModuleList(
            nn.Conv2d(width, width, 3, padding=2**i, dilation=2**i) for i in range(depth)
        )
        self.last = nn.Conv2d(width, 1, 1)

    def forward(self, x_t: Tensor, labels: Tensor) -> Tensor:
        """Answer for ``x_t`` (B, 1, H, W) at the levels less 1, ``labels`` (B,)."""
        level = (labels / 1000).to(x_t.dtype).reshape(-1, 1, 1, 1).expand_as(x_t)
        features = self.first(torch.cat([x_t, level], 1))
        for layer in self.layers:
            features = features + layer(nn.functional.silu(features))
        return self.last(features)


make_phantoms(Path("phantoms"), 10, PhantomOptions(lesioned=0.34, spacing=SPACING))
words = ["variant=smoke", "data.root=phantoms", f"data.slices={list(SLICES)}", f"train.steps={STEPS}"]
words += [
    "train.levels=[1, 300]",
    "sampler={name: oneshot, levels: [100, 200], repeats: 2}",
    "score={name: l1}",
]
words += ["postprocess={median: 3}", "name=columns", "model={name: columns, width: 24}"]
pipe = AnomalyPipeline.from_pretrained(train(load("anoddpm", words)))
print(pipe)

folder = Path("phantoms/test/sub-006/anat")
out = pipe(folder / "sub-006_T1w.nii.gz", folder / "sub-006_desc-brain_mask.nii.gz", slices=SLICES)
print(out)
out.plot().savefig("own_network.png", dpi=50)
# in a config: model: {name: columns, width: 24}, with plugins: [own_network.py]
