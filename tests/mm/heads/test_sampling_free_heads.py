"""Every sampling-free head in its detector: training steps with and without boxes, what is optimised, prediction."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmdet.models')

from mmengine.structures import InstanceData

from imbdense.mm.heads.guided import GuidedMixin
from tests.mm.heads.tiny_detectors import (
    CLASSES,
    SINGLE,
    WITH_BOXES,
    WITHOUT_BOXES,
    batch,
    build,
    single_stage,
    two_stage,
    yolo,
)

ADDED = {'guided_ratio', 'raw_cls'}
BOXES = {'loss_cls', 'loss_bbox'} | ADDED
RPN = {'loss_rpn_cls', 'loss_rpn_bbox', 'rpn_guided_ratio', 'rpn_raw_cls'}
KEYS = {
    'retina': BOXES, 'fovea': BOXES, 'tood': BOXES, 'rtmdet': BOXES, 'gfl': BOXES | {'loss_dfl'},
    'vfnet': BOXES | {'loss_bbox_rf'}, 'fcos': BOXES | {'loss_centerness'}, 'atss': BOXES | {'loss_centerness'},
    'yolo': {'loss_cls', 'loss_xy', 'loss_wh'} | ADDED,
    'FasterRCNN': BOXES | RPN | {'acc'}, 'MaskRCNN': BOXES | RPN | {'acc', 'loss_mask'},
    'CascadeRCNN': RPN | {f's{stage}.{key}' for stage in (0, 1) for key in BOXES | {'acc'}},
}


def config_of(name: str) -> dict[str, Any]:
    """The detector config of a name."""
    if name in SINGLE:
        return single_stage(name)
    return yolo() if name == 'yolo' else two_stage(name)


def heads(model: Any) -> list[Any]:
    """All guided heads of a model."""
    return [module for module in model.modules() if isinstance(module, GuidedMixin)]


def head_weights(model: Any) -> dict[str, torch.nn.Parameter]:
    """Parameters of the heads."""
    return {name: p for name, p in model.named_parameters() if 'head' in name and p.requires_grad}


@pytest.mark.parametrize('name', KEYS)
def test_steps_with_and_without_boxes(name: str) -> None:
    """Same keys, finite, a gradient for every weight of the heads, and the boxes' guide only where there are boxes."""
    model = build(config_of(name))
    for boxes, usable in ((WITHOUT_BOXES, 0), (WITH_BOXES, 1), (WITHOUT_BOXES, 1)):
        images, samples = batch(boxes, masks=name == 'MaskRCNN')
        losses = model.loss(images, samples)
        assert set(losses) == KEYS[name]
        total, logged = model.parse_losses(losses)
        assert all(torch.isfinite(value) for value in logged.values())
        assert total.item() == pytest.approx(
            sum(value.item() for key, value in logged.items() if 'loss_' in key), rel=1e-5)
        model.zero_grad()
        total.backward()
        missing = [key for key, p in head_weights(model).items() if p.grad is None]
        assert not missing, missing
        # in R-CNN whether a proposal of the untrained RPN matches a box is chance: only dense heads are sure to
        sure = [head for head in heads(model) if not hasattr(head, 'fc_cls')]
        assert all(int(head.balancer.num_updates) == usable for head in sure)
        assert all(bool(torch.isfinite(head.balancer.ratio)) for head in heads(model))


@pytest.mark.parametrize('name', KEYS)
def test_prediction(name: str) -> None:
    model = build(config_of(name)).eval()
    images, samples = batch(WITH_BOXES)
    with torch.no_grad():
        found = model.predict(images, samples)
    assert all(len(sample.pred_instances.bboxes) > 0 for sample in found)
    assert all(set(sample.pred_instances.labels.tolist()) <= set(range(CLASSES)) for sample in found)


@pytest.mark.parametrize('name', ['retina', 'fcos', 'atss', 'fovea', 'gfl', 'yolo'])
def test_scaled_classification_loss_is_the_guide(name: str) -> None:
    """In the first step r is that of the batch: loss_cls = mean (YOLO: sum) of what guides."""
    model = build(config_of(name))
    _, logged = model.parse_losses(model.loss(*batch(WITH_BOXES)))
    head = model.bbox_head
    guides = [logged[key].item() for key in head.guide_keys]
    expected = sum(guides) if name == 'yolo' else sum(guides) / len(guides)
    assert logged['loss_cls'].item() == pytest.approx(expected, rel=1e-4)
    assert logged['raw_cls'].item() * logged['guided_ratio'].item() == pytest.approx(expected, rel=1e-4)


