"""Proposals: scores are probabilities, and nothing is left out without a word."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.proposals import read_proposals


def write(path: Path, *boxes: dict[str, Any]) -> Path:
    """Proposals of one image."""
    record = {
        'images': [{'id': 1, 'file_name': 'a.png', 'width': 40, 'height': 30}],
        'categories': [{'id': 1, 'name': 'car'}],
        'annotations': [{'image_id': 1, 'category_id': 1, 'bbox': [2, 2, 9, 9], 'score': 0.5, **box} for box in boxes],
    }
    path.write_text(json.dumps(record))
    return path


@pytest.mark.parametrize('score', [90, -0.2, 1.001])
def test_scores_that_are_no_probabilities(tmp_path: Path, score: float) -> None:
    with pytest.raises(LabelReadError, match=rf'1 scores outside \[0, 1\]; the first is {score:g}, .*number 1\..*sigm'):
        read_proposals(write(tmp_path / 'p.json', {}, {'score': score}))
    assert read_proposals(write(tmp_path / 'p.json', {'score': 1 + 1e-9}, {'score': 0})).score.tolist() == [1 + 1e-9, 0]


def test_what_is_left_out_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = ({}, {'score': '0.9'}, {'bbox': None}, {'bbox': [90, 90, 5, 5]}, {'bbox': [-3, 2, 9, 9]})
    with caplog.at_level(logging.WARNING):
        assert len(read_proposals(write(tmp_path / 'p.json', *boxes)).labels) == 2
    for words in ('score is no number', 'without a bbox', 'without area inside their image', 'reach outside'):
        assert words in caplog.text
