"""PriorBiasInitHook: every kind of head, the first loss, what it leaves alone, and what it hands on."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from imbdense.core.losses import expected_initial_loss
from imbdense.core.stats import AssignedCounts, NoForegroundError
from imbdense.mm.assigned_counts.class_layers import find_class_layers, main_layer
from imbdense.mm.hooks.prior_bias_init_hook import PriorBiasInitHook
from imbdense.mm.prior import HUB_ASSIGNED
from imbdense.mm.prior_bias import start_biases
from tests.mm.assigned_counts import cases
from tests.mm.hooks.tiny_detection_run import runner

HOOK = {'type': 'imbdense.PriorBiasInitHook'}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder)
    return folder


def started(root: Path, work_dir: Path, model: Any, **changes: Any) -> Any:
    """A runner stopped where training would begin."""
    run = runner(root, work_dir, model, **changes)
    run.train_loop.run = lambda: run.call_hook('before_train') or run.model
    run.train()
    return run


def counts_of(run: Any, path: str) -> AssignedCounts:
    return AssignedCounts.from_dict(run.message_hub.get_info(HUB_ASSIGNED)[path])


# The first loss -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('kind', ['retinanet', 'atss', 'fcos', 'fovea'])
def test_first_loss_is_the_predicted_minimum(kind: str, root: Path, tmp_path: Path) -> None:
    """Binary cross-entropy per foreground sample at step 0: as the formula says, and lower than with other priors."""
    model = started(root, tmp_path, getattr(cases, kind)()).model
    dataset = cases.build_dataset(root)
    measured = {}
    own = model.bbox_head
    layer = main_layer(find_class_layers(model))
    counts = cases.counts_in_forward(model, own, dataset)
    found = AssignedCounts(cases.CLASSES, counts[:-1], int(counts[-1]))
    best = layer.biases()['bbox_head.' + layer.name + '.bias'].detach().clone()
    for prior in (None, 0.5, 0.01, found.prior / 100, found.prior * 100):
        values = best if prior is None else start_biases(layer, min(prior, 0.9))[f'{layer.dotted}.bias']
        with torch.no_grad():
            getattr(own, layer.name).bias.copy_(values)
        measured[prior] = first_loss(model, own, dataset) / found.num_foreground
    expected = expected_initial_loss(found.prior, found.num_foreground, found.background, 3)
    assert measured[None] == pytest.approx(expected, rel=0.05)
    assert all(measured[None] < value for prior, value in measured.items() if prior is not None)


def first_loss(model: Any, head: Any, dataset: Any) -> float:
    """Sum of the classification loss over all samples of the data set."""
    from mmengine.dataset import pseudo_collate

    total, original = [], head.loss_cls.forward

    def summed(pred: Any, target: Any, weight: Any = None, **options: Any) -> torch.Tensor:
        total.append(original(pred, target, weight, reduction_override='sum').item())
        return pred.sum() * 0

    head.loss_cls.forward = summed
    with torch.no_grad():
        for index in range(len(dataset)):
            model(**model.data_preprocessor(pseudo_collate([dataset[index]]), True), mode='loss')
    head.loss_cls.forward = original
    return sum(total)


# The bias of each kind of head ----------------------------------------------------------------------------------------


def test_sigmoid_shared_and_per_class(root: Path, tmp_path: Path) -> None:
    shared = started(root, tmp_path / 'a', cases.retinanet())
    found = counts_of(shared, 'bbox_head')
    expected = -math.log(3 * found.total / found.num_foreground - 1)
    bias = shared.model.bbox_head.retina_cls.bias
    assert bias.shape == (18,) and bias.tolist() == pytest.approx([expected] * 18, rel=1e-5)
    own = started(root, tmp_path / 'b', cases.retinanet(), hooks=[{**HOOK, 'per_class': True}])
    prior = (found.foreground + 1) / (found.total + 3)
    assert own.model.bbox_head.retina_cls.bias.tolist() == pytest.approx(np.tile(np.log(prior / (1 - prior)), 6))


def test_softmax_shared_and_per_class(root: Path, tmp_path: Path) -> None:
    config = cases.retinanet(cases.SOFTMAX_CE)
    shared = started(root, tmp_path / 'a', config)
    found = counts_of(shared, 'bbox_head')
    values = shared.model.bbox_head.retina_cls.bias.view(6, 4).softmax(1)
    assert values[0].tolist() == pytest.approx([found.prior] * 3 + [1 - found.foreground_share], rel=1e-4)
    own = started(root, tmp_path / 'b', config, hooks=[{**HOOK, 'per_class': True}])
    values = own.model.bbox_head.retina_cls.bias.view(6, 4).softmax(1)[5]
    counted = np.append(found.foreground, found.background) + 1
    assert values.tolist() == pytest.approx(counted / counted.sum(), rel=1e-4)


def test_two_stages(root: Path, tmp_path: Path) -> None:
    run = started(root, tmp_path, cases.two_stage())
    rpn, roi = counts_of(run, 'rpn_head'), counts_of(run, 'roi_head.bbox_head')
    assert rpn.classes == ('object',) and roi.classes == cases.CLASSES
    assert run.model.rpn_head.rpn_cls.bias.sigmoid().tolist() == pytest.approx([rpn.foreground_share] * 3, rel=1e-4)
    bias = run.model.roi_head.bbox_head.fc_cls.bias
    assert bias[:3].tolist() == [0] * 3
    assert bias[3].item() == pytest.approx(math.log(3 * roi.background / roi.num_foreground), rel=1e-5)


def test_cascade_and_one_of_its_stages(root: Path, tmp_path: Path) -> None:
    run = started(root, tmp_path / 'a', cases.two_stage(3))
    shares = [counts_of(run, f'roi_head.bbox_head.{stage}').foreground_share for stage in range(3)]
    found = [head.fc_cls.bias.softmax(0)[:3].sum().item() for head in run.model.roi_head.bbox_head]
    assert found == pytest.approx(shares, rel=1e-4)
    one = started(root, tmp_path / 'b', cases.two_stage(3), hooks=[{**HOOK, 'target': 'roi_head.bbox_head.1'}])
    biases = [head.fc_cls.bias.detach() for head in one.model.roi_head.bbox_head]
    assert torch.equal(biases[1], run.model.roi_head.bbox_head[1].fc_cls.bias.detach())
    assert not torch.equal(biases[0], run.model.roi_head.bbox_head[0].fc_cls.bias.detach())


def test_yolov3_objectness_and_classes(root: Path, tmp_path: Path) -> None:
    run = started(root, tmp_path / 'a', cases.yolov3())
    found = counts_of(run, 'bbox_head')
    for conv in run.model.bbox_head.convs_pred:
        cells = conv.bias.view(2, 8).sigmoid()
        assert cells[:, 4].tolist() == pytest.approx([found.foreground_share] * 2, rel=1e-4)
        assert cells[0, 5:].tolist() == pytest.approx([1 / 3] * 3) and conv.bias.view(2, 8)[:, :4].abs().max() < 0.1
    own = started(root, tmp_path / 'b', cases.yolov3(), hooks=[{**HOOK, 'per_class': True}])
    cells = own.model.bbox_head.convs_pred[2].bias.view(2, 8).sigmoid()
    share = (found.foreground + 1) / (found.num_foreground + 3)
    assert cells[1, 5:].tolist() == pytest.approx(share, rel=1e-4)


def query_model(sigmoid: bool) -> Any:
    """A stand-in for a detector of the DETR family: only what the hook looks at."""
    from mmdet.models.dense_heads import DeformableDETRHead
    from torch import nn

    head = DeformableDETRHead.__new__(DeformableDETRHead)
    nn.Module.__init__(head)
    head.num_classes, head.num_queries = 3, 10
    head.loss_cls = nn.Module()
    head.loss_cls.use_sigmoid = sigmoid
    head.loss_cls.class_weight = None if sigmoid else [1.0, 1.0, 1.0, 0.1]
    head.cls_branches = nn.ModuleList(nn.Linear(4, 3 if sigmoid else 4) for _ in range(6))
    model = nn.Module()
    model.bbox_head = head
    return model


@pytest.mark.parametrize('per_class', [False, True])
def test_tood_scores_start_at_the_prior(per_class: bool, root: Path, tmp_path: Path) -> None:
    """Its score is a geometric mean of two sigmoids, one of them shared by the classes."""
    hook = {**HOOK, 'per_class': per_class}
    run = started(root, tmp_path, cases.tood(), hooks=[hook])
    found, head = counts_of(run, 'bbox_head'), run.model.bbox_head
    counts = torch.as_tensor(found.foreground, dtype=torch.float64)
    wanted = (counts + 1) / (found.total + 3) if per_class else torch.full((3,), found.prior).double()
    with torch.no_grad():
        scores, _ = head([torch.zeros(1, 8, 16 // scale, 16 // scale) for scale in (1, 2, 4)])
    for level in scores:
        assert level.mean((0, 2, 3)).tolist() == pytest.approx(wanted.tolist(), rel=1e-3)


def test_yolox_takes_a_given_prior(root: Path, tmp_path: Path) -> None:
    model = started(root, tmp_path, cases.yolox(), hooks=[{**HOOK, 'prior': 0.2}]).model
    for conv in model.bbox_head.multi_level_conv_cls:
        assert conv.bias.sigmoid().tolist() == pytest.approx([0.2] * 3)


def test_query_heads(root: Path) -> None:
    from imbdense.mm.assigned_counts.measure import measure

    dataset = cases.build_dataset(root)
    for sigmoid in (True, False):
        model = query_model(sigmoid)
        layers = find_class_layers(model)
        found = measure(model, layers, dataset, cache=False)['bbox_head']
        objects = sum(len(cats) for cats in map(dataset.get_cat_ids, range(20)))
        assert found.total == 200 and 30 < found.num_foreground < objects  # without the crowds
        values = start_biases(layers[0], found)
        assert len(values) == 6
        bias = values['bbox_head.cls_branches.3.bias']
        if sigmoid:
            assert bias.sigmoid().tolist() == pytest.approx([found.prior] * 3)
        else:  # the background weighs 0.1 in the loss, so also in the prior
            weighed = 0.1 * found.background
            assert bias.softmax(0)[3].item() == pytest.approx(weighed / (found.num_foreground + weighed))


def test_rare_objects_that_several_queries_answer() -> None:
    from types import SimpleNamespace

    model = query_model(sigmoid=True)
    model.bbox_head.assigner = SimpleNamespace(matches=lambda: np.array([1, 1, 4]))
    counts = AssignedCounts(cases.CLASSES, [24, 10, 2], 164)
    values = start_biases(find_class_layers(model)[0], counts, per_class=True)
    prior = values['bbox_head.cls_branches.0.bias'].sigmoid()
    assert prior.tolist() == pytest.approx([25 / 203, 11 / 203, 9 / 203])


@pytest.mark.parametrize('kind', ['retinanet', 'atss', 'fcos', 'fovea', 'yolov3', 'two_stage'])
def test_heads_that_learn_from_all_samples(kind: str, root: Path, tmp_path: Path) -> None:
    """The sampling-free heads are counted as the hosts' they derive from; YOLOv3 then has no objectness."""
    every = {'sampler': {'type': 'PseudoSampler'}}
    config = cases.two_stage(sampler=every['sampler']) if kind == 'two_stage' else getattr(cases, kind)()
    path = 'roi_head.bbox_head' if kind == 'two_stage' else 'bbox_head'
    plain = counts_of(started(root, tmp_path / 'a', config.copy()), path)
    if kind == 'two_stage':
        config.train_cfg.rpn.update(every)
        config.rpn_head.type = 'imbdense.SamplingFreeRPNHead'
        config.roi_head.bbox_head.type = 'imbdense.SamplingFreeBBoxHead'
    else:
        config.bbox_head.type = f'imbdense.SamplingFree{config.bbox_head.type}'
    run = started(root, tmp_path / 'b', config, hooks=[{**HOOK, 'per_class': kind == 'yolov3'}])
    found = counts_of(run, path)
    assert found.foreground.tolist() == plain.foreground.tolist() and found.background == plain.background
    if kind == 'yolov3':
        cells = run.model.bbox_head.convs_pred[0].bias.view(2, 7)[:, 4:].sigmoid()
        assert cells[1].tolist() == pytest.approx((found.foreground + 1) / (found.total + 3), rel=1e-4)


