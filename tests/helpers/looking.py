"""Networks whose answers are known, for saliencies to look through."""

import torch
from torch import nn


class Sums(nn.Module):
    r"""Classifies a scan by weighted sums of its voxels: logit k is :math:`\sum w_k x`."""

    def __init__(self, weights=((0.0,), (1.0,)), curve=lambda v: v):
        super().__init__()
        self.weights, self.curve, self.labels = torch.tensor(weights), curve, []

    def forward(self, x, labels):
        self.labels += labels.tolist()
        # one after the other, as the order of a sum must not hang on the batch
        return torch.stack([torch.stack([self.logit(item, w) for w in self.weights]) for item in x])

    def logit(self, item, w):
        """Weigh the channels of ``item`` (C, *S), and its half along the last axis, so that places differ."""
        ramp = torch.linspace(0.5, 1.5, item.shape[-1], dtype=item.dtype)
        return (self.curve(item * ramp).flatten(1).sum(1) * w.to(item.dtype)[0]).sum()


class Half(nn.Module):
    """Halves a scan, and brings it back but for a remainder that is lost."""

    def encode(self, x):
        return 0.5 * x

    def decode(self, z, size=None):
        return 2 * z * (1 - 0.1 * z)

    def forward(self, x):
        return self.decode(self.encode(x), size=x.shape[2:])


def squares():
    """A classifier that is no line."""
    return Sums(curve=lambda v: v + v**2 / 3)
