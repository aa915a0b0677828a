"""imbdense calibrate and diagnose from the command line: a tiny segmentor and a tiny detector, end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from imbdense.cli.main import main
from tests.mm.hooks.tiny_run import CLASSES
from tests.mm.inference.segmentors import spoil, trained

PLAIN = {'type': 'CrossEntropyLoss'}
Run = tuple[str, str, Path]


def dump(config: Config, folder: Path, module: str) -> str:
    config.custom_imports = {'imports': [module]}
    path = folder / f'config_{folder.name}.py'
    config.dump(str(path))
    return str(path)


@pytest.fixture(scope='module')
def segmentor(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp('seg')
    cfg, checkpoint = trained(folder, loss=PLAIN)
    worse = spoil(checkpoint, folder / 'worse.pth', -5.0)
    return dump(cfg, folder, 'tests.mm.hooks.tiny_run'), str(worse), folder


@pytest.fixture(scope='module')
def detector(tmp_path_factory: pytest.TempPathFactory) -> Run:
    pytest.importorskip('mmdet.models')
    from tests.mm.inference import detectors

    folder = tmp_path_factory.mktemp('det')
    cfg = detectors.config('dense', folder / 'data')
    checkpoint = detectors.checkpoint(cfg, folder / 'random.pth')
    return dump(cfg, folder, 'tests.mm.inference.detectors'), str(checkpoint), folder


def call(verb: str, run: Run, *more: str) -> int:
    return main([verb, run[0], run[1], '--workers', '0', '--device', 'cpu', *more])


def test_thresholds_of_a_spoiled_segmentor_and_the_hook(segmentor: Run, capsys: pytest.CaptureFixture[str]) -> None:
    code = call('calibrate', segmentor, '--method', 'threshold', '--objective', 'mRecall', '--folds', '3')
    text = capsys.readouterr().out
    record = json.loads((segmentor[2] / 'calibration.json').read_text())
    assert code == 0 and record['classes'] == list(CLASSES) and record['calibration']['method'] == 'threshold'
    assert 'gain on held-out images' in text and 'plain model over all pixels' in text
    assert record['recommended'] is (' recommended. Add' in f' {text}'.replace('\n', ' '))
    assert record['held_out']['gain'][2] is not None and len(record['held_out']['plain']) == 3
    assert not list(segmentor[2].glob('.*tmp*'))


def test_a_second_method_does_not_run_the_model(segmentor: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    call('calibrate', segmentor, '--method', 'temperature', '--folds', '3')
    from imbdense.mm.inference.finished_model import FinishedModel

    def refuse(*args: object, **kwargs: object) -> object:
        raise AssertionError('the outputs are saved already')
        yield

    monkeypatch.setattr(FinishedModel, 'outputs', refuse)
    assert call('calibrate', segmentor, '--method', 'logit-adjust', '--folds', '3', '--traceback') == 0


def test_diagnose_a_segmentor(segmentor: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert call('diagnose', segmentor) == 0
    text = capsys.readouterr().out
    record = json.loads((segmentor[2] / 'imbdense' / 'diagnosis.json').read_text())
    assert record['task'] == 'segmentation' and 'mast' in text and 'balanced prior' in text
    assert set(record['shares']) == {'prior', 'small', 'boundary', 'classification'}


def test_detector_end_to_end(detector: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert call('diagnose', detector) == 0
    record = json.loads((detector[2] / 'imbdense' / 'diagnosis.json').read_text())
    assert set(record['shares']) == {'threshold', 'classification', 'localisation', 'ranking', 'proposals'}
    assert sum(record['truth']) == 18 and 'Dupe second box' in capsys.readouterr().out
    for method in ('norcal', 'fracal', 'logit-adjust', 'threshold', 'temperature'):
        out = detector[2] / f'{method}.json'
        assert call('calibrate', detector, '--method', method, '--folds', '3', '--out', str(out)) == 0
        record = json.loads(out.read_text())
        assert record['calibration']['method'] == method and record['task'] == 'detection'
    assert 'not recommended' in capsys.readouterr().out


def test_errors_are_one_line_and_say_what_to_do(
    segmentor: Run, detector: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = (segmentor[0], str(tmp_path / 'no.pth'), tmp_path)
    assert call('diagnose', missing) == 2
    assert 'there is no checkpoint' in capsys.readouterr().err
    evil = tmp_path / 'evil.pth'
    torch.save({'state_dict': {}, 'code': Path('x')}, evil)
    assert call('diagnose', (segmentor[0], str(evil), tmp_path)) == 2
    assert 'could run code' in capsys.readouterr().err
    assert call('calibrate', segmentor, '--method', 'norcal') == 2
    assert 'norcal is for detectors' in capsys.readouterr().err
    assert call('calibrate', detector, '--method', 'norcal', '--folds', '50') == 2
    assert '50 folds need at least 50 images' in capsys.readouterr().err
    assert call('diagnose', segmentor, '--max-images', '0') == 2
    assert '--max-images must be at least 1' in capsys.readouterr().err
    outputs = str(Path(segmentor[2]) / 'imbdense' / 'outputs' / 'worse_val')
    assert call('diagnose', segmentor, '--outputs', outputs, '--max-images', '3') == 2
    assert 'holds outputs of something else: data' in capsys.readouterr().err


def test_a_balanced_model_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cfg, checkpoint = trained(tmp_path)
    run = (dump(cfg, tmp_path, 'tests.mm.hooks.tiny_run'), str(checkpoint), tmp_path)
    assert call('calibrate', run, '--method', 'logit-adjust', '--folds', '3') == 2
    assert 'BalancedSoftmaxLoss already did' in capsys.readouterr().err
    assert call('calibrate', run, '--method', 'logit-adjust', '--folds', '3', '--force') == 0


def test_mask_ap_of_a_box_model_is_refused(detector: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert call('calibrate', detector, '--method', 'threshold', '--metric', 'segm') == 2
    assert 'needs a model whose masks follow from its boxes' in capsys.readouterr().err
