"""What a ReDB round needs of the training data: unlabelled images (or point clouds), and labelled ones with boxes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from imbdense.mm.dataset_wrappers import image_files, leaves, sample_file
from imbdense.mm.datasets.label_source import records_of
from imbdense.mm.datasets.semi_dataset import SemiDataset
from imbdense.mm.pseudo_label.outputs import ImageFile
from imbdense.mm.pseudo_label.redb_records import Host


def unlabelled_images(dataset: SemiDataset) -> list[ImageFile]:
    """The unlabelled images, named by their paths below the folder they share."""
    files = [Path(file) for file in image_files(dataset.unlabeled)]
    root = Path(os.path.commonpath([str(file.resolve().parent) for file in files]))
    names = [str(file.resolve().relative_to(root)) for file in files]
    return [ImageFile(file, name, name) for file, name in zip(files, names)]


def labelled_hosts(dataset: Any) -> Iterator[Host]:
    """The labelled images with their boxes, of those that have one."""
    for leaf in leaves(dataset):
        for info in records_of(leaf):
            boxes = [item['bbox'] for item in info['instances'] if not item.get('ignore_flag')]
            if boxes:
                yield Host(sample_file(info), np.array(boxes, np.float32))
