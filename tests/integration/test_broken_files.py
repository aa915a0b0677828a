"""Training with a real config on data with one broken file: the message names that file, whatever reads it first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('mmseg')

from imbdense.cli.main import run_verb
from tests.integration.tiny_data import write_segmentation


def cut(path: Path) -> None:
    """Lose the second half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def shrink(path: Path) -> None:
    """A label of another size than its image."""
    Image.fromarray(np.zeros((32, 48), np.uint8)).save(path)


def spoil(path: Path) -> None:
    """A label value that is no class."""
    values = np.asarray(Image.open(path)).copy()
    values[5, 5] = 77
    Image.fromarray(values).save(path)


@pytest.mark.parametrize(
    ('folder', 'damage', 'expected'),
    [
        ('images', cut, 'failed in the data pipeline'),
        ('labels', cut, 'truncated'),
        ('labels', spoil, '77'),
        ('labels', shrink, '32 x 48 pixels (height x width), but its image is 64 x 64'),
        ('labels', Path.unlink, ''),
    ],
)
def test_the_broken_file_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], folder: str, damage: Callable[[Path], None], expected: str
) -> None:
    root = write_segmentation(tmp_path / 'data', 3)
    damage(root / folder / 'train' / '002.png')
    options = [f'{loader}_dataloader.{option}' for loader in ('train', 'val', 'test')
               for option in (f'dataset.data_root={root}', 'num_workers=0', 'persistent_workers=False')]
    work_dir = str(tmp_path / 'run')
    code = run_verb('train', ['medical/fpn_mobilenetv2_nuclei_ce.py', '--work-dir', work_dir, '--seed', '0',
                              '--cfg-options', *options, 'train_dataloader.batch_size=4',
                              'train_dataloader.dataset.pipeline.2.crop_size=(64,64)',
                              'model.data_preprocessor.size=(64,64)', 'train_cfg.max_iters=4'])
    error = capsys.readouterr().err.split('imbdense train: ')[-1]
    assert code == 2
    assert '002' in error
    assert expected in error
    assert 'Traceback' not in error
