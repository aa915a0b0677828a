"""Last layers: what they compute, what stays fixed, few samples, half precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from imbdense.core.representation import fixed_frame
from imbdense.nn.classifiers import CosineConv2d, CosineLinear, FixedFrameClassifier

CLASSES = 4


def maps(channels: int = 6) -> torch.Tensor:
    return torch.randn(2, channels, 5, 7, generator=torch.Generator().manual_seed(0))


def fixed(spatial: bool = True, scale: float = 1.0, dim: int | None = None) -> FixedFrameClassifier:
    torch.manual_seed(0)
    frame = fixed_frame('etf', CLASSES, dim)
    norm = nn.BatchNorm2d(frame.shape[0]) if spatial else nn.BatchNorm1d(frame.shape[0])
    return FixedFrameClassifier(6, frame, norm, spatial=spatial, scale=scale)


def test_logits_are_products_with_the_frame() -> None:
    layer = fixed(scale=3.0, dim=9)
    h = F.batch_norm(F.conv2d(maps(), layer.projection.weight), None, None, training=True)
    assert torch.allclose(layer(maps()), 3 * torch.einsum('ndhw,dk->nkhw', h, layer.etf), atol=1e-5)
    assert torch.allclose(layer(maps()).sum(1), torch.zeros(2, 5, 7), atol=1e-4)


@pytest.mark.parametrize('spatial', [True, False])
def test_ten_steps_move_everything_but_the_frame(spatial: bool) -> None:
    layer = fixed(spatial)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    optimizer = torch.optim.SGD(layer.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    x = maps() if spatial else maps().movedim(1, -1).reshape(-1, 6)
    for _ in range(10):
        optimizer.zero_grad()
        layer(x).square().mean().backward()
        optimizer.step()
    after = layer.state_dict()
    assert torch.equal(before['etf'], after['etf']) and 'etf' not in dict(layer.named_parameters())
    assert not torch.equal(before['projection.weight'], after['projection.weight'])
    assert not torch.equal(before['norm.weight'], after['norm.weight'])
    other = FixedFrameClassifier(6, fixed_frame('etf', CLASSES, seed=9), type(layer.norm)(CLASSES - 1), spatial=spatial)
    other.load_state_dict(after)
    assert torch.equal(other.eval()(x), layer.eval()(x))


@pytest.mark.parametrize('rows', [0, 1, 2])
def test_few_vectors_in_training(rows: int) -> None:
    layer = fixed(spatial=False).train()
    x = torch.randn(rows, 6, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert out.shape == (rows, CLASSES) and torch.isfinite(out).all() and x.grad.shape == x.shape
    assert fixed().train()(torch.randn(1, 6, 1, 1)).shape == (1, CLASSES, 1, 1)


def test_cosines() -> None:
    layer = CosineLinear(6, CLASSES, temperature=5.0)
    x = torch.randn(3, 8, 6)
    expected = 5 * F.cosine_similarity(x[..., None, :], layer.weight, dim=-1)
    assert torch.allclose(layer(x), expected, atol=1e-6) and layer.bias is None
    assert torch.allclose(layer(7 * x), layer(x), atol=1e-5)
    with torch.no_grad():
        layer.weight[0] *= 100
    assert torch.allclose(layer(x), expected, atol=1e-6)
    pixel = CosineConv2d(6, CLASSES, temperature=5.0)
    pixel.weight.data = layer.weight.data[:, :, None, None]
    assert torch.allclose(pixel(maps()).movedim(1, -1), layer(maps().movedim(1, -1)), atol=1e-6)


@pytest.mark.parametrize('bias', [False, True])
def test_cosine_of_a_patch(bias: bool) -> None:
    layer = CosineConv2d(6, CLASSES, 3, padding=1, temperature=2.0, bias=bias)
    patches = F.unfold(maps(), 3, padding=1).transpose(1, 2)
    expected = 2 * F.cosine_similarity(patches[:, :, None], layer.weight.flatten(1), dim=-1)
    if bias:
        expected = expected + layer.bias
    assert torch.allclose(layer(maps()).flatten(2).transpose(1, 2), expected, atol=1e-5)


LAYERS = [CosineLinear(6, CLASSES), CosineConv2d(6, CLASSES), CosineConv2d(6, CLASSES, 3, 1, 1)]


@pytest.mark.parametrize('layer', LAYERS)
def test_features_of_length_zero_and_half_precision(layer: nn.Module) -> None:
    shape = (3, 6) if isinstance(layer, CosineLinear) else (2, 6, 5, 5)
    zero = torch.zeros(shape, requires_grad=True)
    out = layer(zero)
    out.sum().backward()
    assert (out == 0).all() and torch.isfinite(zero.grad).all()
    x = 1e-3 * torch.randn(shape)
    exact = layer(x)
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.allclose(layer(x.bfloat16()).float(), exact, atol=0.3)
    assert torch.isfinite(layer.half()(torch.full(shape, 6e4).half()).float()).all()  # the square overflows in half


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_fixed_frame_in_half_precision(dtype: torch.dtype) -> None:
    layer = fixed(scale=2.0).eval()
    with torch.autocast('cpu', dtype):
        half = layer(maps())
    assert torch.isfinite(half).all() and torch.allclose(half.float(), layer(maps()), atol=0.15)


def test_gradients() -> None:
    conv = CosineConv2d(2, 3, 3, padding=1).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(conv, (x,))
    frame = FixedFrameClassifier(2, fixed_frame('of', 3), nn.BatchNorm2d(3)).double().eval()
    assert torch.autograd.gradcheck(frame, (x,))


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match='temperature'):
        CosineLinear(4, 3, temperature=0.0)
    with pytest.raises(ValueError, match='scale'):
        fixed(scale=-1.0)
    with pytest.raises(ValueError, match=r'\(d, K\)'):
        FixedFrameClassifier(4, torch.ones(3), nn.BatchNorm2d(3))
