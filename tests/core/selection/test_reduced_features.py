"""Standardised features and principal components against numpy's SVD."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from imbdense.core.selection.reduced_features import principal_components, standardize


def table(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(rows, columns)) * np.linspace(3, 0.1, columns) @ rng.normal(size=(columns, columns))
    return torch.from_numpy((mixed + 5).astype(np.float32))


def test_standardized_columns() -> None:
    features = table(50, 4)
    features[:, 2] = 7.0
    found = standardize(features)
    assert torch.allclose(found.mean(0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(found.std(0, unbiased=False), torch.tensor([1.0, 1.0, 0.0, 1.0]), atol=1e-5)
    assert standardize(features[:1]).tolist() == [[0.0] * 4]


@pytest.mark.parametrize(('rows', 'columns', 'dim'), [(80, 10, 4), (12, 30, 5), (12, 30, 256)])
def test_equals_the_svd(rows: int, columns: int, dim: int) -> None:
    features = table(rows, columns)
    found = principal_components(features, dim)
    centred = features.double().numpy() - features.double().numpy().mean(0)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    kept = min(dim, rows - 1, columns)
    signs = np.sign(vt[np.arange(kept), np.abs(vt[:kept]).argmax(1)])
    assert found.shape == (rows, kept)
    assert np.allclose(found, (u * s)[:, :kept] * signs, atol=1e-3 * s[0])


def test_nothing_left_out_is_left_as_it_is() -> None:
    features = table(80, 10)
    assert torch.equal(principal_components(features, 256), features)


def test_distances_survive_where_rows_are_few() -> None:
    features = table(12, 30)
    assert torch.allclose(torch.cdist(principal_components(features, 256), principal_components(features, 256)),
                          torch.cdist(features, features), rtol=1e-3, atol=1e-2)


def test_repeatable_and_finite_for_equal_rows() -> None:
    features = table(40, 60)
    assert torch.equal(principal_components(features, 8), principal_components(features, 8))
    assert not principal_components(torch.zeros(40, 60), 8).any()
