"""The imbalance grid: its plan, relative accuracy, ranks, refused steps, page and picture."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from imbdense.benchmark.imbalance import add_arguments, chosen_size, chosen_suites, evaluations
from imbdense.benchmark.imbalance_axes import LOSSES, SIZES
from imbdense.benchmark.imbalance_figure import draw_imbalance
from imbdense.benchmark.imbalance_page import PLAIN, imbalance_page, row_names
from imbdense.benchmark.imbalance_scores import collect_scores, rank_rows, relative_accuracy, sign_test, values_of
from imbdense.benchmark.runs import plan, write_config

TINY = SIZES['tiny']


def parsed(*words):
    import argparse

    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args(words)


def store(run, value):
    """mIoU = value, every rare class half of it; ``None`` = refused."""
    run.folder.mkdir(parents=True, exist_ok=True)
    metrics = {'refused': 1.0} if value is None else {
        run.suite.mean_key: value, **dict.fromkeys(run.suite.rare_keys, value / 2)}
    (run.folder / 'result.json').write_text(json.dumps({'metrics': metrics}))


@pytest.fixture
def grid(tmp_path):
    """The tiny grid with made-up results: ce .4 / .2, balanced softmax .3 / .25 at ratio 1 / 100, shift adds .02."""
    suites = chosen_suites(TINY)
    trainings = plan(suites, [0, 1], tmp_path)
    tests = evaluations(trainings, TINY.post_hocs)
    values = {('scenes_ir1', PLAIN): 0.4, ('scenes_ir100', PLAIN): 0.2,
              ('scenes_ir1', 'natural+balanced_softmax'): 0.3, ('scenes_ir100', 'natural+balanced_softmax'): 0.25}
    for run in trainings:
        store(run, values[run.suite.name, run.method.name] + 0.01 * run.seed)
    for test in tests:
        own = test.trained.method.name
        store(test, None if own != PLAIN else values[test.suite.name, own] + 0.02 + 0.01 * test.seed)
    return suites, [*trainings, *tests]


def test_plan_trains_each_point_once_and_tests_each_post_hoc_step(grid):
    suites, runs = grid
    assert [suite.name for suite in suites] == ['scenes_ir1', 'scenes_ir100']
    assert len([run for run in runs if not hasattr(run, 'trained')]) == 2 * 2 * 2
    assert len([run for run in runs if hasattr(run, 'trained')]) == 2 * 2 * 2
    assert len(row_names(SIZES['full'])) == 3 * len(LOSSES) * 3


def test_options_replace_the_axes_and_keep_the_baseline():
    size = chosen_size(parsed('--loss', 'dice', '--ratios', '10', '--real', '--iterations', '7', '--post-hoc', 'shift'))
    assert size.losses == ('ce', 'dice') and size.ratios == (10,) and size.real == () and size.iterations == 7
    assert size.post_hocs == ('none', 'shift') and size.samplings == SIZES['laptop'].samplings


def shares_asked(command):
    """class -> share of a `generate scenes` command."""
    text = command[command.index('--profile') + 1]
    return {name: float(share) for name, share in (part.split('=') for part in text.split(','))}


def test_profiles_of_the_scenes():
    size = chosen_size(parsed('--ratios', '100', '--profiles', 'exp', 'step', 'linear', '--real'))
    suites = {suite.name: suite for suite in chosen_suites(size)}
    assert list(suites) == ['scenes_ir1', 'scenes_ir100', 'scenes_step100', 'scenes_linear100']
    step, linear = (shares_asked(suites[name].prepare) for name in ('scenes_step100', 'scenes_linear100'))
    assert list(step)[::10] == ['high_vegetation', 'bike']
    assert list(step.values()) == [100.0] * 5 + [1.0] * 6
    assert list(linear.values()) == pytest.approx([100 - 9.9 * rank for rank in range(11)])


def test_relative_accuracy_by_hand(grid):
    scores = collect_scores(grid[1])
    own = relative_accuracy(scores, 'scenes_ir100', 'natural+balanced_softmax', PLAIN, 'mean')
    assert own[0] == pytest.approx(0.25 / 0.405)  # its own balanced mean .305 is less than that of the baseline
    shifted = relative_accuracy(scores, 'scenes_ir100', f'{PLAIN}+shift', PLAIN, 'rare')
    assert shifted[1] == pytest.approx(0.23 / 0.425)  # the same step on balanced data is the better of the two


def test_refused_steps_have_no_value_and_are_named_on_the_page(grid):
    suites, runs = grid
    assert values_of(collect_scores(runs), 'scenes_ir100', 'natural+balanced_softmax+shift', 'mean') == {}
    page = imbalance_page(TINY, suites, runs)
    assert '| natural+balanced_softmax+shift | refused |' in page
    assert '| natural+balanced_softmax | 0.255 ± 0.064 | 0.128 ± 0.032 | +0.050' in page


def test_ranks_and_sign_test_by_hand(grid):
    suites, runs = grid
    ranking = rank_rows(collect_scores(runs), suites[1:], row_names(TINY), 'rare')
    assert ranking.blocks == 2
    assert ranking.ranks == {'natural+balanced_softmax': 1.0, f'{PLAIN}+shift': 2.0, PLAIN: 3.0}
    assert ranking.p == pytest.approx(math.exp(-2.0))  # chi2 = 12 / (2 * 3 * 4) * (4 + 16 + 36) - 24 = 4, 2 degrees
    assert sign_test([0.1, 0.2, 0.3]) == pytest.approx(0.25) and math.isnan(sign_test([0.0]))


def test_configs_of_every_row_can_be_written(tmp_path):
    from mmengine.config import Config

    from imbdense.utils.paths import configs_dir

    size = replace(SIZES['full'], samplings=('natural', 'class_aware'), losses=('ce', 'logit_adjust'), ratios=(10,))
    for run in plan(chosen_suites(size), [3], tmp_path):
        config = Config.fromfile(str(write_config(run, configs_dir())))
        assert config.train_cfg.max_iters == 2000 and config.param_scheduler[1].T_max == 1950
        if run.suite.name.startswith('scenes'):
            assert config.test_dataloader.dataset.data_root == 'data/scenes_ir1'


def test_picture(grid, tmp_path):
    suites, runs = grid
    assert draw_imbalance(suites, runs, tmp_path / 'imbalance.png')
    assert (tmp_path / 'imbalance.png').read_bytes().startswith(b'\x89PNG')
    assert not draw_imbalance(suites, [], tmp_path / 'none.png')
