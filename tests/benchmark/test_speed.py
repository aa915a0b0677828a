"""The speed benchmark: how it judges, what it prints, and that every case is well formed."""

from __future__ import annotations

import json

import pytest

from imbdense.benchmark import speed, speed_case, speed_cases
from imbdense.benchmark.speed_case import SpeedCase, SpeedResult, Unequal, Workload, interleaved, require_close
from imbdense.cli.main import main


class Clock:
    """CPU time that passes only by :meth:`burn`: judgements must not depend on how busy the machine is."""

    def __init__(self):
        self.seconds = 0.0

    def burn(self, loops):
        """Work whose CPU time is proportional to ``loops``."""
        self.seconds += 1e-7 * loops


CLOCK = Clock()


@pytest.fixture
def clock(monkeypatch):
    """The clock of the benchmark is the simulated one."""
    monkeypatch.setattr(speed_case.time, 'process_time', lambda: CLOCK.seconds)


def case(ours=1000, peer=10000, power=1.0, target=0.2, growth=4.6, check=lambda a, b: 'equal'):
    def make(scale):
        return Workload(lambda: CLOCK.burn(ours * scale**power), lambda: CLOCK.burn(peer * scale), check)

    return SpeedCase('toy', 'a loop', 'a longer loop', target, make, growth=growth)


def test_ratio_and_growth_are_measured(clock):
    (result,) = case().measure()
    assert result.value == pytest.approx(0.1) and result.growth == pytest.approx(4)
    assert result.good and result.note == 'equal' and result.ours_ms < result.peer_ms


def test_too_slow_quadratic_or_unequal_fails(clock):
    assert not case(ours=4000).measure()[0].good, 'above 1.5 x 0.2'
    assert case(ours=2300).measure()[0].good, 'above the target but within the slack'
    quadratic = case(power=2.0).measure()[0]
    assert not quadratic.good and 'four times the work' in quadratic.note

    def check(ours, peer):
        raise Unequal('sums differ by 3')

    unequal = case(check=check).measure()[0]
    assert not unequal.good and 'sums differ by 3' in unequal.note and unequal.value != unequal.value


def test_both_sides_are_run_in_turn(monkeypatch):
    monkeypatch.setattr('imbdense.benchmark.speed_case.QUICK_SECONDS', 0.0)
    order = []

    def side(name):
        def work():
            order.append(name)

        return work

    interleaved(side('ours'), side('peer'), 3, 3)
    timed = order[-6:]
    assert timed in (['ours', 'peer'] * 3, ['peer', 'ours'] * 3)


def test_require_close():
    assert require_close('values', [1.5, 2.0], [1.5, 2.25], 0.5) == 'values: largest difference 2.5e-01'
    with pytest.raises(Unequal, match='values differ'):
        require_close('values', [1.1], [1.0], 1e-12)
    with pytest.raises(Unequal):
        require_close('values', [float('nan')], [1.0], 1e-12)


def test_every_listed_case_exists_and_names_its_peer():
    for name in speed_cases.case_names():
        found = speed_cases.load_case(name)
        assert found.name == name and found.what


def stub(monkeypatch, good):
    result = SpeedResult('toy', 'a loop', 'a longer loop', 0.1, 0.2, 'x', 'equal', good, 4.1, 1.0, 10.0)
    monkeypatch.setattr(speed, 'measure', lambda name: [result])


def test_verb_prints_json_writes_markdown_and_returns_the_verdict(monkeypatch, capsys, tmp_path):
    stub(monkeypatch, True)
    page = tmp_path / 'docs' / 'speed.md'
    assert main(['benchmark', 'speed', 'rare-crop', '--json', '--markdown', str(page)]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed['results'][0]['value'] == 0.1 and 'cpu' in printed['machine'] and 'torch' in printed['machine']
    text = page.read_text()
    assert '| `toy` | a loop | a longer loop | 0.1 × | 0.2 × | 4.10 |' in text
    assert '* cpu: ' in text and 'above target' not in text
    stub(monkeypatch, False)
    assert main(['benchmark', 'speed', 'rare-crop']) == 1
    assert 'toy' in capsys.readouterr().out


def test_missing_peer_is_a_failed_line_not_a_traceback(monkeypatch):
    def absent(name):
        raise ImportError('no module sklearn')

    monkeypatch.setattr(speed, 'load_case', absent)
    (result,) = speed.measure('auroc-auprc')
    assert not result.good and 'sklearn' in result.note and result.to_dict()['value'] is None


def test_a_real_case_runs():
    (result,) = speed.measure('rare-crop')
    assert result.good, result
    assert 'hit rate of the rare class 100 %' in result.note


@pytest.mark.slow
@pytest.mark.parametrize('name', speed_cases.case_names())
def test_targets_hold(name):
    for result in speed.measure(name):
        assert result.good, result
