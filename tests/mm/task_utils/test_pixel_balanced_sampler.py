"""PixelBalancedSampler inside a real mmseg head: found by the host, counted, in the ledger, refused where needed."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, ImageClassTable
from imbdense.mm.element_samplers import element_samplers
from imbdense.mm.hooks.class_count_hook import bind_losses
from imbdense.mm.prior import build_ledger
from tests.helpers.two_ranks import run_two_ranks

COUNTS = ClassCounts(('ground', 'roof', 'mast'), pixels=[900, 90, 10])
TABLE = ImageClassTable.from_dense([[450, 90, 0], [450, 0, 10]])


def head(sampler, loss=None):
    init_default_scope('mmseg')
    return MODELS.build({
        'type': 'FCNHead', 'in_channels': 4, 'channels': 4, 'num_convs': 0, 'concat_input': False, 'num_classes': 3,
        'dropout_ratio': 0, 'loss_decode': loss or {'type': 'CrossEntropyLoss'},
        'sampler': sampler and {'type': 'imbdense.PixelBalancedSampler', **sampler},
    })  # fmt: skip


def batch():
    """Logits (2, 3, 8, 8) and the samples they belong to: ground, four pixels of roof, one mast, a row ignored."""
    label = torch.zeros(2, 1, 8, 8, dtype=torch.long)
    label[:, 0, 2:4, 2:4] = 1
    label[0, 0, 6, 6] = 2
    label[:, 0, 0] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=item)) for item in label]
    return torch.randn(2, 3, 8, 8, requires_grad=True), samples, label


def ledger_for(model, counts=COUNTS):
    """What ClassCountHook does, without a runner."""
    elements, remarks = element_samplers(model)
    ledger, unknown = build_ledger(counts, TABLE, torch.utils.data.TensorDataset(), None, elements=elements)
    bind_losses(model, ledger, counts)
    return ledger, unknown, remarks


def test_the_head_builds_and_calls_it():
    torch.manual_seed(0)
    module = head({'mode': 'over', 'class_counts': [100, 10, 1]})
    logits, samples, label = batch()
    loss = module.loss_by_feat(logits, samples)['loss_ce']
    loss.backward()
    size = logits.grad.abs().sum(1)
    weights = module.sampler.sample(logits, label)
    assert weights.shape == (2, 8, 8) and not logits.grad[:, :, 0].any()
    ratio = weights[0, 6, 6] / weights[0, 7, 7], weights[0, 2, 2] / weights[0, 7, 7]
    assert [float(value) for value in ratio] == pytest.approx([20, 10])
    assert float(size[0, 6, 6]) > 0


def test_under_keeps_every_rare_pixel_and_few_of_the_others():
    torch.manual_seed(1)
    module = head({'mode': 'under', 'class_counts': [1000, 50, 1]})
    _, _, label = batch()
    kept = torch.stack([module.sampler.sample(torch.zeros(1), label) > 0 for _ in range(200)]).float().mean(0)
    assert kept[0, 6, 6] == 1 and kept[:, 1].mean() < 0.05 and (kept.flatten(1).sum(1) >= 1).all()


def test_running_counts_are_in_the_state_and_grow_in_training_only():
    module = head({'mode': 'under'})
    _, _, label = batch()
    module.sampler.sample(torch.zeros(1), label)
    assert module.state_dict()['sampler.running.counts'].tolist() == [103, 8, 1]
    other = head({'mode': 'under'})
    other.load_state_dict(module.state_dict())
    assert other.sampler.running.counts.tolist() == [103, 8, 1]
    module.eval()
    module.sampler.sample(torch.zeros(1), label)
    assert module.sampler.running.counts.tolist() == [103, 8, 1]


def test_per_batch_goes_by_the_batch_alone():
    module = head({'mode': 'over', 'per_batch': True, 'max_weight': 1000})
    _, _, label = batch()
    weights = module.sampler.sample(torch.zeros(1), label)
    assert float(weights[0, 6, 6] / weights[0, 7, 7]) == pytest.approx(103)
    assert module.sampler.running.counts.sum() == 0


@pytest.mark.parametrize('mode', ['under', 'over'])
def test_the_ledger_learns_what_is_left_and_the_loss_corrects_the_rest(mode):
    module = head({'mode': mode, 'level': 0.5}, {'type': 'imbdense.BalancedSoftmaxLoss'})
    ledger, unknown, remarks = ledger_for(module)
    assert [entry.source for entry in ledger.entries[1:]] == ['PixelBalancedSampler', 'BalancedSoftmaxLoss']
    assert not unknown and not remarks
    factors = {'under': [30 / 900 * 3.1622776, 1, 1], 'over': [1, 1.0540926, 9.486833]}[mode]
    left = torch.tensor([900.0, 90, 10]) * torch.tensor(factors)
    assert ledger.seen_prior == pytest.approx((left / left.sum()).numpy(), rel=1e-5)
    counts = module.loss_decode.known_counts()
    assert (counts / counts.sum()).numpy() == pytest.approx(ledger.seen_prior)
    # Given the labels' distribution, what is drawn follows the declared one.
    torch.manual_seed(0)
    label = torch.multinomial(torch.tensor([0.9, 0.09, 0.01]), 60_000, True).view(1, 1, 200, 300)
    weights = module.sampler.sample(torch.zeros(1), label).flatten()
    drawn = torch.bincount(label.flatten(), weights, minlength=3)
    assert (drawn / drawn.sum()).numpy() == pytest.approx(ledger.seen_prior, rel=0.1)


def test_a_correcting_loss_without_the_ledger_is_refused():
    for options in ({'mode': 'under'}, {'mode': 'under', 'class_counts': [9, 3, 1]}):
        module = head(options, {'type': 'imbdense.BalancedSoftmaxLoss'})
        logits, samples, _ = batch()
        with pytest.raises(DoubleCorrectionError, match=r'BalancedSoftmaxLoss would correct.*ClassCountHook'):
            module.loss_by_feat(logits, samples)
        ledger_for(module)
        module.loss_by_feat(logits, samples)
    forced = head({'mode': 'under'}, {'type': 'imbdense.BalancedSoftmaxLoss', 'force': True})
    forced.loss_by_feat(*batch()[:2])


def test_per_batch_can_not_be_declared():
    module = head({'mode': 'under', 'per_batch': True}, {'type': 'imbdense.BalancedSoftmaxLoss'})
    _, unknown, _ = ledger_for(module)
    assert unknown == ['PixelBalancedSampler']
    with pytest.raises(DoubleCorrectionError):
        module.loss_by_feat(*batch()[:2])


def test_two_heads_act_side_by_side():
    model = torch.nn.ModuleDict({'decode_head': head({'mode': 'under'}), 'auxiliary_head': head({'mode': 'under'})})
    ledger, _, remarks = ledger_for(model)
    assert len(ledger.entries) == 2 and not remarks
    for name in model:
        assert model[name].sampler._known.tolist() == pytest.approx([0.9, 0.09, 0.01])
    model['auxiliary_head'] = head(None)
    assert 'auxiliary_head has no PixelBalancedSampler' in element_samplers(model)[1][0]


def test_wrong_arguments_are_named():
    for options, words in (({'mode': 'both'}, 'mode'), ({'level': 3}, 'level'), ({'max_weight': 0}, 'max_weight'),
                           ({'class_counts': [1, 2]}, '2 entries, but the head has 3')):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            head(options)


def sampler_on_rank():
    """Counts after a call in which the ranks see different labels."""
    module = head({'mode': 'under'})
    label = torch.full((1, 1, 4, 4), torch.distributed.get_rank())
    module.sampler.sample(torch.zeros(1), label)
    return module.sampler.running.counts.tolist()


def test_two_ranks_count_together():
    assert run_two_ranks(sampler_on_rank) == [[16, 16, 0], [16, 16, 0]]
