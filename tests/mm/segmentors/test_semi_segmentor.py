"""SemiSegmentor: two kinds of host, constant keys, edge cases, prediction, weights, loading and export."""

from __future__ import annotations

import math
import warnings
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.logging import MessageHub

from imbdense.core.inference import LogitCalibration
from imbdense.core.stats import PriorLedger
from imbdense.mm.logit_attachment import attach_logit_map
from imbdense.mm.network_state import network_state
from imbdense.registry import MODELS
from tests.mm.segmentors.semi_cases import batch, build, fcn, segformer, step

RULES = ('fixmatch', 'unimatch', 'cps', 'u2pl')
LOW = dict(type='imbdense.FixedThreshold', threshold=0.2)


@pytest.fixture(autouse=True)
def _hub() -> Any:
    """No run is under way."""
    hub = MessageHub.get_instance('semi')
    hub.update_info('iter', 0)
    hub.update_info('max_iters', 0)
    return hub


@pytest.mark.parametrize('consistency', RULES)
@pytest.mark.parametrize('host', [fcn, segformer])
def test_two_steps_and_a_prediction(host: Any, consistency: str) -> None:
    model = build(host(), consistency=consistency)
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.01)
    for seed in range(2):
        total, terms = step(model, batch(seed=seed))
        assert math.isfinite(total.item())
        optimizer.zero_grad()
        total.backward()
        unused = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
        assert not unused, 'DistributedDataParallel would wait for these'
        optimizer.step()
    assert {'stat_mask_rate', 'stat_unsup_weight', *(f'stat_share_{c}' for c in range(4))} < set(terms)
    model.eval()
    data = model.data_preprocessor(batch(labeled=1, unlabeled=0), False)
    result = model(**data, mode='predict')[0]
    assert result.pred_sem_seg.data.shape == (1, 32, 32) and int(result.pred_sem_seg.data.max()) < 4


@pytest.mark.parametrize('consistency', RULES)
def test_nothing_accepted_or_all_padding_is_zero_with_the_same_keys(consistency: str) -> None:
    usual = set(step(build(consistency=consistency), batch())[1])
    never = dict(type='imbdense.FixedThreshold', threshold=1.0)
    for options, data in (({'pseudo': never}, batch()), ({}, batch(valid=False))):
        model = build(consistency=consistency, **options)
        if consistency == 'cps':
            model.consistency.on_labeled = False
        total, terms = step(model, data)
        assert set(terms) == usual
        unsupervised = {key: value for key, value in terms.items() if key.startswith('unsup.')}
        assert all(value.item() == 0 and value.requires_grad for key, value in unsupervised.items()), unsupervised
        assert terms['stat_mask_rate'].item() == 0
        total.backward()
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all())
                   for p in model.parameters() if p.requires_grad)


@pytest.mark.parametrize('consistency', RULES)
def test_two_classes_and_single_images(consistency: str) -> None:
    model = build(fcn(2), consistency=consistency, pseudo=dict(type='imbdense.FixedThreshold', threshold=0.5))
    total, terms = step(model, batch(labeled=1, unlabeled=1, classes=2))
    assert math.isfinite(total.item()) and terms['stat_mask_rate'].item() == pytest.approx(1.0)


def test_padding_counts_nothing() -> None:
    """The images differ in the padded columns only: on the weak side that may change labels near the border alone."""
    model = build(consistency=dict(type='imbdense.FixMatchConsistency', cutmix=0.0), pseudo=LOW)
    prepared = model.data_preprocessor(batch(), True)
    batch_ = model._batch(**prepared)
    probs = torch.rand(3, 4, 32, 32).softmax(1)
    pseudo = model.label(probs, None, batch_.valid)
    assert (pseudo.label[..., 24:] == 255).all() and (pseudo.label[..., :24] != 255).all()
    assert not pseudo.weight[..., 24:].any()


def test_norm_all_divides_by_the_valid_pixels_and_kept_by_the_labelled() -> None:
    """A threshold that rejects half: the ratio of both losses is the mask rate."""
    values = {}
    for norm in ('all', 'kept'):
        rule = dict(type='imbdense.FixMatchConsistency', cutmix=0.0, norm=norm)
        model = build(segformer(), consistency=rule, teacher='self').eval()
        data = model.data_preprocessor(batch(), True)
        confidence = model.teacher_view(data['inputs']['unsup_weak'])[0].amax(1)[model._batch(**data).valid]
        model.pseudo.positive.fill_(confidence.median())
        terms = model(**data, mode='loss')
        values[norm] = terms['unsup.loss_strong'].item()
    rate = terms['stat_mask_rate'].item()
    assert rate == pytest.approx(0.5, abs=0.01)
    assert values['all'] / values['kept'] == pytest.approx(rate, rel=1e-4)