def test_one_class_of_every_form() -> None:
    from types import SimpleNamespace

    from torch import nn

    counts = AssignedCounts(('a',), [10], 990)
    for sigmoid, per_class in ((True, False), (True, True), (False, False), (False, True)):
        head = nn.Module()
        head.num_classes, head.loss_cls = 1, SimpleNamespace(use_sigmoid=sigmoid, class_weight=None)
        head.fc_cls = nn.Linear(2, 1 if sigmoid else 2)
        model = nn.Module()
        model.head = head
        bias = start_biases(find_class_layers(model)[0], counts, per_class=per_class)['head.fc_cls.bias']
        share = bias.sigmoid()[0] if sigmoid else bias.softmax(0)[0]
        assert share.item() == pytest.approx(0.01, rel=0.11)


def test_an_empty_class_stays_finite(tmp_path: Path) -> None:
    cases.write_coco(tmp_path, weights=(1.0, 1.0, 0.0))
    run = started(tmp_path, tmp_path / 'run', cases.retinanet(), hooks=[{**HOOK, 'per_class': True}])
    bias = run.model.bbox_head.retina_cls.bias.view(6, 3)[0]
    assert torch.isfinite(bias).all() and bias[2] < bias[:2].min() and counts_of(run, 'bbox_head').foreground[2] == 0


