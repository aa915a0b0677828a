"""Pre-training on autolabels and fine-tuning beats training on the few human labels alone."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip('mmseg')

from imbdense.utils.paths import configs_dir

STAGES = ('selection/stage1_autolabel', 'selection/stage2_finetune')


def imbdense(*arguments: object) -> None:
    """Run a verb in a process of its own."""
    subprocess.run([sys.executable, '-m', 'imbdense', *map(str, arguments)], check=True)


def score(folder: Path) -> float:
    """mIoU of the last validation."""
    found = [json.loads(line) for path in sorted(folder.glob('*/vis_data/scalars.json'))
             for line in path.read_text().splitlines()]
    return [record['mIoU'] for record in found if 'mIoU' in record][-1]


@pytest.mark.slow
def test_two_stages_beat_the_second_alone(tmp_path: Path) -> None:
    """5 % of the generated scenes are labelled; a model trained on them labels the rest. Minutes on a free CPU core."""
    data = tmp_path / 'scenes'
    imbdense('generate', 'scenes', '--preset', 'demo', '--out', data)
    names = sorted(path.stem for path in (data / 'images' / 'train').iterdir())
    chosen = np.random.default_rng(0).choice(len(names), round(0.05 * len(names)), replace=False)
    (data / 'selected.txt').write_text('\n'.join(names[i] for i in sorted(chosen)) + '\n')
    first, second = (configs_dir() / f'{name}.py' for name in STAGES)
    human = ['--cfg-options', f'train_dataloader.dataset.data_root={data}', f'val_dataloader.dataset.data_root={data}']
    scratch = [*human, 'optim_wrapper.optimizer.lr=5e-3']
    imbdense('train', second, '--work-dir', tmp_path / 'scratch', '--seed', 0, *scratch)
    imbdense('pseudo-label', second, tmp_path / 'scratch' / 'iter_200.pth', '--images', data / 'images' / 'train',
             '--out', data / 'autolabels', '--rule', 'fixed', '--threshold', 0.5, *human)
    parts = [f'train_dataloader.dataset.{part}.data_root={data}' for part in ('human', 'autolabels')]
    imbdense('train', first, '--work-dir', tmp_path / 'two' / 'stage1', '--seed', 0, '--cfg-options', *parts, human[2])
    start = tmp_path / 'two' / 'stage1' / 'iter_600.pth'
    imbdense('train', second, '--work-dir', tmp_path / 'two' / 'stage2', '--seed', 0, *human, f'load_from={start}')
    assert score(tmp_path / 'two' / 'stage2') > score(tmp_path / 'scratch')
