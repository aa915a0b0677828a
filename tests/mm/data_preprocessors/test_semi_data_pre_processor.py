"""Mixed batches sorted into branches."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope

from imbdense.registry import MODELS
from tests.mm.segmentors.semi_cases import PREPROCESSOR, batch


def build():
    init_default_scope('mmseg')
    return MODELS.build(dict(type='imbdense.SemiDataPreProcessor', base=PREPROCESSOR))


def test_branches_are_normalised_and_padded_like_the_host_does() -> None:
    data = batch(labeled=2, unlabeled=3, size=24)
    first = data['inputs'][0].float()[[2, 1, 0]]
    out = build()(data, True)
    assert {key: tuple(value.shape) for key, value in out['inputs'].items()} == {
        'sup': (2, 3, 32, 32), 'unsup_weak': (3, 3, 32, 32), 'unsup_strong_1': (3, 3, 32, 32),
        'unsup_strong_2': (3, 3, 32, 32),
    }  # fmt: skip
    assert torch.allclose(out['inputs']['sup'][0, :, :24, :24], (first - 127.5) / 127.5)
    assert {key: len(value) for key, value in out['data_samples'].items()} == {
        'sup': 2, 'unsup_weak': 3, 'unsup_strong_1': 3, 'unsup_strong_2': 3
    }


def test_any_order_of_the_images() -> None:
    data = batch(labeled=2, unlabeled=1)
    for key in data:
        data[key] = [data[key][i] for i in (2, 0, 1)]
    assert build()(data, True)['inputs']['sup'].shape[0] == 2


def test_evaluation_is_the_host_s() -> None:
    data = batch(labeled=1, unlabeled=0)
    assert build()(data, False)['inputs'].shape == (1, 3, 32, 32)


@pytest.mark.parametrize(('labeled', 'unlabeled', 'word'), [(2, 0, 'unlabelled'), (0, 2, 'labelled')])
def test_a_missing_part_is_named_with_the_cure(labeled: int, unlabeled: int, word: str) -> None:
    with pytest.raises(ValueError, match=f'no {word} image.*TwoStreamSampler'):
        build()(batch(labeled, unlabeled), True)
