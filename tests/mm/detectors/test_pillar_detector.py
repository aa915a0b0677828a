"""PillarDetector and ReDB3D: losses of both kinds of scenes, ignored and unknown ones, prediction, checkpoints."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmcv')
pytest.importorskip('mmdet')

from mmengine.registry import init_default_scope

from imbdense.mm.detectors.redb_3d import take_scenes
from imbdense.mm.structures.point_det_data_sample import PointDetDataSample, annotated
from imbdense.registry import MODELS
from tests.helpers.lidar_folder import detector

CAR = [[10.0, 0, 0.88, 4.7, 1.95, 1.75, 0.1]]


def built(config: dict[str, Any]) -> Any:
    init_default_scope('mmengine')
    torch.manual_seed(0)
    return MODELS.build(config)


def batch(kinds: list[dict[str, Any]]) -> dict[str, Any]:
    """Scenes of 200 random points with a car each; metainfo as given, ``ignored=True`` makes the car an ignored one."""
    generator = torch.Generator().manual_seed(0)
    points, samples = [], []
    for kind in kinds:
        facts = dict(kind)
        empty, full = annotated([], [], []), annotated(CAR, [0], [0])
        parts = (empty, full) if facts.pop('ignored', False) else (full, empty)
        place = torch.rand(200, 3, generator=generator) * torch.tensor([25.0, 24, 2]) - torch.tensor([0.0, 12, 0])
        points.append({'points': place, 'features': torch.rand(200, 1, generator=generator)})
        sample = PointDetDataSample(metainfo=facts)
        sample.gt_instances_3d, sample.ignored_instances_3d = parts
        samples.append(sample)
    inputs = {name: [one[name] for one in points] for name in ('points', 'features')}
    return {'inputs': inputs, 'data_samples': samples}


def losses(model: Any, kinds: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
    return model(**model.data_preprocessor(batch(kinds), True), mode='loss')


def test_losses_have_gradients_and_ignored_boxes_are_no_background() -> None:
    model = built(detector())
    found = losses(model, [{}, {}])
    assert set(found) == {'loss_cls', 'loss_box', 'loss_direction', 'loss_fit'}
    sum(found.values()).backward()
    assert all(weight.grad is not None for weight in model.parameters())
    ignored = losses(model, [{'ignored': True}])
    data = model.data_preprocessor(batch([{'ignored': True}]), True)
    data['data_samples'][0].ignored_instances_3d = annotated([], [], [])
    plain = model(**data, mode='loss')
    assert ignored['loss_box'] == 0 and ignored['loss_cls'] < plain['loss_cls']


def test_a_scene_without_labels_has_no_loss() -> None:
    found = losses(built(detector()).eval(), [{'labelled': False}])
    assert all(value == 0 for value in found.values()) and found['loss_cls'].requires_grad


def test_prediction_is_suppressed_sorted_and_limited() -> None:
    model = built(detector(score_thr=0.0, max_per_scene=7)).eval()
    data = model.data_preprocessor(batch([{}, {}]), False)
    with torch.no_grad():
        first, _ = model(**data, mode='predict')
        alone = model(**model.data_preprocessor(batch([{}]), False), mode='predict')[0]
        proposals = model.propose(data['inputs'], 2000)[0]
    found = first.pred_instances_3d
    assert len(found) == 7 and torch.equal(found.scores, found.scores.sort(descending=True).values)
    torch.testing.assert_close(alone.pred_instances_3d.boxes, found.boxes)  # scenes of a batch do not mix
    assert len(proposals.boxes) == 2000 and proposals.scores.shape == (2000, 3)
    with pytest.raises(RuntimeError, match='mode'):
        model(**data, mode='train')


def test_kinds_of_scenes_are_weighted() -> None:
    """Weight 0 leaves labelled scenes out of the network: its running statistics do not see them."""
    kinds = [{}, {'pseudo': True}, {'pseudo': True, 'ignored': True}]
    both = built({'type': 'imbdense.ReDB3D', 'detector': detector(), 'sup_weight': 2.0})
    found = losses(both, kinds)
    assert {'sup_loss_box', 'unsup_loss_box'} <= set(found)
    assert (found['stat_pseudo_kept'], found['stat_pseudo_ignored']) == (0.5, 0.5)
    once = built({'type': 'imbdense.ReDB3D', 'detector': detector(), 'sup_weight': 1.0})
    assert found['sup_loss_cls'].item() == pytest.approx(2 * losses(once, kinds)['sup_loss_cls'].item(), rel=1e-5)
    published = built({'type': 'imbdense.ReDB3D', 'detector': detector()})
    before = published.detector.encoder.layers[1].num_batches_tracked.clone()
    none = losses(published, [{}])
    assert none['unsup_loss_cls'] == 0 and none['unsup_loss_cls'].requires_grad
    assert torch.equal(published.detector.encoder.layers[1].num_batches_tracked, before)
    assert not [name for name in losses(published, kinds) if name.startswith('sup_')]


def test_plain_checkpoint_loads_and_own_state_round_trips() -> None:
    plain = built(detector())
    torch.nn.init.normal_(plain.bbox_head.predict.weight)
    model = built({'type': 'imbdense.ReDB3D', 'detector': detector()})
    model.load_state_dict(plain.state_dict())
    assert torch.equal(model.detector.bbox_head.predict.weight, plain.bbox_head.predict.weight)
    other = built({'type': 'imbdense.ReDB3D', 'detector': detector()})
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.predictor.bbox_head.predict.weight, plain.bbox_head.predict.weight)


def test_take_scenes() -> None:
    inputs = {'points': torch.arange(6.0)[:, None], 'sample': torch.tensor([0, 0, 1, 2, 2, 2]), 'batch_size': 3}
    found = take_scenes(inputs, [0, 2])
    assert found['sample'].tolist() == [0, 0, 1, 1, 1] and found['points'][:, 0].tolist() == [0, 1, 3, 4, 5]
    assert found['batch_size'] == 2
