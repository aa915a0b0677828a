"""The probe in a real segmentation run: values against a count by hand, an undisturbed training, a resume."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg')

from mmengine.runner import Runner

from imbdense.core.stats import ImageClassTable
from imbdense.mm.hooks.probe_scores import two_channels
from imbdense.mm.hooks.progress_hook import ProgressHook, probe_images
from tests.mm.hooks.tiny_run import CLASSES, config, runner, write_dataset

HOOK = {'type': 'imbdense.ProgressHook', 'interval': 2, 'per_class': 2}
COUNTS = {'type': 'imbdense.ClassCountHook'}


@pytest.fixture(scope='module')
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('data')
    write_dataset(folder)
    return folder


def record_of(work_dir: Path) -> dict[str, Any]:
    return json.loads((work_dir / 'imbdense' / 'progress.json').read_text())


def test_curves_of_a_run(data: Path, tmp_path: Path) -> None:
    """Four iterations: measured at 0, 2 and 4; the last point by hand from the trained model."""
    run = runner(data, tmp_path / 'curves', hooks=[COUNTS, HOOK])
    run.train()
    record = record_of(tmp_path / 'curves')
    assert [point['iter'] for point in record['curves']] == [0, 2, 4]
    assert record['classes'] == list(CLASSES) and record['groups'] == {'head': [0], 'medium': [1], 'tail': [2]}
    assert record['counts_source'] == 'pixels of the training set'
    dataset = run.val_dataloader.dataset
    table = ImageClassTable.from_lists([[0, 1, 2] if index % 4 == 0 else [0, 1] for index in range(8)], 3)
    images = probe_images(table, 2)
    assert record['probe']['images'] == len(images) == 3
    loss, hits, pixels = np.zeros(3), np.zeros(3), np.zeros(3)
    run.model.eval()
    for index in images:
        sample = dataset[index]
        with torch.no_grad():
            (found,) = run.model.test_step({'inputs': [sample['inputs']], 'data_samples': [sample['data_samples']]})
        logits, label = found.seg_logits.data, sample['data_samples'].gt_sem_seg.data[0]
        value = F.cross_entropy(logits[None], label[None].long(), ignore_index=255, reduction='none')[0]
        for klass in range(3):
            mask = label == klass
            pixels[klass] += int(mask.sum())
            loss[klass] += float(value[mask].sum())
            hits[klass] += int((logits.argmax(0)[mask] == klass).sum())
    assert record['curves'][-1]['loss'] == pytest.approx((loss / pixels).tolist(), rel=1e-4)
    assert record['curves'][-1]['recall'] == pytest.approx((hits / pixels).tolist())
    assert record['probe']['pixels'] == pixels.astype(int).tolist()
    assert set(record['steps_to_recall']['groups']) == {'head', 'medium', 'tail'}
    assert [entry['head_loss'] for entry in record['at_head_loss']] == [1.0, 0.5, 0.2, 0.1, 0.05]
    assert run.message_hub.get_scalar('train/progress/recall_head').current() == pytest.approx(hits[0] / pixels[0])


def test_training_is_not_disturbed(data: Path, tmp_path: Path) -> None:
    runs = []
    for name, hooks in (('with', [COUNTS, HOOK]), ('without', [COUNTS])):
        runs.append(runner(data, tmp_path / name, hooks=hooks))
        runs[-1].train()
    for (name, first), second in zip(runs[0].model.state_dict().items(), runs[1].model.state_dict().values()):
        assert torch.equal(first, second), name
    assert runs[0].model.training == runs[1].model.training


def test_a_resumed_run_keeps_the_curve_up_to_its_checkpoint(data: Path, tmp_path: Path) -> None:
    run = runner(data, tmp_path / 'first', hooks=[COUNTS, HOOK])
    run.train()
    again = config(data, tmp_path / 'first', hooks=[COUNTS, HOOK], load_from=str(tmp_path / 'first' / 'epoch_1.pth'))
    again.resume, again.train_cfg.max_epochs, again.experiment_name = True, 2, 'progress_again'
    Runner.from_cfg(again).train()
    assert [point['iter'] for point in record_of(tmp_path / 'first')['curves']] == [0, 2, 4, 6, 8]


def test_probe_images_are_spread_over_the_images_of_a_class() -> None:
    table = ImageClassTable.from_lists([[0]] * 9 + [[0, 1]], 3)
    assert probe_images(table, 3) == [0, 4, 9] and probe_images(table, 1) == [0, 9]


def test_one_channel_is_a_sigmoid() -> None:
    z = torch.randn(1, 5)
    assert torch.allclose(two_channels(z).softmax(0)[1], z[0].sigmoid())


def test_mistakes_are_named(data: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='threshold'):
        ProgressHook(threshold=0.0)
    run = runner(data, tmp_path / 'blind', hooks=[HOOK])
    run._val_dataloader = None
    with pytest.raises(ValueError, match='no val_dataloader'):
        ProgressHook().before_train(run)
