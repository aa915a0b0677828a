"""Swapped classifiers in real decode heads: the host's head in every respect but one layer."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch

pytest.importorskip('mmseg.models')

from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import PixelData
from mmseg.models.decode_heads import FCNHead, Mask2FormerHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import register_all_modules
from torch import nn

from imbdense.nn.classifiers import CosineConv2d, CosineLinear, FixedFrameClassifier

register_all_modules(init_default_scope=False)

CLASSES = 4
ETF = {'type': 'imbdense.ETFSegHead'}
COSINE = {'type': 'imbdense.NormedSegHead'}
both = pytest.mark.parametrize('swap', [ETF, COSINE], ids=['etf', 'cosine'])


@pytest.fixture(autouse=True)
def segmentation_scope() -> Iterator[None]:
    """Heads build their parts in the scope of the run."""
    with DefaultScope.overwrite_default_scope('mmseg'):
        yield


def fcn(**changes: Any) -> dict[str, Any]:
    return {
        'type': 'FCNHead', 'in_channels': 3, 'channels': 8, 'num_convs': 1, 'concat_input': False,
        'num_classes': CLASSES, 'dropout_ratio': 0.0, 'norm_cfg': {'type': 'BN'}, **changes,
    }  # fmt: skip


def head_of(swap: dict[str, Any], **changes: Any) -> Any:
    torch.manual_seed(0)
    head = MODELS.build({**swap, 'base': fcn(**changes)})
    head.init_weights()
    return head


def samples(seed: int = 0, count: int = 2) -> list[SegDataSample]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, CLASSES, (count, 1, 16, 16), generator=generator)
    labels[:, :, :3] = 255
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def inputs(seed: int = 0) -> tuple[torch.Tensor]:
    return (torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)),)


@both
def test_the_result_is_the_base_head(swap: dict[str, Any]) -> None:
    head, plain = head_of(swap, align_corners=True), MODELS.build(fcn(align_corners=True))
    assert type(head) is FCNHead and head.num_classes == head.out_channels == CLASSES and head.align_corners
    assert set(plain.state_dict()) - set(head.state_dict()) <= {'conv_seg.weight', 'conv_seg.bias'}
    wanted = {'conv_seg.projection.weight', 'conv_seg.etf'} if swap is ETF else {'conv_seg.weight'}
    assert wanted <= set(head.state_dict())
    logits = head.predict(inputs(), [{'img_shape': (16, 16)}] * 2, {})
    assert logits.shape == (2, CLASSES, 16, 16)


@both
def test_as_a_segmentor_with_auxiliary_head(swap: dict[str, Any]) -> None:
    model = MODELS.build({
        'type': 'EncoderDecoder', 'backbone': {'type': 'ResNet', 'depth': 18, 'base_channels': 8},
        'decode_head': {**swap, 'base': fcn(in_channels=64, in_index=3)},
        'auxiliary_head': {**swap, 'base': fcn(in_channels=32, in_index=2)},
        'train_cfg': {}, 'test_cfg': ConfigDict(mode='whole'),
    })  # fmt: skip
    model.init_weights()
    assert model.num_classes == model.out_channels == CLASSES
    losses = model(torch.randn(2, 3, 16, 16), samples(), mode='loss')
    assert {'decode.loss_ce', 'aux.loss_ce'} <= set(losses)
    (losses['decode.loss_ce'] + losses['aux.loss_ce']).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    found = model.eval()(torch.randn(1, 3, 16, 16), None, mode='predict')
    assert found[0].pred_sem_seg.data.shape == (1, 16, 16)


HEADS = {
    'ASPPHead': {'dilations': (1, 2)},
    'PSPHead': {'pool_scales': (1, 2)},
    'UPerHead': {'pool_scales': (1, 2), 'in_channels': [3, 3], 'in_index': [0, 1]},
    'SegformerHead': {'in_channels': [3, 3], 'in_index': [0, 1]},
    'FPNHead': {'feature_strides': [4, 8], 'in_channels': [3, 3], 'in_index': [0, 1]},
    'DepthwiseSeparableASPPHead': {'dilations': (1, 2), 'c1_in_channels': 3, 'c1_channels': 2},
    'ISAHead': {'isa_channels': 4, 'down_factor': (2, 2)},
    'DAHead': {'pam_channels': 4},
    'DepthwiseSeparableFCNHead': {},
    'SETRUPHead': {'num_convs': 1, 'up_scale': 2, 'kernel_size': 3},
}


@both
@pytest.mark.parametrize('name', HEADS)
def test_many_decode_heads(swap: dict[str, Any], name: str) -> None:
    base = {'type': name, 'in_channels': 3, 'in_index': 1, 'channels': 8, 'num_classes': CLASSES,
            'norm_cfg': {'type': 'BN'}, **HEADS[name]}  # fmt: skip
    head = MODELS.build({**swap, 'base': base})
    head.init_weights()
    maps = (torch.randn(2, 3, 16, 16), torch.randn(2, 3, 8, 8))
    losses = head.loss(maps, samples(), {})
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(torch.isfinite(p.grad).all() for p in head.conv_seg.parameters())
    assert isinstance(head.conv_seg, FixedFrameClassifier if swap is ETF else CosineConv2d)


def test_initialisation_of_the_host_does_not_spoil_the_norm() -> None:
    """The host draws everything below conv_seg from N(0, 0.01), the factor of the BatchNorm too."""
    head = head_of(ETF)
    assert (head.conv_seg.norm.weight == 1).all() and (head.conv_seg.norm.bias == 0).all()
    assert head.conv_seg.projection.weight.std().item() == pytest.approx(8**-0.5, rel=0.5)


@pytest.mark.parametrize('frame', ['etf', 'of', 'gof'])
def test_the_frame_is_fixed_saved_and_not_drawn_anew(frame: str) -> None:
    counts = {'class_counts': [1000, 100, 10, 1], 'gamma': -0.25} if frame == 'gof' else {}
    swap = {**ETF, 'frame': frame, **counts}
    head = head_of(swap)
    before = head.conv_seg.etf.clone()
    optimizer = torch.optim.AdamW(head.parameters(), 1e-2)
    for step in range(10):
        optimizer.zero_grad()
        head.loss(inputs(step), samples(step), {})['loss_ce'].backward()
        optimizer.step()
    assert torch.equal(head.conv_seg.etf, before)
    other = head_of({**swap, 'seed': 5})
    assert not torch.equal(other.conv_seg.etf, before)
    other.load_state_dict(head.state_dict(), strict=True)
    assert torch.equal(other.conv_seg.etf, before)
    assert torch.equal(other.eval()(inputs()), head.eval()(inputs()))
    lengths = before.norm(dim=0)
    if frame == 'gof':
        assert (lengths / lengths[0]).tolist() == pytest.approx([1, 10**0.25, 10**0.5, 10**0.75], rel=1e-5)


@both
def test_average_of_weights_and_copies(swap: dict[str, Any]) -> None:
    from mmengine.model import ExponentialMovingAverage

    head = head_of(swap, loss_decode={'type': 'imbdense.DotRegressionLoss'})
    average = ExponentialMovingAverage(head, momentum=0.5)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter += 1
    average.update_parameters(head)
    if swap is ETF:
        assert torch.equal(average.module.conv_seg.etf, head.conv_seg.etf)
        assert average.module.loss_decode._bound[0] is average.module.conv_seg
    assert torch.isfinite(average.module.eval()(inputs())).all()


def test_plain_weights_fit_the_cosine_head() -> None:
    plain = MODELS.build(fcn())
    head = head_of(COSINE)
    missing, unexpected = head.load_state_dict(plain.state_dict(), strict=False)
    assert missing == [] and unexpected == ['conv_seg.bias']
    assert torch.equal(head.conv_seg.weight, plain.conv_seg.weight)


def test_unit_cosines_for_losses_that_scale() -> None:
    head = head_of({**COSINE, 'temperature': 1.0}).eval()
    logits = head(inputs())
    assert logits.abs().max() <= 1 + 1e-5 and head.conv_seg.bias is None


def test_dot_regression_is_told_the_frame() -> None:
    counts = [1000, 100, 10, 1]
    loss = [{'type': 'imbdense.DotRegressionLoss', 'given_ew': True}, {'type': 'CrossEntropyLoss'}]
    swap = {**ETF, 'frame': 'gof', 'class_counts': counts, 'scale': 3.0}
    head = head_of(swap, loss_decode=loss).train()
    twin = copy.deepcopy(head)
    found = head.loss(inputs(), samples(), {})
    # By hand, from the features: enlarge them and apply the published formula.
    from imbdense.core.losses import dot_regression_loss
    from imbdense.core.representation import batch_balanced_lengths

    features = twin.conv_seg.features(twin._forward_feature(inputs()))
    large = nn.functional.interpolate(features, size=(16, 16), mode='bilinear', align_corners=False)
    labels = torch.stack([sample.gt_sem_seg.data[0] for sample in samples()])
    lengths = batch_balanced_lengths(labels, CLASSES)
    expected = dot_regression_loss(large, labels, twin.conv_seg.etf, lengths=lengths)
    assert found['loss_dot_regression'].item() == pytest.approx(expected.item(), rel=1e-4)
    assert {'loss_dot_regression', 'loss_ce'} <= set(found)


@both
def test_half_precision(swap: dict[str, Any]) -> None:
    head = head_of(swap).eval()
    with torch.autocast('cpu', torch.bfloat16):
        logits = head(inputs())
    assert torch.isfinite(logits).all() and torch.allclose(logits.float(), head(inputs()), atol=0.3)


def mask2former() -> dict[str, Any]:
    from mmengine.config import Config

    from imbdense.utils.paths import configs_dir

    config = Config.fromfile(str(configs_dir() / '_base_' / 'models' / 'mask2former_r50.py')).model.decode_head
    config.update(num_classes=CLASSES, in_channels=[8] * 4, feat_channels=32, out_channels=32, num_queries=6)
    config.pixel_decoder.encoder.num_layers = 1
    layer = config.pixel_decoder.encoder.layer_cfg
    layer.self_attn_cfg.update(embed_dims=32)
    layer.ffn_cfg.update(embed_dims=32, feedforward_channels=32)
    config.pixel_decoder.norm_cfg.num_groups = 8
    config.pixel_decoder.positional_encoding.num_feats = 16
    config.positional_encoding.num_feats = 16
    decoder = config.transformer_decoder
    decoder.num_layers = 2
    for part in (decoder.layer_cfg.self_attn_cfg, decoder.layer_cfg.cross_attn_cfg):
        part.update(embed_dims=32, num_heads=4)
    decoder.layer_cfg.ffn_cfg.update(embed_dims=32, feedforward_channels=32)
    config.train_cfg.num_points = 64
    config.loss_cls.class_weight = [1.0] * CLASSES + [0.1]
    return config


@both
def test_mask2former(swap: dict[str, Any]) -> None:
    pytest.importorskip('mmdet.models')
    head = MODELS.build({**swap, 'base': mask2former()})
    head.init_weights()
    assert isinstance(head, Mask2FormerHead)
    assert isinstance(head.cls_embed, FixedFrameClassifier if swap is ETF else CosineLinear)
    assert head.cls_embed.out_features == CLASSES + 1  # "no object" is one more vector
    if swap is ETF:
        assert isinstance(head.cls_embed.norm, nn.LayerNorm)
    maps = tuple(torch.randn(2, 8, size, size) for size in (16, 8, 4, 2))
    data = samples()
    for sample in data:
        sample.set_metainfo({'img_shape': (64, 64), 'batch_input_shape': (64, 64), 'pad_shape': (64, 64)})
    losses = head.loss(maps, data, {})
    sum(value for key, value in losses.items() if 'loss' in key).backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in head.cls_embed.parameters())


def test_errors_say_what_to_do() -> None:
    with pytest.raises(TypeError, match=r"base=dict\(type='FCNHead'"):
        MODELS.build({**ETF, 'base': 'FCNHead'})
    with pytest.raises(ValueError, match='no classifier called conv_seg or cls_embed'):
        base = {'type': 'SegmenterMaskTransformerHead', 'in_channels': 8, 'num_layers': 1, 'num_heads': 2,
                'embed_dims': 8, 'num_classes': CLASSES, 'channels': 8}  # fmt: skip
        MODELS.build({**COSINE, 'base': base})
    with pytest.raises(ValueError, match='ETFSegHead: class counts are needed'):
        head_of({**ETF, 'frame': 'gof'})
    with pytest.raises(ValueError, match='dim >= 3'):
        head_of({**ETF, 'dim': 2})
    with pytest.raises(ValueError, match='out_channels=num_classes'):
        head_of(ETF, num_classes=2, out_channels=1, threshold=0.5)
    with pytest.raises(ValueError, match='does not fit feature maps'):
        head_of({**ETF, 'norm_cfg': {'type': 'LN'}})
    with pytest.raises(ValueError, match='temperature'):
        head_of({**COSINE, 'temperature': -1.0})
    with pytest.raises(TypeError, match='surely_no_such_argument'):
        head_of({**ETF, 'surely_no_such_argument': 1})
