"""``imbdense list``."""

from __future__ import annotations

import json

import pytest

from imbdense.cli.main import main


def test_one_kind_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['list', 'hook', '--json']) == 0
    found = {item['name']: item for item in json.loads(capsys.readouterr().out)}
    hook = found['imbdense.ClassCountHook']
    assert hook['purpose'].startswith('Count the training classes once') and hook['kind'] == 'hook'
    assert hook['card'] == 'docs/methods/prior_ledger.md' and 'segmentation' in hook['tasks']


def test_table_names_every_component(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv('COLUMNS', '200')
    assert main(['list', 'models']) == 0
    printed = capsys.readouterr().out
    for name in ('imbdense.BalancedSoftmaxLoss', 'imbdense.PerClassDiceLoss'):
        assert name in printed
    assert 'docs/methods/balanced_softmax.md' in printed


def test_unknown_kind_is_answered_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['list', 'sampel']) == 2
    assert 'sampler' in capsys.readouterr().err
