"""The registered long-tail losses of the softmax family: counts, deferral, removed classes, what the ledger hears."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from imbdense.core.losses import ldam_loss, sigmoid_focal_cb_loss, softmax_focal_loss
from imbdense.core.stats import ClassCounts, DoubleCorrectionError, PriorLedger, class_weights
from imbdense.mm.losses.balanced_logit_variation import BalancedLogitVariationLoss
from imbdense.mm.losses.balanced_softmax import BalancedSoftmaxLoss
from imbdense.mm.losses.cdt import CDTLoss
from imbdense.mm.losses.influence_balanced import InfluenceBalancedLoss
from imbdense.mm.losses.label_aware_smooth import LabelAwareSmoothLoss
from imbdense.mm.losses.lade import LADELoss
from imbdense.mm.losses.ldam import LDAMLoss
from imbdense.mm.losses.sigmoid_focal_cb import SigmoidFocalCBLoss
from imbdense.mm.losses.softmax_eql import SoftmaxEQLLoss
from imbdense.mm.losses.softmax_focal import SoftmaxFocalLoss

COUNTS = [900.0, 90.0, 9.0, 1.0]
CLASS_COUNTS = ClassCounts(('a', 'b', 'c', 'd'), pixels=[900, 90, 9, 1])
SOFTMAX = {
    'focal': (SoftmaxFocalLoss, {'scheme': 'effective'}),
    'ldam': (LDAMLoss, {'s': 5.0, 'scheme': 'effective'}),
    'seql': (SoftmaxEQLLoss, {'threshold': 0.05}),
    'cdt': (CDTLoss, {}),
    'smooth': (LabelAwareSmoothLoss, {}),
    'blv': (BalancedLogitVariationLoss, {}),
    'ib': (InfluenceBalancedLoss, {'alpha': 10.0}),
}
each = pytest.mark.parametrize(('cls', 'options'), SOFTMAX.values(), ids=SOFTMAX.keys())


def pixels(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(2, 4, 8, 8, generator=generator, requires_grad=True)
    target = torch.multinomial(torch.tensor([0.7, 0.2, 0.07, 0.03]), 128, True, generator=generator).reshape(2, 8, 8)
    target[0, :2] = 255
    return pred, target


def run(loss: Any, pred: torch.Tensor, target: torch.Tensor, **options: Any) -> torch.Tensor:
    """One call with the same draw every time; the features, where wanted, have norm one."""
    torch.manual_seed(0)
    if hasattr(loss, 'take_features'):
        loss.take_features(torch.ones(target.shape).unsqueeze(1))
    return loss(pred, target, **options)


@pytest.fixture(autouse=True)
def quiet() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='.*weighs .* times the average element')
        yield


# Counts, deferral, removed classes ------------------------------------------------------------------------------------


@each
def test_running_counts_of_the_first_batch_equal_given_ones(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    own = torch.bincount(target[target != 255], minlength=4)
    loss = cls(**options)
    assert run(loss, pred, target).item() == pytest.approx(
        run(cls(class_counts=own.tolist(), **options), pred, target).item(), rel=1e-6
    )
    assert torch.equal(loss.running.counts, own)


@each
def test_counts_matter(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    value = run(cls(class_counts=COUNTS, **options), pred, target).item()
    assert value != pytest.approx(run(cls(class_counts=[5.0] * 4, **options), pred, target).item(), rel=1e-4)


@each
def test_a_first_batch_without_a_label_is_zero_and_counts_nothing(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    for empty_class in ('one', 'mask'):
        loss = cls(empty_class=empty_class, **options)
        value = run(loss, pred, torch.full_like(target, 255))
        value.backward()
        assert value.item() == 0 and (pred.grad == 0).all()


@each
def test_deferred_it_is_its_unweighted_self_and_goes_on_counting(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    loss = cls(**options)
    loss.set_rebalancing(False)
    value = loss(pred, target)  # also without features
    if cls is SoftmaxFocalLoss:
        expected = softmax_focal_loss(pred, target)
    elif cls is LDAMLoss:
        expected = ldam_loss(pred, target, torch.bincount(target[target != 255], minlength=4), s=5.0)
    else:
        expected = F.cross_entropy(pred, target, ignore_index=255)
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert int(loss.running.counts.sum()) == int((target != 255).sum())
    loss.set_rebalancing(True)
    assert run(loss, pred, target).item() != pytest.approx(value.item(), rel=1e-4)


@each
def test_a_removed_class_gets_no_gradient_and_its_elements_are_ignored(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    with pytest.warns(UserWarning, match='taken out'):
        loss = cls(class_counts=[900.0, 90.0, 9.0, 0.0], empty_class='mask', **options)
    value = run(loss, pred, target)
    value.backward()
    assert torch.isfinite(value) and (target == 3).any()
    assert (pred.grad[:, 3] == 0).all() and (pred.grad.movedim(1, -1)[target == 3] == 0).all()


@each
def test_fixed_channel_weights_zero_silences_a_class(cls: type, options: dict[str, Any]) -> None:
    pred, target = pixels()
    loss = cls(class_counts=COUNTS, class_weight=[0.0, 1.0, 1.0, 1.0], **options)
    terms = run(loss, pred, target, reduction_override='none')
    assert (terms[target == 0] == 0).all() and (terms[target == 1] > 0).all()


@each
def test_a_sigmoid_is_refused_with_what_to_take_instead(cls: type, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match='SigmoidFocalCBLoss'):
        cls(use_sigmoid=True, **options)


@pytest.mark.parametrize('name', ['seql', 'blv'])
def test_randomness_ends_with_training(name: str) -> None:
    cls, options = SOFTMAX[name]
    pred, target = pixels()
    loss = cls(class_counts=COUNTS, **options)
    assert loss(pred, target) != loss(pred, target)
    loss.eval()
    assert loss(pred, target).item() == pytest.approx(F.cross_entropy(pred, target, ignore_index=255).item(), rel=1e-6)


def test_focal_without_weights_counts_nothing() -> None:
    pred, target = pixels()
    loss = SoftmaxFocalLoss()
    assert loss(pred, target).item() == pytest.approx(softmax_focal_loss(pred, target).item(), rel=1e-6)
    assert loss.running is None and not loss.state_dict()


def test_influence_weights_have_mean_one_over_the_classes() -> None:
    weights = InfluenceBalancedLoss(class_counts=COUNTS).scheme_weights(torch.tensor(COUNTS))
    inverse = 1 / torch.tensor(COUNTS, dtype=torch.float64)
    assert torch.allclose(weights, inverse / inverse.sum() * 4)


def test_influence_without_features_names_the_hook() -> None:
    loss = InfluenceBalancedLoss(class_counts=COUNTS)
    with pytest.raises(ValueError, match=r'none came.*FeatureTapHook'):
        loss(*pixels())
    loss.take_features(torch.ones(5, 3))
    with pytest.raises(ValueError, match=r'features of shape \(5,\) came'):
        loss(*pixels())


def test_influence_interpolates_the_norm_to_the_labels_and_uses_it_once() -> None:
    pred, target = pixels()
    loss = InfluenceBalancedLoss(class_counts=COUNTS, alpha=10.0)
    loss.take_features(-torch.ones(2, 3, 4, 4))
    coarse = loss(pred, target).item()
    loss.take_features(torch.ones(2, 3, 8, 8))
    assert loss(pred, target).item() == pytest.approx(coarse, rel=1e-6)
    with pytest.raises(ValueError, match='none came'):
        loss(pred, target)


# Class-balanced focal loss --------------------------------------------------------------------------------------------


def test_class_balanced_focal_takes_the_weights_as_they_are_on_maps_and_scaled_beside_a_background() -> None:
    weights = torch.as_tensor(class_weights(COUNTS, 'effective'))
    pred, target = pixels()
    maps = SigmoidFocalCBLoss(class_counts=COUNTS)(pred, target)
    assert maps.item() == pytest.approx(sigmoid_focal_cb_loss(pred, target, weights).item(), rel=1e-6)
    anchors, labels = torch.randn(50, 4), torch.randint(0, 5, (50,))
    prior = torch.tensor(COUNTS, dtype=torch.float64) / sum(COUNTS)
    expected = sigmoid_focal_cb_loss(anchors, labels, weights / (prior * weights).sum(), ignore_index=-1)
    value = SigmoidFocalCBLoss(class_counts=COUNTS)(anchors, labels)
    assert value.item() == pytest.approx(expected.item(), rel=1e-6)
    assert value.item() == pytest.approx(
        SigmoidFocalCBLoss(class_counts=COUNTS, background=True)(anchors, labels, ignore_index=-1).item(), rel=1e-6
    )


def test_class_balanced_focal_deferred_is_the_focal_loss_of_the_host() -> None:
    focal = pytest.importorskip('mmdet.models.losses.focal_loss')
    anchors, labels = torch.randn(50, 4), torch.randint(0, 5, (50,))
    loss = SigmoidFocalCBLoss(class_counts=COUNTS)
    loss.set_rebalancing(False)
    onehot = F.one_hot(labels, 5)[:, :4]
    host = focal.py_sigmoid_focal_loss(anchors, onehot, gamma=2.0, alpha=0.5, reduction='sum')
    assert loss(anchors, labels, reduction_override='sum').item() == pytest.approx(2 * host.item(), rel=1e-5)


def test_class_balanced_focal_needs_sigmoids() -> None:
    with pytest.raises(ValueError, match='SoftmaxFocalLoss'):
        SigmoidFocalCBLoss(use_sigmoid=False)


# The ledger -----------------------------------------------------------------------------------------------------------

TIES = {
    'focal': (SoftmaxFocalLoss, {'scheme': 'effective', 'focal_gamma': 2.0}, 1e-6),
    'focal mild': (SoftmaxFocalLoss, {'scheme': 'sqrt', 'focal_gamma': 0.5}, 1e-6),
    'ldam': (LDAMLoss, {'s': 2.0}, 1e-6),
    'ldam weighted': (LDAMLoss, {'s': 30.0, 'scheme': 'inverse'}, 1e-6),
    'smooth': (LabelAwareSmoothLoss, {}, 1e-6),
    'ib': (InfluenceBalancedLoss, {}, 1e-6),
    'seql': (SoftmaxEQLLoss, {'threshold': 0.2, 'gamma': 0.8}, 0.01),  # drawn
    'blv': (BalancedLogitVariationLoss, {}, 0.01),  # drawn, and first order
}


@pytest.mark.parametrize(('cls', 'options', 'tolerance'), TIES.values(), ids=TIES.keys())
def test_the_declared_change_is_where_two_classes_tie(cls: type, options: dict[str, Any], tolerance: float) -> None:
    """Classes as likely as e^-change: equal logits are then the optimum, so the mean gradient there is zero."""
    counts, number = [900.0, 100.0], 20000
    loss = cls(class_counts=counts, **options)
    share = torch.softmax(-loss.log_change(torch.tensor(counts)), 0).float()
    pred = torch.zeros(2 * number, 2, requires_grad=True)
    target = torch.arange(2).repeat_interleave(number)
    run(loss, pred, target, weight=share[target], reduction_override='sum', ignore_index=-1).backward()
    pull = pred.grad[:, 0].reshape(2, number).sum(1)
    assert pull.sum().abs().item() <= tolerance * pull.abs().sum().item()
    if cls is not LDAMLoss or options.get('scheme'):
        assert abs(share[0].item() - 0.5) > 0.05, 'this loss moves the decision'


def ledger_after(loss: Any, *, sampler: bool = False) -> PriorLedger:
    ledger = PriorLedger(CLASS_COUNTS.classes, CLASS_COUNTS.pixels)
    if sampler:
        ledger.declare('RepeatFactorSampler', [600, 200, 120, 80])
    loss.bind_prior(ledger, CLASS_COUNTS)
    return ledger


def post_hoc(ledger: PriorLedger) -> None:
    ledger.apply('PostHocLogitAdjustHook', 'post_hoc', ledger.residual())


def test_temperatures_count_as_the_whole_correction_so_that_nothing_corrects_again() -> None:
    ledger = ledger_after(CDTLoss())
    assert ledger.prior == pytest.approx([0.25] * 4)
    with pytest.raises(DoubleCorrectionError, match='CDTLoss'):
        post_hoc(ledger)
    post_hoc(ledger_after(CDTLoss(gamma=0.0)))


def test_margins_alone_leave_the_prior_to_a_post_hoc_step_and_weights_do_not() -> None:
    ledger = ledger_after(LDAMLoss())
    labels = np.array(COUNTS) / 1000
    assert ledger.prior == pytest.approx(labels, rel=0.1)
    post_hoc(ledger)
    assert ledger_after(LDAMLoss(scheme='inverse')).prior == pytest.approx([0.25] * 4, rel=0.1)


@pytest.mark.parametrize(
    'loss', [SoftmaxEQLLoss(class_counts=COUNTS, threshold=0.02), LabelAwareSmoothLoss(class_counts=COUNTS)],
    ids=['seql', 'smooth'],
)
def test_given_counts_after_a_sampler_are_refused(loss: Any) -> None:
    with pytest.raises(DoubleCorrectionError, match='RepeatFactorSampler already changed'):
        ledger_after(loss, sampler=True)


@each
def test_bound_counts_are_those_the_sampler_left(cls: type, options: dict[str, Any]) -> None:
    loss = cls(**options)
    ledger = ledger_after(loss, sampler=True)
    assert loss.known_counts().tolist() == pytest.approx([600, 200, 120, 80])
    assert ledger.entries[-1].source == cls.__name__
    pred, target = pixels()
    run(loss, pred, target).backward()
    assert not loss.state_dict()


def test_the_regulariser_declares_nothing_and_takes_the_counts() -> None:
    pred, target = pixels()
    regulariser = LADELoss()
    ledger = ledger_after(regulariser)
    assert [entry.stage for entry in ledger.entries] == ['labels']
    BalancedSoftmaxLoss().bind_prior(ledger, CLASS_COUNTS)
    assert ledger.prior == pytest.approx([0.25] * 4)
    assert regulariser(pred, target).item() == pytest.approx(LADELoss(class_counts=COUNTS)(pred, target).item())


def test_the_regulariser_deferred_is_zero_with_a_graph() -> None:
    pred, target = pixels()
    loss = LADELoss()
    loss.set_rebalancing(False)
    loss(pred, target).backward()
    assert (pred.grad == 0).all() and int(loss.running.counts.sum()) == int((target != 255).sum())
    for wrong in ({'normalizer': 'valid'}, {'class_weight': [1.0]}, {'remine_lambda': -1}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            LADELoss(**wrong)
