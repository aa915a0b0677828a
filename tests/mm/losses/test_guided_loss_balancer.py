"""GuidedLossBalancer: numbers, gradients, state, precision, ranks, and what it costs."""

from __future__ import annotations

import logging
import math
from typing import Any

import pytest
import torch
import torch.distributed as dist
from mmengine.logging import MessageHub, MMLogger
from mmengine.model import BaseModel
from torch import Tensor

from imbdense.mm.losses.guided_loss_balancer import GuidedLossBalancer, warn_without_lr_warmup
from imbdense.registry import MODELS
from tests.helpers.two_ranks import run_two_ranks

CLS, BOX = ['loss_cls'], ['loss_bbox']


def losses(cls: float, *guides: float) -> dict[str, Tensor]:
    """Terms with a graph, named as heads name them."""
    names = ('loss_bbox', 'loss_centerness')
    terms = {'loss_cls': torch.tensor(cls), **dict(zip(names, map(torch.tensor, guides)))}
    return {name: value.requires_grad_() for name, value in terms.items()}


def test_built_from_a_config() -> None:
    balancer = MODELS.build({'type': 'imbdense.GuidedLossBalancer', 'cls_weight': 2})
    assert isinstance(balancer, GuidedLossBalancer) and balancer.cls_weight == 2.0


def test_iter_example_and_its_gradient() -> None:
    given = losses(12.5, 0.8)
    out = GuidedLossBalancer(mode='iter', cls_weight=2.0)(given, CLS, BOX)
    assert out['guided_ratio'].item() == pytest.approx(0.064) and out['raw_cls'].item() == 12.5
    assert out['loss_cls'].item() == pytest.approx(1.6) and out['loss_bbox'] is given['loss_bbox']
    out['loss_cls'].backward()
    assert given['loss_cls'].grad.item() == pytest.approx(0.128) and given['loss_bbox'].grad is None


def test_warmup_freeze_example_with_variances() -> None:
    balancer = GuidedLossBalancer(warmup_iters=2, warmup_stat='last', uncertainty=True)
    outs = [balancer(losses(cls, 1.0), CLS, BOX) for cls in (20.0, 10.0, 5.0)]
    assert [out['guided_ratio'].item() for out in outs] == pytest.approx([0.05, 0.1, 0.1])
    assert outs[2]['loss_cls'].item() == pytest.approx(0.25) and outs[2]['loss_bbox'].item() == 0.5
    assert outs[2]['loss_guided_reg'].item() == 0.0
    frozen = GuidedLossBalancer(warmup_iters=2, warmup_stat='last')
    assert [frozen(losses(cls, 1.0), CLS, BOX)['loss_cls'].item() for cls in (20.0, 10.0, 5.0)][2] == pytest.approx(0.5)


def test_variances_are_learned_and_weigh_each_term() -> None:
    balancer = GuidedLossBalancer(mode='iter', uncertainty=True)
    with torch.no_grad():
        balancer.s[:3] = torch.tensor([0.5, -1.0, 2.0])
    out = balancer(losses(4.0, 1.0, 3.0), CLS, ['loss_bbox', 'loss_centerness'])
    assert out['loss_cls'].item() == pytest.approx(2.0 * math.exp(-0.5) / 2)
    assert out['loss_bbox'].item() == pytest.approx(1.0 * math.exp(1.0) / 2)
    assert out['loss_centerness'].item() == pytest.approx(3.0 * math.exp(-2.0) / 2)
    assert out['loss_guided_reg'].item() == pytest.approx(0.75)
    sum(value for key, value in out.items() if 'loss' in key).backward()
    expected = [0.5 - out['loss_cls'].item(), 0.5 - out['loss_bbox'].item(), 0.5 - out['loss_centerness'].item()]
    assert balancer.s.grad[:3].tolist() == pytest.approx(expected) and (balancer.s.grad[3:] == 0).all()


@pytest.mark.parametrize(('guide', 'ratio'), [('mean', 0.5), ('sum', 1.0)])
def test_lists_are_scaled_item_by_item_with_one_ratio(guide: str, ratio: float) -> None:
    levels = [torch.tensor(1.0, requires_grad=True), torch.tensor([2.0, 4.0], requires_grad=True)]
    given = {'loss_cls': levels, 'loss_bbox': [torch.tensor(1.0), torch.tensor(1.0)], 'acc': torch.tensor(7.0),
             'loss_centerness': torch.tensor(2.0)}
    balancer = GuidedLossBalancer(mode='iter', guide=guide)
    out = balancer(given, CLS, ['loss_bbox', 'loss_centerness'])
    assert out['guided_ratio'].item() == pytest.approx(ratio) and out['raw_cls'].item() == 4.0
    assert out['loss_cls'][0].item() == pytest.approx(ratio)
    assert out['loss_cls'][1].tolist() == pytest.approx([2 * ratio, 4 * ratio])
    assert out['loss_bbox'] is given['loss_bbox'] and out['acc'].item() == 7.0
    assert list(out) == ['loss_cls', 'loss_bbox', 'acc', 'loss_centerness', 'guided_ratio', 'raw_cls']


