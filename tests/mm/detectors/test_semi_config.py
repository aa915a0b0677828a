"""The shipped semi-supervised detection config, as a run of a few iterations on tiny data, and its resumption."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.config import Config

from imbdense.cli._runner import build_runner
from imbdense.utils.paths import configs_dir
from tests.integration.tiny_data import write_detection

CONFIG = configs_dir() / 'semi_supervised' / 'atss_scenes_mean_teacher.py'


def config(root: Path, work_dir: Path, iterations: int = 4, **changes: Any) -> Config:
    """The config on six tiny images, two of them labelled; the teacher speaks from the second step on."""
    cfg = Config.fromfile(str(CONFIG))
    if not (root / 'images').exists():
        write_detection(root, cfg.metainfo['classes'], count=6)
    parts = [cfg.train_dataloader.dataset.labeled, cfg.train_dataloader.dataset.unlabeled, cfg.val_dataloader.dataset,
             cfg.test_dataloader.dataset]
    for part in parts:
        part.data_root = str(root)
        part.indices = None
    parts[0].indices = 2
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.num_workers, loader.persistent_workers = 0, False
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        evaluator.ann_file = str(root / 'annotations' / 'val.json')
    cfg.train_cfg.update(max_iters=iterations, val_interval=iterations)
    cfg.default_hooks.checkpoint.update(interval=2, save_best=None)
    cfg.model.update(burn_in=1, ramp_up=1, min_score=0.0)
    cfg.model.pseudo_labeler = {'type': 'imbdense.FixedThreshold', 'threshold': 0.004, 'negative': 'half'}
    cfg.update(work_dir=str(work_dir), launcher='none', randomness={'seed': 0}, log_level='ERROR',
               experiment_name=work_dir.name, **changes)
    return cfg


@pytest.mark.slow
def test_trains_evaluates_and_resumes_exactly(tmp_path: Path) -> None:
    whole = build_runner(config(tmp_path / 'data', tmp_path / 'whole'))
    whole.train()
    assert whole.model.iteration == 4
    scalars = whole.message_hub.log_scalars
    assert max(scalars['train/stat_pseudo_kept'].data[0]) > 0
    assert max(scalars['train/unsup_loss_cls'].data[0]) > 0
    assert 'val/coco/bbox_mAP' in scalars or any(name.startswith('val/') for name in scalars)
    student, teacher = whole.model.student.state_dict(), whole.model.teacher.state_dict()
    assert any(not torch.equal(student[name], teacher[name]) for name in student)
    resumed = build_runner(config(tmp_path / 'data', tmp_path / 'resumed', resume=True,
                                  load_from=str(tmp_path / 'whole' / 'iter_2.pth')))
    resumed.train()
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name
