"""A host's head that becomes a guided one: the same class, weights and methods."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')
pytest.importorskip('mmdet.models')

from mmdet.models.dense_heads import GFLHead
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead
from mmseg.structures import SegDataSample

from imbdense.mm.losses.guided_loss_balancer import GuidedLossBalancer
from tests.mm.heads.tiny_detectors import WITH_BOXES, batch, build, single_stage

register_all_modules(init_default_scope=False)

CE, DICE = {'type': 'CrossEntropyLoss'}, {'type': 'DiceLoss', 'loss_weight': 3.0}
LOVASZ = {'type': 'LovaszLoss', 'per_image': False, 'reduction': 'none'}
FCN = {'in_channels': 4, 'channels': 4, 'num_convs': 1, 'num_classes': 5, 'norm_cfg': {'type': 'BN'},
       'dropout_ratio': 0, 'loss_decode': [CE, DICE]}


@pytest.fixture(autouse=True)
def segmentation_scope() -> Iterator[None]:
    """As in a run of mmseg."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


OWN = ('balancer', 'cls_keys', 'guide_keys', 'guides')


def guided(**options: Any) -> Any:
    """A guided FCNHead."""
    torch.manual_seed(0)
    base = {**FCN, **{key: value for key, value in options.items() if key not in OWN}}
    own = {key: value for key, value in options.items() if key in OWN}
    return MODELS.build({'type': 'imbdense.GuidedDecodeHead', 'base': {'type': 'FCNHead', **base}, **own})


def plain(**options: Any) -> Any:
    """The same head of the host."""
    torch.manual_seed(0)
    return MODELS.build({'type': 'FCNHead', **FCN, **options})


