"""Superpixels in the place of super-voxels: the same rows, parts and votes on images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmseg.structures import SegDataSample

from imbdense.core.selection import SphericalKMeans
from imbdense.mm.clusters.round import cluster_round
from imbdense.mm.transforms.super_pixel import SuperPixel
from imbdense.registry import MODELS


def model(**changes: object) -> torch.nn.Module:
    """Two clusters over two maps of a backbone."""
    torch.manual_seed(0)
    return MODELS.build({
        'type': 'imbdense.SuperPixelSegmentor', 'channels': (16, 24), 'frozen': True,
        'backbone': {'type': 'mmseg.MobileNetV2', 'out_indices': (0, 1)},
        'head': {'type': 'imbdense.CosineClusterHead', 'num_clusters': 2, 'ignore_index': 255}, **changes,
    }).eval()  # fmt: skip


def pair() -> tuple[torch.Tensor, list[SegDataSample], np.ndarray]:
    """Two images with a bright right part."""
    image = np.zeros((64, 96, 3), np.uint8) + 20
    image[:, 55:] = 230
    parts = SuperPixel(seed_size=12).transform({'img': image})['superpixel']
    samples = [SegDataSample(metainfo={'img_path': f'{k}.png', 'superpixel': parts}) for k in range(2)]
    return torch.from_numpy(image).permute(2, 0, 1).float().expand(2, -1, -1, -1) / 128 - 1, samples, image


def test_clusters_of_superpixels_are_the_two_halves() -> None:
    net, (inputs, samples, image) = model(), pair()
    found = cluster_round(list(net.pooled(inputs, samples)), SphericalKMeans(2), 0)
    net.set_labels(found.labels)
    net.head.set_round(found.centroids, found.counts)
    predicted = net(inputs, samples, mode='predict')[1].pred_sem_seg.data[0]
    assert predicted.shape == (64, 96)
    bright = torch.from_numpy(image[..., 0] > 100)
    agree = (predicted.bool() == bright).float().mean().item()
    assert max(agree, 1 - agree) > 0.97
    terms = net.train()(inputs, samples, mode='loss')
    assert terms['stat_agreement'] > 0.8 and not net.backbone.training and torch.isfinite(terms['loss_cluster'])


def test_missing_superpixels_and_labels_are_named() -> None:
    net, (inputs, samples, _) = model(), pair()
    with pytest.raises(ValueError, match=r'no pseudo-labels of 0.png'):
        net(inputs, samples, mode='loss')
    net.set_labels({'0.png': torch.zeros(2, dtype=torch.int64), '1.png': torch.zeros(2, dtype=torch.int64)})
    with pytest.raises(ValueError, match='2 parts were clustered'):
        net(inputs, samples, mode='loss')
    with pytest.raises(KeyError, match=r"no 'superpixel'"):
        net(inputs, [SegDataSample(metainfo={'img_path': 'x.png'})] * 2, mode='predict')
    with pytest.raises(ValueError, match='needs distill'):
        model(stage='distill')
