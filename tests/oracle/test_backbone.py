"""The networks of features against timm and torchvision, where these are installed."""

from importlib.util import find_spec
from itertools import pairwise

import pytest
import torch

THEIRS = {"wide_resnet50": "wide_resnet50_2"}
LIBRARIES: list[torch.library.Library] = []


def import_torchvision():
    """Import torchvision; where its compiled part does not fit, two operators that it needs are declared."""
    if find_spec("torchvision") is None:
        pytest.skip("torchvision is not installed")
    if not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        LIBRARIES.append(library)  # what it declares goes with it
    return pytest.importorskip("torchvision")


def build(name, weights):
    # behind import_torchvision: with a torchvision that does not fit, diffusers cannot be imported before
    from diffad.detectors.backbone_networks import ARCHITECTURES, FeatureNetwork
    from diffad.detectors.backbone_weights import load_published

    network = FeatureNetwork(name, len(ARCHITECTURES[name].channels) - 1).eval()
    load_published(network, weights)
    return network


@pytest.mark.parametrize("name", ["mobilenet_v2", "resnet18", "wide_resnet50"])
def test_networks_of_torchvision(name, tmp_path):
    theirs = getattr(import_torchvision().models, THEIRS.get(name, name))(weights=None).eval()
    for module in theirs.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    torch.save(theirs.state_dict(), tmp_path / "weights.pth")
    x = torch.rand(2, 3, 97, 128)
    ours = build(name, str(tmp_path / "weights.pth"))(x)
    if "resnet" in name:
        stem = torch.nn.Sequential(theirs.conv1, theirs.bn1, theirs.relu, theirs.maxpool)
        stages = [stem, theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4]
    else:
        ends = [0, 1, 2, 4, 7, 11, 14, 17, 18]
        stages = [theirs.features[a:b] for a, b in pairwise(ends)]
    for stage, answer in zip(stages, ours, strict=True):
        x = stage(x)
        torch.testing.assert_close(answer, x)


def test_lite0_of_timm_with_published_weights():
    import_torchvision()
    timm = pytest.importorskip("timm")
    from diffad.detectors.backbone_weights import find_weights

    values = torch.load(find_weights("lite0"), weights_only=True)
    theirs = timm.create_model("tf_efficientnet_lite0").eval()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), values.values(), strict=True)))
    x = torch.rand(2, 3, 97, 128)
    ours = build("lite0", "pretrained")(x)
    for stage, answer in zip(
        [torch.nn.Sequential(theirs.conv_stem, theirs.bn1), *theirs.blocks], ours, strict=True
    ):
        x = stage(x)
        torch.testing.assert_close(answer, x)
