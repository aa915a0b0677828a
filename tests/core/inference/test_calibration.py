"""LogitCalibration: where the shift goes for each layout of channels, the product form, the JSON form."""

from __future__ import annotations

import pytest
import torch

from imbdense.core.inference import LogitCalibration, fracal, identity_calibration


def test_background_is_divided_but_not_shifted() -> None:
    calibration = LogitCalibration('x', (1.0, -1.0), temperature=2.0)
    out = calibration.apply(torch.tensor([[2.0, 4.0, 6.0]]))
    assert out.tolist() == [[2.0, 1.0, 3.0]]


def test_dense_maps_anchor_by_anchor() -> None:
    calibration = LogitCalibration('x', (1.0, -1.0))
    sigmoid = calibration.apply(torch.zeros(1, 4, 2, 2), dim=1, use_sigmoid=True)
    assert sigmoid[0, :, 0, 0].tolist() == [1, -1, 1, -1]
    softmax = calibration.apply(torch.zeros(1, 6, 2, 2), dim=1)
    assert softmax[0, :, 1, 1].tolist() == [1, -1, 0, 1, -1, 0]


def test_one_channel_takes_the_difference() -> None:
    assert LogitCalibration('x', (1.0, 4.0)).apply(torch.zeros(1, 1, 1, 1), dim=1).item() == 3.0


@pytest.mark.parametrize('channels, use_sigmoid', [(4, False), (3, True), (1, True)])
def test_counts_that_do_not_fit_the_head(channels: int, use_sigmoid: bool) -> None:
    calibration = LogitCalibration('norcal', (0.0,) * (2 if channels != 1 else 3))
    with pytest.raises(ValueError, match=r'norcal: the calibration is for \d classes.*channels'):
        calibration.apply(torch.zeros(2, channels), use_sigmoid=use_sigmoid)


def test_product_form_is_the_product_of_sigmoids() -> None:
    calibration = fracal([5, 2, 0], 10, [1.5, 1.0, 1.0], use_sigmoid=True)
    logits = torch.linspace(-30, 30, 61, dtype=torch.float64)[:, None].expand(-1, 3)
    out = calibration.apply(logits, use_sigmoid=True).sigmoid()
    u = torch.tensor(calibration.product_shift, dtype=torch.float64)
    expected = logits.sigmoid() * (logits + u).sigmoid()
    assert torch.allclose(out, expected, rtol=1e-9, atol=0)
    assert torch.isfinite(calibration.apply(torch.full((1, 3), 80.0), use_sigmoid=True)).all()
    with pytest.raises(ValueError, match='belongs to sigmoid heads'):
        calibration.apply(torch.zeros(1, 4))


def test_json_round_trip_and_unknown_keys() -> None:
    calibration = LogitCalibration('x', (0.5, 0.25), 1.5, (1.0, 2.0), (0.1, 0.2), {'gamma': 0.4})
    assert LogitCalibration.from_dict(calibration.to_dict()) == calibration
    with pytest.raises(ValueError, match='must have the keys'):
        LogitCalibration.from_dict({'method': 'x', 'shift': [0.0], 'shfit': []})


def test_wrong_values_are_named() -> None:
    with pytest.raises(ValueError, match=r'LogitCalibration\.thresholds must hold one finite number per class'):
        LogitCalibration('x', (0.0, 0.0), thresholds=(0.1,))
    with pytest.raises(ValueError, match='temperature'):
        LogitCalibration('x', (0.0,), temperature=0.0)


def test_identity() -> None:
    same = identity_calibration(3)
    logits = torch.randn(5, 4)
    assert not same.moves_logits and torch.equal(same.apply(logits), logits)
    half = same.apply(logits.bfloat16())
    assert half.dtype == torch.float32


def test_permuting_the_classes_permutes_the_result() -> None:
    logits, order = torch.randn(6, 3), torch.tensor([2, 0, 1])
    shift = torch.tensor([0.1, 0.7, -2.0])
    plain = LogitCalibration('x', tuple(shift.tolist())).apply(logits)
    moved = LogitCalibration('x', tuple(shift[order].tolist())).apply(logits[:, order])
    assert torch.allclose(moved, plain[:, order])
