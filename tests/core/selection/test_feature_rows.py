"""Views of feature tables."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.selection import FeatureRows
from imbdense.core.selection.feature_rows import as_feature_rows

X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
ROWS = np.array([3, 17, 5, 5])


@pytest.mark.parametrize('kept', [0, 2**20])
@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_rows_chunks_and_subsets(kept: int, dtype: type, monkeypatch) -> None:
    monkeypatch.setattr('imbdense.core.selection.feature_rows.KEPT_BYTES', kept)
    table = X.astype(dtype)
    view = FeatureRows(table, ROWS, normalize=True)
    wanted = table[ROWS].astype(np.float32)
    wanted /= np.linalg.norm(wanted, axis=1, keepdims=True)
    assert len(view) == 4 and view.dim == 3 and view[slice(0, 4)].dtype == torch.float32
    assert np.allclose(torch.cat([block for _, block in view.chunks(3)]).numpy(), wanted, atol=1e-6)
    assert np.allclose(view[np.array([2, 0])].numpy(), wanted[[2, 0]], atol=1e-6)
    assert np.allclose(view.subset(np.array([1, 3]))[slice(0, 2)].numpy(), wanted[[1, 3]], atol=1e-6)


def test_arrays_in_memory_are_not_copied_and_never_changed() -> None:
    table = X.copy()
    assert FeatureRows(table)[slice(0, 20)].data_ptr() == table.ctypes.data
    read_only = X.copy()
    read_only.flags.writeable = False
    assert np.array_equal(FeatureRows(read_only)[slice(0, 20)].numpy(), X)


def test_rows_of_zeros_stay_and_views_can_be_normalised() -> None:
    table = np.array([[0.0, 0.0], [3.0, 4.0]], dtype=np.float32)
    view = as_feature_rows(FeatureRows(table), normalize=True)
    assert np.allclose(view[slice(0, 2)].numpy(), [[0, 0], [0.6, 0.8]])
    assert as_feature_rows(view, normalize=True) is view


def test_one_dimension_is_refused() -> None:
    with pytest.raises(ValueError, match=r'shape \(N, D\), but have \(20,\)'):
        FeatureRows(X[:, 0])
