"""Counterfactuals in a latent space: what changes when a classifier is to think otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from einops import rearrange, reduce, repeat
from torch import Tensor
from torch.nn.functional import cross_entropy

from diffad.registry import SALIENCIES
from diffad.saliency.base import check_scan, enable_gradients, map_in_parts, mask_maps, scale_by_peak
from diffad.saliency.networks import NetworkSaliency, compute_logits


@SALIENCIES.register("counterfactual")
class Counterfactual(NetworkSaliency):
    r"""Moves the latent of a scan to where each class is likelier, and shows what that changes.

    .. math:: z \leftarrow z - \eta \nabla_z \big[ \mathrm{CE}(f(D(z)), c) + w \,
        \mathrm{mean} |z - z_0| \big], \quad z_0 = E(x)

    .. math:: S_c = \frac{|D(z_0) - D(z_c)|}{\max |D(z_0) - D(z_c)|}, \quad
        S = \frac{\sum_c S_c}{\max \sum_c S_c}

    Published steps are tiny: the second term moves a number of the latent by :math:`\eta w / n` at most, for
    latents of :math:`n` numbers. The map is thus close to the first step's, and no larger image edit.

    Args:
        steps: Steps of gradient descent.
        rate: Their rate :math:`\eta`.
        weight: Weight :math:`w` of the distance.
        targets: Classes :math:`c`, each with a latent of its own.
        classifier: The network :math:`f`, or its folder; none takes that of the pipeline.
        autoencoder: The network :math:`(E, D)` with ``encode(x)`` and ``decode(z, size=S)``, or its folder;
            none takes that of the pipeline.
        level: Level at which the classifier is asked; 0 is clean.
        double: Compute in double precision, several times dearer, for classifiers so certain that what their
            gradients change is lost in the rounding of the single one.

    Raises:
        ValueError: If an option is out of range; on call, if a network is missing or does not fit, or the
            descent leaves the finite numbers.

    Reference:
        Diffusion Models for Counterfactual Generation and Anomaly Detection in Brain Images (Fontanella et
        al., IEEE TMI 2024), after ACAT (Fontanella et al., ICML 2023).

    Example:
        >>> look = SALIENCIES.build("counterfactual", classifier="runs/f", autoencoder="runs/ae")
        >>> S = look(x, mask)
    """

    needs = ("classifier", "autoencoder")

    def __init__(
        self,
        steps: int = 20,
        rate: float = 0.001,
        weight: float = 100.0,
        targets: Sequence[int] = (1, 0),
        classifier: Any = None,
        autoencoder: Any = None,
        level: int = 0,
        double: bool = False,
    ) -> None:
        _check(steps, rate, weight, targets, level)
        self.steps, self.rate, self.weight, self.targets = steps, rate, weight, targets
        self.classifier, self.autoencoder, self.level, self.double = classifier, autoencoder, level, double

    def __call__(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the map (B, C, *S) of ``x`` (B, C, *S) in [0, 1]; zero outside ``mask`` (B, 1, *S)."""
        x = check_scan(x, mask)
        changes = [scale_by_peak(mask_maps(change, mask)) for change in self.changes(x)]
        return scale_by_peak(torch.stack(changes).sum(0)).to(x.dtype)

    def changes(self, x: Tensor) -> list[Tensor]:
        r"""Return what each target changes of ``x`` (B, C, *S) in [0, 1]: :math:`|D(z_0) - D(z_c)|`."""
        return list(map_in_parts(x, self._compute_changes))

    def _compute_changes(self, x: Tensor) -> Tensor:
        """Return the changes of all targets, (k, B, C, *S)."""
        with enable_gradients(x.device):
            x = x.clone().to(torch.float64 if self.double else x.dtype)
            autoencoder, size = self.get_network("autoencoder", x), tuple(x.shape[2:])

            def decode(z: Tensor) -> Tensor:
                return autoencoder.decode(z, size=size)

            with torch.no_grad():
                z0 = autoencoder.encode(x)
                reconstruction = decode(z0)
            z = self._descend(repeat(z0, "b ... -> (k b) ...", k=len(self.targets)), decode)
            with torch.no_grad():
                edited_images = rearrange(decode(z), "(k b) ... -> k b ...", b=len(x))
        return (reconstruction - edited_images).abs()

    def _descend(self, z0: Tensor, decode: Callable[[Tensor], Tensor]) -> Tensor:
        """Descend from the stack "(k b)" of latents, (k b, Z, *L), one target after the other."""
        classifier = self.get_network("classifier", z0)
        targets = repeat(
            torch.tensor(self.targets, device=z0.device), "k -> (k b)", b=len(z0) // len(self.targets)
        )
        z = z0.clone()
        for step in range(self.steps):
            z.requires_grad_()
            logits = compute_logits(classifier, decode(z), self.level, max(self.targets))
            distance = reduce((z - z0).abs(), "b ... -> b", "mean")
            # summed, so that no item depends on another
            loss = (cross_entropy(logits, targets, reduction="none") + self.weight * distance).sum()
            (gradient,) = torch.autograd.grad(loss, z)
            z = z.detach() - self.rate * gradient
            if not z.isfinite().all():
                raise ValueError(f"expected finite latents, got others in step {step + 1}; try a lower rate")
        return z


def _check(steps: int, rate: float, weight: float, targets: Sequence[int], level: int) -> None:
    if steps < 1 or level < 0:
        raise ValueError(f"expected steps of at least 1 and level of at least 0, got {steps} and {level}")
    if not 0 < rate < math.inf or not 0 <= weight < math.inf:
        raise ValueError(f"expected rate > 0 and weight >= 0, both finite, got {rate} and {weight}")
    if not targets or min(targets) < 0:
        raise ValueError(f"expected targets, each a class of at least 0, got {targets}")
