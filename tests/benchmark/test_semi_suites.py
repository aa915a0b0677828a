"""The semi-supervised grid: its lines fit its configs, and its draws are complete."""

from __future__ import annotations

import pytest

from imbdense.benchmark import semi_suites
from imbdense.benchmark.runs import replace_line
from imbdense.core.stats import ImageClassTable


@pytest.mark.parametrize('name', list(semi_suites.SUITES))
def test_lines_fit(name, monkeypatch):
    from mmengine.config import Config

    from imbdense.utils.paths import configs_dir

    table = ImageClassTable.from_lists([[0, 1]] * 20, 2)
    monkeypatch.setattr(semi_suites, '_table', lambda config: table)
    suite = semi_suites.SUITES[name]
    for method in suite.methods:
        config = Config.fromfile(str(configs_dir() / suite.config))
        for path, value in {**suite.lines, **suite.run_lines(method.name, 1), **method.lines}.items():
            replace_line(config, path, value)
        labeled = config.train_dataloader.dataset.labeled
        drawn = suite.run_lines(method.name, 1)[f'{semi_suites.LABELED}.indices']
        assert len(drawn) == 2 and labeled.indices == drawn
        assert config.train_dataloader.batch_size == config.train_dataloader.sampler.batch_size == 8