class Parser(BaseModel):
    """Only for mmengine's parse_losses."""

    def forward(self, inputs: Any) -> None:
        """Not used."""


def test_mmengine_sums_the_terms_and_logs_the_rest() -> None:
    out = GuidedLossBalancer(mode='iter')(losses(10.0, 2.0, 4.0), CLS, ['loss_bbox', 'loss_centerness'])
    total, logged = Parser().parse_losses(out)
    assert total.item() == pytest.approx(3.0 + 2.0 + 4.0)
    assert logged['guided_ratio'].item() == pytest.approx(0.3) and logged['raw_cls'].item() == 10.0
    assert not logged['guided_ratio'].requires_grad and not logged['raw_cls'].requires_grad


@pytest.mark.parametrize('mode', ['warmup_freeze', 'iter', 'ema'])
@pytest.mark.parametrize('power', range(-4, 5))
def test_gradient_does_not_depend_on_the_size_of_the_raw_loss(mode: str, power: int) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, 3, generator=generator)
    target = (torch.rand(50, 3, generator=generator) < 0.1).float()

    def gradients(factor: float) -> list[Tensor]:
        balancer, found = GuidedLossBalancer(mode=mode, warmup_iters=2), []
        for step in range(4):
            x = (logits * (1 + step)).requires_grad_()
            raw = torch.nn.functional.binary_cross_entropy_with_logits(x, target) * factor
            out = balancer({'loss_cls': raw, 'loss_bbox': torch.tensor(0.7)}, CLS, BOX)
            found.append(torch.autograd.grad(out['loss_cls'], x)[0])
        return found

    for plain, scaled in zip(gradients(1.0), gradients(10.0**power)):
        assert torch.allclose(plain.norm(), scaled.norm(), rtol=1e-5, atol=0)
        assert torch.allclose(plain, scaled, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize('mode', ['warmup_freeze', 'iter', 'ema'])
def test_background_is_learned_also_where_a_batch_has_no_positives(mode: str) -> None:
    """Before and after the first batch with boxes; the logits of the empty batch move down."""
    balancer = GuidedLossBalancer(mode=mode)
    for first in (True, False):
        logits = torch.zeros(1000, 3, requires_grad=True)
        raw = torch.nn.functional.binary_cross_entropy_with_logits(logits, torch.zeros(1000, 3), reduction='sum')
        box = torch.zeros(8, 4, requires_grad=True)
        out = balancer({'loss_cls': raw, 'loss_bbox': box[:0].sum()}, CLS, BOX)
        (out['loss_cls'] + out['loss_bbox']).backward()
        assert (logits.grad > 0).all() and torch.isfinite(logits.grad).all()
        assert box.grad is not None and (box.grad == 0).all()
        if first:
            assert out['loss_cls'].item() < 1.0 and int(balancer.num_updates) == 0
            balancer(losses(100.0, 1.0), CLS, BOX)
        else:
            assert out['guided_ratio'].item() == pytest.approx(0.01) and int(balancer.num_updates) == 1


@pytest.mark.parametrize('bad', [(math.nan, 1.0), (math.inf, 1.0), (1.0, math.nan), (1.0, math.inf), (0.0, 0.0)])
@pytest.mark.parametrize('mode', ['warmup_freeze', 'iter', 'ema'])
def test_what_is_not_finite_never_enters(mode: str, bad: tuple[float, float]) -> None:
    balancer = GuidedLossBalancer(mode=mode)
    balancer(losses(4.0, 1.0), CLS, BOX)
    before = {name: value.clone() for name, value in balancer.state_dict().items()}
    out = balancer(losses(*bad), CLS, BOX)
    assert out['guided_ratio'].item() == 0.25
    assert all(torch.equal(before[name], value) for name, value in balancer.state_dict().items())


def test_eval_mode_changes_nothing() -> None:
    balancer = GuidedLossBalancer(mode='ema')
    balancer(losses(4.0, 1.0), CLS, BOX)
    before = {name: value.clone() for name, value in balancer.state_dict().items()}
    assert balancer.eval()(losses(400.0, 1.0), CLS, BOX)['guided_ratio'].item() == 0.25
    assert all(torch.equal(before[name], value) for name, value in balancer.state_dict().items())


@pytest.mark.parametrize('options', [
    {'mode': 'iter'}, {'mode': 'ema'}, {'mode': 'warmup_freeze', 'warmup_iters': 20},
    {'mode': 'warmup_freeze', 'warmup_iters': 100, 'warmup_stat': 'last'}, {'mode': 'ema', 'uncertainty': True},
])  # fmt: skip
@pytest.mark.parametrize('stop', [1, 10, 50])
def test_resumed_run_goes_on_bit_by_bit(options: dict[str, Any], stop: int) -> None:
    """In the middle of the warm-up, at its end and behind it."""
    generator = torch.Generator().manual_seed(3)
    stream = (torch.rand(130, 2, generator=generator) + 0.1).tolist()
    stream[5] = [3.0, 0.0]
    whole, part = GuidedLossBalancer(**options), GuidedLossBalancer(**options)
    expected = [whole(losses(*pair), CLS, BOX)['guided_ratio'] for pair in stream]
    for pair in stream[:stop]:
        part(losses(*pair), CLS, BOX)
    resumed = GuidedLossBalancer(**options)
    resumed.load_state_dict(part.state_dict(), strict=True)
    for pair, ratio in zip(stream[stop:], expected[stop:]):
        assert torch.equal(resumed(losses(*pair), CLS, BOX)['guided_ratio'], ratio)
    assert all(torch.equal(whole.state_dict()[name], value) for name, value in resumed.state_dict().items())


@pytest.mark.parametrize('mode', ['warmup_freeze', 'iter', 'ema'])
def test_bf16_losses_give_float32_ratios(mode: str) -> None:
    half = {name: value.detach().to(torch.bfloat16).requires_grad_() for name, value in losses(12.3, 0.7).items()}
    with torch.autocast('cpu', torch.bfloat16):
        out = GuidedLossBalancer(mode=mode)(half, CLS, BOX)
    exact = half['loss_bbox'].float() / half['loss_cls'].float()
    assert out['guided_ratio'].dtype == torch.float32 and out['guided_ratio'].item() == pytest.approx(exact.item())
    assert out['loss_cls'].dtype == torch.float32
    out['loss_cls'].backward()
    assert half['loss_cls'].grad.dtype == torch.bfloat16


@pytest.mark.parametrize(('mode', 'allowed'), [('iter', 0), ('ema', 0), ('warmup_freeze', 1)])
def test_values_are_not_read_back_from_the_device(mode: str, allowed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these would make an accelerator wait; the end of the warm-up is looked up once."""
    reads: list[str] = []

    def counted(name: str) -> Any:
        original = getattr(Tensor, name)

        def read(self: Tensor, *arguments: Any) -> Any:
            reads.append(name)
            return original(self, *arguments)

        return read

    for name in ('item', 'tolist', '__int__', '__bool__', '__float__', '__index__', 'nonzero', 'cpu', 'numpy'):
        monkeypatch.setattr(Tensor, name, counted(name))
    balancer = GuidedLossBalancer(mode=mode)
    for _ in range(60):
        balancer(losses(4.0, 1.0, 2.0), CLS, ['loss_bbox', 'loss_centerness'])
    assert len(reads) == allowed


def test_unusable_batches_delay_the_end_of_the_warmup() -> None:
    """Every second batch has no positives: 20 usable ones need 40 calls, and the buffer is read a few times only."""
    balancer = GuidedLossBalancer()
    for call in range(60):
        balancer(losses(4.0 + call, float(call % 2)), CLS, BOX)
        assert balancer._frozen == (call >= 39)
    assert int(balancer.num_updates) == 20


def test_gradient_check_once_frozen() -> None:
    balancer = GuidedLossBalancer(warmup_iters=1, uncertainty=True).double()
    balancer(losses(4.0, 1.0), CLS, BOX)
    x = torch.randn(5, dtype=torch.float64, requires_grad=True)

    def scaled(x: Tensor) -> Tensor:
        out = balancer({'loss_cls': (x**2).sum(), 'loss_bbox': x.abs().sum()}, CLS, BOX)
        return out['loss_cls'] + out['loss_bbox']

    assert torch.autograd.gradcheck(scaled, (x,), eps=1e-6)


@pytest.mark.parametrize(('options', 'word'), [
    ({'mode': 'x'}, 'mode'), ({'guide': 'max'}, 'guide'), ({'warmup_iters': 0}, 'warmup_iters'),
    ({'momentum': 1.5}, 'momentum'), ({'cls_weight': 0.0}, 'cls_weight'), ({'clamp': (1.0, 0.5)}, 'clamp'),
    ({'clamp': (1.0,)}, 'clamp'), ({'eps': 0.0}, 'eps'), ({'warmup_stat': 'x'}, 'warmup_stat'),
])  # fmt: skip
def test_wrong_arguments_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ValueError, match=word):
        GuidedLossBalancer(**options)


def test_wrong_keys_are_named() -> None:
    balancer = GuidedLossBalancer(uncertainty=True)
    with pytest.raises(KeyError, match=r'loss_iou.*loss_cls.*loss_bbox'):
        balancer(losses(1.0, 1.0), CLS, ['loss_iou'])
    with pytest.raises(ValueError, match='none twice'):
        balancer(losses(1.0, 1.0), CLS, CLS)
    with pytest.raises(ValueError, match='one term each'):
        balancer(losses(1.0, 1.0), CLS, [])
    many = {'loss_cls': torch.tensor(1.0), **{f'loss_{i}': torch.tensor(1.0) for i in range(8)}}
    with pytest.raises(ValueError, match='7 guides'):
        balancer(many, CLS, [f'loss_{i}' for i in range(8)])


# Ranks --------------------------------------------------------------------------------------------------------------


def _ratios_on_rank(options: dict[str, Any]) -> tuple[list[Tensor], dict[str, Tensor], list[int]]:
    """Each rank sees other losses; rank 1 has batches without positives and one that is not finite."""
    rank, calls, original = dist.get_rank(), [], dist.all_reduce

    def counted(tensor: Tensor, *arguments: Any, **keywords: Any) -> Any:
        calls.append(tensor.numel())
        return original(tensor, *arguments, **keywords)

    dist.all_reduce = counted
    balancer = GuidedLossBalancer(**options)
    generator = torch.Generator().manual_seed(rank)
    stream = (torch.rand(30, 2, generator=generator) * torch.tensor([20.0, 2.0]) + 0.1).tolist()
    stream[0][1] = 0.0  # nobody has positives: 1 / (1 + L_cls) must agree as well
    if rank == 1:
        stream[1][1], stream[2][0], stream[4][1] = 0.0, math.nan, 0.0
    ratios, reduced = [], []
    for pair in stream:
        before = len(calls)
        ratios.append(balancer(losses(*pair), CLS, BOX)['guided_ratio'])
        reduced.append(len(calls) - before)
    dist.all_reduce = original
    return ratios, balancer.state_dict(), reduced


RULES = [{'mode': 'iter'}, {'mode': 'ema'}, {'mode': 'warmup_freeze', 'warmup_iters': 8}]


def _mean_of_ranks() -> tuple[float, float]:
    """Both usable, then only rank 0."""
    rank = dist.get_rank()
    balancer = GuidedLossBalancer(mode='iter')
    both = balancer(losses(*[(10.0, 1.0), (30.0, 3.0)][rank]), CLS, BOX)['guided_ratio'].item()
    one = balancer(losses(*[(10.0, 4.0), (1000.0, 0.0)][rank]), CLS, BOX)['guided_ratio'].item()
    return both, one


def _on_rank() -> tuple[list[Any], tuple[float, float]]:
    return [_ratios_on_rank(options) for options in RULES], _mean_of_ranks()


@pytest.fixture(scope='module')
def on_two_ranks() -> list[Any]:
    """One start of two processes for all."""
    return run_two_ranks(_on_rank)


@pytest.mark.parametrize('number', range(len(RULES)), ids=lambda number: RULES[number]['mode'])
def test_two_ranks_have_the_same_ratio_to_the_last_bit(number: int, on_two_ranks: list[Any]) -> None:
    (first, state, reduced), (second, other, _) = (rank[0][number] for rank in on_two_ranks)
    assert all(torch.equal(a, b) and torch.isfinite(a) for a, b in zip(first, second))
    assert all(torch.equal(state[name], other[name]) for name in state)
    assert len({ratio.item() for ratio in first}) > 5
    if RULES[number]['mode'] == 'warmup_freeze':
        assert reduced == [1] * 9 + [0] * 21 and int(state['num_updates']) == 8  # the first batch was not usable
        assert len({ratio.item() for ratio in first[8:]}) == 1
    else:
        assert reduced == [1] * 30


def test_losses_of_usable_ranks_are_averaged(on_two_ranks: list[Any]) -> None:
    assert [rank[1] for rank in on_two_ranks] == [pytest.approx((0.1, 0.4))] * 2


# The learning rate -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(('rates', 'warned'), [([0.01] * 20, True), ([0.01 - 1e-4 * i for i in range(20)], True),
                                               ([1e-4 * (1 + i) for i in range(20)], False), ([], False)])
def test_missing_learning_rate_warmup_is_told(rates: list[float], warned: bool, request: pytest.FixtureRequest) -> None:
    name = f'guided-{request.node.name}'
    hub, logger = MessageHub.get_instance(name), MMLogger.get_instance(name)
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())  # type: ignore[method-assign]
    logger.addHandler(handler)
    for rate in rates:
        hub.update_scalar('train/lr', rate)
    balancer = GuidedLossBalancer()
    for _ in range(25):
        balancer(losses(4.0, 1.0), CLS, BOX)
    assert [('learning rate did not rise' in message) for message in messages] == ([True] if warned else [])
    warn_without_lr_warmup(20)
    assert len(messages) == 2 * warned
