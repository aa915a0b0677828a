"""Every recipe has a facts sheet that tells the same story as the code."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

from imbdense.data.prepare import RECIPE_MODULES, recipe

DATASETS = Path(__file__).resolve().parents[3] / 'datasets'


@pytest.mark.parametrize('name', sorted(RECIPE_MODULES))
def test_sheet_has_the_facts_classes_and_command(name):
    text = (DATASETS / name / 'README.md').read_text(encoding='utf-8')
    for part in (
        'Size and splits',
        'Sensor',
        'Ignore',
        'Imbalance ratio',
        'Licence',
        'Source',
        'Known faults',
        '## Classes',
    ):
        assert part in text, f'{name}: {part} is missing'
    assert f'imbdense prepare {name} SOURCE' in text
    assert recipe(name).layout.strip().splitlines()[0].strip() in text
    module = importlib.import_module(f'imbdense.data.prepare.{RECIPE_MODULES[name].split(":")[0]}')
    for label in getattr(module, 'CLASSES', ()):
        assert label in text, f'{name}: class {label} is not on the sheet'
    for index, colour in enumerate(getattr(module, 'PALETTE', ())):
        assert re.search(rf'\| {index} \| .* \| {", ".join(map(str, colour))} \|', text), f'{name}: colour of {index}'


def test_index_links_every_sheet():
    text = (DATASETS / 'README.md').read_text(encoding='utf-8')
    for name in (*RECIPE_MODULES, 'scenes'):
        assert f'({name}/README.md)' in text and (DATASETS / name / 'README.md').exists()


def test_wrapper_script_runs():
    done = subprocess.run(
        [sys.executable, str(DATASETS / 'prepare.py'), 'list'], capture_output=True, text=True, check=True
    )
    assert 'cityscapes' in done.stdout
