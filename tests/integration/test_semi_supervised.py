"""Semi-supervised runs: garbage labels change nothing, resuming is exact, the alarm rings, two ranks."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import Config

from imbdense.cli.main import run_verb
from imbdense.mm.checkpoints import load_checkpoint
from tests.mm.datasets.semi_data import CLASSES, labeled_config, semi_config, write_semi
from tests.mm.segmentors.semi_cases import fcn

ROOT = Path(__file__).resolve().parents[2]


def write_config(folder: Path, data: Path, iterations: int = 6, **changes: Any) -> Path:
    """A run on tiny images; ``changes`` are merged into the config."""
    pipeline = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='PackSegInputs')]
    config = Config(dict(
        default_scope='mmseg',
        model=dict(type='imbdense.SemiSegmentor', segmentor=fcn(), consistency='fixmatch', ramp=3,
                   pseudo=dict(type='imbdense.FixedThreshold', threshold=0.25)),
        train_dataloader=dict(
            batch_size=4, num_workers=0, dataset=semi_config(data),
            sampler=dict(type='imbdense.TwoStreamSampler', batch_size=4, infinite=True)),
        val_dataloader=dict(
            batch_size=1, num_workers=0, dataset={**labeled_config(data), 'pipeline': pipeline},
            sampler=dict(type='DefaultSampler', shuffle=False)),
        val_evaluator=dict(type='imbdense.ConfusionMetric'),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=5e-3)),
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations),
        val_cfg=dict(type='ValLoop'),
        default_hooks=dict(
            checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=3),
            logger=dict(type='LoggerHook', interval=1, log_metric_by_epoch=False),
            class_counts=dict(type='imbdense.ClassCountHook')),
        custom_hooks=[dict(type='imbdense.EMATeacherHook')],
        log_processor=dict(by_epoch=False, window_size=1),
        env_cfg=dict(mp_cfg=dict(mp_start_method='fork')),
        randomness=dict(seed=3),
    ))  # fmt: skip
    config.merge_from_dict(changes)
    path = folder / f'{folder.name}.py'
    folder.mkdir(parents=True, exist_ok=True)
    config.dump(str(path))
    return path


def train(config: Path, work_dir: Path, *flags: str) -> None:
    assert run_verb('train', [str(config), '--work-dir', str(work_dir), *flags]) == 0


def curve(work_dir: Path) -> dict[int, tuple[float, float, float]]:
    """Iteration -> (loss, unsupervised loss, mask rate), the last value written."""
    found = {}
    for file in sorted(work_dir.glob('*/vis_data/scalars.json')):
        for line in file.read_text().splitlines():
            record = json.loads(line)
            if 'loss' in record:
                found[record['step']] = (record['loss'], record['unsup.loss_strong'], record['stat_mask_rate'])
    return found


def assert_same_weights(first: Path, second: Path) -> None:
    one, two = load_checkpoint(first)['state_dict'], load_checkpoint(second)['state_dict']
    assert one.keys() == two.keys()
    for key, value in one.items():
        assert torch.equal(value, two[key]), key


@pytest.mark.slow
def test_garbage_labels_of_unlabelled_images_change_nothing(tmp_path: Path) -> None:
    """Beside every unlabelled image lies a label that is no image; the run is the same, bit for bit."""
    config = write_config(tmp_path / 'clean', write_semi(tmp_path / 'data'), iterations=3)
    train(config, tmp_path / 'a')
    for folder in ('unlabeled', 'labels'):
        for image in (tmp_path / 'data' / 'unlabeled').glob('*.png'):
            target = tmp_path / 'data' / ('annotations' if folder == 'unlabeled' else 'labels') / image.name
            target.parent.mkdir(exist_ok=True)
            target.write_text('garbage')
    train(config, tmp_path / 'b')
    assert curve(tmp_path / 'a') == curve(tmp_path / 'b') and len(curve(tmp_path / 'a')) == 3
    assert_same_weights(tmp_path / 'a' / 'iter_3.pth', tmp_path / 'b' / 'iter_3.pth')


@pytest.mark.slow
def test_resuming_gives_the_losses_of_a_run_that_went_through(tmp_path: Path) -> None:
    config = write_config(tmp_path / 'run', write_semi(tmp_path / 'data'))
    train(config, tmp_path / 'whole')
    train(config, tmp_path / 'parts', '--cfg-options', 'train_cfg.max_iters=3')
    (tmp_path / 'parts' / 'iter_6.pth').unlink(missing_ok=True)
    train(config, tmp_path / 'parts', '--resume')
    whole, parts = curve(tmp_path / 'whole'), curve(tmp_path / 'parts')
    assert sorted(whole) == [1, 2, 3, 4, 5, 6] and whole == parts
    assert any(unsupervised > 0 for _, unsupervised, _ in whole.values()), 'the unlabelled images took part'
    assert_same_weights(tmp_path / 'whole' / 'iter_6.pth', tmp_path / 'parts' / 'iter_6.pth')
    weights = load_checkpoint(tmp_path / 'whole' / 'iter_6.pth')['state_dict']
    pairs = [(key, key.replace('teacher.', 'student.', 1)) for key in weights if key.startswith('teacher.')]
    assert any(not torch.equal(weights[one], weights[two]) for one, two in pairs), 'the teacher lags behind'


def log_of(work_dir: Path) -> str:
    return ''.join(file.read_text() for file in work_dir.glob('*/*.log'))


def test_overlap_is_reported_and_a_planted_collapse_rings_the_alarm(tmp_path: Path) -> None:
    """A labelled image lies among the unlabelled ones; a threshold of .999 accepts nothing."""
    data = write_semi(tmp_path / 'data')
    copy = data / 'unlabeled' / 'copy.png'
    copy.write_bytes((data / 'labeled' / 'images' / '00.png').read_bytes())
    config = write_config(
        tmp_path / 'run', data, **{'model.pseudo.threshold': 0.999},
        custom_hooks=[dict(type='imbdense.EMATeacherHook'),
                      dict(type='imbdense.RareCollapseHook', interval=1, patience=5, cut=0.1)],
    )  # fmt: skip
    train(config, tmp_path / 'out')
    log = log_of(tmp_path / 'out')
    assert '1 of 6 unlabelled images are labelled too' in log and str(copy) in log
    assert 'RareCollapseHook: iteration 5: no pseudo-label at all was accepted' in log
    assert all(f'{name}: 0 % instead of' in log for name in CLASSES)
    cut = load_checkpoint(tmp_path / 'out' / 'iter_6.pth')['state_dict']['threshold_cut']
    assert torch.allclose(cut, torch.full((4,), 0.9))


@pytest.mark.parametrize(
    'consistency', ['fixmatch', *(pytest.param(name, marks=pytest.mark.slow) for name in ('unimatch', 'cps', 'u2pl'))]
)
def test_one_labelled_image_fewer_than_the_batch_takes(tmp_path: Path, consistency: str) -> None:
    hooks = [] if consistency in ('unimatch', 'cps') else [dict(type='imbdense.EMATeacherHook')]
    config = write_config(
        tmp_path / consistency, write_semi(tmp_path / 'data', labeled=1, unlabeled=2), iterations=2,
        custom_hooks=hooks, **{'model.consistency': consistency},
    )  # fmt: skip
    train(config, tmp_path / 'out')
    assert load_checkpoint(tmp_path / 'out' / 'iter_2.pth')['meta']['iter'] == 2


@pytest.mark.slow
@pytest.mark.parametrize('consistency', ['fixmatch', 'u2pl', 'cps', 'unimatch'])
def test_two_ranks_agree_and_none_waits(tmp_path: Path, consistency: str) -> None:
    """DistributedDataParallel without search for unused parameters; the counts are those of both ranks."""
    hooks = [] if consistency in ('unimatch', 'cps') else [dict(type='imbdense.EMATeacherHook')]
    config = write_config(
        tmp_path / consistency, write_semi(tmp_path / 'data'), iterations=3, custom_hooks=hooks,
        **{'model.consistency': consistency},
    )  # fmt: skip
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': str(ROOT)}
    command = ['bash', str(ROOT / 'tools' / 'dist_train.sh'), str(config), '2', '--work-dir', str(tmp_path / 'out')]
    done = subprocess.run(command, cwd=ROOT, env=environment, text=True, capture_output=True, timeout=280, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    counts = load_checkpoint(tmp_path / 'out' / 'iter_3.pth')['state_dict']['pseudo_counts.counts']
    assert 0 < int(counts.sum()) <= 2 * 3 * 2 * 32 * 32
