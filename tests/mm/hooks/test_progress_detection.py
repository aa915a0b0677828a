"""The probe in detection runs: dense and RoI heads, values against what the head's own loss sees."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmdet')

from mmengine.config import ConfigDict

from imbdense.mm.hooks.probe_detections import labels_of
from imbdense.mm.hooks.progress_hook import make_probe
from tests.mm.assigned_counts import cases
from tests.mm.hooks.tiny_detection_run import runner

HOOK = {'type': 'imbdense.ProgressHook', 'interval': 5, 'per_class': 2}
COUNTS = {'type': 'imbdense.ClassCountHook'}
HEADS: dict[str, Callable[[], ConfigDict]] = {
    'retina': cases.retinanet, 'atss': cases.atss, 'gfl': cases.gfl, 'fcos': cases.fcos, 'yolov3': cases.yolov3,
    'paa': cases.paa, 'tood': cases.tood, 'yolox': cases.yolox, 'faster': cases.two_stage,
    'cascade': lambda: cases.two_stage(2),
}  # fmt: skip


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder)
    return folder


def seen_by_hand(run: Any, probe: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Samples, loss and hits per class of a RetinaNet from its head's own targets."""
    head, tally = run.model.bbox_head, np.zeros((3, 3))
    run.model.eval()
    for batch in probe.batches:
        data = run.model.data_preprocessor(batch, False)
        with torch.no_grad():
            scores, _ = run.model(data['inputs'], data['data_samples'], mode='tensor')
        metas = [one.metainfo for one in data['data_samples']]
        sizes = [level.shape[-2:] for level in scores]
        anchors, flags = head.get_anchors(sizes, metas, device='cpu')
        labels, weights, *_ = head.get_targets(
            anchors, flags, [one.gt_instances for one in data['data_samples']], metas,
            [one.ignored_instances for one in data['data_samples']],
        )  # fmt: skip
        for level, label, weight in zip(scores, labels, weights):
            rows = level[0].permute(1, 2, 0).reshape(-1, 3)
            for klass in range(3):
                own = rows[(label[0] == klass) & (weight[0] > 0)]
                target = F.one_hot(torch.full((len(own),), klass), 3).float()
                tally[0, klass] += len(own)
                tally[1, klass] += F.binary_cross_entropy_with_logits(own, target, reduction='sum')
                tally[2, klass] += int((own.argmax(1) == klass).sum())
    return tally[0], tally[1] / tally[0], tally[2] / tally[0]


def test_curves_of_a_run(root: Path, tmp_path: Path) -> None:
    """Ten iterations: measured at 0, 5 and 10; the last point by hand from the trained model."""
    run = runner(root, tmp_path / 'curves', cases.retinanet(), hooks=[COUNTS, HOOK])
    run.train()
    record = json.loads((tmp_path / 'curves' / 'imbdense' / 'progress.json').read_text())
    assert [point['iter'] for point in record['curves']] == [0, 5, 10]
    assert record['classes'] == list(cases.CLASSES) and record['counts_source'] == 'instances of the training set'
    samples, loss, recall = seen_by_hand(run, make_probe(run, 2))
    with np.errstate(invalid='ignore'):
        for name, values in (('loss', loss), ('recall', recall)):
            found = [np.nan if value is None else value for value in record['curves'][-1][name]]
            assert found == pytest.approx(values.tolist(), rel=1e-4, nan_ok=True), name
    assert record['probe']['samples'] == samples.astype(int).tolist() and samples.sum() > 10


@pytest.mark.parametrize('kind', HEADS)
def test_every_kind_of_head_is_measured_and_not_disturbed(kind: str, root: Path, tmp_path: Path) -> None:
    run = runner(root, tmp_path / kind, HEADS[kind](), hooks=[])
    run.message_hub.update_info('epoch', 0)  # TOOD asks for it
    model, probe = run.model, make_probe(run, 2)
    model.train()
    model.backbone.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    modes = [module.training for module in model.modules()]
    state, losses = torch.get_rng_state(), [module for module in model.modules() if hasattr(module, 'loss_cls')]
    owned = [head.loss_cls for head in losses]
    first, second = probe.measure(model), probe.measure(model)
    seen = probe.counted > 0
    assert seen.sum() >= 2 and np.isfinite(first.loss[seen]).all() and np.isnan(first.loss[~seen]).all()
    assert (first.score[seen] > 0).all() and (first.score[seen] < 1).all() and (first.recall[seen] <= 1).all()
    np.testing.assert_array_equal(first.loss, second.loss)  # also where a sampler draws
    assert torch.equal(torch.get_rng_state(), state) and [m.training for m in model.modules()] == modes
    assert [head.loss_cls for head in losses] == owned
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_better_classifier_has_the_lower_loss(root: Path, tmp_path: Path) -> None:
    """Raising the bias of a class raises its score and recall and lowers its loss, of softmax and sigmoid heads."""
    for name, model, layer in (('roi', cases.two_stage(), 'roi_head.bbox_head.fc_cls'),
                               ('dense', cases.atss(), 'bbox_head.atss_cls')):  # fmt: skip
        run = runner(root, tmp_path / name, model, hooks=[])
        probe = make_probe(run, 2)
        plain = probe.measure(run.model)
        run.model.get_submodule(layer).bias.data[0] += 3
        raised = probe.measure(run.model)
        assert raised.loss[0] < plain.loss[0] and raised.score[0] > plain.score[0] and raised.recall[0] == 1
        assert raised.loss[1] > plain.loss[1]


def test_labels_of_every_form_of_target() -> None:
    indices = torch.tensor([0, 2, 3])
    assert labels_of(indices, 3).tolist() == [0, 2, 3]
    assert labels_of((indices, torch.rand(3)), 3).tolist() == [0, 2, 3]
    soft = torch.tensor([[0.7, 0, 0], [0, 0, 0.2], [0, 0, 0]])
    assert labels_of(soft, 3).tolist() == [0, 2, 3] == labels_of(soft[None], 3).tolist()


def test_a_head_of_other_classes_is_named(root: Path, tmp_path: Path) -> None:
    model = cases.retinanet()
    model.bbox_head.num_classes = 5
    run = runner(root, tmp_path / 'other', model, hooks=[])
    with pytest.raises(ValueError, match='3 classes of the data set, but has 5'):
        make_probe(run, 2).measure(run.model)
