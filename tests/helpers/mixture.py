"""A Gaussian mixture of small images, healthy and diseased, of which every answer is known in closed form.

.. math::
    p(x_0) = \\sum_k w_k N(x_0; m_k, s^2), \\quad p(x_t) = \\sum_k w_k N(x_t; \\alpha m_k, v_t), \\quad
    v_t = \\alpha^2 s^2 + \\sigma^2
"""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from einops import rearrange, repeat
from torch import nn

from diffad.schedule import Schedule
from tests.helpers.toys import Toy, linear_schedule

HEALTHY, DISEASED, NULL = 0, 1, 2
SD = 0.05
"""Spread of a voxel around its template, in [0, 1]."""


@dataclass(frozen=True)
class Blobs:
    """Templates in [0, 1], and where their lesions are.

    healthy (N, C, S, S); diseased (N L, C, S, S), L lesions of one healthy template after the other;
    lesions (N L, 1, S, S), bool.
    """

    healthy: torch.Tensor
    diseased: torch.Tensor
    lesions: torch.Tensor

    @property
    def twins(self):
        """Healthy template of each diseased one, (N L, C, S, S)."""
        return repeat(self.healthy, "n ... -> (n l) ...", l=len(self.diseased) // len(self.healthy))


def blobs(count=60, lesions=8, size=16, channels=1, seed=0):
    """Draw heads: a bright ellipse with a dark centre, and lesions as bright discs somewhere in it."""
    draw = torch.Generator().manual_seed(seed)
    axis = torch.linspace(-1, 1, size, dtype=torch.float64)
    i, j = torch.meshgrid(axis, axis, indexing="ij")

    def uniform(low, high, *shape):
        values = torch.rand(*shape, generator=draw, dtype=torch.float64) * (high - low) + low
        return values[..., None, None]

    def ellipse(centre, radii, sharpness):
        distance = ((i - centre[0]) / radii[0]) ** 2 + ((j - centre[1]) / radii[1]) ** 2
        return torch.sigmoid(sharpness * (1 - distance))

    head = ellipse(uniform(-0.1, 0.1, 2, count), uniform(0.7, 0.9, 2, count), 6)
    inner = ellipse(uniform(-0.1, 0.1, 2, count), uniform(0.15, 0.3, 2, count), 3)
    plain = uniform(0.4, 0.55, count) * head - 0.25 * head * inner
    at = uniform(-0.5, 0.5, 2, count * lesions)
    discs = ((i - at[0]) ** 2 + (j - at[1]) ** 2 < (2.2 * 2 / (size - 1)) ** 2)[:, None]
    contrast = torch.linspace(1, 0.6, channels, dtype=torch.float64)[:, None, None]
    healthy = plain[:, None] * contrast
    diseased = repeat(healthy, "n ... -> (n l) ...", l=lesions) + 0.35 * contrast * discs
    return Blobs(healthy, diseased, discs)


def model(x):
    """Bring [0, 1] to the range of the samplers, [-1, 1]."""
    return 2 * x - 1


def public(x):
    """Bring [-1, 1] back to [0, 1]."""
    return (x + 1) / 2


def drawn(templates, seed=0, sd=SD):
    """Draw one image of each template, in [0, 1]."""
    noise = torch.randn(templates.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return templates + sd * noise


@dataclass(frozen=True)
class Mixture:
    """The mixture in model space: means (K, C, *S) in [-1, 1], classes (K,), weights (K,), spread s there."""

    means: torch.Tensor
    classes: torch.Tensor
    weights: torch.Tensor
    sd: float
    schedule: Schedule

    def log_joint(self, x_t, t):
        """Return log w_k + log N(x_t; alpha m_k, v_t) up to what is the same for all k, (B, K)."""
        x, means, alpha, variance = self._at(x_t, t)
        squares = (x**2).sum(1)[:, None] - 2 * alpha * x @ means.T + alpha**2 * (means**2).sum(1)
        return self.weights.log() - squares / (2 * variance)

    def log_classes(self, x_t, t):
        """Return log p(y | x_t), (B, number of classes)."""
        joint = self.log_joint(x_t, t)
        each = [joint[:, self.classes == y].logsumexp(1) for y in range(int(self.classes.max()) + 1)]
        return torch.stack(each, 1).log_softmax(1)

    def clean(self, x_t, t, y=None):
        """Return E[x_0 | x_t], or E[x_0 | x_t, y] for y (B,) where y is a class and not NULL."""
        x, means, alpha, variance = self._at(x_t, t)
        joint = self.log_joint(x_t, t)
        if y is not None:
            other = (y[:, None] <= self.classes.max()) & (self.classes != y[:, None])
            joint = joint.masked_fill(other, -torch.inf)
        gain = alpha * self.sd**2 / variance
        mean = joint.softmax(1) @ means
        return (mean + gain * (x - alpha * mean)).reshape(x_t.shape).to(x_t.dtype)

    def only(self, y):
        """Return the mixture of one class."""
        keep = self.classes == y
        weights = self.weights[keep] / self.weights[keep].sum()
        return Mixture(self.means[keep], self.classes[keep], weights, self.sd, self.schedule)

    def _at(self, x_t, t):
        """Flatten states and means, and return alpha and v_t, each () or (B, 1)."""
        abar = self.schedule.alpha_bar(torch.as_tensor(t))
        abar = abar[:, None] if abar.ndim else abar
        x, means = rearrange(x_t.double(), "b ... -> b (...)"), rearrange(self.means, "k ... -> k (...)")
        return x, means, abar.sqrt(), abar * self.sd**2 + 1 - abar


def mixture(templates=None, sd=SD, schedule=None):
    """Build the mixture of Blobs (in [0, 1], like ``sd``); both classes weigh the same."""
    templates = templates or blobs()
    counts = len(templates.healthy), len(templates.diseased)
    classes = torch.tensor([HEALTHY] * counts[0] + [DISEASED] * counts[1])
    weights = torch.tensor([1 / (2 * n) for n in counts for _ in range(n)], dtype=torch.float64)
    means = model(torch.cat([templates.healthy, templates.diseased]))
    return Mixture(means, classes, weights, 2 * sd, schedule or linear_schedule())


class MixtureDenoiser(Toy):
    """E[x_0 | x_t], or E[x_0 | x_t, y] of one class, for all calls or as the condition ``y`` (B,) of one."""

    def __init__(self, templates=None, sd=SD, schedule=None, y=None):
        self.mixture = mixture(templates, sd, schedule)
        super().__init__(self.mixture.schedule)
        self.y = y

    def __call__(self, x_t, t, y=None):
        self.calls += 1
        self.items += x_t.shape[0]
        self.levels += t.expand(x_t.shape[0]).tolist()
        label = self.y if y is None else y
        several = None if label is None else torch.as_tensor(label).expand(len(x_t))
        return self.mixture.clean(x_t, t, several)


class ExactClassifier(nn.Module):
    """log p(y | x_t) as logits (B, 2), differentiable in x_t; labels (B,) are t - 1, -1 for a clean image."""

    def __init__(self, templates=None, sd=SD, schedule=None):
        super().__init__()
        self.mixture = mixture(templates, sd, schedule)
        self.config = SimpleNamespace(classes=2, in_channels=self.mixture.means.shape[1])

    def forward(self, x_t, labels):
        return self.mixture.log_classes(x_t, labels + 1).to(x_t.dtype)
