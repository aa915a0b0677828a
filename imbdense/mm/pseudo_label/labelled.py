"""The labelled images of a config, which must not be pseudo-labelled."""

from __future__ import annotations

from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.statistics import records_of


def labelled_images(config: Config) -> tuple[dict[str, list[str]], list[str]]:
    """(split -> image files, what could not be read).

    Data sets that say they are unlabelled (attribute ``unlabelled``), for example beside the labelled one in a
    semi-supervised run, are left out.
    """
    init_default_scope(config.get('default_scope') or 'mmengine')
    found: dict[str, list[str]] = {}
    unread: list[str] = []
    for split in ('train', 'val', 'test'):
        settings = (config.get(f'{split}_dataloader') or {}).get('dataset')
        if not settings:
            continue
        try:
            found[split] = _files(DATASETS.build(settings))
        except (OSError, LabelReadError, AssertionError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()
            unread.append(f'{split}: {type(error).__name__}: {reason[0] if reason else ""}')
    return found, unread


def _files(dataset: Any) -> list[str]:
    """Image files of all labelled data sets inside ``dataset``."""
    labelled = [leaf for leaf in leaves(dataset) if not getattr(leaf, 'unlabelled', False)]
    return [str(info['img_path']) for leaf in labelled for info in records_of(leaf) if info.get('img_path')]
