"""The autoencoder as a model of the host: modes, features, range check, and that it learns."""

from __future__ import annotations

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import BaseDataElement

from imbdense.mm.autoencoders.conv_auto_encoder import ConvAutoEncoder
from imbdense.mm.inference.layer_tap import LayerTap

SMALL = (8, 16, 16, 16)


def build(**arguments: object) -> ConvAutoEncoder:
    torch.manual_seed(0)
    return MODELS.build({'type': 'imbdense.ConvAutoEncoder', 'widths': SMALL, **arguments})


def test_parameters_of_the_published_network() -> None:
    assert sum(parameter.numel() for parameter in ConvAutoEncoder().parameters()) == 7_861_251


@pytest.mark.parametrize(('height', 'width'), [(64, 64), (37, 50), (11, 12)])
def test_any_size(height: int, width: int) -> None:
    model, images = build().eval(), torch.rand(2, 3, height, width)
    assert model(images).shape == images.shape
    samples = model(images, [BaseDataElement(metainfo={'name': 'a'}), BaseDataElement()], mode='predict')
    assert [sample.reconstruction.data.shape for sample in samples] == [(3, height, width)] * 2
    assert samples[0].name == 'a'
    assert model.extract(images).shape == (2, 16)
    assert model(images, mode='loss')['loss_recon'].ndim == 0


def test_feature_is_the_mean_of_the_last_map() -> None:
    model, images = build().eval(), torch.rand(2, 3, 32, 64)
    (latent,) = model.extract_feat(images)
    assert latent.shape == (2, 16, 4, 8)
    assert torch.allclose(model.extract(images), latent.flatten(2).mean(2))


def test_taps_find_the_encoder() -> None:
    model, images = build().eval(), torch.rand(1, 3, 40, 40)
    with LayerTap(model) as tap:
        model(images)
        feature, size = tap.take()
    assert torch.equal(feature, model.extract_feat(images)[0]) and size == (40, 40)


def test_images_that_are_not_scaled_are_named() -> None:
    model = build()
    with pytest.raises(ValueError, match=r'\[0, 1\]'):
        model(torch.randn(2, 3, 32, 32), mode='loss')
    assert torch.isfinite(build(use_sigmoid=False)(torch.randn(2, 3, 32, 32), mode='loss')['loss_recon'])


def test_bands_and_another_loss() -> None:
    model = build(in_channels=5, loss={'type': 'imbdense.SSIMLoss', 'loss_weight': 3.0})
    images = torch.rand(2, 5, 32, 32)
    loss = model(images, mode='loss')['loss_recon']
    loss.backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
    assert loss.item() == pytest.approx(3 * build(in_channels=5)(images, mode='loss')['loss_recon'].item(), rel=1e-5)


def test_bf16_autocast() -> None:
    model, images = build().eval(), torch.rand(2, 3, 32, 32)
    exact = model(images, mode='loss')['loss_recon']
    with torch.autocast('cpu', torch.bfloat16):
        loss, feature = model(images, mode='loss')['loss_recon'], model.extract(images)
    assert loss.dtype == torch.float32 and feature.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), abs=0.02)


def test_unknown_mode() -> None:
    with pytest.raises(ValueError, match='mode'):
        build()(torch.rand(1, 3, 32, 32), mode='train')


def test_it_learns() -> None:
    """Stripes of two directions: after 40 steps the loss has fallen by half and the features tell the directions."""
    stripes = torch.sin(torch.arange(32) / 2).expand(32, 32) * 0.4 + 0.5
    generator = torch.Generator().manual_seed(1)
    images = torch.stack([stripes, stripes.T] * 8).unsqueeze(1)
    images = (images + 0.05 * torch.randn(images.shape, generator=generator)).clamp(0, 1)
    model = build(in_channels=1)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = model(images, mode='loss')['loss_recon']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    features = model.eval().extract(images)
    between = (features[0::2].mean(0) - features[1::2].mean(0)).norm()
    assert between > 5 * features[0::2].std(0).norm()
