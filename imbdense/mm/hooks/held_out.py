"""Labelled images that are not trained on, seen through the model while it trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS as HOST_DATASETS
from numpy.typing import NDArray
from torch import Tensor

from imbdense.mm.dataset_wrappers import children
from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.mm.hooks.branch_features import only_looking
from imbdense.mm.inference.pixel_records import class_logits, segmentor_facts
from imbdense.utils.distributed import rank_and_world

HeldOut = str | Mapping[str, Any]


class HeldOutImages:
    """A labelled segmentation data set beside the one that is trained on.

    Args:
        runner: of the training. held_out: config of a data set, or 'val', that of ``val_dataloader``.
        model: segmentor whose classes it must have. owner: for messages.

    Attributes:
        config: of the data set. classes: names.

    Raises:
        ValueError: there is no such data set, it is empty, joins several, or has another number of classes.
    """

    def __init__(self, runner: Any, held_out: HeldOut, model: Any, owner: str) -> None:
        if isinstance(held_out, str):
            config = (runner.cfg.get('val_dataloader') or {}).get('dataset')
            if not config:
                raise ValueError(f"{owner}: held_out='val', but the config has no val_dataloader.")
        else:
            config = held_out
        self.config: dict[str, Any] = dict(config)
        self._dataset = HOST_DATASETS.build(dict(config))
        if children(self._dataset):
            raise ValueError(f'{owner}: held_out is a {type(self._dataset).__name__}; give a plain data set.')
        self._dataset.full_init()
        self._facts = segmentor_facts(model)
        self.classes = dataset_classes(self._dataset)
        if len(self.classes) != self._facts['num_classes'] or len(self._dataset) == 0:
            raise ValueError(
                f'{owner}: the held-out data set has {len(self._dataset)} images of {len(self.classes)} classes, the '
                f'model {self._facts["num_classes"]} classes.'
            )
        self._ignore = int(getattr(self._dataset, 'ignore_index', 255))

    def __len__(self) -> int:
        """Images."""
        return len(self._dataset)

    def look(
        self, model: Any, chosen: Sequence[int], load: Callable[[int], Any] | None = None
    ) -> Iterator[tuple[int, Tensor, NDArray[np.int64] | None]]:
        """(index, logits (K, H, W), label (H, W) with -1 where ignored) of this rank's part of the chosen images.

        In evaluation mode without gradients; the model is left as it was.

        Args:
            load: index -> prepared image of another set, without labels (the third entry is then ``None``).
        """
        rank, world = rank_and_world()
        with only_looking(model):
            for index in list(chosen)[rank::world]:
                sample = self._prepared(index) if load is None else load(index)
                found = model.test_step(pseudo_collate([sample]))[0]
                logits = class_logits(found.seg_logits.data, self._facts).float()
                label = None
                if load is None:
                    label = found.gt_sem_seg.data[0].long().cpu().numpy()
                    label = np.where((label == self._ignore) | (label >= len(logits)), -1, label)
                yield index, logits, label

    def _prepared(self, index: int) -> Any:
        return self._dataset.pipeline(self._dataset.get_data_info(index))


def check_held_out(held_out: Any, owner: str) -> Any:
    """'val' or a config.

    Raises:
        ValueError: another word.
    """
    if isinstance(held_out, str) and held_out != 'val':
        raise ValueError(f"{owner}: held_out must be 'val' or the config of a data set, but is {held_out!r}.")
    return held_out
