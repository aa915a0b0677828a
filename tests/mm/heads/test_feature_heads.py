"""Auxiliary heads on drawn pixels and on regions, inside a real segmentor."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg')

from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.heads.sampled_feature_head import features_at

HEADS: dict[str, dict[str, Any]] = {
    'paco': {'type': 'imbdense.PaCoHead', 'loss_contrast': {'type': 'imbdense.PaCoLoss'}},
    'gpaco': {'type': 'imbdense.PaCoHead'},
    'bal_scl': {'type': 'imbdense.BalSCLHead'},
    'regions': {'type': 'imbdense.RegionRebalanceAux', 'smoothing': 0.1},
}
each = pytest.mark.parametrize('head', HEADS.values(), ids=HEADS.keys())


def segmentor(head: dict[str, Any]) -> torch.nn.Module:
    """FCN on a tiny backbone, with ``head`` as its auxiliary head."""
    init_default_scope('mmseg')
    torch.manual_seed(0)
    return MODELS.build({
        'type': 'EncoderDecoder',
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'pad_val': 0, 'seg_pad_val': 255, 'size': (32, 32)},
        'backbone': {'type': 'UNet', 'in_channels': 3, 'base_channels': 8, 'num_stages': 2, 'strides': (1, 1),
                     'enc_num_convs': (1, 1), 'dec_num_convs': (1,), 'downsamples': (True,), 'enc_dilations': (1, 1),
                     'dec_dilations': (1,), 'norm_cfg': {'type': 'BN'}},
        'decode_head': {'type': 'FCNHead', 'in_channels': 8, 'in_index': 1, 'channels': 8, 'num_convs': 1,
                        'num_classes': 4, 'norm_cfg': {'type': 'BN'}},
        'auxiliary_head': {**head, 'in_channels': 16, 'in_index': 0, 'num_classes': 4},
        'train_cfg': {}, 'test_cfg': {'mode': 'whole'},
    })  # fmt: skip


def batch(ignored: bool = False) -> tuple[torch.Tensor, list[SegDataSample]]:
    generator = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        label = torch.randint(0, 3, (1, 32, 32), generator=generator)
        label[0, 3, 3:5] = 3  # two pixels of the rare class
        sample = SegDataSample(metainfo={'img_shape': (32, 32), 'ori_shape': (32, 32), 'pad_shape': (32, 32)})
        sample.gt_sem_seg = PixelData(data=torch.full_like(label, 255) if ignored else label)
        samples.append(sample)
    return torch.randn(2, 3, 32, 32, generator=generator), samples


def losses(model: torch.nn.Module, ignored: bool = False) -> dict[str, torch.Tensor]:
    inputs, samples = batch(ignored)
    torch.manual_seed(5)
    return model(inputs, samples, mode='loss')


@each
def test_trains_the_backbone_through_its_own_term(head: dict[str, Any]) -> None:
    model = segmentor(head).train()
    terms = {key: value for key, value in losses(model).items() if key.startswith('aux')}
    assert terms and all('loss' in key for key in terms)
    sum(terms.values()).backward()
    pulled = [parameter.grad for parameter in model.backbone.parameters() if parameter.grad is not None]
    assert all(torch.isfinite(value) for value in terms.values()) and any(grad.abs().sum() > 0 for grad in pulled)
    assert all(p.grad is not None for p in model.auxiliary_head.parameters())


@each
def test_everything_ignored_gives_the_same_keys_zero_and_a_graph(head: dict[str, Any]) -> None:
    model = segmentor(head).train()
    full, none = losses(model), losses(model, ignored=True)
    assert full.keys() == none.keys()
    terms = {key: value for key, value in none.items() if key.startswith('aux')}
    sum(terms.values()).backward()
    assert all(value.item() == 0 for value in terms.values())
    assert all(p.grad is not None and (p.grad == 0).all() for p in model.auxiliary_head.parameters())


@each
def test_test_time_output_does_not_depend_on_it(head: dict[str, Any]) -> None:
    model = segmentor(head).eval()
    inputs, samples = batch()
    before = model(inputs, samples, mode='tensor')
    for parameter in model.auxiliary_head.parameters():
        torch.nn.init.normal_(parameter)
    assert torch.equal(model(inputs, samples, mode='tensor'), before)


@each
def test_the_same_seed_draws_the_same_pixels(head: dict[str, Any]) -> None:
    model = segmentor(head).eval()
    first, second = losses(model), losses(model)
    assert all(torch.equal(first[key], second[key]) for key in first if key.startswith('aux'))


@each
def test_half_precision_features_give_the_same_terms(head: dict[str, Any]) -> None:
    model = segmentor(head).train()
    exact = losses(model)
    with torch.autocast('cpu', torch.bfloat16):
        half = losses(model)
    for key in (key for key in exact if key.startswith('aux') and 'loss' in key):
        assert half[key].dtype == torch.float32 and half[key].item() == pytest.approx(exact[key].item(), rel=0.1)


def test_prototypes_have_a_projection_of_their_own() -> None:
    head = segmentor(HEADS['bal_scl']).auxiliary_head
    features, labels = torch.randn(6, 16), torch.tensor([0, 0, 1, 1, 2, 3])
    prototypes = F.normalize(head.prototype_projection(head.classifier.weight), dim=1)
    expected = head.loss_contrast(head.embed(features), labels, prototypes)
    assert head.losses(features, labels)['loss_bal_scl'].item() == pytest.approx(expected.item())
    before = head.embed(features)
    torch.nn.init.normal_(head.prototype_projection[0].weight)
    assert torch.equal(head.embed(features), before), 'features and prototypes share no weights'
    assert head.losses(features, labels)['loss_bal_scl'].item() != pytest.approx(expected.item())


def test_drawn_features_are_the_bilinear_ones() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 5, 4, generator=generator)
    dense = F.interpolate(features, (15, 9), mode='bilinear', align_corners=False).movedim(1, -1).reshape(-1, 3)
    index = torch.randperm(2 * 15 * 9, generator=generator)[:50]
    assert torch.allclose(features_at(features, index, torch.Size([2, 15, 9])), dense[index], atol=1e-5)


def test_regions_are_adjusted_by_image_counts() -> None:
    head = segmentor(HEADS['regions']).auxiliary_head
    counts = ClassCounts(('a', 'b', 'c', 'd'), pixels=[9000, 900, 90, 10], images=[20, 20, 10, 2])
    ledger = PriorLedger(counts.classes, counts.pixels)
    head.loss_region.bind_prior(ledger, counts)
    assert head.loss_region.known_counts().tolist() == pytest.approx([20, 20, 10, 2])
    assert len(ledger.entries) == 1, 'the logits of the model are not corrected by it'


def test_a_loss_without_shift_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match='loss_region must be LogitAdjustLoss'):
        segmentor({'type': 'imbdense.RegionRebalanceAux', 'loss_region': {'type': 'imbdense.PerClassDiceLoss'}})
