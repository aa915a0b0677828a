"""Views of one geometry: what is shared, the recorded matrix, padding, mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from imbdense.core.views import warp_view
from imbdense.mm.views import valid_mask, view_matrices
from imbdense.registry import TRANSFORMS

GEOMETRY = [
    dict(type='RandomResize', scale=(60, 44), ratio_range=(0.6, 1.8), keep_ratio=True),
    dict(type='RandomCrop', crop_size=(40, 40)),
    dict(type='RandomFlip', prob=0.7, direction=['horizontal', 'vertical']),
    dict(type='Pad', size=(48, 48)),
]


def views(weak: list[Any] = GEOMETRY, seed: int = 0, img: np.ndarray | None = None, **options: Any) -> dict[str, Any]:
    """Run on a smooth image."""
    init_default_scope('mmseg')
    transform = TRANSFORMS.build(dict(type='imbdense.MultiViewSeg', weak=weak, **options))
    np.random.seed(seed)
    image = smooth() if img is None else img
    return transform({'img': image, 'img_path': 'a.png', 'ori_shape': image.shape[:2], 'img_shape': image.shape[:2],
                      'seg_map_path': 'never.png', 'sample_idx': 3})


def smooth(height: int = 44, width: int = 60) -> np.ndarray:
    """Colours that are linear in the position."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack([4 * columns, 5 * rows, 2 * columns + 2 * rows], -1).astype(np.uint8)


@pytest.mark.parametrize('seed', range(6))
def test_the_recorded_matrix_leads_back_to_the_image(seed: int) -> None:
    """The weak view, carried back by the matrix, is the image where it was seen."""
    out = views(seed=seed)
    sample = out['data_samples'].views['unsup_weak']
    valid = valid_mask([sample], 48, 48)
    view = out['inputs'].views['unsup_weak'].float()[None]
    back, inside = warp_view(view, torch.linalg.inv(view_matrices([sample])), (44, 60))
    seen, _ = warp_view(valid.float()[:, None], torch.linalg.inv(view_matrices([sample])), (44, 60))
    sure = inside[0] & (seen[0, 0] > 0.999)
    assert int(sure.sum()) > 300
    image = torch.from_numpy(smooth()).movedim(-1, 0).float()
    assert float((back[0] - image).abs()[:, sure].max()) < 6, 'about one pixel of the steepest colour'
    assert float((back[0] - image).abs()[:, sure].mean()) < 1.5


def test_flip_and_crop_are_recorded_exactly() -> None:
    out = views(weak=[dict(type='RandomFlip', prob=1.0, direction='horizontal')])
    matrix = out['data_samples'].views['unsup_weak'].homography_matrix
    assert np.allclose(matrix, [[-1, 0, 59], [0, 1, 0], [0, 0, 1]], atol=1e-6)


def test_strong_views_share_the_geometry_and_differ_in_colour() -> None:
    out = views(strong=[dict(type='PhotoMetricDistortion')], num_strong=2)
    inputs = out['inputs'].views
    assert list(inputs) == ['unsup_weak', 'unsup_strong_1', 'unsup_strong_2']
    assert len({tuple(image.shape) for image in inputs.values()}) == 1
    assert not torch.equal(inputs['unsup_strong_1'], inputs['unsup_strong_2'])
    plain = views(num_strong=1)['inputs'].views
    assert torch.equal(plain['unsup_weak'], plain['unsup_strong_1']), 'without colour transforms they are the same'
    matrices = [sample.homography_matrix for sample in out['data_samples'].views.values()]
    assert all(np.array_equal(matrix, matrices[0]) for matrix in matrices)
    assert out['data_samples'].views['unsup_weak'].metainfo['sample_idx'] == 3


def test_measuring_does_not_change_what_is_drawn() -> None:
    """The random numbers after the transform are those after the geometry alone."""
    views(seed=4)
    after = np.random.rand()
    init_default_scope('mmseg')
    np.random.seed(4)
    results: dict[str, Any] = {'img': smooth(), 'seg_fields': []}
    for config in GEOMETRY:
        results = TRANSFORMS.build(config)(results)
    assert np.random.rand() == after


def test_padding_is_marked_whatever_its_value() -> None:
    for value in (0, 1, 255):
        out = views(weak=[dict(type='Pad', size=(70, 50), pad_val=dict(img=value, seg=255))])
        valid = out['data_samples'].views['unsup_weak'].valid_pixels.data[0]
        assert valid[:44, :60].all() and int(valid.sum()) == 44 * 60
    bigger = valid_mask([out['data_samples'].views['unsup_weak']], 64, 80)
    assert bigger.shape == (1, 64, 80) and int(bigger.sum()) == 44 * 60, 'what the preprocessor adds is padding too'


class OnlyPadding:
    """Throws the image away, as a crop beside a small image may."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        results['img'] = np.zeros_like(results['img'])
        return results


def test_a_crop_of_nothing_but_padding() -> None:
    out = views(weak=[OnlyPadding()])
    sample = out['data_samples'].views['unsup_weak']
    assert not sample.valid_pixels.data.any() and np.array_equal(sample.homography_matrix, np.eye(3))


def test_grey_images_and_one_pixel() -> None:
    assert views(weak=[], img=np.full((5, 7), 9, np.uint8))['inputs'].views['unsup_weak'].shape == (1, 5, 7)
    assert views(weak=[], img=np.full((1, 1, 3), 9, np.uint8))['inputs'].views['unsup_weak'].shape == (3, 1, 1)


class Bend:
    """Moves the columns of the lower half."""

    def __call__(self, results: dict[str, Any]) -> dict[str, Any]:
        half = results['img'].shape[0] // 2
        results['img'] = np.concatenate([results['img'][:half], np.roll(results['img'][half:], 9, axis=1)])
        return results


def test_mistakes_are_named() -> None:
    caught = 0
    for seed in range(12):  # the transform now and then does nothing, which is no mistake
        try:
            sample = views(weak=[dict(type='PhotoMetricDistortion')], seed=seed)['data_samples'].views['unsup_weak']
            assert np.allclose(sample.homography_matrix, np.eye(3), atol=1e-6) and sample.valid_pixels.data.all()
        except ValueError as error:
            assert 'leave colours alone' in str(error)
            caught += 1
    assert caught >= 8
    with pytest.raises(ValueError, match='away from an affine map'):
        views(weak=[Bend()])
    with pytest.raises(ValueError, match='the strong transforms change the size'):
        views(strong=[dict(type='Resize', scale=(20, 20))])
