"""``imbdense benchmark``: finds its sub-commands and explains mistakes."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from imbdense.cli.benchmark import PARTS
from imbdense.cli.main import main


def test_every_subcommand_is_a_verb_module():
    for path in PARTS.values():
        module = importlib.import_module(path)
        assert callable(module.add_arguments) and callable(module.run)


def test_help_of_verb_and_subcommand(capsys):
    assert main(['benchmark', '--help']) == 0 and 'imbdense benchmark speed' in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(['benchmark', 'speed', '--help'])
    assert stopped.value.code == 0 and 'CASE' in capsys.readouterr().out


def test_unknown_names_are_answered(capsys):
    assert main(['benchmark', 'sped']) == 2
    assert "there is no 'sped'. Did you mean speed?" in capsys.readouterr().err
    assert main(['benchmark']) == 2
    assert 'Write one of these first: speed' in capsys.readouterr().err
    assert main(['benchmark', 'speed', 'rare-crp']) == 2
    assert 'Did you mean rare-crop' in capsys.readouterr().err


def test_listing_the_cases_imports_no_heavy_package():
    code = (
        'import sys; from imbdense.benchmark.speed_cases import case_names; case_names();'
        "print([m for m in ('torch', 'mmcv', 'mmseg', 'cv2', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
