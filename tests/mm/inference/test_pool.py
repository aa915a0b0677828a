"""Collecting from real models: what is drawn where, padding, windows, detectors of every kind."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from imbdense.core.inference import ImageObjects
from imbdense.mm.inference.layer_tap import LayerTap, whole_pictures
from imbdense.mm.inference.pool_collector import PoolCollector, match_classes, projection


def test_features_are_read_where_the_labels_are() -> None:
    """The map covers 4 x 6 cells; the last two columns are padding; feature = (row, column)."""
    feature = torch.stack(torch.meshgrid(torch.arange(4.0), torch.arange(6.0), indexing='ij'))
    label = np.zeros((16, 16), np.int64)
    label[8:, 8:] = 1
    logits = np.where(np.arange(2)[:, None, None] == label, 9.0, 0.0)
    collector = PoolCollector(2, 1)
    collector.add_segmentation(3, feature, (1.0, 4 / 6), logits, label)
    sample = collector.sample()
    assert sorted(map(tuple, sample.vectors.tolist())) == [(r, c) for r in range(4) for c in range(4)]
    ones = sample.truth.vectors[sample.truth.label == 1]
    assert sorted(map(tuple, ones.tolist())) == [(2, 2), (2, 3), (3, 2), (3, 3)]
    assert (sample.truth.label == sample.by_class.label).all() and set(sample.group) == {3}
    assert sample.outputs.weight.sum() == 256 and (sample.outputs.logits.argmax(1) == sample.outputs.label).all()
    names, means = collector.image_means()
    assert names.tolist() == [3] and means[0] == pytest.approx([1.5, 1.5])


def test_classes_are_drawn_uniformly_over_their_parts() -> None:
    """A part of 4 cells beside one of 600: about half of the draws would be of the small one, so all of it is in."""
    label = np.zeros((40, 40), np.int64)
    label[:20, :30] = 1
    label[30:32, 30:32] = 1
    small = torch.zeros(1, 40, 40)
    small[0, 30:32, 30:32] = 1
    hits, mass = [], []
    for seed in range(20):
        collector = PoolCollector(2, 1, seed=seed)
        collector.add_segmentation(0, small, (1.0, 1.0), np.zeros((2, 40, 40)), label)
        drawn = collector.sample().truth
        hits.append(drawn.vectors[drawn.label == 1].sum())
        mass.append(drawn.weight[drawn.label == 1].sum())
    assert np.mean(hits) > 3.5 and np.allclose(mass, 604)


def test_share_per_image_and_unlabelled_sides() -> None:
    many = PoolCollector(3, 10_000)
    assert many.per_image == 2 and PoolCollector(3, 10**6).per_image == 1 and PoolCollector(3, 10).per_image == 50
    many.add_segmentation(0, torch.rand(2, 8, 8), (1.0, 1.0), np.random.rand(3, 8, 8), None)
    sample = many.sample()
    assert len(sample.vectors) == 2 and sample.truth is None and (sample.outputs.label == -1).all()
    with pytest.raises(ValueError, match='no image could be used'):
        PoolCollector(3, 1).sample()


def test_wide_features_are_projected_the_same_way_on_both_sides() -> None:
    basis = projection(400, 0)
    assert basis.T @ basis == pytest.approx(np.eye(256), abs=1e-5)
    one, two = PoolCollector(1, 1), PoolCollector(1, 1)
    feature = torch.rand(400, 2, 2)
    for collector in (one, two):
        collector.add_features(0, feature, (1.0, 1.0))
    assert (one.means[0] == two.means[0]).all() and one.means[0].size == 256


def test_boxes_are_matched_by_hand() -> None:
    objects = ImageObjects(np.array([[0, 0, 10, 10], [20, 20, 30, 30], [40, 0, 50, 10]], float),
                           np.array([1, 0, 2]), np.array([False, False, True]))  # fmt: skip
    boxes = np.array([[0, 0, 10, 9], [1, 0, 10, 10], [20, 20, 30, 30], [40, 0, 50, 10], [60, 60, 70, 70]], float)
    found = match_classes(boxes, np.array([0.6, 0.9, 0.5, 0.4, 0.3]), objects, 3)
    assert found.tolist() == [3, 1, 0, -1, 3], 'the better box takes the object'


class Wrapper(nn.Module):
    """A student and a teacher with a backbone each."""

    def __init__(self) -> None:
        super().__init__()
        self.teacher, self.student = nn.Module(), nn.Module()
        for model in (self.teacher, self.student):
            model.backbone = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 1))


def test_the_layer_that_was_called_last_is_read() -> None:
    model = Wrapper()
    with LayerTap(model, 'backbone.0') as tap:
        model.student.backbone(torch.zeros(1, 3, 7, 9))
        maps, size = tap.take()
        assert maps.shape == (1, 4, 7, 9) and size == (7, 9)
        with pytest.raises(ValueError, match='was not called'):
            tap.take()
    assert not model.student.backbone[0]._forward_hooks
    with pytest.raises(ValueError, match="no layer 'neck'"):
        LayerTap(model, 'neck')


def test_windows_are_whole_pictures_for_a_while() -> None:
    model = nn.Module()
    model.test_cfg = {'mode': 'slide', 'crop_size': (8, 8)}
    with pytest.raises(RuntimeError), whole_pictures(model):
        assert model.test_cfg['mode'] == 'whole'
        raise RuntimeError
    assert model.test_cfg['mode'] == 'slide'


@pytest.mark.parametrize('kind', ['roi', 'dense', 'query'])
def test_detectors(kind: str, tmp_path: Path) -> None:
    pytest.importorskip('mmdet.models')
    from imbdense.core.shift import measure_shift
    from imbdense.mm.inference import pool
    from imbdense.mm.inference.finished_model import load_finished
    from tests.mm.inference import detectors

    cfg = detectors.config(kind, tmp_path / 'data')
    finished = load_finished(cfg, detectors.checkpoint(cfg, tmp_path / 'random.pth'), device='cpu')
    images = pool.labelled_images(finished, range(len(finished.dataset)))
    labelled, skipped = pool.collect(finished, images, labelled=True)
    files = [Path(name) for name in images.names]
    (tmp_path / 'broken.jpg').write_bytes(b'nothing')
    unlabelled, named = pool.collect(
        finished, pool.unlabelled_images(finished, [*files, tmp_path / 'broken.jpg']), labelled=False
    )
    assert not skipped and len(named) == 1 and 'broken.jpg' in named[0]
    one, two = labelled.sample(), unlabelled.sample()
    assert (one.vectors == two.vectors).all(), 'the same images give the same features'
    objects = sum(len(info['instances']) for info in (finished.dataset.get_data_info(i) for i in range(len(files))))
    assert 0 < len(one.truth.label) <= objects and two.truth is None
    report = measure_shift(one, two, finished.classes, permutations=9, bootstraps=5)
    assert report.prior is None or len(report.prior.em) == 4
