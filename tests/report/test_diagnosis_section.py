"""The section shows every class that was diagnosed, escapes what it prints, and is left out without a diagnosis."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imbdense.report.build import load_story, render
from tests.report.work_dirs import CLASSES, segmentation_run


def diagnosis(classes: list[str]) -> dict[str, Any]:
    """A record with shares of .1 and .2 in every class but the last, which is absent."""
    size = len(classes)
    remedy = {'text': 'crop <at> them', 'config': "dict(type='imbdense.RareClassCrop')"}
    return {
        'classes': classes, 'score': 'IoU', 'measures': {'IoU': [0.7] * (size - 1) + [None]},
        'shares': {'prior': [0.1] * (size - 1) + [None], 'small': [0.2] * (size - 1) + [None]},
        'group_verdicts': {'head': None, 'tail': {'cause': 'small', 'share': 0.2, 'remedies': [remedy]}},
    }  # fmt: skip


def test_bars_and_findings(tmp_path: Path) -> None:
    run = segmentation_run(tmp_path, 'plain')
    (run / 'imbdense' / 'diagnosis.json').write_text(json.dumps(diagnosis(CLASSES)))
    text = render(load_story([run]))
    section = text[text.index('id="diagnosis"'):]
    section = section[: section.index('</section>')]
    assert section.count('<rect') == 3 * (len(CLASSES) - 1)
    assert 'crop &lt;at&gt; them' in section and 'imbdense.RareClassCrop' in section and '(20 of 100)' in section


def test_left_out_without_broken_or_for_other_classes(tmp_path: Path) -> None:
    run = segmentation_run(tmp_path, 'plain')
    target = run / 'imbdense' / 'diagnosis.json'
    for content in (None, '{', '{"classes": []}', json.dumps(diagnosis(['a', 'b']))):
        if content is not None:
            target.write_text(content)
        assert 'id="diagnosis"' not in render(load_story([run]))
