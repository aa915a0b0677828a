"""``imbdense list``."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from imbdense.cli.main import main


def test_one_kind_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['list', 'hook', '--json']) == 0
    found = {item['name']: item for item in json.loads(capsys.readouterr().out)}
    hook = found['imbdense.ClassCountHook']
    assert hook['purpose'].startswith('Count the training classes once') and hook['kind'] == 'hook'
    assert hook['card'] == 'docs/methods/prior_ledger.md' and 'segmentation' in hook['tasks']


def test_every_component_is_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['list', 'models']) == 0
    printed = capsys.readouterr().out
    for name in ('imbdense.BalancedSoftmaxLoss', 'imbdense.PerClassDiceLoss'):
        assert name in printed
    assert 'docs/methods/balanced_softmax.md' in printed


def test_unknown_kind_is_answered_with_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(['list', 'sampel']) == 2
    assert 'sampler' in capsys.readouterr().err


def test_json_of_a_fresh_process_is_json() -> None:
    """The hosts print remarks while they are imported; they must not end up in the output."""
    command = [sys.executable, '-m', 'imbdense', 'list', '--json']
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert any(item['kind'] == 'transform' for item in json.loads(done.stdout))


def test_a_reader_that_stops_early_is_no_error() -> None:
    command = f'{sys.executable} -m imbdense list --json | head -c 10'
    done = subprocess.run(['bash', '-o', 'pipefail', '-c', command], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == '' and len(done.stdout) == 10
