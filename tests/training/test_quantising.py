"""Training of codecs with a codebook."""

import json
import math

import pytest
import torch

from diffad import AnomalyPipeline
from diffad.config import ConfigError
from diffad.models.autoencoder_vq import AutoencoderVQ
from diffad.models.auxiliary import load_network
from diffad.registry import MODELS
from diffad.training.quantising import measure_commitment, measure_usage
from diffad.training.run import train
from tests.training.test_objectives import log_of

CODEC = {"name": "autoencoder_vq", "channels": [8, 8], "latent": 3, "layers": 1, "groups": 4}
COMPRESS = ["task=compress", "noise={name: gaussian}", "train.lr=0.003"]
NETWORK = "model={name: unet2d, in_channels: 3, out_channels: 3, channels: [8], layers: 1, attention: false}"


def ask_for(entries):
    options = ", ".join(f"{key}: {value}" for key, value in CODEC.items())
    return f"model={{{options}, entries: {entries}, attention: false}}"


def test_codec_is_trained_and_says_how_much_of_its_codebook_is_used(small, tmp_path, capsys):
    folder = train(small(*COMPRESS, ask_for(64), "name=codec", "train.steps=12"))
    rows = [row for row in log_of(tmp_path / "runs" / "codec") if "val_loss" in row]
    assert rows[-1]["val_loss"] < rows[0]["val_loss"]
    used = rows[-1]["codebook_used"]
    assert 1 / 64 <= used <= 1
    assert 1 <= rows[-1]["codebook_perplexity"] <= 64 * used
    codec = load_network(folder)
    assert isinstance(codec, AutoencoderVQ)
    assert not list(folder.rglob("*.bin"))
    held_out = json.loads((folder / "training.json").read_text())["held_out"]
    assert held_out["code_std"] == pytest.approx(1, abs=1e-3)
    dead = round(64 * (1 - held_out["codebook_used"]))
    assert dead > 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"warning: dead codes: {dead} of the 64 entries of the codebook are used by none of" in said


def test_network_is_trained_on_codes_of_a_codebook_and_finds(small, tmp_path):
    codec = train(small(*COMPRESS, ask_for(8), "name=codec", "train.steps=4"))
    latent = ["space.code=latent", f"networks.codec={codec}", NETWORK, "noise={name: gaussian}"]
    pipe = AnomalyPipeline.from_pretrained(train(small(*latent, "train.steps=2")))
    assert isinstance(pipe.codec, AutoencoderVQ)
    x = torch.rand(2, 1, 16, 16) * 0.5 + 0.2
    found = pipe(x)
    assert found.anomaly_map.max() > 0
    again = AnomalyPipeline.from_pretrained(tmp_path / "runs" / "smoke" / "pipeline")
    assert torch.equal(again(x).anomaly_map, found.anomaly_map)


def test_commitment_weighs_the_latents_by_beta():
    latents, entries = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    distance = (latents - entries).square().mean((1, 2, 3))
    torch.testing.assert_close(measure_commitment(latents, entries, 0.25), 1.25 * distance)
    for beta in (0.0, 0.5):
        h, e = latents.clone().requires_grad_(), entries.clone().requires_grad_()
        measure_commitment(h, e, beta).sum().backward()
        torch.testing.assert_close(h.grad, -beta * e.grad)


def test_usage_of_a_codebook():
    assert measure_usage(torch.tensor([5, 5, 5, 5])) == pytest.approx((1.0, 4.0))
    assert measure_usage(torch.tensor([7, 0, 0, 0])) == pytest.approx((0.25, 1.0))
    share, perplexity = measure_usage(torch.tensor([3, 1, 0, 0]))
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert (share, perplexity) == pytest.approx((0.5, math.exp(entropy)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dims": 3}, "AutoencoderVQ expected dims of 2, got 3; autoencoder_kl has a network of volumes"),
        ({"entries": 1}, "entries of at least 2, got 1, 3, 1 and 1"),
        ({"groups": 3}, "expected widths divisible by groups = 3"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MODELS.build(**CODEC | options)


def test_compressing_asks_for_a_codec(small):
    with pytest.raises(ConfigError, match=r"expected a codec with task compress, such as .* found 'unet2d'"):
        train(small(*COMPRESS, "model={name: unet2d, channels: [8], layers: 1, attention: false}"))
