"""The images of a pool: those of a split of a config, or files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from imbdense.mm.datasets.bank_round import distinct_images, image_name
from imbdense.mm.prior import locate


@dataclass(frozen=True)
class PoolImages:
    """M images.

    Attributes:
        ids: their names in the pool, unique. files: where they are.
        dataset: the data set they belong to, and ``indices`` (M,) in it; ``None`` = files alone.
    """

    ids: Sequence[str]
    files: Sequence[str]
    dataset: Any = None
    indices: Sequence[int] = ()

    def __len__(self) -> int:
        """M."""
        return len(self.ids)


def split_images(config: Config, split: str) -> PoolImages:
    """The images of ``<split>_dataloader.dataset``, those that a wrapper repeats once, named by their path inside the
    image folder.

    Raises:
        ValueError: the config has no such data set, or it is empty.
    """
    init_default_scope(config.get('default_scope') or 'mmengine')
    loader = config.get(f'{split}_dataloader') or {}
    if not loader.get('dataset'):
        raise ValueError(f'the config has no {split}_dataloader with a dataset; choose with --split, or give --images.')
    dataset = DATASETS.build(loader['dataset'])
    indices = distinct_images(dataset)
    if not indices:
        raise ValueError(f'the {split} data set is empty; look at data_root, data_prefix and ann_file.')
    ids, files = [], []
    for index in indices:
        base, local = locate(dataset, index)
        info = base.get_data_info(local)
        ids.append(image_name(base, info, index))
        files.append(str(info['img_path']))
    return PoolImages(ids, files, dataset, indices)
