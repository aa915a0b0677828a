"""The transforms inside the hosts' pipelines: data set, crop with index, packing."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from imbdense.registry import DATASETS


@pytest.fixture
def folder(tmp_path):
    """Six 128² images; a 3×3 object of class 2 in each."""
    rng = np.random.default_rng(0)
    for name in ('images', 'labels'):
        (tmp_path / name).mkdir()
    for index in range(6):
        label = (rng.random((128, 128)) < 0.2).astype(np.uint8)
        y, x = rng.integers(0, 125, 2)
        label[y : y + 3, x : x + 3] = 2
        cv2.imwrite(str(tmp_path / 'images' / f'{index}.png'), np.repeat(label[..., None] * 100, 3, axis=2))
        cv2.imwrite(str(tmp_path / 'labels' / f'{index}.png'), label)
    return tmp_path


def test_crop_uses_the_index_of_the_data_set_through_resize_and_flip(folder, monkeypatch):
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    dataset = DATASETS.build({
        'type': 'imbdense.SegFolderDataset', 'data_root': str(folder), 'metainfo': {'classes': ('a', 'b', 'c')},
        'pipeline': [
            {'type': 'LoadImageFromFile'},
            {'type': 'imbdense.LoadSegMask'},
            {'type': 'RandomResize', 'scale': (128, 128), 'ratio_range': (1.0, 2.0), 'keep_ratio': True},
            {'type': 'RandomFlip', 'prob': 0.5},
            {'type': 'imbdense.RareClassCrop', 'crop_size': 32, 'rate': 1.0, 'classes': [2],
             'class_counts': [1e5, 2e4, 54]},
            {'type': 'PackSegInputs'},
        ],
    })
    crop = dataset.pipeline.transforms[-2]
    searched = []
    original = crop._searched_pixel
    monkeypatch.setattr(crop, '_searched_pixel', lambda *args: searched.append(1) or original(*args))
    np.random.seed(0)
    for index in range(60):
        item = dataset[index % 6]
        label = item['data_samples'].gt_sem_seg.data[0].numpy()
        assert label.shape == (32, 32) and (label == 2).any()
        assert np.median(item['inputs'][0].numpy()[label == 2]) > 120, 'image and label show the same place'
    assert len(searched) <= 6, 'nearly always the cached position is right'
