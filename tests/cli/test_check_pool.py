"""imbdense check pool from the command line: equal and inverted pools, broken images, errors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

from imbdense.cli.main import main
from tests.mm.hooks.tiny_run import config

CLASSES = ('ground', 'roof', 'mast')


def picture(rng: np.random.Generator, roof: int = 8) -> tuple[np.ndarray, np.ndarray]:
    label = np.zeros((24, 24), np.uint8)
    y, x = rng.integers(1, 14, 2)
    label[y : y + 6, x : x + roof] = 1
    label[18:20, 4:8] = 2
    image = rng.integers(0, 60, (24, 24, 3)) + label[..., None] * 80 + rng.integers(0, 20)
    return image.clip(0, 255).astype(np.uint8), label


@pytest.fixture(scope='module')
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str, Path]:
    """A trained tiny segmentor with 48 validation images, and folders of pool images."""
    folder = tmp_path_factory.mktemp('pool')
    rng = np.random.default_rng(0)
    for split, count in (('train', 16), ('val', 48), ('same', 48), ('inverted', 48)):
        for kind in ('images', 'labels'):
            (folder / 'data' / kind / split).mkdir(parents=True)
        for index in range(count):
            image, label = picture(rng)
            image = 255 - image if split == 'inverted' else image
            Image.fromarray(image).save(folder / 'data' / 'images' / split / f'{index}.png')
            Image.fromarray(label).save(folder / 'data' / 'labels' / split / f'{index}.png')
    loss = {'type': 'CrossEntropyLoss'}
    cfg: Config = config(folder / 'data', folder / 'run', loss=loss)
    cfg.train_cfg.max_epochs = 12
    from mmengine.runner import Runner

    Runner.from_cfg(cfg).train()
    cfg.custom_imports = {'imports': ['tests.mm.hooks.tiny_run']}
    path = folder / f'config_{folder.name}.py'
    cfg.dump(str(path))
    return str(path), str(next((folder / 'run').glob('epoch_12.pth'))), folder


def check(run: tuple[str, str, Path], pool: str, out: Path, *more: str) -> int:
    images = str(run[2] / 'data' / 'images' / pool)
    return main(['check', 'pool', run[0], run[1], '--unlabelled', images, '--out', str(out), '--workers', '0',
                 '--device', 'cpu', *more])  # fmt: skip


def test_equal_pool(run: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(run, 'same', tmp_path, '--traceback') == 0
    record = json.loads((tmp_path / 'pool.json').read_text())
    text = capsys.readouterr().out
    assert record['verdict'] == 'no shift found' and record['images'] == [48, 48] and record['classes'] == list(CLASSES)
    assert record['prior']['labelled'][0] == pytest.approx(np.mean(record['prior']['em'][0]), abs=0.05)
    assert 'a prediction, not a verdict' in text and 'roof' in text
    page = (tmp_path / 'pool.html').read_text()
    assert page.startswith('<!DOCTYPE html>') and 'data:image/jpeg' in page and 'predicted gain' in page


def test_inverted_pool_is_a_shift_and_a_broken_image_is_named(
    run: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / 'broken.png'
    broken.write_bytes(b'no image')
    images = str(run[2] / 'data' / 'images' / 'inverted')
    code = main(['check', 'pool', run[0], run[1], '--unlabelled', images, str(broken), '--out', str(tmp_path / 'out'),
                 '--workers', '0', '--device', 'cpu', '--no-forecast'])  # fmt: skip
    record = json.loads((tmp_path / 'out' / 'pool.json').read_text())
    assert code == 1 and record['verdict'] == 'shift' and record['domain']['auroc'] > 0.9
    assert len(record['skipped']) == 1 and 'broken.png' in record['skipped'][0] and record['forecast'] is None
    assert 'skipped' in capsys.readouterr().err


def test_wrong_use_is_explained(run: tuple[str, str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['check', 'pool', run[0], run[1], '--unlabelled', str(tmp_path / 'nowhere')]) == 2
    assert 'no file or folder' in capsys.readouterr().err
    assert check(run, 'same', tmp_path, '--max-images', '0') == 2
    assert check(run, 'same', tmp_path, '--layer', 'backbone.layer9') == 2
    assert "no layer 'backbone.layer9'" in capsys.readouterr().err
