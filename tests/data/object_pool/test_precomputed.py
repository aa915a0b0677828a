"""Features that were made elsewhere: what can be used, and what is said about all else."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from imbdense.data.object_pool import PoolError, open_features
from imbdense.data.readers.detection import DetectionAnnotations
from imbdense.data.readers.proposals import read_proposals


@pytest.fixture
def annotations(tmp_path: Path) -> DetectionAnnotations:
    """Three proposals."""
    record = {
        'images': [{'id': 1, 'file_name': 'a.png', 'width': 40, 'height': 30}],
        'categories': [{'id': 1, 'name': 'car'}],
        'annotations': [{'image_id': 1, 'category_id': 1, 'bbox': [2, 2, 9, 9]}] * 3,
    }
    (tmp_path / 'p.json').write_text(json.dumps(record))
    return read_proposals(tmp_path / 'p.json')


@pytest.mark.parametrize('dtype', ['float16', 'float32', 'float64', '>f4'])
def test_any_floating_point(annotations: DetectionAnnotations, tmp_path: Path, dtype: str) -> None:
    values = np.arange(12, dtype=dtype).reshape(3, 4)
    for name, array in (('c', values), ('f', np.asfortranarray(values))):
        np.save(tmp_path / f'{name}.npy', array)
        np.testing.assert_array_equal(open_features(tmp_path / f'{name}.npy', annotations), values)


@pytest.mark.parametrize('shape', [(3,), (2, 4), (3, 4, 1, 1), (3, 0)])
def test_other_shapes_are_named(annotations: DetectionAnnotations, tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / 'f.npy', np.ones(shape, np.float32))
    with pytest.raises(PoolError, match=r'f\.npy holds float32 of shape .*expected floating point \(3, D\)'):
        open_features(tmp_path / 'f.npy', annotations)


def test_an_archive_is_named(annotations: DetectionAnnotations, tmp_path: Path) -> None:
    np.savez(tmp_path / 'f.npz', features=np.ones((3, 4)))
    with pytest.raises(PoolError, match=r"f\.npz is an archive of the arrays \['features'\].*np\.save"):
        open_features(tmp_path / 'f.npz', annotations)
