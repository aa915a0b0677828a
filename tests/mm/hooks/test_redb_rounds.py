"""Rounds of ReDB on data that lack something, and the rules and memories of a round."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmdet')

from imbdense.data.instance_bank import InstanceBank
from tests.mm.hooks.redb_run import HOOK, config, one_round, runner


def report(out: Path, number: int = 0) -> dict[str, Any]:
    """Of a round."""
    return json.loads((out / f'round_{number:03d}' / 'pseudo_report.json').read_text())


def filters(out: Path) -> dict[str, list[int]]:
    """Filter -> what it leaves of each class."""
    return {step['filter']: step['left'] for step in report(out)['table']['filters']}


def labels(out: Path, number: int = 0) -> list[dict[str, Any]]:
    """The annotations of a round."""
    return json.loads((out / f'round_{number:03d}' / 'pseudo_labels.json').read_text())['annotations']


def test_a_class_without_pseudo_labels(tmp_path: Path) -> None:
    """Nothing of it in the bank and the labels; the other classes have what they had."""
    rule = {'type': 'imbdense.FixedThreshold', 'threshold': [0.3, 1.0, 0.3]}
    one_round(tmp_path / 'data', tmp_path / 'some', rule=rule, examine=False)
    one_round(tmp_path / 'data', tmp_path / 'all', rule={**rule, 'threshold': 0.3}, examine=False)
    some, everything = report(tmp_path / 'some')['bank'], report(tmp_path / 'all')['bank']
    assert everything[1] > 0 and some == [everything[0], 0, everything[2]]
    assert {item['category_id'] for item in labels(tmp_path / 'some')} <= {1, 3}


def test_a_detector_that_returns_nothing(tmp_path: Path) -> None:
    """Also to the examination: no box, no crash, images without labels, an empty bank."""
    one_round(tmp_path / 'data', tmp_path / 'out', score_thr=1.0)
    assert set(map(tuple, filters(tmp_path / 'out').values())) == {(0, 0, 0)}
    assert labels(tmp_path / 'out') == [] and len(InstanceBank.open(tmp_path / 'out' / 'bank')) == 0
    content = json.loads((tmp_path / 'out' / 'round_000' / 'pseudo_labels.json').read_text())
    assert len(content['images']) == 4


def test_a_single_class(tmp_path: Path) -> None:
    one_round(tmp_path / 'data', tmp_path / 'out', classes=('car',))
    left = filters(tmp_path / 'out')
    assert left['size'][0] > 0 and left['diversity'] == [max(left['examination'][0] // 2, 1)]
    assert left['diversity'] == report(tmp_path / 'out')['bank']
    assert {item['category_id'] for item in labels(tmp_path / 'out')} == {1}


def test_a_rule_that_follows_the_labels_gets_their_counts(tmp_path: Path) -> None:
    """Two labelled images hold two objects of each class: thresholds as with these numbers in the config."""
    rule = {'type': 'imbdense.QuantileThreshold', 'keep': 'class_adaptive', 'round_steps': None}
    given, other = {**rule, 'class_counts': [2, 2, 2]}, {**rule, 'class_counts': [1, 100, 1]}
    found = []
    for name, one in (('handed', rule), ('given', given), ('other', other)):
        one_round(tmp_path / 'data', tmp_path / name, rule=one, examine=False, thin={})
        found.append(report(tmp_path / name)['thresholds'])
    assert found[0] == found[1] != found[2]


def test_a_broken_image_is_reported_and_the_others_are_labelled(tmp_path: Path) -> None:
    config(tmp_path / 'data', tmp_path / 'out')
    broken = tmp_path / 'data' / 'images' / 'train' / '004.png'
    broken.write_bytes(broken.read_bytes()[:100])
    one_round(tmp_path / 'data', tmp_path / 'out')
    found = report(tmp_path / 'out')
    assert found['images'] == 3 and list(found['broken']) == [str(broken)]


@pytest.mark.slow
def test_training_goes_on_without_the_broken_image(tmp_path: Path) -> None:
    """It would end the run when a batch holds it; another image stands in its place."""
    config(tmp_path / 'data', tmp_path / 'run')
    broken = tmp_path / 'data' / 'images' / 'train' / '004.png'
    broken.write_bytes(broken.read_bytes()[:100])
    made = runner(tmp_path / 'data', tmp_path / 'run', epochs=2, hook={**HOOK, 'rounds': [0]})
    made.train()
    assert made.epoch == 2 and str(broken) not in made.model._labels
    with pytest.raises(Exception, match='004'):  # the file itself is as bad as before
        made.train_dataloader.dataset.unlabeled[2]


def test_memory_keeps_a_box_that_a_round_misses(tmp_path: Path) -> None:
    """Round 1 of another model: what it misses stays a label for one round, then is ignored, then gone."""
    one_round(tmp_path / 'data', tmp_path / 'out')
    first = [item for item in labels(tmp_path / 'out') if not item['iscrowd']]
    seen = []
    for number in (1, 2, 3):
        one_round(tmp_path / 'data', tmp_path / 'out', number, score_thr=1.0)  # returns nothing at all
        seen.append(labels(tmp_path / 'out', number))
    keep = [item['bbox'] for item in first]
    assert keep and [item['bbox'] for item in seen[0] if not item['iscrowd']] == keep
    assert [item['iscrowd'] for item in seen[1]] == [1] * len(seen[0]) and seen[2] == []
    assert report(tmp_path / 'out', 1)['bank'] == report(tmp_path / 'out')['bank'], 'the bank takes new boxes alone'


def test_memory_of_the_round_before_is_needed(tmp_path: Path) -> None:
    one_round(tmp_path / 'data', tmp_path / 'out', memory=None)
    with pytest.raises(ValueError, match='memory from round 0 on'):
        one_round(tmp_path / 'data', tmp_path / 'out', 1)


KILLED = textwrap.dedent('''
    import sys, time
    from pathlib import Path
    from imbdense.mm.pseudo_label import {module} as module
    from tests.mm.hooks.redb_run import one_round

    real = module.{part}
    def slow(*arguments, **options):
        Path(sys.argv[2], 'there').touch()
        time.sleep(60)
        return real(*arguments, **options)
    module.{part} = slow
    one_round(Path(sys.argv[1]), Path(sys.argv[2]))
''')


@pytest.mark.slow
@pytest.mark.parametrize(('module', 'part'), [
    ('redb_images', 'examined_record'), ('redb_round', 'thin_and_count'), ('redb_round', 'write_labels')])
def test_killed_inside_a_round(tmp_path: Path, module: str, part: str) -> None:
    """kill -9 in the examination, before the bank, before the labels: what is done is kept, the result is the same."""
    data, out = tmp_path / 'data', tmp_path / 'out'
    checksum = one_round(data, tmp_path / 'whole')
    process = subprocess.Popen([sys.executable, '-c', KILLED.format(module=module, part=part), str(data), str(out)],
                               cwd=Path(__file__).parents[3], env={**os.environ, 'PYTHONPATH': os.getcwd()})
    deadline = time.monotonic() + 120
    while not (out / 'there').exists():
        assert process.poll() is None and time.monotonic() < deadline, 'the round ended before it was killed'
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / 'round_000' / 'pseudo_report.json').exists()
    done = {path: path.stat().st_mtime_ns for path in (out / 'round_000').rglob('shard_*.npz')}
    assert done
    assert one_round(data, out) == checksum
    assert {path: path.stat().st_mtime_ns for path in done} == done
    for name in ('pseudo_labels.json', 'pseudo_report.json', 'memory.pt'):
        assert (out / 'round_000' / name).read_bytes() == (tmp_path / 'whole' / 'round_000' / name).read_bytes(), name
