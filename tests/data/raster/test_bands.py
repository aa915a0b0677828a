from __future__ import annotations

import pytest

from imbdense.data.raster.bands import Band, vector_pairs


def test_vectors_are_found_and_halves_are_refused() -> None:
    bands = [Band('x'), Band('e', 'terrain', 'east'), Band('n', 'terrain', 'north')]
    assert vector_pairs(bands) == [(1, 2)] and vector_pairs(bands[:1]) == []
    for broken in (bands[:2], bands[2:], [bands[1], bands[0], bands[2]]):
        with pytest.raises(ValueError, match='component'):
            vector_pairs(broken)


def test_bands_come_from_names_and_dicts() -> None:
    assert Band.of('a') == Band('a') and Band.of({'name': 'a', 'kind': 'index'}) == Band('a', 'index')
    for wrong in ({'name': 'a', 'kind': 'colour'}, {'name': 'a', 'role': 'up'}):
        with pytest.raises(ValueError):
            Band.of(wrong)
