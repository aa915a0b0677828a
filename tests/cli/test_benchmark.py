"""``imbdense benchmark``: finds its sub-commands and explains mistakes."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

from imbdense.cli.benchmark import SUBCOMMANDS
from imbdense.cli.main import main


def test_every_subcommand_is_a_verb_module():
    for path in SUBCOMMANDS.values():
        module = importlib.import_module(path)
        assert callable(module.add_arguments) and callable(module.run)


def test_help_of_verb_and_subcommand(capsys):
    for arguments, words in ((['--help'], 'speed'), (['speed', '--help'], 'CASE')):
        with pytest.raises(SystemExit) as stopped:
            main(['benchmark', *arguments])
        assert stopped.value.code == 0 and words in capsys.readouterr().out


def test_unknown_names_are_answered(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(['benchmark', 'sped'])
    assert stopped.value.code == 2
    assert main(['benchmark', 'speed', 'rare-crp']) == 2
    assert 'Did you mean rare-crop' in capsys.readouterr().err


def test_listing_the_cases_imports_no_heavy_package():
    code = (
        'import sys; from imbdense.benchmark.speed_cases import case_names; case_names();'
        "print([m for m in ('torch', 'mmcv', 'mmseg', 'cv2', 'sklearn') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == '[]'
