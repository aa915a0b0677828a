"""The grid of proof runs: config lines, resuming, failures, and the table over the seeds."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest

from imbdense.benchmark import grid, grid_progress
from imbdense.benchmark.grid import launched_rank, run_all
from imbdense.benchmark.proof_suites import DEMO, SUITES
from imbdense.benchmark.runs import plan, replace_line, write_config
from imbdense.benchmark.suite_figure import draw_suites
from imbdense.benchmark.suites import Method, Suite
from imbdense.benchmark.summary import markdown_table, mean_interval, paired_gain

SUITE = Suite('toy', 'toy.py', (Method('plain'), Method('better', {'a.b': 2})), 'mIoU', ('IoU/rare',))


def store(run, **metrics):
    run.folder.mkdir(parents=True, exist_ok=True)
    (run.folder / 'result.json').write_text(json.dumps({'metrics': metrics}))


def test_interval_of_three_seeds_by_hand():
    mean, half = mean_interval([1.0, 2.0, 3.0])
    assert mean == 2.0
    assert half == pytest.approx(4.302652729749464 / math.sqrt(3))  # t(0.975, 2 degrees of freedom), deviation 1
    assert math.isnan(mean_interval([5.0])[1]) and math.isnan(mean_interval([])[0])


def test_lines_replace_values_index_lists_and_append():
    config = {'a': {'b': {'old': 1}}, 'list': [{'x': 1}], 'hooks': []}
    replace_line(config, 'a.b', {'new': 2})
    replace_line(config, 'list.0.x', 5)
    replace_line(config, 'hooks.+', 'hook')
    assert config == {'a': {'b': {'new': 2}}, 'list': [{'x': 5}], 'hooks': ['hook']}
    with pytest.raises(KeyError, match=r"no 'a\.c'"):
        replace_line(config, 'a.c.d', 1)


def test_written_config_differs_in_the_lines_and_the_seed(tmp_path):
    from mmengine.config import Config

    (tmp_path / 'toy.py').write_text('a = dict(b=1, c=3)\n')
    runs = plan([SUITE], [7], tmp_path / 'runs')
    plain, better = (Config.fromfile(str(write_config(run, tmp_path))) for run in runs)
    assert (plain.a.b, better.a.b) == (1, 2) and plain.a.c == better.a.c == 3
    assert plain.randomness.seed == better.randomness.seed == 7


def test_lines_that_depend_on_the_run(tmp_path):
    from mmengine.config import Config

    (tmp_path / 'toy.py').write_text('a = dict(b=1, c=3)\n')
    suite = Suite('toy', 'toy.py', SUITE.methods, 'mIoU', ('IoU/rare',),
                  run_lines=lambda method, seed: {'a.c': [method, seed]})
    configs = [Config.fromfile(str(write_config(run, tmp_path))) for run in plan([suite], [3, 4], tmp_path / 'runs')]
    assert [config.a.c for config in configs] == [
        ['plain', 3], ['better', 3], ['plain', 4], ['better', 4]]


def test_finished_runs_are_kept_and_failed_ones_are_named(tmp_path, monkeypatch):
    runs = plan([SUITE], [0, 1], tmp_path)
    store(runs[0], mIoU=0.5)
    started = []

    def start(run, configs, slot):
        started.append(run)
        fails = run.seed == 1 and run.method.name == 'plain'
        if not fails:
            scalars = run.folder / 'time' / 'vis_data' / 'scalars.json'
            scalars.parent.mkdir(parents=True)
            scalars.write_text('{"loss": 1.0, "lr": 0.1}\n{"mIoU": 0.7, "step": 2}\n')
        return subprocess.Popen([sys.executable, '-c', f'raise SystemExit({int(fails)})'])

    monkeypatch.setattr(grid, '_start', start)
    lines = []
    failed = run_all(runs, tmp_path, jobs=2, report=lines.append)
    assert runs[0] not in started and len(started) == 3
    assert failed == [runs[2]] and any('FAILED' in line and 'seed 1' in line for line in lines)
    assert runs[1].result()['mIoU'] == 0.7


def test_ranks_share_the_cells(tmp_path, monkeypatch):
    runs = plan([SUITE], [0, 1], tmp_path)
    assert launched_rank({}) == (0, 1) and launched_rank({'RANK': '2', 'WORLD_SIZE': '4'}) == (2, 4)
    assert launched_rank({'SLURM_PROCID': '1', 'SLURM_NTASKS': '3'}) == (1, 3)
    started = []

    def start(run, configs, slot):
        started.append(run)
        store(run, mIoU=0.1)
        store(runs[runs.index(run) ^ 1], mIoU=0.2)  # what the other rank does meanwhile
        return subprocess.Popen([sys.executable, '-c', ''])

    monkeypatch.setattr(grid, '_start', start)
    monkeypatch.setattr(grid, '_finish', lambda *_: None)
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert run_all(runs, tmp_path, jobs=1, report=lambda _: None) == [] and started == runs[1::2]


def test_table_shows_paired_gains(tmp_path):
    runs = plan([SUITE], [0, 1, 2], tmp_path)
    for run in runs:
        gain = 0.2 if run.method.name == 'better' else 0.0
        store(run, **{'mIoU': 0.5 + 0.1 * run.seed + gain, 'IoU/rare': gain})
    mean, half = paired_gain(runs, 'better', 'plain', 'mIoU')
    assert mean == pytest.approx(0.2) and half == pytest.approx(0.0, abs=1e-9)
    table = markdown_table(SUITE, runs)
    assert '| better |' in table and '+0.2' in table and table.count('\n') == 3


def test_figure_shows_the_suites_with_results(tmp_path):
    runs = plan([SUITE], [0, 1, 2], tmp_path)
    assert not draw_suites([SUITE], runs, tmp_path / 'proof.png')
    assert not (tmp_path / 'proof.png').exists()
    for run in runs[:3]:
        store(run, **{'mIoU': 0.5 + 0.1 * run.seed, 'IoU/rare': 0.1})
    assert draw_suites([SUITE], runs, tmp_path / 'proof.png')
    assert (tmp_path / 'proof.png').read_bytes().startswith(b'\x89PNG')


def test_every_suite_names_a_config_that_exists_and_lines_that_fit(tmp_path):
    from imbdense.utils.paths import configs_dir

    for suite in (*SUITES.values(), DEMO):
        for run in plan([suite], [0], tmp_path):
            write_config(run, configs_dir())


def test_progress_lines_tell_the_iteration(tmp_path, monkeypatch):
    runs = plan([SUITE], [0], tmp_path)
    for run in runs:
        run.folder.mkdir(parents=True)
    runs[0].log.write_text('noise\n - INFO - Iter(train) [ 80/400]  lr: 1\nx\n - INFO - Iter(train) [100/400]  lr: 1\n')
    assert grid_progress.iterations(runs[0].log) == (100, 400)
    assert grid_progress.iterations(runs[1].log) == (0, 0)
    monkeypatch.setattr(grid_progress, 'LINE_SECONDS', 0.0)
    lines = []
    with grid_progress.grid_progress(lines.append) as show:
        show(runs)
    assert lines == ['running toy / plain / seed 0 (100/400), toy / better / seed 0 (0/?)']


def test_bars_come_and_go_with_the_runs(tmp_path, monkeypatch):
    runs = plan([SUITE], [0], tmp_path)
    monkeypatch.setattr('sys.stdout.isatty', lambda: True)
    with grid_progress.grid_progress(print) as show:
        show(runs)
        show(runs[1:])
        show([])
