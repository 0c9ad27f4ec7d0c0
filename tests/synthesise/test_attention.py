"""Attention that is read changes nothing, has a gradient, and comes from the layers of 16 x 16."""

import pytest
import torch

from diffad.synthesise.attention import AttentionStore, record_attention


@pytest.fixture
def call(stable):
    z = torch.randn(2, 4, 32, 32, generator=torch.Generator().manual_seed(0))
    prompts = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    return lambda state=z: stable.unet(state, 295, encoder_hidden_states=prompts).sample, z


def test_answer_is_the_same_with_and_without_the_store(stable, call):
    answer, _ = call
    with torch.no_grad():
        plain = answer()
        with record_attention(stable.unet):
            read = answer()
        after = answer()
    assert torch.allclose(plain, read, atol=1e-5)
    assert torch.equal(plain, after)


def test_layers_are_as_before(stable, call):
    before = {name: type(processor) for name, processor in stable.unet.attn_processors.items()}
    with record_attention(stable.unet), torch.no_grad():
        call[0]()
    assert {name: type(processor) for name, processor in stable.unet.attn_processors.items()} == before
    assert not any("get_attention_scores" in vars(layer) for layer in stable.unet.modules())


def test_layers_are_as_before_after_an_error(stable):
    with pytest.raises(KeyError), record_attention(stable.unet):
        raise KeyError
    assert not any("get_attention_scores" in vars(layer) for layer in stable.unet.modules())


def test_maps_are_those_of_sixteen_pixels_and_sum_to_one(stable, call):
    with record_attention(stable.unet) as store, torch.no_grad():
        call[0]()
    layers = store.list_maps(2)
    assert {tuple(layer.shape[2:]) for layer in layers} == {(256, 77)}
    assert len({layer.shape[1] for layer in layers}) == 1
    assert all(torch.allclose(layer.sum(-1), torch.ones(())) for layer in layers)
    maps = store.read(2)
    assert maps.shape == (2, 16, 16, 77)
    assert torch.allclose(maps.sum(-1), torch.ones(2, 16, 16), atol=1e-5)


def test_items_do_not_mix(stable, call):
    _, z = call
    prompts = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))
    with record_attention(stable.unet) as store, torch.no_grad():
        stable.unet(z, 295, encoder_hidden_states=prompts)
        both = store.read(2)
        store.clear()
        stable.unet(z[1:], 295, encoder_hidden_states=prompts[1:])
        assert torch.allclose(both[1:], store.read(1), atol=1e-5)


def test_maps_have_a_gradient(stable, call):
    state = call[1].clone().requires_grad_()
    with record_attention(stable.unet) as store:
        call[0](state)
        store.read(2)[..., 8].max().backward()
    assert state.grad.isfinite().all()
    assert float(state.grad.norm()) > 0


def test_network_without_cross_attention_is_refused():
    with pytest.raises(ValueError, match="expected a network with cross-attention"):
        AttentionStore().read(1)