def test_weights_and_ramp(_hub: Any) -> None:
    model = build(sup_weight=0.5, unsup_weight=2.0, ramp=100, pseudo=LOW)
    for iteration, ramp in ((0, math.exp(-5)), (50, math.exp(-1.25)), (100, 1.0), (400, 1.0)):
        _hub.update_info('iter', iteration)
        assert step(model, batch())[1]['stat_unsup_weight'].item() == pytest.approx(2 * ramp, rel=1e-6)
    weighted = step(build(sup_weight=0.5), batch())[1]['sup.decode.loss_ce'].item()
    assert weighted == pytest.approx(0.5 * step(build(), batch())[1]['sup.decode.loss_ce'].item(), rel=1e-5)


def test_the_rule_hears_how_far_training_is(_hub: Any) -> None:
    _hub.update_info('max_iters', 200)
    _hub.update_info('iter', 50)
    model = build(consistency='u2pl')
    step(model, batch())
    assert model.pseudo.progress == 0.25 and model.pseudo.percent == pytest.approx(85)


def test_unimatch_weighs_its_branches_as_the_paper() -> None:
    """With equal views and nothing dropped all three terms are the same CE: 1/2 [1/4 + 1/4 + 1/2] of it."""
    rule = dict(type='imbdense.UniMatchConsistency', cutmix=0.0, feature_drop=0.0)
    model = build(segformer(), consistency=rule, pseudo=dict(type='imbdense.FixedThreshold', threshold=0.0)).eval()
    data = model.data_preprocessor(batch(), True)
    for name in ('unsup_strong_1', 'unsup_strong_2'):
        data['inputs'][name] = data['inputs']['unsup_weak']
    terms = model(**data, mode='loss')
    logits = model.logits(model.student, data['inputs']['unsup_weak'])
    valid = model._batch(**data).valid
    plain = -logits.log_softmax(1).max(1).values[valid].mean().item()
    assert terms['unsup.loss_strong'].item() == pytest.approx(0.25 * plain, rel=1e-4)
    assert terms['unsup.loss_feature'].item() == pytest.approx(0.25 * plain, rel=1e-4)


def test_cps_by_hand() -> None:
    """CE(z1, argmax z2) + CE(z2, argmax z1) over the valid pixels of labelled and unlabelled images, times lambda."""
    model = build(segformer(), consistency='cps', unsup_weight=1.5).eval()
    assert any(not torch.equal(a, b) for a, b in zip(model.student.parameters(), model.peer.parameters()))
    data = model.data_preprocessor(batch(), True)
    terms = model(**data, mode='loss')
    images = torch.cat([data['inputs']['unsup_weak'], data['inputs']['sup']])
    valid = torch.cat([model._batch(**data).valid, torch.ones(2, 32, 32, dtype=torch.bool)])
    one, two = (model.logits(network, images).movedim(1, -1)[valid] for network in (model.student, model.peer))
    expected = torch.nn.functional.cross_entropy(one, two.argmax(1)).item()
    assert terms['unsup.loss_cross'].item() == pytest.approx(1.5 * expected, rel=1e-4)
    expected = torch.nn.functional.cross_entropy(two, one.argmax(1)).item()
    assert terms['unsup.loss_cross_peer'].item() == pytest.approx(1.5 * expected, rel=1e-4)


def test_u2pl_by_hand() -> None:
    """Half of the pixels pass the entropy percentile: mean CE over them times all pixels / kept ones."""
    model = build(
        segformer(), consistency=dict(type='imbdense.U2PLConsistency', cutmix=0.0, contrast=0.0),
        pseudo=dict(type='imbdense.EntropyPercentile', start=50.0, end=50.0),
    )  # fmt: skip
    model.student.eval()
    data = model.data_preprocessor(batch(strong=0), True)
    terms = model(**data, mode='loss')
    weak = data['inputs']['unsup_weak']
    probs, _ = model.teacher_view(weak)
    pseudo = model.label(probs, None, model._batch(**data).valid)
    kept = pseudo.label != 255
    assert kept.sum().item() == pytest.approx(0.5 * 3 * 32 * 24, abs=2)
    loss = torch.nn.functional.cross_entropy(model.logits(model.student, weak), pseudo.label, ignore_index=255)
    assert terms['unsup.loss_strong'].item() == pytest.approx((loss * kept.numel() / kept.sum()).item(), rel=1e-4)