def test_region_proposals_and_boxes_have_balancers_of_their_own() -> None:
    model = build(two_stage('FasterRCNN'))
    assert model.rpn_head.balancer is not model.roi_head.bbox_head.balancer
    assert model.rpn_head.balancer.cls_weight == 1.0 and model.roi_head.bbox_head.balancer.cls_weight == 2.0


def test_box_loss_of_rcnn_is_divided_by_four_times_the_positives() -> None:
    head = build(two_stage('FasterRCNN')).roi_head.bbox_head
    generator = torch.Generator().manual_seed(0)
    count, positives = 50, 3
    labels = torch.full((count,), CLASSES)
    labels[:positives] = torch.tensor([0, 2, 1])
    targets, weights = torch.zeros(count, 4), torch.zeros(count, 4)
    targets[:positives] = torch.randn(positives, 4, generator=generator)
    weights[:positives] = 1.0
    cls = torch.randn(count, CLASSES + 1, generator=generator, requires_grad=True)
    boxes = torch.randn(count, CLASSES * 4, generator=generator, requires_grad=True)
    arguments = (cls, boxes, torch.zeros(count, 5), labels, torch.ones(count), targets, weights)
    losses = head.loss(*arguments)
    own = boxes.view(count, CLASSES, 4)[range(positives), labels[:positives]]
    difference = (own - targets[:positives]).abs()
    smooth = torch.where(difference < 1, 0.5 * difference**2, difference - 0.5).sum()
    assert losses['loss_bbox'].item() == pytest.approx(smooth.item() / (4 * positives), rel=1e-4)
    assert losses['loss_cls'].item() == pytest.approx(2 * losses['loss_bbox'].item(), rel=1e-4)
    before = head.balancer.ratio.clone()
    single = head.loss(*arguments, reduction_override='none')
    assert single['loss_cls'].shape == (count,) and torch.equal(head.balancer.ratio, before)


def test_no_proposal_at_all_gives_the_same_keys_with_a_graph() -> None:
    head = build(two_stage('FasterRCNN')).roi_head.bbox_head
    cls, boxes = torch.zeros(0, CLASSES + 1, requires_grad=True), torch.zeros(0, CLASSES * 4, requires_grad=True)
    empty = torch.zeros(0)
    losses = head.loss(cls, boxes, torch.zeros(0, 5), empty.long(), empty, torch.zeros(0, 4), torch.zeros(0, 4))
    assert set(losses) == BOXES | {'acc'}
    assert all(losses[key].item() == 0 and losses[key].requires_grad for key in ('loss_cls', 'loss_bbox'))


@pytest.mark.parametrize('name', ['retina', 'atss', 'FasterRCNN'])
def test_ignored_regions_count_nowhere(name: str) -> None:
    """The logits of anchors inside an ignored region get no gradient, and L_cls does not see them."""
    model = build(config_of(name))
    images, samples = batch([[[8.0, 8, 24, 24]]])
    plain = model.loss(images, samples)
    samples[0].ignored_instances = InstanceData(bboxes=torch.tensor([[32.0, 0, 64, 64]]), labels=torch.tensor([0]))
    if name == 'atss':
        model.bbox_head.assigner.ignore_iof_thr = 0.5
    ignored = model.loss(images, samples)
    key = 'rpn_raw_cls' if name == 'FasterRCNN' else 'raw_cls'
    assert ignored[key].item() < 0.9 * plain[key].item()


