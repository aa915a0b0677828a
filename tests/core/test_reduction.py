"""From map to scalar."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.reduction import count_values, full_precision, reduce_loss, zero_with_graph

LOSS = torch.tensor([1.0, 2.0, 3.0, 4.0])
VALID = torch.tensor([True, True, True, False])
CLASS_WEIGHT = torch.tensor([1.0, 2.0, 2.0, 9.0])
WEIGHT = torch.tensor([1.0, 1.0, 2.0, 1.0])


@pytest.mark.parametrize(
    ('normalizer', 'expected'), [('weight_sum', 17 / 5), ('valid', 17 / 3), ('all', 17 / 4)]
)
def test_hand_example(normalizer: str, expected: float) -> None:
    """Numerator 1*1*1 + 2*2*1 + 3*2*2 = 17; denominators 1 + 2 + 2, 3 and 4."""
    value = reduce_loss(LOSS, valid=VALID, class_weight=CLASS_WEIGHT, weight=WEIGHT, normalizer=normalizer)
    assert value.item() == pytest.approx(expected)


def test_other_reductions_and_avg_factor() -> None:
    options = {'valid': VALID, 'class_weight': CLASS_WEIGHT, 'weight': WEIGHT}
    assert reduce_loss(LOSS, reduction='sum', **options).item() == 17
    assert reduce_loss(LOSS, reduction='none', **options).tolist() == [1, 4, 12, 0]
    assert reduce_loss(LOSS, avg_factor=10, **options).item() == pytest.approx(1.7)
    assert reduce_loss(LOSS, avg_factor=torch.tensor(10), **options).item() == pytest.approx(1.7)


def test_without_anything_it_is_the_mean() -> None:
    for normalizer in ('weight_sum', 'valid', 'all'):
        assert reduce_loss(LOSS, normalizer=normalizer).item() == 2.5


@pytest.mark.parametrize('normalizer', ['weight_sum', 'valid', 'all'])
def test_nothing_valid_is_zero_with_a_zero_gradient(normalizer: str) -> None:
    loss = LOSS.clone().requires_grad_()
    value = reduce_loss(loss, valid=torch.zeros(4, dtype=torch.bool), normalizer=normalizer)
    value.backward()
    assert value.item() == 0 and loss.grad.tolist() == [0, 0, 0, 0]


def test_precision() -> None:
    assert reduce_loss(LOSS.to(torch.bfloat16)).dtype == torch.float32
    assert reduce_loss(LOSS.double()).dtype == torch.float64
    assert full_precision(LOSS.half()).dtype == torch.float32


def test_wrong_names_and_sum_with_avg_factor() -> None:
    with pytest.raises(ValueError, match='normalizer must be one of'):
        reduce_loss(LOSS, normalizer='mean')
    with pytest.raises(ValueError, match='reduction must be one of'):
        reduce_loss(LOSS, reduction='avg')
    with pytest.raises(ValueError, match='avg_factor can not be used'):
        reduce_loss(LOSS, reduction='sum', avg_factor=2)


def test_zero_with_graph_survives_inf_and_nan() -> None:
    tensor = torch.tensor([float('inf'), float('nan'), 1.0], requires_grad=True)
    value = zero_with_graph(tensor)
    value.backward()
    assert value.item() == 0 and tensor.grad.tolist() == [0, 0, 0]


def test_count_values_is_bincount_also_where_it_may_not_look() -> None:
    index = torch.randint(0, 5, (4, 7), generator=torch.Generator().manual_seed(0)).to(torch.int32)
    weights = torch.rand(4, 7)
    assert count_values(index, 8).tolist() == torch.bincount(index.flatten(), minlength=8).tolist()
    assert torch.allclose(count_values(index, 8, weights), torch.bincount(index.flatten(), weights.flatten().double(),
                                                                          minlength=8))
    on_meta = count_values(index.to('meta'), 8, weights.to('meta'))  # reading a value back would raise
    assert on_meta.shape == (8,) and on_meta.dtype == torch.float64
