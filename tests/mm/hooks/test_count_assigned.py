"""count='assigned' from end to end: measured, in the ledger, in the losses, in the checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, PriorLedger
from imbdense.mm.prior import HUB_COUNTS, HUB_LEDGER
from tests.mm.assigned_counts import cases
from tests.mm.hooks.tiny_detection_run import runner


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder)
    return folder


LOSS = {'type': 'imbdense.LogitAdjustLoss', 'use_sigmoid': True, 'tau': 0.5}
CASES = {
    'hook': ({'type': 'imbdense.ClassCountHook', 'count': 'assigned'}, LOSS),
    'loss': ({'type': 'imbdense.ClassCountHook'}, {**LOSS, 'count': 'assigned'}),
}


@pytest.mark.parametrize('asked_by', CASES)
def test_the_loss_gets_what_the_head_sees(asked_by: str, root: Path, tmp_path: Path) -> None:
    """Anchors, not objects: large objects have more of them."""
    hook, loss = CASES[asked_by]
    run = runner(root, tmp_path, cases.retinanet(loss), hooks=[hook])
    run.train()
    plain = cases.build(cases.retinanet())
    expected = cases.counts_in_forward(plain, plain.bbox_head, cases.build_dataset(root))[:-1]
    counts = ClassCounts.from_dict(run.message_hub.get_info(HUB_COUNTS))
    assert counts.assigned.tolist() == expected.tolist() != counts.instances.tolist()
    ledger = PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))
    assert [entry.source for entry in ledger.entries] == ['assigned to bbox_head', 'LogitAdjustLoss']
    assert ledger.seen_prior == pytest.approx(expected / expected.sum())
    bound = run.model.bbox_head.loss_cls.known_counts()
    assert (bound / bound.sum()).numpy() == pytest.approx(expected / expected.sum())
    if asked_by == 'loss':
        assert bound.numpy() == pytest.approx(expected)
    record = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['meta']['imbdense']
    assert record['class_counts']['assigned'] == expected.tolist()
    assert record['assigned_counts']['bbox_head']['foreground'] == expected.tolist()


def test_sampler_and_crop_are_in_the_measurement(root: Path, tmp_path: Path) -> None:
    """Not once more as their own estimates; all anchors of a class that only drawn images hold count."""
    sampler = {'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0, 'seed': 0}
    hook = {'type': 'imbdense.ClassCountHook', 'count': 'assigned'}
    run = runner(root, tmp_path, cases.retinanet(LOSS), hooks=[hook], sampler=sampler)
    run.train()
    ledger = PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))
    assert [entry.source for entry in ledger.entries][:2] == ['assigned to bbox_head', 'RepeatFactorSampler']
    counts = ClassCounts.from_dict(run.message_hub.get_info(HUB_COUNTS))
    assert ledger.seen_prior == pytest.approx(counts.assigned / counts.assigned.sum())
    plain = runner(root, tmp_path / 'plain', cases.retinanet(LOSS), hooks=[hook])
    plain.train()
    even = np.asarray(plain.message_hub.get_info(HUB_COUNTS)['assigned'])
    assert counts.assigned[2] / counts.assigned.sum() > 1.2 * even[2] / even.sum()


def test_a_loss_with_counts_of_the_labels_is_refused_after_a_sampler(root: Path, tmp_path: Path) -> None:
    loss = {**LOSS, 'class_counts': [24, 10, 2]}
    sampler = {'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0, 'seed': 0}
    hook = {'type': 'imbdense.ClassCountHook', 'count': 'assigned'}
    with pytest.raises(DoubleCorrectionError, match='RepeatFactorSampler already changed'):
        runner(root, tmp_path, cases.retinanet(loss), hooks=[hook], sampler=sampler).train()


def test_two_stages_take_the_classes_of_the_second(root: Path, tmp_path: Path) -> None:
    config = cases.two_stage()
    config.roi_head.bbox_head.loss_cls = {'type': 'imbdense.BalancedSoftmaxLoss', 'count': 'assigned'}
    run = runner(root, tmp_path, config, hooks=[{'type': 'imbdense.ClassCountHook'}])
    run.train()
    ledger = PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))
    assert ledger.entries[0].source == 'assigned to roi_head.bbox_head'
