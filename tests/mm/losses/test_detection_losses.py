"""The losses with scores of their own: against mmdet's implementations, their layouts, state and ranks."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmdet.models')

from mmdet.models.losses import EQLV2Loss as HostEQLv2
from mmdet.models.losses import SeesawLoss as HostSeesaw

from imbdense.core.losses import balanced_group_scores, class_groups, shifted_sigmoid_loss
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.losses.bacl import ForegroundClassBalanceLoss
from imbdense.mm.losses.bags import BalancedGroupSoftmaxLoss
from imbdense.mm.losses.effective_class_margin import EffectiveClassMarginLoss
from imbdense.mm.losses.eqlv2 import EQLv2Loss
from imbdense.mm.losses.equilibrium_loss import EBLLoss
from imbdense.mm.losses.federated_loss import FederatedLoss
from imbdense.mm.losses.seesaw import SyncedSeesawLoss
from tests.mm.losses.detection_cases import COUNTS, LOSSES, C, make, rois

GATHERING = [EQLv2Loss, EBLLoss, ForegroundClassBalanceLoss]
each = pytest.mark.parametrize('cls', LOSSES)


# Against mmdet --------------------------------------------------------------------------------------------------------


def test_eqlv2_trains_as_mmdet_does_over_many_steps() -> None:
    ours, host = make(EQLv2Loss), HostEQLv2(num_classes=C)
    for step in range(12):
        pred, target = rois(C + 1, step)
        values, gradients = [], []
        for loss in (ours, host):
            logits = (2 * pred).requires_grad_()
            value = loss(logits, target, torch.ones(64), avg_factor=64.0)
            value.backward()
            values.append(value.item())
            gradients.append(logits.grad)
        assert values[0] == pytest.approx(values[1], rel=1e-5)
        assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
    assert torch.allclose(ours.stats.positive.float(), host.pos_grad, rtol=1e-4)
    assert torch.allclose(ours.stats.negative.float(), host.neg_grad, rtol=1e-4)
    assert torch.allclose(ours.stats.ratio().float(), host.pos_neg, rtol=1e-4)


def test_mmdets_eqlv2_ignores_weights_and_ours_does_not() -> None:
    pred, target = rois(C + 1)
    half = torch.full((64,), 0.5)
    host = HostEQLv2(num_classes=C)(pred, target, half, avg_factor=64.0)
    plain = make(EQLv2Loss)(pred, target, avg_factor=64.0)
    assert host.item() == pytest.approx(plain.item(), rel=1e-5)
    ours = make(EQLv2Loss)
    assert ours(pred, target, half, avg_factor=64.0).item() == pytest.approx(0.5 * plain.item(), rel=1e-5)
    reference = make(EQLv2Loss)
    reference(pred, target)
    first = make(EQLv2Loss)
    first(pred, target, half)
    assert torch.allclose(2 * first.stats.negative, reference.stats.negative)


def test_seesaw_trains_as_mmdet_does_over_many_steps() -> None:
    ours, host = make(SyncedSeesawLoss, class_divisor='all'), HostSeesaw(num_classes=C, return_dict=False)
    for step in range(12):
        pred, target = rois(C + 2, step)
        values, gradients = [], []
        for loss in (ours, host):
            logits = (2 * pred).requires_grad_()
            value = loss(logits, target, torch.ones(64), avg_factor=64.0)
            value.backward()
            values.append(value.item())
            gradients.append(logits.grad)
        assert values[0] == pytest.approx(values[1], rel=1e-5)
        assert torch.allclose(gradients[0], gradients[1], atol=1e-6)
    assert ours.running.counts.tolist() == host.cum_samples[:C].tolist()
    assert torch.allclose(ours.get_activation(pred), host.get_activation(pred))
    for name, value in host.get_accuracy(pred, target).items():
        assert ours.get_accuracy(pred, target)[name].item() == pytest.approx(value.item(), rel=1e-5)


def test_seesaw_class_term_is_a_mean_over_the_objects() -> None:
    """mmdet divides it by all regions: doubling the background halves the weight of the classes."""
    pred, target = rois(C + 2)
    objects = target < C
    host = HostSeesaw(num_classes=C)(pred, target, torch.ones(64), avg_factor=64.0)
    ours = make(SyncedSeesawLoss)(pred, target, torch.ones(64), avg_factor=64.0)
    expected = host['loss_cls_objectness'] + host['loss_cls_classes'] * 64 / objects.sum()
    assert ours.item() == pytest.approx(expected.item(), rel=1e-5)


# Scores ---------------------------------------------------------------------------------------------------------------


@each
def test_all_three_flags_and_channels_of_a_box_head(cls: type) -> None:
    loss = make(cls)
    assert loss.custom_cls_channels and loss.custom_activation and loss.custom_accuracy
    channels = loss.get_cls_channels(C)
    extra = {SyncedSeesawLoss: 2, BalancedGroupSoftmaxLoss: 6, FederatedLoss: 0}.get(cls, 1)
    assert channels == C + extra
    pred, target = rois(channels)
    scores = loss.get_activation(pred)
    assert scores.shape == (64, C + 1) and scores.min() >= 0 and scores.max() <= 1
    for value in loss.get_accuracy(pred, target).values():
        assert 0 <= value.item() <= 100
    assert loss.get_activation(pred.half()).dtype == torch.float16


def test_scores_of_each_loss() -> None:
    pred, _ = rois(C + 1)
    sigmoid = pred.sigmoid()
    for cls in (EQLv2Loss, EffectiveClassMarginLoss, ForegroundClassBalanceLoss):
        scores = make(cls).get_activation(pred)
        assert torch.allclose(scores[:, :C], sigmoid[:, :C] * (1 - sigmoid[:, C:]))
        assert torch.allclose(scores[:, C], sigmoid[:, C])
    assert torch.allclose(make(EBLLoss).get_activation(pred), pred.softmax(1))
    federated = make(FederatedLoss).get_activation(pred[:, :C])
    assert torch.allclose(federated[:, :C], sigmoid[:, :C])
    assert torch.allclose(federated[:, C], 1 - sigmoid[:, :C].amax(1))
    wide, _ = rois(C + 6)
    groups = class_groups(torch.tensor(COUNTS))
    assert torch.allclose(make(BalancedGroupSoftmaxLoss).get_activation(wide), balanced_group_scores(wide, groups, 4))


@pytest.mark.parametrize('cls', [EQLv2Loss, EffectiveClassMarginLoss, ForegroundClassBalanceLoss, FederatedLoss])
def test_dense_head_with_sigmoid_has_one_channel_per_class(cls: type) -> None:
    pred, target = rois(C)
    loss = cls(use_sigmoid=True)
    value = loss(pred, target, torch.ones(64), avg_factor=16.0)
    assert torch.isfinite(value) and torch.allclose(loss.get_activation(pred), pred.sigmoid())
    only_background = torch.full((64,), C)
    assert torch.isfinite(cls(use_sigmoid=True)(pred, only_background))


@pytest.mark.parametrize('cls', [EQLv2Loss, EffectiveClassMarginLoss, ForegroundClassBalanceLoss, FederatedLoss])
def test_dense_head_without_sigmoid_drops_the_background_score(cls: type) -> None:
    pred, target = rois(C + 1)
    loss = cls()
    assert torch.isfinite(loss(pred, target, torch.ones(64), avg_factor=16.0))
    scores = loss.get_activation(pred)
    assert scores.shape == (64, C)
    assert torch.allclose(scores, make(cls).get_activation(pred[:, : C + int(cls is not FederatedLoss)])[:, :C])


@pytest.mark.parametrize(('background', 'trained'), [(True, 9), (False, 10)])
def test_background_takes_one_of_the_places_of_a_federated_step(background: bool, trained: int) -> None:
    loss = FederatedLoss(class_counts=[5] * 60, num_classes_per_step=10)
    loss.get_cls_channels(60)
    target = torch.tensor([3, 7, 60 if background else 3])
    for seed in range(5):
        torch.manual_seed(seed)
        pred = torch.randn(3, 60, requires_grad=True)
        loss(pred, target, torch.ones(3), avg_factor=3.0).backward()
        learning = (pred.grad != 0).any(0)
        assert int(learning.sum()) == trained and learning[[3, 7]].all()
    few = FederatedLoss(class_counts=[5] * 10, num_classes_per_step=50)  # more places than classes: all are trained
    few.get_cls_channels(10)
    pred = torch.randn(3, 10, requires_grad=True)
    few(pred, target.clamp_max(10), torch.ones(3), avg_factor=3.0).backward()
    assert (pred.grad != 0).all()


def test_seesaw_forms_follow_the_head() -> None:
    pred, target = rois(C + 1)
    query = SyncedSeesawLoss()
    query(pred, target)
    assert query.running.counts.numel() == C and query.get_activation(pred).shape == (64, C)
    anchors = SyncedSeesawLoss(use_sigmoid=True, focal_gamma=2.0, focal_alpha=0.25)
    anchors(pred[:, :C], target)
    assert anchors.running.counts.numel() == C
    pixels = SyncedSeesawLoss()
    pixels(torch.randn(2, C, 4, 4), torch.randint(0, C, (2, 4, 4)), ignore_index=255)
    assert pixels.running.counts.numel() == C
    with pytest.raises(ValueError, match='use_sigmoid=True is for dense and query heads'):
        anchors.get_cls_channels(C)


# Arguments, weights, schedule -----------------------------------------------------------------------------------------


@each
def test_switching_the_type_of_a_softmax_config_works(cls: type) -> None:
    counts = {'class_counts': COUNTS} if cls is BalancedGroupSoftmaxLoss else {}
    cls(use_sigmoid=False, loss_weight=1.0, reduction='mean', **counts)


def test_values_left_over_from_focal_loss_are_noticed() -> None:
    with pytest.raises(ValueError, match='_delete_=True'):
        EQLv2Loss(use_sigmoid=True, gamma=2.0, alpha=0.25)
    for cls in (EBLLoss, BalancedGroupSoftmaxLoss):
        with pytest.raises(ValueError, match='use_sigmoid'):
            cls(use_sigmoid=True)


@each
def test_doubling_a_weight_doubles_its_term_and_avg_factor_divides(cls: type) -> None:
    channels = make(cls).get_cls_channels(C)
    pred, target = rois(channels)
    weight = torch.ones(64)
    base = make(cls)(pred, target, weight, reduction_override='none')
    total = make(cls)(pred, target, weight, reduction_override='sum')
    assert make(cls)(pred, target, weight, avg_factor=50.0).item() == pytest.approx(total.item() / 50, rel=1e-5)
    weight[5] = 2.0
    changed = make(cls)(pred, target, weight, reduction_override='none')
    assert torch.allclose(changed[5], 2 * base[5]) and torch.allclose(changed[6:], base[6:])


@each
def test_deferred_loss_is_unweighted_and_goes_on_gathering(cls: type) -> None:
    channels = make(cls).get_cls_channels(C)
    pred, target = rois(channels)
    loss = make(cls)
    loss.set_rebalancing(False)
    value = loss(pred, target, avg_factor=64.0).item()
    if cls in (EQLv2Loss, EffectiveClassMarginLoss, ForegroundClassBalanceLoss, FederatedLoss):
        onehot = F.one_hot(target, C + 1)[:, :channels].float()
        expected = F.binary_cross_entropy_with_logits(pred, onehot, reduction='sum') / 64
        assert value == pytest.approx(expected.item(), rel=1e-5)
        assert shifted_sigmoid_loss(pred, target, ignore_index=-1).item() == pytest.approx(value, rel=1e-5)
    elif cls is EBLLoss:
        assert value == pytest.approx(F.cross_entropy(pred, target).item(), rel=1e-5)
    elif cls is SyncedSeesawLoss:
        objects = target < C
        expected = F.cross_entropy(pred[:, C:], (~objects).long()) + F.cross_entropy(pred[objects, :C], target[objects])
        assert value == pytest.approx(expected.item(), rel=1e-5)
    running = make(cls)
    running(pred, target)
    for key, state in running.state_dict().items():
        same = torch.allclose(state.double(), loss.state_dict()[key].double(), rtol=1e-4)
        assert same, f'{key} did not go on'


def test_ecm_measures_the_background_of_the_head() -> None:
    pred, target = rois(C + 1)
    background = int((target == C).sum()) / int((target < C).sum())
    auto = make(EffectiveClassMarginLoss, class_counts=COUNTS)
    fixed = make(EffectiveClassMarginLoss, class_counts=COUNTS, fg_bg_ratio=background)
    assert auto(pred, target).item() == pytest.approx(fixed(pred, target).item(), rel=1e-5)
    assert auto.running.counts.tolist() == torch.bincount(target, minlength=C + 1).tolist()
    assert fixed.running is None and not fixed.state_dict()
    paper = make(EffectiveClassMarginLoss, class_counts=COUNTS, fg_bg_ratio=6.3313)(pred, target)
    assert paper.item() != pytest.approx(auto(pred, target).item(), rel=1e-4)
    counted = make(EffectiveClassMarginLoss)
    own = torch.bincount(target, minlength=C + 1)[:C].tolist()
    expected = make(EffectiveClassMarginLoss, class_counts=own, fg_bg_ratio=background)(pred, target)
    assert counted(pred, target).item() == pytest.approx(expected.item(), rel=1e-5)


def test_bags_needs_counts_and_keeps_its_groups_in_the_checkpoint() -> None:
    with pytest.raises(ValueError, match='ClassCountHook'):
        loss = BalancedGroupSoftmaxLoss()
        loss.get_cls_channels(C)
        loss(*rois(C + 6))
    counts = ClassCounts(tuple('abcde'), instances=[900, 90, 9, 3, 1])
    trained = BalancedGroupSoftmaxLoss()
    trained.get_cls_channels(C)
    trained.bind_prior(PriorLedger(counts.classes, counts.instances), counts)
    pred, target = rois(C + 6)
    trained(pred, target)
    tested = BalancedGroupSoftmaxLoss()
    tested.get_cls_channels(C)
    tested.load_state_dict(trained.state_dict(), strict=True)
    assert torch.equal(tested.get_activation(pred), trained.get_activation(pred))
    assert tested.groups.tolist() == [2, 1, 0, 0, 0]
    with pytest.raises(ValueError, match='must increase'):
        BalancedGroupSoftmaxLoss(group_edges=[100, 10])


@pytest.mark.parametrize('cls', [SyncedSeesawLoss, EffectiveClassMarginLoss, FederatedLoss, BalancedGroupSoftmaxLoss])
def test_the_ledger_learns_that_the_prior_was_corrected(cls: type) -> None:
    counts = ClassCounts(tuple('abcde'), instances=[9000, 900, 90, 30, 10])
    ledger = PriorLedger(counts.classes, counts.instances)
    loss = cls(num_classes_per_step=2) if cls is FederatedLoss else cls()
    loss.bind_prior(ledger, counts)
    assert ledger.entries[-1].source == cls.__name__
    assert ledger.prior[0] < counts.instances[0] / counts.instances.sum()
    assert loss.known_counts().tolist() == pytest.approx([9000, 900, 90, 30, 10])


@pytest.mark.parametrize('cls', [SyncedSeesawLoss, EffectiveClassMarginLoss, FederatedLoss])
def test_counts_of_another_number_of_classes_are_named(cls: type) -> None:
    loss = make(cls, class_counts=[1.0] * 9)
    with pytest.raises(ValueError, match='class_counts'):
        loss(*rois(loss.get_cls_channels(C)))


@each
@pytest.mark.parametrize('deferred', [False, True])
def test_a_step_reads_nothing_back_from_the_device(cls: type, deferred: bool) -> None:
    """On the meta device no value exists: whatever waits for one (.item(), nonzero, bincount, a mask) raises."""
    loss = make(cls).to('meta')
    loss.set_rebalancing(not deferred)
    pred = torch.randn(64, loss.get_cls_channels(C), device='meta', requires_grad=True)
    target = torch.zeros(64, dtype=torch.long, device='meta')
    for _ in range(2):
        loss(pred, target, torch.ones(64, device='meta'), avg_factor=64.0).backward()
    loss.get_accuracy(pred, target)
    assert pred.grad.shape == pred.shape


def test_mmdets_seesaw_waits_for_the_device() -> None:
    host = HostSeesaw(num_classes=C).to('meta')
    with pytest.raises((RuntimeError, NotImplementedError)):
        host(torch.randn(8, C + 2, device='meta'), torch.zeros(8, dtype=torch.long, device='meta'))


# State ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('cls', [*GATHERING, SyncedSeesawLoss, EffectiveClassMarginLoss])
def test_frozen_in_eval_and_restored_on_resume(cls: type) -> None:
    loss = make(cls)
    channels = loss.get_cls_channels(C)
    loss(*rois(channels, 0))
    state = {key: value.clone() for key, value in loss.state_dict().items()}
    assert state
    loss.eval()
    loss(*rois(channels, 1))
    assert all(torch.equal(value, state[key]) for key, value in loss.state_dict().items())
    fresh = cls()  # the checkpoint may come before or after the head asks for its channels
    fresh.load_state_dict(state, strict=True)
    fresh.get_cls_channels(C)
    late = make(cls)
    late.load_state_dict(state, strict=True)
    expected = loss.train()(*rois(channels, 2))
    assert torch.equal(fresh(*rois(channels, 2)), expected) and torch.equal(late(*rois(channels, 2)), expected)
