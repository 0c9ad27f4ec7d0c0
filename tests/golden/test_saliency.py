"""Facts about the saliency of Fontanella et al. (2024), against loops that are written out."""

import copy
from itertools import pairwise

import pytest
import torch
import torch.nn.functional as F

from diffad.models.autoencoder import Autoencoder
from diffad.models.classifier import Classifier
from diffad.registry import SALIENCIES


@pytest.fixture(scope="module")
def networks():
    torch.manual_seed(0)
    autoencoder = Autoencoder(in_channels=2, stem=6, down=(4, 6), up=(6, 4), layers=1).eval()
    classifier = Classifier(in_channels=2, channels=(8, 8), layers=1, groups=4, attention=False).eval()
    for weights in classifier.parameters():
        if not weights.any():
            torch.nn.init.normal_(weights, std=0.3)
    return {"autoencoder": autoencoder, "classifier": classifier}


@pytest.fixture
def x(generators):
    return torch.rand(3, 2, 10, 9, generator=generators(3)[0])


def by_hand(x, autoencoder, classifier, steps, rate, weight):
    """Every item and target on its own, one formula a line."""
    maps = []
    for item in x.double().split(1):
        z0 = autoencoder.encode(item).detach()
        total = 0
        for target in (1, 0):
            z = z0.clone()
            for _ in range(steps):
                z = z.detach().requires_grad_()
                image = autoencoder.decode(z, size=item.shape[2:])
                logits = classifier(2 * image - 1, torch.tensor([-1]))
                loss = F.cross_entropy(logits, torch.tensor([target])) + weight * (z - z0).abs().mean()
                loss.backward()
                z = z.detach() - rate * z.grad
            change = (
                autoencoder.decode(z0, size=item.shape[2:]) - autoencoder.decode(z, size=item.shape[2:])
            ).abs()
            total = total + change / change.max()
        total = total / 2
        maps.append(total / total.max())
    return torch.cat(maps).detach().float()


# The distance pushes latents to and fro over their start, and single precision decides some of it otherwise.
@pytest.mark.parametrize(("double", "tolerance"), [(True, 1e-4), (False, 0.1)])
@pytest.mark.parametrize(("steps", "rate"), [(20, 0.001), (5, 0.1)])
def test_saliency_is_that_of_a_loop_over_items_and_targets(networks, x, steps, rate, double, tolerance):
    options = {"steps": steps, "rate": rate, "double": double}
    result = SALIENCIES.build("counterfactual", **options, **networks)(x)
    wide = {name: copy.deepcopy(network).double() for name, network in networks.items()}
    torch.testing.assert_close(
        result, by_hand(x, **wide, steps=steps, rate=rate, weight=100.0), rtol=0, atol=tolerance
    )


def test_distance_moves_each_latent_by_a_known_bound(networks, x, monkeypatch):
    latents = []
    autoencoder = networks["autoencoder"]
    decode = autoencoder.decode

    class Watched(torch.nn.Module):
        encode = staticmethod(autoencoder.encode)

        def decode(self, z, size=None):
            latents.append(z.detach().clone())
            return decode(z, size=size)

    def indifferent(image, labels):
        # worth nothing to the gradient but a first push off the start, where the distance has none
        return torch.stack([image.flatten(1).sum(1) * 1e-9, image.flatten(1).sum(1) * 0], 1)

    options = {"steps": 4, "rate": 0.001, "weight": 100.0, "double": False, "targets": (1,)}
    SALIENCIES.build("counterfactual", classifier=indifferent, autoencoder=Watched(), **options)(x[:1])
    moves = [(b - a).abs().max() for a, b in pairwise(latents[1:])]
    bound = 0.001 * 100 / latents[0][0].numel()
    assert len(moves) == 4
    assert max(moves) <= bound * 1.01
    assert max(moves[1:]) >= bound * 0.5


def test_published_bound_is_a_millionth():
    look, latents = SALIENCIES.build("counterfactual"), 16 * 64 * 64
    assert look.rate * look.weight / latents == pytest.approx(1.5e-6, rel=0.02)
