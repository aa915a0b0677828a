"""The data sets of ``imbdense benchmark select``: the pool sees the images as the trainings do."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip('mmseg')

from mmengine.config import Config

from imbdense.benchmark.runs import replace_line
from imbdense.benchmark.select_suites import SOURCES
from imbdense.utils.paths import configs_dir


@pytest.mark.parametrize('name', list(SOURCES))
def test_the_pool_prepares_images_as_the_validation(name: str) -> None:
    """The pool uses the test pipeline; at another scale the model would see objects of sizes it has not learned."""
    config = Config.fromfile(str(configs_dir() / SOURCES[name].config))
    for path, value in SOURCES[name].lines.items():
        replace_line(config, path, value)
    pool, validation = (_without_labels(config[f'{split}_dataloader'].dataset.pipeline) for split in ('test', 'val'))
    assert pool == validation


def _without_labels(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [step for step in steps if step['type'] not in ('imbdense.LoadSegMask', 'LoadAnnotations')]
