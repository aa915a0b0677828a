"""Box heads that also learn from drawn features: what enters the loss, who gets a gradient, whole detectors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmdet.models')

from mmdet.models.roi_heads.bbox_heads import Shared2FCBBoxHead
from mmengine.registry import DefaultScope

from imbdense.mm.heads.bacl_bbox_head import BACLBBoxHead
from imbdense.mm.heads.loce_bbox_head import LOCEBBoxHead
from tests.mm.heads.tiny_detectors import BBOX_HEAD, RCNN_TRAIN, WITH_BOXES, WITHOUT_BOXES, batch, build, two_stage

C, D = 3, 8
HEADS = {'loce': LOCEBBoxHead, 'bacl': BACLBBoxHead}
LOSSES = {'loce': 'EBLLoss', 'bacl': 'ForegroundClassBalanceLoss'}
each = pytest.mark.parametrize('name', HEADS)
OPTIONS: dict[str, Any] = {'in_channels': 2, 'fc_out_channels': D, 'roi_feat_size': 2, 'num_classes': C}
LABELS = torch.tensor([0, 0, 2, 2, 2, 3, 3, 3])


@pytest.fixture(autouse=True)
def mmdet_scope() -> Iterator[None]:
    """As in a run of mmdet, whatever scope another test has left."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def head_of(cls: Any, seed: int = 0, **options: Any) -> Any:
    """A small head with classifier weights that tell the classes apart a little."""
    torch.manual_seed(seed)
    head = cls(**OPTIONS, **options)
    head.init_weights()
    torch.nn.init.normal_(head.fc_cls.weight, std=0.5)
    return head.train()


def plain_of(name: str) -> Any:
    """The host's head with the same loss and the same weights."""
    plain = head_of(Shared2FCBBoxHead, loss_cls={'type': f'imbdense.{LOSSES[name]}'})
    found = plain.load_state_dict(head_of(HEADS[name]).state_dict(), strict=False)
    assert not found.missing_keys and all(key.startswith('drawn_from.') for key in found.unexpected_keys)
    return plain


def step(head: Any, labels: torch.Tensor = LABELS, *, empty: bool = False, seed: int = 1, **options: Any) -> Any:
    """Losses of eight regions (none with ``empty``) of which three are background."""
    generator = torch.Generator().manual_seed(seed)
    number = 0 if empty else len(labels)
    inputs = torch.randn(number, 2, 2, 2, generator=generator)
    boxes = torch.rand(number, 4, generator=generator)
    torch.manual_seed(seed)
    weights = (labels < C).float().unsqueeze(1).expand(-1, 4)[:number]
    scores, deltas = head(inputs)
    return head.loss(scores, deltas, torch.cat([boxes[:, :1] * 0, boxes], 1), labels[:number],
                     torch.ones(number), boxes, weights, **options)  # fmt: skip


@each
def test_nothing_to_draw_from_gives_the_losses_of_the_host(name: str) -> None:
    head, background = head_of(HEADS[name]), torch.full((8,), C)
    losses, wanted = step(head, background), step(plain_of(name), background)
    assert losses.keys() == wanted.keys()
    assert all(losses[key].item() == pytest.approx(wanted[key].item(), rel=1e-6) for key in losses)
    assert not head.drawn_from.available().any()
    losses['loss_cls'].backward()


@each
def test_drawn_features_enter_the_loss_as_regions_of_weight_one(name: str) -> None:
    """The classification loss is that of eight regions and the drawn features together."""
    head = head_of(HEADS[name], sampled_classes=2, sampled_features=3)
    step(head)  # one step more than necessary: now the statistics of the loss are no longer the initial ones
    before = copy.deepcopy(head)
    losses = step(head, seed=2)
    features = torch.randn(8, 2, 2, 2, generator=torch.Generator().manual_seed(2))
    seen: list[torch.Tensor] = []
    before.fc_cls.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    scores, _ = before(features)
    before.drawn_from.update(seen[0], LABELS)
    torch.manual_seed(2)
    drawn = before.drawn_from.draw(before.preference(before.loss_cls.stats), 2, 3)
    logits = torch.cat([scores, before.fc_cls(drawn.features)])
    wanted = before.loss_cls(logits, torch.cat([LABELS, drawn.labels]), torch.ones(14), avg_factor=14.0)
    assert losses['loss_cls'].item() == pytest.approx(wanted.item(), rel=1e-6)
    assert set(drawn.labels.tolist()) <= {0, 2} and drawn.known.all()
    plain = step(plain_of(name), seed=2)
    assert losses['loss_bbox'].item() == pytest.approx(plain['loss_bbox'].item(), rel=1e-6)
    assert losses['acc'].item() == pytest.approx(before.loss_cls.get_accuracy(scores, LABELS)['acc'].item())


