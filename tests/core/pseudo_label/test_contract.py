"""What every rule and every refiner owes, whatever it computes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from imbdense.core.pseudo_label import FlexThreshold
from tests.core.pseudo_label.rules import REFINERS, RULES, draw_probs, draw_valid
from tests.helpers.two_ranks import run_two_ranks

each_rule = pytest.mark.parametrize('make', RULES.values(), ids=RULES.keys())
each_refiner = pytest.mark.parametrize('make', REFINERS.values(), ids=REFINERS.keys())
SHAPES = [(2, 5, 8, 6), (2, 5, 3, 4, 4), (40, 5), (3, 2, 6, 6)]
each_shape = pytest.mark.parametrize('shape', SHAPES, ids=['pixels', 'voxels', 'points', 'two classes'])


def train(module: Any, steps: int = 5, size: int = 8, seed: int = 0) -> Any:
    for step in range(steps):
        probs = draw_probs((2, 4, size, size), seed + step)
        arguments = (probs,) if not getattr(module, 'needs_features', False) else (probs, None, probs)
        module(*arguments)
    return module


@each_rule
@each_shape
def test_shapes_types_and_counts(make: Callable[[int], Any], shape: tuple[int, ...]) -> None:
    rule, probs = make(shape[1]), draw_probs(shape)
    valid = draw_valid((shape[0], *shape[2:]))
    for _ in range(3):
        label, weight, accepted = rule(probs, valid)
    ignore = 255 if len(shape) > 2 else -1
    assert label.shape == weight.shape == valid.shape
    assert (label.dtype, weight.dtype, accepted.dtype) == (torch.int64, torch.float32, torch.int64)
    kept = label != ignore
    assert torch.equal(kept, weight > 0) and not (kept & ~valid).any()
    assert accepted.tolist() == torch.bincount(label[kept], minlength=shape[1]).tolist()
    assert rule.thresholds().shape == (shape[1],) and rule.thresholds().dtype == torch.float32


@each_rule
def test_select_follows_the_thresholds(make: Callable[[int], Any]) -> None:
    rule = train(make(4))
    positive, negative = rule.thresholds(), rule.negative_thresholds()
    assert (negative <= positive).all()
    scores = torch.linspace(0, 1, 101).repeat(4)
    labels = torch.arange(4).repeat_interleave(101)
    status = rule.select(scores, labels)
    assert status.dtype == torch.int8
    assert torch.equal(status == 1, scores >= positive[labels])
    assert torch.equal(status == -1, (scores >= negative[labels]) & (scores < positive[labels]))
    assert rule.select(torch.empty(0), torch.empty(0, dtype=torch.int64)).shape == (0,)


@each_rule
def test_all_padded_changes_no_threshold(make: Callable[[int], Any]) -> None:
    rule = train(make(4), steps=4)
    before = rule.thresholds().clone()
    label, weight, accepted = rule(draw_probs((2, 4, 8, 8)), torch.zeros(2, 8, 8, dtype=torch.bool))
    assert (label == 255).all() and weight.sum() == 0 and accepted.sum() == 0
    assert torch.equal(rule.thresholds(), before) and torch.isfinite(weight).all()


@each_rule
def test_no_item_at_all(make: Callable[[int], Any]) -> None:
    rule = train(make(4), steps=4)
    before = rule.thresholds().clone()
    label, _, accepted = rule(torch.empty(0, 4))
    assert label.shape == (0,) and accepted.sum() == 0 and torch.equal(rule.thresholds(), before)


@each_rule
def test_a_class_that_is_never_predicted(make: Callable[[int], Any]) -> None:
    rule = make(4)
    for step in range(6):
        probs = draw_probs((2, 4, 8, 8), step)
        probs[:, 3] = 0
        _, weight, _ = rule(probs / probs.sum(1, keepdim=True))
    limits = rule.thresholds()
    assert not torch.isnan(limits).any() and (limits >= 0).all() and torch.isfinite(weight).all()


@each_rule
def test_nan_is_not_accepted_and_spoils_nothing(make: Callable[[int], Any]) -> None:
    rule, clean = make(4), make(4)
    probs = draw_probs((2, 4, 8, 8))
    spoiled = probs.clone()
    spoiled[1, :, 2] = torch.nan
    valid = torch.ones(2, 8, 8, dtype=torch.bool)
    valid[1, 2] = False
    for _ in range(3):
        found, wanted = rule(spoiled), clean(probs, valid)
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(rule.state_dict().values(), clean.state_dict().values(), strict=True))


@each_rule
def test_eval_mode_freezes_the_state(make: Callable[[int], Any]) -> None:
    rule = train(make(4)).eval()
    before = {name: value.clone() for name, value in rule.state_dict().items()}
    train(rule, seed=9)
    assert all(torch.equal(value, before[name]) for name, value in rule.state_dict().items())


@pytest.mark.parametrize('make', [*RULES.values(), *REFINERS.values()], ids=[*RULES, *REFINERS])
def test_resume_gives_the_same_sequence(make: Callable[[int], Any]) -> None:
    whole, first = train(make(4), steps=5), train(make(4), steps=5)
    second = make(4)
    second.load_state_dict(first.state_dict(), strict=True)
    train(whole, steps=4, seed=5), train(second, steps=4, seed=5)
    assert list(whole.state_dict()) == list(second.state_dict())
    pairs = zip(whole.state_dict().values(), second.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@each_rule
def test_under_bf16_autocast_the_arithmetic_is_float32(make: Callable[[int], Any]) -> None:
    outside, inside = make(4), make(4)
    for step in range(4):
        probs = draw_probs((2, 4, 8, 8), step)
        wanted = outside(probs)
        with torch.autocast('cpu', torch.bfloat16):
            found = inside(probs)
        assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))
    assert torch.equal(inside.thresholds(), outside.thresholds())
    assert inside(draw_probs((2, 4, 8, 8)).to(torch.bfloat16)).weight.dtype == torch.float32


@each_rule
def test_wrong_shapes_are_named(make: Callable[[int], Any]) -> None:
    rule = make(4)
    with pytest.raises(ValueError, match='probs'):
        rule(draw_probs((2, 5, 8, 8)))
    with pytest.raises(ValueError, match='valid'):
        rule(draw_probs((2, 4, 8, 8)), torch.ones(2, 8, 7, dtype=torch.bool))
    with pytest.raises(ValueError, match='indices'):
        rule(draw_probs((2, 4, 8, 8)), None, torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match='labels'):
        rule.select(torch.ones(2), torch.tensor([0, 4]))


@each_refiner
@each_shape
def test_refined_probabilities_are_probabilities(make: Callable[[int], Any], shape: tuple[int, ...]) -> None:
    refiner, probs = make(shape[1]), draw_probs(shape)
    valid = draw_valid((shape[0], *shape[2:]))
    for _ in range(4):
        found = refiner(probs, valid, probs)
    assert found.shape == probs.shape and found.dtype == torch.float32 and not found.requires_grad
    assert torch.allclose(found.sum(1), torch.ones(()), atol=1e-5) and (found >= 0).all()
    assert not torch.equal(found, probs)


@each_refiner
def test_refiners_survive_padding_and_half_precision(make: Callable[[int], Any]) -> None:
    refiner = make(4)
    nothing = torch.zeros(2, 8, 8, dtype=torch.bool)
    with torch.autocast('cpu', torch.bfloat16):
        for _ in range(4):
            probs = draw_probs((2, 4, 8, 8)).to(torch.bfloat16)
            found = refiner(probs, nothing, probs)
    assert found.dtype == torch.float32 and torch.isfinite(found).all()
    assert all(torch.isfinite(value.double()).all() for value in refiner.state_dict().values())
    with pytest.raises(ValueError, match='probs'):
        refiner(draw_probs((2, 5, 8, 8)))


def _two_ranks(name: str) -> dict[str, torch.Tensor]:
    """Train on every second image of the batch."""
    import torch.distributed as dist

    module = {**RULES, **REFINERS}[name](4)
    for step in range(6):
        probs = draw_probs((2, 4, 8, 8), step)[dist.get_rank()].unsqueeze(0)
        valid = draw_valid((2, 8, 8), step)[dist.get_rank()].unsqueeze(0)
        arguments = (probs, valid, probs) if getattr(module, 'needs_features', False) else (probs, valid)
        module(*arguments)
    return {key: value.clone() for key, value in module.state_dict().items()}


def _items_on_rank(ranks: int, rank: int) -> dict[str, torch.Tensor]:
    """A rule that remembers items, on its part of every batch."""
    rule, size = FlexThreshold(3, threshold=0.8, num_items=20), 8 // ranks
    for step in range(8):
        probs, indices, own = draw_probs((8, 3), step), torch.arange(8) + step, slice(size * rank, size * (rank + 1))
        rule(probs[own], None, indices[own])
    return {**rule.state_dict(), 'thresholds': rule.thresholds()}


def _all_on_two_ranks() -> dict[str, dict[str, torch.Tensor]]:
    import torch.distributed as dist

    return {'items': _items_on_rank(2, dist.get_rank()), **{name: _two_ranks(name) for name in (*RULES, *REFINERS)}}


@pytest.fixture(scope='module')
def on_two_ranks() -> list[dict[str, dict[str, torch.Tensor]]]:
    """The states of all rules on both ranks; one start of two processes for all."""
    return run_two_ranks(_all_on_two_ranks)


@pytest.mark.parametrize('name', [*RULES, *REFINERS])
def test_two_ranks_equal_one(name: str, on_two_ranks: list[dict[str, dict[str, torch.Tensor]]]) -> None:
    first, second = (rank[name] for rank in on_two_ranks)
    assert all(torch.equal(first[key], second[key]) for key in first), 'the ranks differ'
    if name == 'entropy':
        return  # each rank takes the percentile of its own batch, as published
    module = {**RULES, **REFINERS}[name](4)
    for step in range(6):
        probs, valid = draw_probs((2, 4, 8, 8), step), draw_valid((2, 8, 8), step)
        module(*((probs, valid, probs) if getattr(module, 'needs_features', False) else (probs, valid)))
    for key, value in module.state_dict().items():
        assert torch.allclose(first[key].double(), value.double(), atol=1e-6), key


def test_items_on_two_ranks_equal_one(on_two_ranks: list[dict[str, dict[str, torch.Tensor]]]) -> None:
    wanted = _items_on_rank(1, 0)
    for rank in on_two_ranks:
        assert all(torch.equal(rank['items'][key], value) for key, value in wanted.items())


class NoReadBack(TorchDispatchMode):
    """Fails on every operation that would make a GPU wait for a value or for the size of a result."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in ('_local_scalar_dense', 'nonzero', 'masked_select', 'unique', '_unique2', 'item', 'equal'):
            raise AssertionError(f'{name} reads back from the device')
        if name.startswith('index') and any(
            isinstance(part, torch.Tensor) and part.dtype == torch.bool
            for group in args[1:2] if isinstance(group, (list, tuple)) for part in group
        ):
            raise AssertionError(f'{name} with a mask reads back from the device')
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize('make', [*RULES.values(), *REFINERS.values()], ids=[*RULES, *REFINERS])
def test_a_step_reads_nothing_back(make: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    module = make(4)
    monkeypatch.setattr('imbdense.core.pseudo_label.labeler.reads_values', lambda _: False)
    scores, labels = torch.rand(9), torch.arange(9) % 4
    probs, valid = draw_probs((2, 4, 8, 8)), draw_valid((2, 8, 8))
    arguments = (probs, valid, probs) if getattr(module, 'needs_features', False) else (probs, valid)
    with NoReadBack():
        for _ in range(4):
            module(*arguments)
        if hasattr(module, 'select'):
            module.select(scores, labels)
