"""The benchmark of adaptation in space: its runs, its page, and (slow) the acceptance of ReDB on one seed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

pytest.importorskip('mmcv')

from imbdense.benchmark import adaptation_3d as module
from imbdense.benchmark.runs import RESULT_FILE, write_config
from imbdense.cli.main import run_verb
from imbdense.utils.paths import configs_dir


def test_runs_differ_in_what_is_compared_alone(tmp_path: Path) -> None:
    """Equal data, steps and start; plain self-training has no filter and pastes nothing."""
    from mmengine.config import Config

    source = module._source(tmp_path, 1)
    plain, redb = (Config.fromfile(str(write_config(one, configs_dir()))) for one in
                   module._adaptations(tmp_path, source))
    assert plain.train_cfg == redb.train_cfg and plain.optim_wrapper == redb.optim_wrapper
    assert plain.train_dataloader.dataset.labeled == redb.train_dataloader.dataset.labeled
    hook, other = plain.custom_hooks[0], redb.custom_hooks[0]
    assert hook.cde is None and hook.obc is None and not any(hook.quota.values())
    assert other.cde.rounds == [0] and other.obc.rate.Car == 5 and hook.rounds == other.rounds
    for config in (plain, redb):
        steps = config.train_dataloader.dataset.unlabeled.pipeline
        assert [step.bank for step in steps if 'bank' in step] == [
            config.custom_hooks[0].bank, config.custom_hooks[0].source_bank]


def test_page(tmp_path: Path) -> None:
    source = module._source(tmp_path, 1)
    runs = [source, *module._adaptations(tmp_path, source)]
    for one, recall in zip(runs, (0.3, 0.4, 0.5)):
        one.folder.mkdir(parents=True, exist_ok=True)
        metrics = {f'boxes_3d/{key}/{name}': recall for key in module.KEYS for name in module.CLASSES}
        (one.folder / RESULT_FILE).write_text(json.dumps({'metrics': metrics}))
    page = module.results_page(runs)
    assert '| 1 | redb | AP 0.500, recall 0.500' in page
    assert 'Cyclist: bev_ap50 +0.100, bev_recall50 +0.100: as wanted' in page


@pytest.mark.slow
def test_redb_finds_more_of_the_rare_class_than_plain_self_training(tmp_path: Path) -> None:
    """Acceptance check 6 of ReDB on one seed, about three CPU-minutes."""
    assert run_verb('benchmark', ['adaptation-3d', '--seeds', '1', '--work-dir', str(tmp_path)]) == 0
    recall = {}
    for name in ('plain', 'redb'):
        found = json.loads((tmp_path / f'{name}_seed1' / RESULT_FILE).read_text())['metrics']
        recall[name] = found['boxes_3d/bev_recall50/Cyclist']
    assert recall['redb'] > recall['plain'], recall
