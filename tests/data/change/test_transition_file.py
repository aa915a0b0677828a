"""Tables of transitions: what is written is read back, and faults are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imbdense.data.change.transition_file import read_transitions, write_transitions


def test_round_trip(tmp_path: Path) -> None:
    matrix = np.array([[0.7, 0.05], [0.0, 0.25]])
    write_transitions(tmp_path / 't.csv', ['water', 'land, dry'], matrix)
    names, found = read_transitions(tmp_path / 't.csv')
    assert names == ('water', 'land, dry')
    np.testing.assert_allclose(found, matrix)


def test_counts_become_shares(tmp_path: Path) -> None:
    (tmp_path / 't.csv').write_text('x,a,b\na,6,1\nb,0,3\n')
    np.testing.assert_allclose(read_transitions(tmp_path / 't.csv')[1], [[0.6, 0.1], [0.0, 0.3]])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('x,a,b\na,1,2\n', '2 columns and 1 rows'),
        ('x,a,b\na,1,2\nc,1,2\n', "row 3: expected 'b'"),
        ('x,a,b\na,1,2\nb,1,many\n', 'row 3'),
        ('x,a\na,-1\n', 'all numbers must be >= 0'),
        ('x,a\na,0\n', 'not all 0'),
        ('', '0 columns'),
    ],
)
def test_faults(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 't.csv').write_text(text)
    with pytest.raises(ValueError, match=message):
        read_transitions(tmp_path / 't.csv')


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='cannot be read'):
        read_transitions(tmp_path / 'none.csv')