# Losses that correct the prior themselves --------------------------------------------------------------------------


@pytest.mark.parametrize('per_class', [False, True])
def test_a_shift_of_the_loss_is_not_corrected_twice(per_class: bool, root: Path, tmp_path: Path) -> None:
    """What the loss sees, bias plus shift, is the prior; the bare logits favour the rare class by its frequency."""
    loss = {'type': 'imbdense.LogitAdjustLoss', 'use_sigmoid': True}
    hooks = [{'type': 'imbdense.ClassCountHook'}, {**HOOK, 'per_class': per_class}]
    run = started(root, tmp_path, cases.retinanet(loss), hooks=hooks)
    head, found = run.model.bbox_head, counts_of(run, 'bbox_head')
    shift, _ = head.loss_cls.terms(head.loss_cls.known_counts(), 3)
    bias = head.retina_cls.bias.view(6, 3)[0].detach().double()
    expected = (found.foreground + 1) / (found.total + 3) if per_class else np.full(3, found.prior)
    assert (bias + shift).sigmoid().tolist() == pytest.approx(expected, rel=1e-3)
    assert shift[2] < -1 and (per_class or bias[2] > bias[0] + 1)


# What is left alone -------------------------------------------------------------------------------------------------


def test_resume_keeps_the_learned_bias_and_the_numbers(root: Path, tmp_path: Path) -> None:
    first = runner(root, tmp_path, cases.retinanet(), epochs=1)
    first.train()
    learned = first.model.bbox_head.retina_cls.bias.detach().clone()
    again = started(root, tmp_path, cases.retinanet(), epochs=2, resume=True)
    assert again.iter == 10 and torch.equal(again.model.bbox_head.retina_cls.bias.detach(), learned)
    assert counts_of(again, 'bbox_head').to_dict() == counts_of(first, 'bbox_head').to_dict()
    record = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)['meta']['imbdense']['assigned_counts']
    assert record['bbox_head'] == counts_of(first, 'bbox_head').to_dict()


