"""Wrong use of the verbs: one message that names what is wrong, exit code 2, no traceback, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from imbdense.cli.main import main

pytest.importorskip('mmseg')
CONFIG = 'segmentation/unet_scenes_ce.py'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of every wrong kind, as the current one."""
    monkeypatch.chdir(tmp_path)
    torch.save({'state_dict': {'weight': torch.zeros(999)}}, 'whole.pth')
    Path('cut.pth').write_bytes(Path('whole.pth').read_bytes()[:1500])
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save('a.png')
    Path('image.pth').write_bytes(Path('a.png').read_bytes())
    Path('file').write_text('not a folder')
    Path('x.json').write_text('{"a": 1}')
    return tmp_path


CASES = [
    (['train', 'a.png'], 'a.png is not a valid config (.py, .json, .yaml)'),
    (['train', 'x.json'], "x.json has no model: it is no config of a training. Its keys: ['a']"),
    (['predict', 'x.json', 'whole.pth', 'a.png'], 'x.json has no model'),
    (['train', CONFIG, '--work-dir', 'file/x'], 'cannot write to the work dir file/x'),
    (['train', CONFIG, '--resume', 'image.pth'], 'image.pth is no checkpoint'),
    (['train', CONFIG, '--resume', 'cut.pth'], 'cut.pth is truncated: take an earlier checkpoint'),
    (['train', CONFIG, '--cfg-options', 'train_cfg.max_iters=0'], 'train_cfg.max_iters must be at least 1'),
    (['test', CONFIG, 'none.pth'], 'there is no checkpoint none.pth'),
    (['test', CONFIG, 'cut.pth'], 'cut.pth is truncated'),
    (['predict', CONFIG, 'image.pth', 'a.png', '--out', 'out'], 'image.pth is no checkpoint'),
    (['predict', CONFIG, 'whole.pth', 'a.png', '--out', 'file/x'], 'cannot write to the folder of the results file/x'),
    (['stats', 'a.png'], 'a.png: is no config (OSError'),
    (['check', 'file'], 'file: is no config'),
    (['stats', 'x.json'], "x.json: has no train, val or test dataloader; it has ['a']"),
    (['pointdc', CONFIG], 'model.type must be imbdense.PointDCSegmentor, but is EncoderDecoder'),
    (['generate', 'pairs', '--out', 'x', '--tile', '0'], 'tile must be an integer of at least 16'),
    (['convert', 'network', 'cut.pth', '--out', 'x.pth'], 'cut.pth is truncated'),
    (['benchmark', 'demo', '--work-dir', 'file/x'], 'cannot write to the work dir file/x'),
    (['benchmark', 'adaptation', '--work-dir', 'file/x'], 'cannot write to the work dir file/x'),
    (['benchmark', 'ssl-curve', 'a.png'], 'a.png is not a valid config'),
    (['benchmark', 'prior-shift', '--steps', '1', '--seeds', '0', '--out', 'file/x.json'], 'cannot write file/x.json'),
    (['predict', CONFIG, 'whole.pth', 'a.png', '--out', 'file'], 'cannot write to the folder of the results file'),
]
NUMBERS = [
    (['train', CONFIG, '--seed', '-1'], '--seed: must be a whole number from 0 to 4294967295, but is -1'),
    (['generate', 'lidar', '--out', 'x', '--seed', '1.5'], '--seed: must be a whole number'),
    (['predict', CONFIG, 'whole.pth', 'a.png', '--score-thr', 'nan'], '--score-thr: must be a finite number'),
    (['pseudo-label', CONFIG, 'whole.pth', '--images', 'a.png', '--out', 'x', '--threshold', '2'],
     '--threshold: must be a finite number of at least 0 and at most 1, but is 2'),
    (['pseudo-label', CONFIG, 'whole.pth', '--images', 'a.png', '--out', 'x', '--logit-adjust-tau', 'nan'],
     '--logit-adjust-tau: must be a finite number of at least 0, but is nan'),
    (['self-train', CONFIG, '--unlabeled', 'a.png', '--threshold', 'nan'], '--threshold: must be'),
    (['self-train', CONFIG, '--unlabeled', 'a.png', '--portion', '0'], '--portion: must be a finite number above 0'),
    (['generate', 'bank', CONFIG, '--out', 'x', '--min-area', '-1'], '--min-area: must be a whole number of at least'),
    (['check', CONFIG, '--workers', '-2'], '--workers: must be a whole number of at least 0, but is -2'),
    (['stats', CONFIG, '--workers', '-1'], '--workers: must be'),
    (['diagnose', CONFIG, 'whole.pth', '--workers', '-1'], '--workers: must be'),
    (['select', 'pool', CONFIG, 'whole.pth', '--out', 'x', '--workers', '-1'], '--workers: must be'),
    (['check', 'pool', CONFIG, 'whole.pth', '--unlabelled', 'a.png', '--workers', '-1'], '--workers: must be'),
    (['benchmark', 'imbalance', '--ratios', '0', '--dry-run'], '--ratios: must be a whole number of at least 2'),
    (['benchmark', 'prior-shift', '--steps', '0'], '--steps: must be'),
    (['calibrate', CONFIG, 'whole.pth', '--method', 'threshold', '--folds', '1'], '--folds: must be'),
    (['benchmark', 'demo', '--jobs', '0'], '--jobs: must be a whole number of at least 1, but is 0'),
]


@pytest.mark.parametrize(('arguments', 'words'), CASES)
def test_one_message_and_nothing_is_written(
    here: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob('*'))
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert words in error and 'Traceback' not in error
    assert [path for path in sorted(here.rglob('*')) if path not in before and path.name != 'out'] == []


@pytest.mark.parametrize(('arguments', 'words'), NUMBERS)
def test_numbers_out_of_range_are_told_before_anything_happens(
    here: Path, arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(here.rglob('*'))
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2 and words in capsys.readouterr().err and sorted(here.rglob('*')) == before


def test_an_error_that_imbdense_raises_is_told_in_its_own_words() -> None:
    from imbdense.cli._explain import explain
    from imbdense.core.checks import check_integer

    for call, words in ((lambda: check_integer('size', 0, low=1), 'size must be an integer of at least 1, but got 0.'),
                        (lambda: int('no'), 'ValueError: invalid literal')):
        with pytest.raises(ValueError) as caught:
            call()
        assert explain(caught.value, 'config.py').startswith(words)


def test_ctrl_c_that_the_host_turned_into_another_error_is_still_ctrl_c() -> None:
    from imbdense.cli._explain import explained

    with pytest.raises(KeyboardInterrupt), explained('config.py', False):
        try:
            raise KeyboardInterrupt
        except:  # noqa: E722 - as mmengine does where it formats a config
            raise SyntaxError('Failed to format the config file') from None
