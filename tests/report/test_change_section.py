"""The part of the report about change: scores with protocol, intervals, transitions; and a page without any of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from imbdense.report.build import load_story, render
from tests.helpers.change_samples import change_samples, evaluate
from tests.report.test_report import check_page
from tests.report.work_dirs import segmentation_run

CONFIG = {'type': 'imbdense.SCDMetric', 'protocol': ['sem', 'from_to'], 'ci': {'n_boot': 20}}


def change_run(root: Path, name: str, config: dict[str, Any] = CONFIG, full: bool = False) -> Path:
    """A finished test of a change detector."""
    scalars, metric = evaluate(config, change_samples(4, full=full))
    folder = root / name / 'imbdense'
    folder.mkdir(parents=True)
    head = {'format': 1, 'split': 'test', 'step': 8}
    kind = metric.artifact['kind']
    (folder / f'test_8_{kind}.json').write_text(json.dumps({**head, 'artifact': metric.artifact}))
    (folder / 'test_8_metrics.json').write_text(json.dumps({**head, 'scalars': scalars}))
    (folder / 'run.json').write_text(json.dumps({'experiment': name, 'classes': ['unchanged', 'changed'], 'seed': 0}))
    return root / name


def test_scores_protocols_and_transitions(tmp_path: Path) -> None:
    path = change_run(tmp_path, 'one')
    text = render(load_story([path]))
    check_page(text)
    assert 'SeK, protocol sem' in text and 'SeK, protocol from_to' in text and 'Change between dates' in text
    record = json.loads((path / 'imbdense/test_8_change.json').read_text())['artifact']
    low, high = record['intervals']['scd/sem/SeK']
    assert f'[{100 * low:.1f}, {100 * high:.1f}]' in text
    top = record['transitions']['records'][0]
    assert f'<td>{top["from"]}</td><td>{top["to"]}</td><td>{top["labelled"]}</td>' in text


def test_post_classification_leaves_out_what_stays(tmp_path: Path) -> None:
    text = render(load_story([change_run(tmp_path, 'pcc', {'type': 'imbdense.PostClassificationMetric'}, full=True)]))
    assert 'unchanged called changed' in text
    assert '<td>class0</td><td>class0</td>' not in text and '<td>class0</td><td>class1</td>' in text


def test_other_runs_have_no_such_part(tmp_path: Path) -> None:
    assert 'Change between dates' not in render(load_story([segmentation_run(tmp_path, 'plain')]))
