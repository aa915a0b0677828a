"""The rules that say which ratio a step of guided loss scaling uses."""

from __future__ import annotations

import math

import pytest
import torch

from imbdense.core.losses.guided_scaling import (
    GuidedState,
    first_ratio,
    guide_value,
    guided_step,
    initial_guided_state,
    is_usable,
    loss_ratio,
    ratio_in_force,
    term_value,
)

PAIRS = [(20.0, 1.0), (10.0, 1.0), (5.0, 1.0), (8.0, 2.0)]


def run(pairs: list[tuple[float, float]], **options: object) -> tuple[list[float], GuidedState]:
    """The ratio in force at each step."""
    state, used = initial_guided_state(), []
    for cls, guide in pairs:
        state = guided_step(state, torch.tensor(cls), torch.tensor(guide), **options)
        used.append(float(ratio_in_force(state, torch.tensor(cls))))
    return used, state


def slow(pairs: list[tuple[float, float]], mode: str, warmup: int, stat: str, momentum: float) -> list[float]:
    """The rules in plain Python on lists of the usable batches."""
    seen: list[tuple[float, float]] = []
    used = []
    for cls, guide in pairs:
        usable = math.isfinite(cls) and math.isfinite(guide) and cls > 0 and guide > 0
        if usable and not (mode == 'warmup_freeze' and len(seen) == warmup):
            seen.append((cls, guide))
        if not seen:
            used.append(1 / (1 + (max(cls, 0.0) if math.isfinite(cls) else 0.0)))
            continue
        ratios = [g / c for c, g in seen]
        if mode == 'ema':
            weights = [(1 - momentum) * momentum ** (len(seen) - 1 - i) for i in range(len(seen))]
            correction = 1 - momentum ** len(seen)
            averages = [sum(w * pair[i] for w, pair in zip(weights, seen)) / correction for i in (0, 1)]
            used.append(averages[1] / averages[0])
        else:
            used.append(sum(ratios) / len(ratios) if (mode, stat) == ('warmup_freeze', 'mean') else ratios[-1])
    return used


def test_worked_examples() -> None:
    used, _ = run([(12.5, 0.8)], mode='iter')
    assert used == pytest.approx([0.064])
    used, state = run(PAIRS[:3], mode='warmup_freeze', warmup_iters=2, warmup_stat='last')
    assert used == pytest.approx([0.05, 0.1, 0.1]) and int(state.num_updates) == 2
    used, _ = run(PAIRS[:3], mode='warmup_freeze', warmup_iters=2, warmup_stat='mean')
    assert used == pytest.approx([0.05, 0.075, 0.075])


BATCHES = {
    'plain': [(3.0 + math.sin(i) * 2, 0.5 + math.cos(i) * 0.4) for i in range(12)],
    'holes': [(4.0, 0.0), (3.0, math.nan), (2.0, 1.0), (math.inf, 1.0), (0.0, 0.0), (0.0, 1.0), (4.0, 1.0),
              (math.nan, 0.0), (9.0, 0.5), (7.0, 0.0), (3.0, 2.0)],
    'never a positive': [(5.0, 0.0), (math.nan, 0.0), (1.0, 0.0)],
}


@pytest.mark.parametrize('pairs', BATCHES.values(), ids=BATCHES.keys())
@pytest.mark.parametrize(('mode', 'stat'), [('iter', 'mean'), ('ema', 'mean'), ('warmup_freeze', 'mean'),
                                            ('warmup_freeze', 'last')])
def test_rules_equal_the_slow_ones(pairs: list[tuple[float, float]], mode: str, stat: str) -> None:
    used, state = run(pairs, mode=mode, warmup_iters=3, warmup_stat=stat, momentum=0.8)
    assert used == pytest.approx(slow(pairs, mode, 3, stat, 0.8), rel=1e-5)
    assert all(math.isfinite(float(value)) for value in state)


def test_a_batch_that_is_not_usable_leaves_the_state_bit_by_bit() -> None:
    _, state = run(PAIRS[:1], mode='ema')
    for cls, guide in [(3.0, 0.0), (0.0, 0.0), (0.0, 1.0), (math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan)]:
        after = guided_step(state, torch.tensor(cls), torch.tensor(guide), mode='ema')
        assert all(torch.equal(a, b) for a, b in zip(after, state))
        assert not bool(is_usable(torch.tensor(cls), torch.tensor(guide)))


def test_ratio_is_limited_and_never_divides_by_zero() -> None:
    one = torch.tensor(1.0)
    assert float(loss_ratio(torch.tensor(0.0), one)) == pytest.approx(1e6)
    assert float(loss_ratio(torch.tensor(1e9), torch.tensor(1e-9))) == pytest.approx(1e-6)
    assert float(loss_ratio(one, one * 7, clamp=(0.1, 5.0))) == 5.0


def test_first_ratio_keeps_the_scaled_loss_below_one() -> None:
    values = torch.tensor([0.0, 1.0, 99.0, 1e8, math.nan, math.inf])
    ratios = torch.stack([first_ratio(value) for value in values])
    assert ratios[:4].tolist() == pytest.approx([1.0, 0.5, 0.01, 1e-8]) and ratios[4:].tolist() == [1.0, 1.0]


def test_values_of_terms_are_those_mmengine_sums() -> None:
    levels = [torch.tensor([1.0, 3.0], requires_grad=True), torch.tensor(4.0)]
    assert float(term_value(levels)) == 6.0 and not term_value(levels).requires_grad
    assert float(guide_value([levels, torch.tensor(2.0)], 'mean')) == 4.0
    assert float(guide_value([levels, torch.tensor(2.0)], 'sum')) == 8.0
    half = torch.tensor([1.0, 2.0]).to(torch.bfloat16)
    assert term_value(half).dtype == torch.float32 and float(term_value(half)) == 1.5


@pytest.mark.parametrize('scale', [1e-4, 1e4])
@pytest.mark.parametrize('mode', ['iter', 'ema', 'warmup_freeze'])
def test_scaled_loss_does_not_depend_on_the_scale_of_the_raw_one(mode: str, scale: float) -> None:
    plain, _ = run(PAIRS, mode=mode, warmup_iters=2)
    scaled, _ = run([(cls * scale, guide) for cls, guide in PAIRS], mode=mode, warmup_iters=2)
    assert [r * scale for r in scaled] == pytest.approx(plain, rel=1e-5)


@pytest.mark.parametrize('options', [{'mode': 'warm'}, {'warmup_stat': 'median'}])
def test_unknown_names_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValueError, match='must be one of'):
        run(PAIRS[:1], **options)
    with pytest.raises(ValueError, match='guide must be one of'):
        guide_value([torch.tensor(1.0)], 'max')
