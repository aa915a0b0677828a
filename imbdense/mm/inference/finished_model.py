"""A finished model with its data set, ready to be run image by image in the order of the data set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS, init_default_scope
from torch import nn
from torch.utils.data import DataLoader, Subset

from imbdense.mm.checkpoints import load_checkpoint
from imbdense.mm.dataset_wrappers import children
from imbdense.mm.datasets.label_source import dataset_classes, is_detection
from imbdense.mm.predictor import load_weights


@dataclass
class FinishedModel:
    """A model with the weights of a checkpoint, and the labelled data set it is looked at on.

    Attributes:
        config: of the run. split: 'val' or 'test'. checkpoint: the file.
        content: of the checkpoint, loaded with ``weights_only=True``. digest: sha256 of the file, 16 digits.
        model: in eval mode on its device. dataset: with the pipeline of the split. classes: its class names.
    """

    config: Config
    split: str
    checkpoint: Path
    content: dict[str, Any]
    digest: str
    model: nn.Module
    dataset: Any
    classes: tuple[str, ...]

    @property
    def task(self) -> str:
        """'detection' or 'segmentation', by what the data set holds."""
        return 'detection' if is_detection(self.dataset) else 'segmentation'

    def outputs(self, indices: Sequence[int], workers: int) -> Iterator[tuple[int, Any]]:
        """Yield (image index, sample of the host with predictions and labels) one image at a time."""
        loader = DataLoader(
            Subset(self.dataset, list(indices)), batch_size=1, num_workers=workers, collate_fn=pseudo_collate
        )
        with torch.inference_mode():
            for index, batch in zip(indices, loader):
                yield index, self.model.test_step(batch)[0]  # type: ignore[operator]


def load_finished(
    config: Config, checkpoint: str | Path, split: str = 'val', device: str | None = None
) -> FinishedModel:
    """Build model and data set, load the weights safely.

    Args:
        split: whose labelled images are used.
        device: ``None`` = the first accelerator, else the CPU.

    Raises:
        CheckpointError: the file is missing, not safe, damaged, or its weights do not fit the model.
        ValueError: the config has no such split, it is empty or joins several data sets.
    """
    from mmengine.device import get_device

    init_default_scope(config.get('default_scope') or 'mmengine')
    content = load_checkpoint(checkpoint, 'cpu')
    loader = config.get(f'{split}_dataloader') or {}
    if not loader.get('dataset'):
        raise ValueError(f'the config has no {split}_dataloader.dataset with labelled images; choose with --split.')
    dataset = DATASETS.build(loader['dataset'])
    if children(dataset):
        raise ValueError(
            f'{split}_dataloader.dataset is a {type(dataset).__name__}; give a plain data set, so that every image is '
            f'looked at once.'
        )
    dataset.full_init()
    if len(dataset) == 0:
        raise ValueError(f'the {split} data set is empty; look at data_root, data_prefix and ann_file.')
    model = MODELS.build(config.model)
    load_weights(model, content.get('state_dict', content), checkpoint)
    model.to(device or get_device()).eval()
    classes = dataset_classes(dataset)
    digest = file_digest(Path(checkpoint))
    return FinishedModel(config, split, Path(checkpoint), content, digest, model, dataset, classes)


def file_digest(path: Path) -> str:
    """First 16 digits of the sha256 of a file."""
    with open(path, 'rb') as stream:
        return hashlib.file_digest(stream, 'sha256').hexdigest()[:16]
