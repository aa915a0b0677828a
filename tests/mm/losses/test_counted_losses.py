"""The registered losses that use class counts: where the counts come from, state, arguments."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS as ROOT

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, PriorLedger, class_weights
from imbdense.mm.losses.balanced_softmax import BalancedSoftmaxLoss
from imbdense.mm.losses.logit_adjust import LogitAdjustLoss
from imbdense.mm.losses.reweighted_ce import ReweightedCELoss
from tests.helpers.two_ranks import run_two_ranks

COUNTS = [900.0, 90.0, 9.0, 1.0]
COUNTED = [ReweightedCELoss, LogitAdjustLoss, BalancedSoftmaxLoss]
each = pytest.mark.parametrize('cls', COUNTED)


def pixels(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(2, 4, 8, 8, generator=generator, requires_grad=True)
    target = torch.multinomial(torch.tensor([0.7, 0.2, 0.07, 0.03]), 128, True, generator=generator).reshape(2, 8, 8)
    target[0, :2] = 255
    return pred, target


def file_of_counts(tmp_path: Path) -> str:
    counts = ClassCounts(
        ('a', 'b', 'c', 'd'), pixels=[900, 90, 9, 1], images=[10, 9, 4, 1], image_pixels=[1000, 900, 400, 100]
    )
    path = tmp_path / 'class_counts.json'
    path.write_text(counts.to_json())
    return str(path)


@each
def test_list_file_and_content_agree(cls: type, tmp_path: Path) -> None:
    pred, target = pixels()
    path = file_of_counts(tmp_path)
    values = {
        cls(class_counts=source)(pred, target).item()
        for source in (COUNTS, path, json.loads(Path(path).read_text()))
    }
    assert len(values) == 1
    assert cls(class_counts=path, count='images')(pred, target).item() not in values


def test_weights_of_a_scheme_reach_the_loss(tmp_path: Path) -> None:
    pred, target = pixels()
    for scheme in ('inverse', 'sqrt', 'log', 'effective', 'enet', 'randla', 'median'):
        loss = ReweightedCELoss(scheme=scheme, class_counts=file_of_counts(tmp_path))
        weights = torch.tensor(class_weights(COUNTS, scheme, image_pixels=[1000, 900, 400, 100])).float()
        expected = F.cross_entropy(pred, target, weight=weights, ignore_index=255)
        assert loss(pred, target).item() == pytest.approx(expected.item(), rel=1e-5), scheme


def test_median_without_image_pixels_says_what_to_do() -> None:
    with pytest.raises(ValueError, match='image_pixels'):
        ReweightedCELoss(scheme='median', class_counts=COUNTS)(*pixels())


@each
def test_missing_or_broken_file_names_file_and_cure(cls: type, tmp_path: Path) -> None:
    loss = cls(class_counts=str(tmp_path / 'absent.json'))  # building works: a checkpoint may be tested elsewhere
    with pytest.raises(ValueError, match=r'absent\.json.*imbdense stats'):
        loss(*pixels())
    (tmp_path / 'broken.json').write_text('{"classes": [')
    with pytest.raises(ValueError, match=r'broken\.json.*count again'):
        cls(class_counts=str(tmp_path / 'broken.json'))(*pixels())


@each
def test_counts_of_another_number_of_classes(cls: type) -> None:
    with pytest.raises(ValueError, match=r'6 entries but the logits have 4 channels'):
        cls(class_counts=[1.0] * 6)(*pixels())


@each
def test_running_counts_use_the_own_batch_first_and_the_earlier_ones_later(cls: type) -> None:
    loss = cls()
    first, second = pixels(0), pixels(1)
    own = torch.bincount(first[1][first[1] != 255], minlength=4).double()
    assert loss(*first).item() == pytest.approx(cls(class_counts=own.tolist())(*first).item(), rel=1e-6)
    assert torch.equal(loss.running.counts.double(), own)
    before_second = cls(class_counts=own.tolist())(*second).item()
    assert loss(*second).item() == pytest.approx(before_second, rel=1e-6)
    assert int(loss.running.counts.sum()) == int((first[1] != 255).sum() + (second[1] != 255).sum())


@each
def test_running_counts_are_frozen_in_eval_and_restored_from_the_state_dict(cls: type) -> None:
    loss = cls()
    loss(*pixels(0))
    loss.eval()
    loss(*pixels(1))
    state = loss.state_dict()
    assert list(state) == ['running.counts'] and state['running.counts'].dtype == torch.int64
    fresh = cls()
    fresh.load_state_dict(state, strict=True)
    loss.train()
    assert torch.equal(fresh(*pixels(2)), loss(*pixels(2)))
    assert torch.equal(fresh.running.counts, loss.running.counts)


def _counts_on_this_rank() -> list[int]:
    import torch.distributed as dist

    loss = BalancedSoftmaxLoss()
    for step in range(3):
        loss(*pixels(2 * step + dist.get_rank()))
    return loss.running.counts.tolist()


def test_two_ranks_hold_the_counts_of_the_joined_batch() -> None:
    one, other = run_two_ranks(_counts_on_this_rank)
    joined = BalancedSoftmaxLoss()
    for step in range(3):
        batches = [pixels(2 * step), pixels(2 * step + 1)]
        joined(torch.cat([b[0] for b in batches]), torch.cat([b[1] for b in batches]))
    assert one == other == joined.running.counts.tolist()


@each
def test_roi_head_background_is_found_by_its_channel(cls: type) -> None:
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(50, 5, generator=generator)
    target = torch.randint(0, 5, (50,), generator=generator)
    counted, running = cls(class_counts=COUNTS), cls()
    for loss in (counted, running):
        value = loss(pred, target, torch.ones(50), avg_factor=50.0)
        assert torch.isfinite(value) and value > 0
    assert running.running.counts.numel() == 4
    points = cls()
    points(pred, target, ignore_index=-1)  # a head that names an ignore value has no background channel
    assert points.running.counts.numel() == 5


@each
def test_label_255_is_a_class_for_two_dimensional_logits(cls: type) -> None:
    """LVIS has 1203 classes: an ignore index of 255 would silently drop one."""
    pred = torch.zeros(3, 301)
    target = torch.tensor([255, 255, 300])
    value = cls(class_counts=[1.0] * 300)(pred, target, reduction_override='none')
    assert (value > 0).all()


@each
def test_fixed_channel_weights_of_query_heads(cls: type) -> None:
    """DETR passes a tensor with the no-object weight last; Mask2Former reads ``class_weight`` and divides by it."""
    generator = torch.Generator().manual_seed(0)
    pred = torch.randn(50, 5, generator=generator)
    target = torch.randint(0, 5, (50,), generator=generator)
    fixed = torch.tensor([1.0, 1.0, 1.0, 1.0, 0.1])
    loss = cls(class_counts=[1.0, 1.0, 1.0, 1.0], class_weight=fixed)
    assert loss.class_weight == pytest.approx(fixed.tolist()) and loss.use_sigmoid is False
    expected = F.cross_entropy(pred, target, weight=fixed)
    assert loss(pred, target, avg_factor=fixed[target].sum()).item() == pytest.approx(expected.item(), rel=1e-5)
    assert 'fixed_weight' not in loss.state_dict()


@each
def test_unknown_argument_is_a_type_error_that_names_it(cls: type) -> None:
    with pytest.raises(TypeError, match='clas_counts'):
        ROOT.build({'type': f'imbdense.{cls.__name__}', 'clas_counts': [1]})


@each
def test_loss_name_must_be_optimised_by_mmengine(cls: type) -> None:
    with pytest.raises(ValueError, match="loss_name must contain 'loss'"):
        cls(loss_name='balanced')
    assert 'loss' in cls().loss_name


@each
@pytest.mark.parametrize(
    'wrong', [{'empty_class': 'two'}, {'count': 'pixel'}, {'reduction': 'avg'}, {'normalizer': 'x'},
              {'loss_weight': -1}, {'focal_gamma': 2.0}]
)
def test_wrong_options_are_refused_at_construction(cls: type, wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        cls(**wrong)


@each
def test_masked_empty_class_is_taken_out_and_its_elements_ignored(cls: type) -> None:
    pred, target = pixels()
    counts = [900.0, 90.0, 9.0, 0.0]
    assert (target == 3).any()
    loss = cls(class_counts=counts, empty_class='mask')
    value = loss(pred, target)
    value.backward()
    assert torch.isfinite(value)
    assert (pred.grad.movedim(1, -1)[target == 3] == 0).all()


@each
def test_reduction_override_and_loss_weight(cls: type) -> None:
    pred, target = pixels()
    loss, double = cls(class_counts=COUNTS), cls(class_counts=COUNTS, loss_weight=2)
    assert double(pred, target).item() == pytest.approx(2 * loss(pred, target).item(), rel=1e-6)
    assert loss(pred, target, reduction_override='none').shape == target.shape
    with pytest.raises(ValueError, match='reduction_override'):
        loss(pred, target, reduction_override='median')


# The ledger ---------------------------------------------------------------------------------------------------------

CLASS_COUNTS = ClassCounts(('a', 'b', 'c', 'd'), pixels=[900, 90, 9, 1])


def ledger_after_sampler() -> PriorLedger:
    ledger = PriorLedger(CLASS_COUNTS.classes, CLASS_COUNTS.pixels)
    ledger.declare('RepeatFactorSampler', [600, 200, 120, 80])
    return ledger


@each
def test_bound_loss_corrects_only_what_the_sampler_left(cls: type) -> None:
    pred, target = pixels()
    ledger = ledger_after_sampler()
    loss = cls()
    loss.bind_prior(ledger, CLASS_COUNTS)
    expected = cls(class_counts=[600.0, 200.0, 120.0, 80.0])(pred, target).item()
    assert loss(pred, target).item() == pytest.approx(expected, rel=1e-5)
    assert ledger.entries[-1].stage == 'loss' and ledger.entries[-1].source == cls.__name__
    assert loss.running is None and not loss.state_dict()
    if cls is BalancedSoftmaxLoss:
        assert ledger.prior == pytest.approx([0.25] * 4)


def test_a_loss_in_images_takes_the_image_counts_and_what_the_sampler_does_to_each_class() -> None:
    counts = ClassCounts(('a', 'b', 'c', 'd'), pixels=[900, 90, 9, 1], images=[10, 10, 5, 5])
    ledger = PriorLedger(counts.classes, counts.pixels)
    ledger.declare('RepeatFactorSampler', [900, 90, 18, 2])  # c and d come twice as often
    loss = BalancedSoftmaxLoss(count='images')
    loss.bind_prior(ledger, counts)
    assert loss.known_counts().tolist() == pytest.approx([7.5] * 4)  # 10 10 10 10, of the same sum as 10 10 5 5


@each
def test_explicit_counts_after_a_sampler_are_a_double_correction_that_names_it(cls: type) -> None:
    with pytest.raises(DoubleCorrectionError, match='RepeatFactorSampler already changed'):
        cls(class_counts=COUNTS).bind_prior(ledger_after_sampler(), CLASS_COUNTS)
    ledger = ledger_after_sampler()
    cls(class_counts=COUNTS, force=True).bind_prior(ledger, CLASS_COUNTS)
    assert ledger.entries[-1].source == cls.__name__


@each
def test_losses_of_main_and_auxiliary_head_act_side_by_side(cls: type) -> None:
    ledger = ledger_after_sampler()
    main, auxiliary = cls(), cls()
    main.bind_prior(ledger, CLASS_COUNTS)
    after_main = ledger.prior
    auxiliary.bind_prior(ledger, CLASS_COUNTS)
    assert torch.equal(main.known_counts(), auxiliary.known_counts())
    assert ledger.prior == pytest.approx(after_main)


@each
def test_explicit_counts_equal_to_the_labels_are_fine_without_a_sampler(cls: type) -> None:
    ledger = PriorLedger(CLASS_COUNTS.classes, CLASS_COUNTS.pixels)
    cls(class_counts=COUNTS).bind_prior(ledger, CLASS_COUNTS)
    with pytest.raises(ValueError, match='3 entries, the data set has 4'):
        cls(class_counts=[1.0, 2.0, 3.0]).bind_prior(ledger, CLASS_COUNTS)


# Deferral and warnings ------------------------------------------------------------------------------------------------


@each
def test_deferred_loss_is_plain_cross_entropy_and_goes_on_counting(cls: type) -> None:
    torch.manual_seed(0)
    pred, target = torch.randn(2, 3, 4, 4), torch.randint(0, 3, (2, 4, 4))
    given, running = cls(class_counts=[100, 10, 1]), cls()
    for loss in (given, running):
        loss.set_rebalancing(False)
        assert loss(pred, target).item() == pytest.approx(torch.nn.functional.cross_entropy(pred, target).item())
        loss.set_rebalancing(True)
    assert running.running.counts.tolist() == torch.bincount(target.flatten(), minlength=3).tolist()
    assert given(pred, target).item() != pytest.approx(torch.nn.functional.cross_entropy(pred, target).item(), rel=1e-3)


def test_a_loss_can_be_copied_with_its_arguments_and_state() -> None:
    loss = LogitAdjustLoss(class_counts=[3, 1], tau=0.5, class_weight=[1.0, 2.0])
    copy = deepcopy(loss)
    pred, target = torch.randn(1, 2, 3, 3), torch.randint(0, 2, (1, 3, 3))
    assert copy.tau == 0.5 and torch.equal(copy(pred, target), loss(pred, target))


@each
def test_a_class_without_samples_is_warned_about(cls: type) -> None:
    with pytest.warns(UserWarning, match=r'classes \[1\] have zero samples'):
        cls(class_counts=[10, 0, 5])


def test_weights_above_fifty_times_the_mean_are_warned_about() -> None:
    pred, target = torch.randn(1, 2, 3, 3), torch.randint(0, 2, (1, 3, 3))
    with pytest.warns(UserWarning, match='class 1 weighs 250 times'):
        ReweightedCELoss(class_counts=[499, 1])(pred, target)  # mean weight (499 * 1/499 + 1) / 500 = 1 / 250
