"""The VSSM backbone: sizes of the published models, any image, any number of stages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.nn.backbones.vssm import VSSM


def tiny(**options) -> VSSM:
    """Four stages of 8 to 64 channels."""
    return VSSM(**{'dims': (8, 16, 32, 64), 'depths': (1, 1, 1, 1), **options})


@pytest.mark.parametrize(('arch', 'millions'), [('mini', 16.8), ('tiny', 28.0), ('small', 49.4), ('base', 87.5)])
def test_published_sizes(arch: str, millions: float) -> None:
    with torch.device('meta'):
        model = VSSM(arch)
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 1) == millions


@pytest.mark.parametrize(('size', 'bands'), [((64, 64), 3), ((37, 50), 4), ((33, 7), 1)])
def test_any_size_and_bands(size: tuple[int, int], bands: int) -> None:
    """Every halving rounds up."""
    model = tiny(in_channels=bands)
    maps = model(torch.randn(2, bands, *size))
    expected, (height, width) = [], size
    for stage, dim in enumerate((8, 16, 32, 64)):
        for _ in range(2 if stage == 0 else 1):
            height, width = -(-height // 2), -(-width // 2)
        expected.append((2, dim, height, width))
    assert [tuple(m.shape) for m in maps] == expected and all(m.is_contiguous() for m in maps)


def test_only_what_is_asked_for_is_built() -> None:
    model = tiny(out_indices=(0, 2))
    assert [m.shape[1] for m in model(torch.randn(1, 3, 32, 32))] == [8, 32]
    assert len(model.stages) == 3 and set(model.out_norms) == {'0', '2'}
    loss = sum(m.sum() for m in model(torch.randn(1, 3, 32, 32)))
    loss.backward()
    assert all(p.grad is not None for p in model.parameters())


def test_drop_path_rises_to_the_rate() -> None:
    model = tiny(depths=(1, 2, 1, 1), drop_path_rate=0.4)
    rates = [block.drop_path.probability for stage in model.stages for block in stage]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3, 0.4])


def test_start_of_linear_layers() -> None:
    torch.manual_seed(0)
    linear = [m for m in tiny().modules() if isinstance(m, nn.Linear)]
    assert all(m.bias is None or (m.bias == 0).all() for m in linear)
    assert torch.cat([m.weight.flatten() for m in linear]).std().item() == pytest.approx(0.02, rel=0.1)


def test_every_pixel_sees_the_whole_image() -> None:
    """One block behind the stem already: a far corner has a gradient, which a 3 x 3 convolution would not give it."""
    torch.manual_seed(0)
    model = tiny(depths=(1, 1, 1, 1), out_indices=(0,))
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    model(image)[0][0, :, 0, 0].square().sum().backward()
    assert image.grad[0, :, -8:, -8:].abs().max() > 0


def test_wrong_arguments_are_told() -> None:
    with pytest.raises(ValueError, match='arch must be one of'):
        VSSM('huge')
    with pytest.raises(ValueError, match='one number per stage'):
        VSSM(dims=(8, 16))
    with pytest.raises(ValueError, match='out_indices'):
        tiny(out_indices=(0, 4))
