"""A decode head corrected by its regions: logits, losses, gradients, whole segmentors."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.nn.functional as F

pytest.importorskip('mmseg.models')

from mmengine.config import ConfigDict
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample

from imbdense.core.losses import soft_region_means
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.hooks.class_count_hook import bind_losses

C = 4
FCN: dict[str, Any] = {'in_channels': 8, 'in_index': 1, 'channels': 6, 'num_convs': 1, 'num_classes': C,
                       'dropout_ratio': 0, 'norm_cfg': {'type': 'BN'}}
KEYS = {'loss_ce', 'acc_seg', 'loss_ce_corrected', 'acc_seg_corrected', 'loss_region', 'loss_soft_region'}


@pytest.fixture(autouse=True)
def segmentation_scope() -> Iterator[None]:
    """As in a run of mmseg."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def head_of(base: dict[str, Any] | None = None, **options: Any) -> Any:
    """A corrected FCNHead; its region classifier says something from the start."""
    torch.manual_seed(0)
    base = {'type': 'FCNHead', **FCN} if base is None else base
    return MODELS.build({'type': 'imbdense.RegionRebalanceHead', 'base': base, 'channels': 5, **options})


def sample(value: int | None = None) -> tuple[list[torch.Tensor], list[SegDataSample]]:
    """Two feature maps, and labels 0..2 of four classes (the second image only 0 and 1); or ``value`` everywhere."""
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(2, 16, 4, 4, generator=generator), torch.randn(2, 8, 8, 8, generator=generator)]
    labels = torch.randint(0, 3, (2, 1, 16, 16), generator=generator)
    labels[1].clamp_(max=1)
    if value is not None:
        labels = torch.full_like(labels, value)
    return features, [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def parts(head: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixel logits and region logits (N, C, C + 1) of ``sample``, made step by step."""
    features = head._forward_feature(sample()[0])
    pixels = head.conv_seg(features)
    return pixels, head.regions.classifier(soft_region_means(features, pixels))


@pytest.mark.parametrize('training', [True, False])
def test_the_mean_region_logit_is_added_to_every_pixel(training: bool) -> None:
    head = head_of().train(training)
    pixels, regions = parts(head)
    wanted = pixels + sum(regions[:, c, :C] for c in range(C)).view(2, C, 1, 1) / C
    assert torch.allclose(head(sample()[0]), wanted, atol=1e-6)
    assert (regions[..., :C].mean(1)).abs().max() > 1e-2, 'the test would not see a missing correction'


def test_prediction_of_the_segmentor_is_corrected() -> None:
    """Also in windows; what the host's head would say differs in some pixels."""
    model = segmentor()
    model.decode_head.regions.classifier[2].bias.data = torch.tensor([0.0, 3, 0, 0, 9])
    images, metas = torch.randn(1, 3, 16, 16), [{'img_shape': (16, 16), 'ori_shape': (16, 16), 'pad_shape': (16, 16)}]
    samples = [SegDataSample(metainfo=metas[0])]
    model.eval()
    with torch.no_grad():
        logits = model.predict(images, samples)[0].seg_logits.data
        pixels = F.interpolate(plain_logits(model, images), (16, 16), mode='bilinear')[0]
        shift = (logits - pixels).flatten(1)
        assert torch.allclose(shift, shift[:, :1].expand_as(shift), atol=1e-5), 'one number per class'
        assert shift[1, 0] - shift[0, 0] > 1
        model.test_cfg = ConfigDict(mode='slide', crop_size=(8, 8), stride=(8, 8))
        windows = model.predict(images, samples)[0].seg_logits.data
        corner = model.encode_decode(images[..., :8, :8], [{**metas[0], 'img_shape': (8, 8), 'pad_shape': (8, 8)}])
        assert torch.allclose(windows[:, :8, :8], corner[0], atol=1e-5)


def plain_logits(model: Any, images: torch.Tensor) -> torch.Tensor:
    head = model.decode_head
    return head.conv_seg(head._forward_feature(model.extract_feat(images)))


def test_losses_by_hand() -> None:
    """Each of the four terms, with image counts (4, 2, 2, 0) and smoothing."""
    head = head_of(smoothing=0.1, absent_weight=0.5,
                   loss_region={'type': 'imbdense.LogitAdjustLoss', 'class_counts': [4, 2, 2, 1]})
    losses = head.loss(*sample(), None)
    pixels, regions = parts(head)
    target = torch.stack([item.gt_sem_seg.data for item in sample()[1]]).squeeze(1)
    large = F.interpolate(pixels, (16, 16), mode='bilinear')
    shift = regions[..., :C].mean(1).view(2, C, 1, 1)
    assert set(losses) == KEYS
    assert losses['loss_ce'].item() == pytest.approx(F.cross_entropy(large, target).item(), rel=1e-5)
    assert losses['loss_ce_corrected'].item() == pytest.approx(F.cross_entropy(large + shift, target).item(), rel=1e-5)
    prior = torch.cat([(torch.tensor([4.0, 2, 2, 1]) / 9).log(), torch.zeros(1)])
    labels, weights = torch.tensor([[0, 1, 2, 4], [0, 1, 4, 4]]), torch.tensor([[1, 1, 1, 0.5], [1, 1, 0.5, 0.5]])
    goal = torch.full((2, C, C + 1), 0.1 / C).scatter(2, labels.unsqueeze(2), 0.9)
    terms = -(goal * (regions + prior).log_softmax(2)).sum(2)
    wanted = (weights * terms).sum() / weights.sum()
    assert losses['loss_soft_region'].item() == pytest.approx(wanted.item(), rel=1e-5)


def test_weight_of_absent_classes_acts() -> None:
    """In the released code it does not, for a misplaced bracket; 0 leaves the classes of the image alone."""
    values = [head_of(absent_weight=w).loss(*sample(), None)['loss_soft_region'].item() for w in (0.0, 0.5, 1.0)]
    assert len({round(value, 4) for value in values}) == 3


def test_gradients_and_the_graph_when_everything_is_ignored() -> None:
    head = head_of()
    losses = head.loss(*sample(), None)
    losses['loss_ce'].backward(retain_graph=True)
    assert all(p.grad is None or p.grad.abs().max() < 1e-7 for p in head.regions.parameters()), 'plain term: no part'
    losses['loss_soft_region'].backward()
    assert head.conv_seg.weight.grad.abs().sum() > 0 and head.regions.classifier[0].weight.grad.abs().sum() > 0
    ignored = head_of()
    none = ignored.loss(*sample(255), None)
    sum(value for key, value in none.items() if 'loss' in key).backward()
    assert set(none) == KEYS and all(none[key].item() == 0 for key in KEYS if 'loss' in key)
    assert all((p.grad == 0).all() for p in ignored.parameters())


def test_it_is_the_head_of_the_host() -> None:
    head = head_of()
    torch.manual_seed(0)
    plain = MODELS.build({'type': 'FCNHead', **FCN})
    assert isinstance(head, FCNHead) and type(head_of()) is type(head)
    found = head.load_state_dict(plain.state_dict(), strict=False)
    assert not found.unexpected_keys and all(key.startswith('regions.') for key in found.missing_keys)
    head.loss(*sample(), None)
    head.eval()(sample()[0])
    twin = copy.deepcopy(head)
    twin.load_state_dict(head.state_dict())
    assert torch.equal(twin(sample()[0]), head(sample()[0]))


def test_half_precision() -> None:
    exact = head_of().loss(*sample(), None)
    with torch.autocast('cpu', torch.bfloat16):
        half = head_of().loss(*sample(), None)
    for key in (key for key in KEYS if 'loss' in key):
        assert half[key].item() == pytest.approx(exact[key].item(), rel=0.05)


def test_counts_of_the_hook_reach_the_regions_and_the_ledger_stays() -> None:
    head = head_of()
    counts = ClassCounts(('a', 'b', 'c', 'd'), pixels=[9000, 900, 90, 10], images=[20, 20, 10, 2])
    ledger = PriorLedger(counts.classes, counts.pixels)
    bind_losses(head, ledger, counts)
    assert head.regions.loss_region.known_counts().tolist() == pytest.approx([20, 20, 10, 2])
    assert len(ledger.entries) == 1, 'the pixel logits encode what they encoded'


@pytest.mark.parametrize(('base', 'error', 'message'), [
    ({'type': 'EncHead', 'in_channels': [8], 'in_index': [1], 'channels': 6, 'num_classes': C},
     TypeError, 'EncHead makes its logits or losses in a way of its own'),
    ('FCNHead', TypeError, 'base must be the config of a head'),
    ({'type': 'FCNHead', **FCN, 'num_classes': 2, 'out_channels': 1}, ValueError, 'Set out_channels=2'),
])  # fmt: skip
def test_heads_that_can_not_be_corrected_are_named(base: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        head_of(base)


def test_losses_without_a_forward_pass_say_so() -> None:
    with pytest.raises(RuntimeError, match=r'has to make its pixel logits once'):
        head_of().loss_by_feat(torch.zeros(2, C, 8, 8), sample()[1])


HOSTS: dict[str, dict[str, Any]] = {
    'fcn': {'type': 'FCNHead', **FCN},
    'psp': {'type': 'PSPHead', 'in_channels': 8, 'in_index': 1, 'channels': 6, 'num_classes': C, 'pool_scales': (1, 2)},
    'aspp': {'type': 'ASPPHead', 'in_channels': 8, 'in_index': 1, 'channels': 6, 'num_classes': C, 'dilations': (1, 2)},
    'segformer': {'type': 'SegformerHead', 'in_channels': [16, 8], 'in_index': [0, 1], 'channels': 6,
                  'num_classes': C},
    'uper': {'type': 'UPerHead', 'in_channels': [8, 16], 'in_index': [1, 0], 'channels': 6, 'num_classes': C},
}


def segmentor_config(base: dict[str, Any]) -> dict[str, Any]:
    """A UNet with ``base`` corrected."""
    return {
        'type': 'EncoderDecoder', 'test_cfg': {'mode': 'whole'},
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'size': (16, 16), 'pad_val': 0, 'seg_pad_val': 255},
        'backbone': {'type': 'UNet', 'base_channels': 8, 'num_stages': 2, 'strides': (1, 1), 'enc_num_convs': (1, 1),
                     'dec_num_convs': (1,), 'downsamples': (True,), 'enc_dilations': (1, 1), 'dec_dilations': (1,),
                     'norm_cfg': {'type': 'BN'}},
        'decode_head': {'type': 'imbdense.RegionRebalanceHead', 'channels': 5, 'base': base},
    }  # fmt: skip


def segmentor(base: dict[str, Any] | None = None) -> Any:
    """The model of :func:`segmentor_config`; an FCN unless told otherwise."""
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(segmentor_config(base or {'type': 'FCNHead', **FCN})))


@pytest.mark.parametrize('base', HOSTS.values(), ids=HOSTS.keys())
def test_segmentors_train_and_predict(base: dict[str, Any]) -> None:
    model = segmentor(base).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    images, samples = torch.randn(2, 3, 16, 16), sample()[1]
    for _ in range(2):
        total, logged = model.parse_losses(model.loss(images, samples))
        assert torch.isfinite(total) and {f'decode.{key}' for key in KEYS} <= set(logged)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert all(p.grad is not None for p in model.decode_head.regions.parameters())
    with torch.no_grad():
        assert model.eval()(images, mode='tensor').shape[1] == C
        for item in samples:
            item.set_metainfo({'img_shape': (16, 16), 'ori_shape': (16, 16), 'pad_shape': (16, 16)})
        assert model.predict(images, samples)[0].pred_sem_seg.data.shape == (1, 16, 16)


def test_the_last_head_of_a_cascade() -> None:
    """OCR: the corrected head gets the logits of the head before it."""
    torch.manual_seed(0)
    config = segmentor_config({'type': 'OCRHead', 'in_channels': 8, 'in_index': 1, 'channels': 6, 'num_classes': C,
                               'ocr_channels': 4})
    config |= {'type': 'CascadeEncoderDecoder', 'num_stages': 2,
               'decode_head': [{'type': 'FCNHead', **FCN}, config['decode_head']]}
    model = MODELS.build(ConfigDict(config)).train()
    images, samples = torch.randn(2, 3, 16, 16), sample()[1]
    losses = model.loss(images, samples)
    assert {f'decode_1.{key}' for key in KEYS} <= set(losses)
    model.parse_losses(losses)[0].backward()
    with torch.no_grad():
        before = model.eval()(images, mode='tensor')
        model.decode_head[1].regions.classifier[2].bias[0] += 5
        assert torch.allclose(model(images, mode='tensor')[:, 0], before[:, 0] + 5, atol=1e-5)
