"""ChangeViT: published parameter counts, sizes, the pooled keys, positions of other image sizes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from imbdense.nn.backbones.detail_capture import DetailCapture
from imbdense.nn.backbones.vit import PlainViT, resize_positions
from imbdense.nn.heads.change_vit_decoder import ChangeViTDecoder
from imbdense.nn.necks.feature_injector import FeatureInjector
from imbdense.nn.necks.fusion import fuse


@pytest.mark.parametrize(('dim', 'millions'), [(192, 11.7), (384, 32.1)], ids=['tiny', 'small'])
def test_published_parameter_count(dim: int, millions: float) -> None:
    with torch.device('meta'):
        parts = [
            PlainViT(dim=dim), DetailCapture(), FeatureInjector(dim=dim), ChangeViTDecoder((64, 128, 256, dim)),
            nn.Conv2d(64, 1, 3, bias=False),
        ]
    count = sum(p.numel() for part in parts for p in part.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.02)


def test_whole_network_for_sizes_that_fit_no_grid() -> None:
    torch.manual_seed(0)
    vit, detail = PlainViT(in_channels=6, dim=16, depth=1, num_heads=2, image_size=64), DetailCapture(6)
    injector, decoder = FeatureInjector(dim=16, num_heads=2, kv_pool=4), ChangeViTDecoder((64, 128, 256, 16))
    for size in ((64, 64), (45, 70)):
        dates = []
        for _ in range(2):
            image = torch.randn(1, 6, *size)
            dates.append(injector([*detail(image), vit(image)]))
        assert [level.shape[1] for level in dates[0]] == [64, 128, 256, 16]
        out = decoder([fuse(a, b, 'conc+diff') for a, b in zip(*dates)])
        assert out.shape[:2] == (1, 64) and abs(out.shape[2] - size[0]) <= 1 and abs(out.shape[3] - size[1]) <= 1
        out.sum().backward()


def test_pooled_keys_equal_all_keys_where_they_fit_and_are_fewer_elsewhere() -> None:
    torch.manual_seed(0)
    injector = FeatureInjector((8,), dim=16, num_heads=4, kv_pool=8)
    small, coarse = torch.randn(1, 8, 8, 6), torch.randn(1, 16, 2, 2)
    pooled = injector([small, coarse])[-1]
    injector.kv_pool = None
    torch.testing.assert_close(injector([small, coarse])[-1], pooled)
    # A map that is constant within each pooling window is seen alike: attention to copies of a key is to the key.
    large = small.repeat_interleave(2, 2).repeat_interleave(2, 3)
    every = injector([large, coarse])[-1]
    injector.kv_pool = 8
    assert injector._pooled(large).shape == (1, 8, 8, 8)
    torch.testing.assert_close(every, pooled)


def test_only_the_coarse_map_changes() -> None:
    injector = FeatureInjector((8, 4), dim=16, num_heads=4)
    levels = [torch.randn(1, 8, 8, 8), torch.randn(1, 4, 4, 4), torch.randn(1, 16, 2, 2)]
    out = injector(levels)
    assert out[0] is levels[0] and out[1] is levels[1] and not torch.equal(out[2], levels[2])


def test_positions_of_another_size_keep_order_and_axis() -> None:
    slope = torch.arange(4.0).repeat(4, 1).view(1, 16, 1)
    wide = resize_positions(slope, 4, (6, 8)).view(6, 8)
    assert (wide.diff(dim=1) > 0).all() and torch.allclose(wide.diff(dim=0), torch.zeros(5, 8), atol=1e-6)
    assert resize_positions(slope, 4, (4, 4)) is slope


def test_messages() -> None:
    with pytest.raises(ValueError, match='multiple of num_heads'):
        FeatureInjector(dim=10, num_heads=4)
    with pytest.raises(ValueError, match='multiple of num_heads'):
        PlainViT(dim=10, num_heads=4)