def test_yolo_has_no_objectness_and_ignored_cells_have_no_class_loss() -> None:
    model = build(yolo())
    head = model.bbox_head
    assert head.num_attrib == 4 + CLASSES
    assert [conv.out_channels for conv in head.convs_pred] == [3 * (4 + CLASSES)] * 3
    for conv in head.convs_pred:
        assert torch.allclose(conv.bias.view(3, -1)[:, 4:].sigmoid(), torch.tensor(0.01), atol=1e-6)
    pred = torch.zeros(1, 3 * (4 + CLASSES), 1, 1, requires_grad=True)
    target = torch.zeros(1, 3, 4 + CLASSES)
    target[0, 0, 4] = 1.0
    loss_cls, loss_xy, loss_wh = head.loss_by_feat_single(pred, target, torch.tensor([[1, 0, -1]]))
    assert loss_cls.item() == pytest.approx(2 * CLASSES * 0.6931, rel=1e-3)  # one positive, one negative, none ignored
    (loss_cls + loss_xy + loss_wh).backward()
    gradient = pred.grad.view(3, 4 + CLASSES)
    assert (gradient[1, :4] == 0).all() and (gradient[2] == 0).all()
    assert (gradient[0, 4] < 0).all() and (gradient[1, 4:] > 0).all()


def test_yolo_targets_match_those_of_the_host() -> None:
    """Same boxes, classes and negatives as the head with objectness, whose channel is taken out."""
    from mmdet.models.dense_heads import YOLOV3Head

    head = build({**yolo(), 'bbox_head': {**yolo()['bbox_head'], 'one_hot_smoother': 0.1}}).bbox_head
    _, samples = batch(WITH_BOXES)
    truth = [sample.gt_instances for sample in samples]
    sizes = [(2, 2), (4, 4), (8, 8)]
    anchors = [head.prior_generator.grid_priors(sizes, device='cpu')] * 2
    flags = [head.responsible_flags(sizes, item.bboxes, 'cpu') for item in truth]
    targets, kinds = head.get_targets(anchors, flags, truth)
    host = build({**yolo(), 'bbox_head': {**yolo()['bbox_head'], 'type': 'YOLOV3Head', 'one_hot_smoother': 0.1}})
    assert isinstance(host.bbox_head, YOLOV3Head)
    expected, negatives = host.bbox_head.get_targets(anchors, flags, truth)
    positives = 0
    for target, kind, wanted, negative in zip(targets, kinds, expected, negatives):
        assert torch.allclose(target, torch.cat([wanted[..., :4], wanted[..., 5:]], dim=-1), atol=1e-6)
        assert torch.equal(kind == 1, wanted[..., 4] == 1) and torch.equal(kind == 0, negative == 1)
        positives += int((kind == 1).sum())
    assert positives >= 3


def test_a_sampler_that_leaves_samples_out_is_refused() -> None:
    config = single_stage('retina')
    config['train_cfg'] = {**config['train_cfg'], 'sampler': {'type': 'RandomSampler', 'num': 16, 'pos_fraction': 0.5}}
    with pytest.raises(ValueError, match=r'RandomSampler.*PseudoSampler'):
        build(config)
    faster = two_stage('FasterRCNN')
    faster['train_cfg']['rcnn'] = {**faster['train_cfg']['rcnn'], 'sampler': {
        'type': 'RandomSampler', 'num': 16, 'pos_fraction': 0.5}}
    with pytest.raises(ValueError, match=r'RandomSampler.*PseudoSampler'):
        build(faster).loss(*batch(WITH_BOXES))


@pytest.mark.parametrize('name', ['atss', 'FasterRCNN'])
def test_resumed_training_is_equal_bit_by_bit(name: str) -> None:
    """Six steps in one go, and three steps, a checkpoint, three steps: equal weights and equal ratios."""
    def train(model: Any, steps: range) -> None:
        for step in steps:
            optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
            loss, _ = model.parse_losses(model.loss(*batch(WITH_BOXES if step != 2 else WITHOUT_BOXES, seed=step)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    whole = build(config_of(name))
    train(whole, range(6))
    part = build(config_of(name))
    train(part, range(3))
    resumed = build(config_of(name), seed=9)
    resumed.load_state_dict(part.state_dict(), strict=True)
    train(resumed, range(3, 6))
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert int(heads(whole)[0].balancer.num_updates) == 5


@pytest.mark.parametrize('name', ['retina', 'fcos', 'atss'])  # the host's NMS refuses bf16 proposals
def test_bf16_autocast(name: str) -> None:
    model = build(config_of(name))
    with torch.autocast('cpu', torch.bfloat16):
        total, logged = model.parse_losses(model.loss(*batch(WITH_BOXES)))
    total.backward()
    assert torch.isfinite(total) and logged[f'{heads(model)[0].log_prefix}guided_ratio'].dtype == torch.float32