@each
def test_only_the_classifier_learns_from_drawn_features(name: str) -> None:
    """Regions that weigh 0: what is left of the loss are the drawn features."""
    head = head_of(HEADS[name])
    step(head)
    scores, deltas = head(torch.randn(8, 2, 2, 2))
    losses = head.loss(scores, deltas, torch.zeros(8, 5), LABELS, torch.zeros(8), torch.zeros(8, 4), torch.zeros(8, 4))
    losses['loss_cls'].backward()
    assert losses['loss_cls'] > 0 and head.fc_cls.weight.grad.abs().sum() > 0
    assert all(fc.weight.grad is None or (fc.weight.grad == 0).all() for fc in head.shared_fcs)


@each
def test_positive_regions_enter_with_the_input_of_the_classifier(name: str) -> None:
    head = head_of(HEADS[name])
    step(head)
    inputs = torch.randn(8, 2, 2, 2, generator=torch.Generator().manual_seed(1)).flatten(1)
    for fc in head.shared_fcs:
        inputs = fc(inputs).relu()
    if name == 'loce':
        held = head.drawn_from.queue.memory.view(-1, D)
        assert torch.allclose(held[:2], inputs[:2]) and torch.allclose(held[160:163], inputs[2:5])
        assert head.drawn_from.queue.entered.tolist() == [2, 0, 3]
    else:
        assert torch.allclose(head.drawn_from.mean[2], inputs[2:5].mean(0), atol=1e-6)
        assert torch.allclose(head.drawn_from.variance[0], inputs[:2].var(0), atol=1e-6)


def test_classes_are_drawn_by_the_statistics_of_the_loss() -> None:
    loce, bacl = head_of(LOCEBBoxHead), head_of(BACLBBoxHead)
    loce.loss_cls.stats.mean.copy_(torch.tensor([0.5, 0.1, 0.25]))
    assert loce.preference(loce.loss_cls.stats).tolist() == pytest.approx([2, 10, 4], rel=1e-4)
    bacl.loss_cls.stats.total.copy_(torch.tensor([[9.0, 1, 0], [3, 2, 5], [0, 0, 0]]))
    assert bacl.preference(bacl.loss_cls.stats).tolist() == pytest.approx([0.1, 0.8, 1.0])


@each
def test_a_batch_without_regions_has_the_same_keys_and_learns_from_drawn_features(name: str) -> None:
    head = head_of(HEADS[name])
    first = step(head, empty=True)
    first['loss_cls'].backward()
    assert first['loss_cls'].item() == 0 and (head.fc_cls.weight.grad == 0).all()
    full = step(head)
    later = step(head, empty=True)
    assert first.keys() == full.keys() == later.keys() == {'loss_cls', 'loss_bbox', 'acc'}
    assert later['loss_cls'] > 0 and later['acc'] == 0


@each
def test_while_deferred_features_are_gathered_and_none_is_drawn(name: str) -> None:
    head, plain = head_of(HEADS[name]), plain_of(name)
    for module in (head, plain):
        module.loss_cls.set_rebalancing(False)
    for seed in (1, 2):
        losses, wanted = step(head, seed=seed), step(plain, seed=seed)
        assert losses['loss_cls'].item() == pytest.approx(wanted['loss_cls'].item(), rel=1e-6)
    assert head.drawn_from.available().tolist() == [True, False, True]