def sample(value: int | None = None) -> tuple[list[torch.Tensor], list[SegDataSample]]:
    """Features (2, 4, 8, 8) and labels; ``value`` everywhere instead of five classes."""
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 4, 8, 8, generator=generator, requires_grad=True)
    labels = torch.randint(0, 5, (2, 1, 16, 16), generator=generator)
    if value is not None:
        labels = torch.full_like(labels, value)
    return [features], [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def test_cross_entropy_is_scaled_to_the_dice() -> None:
    expected, losses = plain().loss(*sample(), None), guided().loss(*sample(), None)
    assert losses['raw_cls'].item() == expected['loss_ce'].item()
    assert losses['loss_dice'].item() == expected['loss_dice'].item()
    assert losses['loss_ce'].item() == pytest.approx(expected['loss_dice'].item())
    assert set(losses) == {'loss_ce', 'loss_dice', 'acc_seg', 'guided_ratio', 'raw_cls'}
    (losses['loss_ce'] + losses['loss_dice']).backward()


def test_several_guides_and_the_options_of_the_balancer() -> None:
    head = guided(loss_decode=[DICE, CE, LOVASZ], cls_keys=['loss_ce'],
                  balancer={'type': 'imbdense.GuidedLossBalancer', 'mode': 'iter', 'guide': 'sum', 'cls_weight': 0.5})
    assert head.cls_keys == ('loss_ce',) and head.guide_keys == ('loss_dice', 'loss_lovasz')
    losses = head.loss(*sample(), None)
    guide = losses['loss_dice'].item() + losses['loss_lovasz'].mean().item()
    assert losses['loss_ce'].item() == pytest.approx(0.5 * guide)


def test_it_is_the_head_of_the_host() -> None:
    head = guided()
    assert isinstance(head, FCNHead) and isinstance(head.balancer, GuidedLossBalancer)
    assert set(head.state_dict()) - set(plain().state_dict()) == {
        f'balancer.{name}' for name in ('ratio', 'ema_cls', 'ema_guide', 'num_updates')}
    found = head.load_state_dict(plain().state_dict(), strict=False)
    assert all(key.startswith('balancer.') for key in found.missing_keys) and not found.unexpected_keys
    assert torch.equal(head(sample()[0]), plain()(sample()[0]))
    twin = copy.deepcopy(head)
    assert type(twin) is type(head) and type(guided()) is type(head)
    twin.loss(*sample(), None)
    assert int(twin.balancer.num_updates) == 1 and int(head.balancer.num_updates) == 0


def test_auxiliary_head_has_a_balancer_of_its_own() -> None:
    norm = {'norm_cfg': {'type': 'BN'}}
    model = MODELS.build({
        'type': 'EncoderDecoder', 'test_cfg': {'mode': 'whole'},
        'data_preprocessor': {'type': 'SegDataPreProcessor', 'size': (16, 16), 'pad_val': 0, 'seg_pad_val': 255},
        'backbone': {'type': 'UNet', 'base_channels': 4, 'num_stages': 2, 'strides': (1, 1), 'enc_num_convs': (1, 1),
                     'dec_num_convs': (1,), 'downsamples': (True,), 'enc_dilations': (1, 1), 'dec_dilations': (1,),
                     **norm},
        'decode_head': {'type': 'imbdense.GuidedDecodeHead', 'base': {'type': 'FCNHead', **FCN, 'in_index': 1}},
        'auxiliary_head': {'type': 'imbdense.GuidedDecodeHead', 'base': {
            'type': 'FCNHead', **FCN, 'in_channels': 8, 'in_index': 0}},
    })
    images, samples = torch.randn(2, 3, 16, 16), sample()[1]
    total, logged = model.parse_losses(model.loss(images, samples))
    assert total.item() == pytest.approx(sum(value.item() for key, value in logged.items() if '.loss_' in key))
    assert {'decode.guided_ratio', 'decode.raw_cls', 'aux.guided_ratio', 'aux.raw_cls'} <= set(logged)
    assert model.decode_head.balancer is not model.auxiliary_head.balancer


def test_batch_with_nothing_to_learn_does_not_enter() -> None:
    """All pixels ignored: cross-entropy is zero."""
    head = guided(loss_decode=[CE, {'type': 'imbdense.PerClassDiceLoss'}])
    losses = head.loss(*sample(255), None)
    assert int(head.balancer.num_updates) == 0 and torch.isfinite(losses['loss_ce'])
    head.loss(*sample(), None)
    assert int(head.balancer.num_updates) == 1


def test_two_classes() -> None:
    losses = guided(num_classes=2).loss(*sample(1), None)
    assert losses['loss_ce'].item() == pytest.approx(losses['loss_dice'].item())


def test_one_loss_only_can_not_be_guided() -> None:
    with pytest.raises(ValueError, match=r"\['loss_ce'\].*Dice"):
        guided(loss_decode=CE)


@pytest.mark.parametrize('own', [CE, [CE]], ids=['one', 'list'])
def test_guides_are_added_to_the_losses_of_the_head(own: Any) -> None:
    added, written = guided(loss_decode=own, guides=[DICE]), guided()
    assert (added.cls_keys, added.guide_keys) == (('loss_ce',), ('loss_dice',))
    assert torch.equal(added.loss(*sample(), None)['loss_ce'], written.loss(*sample(), None)['loss_ce'])


SEG_LINE = ("model = dict(decode_head=dict(_delete_=True, type='imbdense.GuidedDecodeHead', "
            "base={{_base_.model.decode_head}}, guides=[dict(type='imbdense.PerClassDiceLoss')]))")
DET_LINE = ("model = dict(bbox_head=dict(_delete_=True, type='imbdense.SamplingFreeWrapper', "
            "base={{_base_.model.bbox_head}}, guide_keys=['loss_bbox', 'loss_dfl']))")


@pytest.mark.parametrize(('host', 'name', 'line', 'key'), [
    ('mmseg', 'fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py', SEG_LINE, 'decode_head'),
    ('mmdet', 'gfl/gfl_r50_fpn_1x_coco.py', DET_LINE, 'bbox_head'),
])  # fmt: skip
def test_one_line_in_a_config_of_the_host(host: str, name: str, line: str, key: str, tmp_path: Path) -> None:
    base = Path(importlib.import_module(host).__path__[0]) / '.mim' / 'configs' / name
    if not base.is_file():
        pytest.skip(f'{base} is not part of this installation')
    path = tmp_path / f'guided_{key}.py'
    path.write_text(f"_base_ = ['{base}']\n{line}\n")
    with DefaultScope.overwrite_default_scope(host):
        head = MODELS.build(Config.fromfile(str(path)).model[key])
    assert isinstance(head, (FCNHead, GFLHead)) and isinstance(head.balancer, GuidedLossBalancer)


def test_unknown_argument_is_named_by_the_head() -> None:
    with pytest.raises(TypeError, match='surely_no_such_argument'):
        guided(surely_no_such_argument=1)


def test_what_is_no_head_is_refused() -> None:
    wrapper = {'type': 'imbdense.SamplingFreeWrapper'}
    with pytest.raises(TypeError, match='SamplingFreeWrapper: PerClassDiceLoss has no loss_by_feat'):
        MODELS.build({**wrapper, 'base': {'type': 'imbdense.PerClassDiceLoss'}})
    with pytest.raises(TypeError, match='base must be the config of a head'):
        MODELS.build({**wrapper, 'base': 'GFLHead'})


def test_detection_head_keeps_its_class_and_gets_the_settings_of_the_detector() -> None:
    head = build(single_stage('gfl')).bbox_head
    assert isinstance(head, GFLHead) and head.assigner.topk == 9 and head.test_cfg.max_per_img == 10
    assert set(head.guide_keys) == {'loss_bbox', 'loss_dfl'}


def test_wrong_key_lists_what_the_head_gives() -> None:
    config = single_stage('gfl')
    config['bbox_head'] = {**config['bbox_head'], 'guide_keys': ['loss_iou']}
    with pytest.raises(KeyError, match=r'loss_iou.*loss_dfl'):
        build(config).loss(*batch(WITH_BOXES))
