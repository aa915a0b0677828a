"""The recommended way: an ordinary first stage, then only the classifiers learn, with drawn features; and resuming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet.models')

from imbdense.mm.checkpoints import load_checkpoint
from tests.mm.assigned_counts import cases
from tests.mm.heads.tiny_detectors import BBOX_HEAD, RCNN_TRAIN, two_stage
from tests.mm.hooks.tiny_detection_run import runner

STAGES = {
    'LOCEBBoxHead': ({'type': 'CrossEntropyLoss', 'use_sigmoid': False}, {'type': 'imbdense.EBLLoss'}),
    'BACLBBoxHead': ({'type': 'imbdense.ForegroundClassBalanceLoss', 'alpha': 0.0},
                     {'type': 'imbdense.ForegroundClassBalanceLoss', 'competitors_only': True}),
}  # fmt: skip
LEARNING = ('roi_head.bbox_head.fc_cls', 'roi_head.bbox_head.fc_reg', 'rpn_head')
HOOKS = [
    {'type': 'imbdense.DecoupledStage2Hook', 'mode': 'crt', 'reinit': False, 'trainable': LEARNING},
    {'type': 'imbdense.ExactResumeHook'},
]


def model_of(head: dict[str, Any]) -> dict[str, Any]:
    """Faster R-CNN with images as the host prepares them."""
    sampler = {'type': 'RandomSampler', 'num': 64, 'pos_fraction': 0.5, 'add_gt_as_proposals': True}
    config = two_stage('FasterRCNN', {**BBOX_HEAD, **head})
    config['train_cfg'] = {**config['train_cfg'], 'rcnn': {**RCNN_TRAIN, 'sampler': sampler}}
    preprocessor = {'type': 'DetDataPreprocessor', 'mean': [0.0] * 3, 'std': [255.0] * 3, 'pad_size_divisor': 32}
    return {**config, 'data_preprocessor': preprocessor}


def state_of(folder: Path, epoch: int) -> dict[str, torch.Tensor]:
    return load_checkpoint(folder / f'epoch_{epoch}.pth')['state_dict']


@pytest.mark.slow
@pytest.mark.parametrize('name', STAGES)
def test_only_the_classifiers_learn_and_a_resumed_run_ends_the_same(name: str, tmp_path: Path) -> None:
    cases.write_coco(tmp_path, images=10)
    first_loss, second_loss = STAGES[name]
    plain = model_of({'type': 'Shared2FCBBoxHead', 'loss_cls': first_loss})
    runner(tmp_path, tmp_path / 'one', plain, hooks=[]).train()
    head = {'type': f'imbdense.{name}', 'loss_cls': second_loss}
    start = str(tmp_path / 'one' / 'epoch_1.pth')
    for folder, epochs in (('whole', 2), ('killed', 1)):
        runner(tmp_path, tmp_path / folder, model_of(head), epochs=epochs, hooks=HOOKS, load_from=start).train()
    runner(tmp_path, tmp_path / 'killed', model_of(head), epochs=2, hooks=HOOKS, resume=True).train()

    before, after, resumed = (state_of(tmp_path / folder, epoch) for folder, epoch in
                              (('one', 1), ('whole', 2), ('killed', 2)))  # fmt: skip
    moved = {key for key, value in before.items() if '.stats.' not in key and not torch.equal(value, after[key])}
    assert moved and all(key.startswith(LEARNING) for key in moved)
    memory = {key: value for key, value in after.items() if '.drawn_from.' in key}
    counter = 'queue.entered' if name == 'LOCEBBoxHead' else 'observed'
    assert memory[f'roi_head.bbox_head.drawn_from.{counter}'].sum() > 0
    assert after.keys() == resumed.keys() and all(torch.equal(value, resumed[key]) for key, value in after.items())
