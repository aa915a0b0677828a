"""Siamese change of point clouds, from files to scores: it learns, votes, resumes its votes, names wrong settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.dataset import pseudo_collate

from imbdense.mm.datasets.point_pair_dataset import PointPairDataset
from imbdense.mm.metrics.change_miou import ChangeMIoU
from imbdense.mm.segmentors.m3c2_change_classifier import M3C2ChangeClassifier
from imbdense.mm.segmentors.siamese_point_change import SiamesePointChange
from tests.helpers.point_pairs import write_town

LOSS = {'type': 'imbdense.ReweightedCELoss', 'loss_name': 'loss_ce', 'scheme': 'sqrt', 'class_counts': [20.0, 2, 2]}
HEAD = {'num_classes': 3, 'loss_decode': LOSS}
SIGNS = {'metainfo': {'classes': ('unchanged', 'appeared', 'disappeared')},
         'label_map': {0: 0, 1: 1, 3: 1, 4: 1, 2: 2, 5: 2, 6: -1}}
GRID = {'type': 'imbdense.PairCylinderGrid', 'radius': 15.0, 'step': 20.0}


def pack(**options: Any) -> dict[str, Any]:
    return {'type': 'imbdense.PackPointPair', 'depth': 2, **options}


def model(fusion: str = 'diff', **options: Any) -> SiamesePointChange:
    torch.manual_seed(0)
    backbone = {'type': 'imbdense.SparseUNet', 'in_channels': 1, 'base_channels': 8, 'depth': 2, 'blocks': (1, 1),
                'bn_momentum': 0.3}
    return SiamesePointChange(**{'backbone': backbone, 'decode_head': HEAD, 'fusion': fusion, **options})


@pytest.fixture(scope='module')
def town(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three scenes to train, one to test."""
    root = tmp_path_factory.mktemp('town')
    write_town(root / 'train', (0, 1, 2), side=48.0, density=2.0, change=0.6)
    write_town(root / 'test', (3,), side=48.0, density=2.0, change=0.6)
    return root


def batch(town: Path, split: str = 'train', pipeline: Any = None, **options: Any) -> dict[str, Any]:
    dataset = PointPairDataset(str(town), split, pipeline=pipeline or [pack()], test_mode=split == 'test',
                               **(SIGNS | options))
    return pseudo_collate([dataset[index] for index in range(len(dataset))])


def scores(town: Path, net: Any, pipeline: Any = None, **options: Any) -> dict[str, float]:
    data = batch(town, 'test', pipeline, **options)
    found = net.eval().predict(data['inputs'], data['data_samples'])
    metric = ChangeMIoU()
    metric.dataset_meta = PointPairDataset(str(town), 'test', **(SIGNS | options)).metainfo
    metric.process(data, [sample.to_dict() for sample in found])
    return metric.evaluate(1)


def train(net: SiamesePointChange, data: dict[str, Any], steps: int) -> None:
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2)
    net.train()
    for _ in range(steps):
        loss = net(data['inputs'], data['data_samples'], mode='loss')['loss_ce']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.slow
def test_it_learns_what_one_epoch_alone_does_not_tell(town: Path) -> None:
    """The behaviour that can fail: a house that was there before looks like a new one unless epoch 1 is looked at."""
    data, found = batch(town), {}
    for fusion in ('none', 'diff'):
        net = model(fusion)
        train(net, data, 36)
        found[fusion] = scores(town, net)
    assert found['diff']['change_F1'] > max(0.45, found['none']['change_F1'] + 0.2)
    assert found['diff']['mIoU_change'] > found['none']['mIoU_change'] + 0.1


def test_rules_without_training(town: Path) -> None:
    found = scores(town, M3C2ChangeClassifier(), [pack(depth=0)], metainfo=None, label_map=None)
    assert found['change_F1'] > 0.85 and found['IoU/new building'] > 0.8
    with pytest.raises(ValueError, match='nothing is learnt'):
        M3C2ChangeClassifier()([], mode='loss')


@pytest.mark.parametrize('options', [{'neighbor': 'k3_idw'}, {'fusion': 'ef'}, {'bidirectional': True}])
def test_votes_of_crops_cover_the_scene(town: Path, options: dict[str, Any]) -> None:
    net, links = model(**options).eval(), 3 if 'neighbor' in options else 1
    data = batch(town, 'test', [GRID, pack(links=links)])
    (sample,) = net.predict(data['inputs'], data['data_samples'])
    assert len(data['inputs'][0].crops) > 4
    assert len(sample.pred_pts_seg.semantic) == len(sample.gt_pts_seg.semantic)
    if options.get('bidirectional'):
        assert len(sample.pred_pts_seg_t1.semantic) == len(data['inputs'][0].points1)
        terms = net.train()(batch(town)['inputs'], mode='loss')
        assert {'loss_ce', 'loss_ce_t1'} <= set(terms)


def test_one_crop_votes_as_the_network_says(town: Path) -> None:
    net, data = model().eval(), batch(town, 'test')
    logits = net(data['inputs'], mode='tensor')
    (sample,) = net.predict(data['inputs'], data['data_samples'])
    crop = data['inputs'][0].crops[0]
    cells = torch.empty(len(crop.points), dtype=torch.int64)
    cells[crop.points] = logits.argmax(1)[crop.rows]
    assert torch.equal(sample.pred_pts_seg.semantic, cells[data['inputs'][0].full_cell])


def test_kp_conv_as_backbone(town: Path) -> None:
    backbone = {'type': 'imbdense.KPConvLite', 'in_channels': 1, 'base_channels': 8, 'depth': 2, 'kernel_points': 7}
    net = model(backbone=backbone)
    data = batch(town, 'test', [GRID, pack(neighbours=12)])
    (sample,) = net.eval().predict(data['inputs'], data['data_samples'])
    assert len(sample.pred_pts_seg.semantic) == len(sample.gt_pts_seg.semantic)


def test_wrong_settings_say_what_to_set(town: Path) -> None:
    data = batch(town)
    with pytest.raises(ValueError, match=r'Set links=3 of imbdense\.PackPointPair'):
        model(neighbor='k3_idw')(data['inputs'], mode='loss')
    with pytest.raises(ValueError, match='Set depth=2'):
        model()(batch(town, pipeline=[pack(depth=3)])['inputs'], mode='loss')
    with pytest.raises(ValueError, match='fusion'):
        model(fusion='sum')
    with pytest.raises(ValueError, match='mode'):
        model()(data['inputs'], mode='train')


def test_state_and_bf16(town: Path) -> None:
    net, data = model('ef'), batch(town)
    with torch.autocast('cpu', torch.bfloat16):
        terms = net(data['inputs'], mode='loss')
    assert terms['loss_ce'].isfinite() and terms['loss_ce'].dtype == torch.float32
    other = model('ef')
    other.load_state_dict(net.state_dict())
    assert torch.equal(net.eval()(data['inputs']), other.eval()(data['inputs']))
