"""The classifier of clean images: what it sees, and what it refuses."""

import pytest
import torch
from monai.networks.nets import resnet50

from diffad.models.resnet import ResNet
from diffad.registry import GUIDANCES, SALIENCIES
from tests.helpers.toys import GaussianDenoiser

SMALL = {"depth": 10, "planes": 8}
CLEAN = torch.tensor([-1, -1])


def network(**options):
    torch.manual_seed(0)
    return ResNet(**{**SMALL, **options}).eval()


@torch.no_grad()
def test_it_is_the_resnet_50_of_monai_on_images_in_0_to_1():
    ours, x = network(in_channels=4, depth=50, planes=64), torch.rand(2, 4, 40, 33)
    options = {"spatial_dims": 2, "n_input_channels": 4, "num_classes": 2, "conv1_t_stride": 2}
    theirs = resnet50(**options, bias_downsample=False).eval()
    theirs.load_state_dict(ours.encoder.resnet.state_dict())
    torch.testing.assert_close(ours(2 * x - 1, CLEAN), theirs(x), rtol=0, atol=1e-5)


@torch.no_grad()
def test_intensities_beyond_the_range_count_as_they_are():
    """An autoencoder answers beyond [0, 1], and a gradient must lead back from there."""
    built, x = network(), torch.full((1, 1, 32, 32), 1.0)
    assert not torch.allclose(built(x, CLEAN[:1]), built(1.5 * x, CLEAN[:1]))


def test_noisy_images_raise_and_name_the_level():
    x = torch.zeros(2, 1, 32, 32)
    with pytest.raises(ValueError, match=r"clean images, at level 0 \(train.levels = \[0, 0\]\).* level 8: "):
        network()(x, torch.tensor([-1, 7]))
    guided = GUIDANCES.build("classifier", classifier=network())(GaussianDenoiser())
    with pytest.raises(ValueError, match="the network 'classifier' knows noise"):
        guided(x, torch.tensor(5))


@pytest.mark.parametrize("classes", [0, 1])
def test_less_than_two_classes_raise(classes):
    with pytest.raises(ValueError, match="ResNet expected classes of at least 2"):
        network(classes=classes)


@pytest.mark.parametrize("name", ["gradient", "counterfactual"])
def test_saliencies_ask_it(name):
    class Plain(torch.nn.Module):
        def encode(self, x):
            return x

        def decode(self, z, size=None):
            return z

    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    more = {"autoencoder": Plain()} if name == "counterfactual" else {}
    found = SALIENCIES.build(name, classifier=network(), steps=2, **more)(x)
    assert found.shape == x.shape
    assert found.max() > 0


@pytest.mark.parametrize("dims", [2, 3])
def test_a_single_small_image_is_refused_in_training_in_one_sentence(dims):
    x, label = torch.zeros(1, 1, *[32] * dims), torch.tensor([-1])
    with pytest.raises(ValueError, match=r"expected at least 2 images in a training batch, .* got 1: "):
        network(dims=dims).train()(x, label)
    assert network(dims=dims)(x, label).shape == (1, 2)
    assert network(dims=dims, norm="group").train()(x, label).shape == (1, 2)
    assert network(dims=dims).train()(torch.zeros(1, 1, 33, *[32] * (dims - 1)), label).shape == (1, 2)
