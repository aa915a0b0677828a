"""Which image of a config's data set holds how much of which class; for draws of labelled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from imbdense.core.stats import ImageClassTable


def training_table(config: str, place: str, lines: Mapping[str, Any]) -> ImageClassTable:
    """The class table of the whole data set at ``place`` of a config, without its ``indices``.

    Args:
        config: relative to ``configs/``. place: for example 'train_dataloader.dataset'. lines: changes of the config.
    """
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    import imbdense.mm  # noqa: F401
    from imbdense.benchmark.runs import replace_line
    from imbdense.mm.samplers.dataset_table import dataset_table
    from imbdense.utils.paths import configs_dir

    settings: Any = Config.fromfile(str(configs_dir() / config))
    for path, value in {**lines, f'{place}.indices': None, f'{place}.pipeline': []}.items():
        replace_line(settings, path, value)
    init_default_scope(settings.default_scope)
    for part in place.split('.'):
        settings = settings[part]
    return dataset_table(DATASETS.build(settings))