@each
def test_single_losses_and_eval_mode_are_those_of_the_host(name: str) -> None:
    head = head_of(HEADS[name])
    single = step(head, reduction_override='none')['loss_cls']
    assert single.shape[0] == 8 and not head.drawn_from.available().any()
    step(head)
    before, plain = copy.deepcopy(head.state_dict()), plain_of(name)
    plain.load_state_dict(before, strict=False)
    assert step(head.eval())['loss_cls'].item() == step(plain.eval())['loss_cls'].item()
    assert all(torch.equal(value, before[key]) for key, value in head.state_dict().items())


@each
def test_resume_goes_on_the_same(name: str) -> None:
    whole, before, after = (head_of(HEADS[name]) for _ in range(3))
    step(whole, seed=1)
    step(before, seed=1)
    after.load_state_dict(before.state_dict())
    assert torch.equal(step(whole, seed=2)['loss_cls'], step(after, seed=2)['loss_cls'])
    assert all(torch.equal(value, after.state_dict()[key]) for key, value in whole.state_dict().items())


@each
def test_half_precision(name: str) -> None:
    head, half = head_of(HEADS[name]), head_of(HEADS[name])
    step(head)
    exact = step(head, seed=2)
    with torch.autocast('cpu', torch.bfloat16):
        step(half)
        found = step(half, seed=2)
    assert found['loss_cls'].dtype == torch.float32 and torch.isfinite(found['loss_cls'])
    assert found['loss_cls'].item() == pytest.approx(exact['loss_cls'].item(), rel=0.05)


@each
def test_another_loss_is_refused_by_name(name: str) -> None:
    with pytest.raises(TypeError, match=rf"{HEADS[name].__name__}.*CrossEntropyLoss.*imbdense\.{LOSSES[name]}"):
        head_of(HEADS[name], loss_cls={'type': 'CrossEntropyLoss'})
    with pytest.raises(ValueError, match='sampled_classes'):
        head_of(HEADS[name], sampled_classes=0)


def test_loss_without_a_forward_pass_says_so() -> None:
    head = head_of(LOCEBBoxHead)
    with pytest.raises(RuntimeError, match='Call forward and loss in turn'):
        head.loss(torch.zeros(8, 4), torch.zeros(8, 12), torch.zeros(8, 5), LABELS, torch.ones(8),
                  torch.zeros(8, 4), torch.zeros(8, 4))  # fmt: skip


def detector(name: str, kind: str) -> Any:
    """A whole detector in which the head's type and loss are what changes."""
    own = {'type': f'imbdense.{HEADS[name].__name__}', 'loss_cls': {'type': f'imbdense.{LOSSES[name]}'}}
    config = two_stage(kind, {**BBOX_HEAD, **own})
    sampler = {'type': 'RandomSampler', 'num': 64, 'pos_fraction': 0.5, 'add_gt_as_proposals': True}
    train = {**RCNN_TRAIN, 'sampler': sampler}
    config['train_cfg'] = {**config['train_cfg'], 'rcnn': [train] * 2 if kind == 'CascadeRCNN' else train}
    return build(config)


def own_heads(model: Any) -> list[Any]:
    return [module for module in model.modules() if isinstance(module, tuple(HEADS.values()))]


@each
@pytest.mark.parametrize('kind', ['FasterRCNN', 'MaskRCNN', 'CascadeRCNN'])
def test_detectors_train_and_predict(name: str, kind: str) -> None:
    model = detector(name, kind)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for seed, boxes in enumerate((WITH_BOXES, WITHOUT_BOXES, WITH_BOXES)):
        total, _ = model.parse_losses(model.loss(*batch(boxes, masks=kind == 'MaskRCNN', seed=seed)))
        assert torch.isfinite(total)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert len(own_heads(model)) == (2 if kind == 'CascadeRCNN' else 1)
    for head in own_heads(model):  # every annotated box is a region; a Gaussian needs two of a class in a step
        assert head.drawn_from.available().all() if name == 'loce' else head.drawn_from.available().any()
    images, samples = batch(WITH_BOXES, masks=kind == 'MaskRCNN')
    copy.deepcopy(model)
    with torch.no_grad():
        found = model.eval().predict(images, samples)
    assert all(len(sample.pred_instances) > 0 for sample in found)
