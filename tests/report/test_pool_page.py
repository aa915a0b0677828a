"""The page of `imbdense check pool`: sound SVG, escaped names, unknown numbers, unreadable pictures."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from imbdense.core.shift import PoolSample, measure_shift
from imbdense.report.pool_page import pool_page
from tests.core.shift.samples import noise, side

NAMES = ('ground', 'roof & wall', 'tree', '<mast>')


def record(folder: Path, report: Any) -> dict[str, Any]:
    files = []
    for index in range(len(report.domain.groups_b)):
        files.append(str(folder / f'{index}.png'))
        if index % 2:
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(files[-1])
    return report.to_dict() | {
        'labelled_split': 'val', 'checkpoint': 'x/last.pth', 'layer': 'backbone', 'skipped': ['a<b.png: broken'],
        'unlabelled_files': files,
    }  # fmt: skip


def test_everything_is_shown(tmp_path: Path) -> None:
    pool = side(60, 1, labelled=False, prior=(0.6, 0.27, 0.1, 0.03), moved_class=1)
    page = pool_page(record(tmp_path, measure_shift(side(60, 0, labelled=True), pool, NAMES, permutations=19)))
    charts = re.findall(r'<svg.*?</svg>', page, re.DOTALL)
    assert len(charts) == 2 and all(ElementTree.fromstring(chart) is not None for chart in charts)
    named = re.findall(r'>(\d+)\.png: ', page)
    assert page.count('data:image/jpeg') == len(named) > 0 and all(int(name) % 2 for name in named)
    for text in ('roof &amp; wall', '&lt;mast&gt;', 'a&lt;b.png', 'not a verdict', 'insufficient', 'R²', 'Total'):
        assert text in page
    assert '<mast>' not in page and 'None' not in page and 'nan' not in page


def test_what_was_not_measured_is_left_out(tmp_path: Path) -> None:
    few = PoolSample(noise(30, 4, 0), np.arange(30) % 3)
    page = pool_page(record(tmp_path, measure_shift(few, few, NAMES)))
    assert 'there is no verdict' in page and '3 images on a side' in page
    assert '<svg' not in page and 'Class shares' not in page and 'would semi-supervised' not in page


def test_unknown_and_tiny_numbers_are_written_once() -> None:
    from imbdense.report.pool_page import _between, _error, _text

    assert _text(-0.0001) == '0.000' and _text(0.02, 1, sign=True) == '0.0' and _text(None) == '–'
    assert _error(None, None) == '–' and _error(1.0, None, 1) == '1.0' and _error(1.0, 0.25, 2) == '1.00 ± 0.25'
    assert _between('–', '–') == '–' and _between('1', '2') == '1 to 2'
