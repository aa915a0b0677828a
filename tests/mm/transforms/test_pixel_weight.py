"""Maps of pixel weights through loading, geometry and packing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip('mmseg')

from mmcv.transforms import Compose
from mmengine.registry import TRANSFORMS, init_default_scope

from imbdense.data.readers.errors import LabelReadError


@pytest.fixture(autouse=True)
def _scope() -> None:
    init_default_scope('mmseg')


def sample(folder: Path, **more: Any) -> dict[str, Any]:
    """A record of a 20 x 30 image whose label tells the place of each pixel, and confidences equal to the label."""
    places = (np.arange(600) % 200).astype(np.uint8).reshape(20, 30)
    for name, values in (('label', places), ('confidence', places), ('image', np.repeat(places[..., None], 3, 2))):
        Image.fromarray(values).save(folder / f'{name}.png')
    return {'img_path': str(folder / 'image.png'), 'seg_map_path': str(folder / 'label.png'), 'seg_fields': [], **more}


def run(record: dict[str, Any], *steps: dict[str, Any]) -> Any:
    """Load, ``steps``, pack."""
    every = [dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='imbdense.LoadPixelWeight'),
             *steps, dict(type='imbdense.PackSegInputsWithWeight')]
    return Compose([TRANSFORMS.build(step) for step in every])(record)['data_samples']


def test_constant_and_confidence(tmp_path: Path) -> None:
    packed = run(sample(tmp_path, pixel_weight=0.25))
    assert packed.seg_weight.data.shape == (1, 20, 30) and packed.seg_weight.data.dtype == torch.float32
    assert torch.equal(packed.seg_weight.data, torch.full((1, 20, 30), 0.25))
    packed = run(sample(tmp_path, pixel_weight=0.5, confidence_path=str(tmp_path / 'confidence.png')))
    assert torch.allclose(packed.seg_weight.data, packed.gt_sem_seg.data / 255 * 0.5)


@pytest.mark.parametrize('steps', [
    [dict(type='RandomCrop', crop_size=(8, 12))],
    [dict(type='RandomFlip', prob=1.0, direction='horizontal')],
    [dict(type='RandomResize', scale=(60, 40), ratio_range=(0.5, 2.0), keep_ratio=True)],
    [dict(type='imbdense.RareClassCrop', crop_size=(16, 16), rate=1.0, classes=[7])],
    [dict(type='Resize', scale=(45, 30)), dict(type='RandomCrop', crop_size=(16, 16)),
     dict(type='RandomFlip', prob=1.0)],
])  # fmt: skip
def test_the_map_takes_the_way_of_the_label(tmp_path: Path, steps: list[dict[str, Any]]) -> None:
    """Weights are the label / 255, and still are after any geometry."""
    packed = run(sample(tmp_path, confidence_path=str(tmp_path / 'confidence.png')), *steps)
    assert torch.allclose(packed.seg_weight.data, packed.gt_sem_seg.data / 255)
    assert packed.seg_weight.data.unique().numel() > 10


def test_padding_of_a_crop_is_ignored_and_weighs_nothing(tmp_path: Path) -> None:
    packed = run(sample(tmp_path, pixel_weight=0.5), dict(type='imbdense.RareClassCrop', crop_size=(24, 40)))
    outside = packed.gt_sem_seg.data == 255
    assert outside.any() and (packed.seg_weight.data[outside] == 0).all()
    assert (packed.seg_weight.data[~outside] == 0.5).all()


def test_a_labelled_sample_is_packed_as_by_the_host(tmp_path: Path) -> None:
    packed = run(sample(tmp_path))
    host = Compose([TRANSFORMS.build(step) for step in (
        dict(type='LoadImageFromFile'), dict(type='imbdense.LoadSegMask'), dict(type='PackSegInputs'))])(
            sample(tmp_path))['data_samples']  # fmt: skip
    assert 'seg_weight' not in packed and packed.metainfo == host.metainfo
    assert torch.equal(packed.gt_sem_seg.data, host.gt_sem_seg.data)


def test_errors_name_the_cause(tmp_path: Path) -> None:
    load = TRANSFORMS.build(dict(type='imbdense.LoadPixelWeight'))
    with pytest.raises(ValueError, match='after imbdense'):
        load({'pixel_weight': 0.5})
    with pytest.raises(LabelReadError, match=r'none\.png'):
        run(sample(tmp_path, confidence_path=str(tmp_path / 'none.png')))
    Image.fromarray(np.zeros((5, 5), np.uint8)).save(tmp_path / 'small.png')
    with pytest.raises(LabelReadError, match=r'small\.png.*\(5, 5\)'):
        run(sample(tmp_path, confidence_path=str(tmp_path / 'small.png')))
    pack = TRANSFORMS.build(dict(type='imbdense.PackSegInputsWithWeight'))
    with pytest.raises(ValueError, match=r'pixel weights are \(3, 3\)'):
        pack({'gt_seg_map': np.zeros((4, 4), np.uint8), 'seg_weight': np.ones((3, 3), np.float32)})