def test_u2pl_contrast_learns_and_fills_the_memory() -> None:
    rule = dict(type='imbdense.U2PLConsistency', confidence=0.0, anchors=16, negatives=8, bank_size=32, dim=16)
    model = build(consistency=rule)
    first = step(model, batch(seed=0))[1]
    total, terms = step(model, batch(seed=1))
    assert terms['unsup.loss_contrast'].item() > 0 and first.keys() == terms.keys()
    total.backward()
    assert float(model.consistency.projection.student[0].weight.grad.abs().sum()) > 0
    assert model.consistency.projection.teacher[0].weight.grad is None
    assert model.consistency.bank.filled.sum() > 0


def test_u2pl_takes_anchors_and_negatives_from_equal_shares_of_all_valid_pixels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the rule has dropped pixels: a fifth of the valid ones each, lowest and highest entropy."""
    seen: list[Any] = []
    monkeypatch.setattr(
        'imbdense.mm.segmentors.consistency.u2pl.memory_contrast_loss',
        lambda pixels, bank, **options: seen.append(pixels) or pixels.features.sum() * 0,
    )
    rule = dict(type='imbdense.U2PLConsistency', cutmix=0.0, dim=8)
    model = build(fcn(), consistency=rule, pseudo=dict(type='imbdense.EntropyPercentile', start=50.0, end=50.0))
    model.teacher.decode_head.conv_seg.weight.data.mul_(300.0)  # an untrained head is so unsure that entropies tie
    step(model, batch(strong=0))
    pixels, valid = seen[0], 3 * 32 * 24
    assert (pixels.reliable & ~pixels.labeled).sum().item() == pytest.approx(0.2 * valid, abs=2)
    assert (pixels.unreliable & ~pixels.labeled).sum().item() == pytest.approx(0.2 * valid, abs=2)


def test_u2pl_with_few_classes_says_which_ranks_give_negatives(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(
        'imbdense.mm.segmentors.consistency.u2pl.memory_contrast_loss',
        lambda pixels, bank, **options: seen.append(options['ranks']) or pixels.features.sum() * 0,
    )
    with pytest.warns(UserWarning, match=r'ranks=\(1, 20\)'):
        build(fcn(2), consistency='u2pl')
    with warnings.catch_warnings():
        warnings.filterwarnings('error', message='U2PLConsistency')
        model = build(fcn(2), consistency=dict(type='imbdense.U2PLConsistency', ranks=(1, 20), dim=8))
    step(model, batch(strong=0, classes=2))
    assert seen == [(1, 20)]
    with pytest.raises(ValueError, match='low < high'):
        build(consistency=dict(type='imbdense.U2PLConsistency', ranks=(3, 3)))


def test_statistics_count_the_labels() -> None:
    model = build(pseudo=LOW)
    _, terms = step(model, batch())
    shares = torch.stack([terms[f'stat_share_{c}'] for c in range(4)])
    assert shares.sum().item() == pytest.approx(1.0)
    assert model.pseudo_counts.counts.sum().item() == 3 * 32 * 24
    assert torch.allclose(model.pseudo_counts.counts / (3 * 32 * 24.0), shares.double().float())


def test_a_cut_threshold_accepts_more_of_that_class_alone() -> None:
    model = build(pseudo=dict(type='imbdense.FixedThreshold', threshold=0.8))
    probs = torch.tensor([[0.75, 0.05, 0.1, 0.1], [0.05, 0.75, 0.1, 0.1], [0.9, 0.04, 0.03, 0.03]]).T[None, :, None]
    valid = torch.ones(1, 1, 3, dtype=torch.bool)
    assert model.label(probs, None, valid).label.tolist() == [[[255, 255, 0]]]
    model.threshold_cut[1] = 0.9
    found = model.label(probs, None, valid)
    assert found.label.tolist() == [[[255, 1, 0]]] and found.weight.tolist() == [[[0, 1, 1]]]


def test_refiners_come_before_the_rule() -> None:
    """Aligned to a prior of class 1 alone, everything is labelled 1."""
    model = build(pseudo=LOW, refine=[dict(type='imbdense.DistributionAlign', target=[0.001, 1.0, 0.001, 0.001])])
    probs = torch.full((1, 4, 2, 2), 0.25)
    probs[:, 0] += 0.1
    for _ in range(3):
        pseudo = model.label(probs, None, torch.ones(1, 2, 2, dtype=torch.bool))
    assert (pseudo.label == 1).all()


def test_teacher_stays_frozen_and_predicts_unless_the_student_shall() -> None:
    model = build()
    assert not model.teacher.training and model.student.training
    assert not any(p.requires_grad for p in model.teacher.parameters()) and model.predictor is model.teacher
    assert build(predict_on='student').predictor is not None
    student = build(predict_on='student')
    assert student.predictor is student.student
    assert build(consistency='cps').predict_on == 'student'


def test_a_calibration_acts_on_the_network_that_predicts() -> None:
    """A shift of class 2 that outweighs every logit; afterwards all is as before."""
    model = build().eval()
    data = model.data_preprocessor(batch(labeled=1, unlabeled=0), False)
    before = model(**data, mode='predict')[0].pred_sem_seg.data.clone()
    removers = attach_logit_map(model, LogitCalibration('test', (0.0, 0.0, 50.0, 0.0)), 'test')
    assert (model(**data, mode='predict')[0].pred_sem_seg.data == 2).all()
    for remove in removers:
        remove()
    assert torch.equal(model(**data, mode='predict')[0].pred_sem_seg.data, before)


def test_weights_of_a_bare_segmentor_load_into_all_and_one_comes_out_again() -> None:
    model = build()
    bare = MODELS.build(dict(fcn(), data_preprocessor=None))
    weights = {key: value + 0.5 if value.is_floating_point() else value for key, value in bare.state_dict().items()}
    model.load_state_dict(dict(weights), strict=False)
    for network in ('student', 'teacher'):
        out = network_state({'state_dict': model.state_dict()}, network)
        assert out.keys() == weights.keys() and all(torch.equal(out[key], weights[key]) for key in weights)
        bare.load_state_dict(out)
    with pytest.raises(ValueError, match=r"no peer; it has .'student', 'teacher'."):
        network_state({'state_dict': model.state_dict()}, 'peer')


def test_round_trip_of_the_state() -> None:
    for consistency in RULES:
        model, other = build(consistency=consistency), build(consistency=consistency)
        step(model, batch())
        other.load_state_dict(model.state_dict())
        for key, value in model.state_dict().items():
            assert torch.equal(value, other.state_dict()[key]), key


def test_a_teacher_nobody_updates_is_an_error() -> None:
    model = build()
    model.teacher_follows = False
    step(model, batch())
    step(model, batch())
    with pytest.raises(RuntimeError, match='EMATeacherHook'):
        step(model, batch())


def test_mistakes_are_named() -> None:
    with pytest.raises(ValueError, match=r"consistency must be one of .'fixmatch'"):
        build(consistency='mixmatch')
    with pytest.raises(ValueError, match='teacher of CrossPseudoConsistency'):
        build(consistency='cps', teacher='ema')
    with pytest.raises(ValueError, match='predict_on'):
        build(consistency='unimatch', teacher='self', predict_on='teacher')
    with pytest.raises(ValueError, match='needs 2 strong views, the batch has 1'):
        step(build(consistency='unimatch'), batch(strong=1))
    binary = fcn(2)
    binary['decode_head'].update(out_channels=1, threshold=0.3, loss_decode=dict(binary['decode_head']['loss_decode'],
                                                                                use_sigmoid=True))
    with pytest.raises(ValueError, match='1 logit channels'):
        build(binary)


@pytest.mark.parametrize('consistency', RULES)
def test_bf16_autocast(consistency: str) -> None:
    model = build(segformer(), consistency=consistency)
    data = model.data_preprocessor(batch(), True)
    with torch.autocast('cpu', torch.bfloat16):
        terms = model(**data, mode='loss')
    assert all(value.dtype == torch.float32 for key, value in terms.items() if key.startswith('unsup.'))
    model.parse_losses(terms)[0].backward()


def test_losses_with_class_counts_inside_are_bound_once_per_network() -> None:
    """ClassCountHook reaches the losses of student and teacher; the ledger takes the first as the model's."""
    from imbdense.core.stats import ClassCounts
    from imbdense.mm.hooks.class_count_hook import bind_losses

    config = fcn()
    config['decode_head']['loss_decode'] = dict(type='imbdense.BalancedSoftmaxLoss')
    model = build(config)
    counts = ClassCounts(classes=('a', 'b', 'c', 'd'), pixels=torch.tensor([90, 6, 3, 1]).numpy())
    ledger = PriorLedger(counts.classes, counts.pixels)
    assert bind_losses(model, ledger, counts) == ['student.decode_head.loss_decode', 'teacher.decode_head.loss_decode']
    assert torch.allclose(torch.as_tensor(ledger.prior), torch.full((4,), 0.25, dtype=torch.float64))
