"""``reference`` of inversion, fusion and their parts: loops over published indices, written out.

Published indices count from 0, and their arrays hold abar of index i at place i; level t is index t - 1.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from diffad.denoise import NetworkDenoiser
from diffad.registry import GUIDANCES, SAMPLERS, SCORES
from diffad.samplers.fusion import Fusion
from diffad.samplers.inversion import Inversion
from diffad.samplers.streams import SeedStreams
from diffad.types import Reconstruction
from tests.helpers.mixture import (
    DISEASED,
    HEALTHY,
    NULL,
    SD,
    MixtureDenoiser,
    blobs,
    drawn,
    public,
)
from tests.helpers.toys import GaussianDenoiser, KnownNetwork, linear_schedule, recorder, white_noise

BETA = np.linspace(1e-4, 0.02, 1000)
ABAR = np.cumprod(1 - BETA)
L = 40
X = torch.rand(2, 2, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2 - 1
DRAWN = [11, 12]
BLOBS = blobs()
EACH = slice(None, None, 80)
LESION = BLOBS.lesions[EACH]


class Told(KnownNetwork):
    """A network of two classes, of which the state of one is brighter, and a third label of none."""

    null = NULL

    def __call__(self, x_t, labels, y=None):
        self.heard = getattr(self, "heard", [])
        self.heard.append(None if y is None else y.tolist())
        answer = super().__call__(x_t, labels)
        return answer if y is None else answer - 0.1 * (y.reshape(-1, 1, 1, 1) == HEALTHY)


def judge(x_t, labels):
    """Logits whose gradient of log p(0) is known: -.1 p(1) everywhere."""
    found = 0.1 * x_t.flatten(1).sum(1)
    return torch.stack([torch.zeros_like(found), found], 1)


def gradient(x_t):
    return -0.1 * torch.sigmoid(0.1 * x_t.flatten(1).sum(1))[:, None, None, None].expand_as(x_t)


def generators(seeds=DRAWN):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def estimate(eps, x, i):
    """Clamp the clean image of a state taken for index ``i``."""
    return ((x - np.sqrt(1 - ABAR[i]) * eps) / np.sqrt(ABAR[i])).clamp(-1, 1)


def again(x, x_hat, i):
    """Find the noise again that is left beside an estimate."""
    return (x - np.sqrt(ABAR[i]) * x_hat) / np.sqrt(1 - ABAR[i])


def encode(x, predict, highest):
    for i in range(1, highest):
        x_hat = estimate(predict(x, i), x, i)
        x = np.sqrt(ABAR[i + 1]) * x_hat + np.sqrt(1 - ABAR[i + 1]) * again(x, x_hat, i)
    return x


def ddim(x, x_hat, eps, i):
    before = ABAR[i - 1] if i else 1.0
    return np.sqrt(before) * x_hat + np.sqrt(1 - before) * eps


def predicting(network, y=None):
    def predict(x, i):
        labels = torch.full((len(x),), i)
        return network(x, labels) if y is None else network(x, labels, y=torch.full((len(x),), y))

    return predict


@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_reference_of_inversion_is_the_published_loop(scale):
    network, scan = Told(GaussianDenoiser(3.0)), 2 * X
    guided = inner = NetworkDenoiser(network, linear_schedule())
    if scale:
        guided = GUIDANCES.build("classifier", scale=scale, classifier=judge, reference=True)(inner)
    found = Inversion(L, reference=True)(scan, guided, white_noise, generator=generators())
    heard, network.heard = network.heard, []

    predict = predicting(network, HEALTHY if scale else None)
    noise = white_noise(scan, generator=generators())
    x = encode(np.sqrt(ABAR[0]) * scan + np.sqrt(1 - ABAR[0]) * noise, predict, L)
    for i in range(L - 2, -1, -1):
        x_hat = estimate(predict(x, i), x, i)
        eps = again(x, x_hat, i) - scale * np.sqrt(1 - ABAR[i]) * gradient(x)
        moved = (x - np.sqrt(1 - ABAR[i]) * eps) / np.sqrt(ABAR[i])
        x = ddim(x, moved, eps, i)
    torch.testing.assert_close(found.image, x, rtol=0, atol=1e-9)
    assert found.nfe == len(heard) == 2 * (L - 1)
    assert heard == network.heard == [[HEALTHY, HEALTHY] if scale else None] * (2 * (L - 1))


def test_published_settings_cost_998_evaluations_with_labels_1_to_499_and_498_to_0():
    denoiser = GaussianDenoiser()
    found = Inversion(reference=True)(X, denoiser, white_noise, generator=generators())
    assert found.nfe == denoiser.calls == 998
    assert [t - 1 for t in denoiser.levels[:: len(X)]] == [*range(1, 500), *range(498, -1, -1)]
    fused = Fusion(reference=True).restricted_to(torch.ones(2, 1, 6, 5))
    assert fused(X, GaussianDenoiser(), white_noise, generator=generators()).nfe == 499 + 2 * 499


def test_reference_of_fusion_is_the_published_loop():
    network, x = KnownNetwork(GaussianDenoiser(3.0)), 2 * X
    inner, region = NetworkDenoiser(network, linear_schedule()), (X > 0).double()
    options = {"level": L, "per_channel": True, "variance": "fixed_large", "reference": True}
    z, records = {}, []

    def noise(like, t=None, *, generator):
        z[int(t) - 1] = white_noise(like, t, generator=generator)
        return z[int(t) - 1]

    sampler = Fusion(**options).restricted_to(region)
    found = sampler(x, inner, noise, generator=generators(), on_step=records.append)

    predict = predicting(network)
    clamped, u = False, encode(x, predict, L)
    r = u
    torch.testing.assert_close(records[0].x_t, u, rtol=0, atol=1e-10)
    for i in range(L - 2, -1, -1):
        before = ABAR[i - 1] if i else 1.0
        c1 = BETA[i] * np.sqrt(before) / (1 - ABAR[i])
        c2 = (1 - before) * np.sqrt(1 - BETA[i]) / (1 - ABAR[i])
        edited = c1 * estimate(predict(u, i), u, i) + c2 * u
        edited = edited + np.sqrt(BETA[i]) * z[i] if i else edited
        x_hat = estimate(predict(r, i), r, i)
        clamped = clamped or bool((x_hat.abs() == 1).any())
        r = ddim(r, x_hat, again(r, x_hat, i), i)
        u = region * edited + (1 - region) * r
    assert clamped
    assert sorted(z) == list(range(1, L - 1))
    torch.testing.assert_close(found.reference, r, rtol=0, atol=1e-9)
    torch.testing.assert_close(found.image, u, rtol=0, atol=1e-9)
    assert torch.equal(found.image[region == 0], found.reference[region == 0])


def publish_region(saliency):
    """From maps (B, C, H, W) to masks: 8 bits, the 90th percentile of all channels, a blur, above 0."""
    masks = []
    for item in saliency.numpy():
        stored = np.rint(255 * item / item.max()).astype(np.uint8)
        scaled = np.stack([channel / channel.max() for channel in stored.astype(np.float64)])
        kept = scaled * (scaled > np.percentile(scaled, 90))
        masks.append([ndimage.gaussian_filter(c, 1.1, radius=2, mode="mirror") > 0 for c in kept])
    return torch.tensor(np.array(masks))


@pytest.mark.parametrize("with_brain", [False, True])
def test_region_is_that_of_the_published_percentile_and_blur(with_brain):
    x = torch.rand(3, 4, 32, 24, generator=torch.Generator().manual_seed(5), dtype=torch.float64) ** 6
    x[:, 1] *= 0.2
    seen = []

    def saliency(image, mask=None):
        seen.append(mask)
        return image

    brain = torch.zeros(3, 1, 32, 24)
    brain[..., 8:20, 6:18] = 1
    sampler = Fusion(3, saliency=saliency, per_channel=True, reference=True)
    streams = SeedStreams.draw(generators([1, 2, 3]), 3)
    region = sampler._find_region(2 * x - 1, None, None, streams, brain if with_brain else None)
    assert torch.equal(region == 1, publish_region(x))
    assert seen == [None]


def test_map_is_scaled_by_image_and_cut_off_to_8_bits():
    x, x_hat, r = (torch.rand(3, 4, 9, 8, generator=torch.Generator().manual_seed(s)) for s in range(3))
    x_hat[2] = r[2]
    found = SCORES.build("change", channels=0, reference=True)(x, Reconstruction(x_hat, nfe=1, reference=r))
    change = (x_hat - r)[:, 0].abs().numpy()
    for item, scores in zip(change[:2], found[:2, 0].numpy(), strict=True):
        assert np.array_equal(np.rint(255 * scores), np.uint8(item * (1 / item.max()) * 255))
        assert scores.max() >= 254 / 255 - 1e-6  # the reciprocal of the largest value may round down
    assert not found[2].any()  # the published code divides by 0 here
    alone = SCORES.build("change", channels=0, reference=True)(
        x[:1], Reconstruction(x_hat[:1], nfe=1, reference=r[:1])
    )
    assert torch.equal(alone, found[:1])


def test_scale_of_the_map_is_that_of_the_whole_image_not_of_the_brain():
    x, mask = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    x[..., 0, 0], x[..., 2, 2], mask[..., 2:, 2:] = 1.0, 0.5, 1
    twin = Reconstruction(torch.zeros_like(x), nfe=1)
    scores = SCORES.build("change", reference=True)(x, twin, mask)
    assert float(scores.max()) == pytest.approx(127 / 255)


def change(a, b, where=slice(None)):
    return float((a - b).abs()[where].mean())


def exact(y=None):
    """The exact denoiser of images in [0, 1], which is the range of the published networks."""
    denoiser = MixtureDenoiser(BLOBS, y=y)
    means = public(denoiser.mixture.means)
    denoiser.mixture = replace(denoiser.mixture, means=means, sd=SD)
    return denoiser


def test_levels_two_apart_and_noise_at_first_cost_as_much_as_measured_on_the_published_code():
    """Mean errors of .0018 to .0020 aligned, .0037 two apart, and .0080 to .0085 with the noise."""
    x, denoiser = drawn(BLOBS.diseased[EACH]), exact()
    sampler, seeds = Inversion(500, reference=True), range(len(x))
    aligned, apart = (
        change(one.decode(one.encode(x, denoiser), denoiser), x) for one in (Inversion(500), sampler)
    )
    noised = change(sampler(x, denoiser, white_noise, generator=generators(seeds)).image, x)
    assert 0.0018 <= aligned <= 0.0020
    assert apart == pytest.approx(0.0037, abs=1e-4)
    assert noised == pytest.approx(0.0080, rel=0.15)


def test_healthy_network_edits_the_lesion_in_the_faithful_chain_too():
    """A mean change of .041 in the lesion; .0038 of healthy images."""
    denoiser, sick, healthy = exact(HEALTHY), drawn(BLOBS.diseased[EACH]), drawn(BLOBS.healthy[::10], seed=3)
    found = []
    for x in (sick, healthy):
        sampler = Fusion(500, reference=True).restricted_to(torch.zeros(len(x), 1, 16, 16))
        found.append(sampler(x, denoiser, white_noise, generator=generators(range(len(x)))).image)
    assert change(found[0], sick, LESION) == pytest.approx(0.041, abs=0.001)
    assert change(found[1], healthy) == pytest.approx(0.0038, abs=1e-4)


def test_label_both_ways_keeps_the_lesion_as_published():
    """Changes of the lesion by .030, and by .272 where the way to noise is told nothing."""
    x, denoiser = drawn(BLOBS.diseased[EACH]), exact()
    denoiser.null = NULL
    guided = GUIDANCES.build("classifier", scale=0.0, reference=True)(denoiser)
    sampler = Inversion(500, reference=True)
    both, back = (
        change(sampler.decode(sampler.encode(x, start), guided), x, LESION) for start in (guided, denoiser)
    )
    assert both == pytest.approx(0.030, abs=0.012)
    assert back == pytest.approx(0.272, abs=0.03)


@pytest.mark.parametrize("name", ["inversion", "fusion"])
@pytest.mark.parametrize("options", [{"steps": 5}, {"refine": 1}, {"level": 1}])
def test_reference_refuses_what_the_published_code_has_not(name, options):
    with pytest.raises(ValueError, match=r"reference (moves level by level|expected a level)"):
        SAMPLERS.build(name, reference=True, **options)


def test_reference_of_fusion_clamps_and_starts_from_the_code():
    for options in ({"start": "noise"}, {"clip": False}):
        with pytest.raises(ValueError, match="reference expected start 'inversion' and clip"):
            Fusion(reference=True, **options)


def test_code_that_is_drawn_cannot_be_shared_and_needs_a_level_more():
    with pytest.raises(ValueError, match="without reference"):
        Inversion(10, reference=True).sweep(X, GaussianDenoiser(), [GaussianDenoiser()])
    with pytest.raises(ValueError, match="expected levels up to 1000 of the denoiser, got 1001"):
        Inversion(1000, reference=True)(X, GaussianDenoiser(), white_noise, generator=generators())


def test_class_that_the_network_has_not_raises():
    denoiser = NetworkDenoiser(Told(GaussianDenoiser()), linear_schedule())
    guidance = GUIDANCES.build("classifier", scale=0.0, target=DISEASED + 1, reference=True)
    with pytest.raises(ValueError, match="expected a target among the 2 classes of the network, got 2"):
        guidance(denoiser)


@pytest.mark.parametrize("make", [Inversion, Fusion])
def test_items_alone_are_those_of_a_batch(make):
    sampler = make(20, reference=True)
    if make is Fusion:
        sampler = Fusion(20, saliency={"name": "intensity"}, reference=True)
    together = sampler(X, GaussianDenoiser(), white_noise, generator=generators()).image
    for i, seed in enumerate(DRAWN):
        alone = sampler(X[i : i + 1], GaussianDenoiser(), white_noise, generator=generators([seed])).image
        assert torch.equal(alone[0], together[i])


def test_states_are_watched_on_the_way_back_alone():
    records, on_step = recorder()
    Inversion(10, reference=True)(X, GaussianDenoiser(), white_noise, generator=generators(), on_step=on_step)
    assert [(r.t, r.s) for r in records] == [(t, t - 1) for t in range(9, 0, -1)]