@pytest.mark.parametrize(('only', 'kept'), [(True, True), (False, False)])
def test_loaded_weights_are_kept(only: bool, kept: bool, root: Path, tmp_path: Path) -> None:
    source = cases.build(cases.retinanet())
    source.bbox_head.retina_cls.bias.data.fill_(-1.25)
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'weights.pth')
    hooks = [{**HOOK, 'only_from_scratch': only}]
    run = started(root, tmp_path, cases.retinanet(), hooks=hooks, load_from=str(tmp_path / 'weights.pth'))
    assert (run.model.bbox_head.retina_cls.bias == -1.25).all().item() is kept


def test_loaded_weights_of_another_shape_are_not(root: Path, tmp_path: Path) -> None:
    """Fine-tuning on other classes: the class layer starts from scratch."""
    config = cases.retinanet()
    config.bbox_head.num_classes = 7
    torch.save({'state_dict': cases.build(config).state_dict()}, tmp_path / 'weights.pth')
    run = started(root, tmp_path, cases.retinanet(), load_from=str(tmp_path / 'weights.pth'))
    assert run.model.bbox_head.retina_cls.bias[0].sigmoid().item() == pytest.approx(
        counts_of(run, 'bbox_head').prior, rel=1e-4)


def test_pretrained_by_init_cfg_is_kept(root: Path, tmp_path: Path) -> None:
    source = cases.build(cases.retinanet())
    source.bbox_head.retina_cls.bias.data.fill_(-1.25)
    torch.save({'state_dict': source.state_dict()}, tmp_path / 'weights.pth')
    config = cases.retinanet()
    config.bbox_head.init_cfg = {
        'type': 'Pretrained', 'checkpoint': str(tmp_path / 'weights.pth'), 'prefix': 'bbox_head'}  # fmt: skip
    run = started(root, tmp_path / 'run', config)
    assert (run.model.bbox_head.retina_cls.bias == -1.25).all()


