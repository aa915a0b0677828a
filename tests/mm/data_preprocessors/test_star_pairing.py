"""STARPairing: single images in training become pairs, real pairs are tested, and a detector learns from it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from imbdense.mm.data_preprocessors.dense_data_pre_processor import DenseDataPreProcessor
from imbdense.registry import MODELS

PAIRING = dict(type='imbdense.STARPairing')


def singles(count: int = 3, size: int = 32, seed: int = 0) -> dict[str, Any]:
    """Grey noise with a bright square, which is class 1."""
    generator = torch.Generator().manual_seed(seed)
    images, samples = [], []
    for _ in range(count):
        label = torch.zeros(1, size, size, dtype=torch.int64)
        row, column = torch.randint(0, size - 8, (2,), generator=generator).tolist()
        label[:, row : row + 8, column : column + 8] = 1
        images.append(10 * torch.randn(3, size, size, generator=generator) + 100 * label)
        sample = SegDataSample(metainfo={'ori_shape': (size, size), 'img_shape': (size, size)})
        sample.gt_sem_seg = PixelData(data=label)
        samples.append(sample)
    return {'inputs': images, 'data_samples': samples}


def test_training_pairs_single_images_and_testing_takes_pairs() -> None:
    model = DenseDataPreProcessor(mean=(1.0, 2.0, 3.0), std=(2.0,) * 3, dates=2, batch_augments=[PAIRING])
    data = singles()
    out = model(data, True)
    assert out['inputs'].shape == (3, 6, 32, 32)
    mean = torch.tensor([1.0, 2.0, 3.0]).view(3, 1, 1)
    alone = [(image - mean) / 2 for image in data['inputs']]
    for image, sample, own in zip(out['inputs'], out['data_samples'], range(3)):
        torch.testing.assert_close(image[:3], alone[own])
        partner = next(i for i in range(3) if torch.allclose(image[3:], alone[i]))
        assert partner != own
        first, second = (data['data_samples'][i].gt_sem_seg.data for i in (own, partner))
        assert torch.equal(sample.gt_cd.data, first ^ second)
        assert torch.equal(sample.gt_sem_t1.data, first) and torch.equal(sample.gt_sem_t2.data, second)
    pair = torch.cat([data['inputs'][0], data['inputs'][1]])
    assert model({'inputs': [pair]}, False)['inputs'].shape == (1, 6, 32, 32)


def test_dates_must_fit() -> None:
    with pytest.raises(ValueError, match='make samples of 2 dates, but dates=1'):
        DenseDataPreProcessor(batch_augments=[PAIRING])


def test_draws_repeat_with_the_seed() -> None:
    def change(seed: int) -> list[torch.Tensor]:
        augment = MODELS.build(dict(PAIRING, seed=seed))
        data = singles(6)
        return [augment(torch.stack(data['inputs']), data['data_samples'])[0] for _ in range(3)]

    assert all(torch.equal(a, b) for a, b in zip(change(1), change(1)))
    assert any(not torch.equal(a, b) for a, b in zip(change(1), change(2)))


def test_a_detector_learns_change_from_labels_of_single_dates() -> None:
    torch.manual_seed(0)
    model = MODELS.build(ConfigDict(
        type='imbdense.SiameseSegmentor', fusion=['concat'] * 4 + ['last'], symmetric=True, test_cfg=dict(mode='whole'),
        data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', mean=[50.0] * 3, std=[50.0] * 3, dates=2,
                               batch_augments=[dict(PAIRING, least_change=0.05)]),
        backbone=dict(type='imbdense.FCSiamEncoder'),
        decode_head=dict(type='imbdense.FCSiamHead', in_channels=(32, 64, 128, 256, 128), num_classes=2)))  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(25):
        batch = model.data_preprocessor(singles(4, seed=step), True)
        loss = model.parse_losses(model(**batch, mode='loss'))[0]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    before, after = singles(4, seed=900), singles(4, seed=901)
    hit = wrong = 0
    for a, b, one, two in zip(before['inputs'], after['inputs'], before['data_samples'], after['data_samples']):
        truth = one.gt_sem_seg.data != two.gt_sem_seg.data
        found = model.test_step({'inputs': [torch.cat([a, b])], 'data_samples': None})[0].pred_sem_seg.data == 1
        hit += int((found & truth).sum())
        wrong += int((found ^ truth).sum())
    assert 2 * hit / (2 * hit + wrong) > 0.7
