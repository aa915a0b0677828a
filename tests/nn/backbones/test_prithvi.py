"""Prithvi's encoder: parameter count, positions against a slow formula, band order, extra bands, sizes."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.nn.backbones.prithvi import BANDS, PrithviEncoder, sine_positions


def tiny(bands: tuple[str, ...] = BANDS, **options: object) -> PrithviEncoder:
    torch.manual_seed(0)
    return PrithviEncoder(bands, dim=32, depth=2, num_heads=2, out_indices=(0, 1), **options).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ('dim', 'depth', 'patch', 'millions'), [(768, 12, 16, 86.2), (1024, 24, 16, 303.9), (1280, 32, 14, 631.2)]
)
def test_parameter_count_of_the_released_models(dim: int, depth: int, patch: int, millions: float) -> None:
    with torch.device('meta'):
        model = PrithviEncoder(dim=dim, depth=depth, num_heads=16, patch_size=patch, out_indices=(depth - 1,))
    block = 12 * dim * dim + 13 * dim
    assert sum(p.numel() for p in model.parameters()) == depth * block + 6 * patch**2 * dim + dim + dim + 2 * dim
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=0.005)


def test_positions_equal_the_formula() -> None:
    found, dim = sine_positions(32, 3, 3, 3).view(3, 3, 32), 32
    for row in range(3):
        for column in range(3):
            expected = []
            for place, part in ((column, 12), (row, 12), (0, 8)):
                rates = [1 / 10_000 ** (k / (part / 2)) for k in range(part // 2)]
                expected += [math.sin(place * rate) for rate in rates] + [math.cos(place * rate) for rate in rates]
            torch.testing.assert_close(found[row, column], torch.tensor(expected))
    assert len(expected) == dim


def test_other_sizes_span_the_trained_grid() -> None:
    coarse, fine = sine_positions(32, 3, 3, 14).view(3, 3, 32), sine_positions(32, 14, 14, 14).view(14, 14, 32)
    torch.testing.assert_close(coarse[::2, ::2], fine[::13, ::13])


def test_bands_are_found_by_name_and_extra_ones_begin_without_influence() -> None:
    model, image = tiny(), torch.randn(1, 6, 33, 48)
    order = [2, 0, 1, 5, 4, 3]
    other = tiny(('height', *(BANDS[i] for i in order)))
    missing, unexpected = other.load_state_dict(model.state_dict(), strict=False)
    assert missing == ['extra_patch_embed.weight'] and not unexpected
    with torch.no_grad():
        maps = model(image)
        moved = other(torch.cat([torch.randn(1, 1, 33, 48), image[:, order]], dim=1))
    assert [tuple(found.shape) for found in maps] == [(1, 32, 3, 3)] * 2
    for one, two in zip(maps, moved):
        torch.testing.assert_close(one, two)
    other(torch.cat([torch.ones(1, 1, 32, 32), image[:, order, :32, :32]], dim=1))[0].sum().backward()
    assert other.extra_patch_embed is not None and other.extra_patch_embed.weight.grad.abs().sum() > 0


def test_fewer_bands_are_a_sum_over_those() -> None:
    model, image = tiny(), torch.randn(1, 6, 32, 32)
    part = tiny(('red', 'nir_narrow'))
    part.load_state_dict(model.state_dict())
    dark = image.clone()
    dark[:, [0, 1, 4, 5]] = 0
    torch.testing.assert_close(part(image[:, [2, 3]])[0], model(dark)[0])


def test_messages() -> None:
    with pytest.raises(ValueError, match='none of'):
        tiny(('height',))
    with pytest.raises(ValueError, match='name of its own'):
        tiny(('red', 'red'))
    with pytest.raises(ValueError, match='out_indices must be ascending'):
        PrithviEncoder(dim=32, depth=2, num_heads=2)
