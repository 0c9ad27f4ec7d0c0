"""Networks of every kind answer the same question."""

from types import SimpleNamespace

import pytest
import torch

from diffad.denoise import PREDICTIONS, NetworkDenoiser, training_target
from diffad.protocols import Denoiser
from tests.helpers.toys import ConstantDenoiser, GaussianDenoiser, KnownNetwork, linear_schedule

SCHEDULE = linear_schedule()
# cold diffusion has a schedule of its own, see tests/training/test_cold.py
NOISY = [name for name in PREDICTIONS if name != "cold"]


def state(shape=(3, 1, 6, 6), dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def adapted(prediction="epsilon", wrap=lambda out: out, clip=False):
    network = KnownNetwork(GaussianDenoiser(), prediction, wrap)
    return network, NetworkDenoiser(network, SCHEDULE, prediction, clip=clip)


@pytest.mark.parametrize("prediction", NOISY)
@pytest.mark.parametrize("t", [1, 250, 1000])
@pytest.mark.parametrize("shape", [(3, 1, 6, 6), (2, 2, 4, 4, 4)])
def test_every_prediction_type_gives_the_same_clean_image(prediction, t, shape):
    x_t = state(shape)
    _, denoiser = adapted(prediction)
    assert isinstance(denoiser, Denoiser)
    torch.testing.assert_close(denoiser(x_t, torch.tensor(t)), GaussianDenoiser()(x_t, torch.tensor(t)))


@pytest.mark.parametrize("prediction", NOISY)
def test_items_may_be_at_their_own_levels(prediction):
    x_t, t = state(), torch.tensor([1, 250, 1000])
    _, denoiser = adapted(prediction)
    for i in range(3):
        alone = denoiser(x_t[i : i + 1], t[i])
        torch.testing.assert_close(denoiser(x_t, t)[i : i + 1], alone, rtol=0, atol=0)


@pytest.mark.parametrize("t", [torch.tensor(250), torch.tensor([250, 250, 250])])
def test_network_is_called_with_label_t_minus_one_for_each_item(t):
    network, denoiser = adapted()
    denoiser(state(), t)
    assert network.labels[0].tolist() == [249, 249, 249]
    assert network.labels[0].dtype == torch.int64


@pytest.mark.parametrize("wrap", [lambda out: (out,), lambda out: SimpleNamespace(sample=out)])
def test_tuples_and_outputs_with_a_sample_are_unwrapped(wrap):
    x_t, t = state(), torch.tensor(300)
    assert torch.equal(adapted(wrap=wrap)[1](x_t, t), adapted()[1](x_t, t))


@pytest.mark.parametrize("prediction", NOISY)
def test_clipping_bounds_the_estimate_and_nothing_else(prediction):
    x = 3 * state()
    network = KnownNetwork(ConstantDenoiser(x), prediction)
    clipped = NetworkDenoiser(network, SCHEDULE, prediction)(state(), torch.tensor(200))
    torch.testing.assert_close(clipped, x.clamp(-1, 1))
    assert clipped.abs().max() == 1


@pytest.mark.parametrize("prediction", NOISY)
def test_training_target_is_what_recovers_the_image(prediction):
    x, t = state(), torch.tensor([1, 250, 1000])
    z = state((3, 1, 6, 6)).flip(0)
    target = training_target(x, z, t, SCHEDULE, prediction)
    denoiser = NetworkDenoiser(lambda x_t, labels: target, SCHEDULE, prediction, clip=False)
    torch.testing.assert_close(denoiser(SCHEDULE.add_noise(x, z, t), t), x)


def test_conditions_reach_the_network():
    seen = {}

    def network(x_t, labels, **cond):
        seen.update(cond)
        return x_t

    NetworkDenoiser(network, SCHEDULE)(state(), torch.tensor(5), class_labels=7)
    assert seen == {"class_labels": 7}


def test_estimate_has_the_dtype_of_the_state():
    denoiser = NetworkDenoiser(lambda x_t, labels: x_t.bfloat16(), SCHEDULE)
    assert denoiser(state(dtype=torch.float32), torch.tensor(5)).dtype == torch.float32


def test_level_zero_and_unknown_predictions_raise():
    with pytest.raises(ValueError, match=r"levels 1\.\.1000, got 0"):
        adapted()[1](state(), torch.tensor(0))
    with pytest.raises(ValueError, match=r"prediction_type must be one of .* got 'noise'"):
        NetworkDenoiser(lambda x_t, labels: x_t, SCHEDULE, "noise")
