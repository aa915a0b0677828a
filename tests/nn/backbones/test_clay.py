"""Clay's encoder: parameter count, the generated patch embedding by hand, positions, extra bands, sizes."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.nn.backbones.clay import WAVELENGTHS, ClayEncoder, DynamicEmbedding, gsd_positions


def tiny(bands: tuple[str, ...] = ('red', 'green', 'blue', 'nir')) -> ClayEncoder:
    torch.manual_seed(0)
    return ClayEncoder(bands, gsd=0.5, dim=24, depth=2, heads=2, dim_head=8, out_indices=(0, 1)).eval()


def test_parameter_count_of_the_published_layers() -> None:
    """v1.5: 1024 channels, 24 blocks, patches of 8."""
    with torch.device('meta'):
        model = ClayEncoder()
    dim, wave, patches = 1024, 128, 64
    block = (4 * dim * dim + 2 * dim) + (8 * dim * dim + 4 * dim + dim + 2 * dim)
    layer = (3 * wave + 1) * wave + 2 * wave + wave * wave + wave + 2 * 2048 * wave + 2048 + wave + 4 * wave
    generator = layer + (wave + 1) * (patches * dim) + (wave + 1) * dim + 129 * wave
    expected = 24 * block + 2 * dim + dim + generator + 2 * (wave * wave + wave)
    assert sum(p.numel() for p in model.parameters()) == expected


def test_names_are_those_of_the_released_files() -> None:
    names = set(tiny().state_dict())
    assert {
        'cls_token', 'patch_embedding.fclayer.l1.weight', 'patch_embedding.weight_generator.weight_tokens',
        'patch_embedding.weight_generator.encoder.layers.0.self_attn.in_proj_weight',
        'patch_embedding.weight_generator.fc_bias.bias', 'transformer.norm.weight',
        'transformer.layers.1.0.to_qkv.weight', 'transformer.layers.1.1.net.3.bias',
    } <= names  # fmt: skip
    assert 'waves' not in names


def test_each_patch_is_the_sum_of_its_bands() -> None:
    torch.manual_seed(0)
    embedding = DynamicEmbedding(4, 6).eval()
    waves, image = torch.tensor([0.665, 0.842]), torch.randn(1, 2, 8, 4)
    half = 64
    code = torch.tensor([
        [f(w / 10_000 ** (k / (half - 1))) for f in (math.sin, math.cos) for k in range(half)] for w in waves.tolist()
    ])  # fmt: skip
    with torch.no_grad():
        weight, bias = embedding.weight_generator(embedding.fclayer(code))
        found = embedding(image, waves)
        slow = torch.zeros(6, 2)
        for place in range(2):
            patch = image[0, :, 4 * place : 4 * place + 4]
            for out in range(6):
                kernel = weight.view(2, 6, 4, 4)[:, out]
                slow[out, place] = 0.02 * (kernel * patch).sum() + bias[out]
    torch.testing.assert_close(found[0, :, :, 0], slow, atol=1e-5, rtol=1e-4)


def test_positions_by_hand() -> None:
    found = gsd_positions(2, 3, 8, 0.5).view(2, 3, 8)
    rates = [0.5, 0.5 / 10_000 ** (2 / 8)]
    expected = [f(place * r) for place in (2, 1) for f in (math.sin, math.cos) for r in rates]
    torch.testing.assert_close(found[1, 2], torch.tensor(expected))


def test_band_order_does_not_matter_and_extra_bands_begin_without_influence() -> None:
    model, image = tiny(), torch.randn(2, 4, 19, 24)
    order = [3, 1, 0, 2]
    names = [('red', 'green', 'blue', 'nir')[i] for i in order]
    other = tiny((*names, 'slope'))
    assert other.load_state_dict(model.state_dict(), strict=False).missing_keys == ['extra_patch_embed.weight']
    with torch.no_grad():
        maps, moved = model(image), other(torch.cat([image[:, order], torch.randn(2, 1, 19, 24)], dim=1))
    assert [tuple(found.shape) for found in maps] == [(2, 24, 3, 3)] * 2
    for one, two in zip(maps, moved):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-4)


def test_wavelengths_are_in_micrometres_and_ascending() -> None:
    values = list(WAVELENGTHS.values())
    assert values == sorted(values) and min(values) > 0.4 and max(values) < 2.5


def test_messages() -> None:
    with pytest.raises(ValueError, match='none of'):
        tiny(('height',))
    with pytest.raises(ValueError, match='multiple of 4'):
        gsd_positions(1, 1, 6, 1.0)
