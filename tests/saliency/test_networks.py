"""Networks of a saliency: where they come from, where they are, what they are asked."""

import pytest
import torch
from torch import nn

from diffad.capabilities import attach_networks
from diffad.models.autoencoder import Autoencoder
from diffad.models.pretrained import ModelError
from diffad.registry import SALIENCIES
from diffad.saliency.networks import compute_logits, match_precision
from tests.helpers.looking import Half, Sums

X = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0))


def test_network_that_was_given_is_kept_and_others_are_taken():
    mine, theirs = Sums(), Sums()
    assert SALIENCIES.build("gradient", classifier=mine).classifier is mine
    for option, expected in ((mine, mine), (None, theirs)):
        saliency = SALIENCIES.build("gradient", classifier=option)
        attach_networks(saliency, {"classifier": theirs, "network": None})
        assert saliency.classifier is expected


def test_network_is_loaded_from_its_folder(tmp_path):
    network = Autoencoder(stem=4, down=(2, 2), up=(2, 2), groups=1).eval()
    network.save_pretrained(tmp_path)
    result = SALIENCIES.build("autoencoded", autoencoder=str(tmp_path))(X)
    assert torch.equal(result, (X - network(X)).abs().detach())
    with pytest.raises(ModelError, match="absent"):
        SALIENCIES.build("autoencoded", autoencoder=tmp_path / "absent")(X)


def test_narrow_network_is_widened_in_a_copy():
    network = nn.Linear(2, 2).half()
    wide = match_precision(network, X)
    assert wide.weight.dtype == torch.float32
    assert network.weight.dtype == torch.float16
    assert match_precision(wide, X) is wide
    assert match_precision(wide.double(), X) is wide


def test_classifier_sees_the_model_range_and_the_label_below_the_level():
    calls = []

    def classifier(x, labels):
        calls.append((x, labels))
        return torch.zeros(2, 2)

    compute_logits(classifier, X, level=0)
    compute_logits(classifier, X, level=100)
    assert torch.equal(calls[0][0], 2 * X - 1)
    assert [labels.tolist() for _, labels in calls] == [[-1, -1], [99, 99]]


@pytest.mark.parametrize("answer", [torch.zeros(2, 1), torch.zeros(1, 2), torch.zeros(2, 2, 1)])
def test_answer_that_is_not_of_classes_raises(answer):
    with pytest.raises(ValueError, match=r"expected logits \(2, K\) of the classifier, .* got"):
        compute_logits(lambda x, labels: answer, X, 0)


def test_unknown_target_raises():
    look = SALIENCIES.build("counterfactual", targets=(2, 0), classifier=Sums(), autoencoder=Half())
    with pytest.raises(ValueError, match="with K of at least 3"):
        look(X)
