"""CalibrationHook and FractalCalibration on a real run: what they do, and what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from imbdense.core.inference import LogitCalibration, fracal, fracal_frequency_shift
from imbdense.core.stats import DoubleCorrectionError, PriorLedger
from imbdense.mm.hooks.fractal_calibration import FractalCalibration, sigmoid_head
from imbdense.mm.inference.calibration_file import CalibrationFile, CalibrationFileError, read_calibration
from tests.mm.hooks.tiny_run import CLASSES, runner
from tests.mm.inference.segmentors import trained

PLAIN = {'type': 'CrossEntropyLoss'}


def write(path: Path, calibration: LogitCalibration, classes: tuple[str, ...] = CLASSES, **changes: Any) -> str:
    before = changes.get('before')
    CalibrationFile(calibration, classes, 'segmentation', before, changes.get('assumed'), {}).write(path)
    return str(path)


@pytest.fixture(scope='module')
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp('plain')
    _, checkpoint = trained(folder, loss=PLAIN)
    return folder, checkpoint


def run_with(plain_run: tuple[Path, Path], name: str, hooks: list[dict[str, Any]], **changes: Any) -> Any:
    folder, checkpoint = plain_run
    options = {'loss': PLAIN, 'hooks': hooks, 'load_from': str(changes.pop('checkpoint', checkpoint)), **changes}
    return runner(folder / 'data', folder / name, **options)


def test_the_shift_is_applied_and_taken_away(plain_run: tuple[Path, Path]) -> None:
    file = write(plain_run[0] / 'c.json', LogitCalibration('x', (0.0, 0.0, 50.0)))
    run = run_with(plain_run, 'applied', [{'type': 'imbdense.CalibrationHook', 'file': file}])
    assert run.test()['recall/mast'] == pytest.approx(1.0)  # everything is called mast
    assert 'encode_decode' not in run.model.__dict__


def test_temperature_changes_no_label(plain_run: tuple[Path, Path]) -> None:
    plain = run_with(plain_run, 'plain', []).test()
    file = write(plain_run[0] / 't.json', LogitCalibration('temperature', (0.0,) * 3, temperature=2.5))
    assert run_with(plain_run, 'warm', [{'type': 'imbdense.CalibrationHook', 'file': file}]).test() == plain


def test_other_classes_are_refused(plain_run: tuple[Path, Path]) -> None:
    file = write(plain_run[0] / 'o.json', LogitCalibration('x', (0.0, 0.0)), classes=('a', 'b'))
    with pytest.raises(CalibrationFileError, match=r"fitted for the classes \['a', 'b'\]"):
        run_with(plain_run, 'other', [{'type': 'imbdense.CalibrationHook', 'file': file}]).test()


def test_another_prior_than_it_was_fitted_on_is_refused_unless_forced(plain_run: tuple[Path, Path]) -> None:
    before = PriorLedger(CLASSES, [1.0, 1.0, 1.0])
    file = write(plain_run[0] / 'p.json', LogitCalibration('x', (0.0, 0.0, 1.0)), before=before)
    with pytest.raises(CalibrationFileError, match='another class prior'):
        run_with(plain_run, 'prior', [{'type': 'imbdense.CalibrationHook', 'file': file}]).test()
    run_with(plain_run, 'forced', [{'type': 'imbdense.CalibrationHook', 'file': file, 'force': True}]).test()


def test_two_post_hoc_hooks_are_refused(plain_run: tuple[Path, Path]) -> None:
    file = write(plain_run[0] / 'd.json', LogitCalibration('x', (0.0, 0.0, 1.0)))
    hooks = [{'type': 'imbdense.CalibrationHook', 'file': file}, {'type': 'imbdense.PostHocLogitAdjustHook'}]
    with pytest.raises(DoubleCorrectionError, match='PostHocLogitAdjustHook shifts the logits too'):
        run_with(plain_run, 'double', hooks).test()


def test_a_balanced_model_refuses_the_prior_of_the_labels(tmp_path: Path) -> None:
    _, checkpoint = trained(tmp_path)  # balanced softmax
    calibration = LogitCalibration('norcal', (-2.0, -1.0, 0.5))
    counts = (6000.0, 500.0, 12.0)
    file = write(tmp_path / 'n.json', calibration, assumed=counts)
    hooks = [{'type': 'imbdense.CalibrationHook', 'file': file}]
    with pytest.raises(DoubleCorrectionError, match='BalancedSoftmaxLoss already changed'):
        runner(tmp_path / 'data', tmp_path / 'a', hooks=hooks, load_from=str(checkpoint)).test()
    fractal = [{'type': 'imbdense.FractalCalibration'}]
    with pytest.raises(DoubleCorrectionError, match='BalancedSoftmaxLoss already changed'):
        runner(tmp_path / 'data', tmp_path / 'b', hooks=fractal, load_from=str(checkpoint)).test()
    forced = [{'type': 'imbdense.FractalCalibration', 'force': True}]
    runner(tmp_path / 'data', tmp_path / 'c', hooks=forced, load_from=str(checkpoint)).test()


def test_fractal_calibration_counts_the_parts_of_the_training_labels(plain_run: tuple[Path, Path]) -> None:
    run = run_with(plain_run, 'fractal', [{'type': 'imbdense.FractalCalibration', 'lam': 2.0}])
    hook = next(hook for hook in run.hooks if isinstance(hook, FractalCalibration))
    found = hook.calibration(run, run.model, run.test_dataloader.dataset, None)
    # 12 images: ground and roof on all, the mast (2 x 2, always in the same place) on 3; one part each
    expected = fracal([12, 12, 3], 12, [1.0, 1.0, 1.0])
    assert found.shift == pytest.approx(expected.shift)
    assert expected.shift == pytest.approx(fracal_frequency_shift([12, 12, 3], 12).tolist())
    assert run.test()['mRecall'] > 0


@pytest.mark.parametrize('content, message', [
    (None, 'cannot be read'), ('{', 'not valid JSON'), ('{"kind": "other"}', r'no calibration\.json of format 1'),
    ('{"kind": "imbdense calibration", "format": 1}', 'is damaged'),
])  # fmt: skip
def test_broken_files_are_named(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / 'calibration.json'
    if content is not None:
        path.write_text(content)
    with pytest.raises(CalibrationFileError, match=message):
        read_calibration(path)


def test_file_round_trip(tmp_path: Path) -> None:
    ledger = PriorLedger(CLASSES, [9.0, 2.0, 1.0])
    calibration = LogitCalibration('norcal', (0.1, 0.2, 0.3), parameters={'gamma': 0.4})
    CalibrationFile(calibration, CLASSES, 'detection', ledger, (9.0, 2.0, 1.0), {'recommended': True}).write(
        tmp_path / 'c.json'
    )
    again = read_calibration(tmp_path / 'c.json')
    assert again.calibration == calibration and again.facts == {'recommended': True}
    assert again.before is not None and np.allclose(again.before.prior, ledger.prior)
    assert json.loads((tmp_path / 'c.json').read_text())['kind'] == 'imbdense calibration'


def test_sigmoid_heads_are_recognised() -> None:
    class Head(torch.nn.Module):
        loss_cls = type('Loss', (), {'use_sigmoid': True})()

    model = torch.nn.Module()
    model.bbox_head = Head()
    assert sigmoid_head(model)
    model.roi_head = torch.nn.Module()
    assert not sigmoid_head(model)
