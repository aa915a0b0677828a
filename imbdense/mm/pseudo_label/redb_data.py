"""What a ReDB round needs of the training data: unlabelled images, labelled ones with boxes, transforms that paste."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.mm.dataset_wrappers import children, image_files, leaves
from imbdense.mm.datasets.semi_dataset import SemiDataset
from imbdense.mm.datasets.statistics import records_of
from imbdense.mm.pseudo_label.outputs import ImageFile
from imbdense.mm.pseudo_label.redb_records import Host
from imbdense.mm.transforms.bank_paste import BankPaste


def unlabelled_images(dataset: SemiDataset) -> list[ImageFile]:
    """The unlabelled images, named by their paths below the folder they share."""
    files = [Path(file) for file in image_files(dataset.unlabeled)]
    root = Path(os.path.commonpath([str(file.resolve().parent) for file in files]))
    names = [str(file.resolve().relative_to(root)) for file in files]
    return [ImageFile(file, name, name) for file, name in zip(files, names)]


def pastes(part: Any) -> Iterator[BankPaste]:
    """All ``BankPaste`` transforms of a data set, its wrappers and nested pipelines."""
    if isinstance(part, BankPaste):
        yield part
        return
    nested: list[Any] = list(children(part)) if hasattr(part, 'dataset') or hasattr(part, 'datasets') else []
    for name in ('pipeline', 'transforms'):
        value = getattr(part, name, None)
        nested += [] if value is None else value if isinstance(value, (list, tuple)) else [value]
    nested += list(getattr(part, 'branch_pipelines', {}).values())
    for inner in nested:
        yield from pastes(inner)


def labelled_hosts(dataset: Any) -> Iterator[Host]:
    """The labelled images with their boxes, of those that have one."""
    for leaf in leaves(dataset):
        for info in records_of(leaf):
            boxes = [item['bbox'] for item in info['instances'] if not item.get('ignore_flag')]
            if boxes:
                yield Host(str(info['img_path']), np.array(boxes, np.float32))
