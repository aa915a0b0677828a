"""Data set: scenes made by ``imbdense generate scenes``, for segmentation."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from typing import Any

from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.datasets.seg_folder_dataset import SegFolderDataset
from imbdense.registry import DATASETS

CURE = 'Generate it: `imbdense generate scenes --preset demo --out {root}`.'


@DATASETS.register_module()
class SceneDataset(SegFolderDataset):
    """The generated aerial scenes as segmentation data; classes, colours and ignore index come from ``dataset.json``.

    Layout: ``dataset.json``, ``images/<split>``, ``labels/<split>`` (index PNG with the same names).

    Args:
        data_root: the folder that was given as ``--out``.
        split: ``train`` or ``val``.
        ann_file: split file below ``data_root`` with the images to use, one name per line; '' = all of the split.
        label_dir: folder of the labels below ``data_root``; ``None`` = ``labels/<split>``.
        pipeline, indices, test_mode, serialize_data, lazy_init, max_refetch: as in :class:`SegFolderDataset`.

    Raises:
        LabelReadError: the data set was not generated (completely), or lacks the split; the message has the command.
    """

    def __init__(
        self,
        data_root: str,
        split: str = 'train',
        ann_file: str = '',
        label_dir: str | None = None,
        pipeline: Sequence[dict[str, Any] | Callable[..., Any]] = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        serialize_data: bool = True,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        record = read_scene_record(data_root)
        if split not in record['splits'] or not record['splits'][split]['images']:
            raise LabelReadError(
                os.path.join(data_root, 'dataset.json'),
                'schema',
                f'has no images in the split {split!r}; it has {sorted(record["splits"])}.',
                'Choose one of these, or generate more scenes.',
            )
        super().__init__(
            metainfo={'classes': tuple(record['classes']), 'palette': [list(colour) for colour in record['palette']]},
            data_root=data_root,
            data_prefix={'img_path': f'images/{split}', 'seg_map_path': label_dir or f'labels/{split}'},
            ann_file=ann_file,
            pipeline=pipeline,
            ignore_index=int(record.get('ignore_index', 255)),
            indices=indices,
            test_mode=test_mode,
            serialize_data=serialize_data,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )


def read_scene_record(data_root: str) -> dict[str, Any]:
    """The content of ``dataset.json``.

    Raises:
        LabelReadError: missing, damaged, or without classes, palette or splits.
    """
    path = os.path.join(data_root, 'dataset.json')
    cure = CURE.format(root=data_root)
    try:
        with open(path, encoding='utf-8') as handle:
            record = json.load(handle)
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', cure) from error
    except (OSError, ValueError) as error:
        raise LabelReadError(path, 'unreadable', f'cannot be read ({error}).', cure) from error
    missing = [key for key in ('classes', 'palette', 'splits') if key not in record]
    if missing:
        raise LabelReadError(path, 'schema', f'lacks {missing}.', cure)
    return dict(record)