# By hand, and errors ------------------------------------------------------------------------------------------------


def test_a_given_prior_needs_no_counting(root: Path, tmp_path: Path) -> None:
    config = cases.retinanet()
    config.bbox_head.type = 'FreeAnchorRetinaHead'  # whose samples can not be counted
    run = started(root, tmp_path, config, hooks=[{**HOOK, 'prior': 0.001}])
    assert run.model.bbox_head.retina_cls.bias.sigmoid().tolist() == pytest.approx([0.001] * 18)
    assert HUB_ASSIGNED not in run.message_hub.runtime_info


def test_no_object_in_the_whole_data_set(tmp_path: Path) -> None:
    import json

    cases.write_coco(tmp_path)
    record = json.loads((tmp_path / 'train.json').read_text())
    record['annotations'] = []
    (tmp_path / 'train.json').write_text(json.dumps(record))
    with pytest.raises(NoForegroundError, match=r'PriorBiasInitHook|retina_cls.*not one is assigned to an object'):
        started(tmp_path, tmp_path / 'run', cases.retinanet())


@pytest.mark.parametrize(('arguments', 'message'), [
    ({'prior': 1.5}, r'prior must be a finite number in \[0.0, 1.0\]'),
    ({'prior': 0.0}, r'prior must lie inside'),
    ({'prior': 0.1, 'per_class': True}, 'leave out one of prior, per_class'),
    ({'max_images': 0}, 'max_images must be an integer'),
])  # fmt: skip
def test_wrong_arguments(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PriorBiasInitHook(**arguments)


def test_an_unknown_target_lists_what_there_is(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"target='conv_seg' fits no class layer.*bbox_head.retina_cls"):
        started(root, tmp_path, cases.retinanet(), hooks=[{**HOOK, 'target': 'conv_seg'}])


def test_a_prior_too_large_for_a_softmax(root: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='leaves nothing for the background'):
        started(root, tmp_path, cases.retinanet(cases.SOFTMAX_CE), hooks=[{**HOOK, 'prior': 0.4}])
