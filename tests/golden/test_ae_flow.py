"""AE-FLOW: its loss in bits, its score, and what its decoder is fed."""

import pytest
import torch

from diffad.detectors.compare import dissimilarity
from diffad.models.coupling import measure_bits
from diffad.registry import DETECTORS
from diffad.types import DetectorExample


def make_detector(**options):
    torch.manual_seed(0)
    options = {"size": 64, "weights": "random", "stage": 3, "blocks": 2, "channels": [8, 8], **options}
    return DETECTORS.build("ae_flow", **options).eval()


def make_example(x, seen=None):
    mask = torch.ones_like(x)
    return DetectorExample(x if seen is None else seen, x, mask, 0 * mask, torch.zeros(len(x)), [])


@torch.no_grad()
def test_loss_is_half_bits_and_half_error_in_the_published_range():
    detector, x = make_detector(), torch.rand(3, 1, 64, 64)
    z, log_det, x_hat = detector._rebuild(x)
    expected = 0.5 * measure_bits(z, log_det) + 0.5 * (2 * x - 1 - x_hat).square().flatten(1).mean(1)
    torch.testing.assert_close(detector(make_example(x)), expected)
    assert float(x_hat.abs().max()) <= 1


@torch.no_grad()
def test_mean_of_the_map_is_the_published_score():
    """With -log p of a dimension in the place of -p, and 1 - SSIM in that of -SSIM."""
    detector, x = make_detector(), torch.rand(2, 1, 64, 64)
    z, _, x_hat = detector._rebuild(x)
    detection = detector.detect(x, torch.ones_like(x))
    rebuilt = 2 * dissimilarity(x, (x_hat + 1) / 2).flatten(1).mean(1)
    likelihood = make_detector(map="likelihood").detect(x, torch.ones_like(x)).map
    torch.testing.assert_close(
        detection.map.flatten(1).mean(1), 0.9 * likelihood.flatten(1).mean(1) + 0.1 * rebuilt
    )
    assert float(likelihood.mean()) == pytest.approx(float(0.5 * z.square().mean()), rel=1e-5)


@torch.no_grad()
def test_published_map_of_voxels_is_the_residual():
    detector, x = make_detector(map="residual"), torch.rand(2, 1, 64, 64)
    detection = detector.detect(x, torch.ones_like(x))
    torch.testing.assert_close(detection.map, (x - detection.image).abs())


@torch.no_grad()
def test_decoder_is_fed_what_the_flow_makes():
    """With the features themselves it would be an autoencoder beside a flow."""
    detector, x = make_detector(), torch.rand(1, 1, 64, 64)
    before = detector.detect(x, torch.ones_like(x)).image
    detector.flow.list_steps()[-1].shift.add_(1.0)
    assert not torch.allclose(detector.detect(x, torch.ones_like(x)).image, before)


def test_published_sizes_and_shapes():
    from diffad.detectors.ae_flow import DecoderStage
    from diffad.detectors.backbone_networks import ARCHITECTURES
    from diffad.models.coupling import CouplingFlow

    plan = ARCHITECTURES["wide_resnet50"]
    assert (plan.channels[3], 256 // plan.strides[3]) == (1024, 16)
    with torch.device("meta"):
        flow = CouplingFlow(1024, 8, "plain", 256)
        z, log_det = flow(torch.rand(1, 1024, 16, 16))
        for inputs, outputs in ((1024, 512), (512, 256), (256, 64), (64, 3)):
            z = DecoderStage(inputs, outputs, outputs == 3)(z)
    assert sum(p.numel() for block in flow.list_steps() for p in block.network.parameters()) == 8 * 1_443_072
    assert z.shape == (1, 3, 256, 256)
    assert log_det.shape == (1,)


def test_what_was_seen_is_coded_and_the_clean_scan_is_the_target():
    detector, x = make_detector(alpha=0.0), torch.rand(1, 1, 64, 64)
    seen = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        expected = (2 * x - 1 - detector._rebuild(seen)[2]).square().mean()
        assert float(detector(make_example(x, seen))) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 20}, "multiple of 8, and at least 16, got 20"),
        ({"size": 8}, "at least 16, got 8"),
        ({"channels": [8]}, "expected 2 channels of at least 1.* stride of 8, got \\[8\\]"),
        ({"alpha": 1.5}, r"alpha and beta in \[0, 1\]"),
        ({"map": "best"}, "map of score, residual, likelihood, got 'best'"),
        ({"blocks": 0}, "at least 1 block"),
        ({"stage": 9}, r"rising stages of lite0 in 0..7, got \[9\]"),
        ({"subnetwork": "dense"}, "sub-network of plain, residual"),
    ],
)
def test_what_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        make_detector(**options)
