"""Boxes and sizes without pixels are those of the real pipeline, for the transforms of the hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from mmcv.transforms import BaseTransform
from mmdet.registry import TRANSFORMS

from imbdense.mm.assigned_counts.images import ImageSource
from tests.mm.assigned_counts import cases

PIPELINES = {
    'plain': [],
    'resize': [{'type': 'Resize', 'scale': (333, 200), 'keep_ratio': True}, {'type': 'RandomFlip', 'prob': 0.5}],
    'random_scale': [
        {'type': 'RandomResize', 'scale': (200, 200), 'ratio_range': (0.5, 1.5), 'keep_ratio': True},
        {'type': 'PhotoMetricDistortion'}, {'type': 'Pad', 'size_divisor': 16},
    ],
    'choice': [
        {'type': 'RandomChoice', 'transforms': [
            [{'type': 'RandomChoiceResize', 'scales': [(100, 80), (200, 150)], 'keep_ratio': True}],
            [{'type': 'RandomCrop', 'crop_size': (80, 90), 'allow_negative_crop': True}]]},
    ],
    'crop': [{'type': 'RandomCrop', 'crop_size': (64, 64)}, {'type': 'FilterAnnotations', 'min_gt_bbox_wh': (4, 4)}],
    'affine': [{'type': 'RandomAffine'}, {'type': 'MinIoURandomCrop'}],
    'rare': [{'type': 'imbdense.RareBoxCrop', 'crop_size': (64, 64), 'rate': 1.0}],
}  # fmt: skip


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder, images=8)
    return folder


@pytest.mark.parametrize('name', PIPELINES)
def test_equals_the_real_pipeline(name: str, root: Path) -> None:
    """The same random numbers give the same boxes, labels, crowds and size."""
    dataset = cases.build_dataset(root, *PIPELINES[name])
    source = ImageSource(dataset)
    assert source.real == ''
    if name in ('random_scale', 'rare'):  # colours, and the loading of crop centres, draw numbers too
        compare_sizes_only(dataset, source)
        return
    for index in range(8):
        drawn = source.draw(index, 3, index)
        real = decoded(dataset, index)
        if drawn is None:
            assert real is None
            continue
        data = real['data_samples']
        assert drawn.shape == tuple(real['inputs'].shape[-2:])
        assert torch.allclose(drawn.boxes, data.gt_instances.bboxes.tensor, atol=1e-4)
        assert torch.equal(drawn.labels, data.gt_instances.labels)
        assert len(drawn.ignored) == len(data.ignored_instances.bboxes)


def decoded(dataset: Any, index: int) -> Any:
    """The real sample with the random numbers of :meth:`ImageSource.draw`."""
    from imbdense.mm.reproducible import seeded_generators

    with seeded_generators(3, index):
        return dataset.pipeline(dataset.get_data_info(index))


def compare_sizes_only(dataset: Any, source: ImageSource) -> None:
    """Other numbers were drawn: the same kind of image nevertheless."""
    shapes = {source.draw(index, seed, index).shape for index in range(8) for seed in range(4)}
    assert len(shapes) == 1 if source.transforms[0][-1].__class__.__name__ == 'RareBoxCrop' else len(shapes) > 4
    assert all(height % 16 == 0 or height == 64 for height, _ in shapes)


def test_no_image_is_read(root: Path, tmp_path: Path) -> None:
    dataset = cases.build_dataset(root)
    for info in (source := ImageSource(dataset)).dataset.load_data_list():
        assert Path(info['img_path']).exists()
    dataset.data_prefix = {'img': str(tmp_path)}
    dataset.pipeline.transforms[0] = None  # calling it would fail
    assert len(source.draw(1, 0, 0).boxes) == 2


def test_global_generators_and_pipeline_are_left_alone(root: Path) -> None:
    dataset = cases.build_dataset(root, *PIPELINES['random_scale'])
    scale = dataset.pipeline.transforms[2].resize.scale
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    ImageSource(dataset).draw(0, 0, 0)
    assert np.array_equal(before, np.random.get_state()[1]) and dataset.pipeline.transforms[2].resize.scale == scale


def test_wrappers(root: Path) -> None:
    from mmengine.dataset import ConcatDataset, RepeatDataset

    base = cases.build_dataset(root)
    plain = ImageSource(base)
    for wrapped in (ConcatDataset([base, base]), RepeatDataset(base, times=2)):
        source = ImageSource(wrapped)
        assert source.real == '' and len(source) == 16
        for index in (1, 9):
            assert torch.equal(source.draw(index, 0, 0).boxes, plain.draw(1, 0, 0).boxes)


@TRANSFORMS.register_module(force=True)
class StrangeTransform(BaseTransform):
    """Of no known package: shrinks the boxes by what it sees in the image."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        assert results['img'].max() > 0
        return results


@pytest.mark.parametrize(('extra', 'reason'), [
    ({'type': 'StrangeTransform'}, 'StrangeTransform of tests is unknown'),
    ({'type': 'RandomCrop', 'crop_size': (64, 64), 'recompute_bbox': True}, 'RandomCrop looks at pixels or masks'),
])  # fmt: skip
def test_pixels_decide(root: Path, extra: dict[str, Any], reason: str) -> None:
    """The whole pipeline runs on real images then, and the reason is told."""
    dataset = cases.build_dataset(root, {'type': 'StrangeTransform'}) if 'Strange' in reason else None
    source = ImageSource(dataset or cases.build_dataset(root, extra))
    assert source.real == reason
    if dataset is not None:
        assert len(source.draw(1, 0, 0).boxes) == 2 and source.draw(3, 0, 0).ignored.shape == (1, 4)


def test_mosaics_are_drawn_for_real(root: Path) -> None:
    from mmdet.registry import DATASETS
    from mmengine.registry import init_default_scope

    init_default_scope('mmdet')
    inner = cases.dataset_config(root)
    inner['pipeline'] = inner['pipeline'][:2]
    wrapped = DATASETS.build({
        'type': 'MultiImageMixDataset', 'dataset': inner,
        'pipeline': [{'type': 'Mosaic', 'img_scale': (96, 96)}, {'type': 'PackDetInputs'}],
    })  # fmt: skip
    source = ImageSource(wrapped)
    assert source.real == 'MultiImageMixDataset joins several images into one'
    assert source.draw(0, 0, 0).shape == (192, 192)
    assert [type(step).__name__ for step in source.transforms[1]] == ['Mosaic', 'PackDetInputs']
