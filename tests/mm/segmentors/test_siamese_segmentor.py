"""SiameseSegmentor: fusions, exact symmetry, exchange, bands and sizes, the published FC networks."""

from __future__ import annotations

from typing import Any

import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.config import ConfigDict
from mmengine.structures import PixelData

from imbdense.registry import MODELS
from tests.mm.segmentors.change_cases import WIDTHS, fc_siam, mit, pairs, resnet, train_step


def count(model: torch.nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


def swap(images: torch.Tensor) -> torch.Tensor:
    """Date 2 first."""
    return torch.cat(images.chunk(2, dim=1)[::-1], dim=1)


@pytest.mark.parametrize('fusion', ['early', 'diff', 'concat', 'conc+diff'])
@pytest.mark.parametrize('bands', [3, 6])
def test_trains_and_predicts(fusion: str, bands: int) -> None:
    torch.manual_seed(0)
    model = resnet(fusion, bands=bands)
    data = pairs(size=(48, 37), bands=bands)
    total, terms = train_step(model, data)
    total.backward()
    assert 'decode.loss_ce' in terms and torch.isfinite(total)
    model.eval()
    results = model.test_step(pairs(size=(48, 37), bands=bands))
    assert type(results[0]).__name__ == 'SCDDataSample' and results[0].pred_cd.data.shape == (1, 48, 37)


@pytest.mark.parametrize(
    ('fusion', 'skips', 'bands'), [('early', WIDTHS, 6), ('diff', WIDTHS, 3), ('concat', (32, 64, 128, 256), 3)]
)
def test_fc_networks_have_the_published_parameters(fusion: str, skips: tuple[int, ...], bands: int) -> None:
    from tests.nn.heads.test_fc_decoder import published_layers

    model = fc_siam(fusion)
    assert count(model) == published_layers(bands, skips, 2)
    total, _ = train_step(model, pairs(size=(33, 50)))
    total.backward()
    assert all(p.grad is not None for p in model.parameters())


@pytest.mark.parametrize('fusion', ['early', 'concat', 'conc+diff', 'diff'])
def test_symmetric_is_exact_in_evaluation(fusion: str) -> None:
    torch.manual_seed(0)
    model = resnet(fusion, symmetric=True).eval()
    images = torch.randn(3, 6, 45, 32)
    with torch.no_grad():
        forth, back = model._forward(images), model._forward(swap(images))
        plain = resnet(fusion).eval()
        plain.load_state_dict(model.state_dict())
        one, two = plain._forward(images), plain._forward(swap(images))
    assert forth.shape[0] == 3 and torch.equal(forth, back)
    torch.testing.assert_close(forth, one + two)
    assert fusion == 'diff' or not torch.equal(one, two)


def test_symmetric_trains_with_auxiliary_heads_and_takes_the_weights_of_a_plain_one() -> None:
    auxiliary = [dict(type='mmseg.FCNHead', in_channels=32 * 2, channels=8, in_index=2, num_classes=2, num_convs=1,
                      norm_cfg=dict(type='BN'))]  # fmt: skip
    for heads in (auxiliary, auxiliary[0]):
        model = resnet('concat', symmetric=True, auxiliary_head=heads)
        total, terms = train_step(model, pairs())
        total.backward()
        assert sum('loss' in name for name in terms) == 2
        assert set(model.state_dict()) == set(resnet('concat', auxiliary_head=heads).state_dict())


@pytest.mark.parametrize('build', [resnet, mit])
def test_exchange_costs_no_parameter_and_acts_at_every_named_stage(build: Any) -> None:
    torch.manual_seed(0)
    kinds = [None, 'spatial', 'channel', 'channel']
    plain, exchanged = build().eval(), build(exchange=kinds).eval()
    assert count(plain) == count(exchanged)
    exchanged.load_state_dict(plain.state_dict())
    images = torch.randn(2, 6, 64, 96)
    with torch.no_grad():
        before, after = plain.extract_feat(images), exchanged.extract_feat(images)
        backwards = exchanged.extract_feat(swap(images))
    assert torch.equal(before[0], after[0])
    assert all(not torch.equal(x, y) for x, y in zip(before[1:], after[1:]))
    # Stage 2 is the first that exchanges: its columns 0, 2, ... have changed places.
    a, b = before[1].chunk(2, dim=1)
    c, d = after[1].chunk(2, dim=1)
    assert torch.equal(c[..., 0::2], b[..., 0::2]) and torch.equal(c[..., 1::2], a[..., 1::2])
    assert torch.equal(d[..., 0::2], a[..., 0::2])
    for level, other in zip(after, backwards):
        torch.testing.assert_close(swap(level), other)


def test_exchange_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(ValueError, match='needs features per date'):
        resnet('early', exchange=[None] * 4)
    with pytest.raises(ValueError, match='each of the 4 stages'):
        resnet('concat', exchange=['channel'])
    with pytest.raises(ValueError, match='exchange must be one of'):
        resnet('concat', exchange=['rows', None, None, None])
    plain = dict(type='mmseg.VisionTransformer', img_size=32, embed_dims=8, num_layers=1, num_heads=1)
    head = dict(type='mmseg.FCNHead', in_channels=8, channels=4, num_classes=2)
    with pytest.raises(ValueError, match='stages of VisionTransformer are not known'):
        MODELS.build(dict(type='imbdense.SiameseSegmentor', backbone=plain, decode_head=head, exchange=['channel'] * 2))


def test_changer_and_bit() -> None:
    torch.manual_seed(0)
    head = dict(type='imbdense.ChangerHead', in_channels=[8, 16, 32, 64], in_index=[0, 1, 2, 3], channels=16,
                num_classes=2, norm_cfg=dict(type='BN'))  # fmt: skip
    changer = resnet('concat', head=head, exchange=[None, 'spatial', 'channel', 'channel'])
    bit = resnet(
        dict(type='imbdense.BITFusion', in_channels=64, channels=8, decoder_depth=2, num_heads=2, head_channels=4),
        head=dict(type='mmseg.FCNHead', in_channels=8, channels=8, in_index=0, num_convs=1, concat_input=False,
                  num_classes=2, norm_cfg=dict(type='BN')))  # fmt: skip
    for model in (changer, bit):
        total, _ = train_step(model, pairs(size=(64, 64)))
        total.backward()
        assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
        assert model.eval()._forward(torch.randn(1, 6, 50, 70)).shape[:2] == (1, 2)


def test_change_vit_has_the_published_parameters_and_trains() -> None:
    def build(dim: int, **options: Any) -> Any:
        return MODELS.build(ConfigDict(
            type='imbdense.SiameseSegmentor', data_preprocessor=dict(type='imbdense.DenseDataPreProcessor', dates=2),
            backbone=dict(type='imbdense.ChangeViTBackbone', dim=dim, **options),
            neck=dict(type='imbdense.FeatureInjectorNeck', dim=dim), fusion='conc+diff', test_cfg=dict(mode='whole'),
            decode_head=dict(type='imbdense.ChangeViTHead', in_channels=(64, 128, 256, dim), num_classes=2,
                             out_channels=1, threshold=0.5,
                             loss_decode=dict(type='mmseg.CrossEntropyLoss', use_sigmoid=True))))  # fmt: skip

    with torch.device('meta'):
        sizes = [count(build(dim)) / 1e6 for dim in (192, 384)]
    assert sizes == [pytest.approx(11.7, rel=0.02), pytest.approx(32.1, rel=0.02)]
    model = build(16, depth=1, num_heads=2, image_size=64)
    total, _ = train_step(model, pairs(size=(64, 64)))
    total.backward()
    assert model.eval().test_step(pairs(1, size=(50, 37)))[0].pred_cd.data.shape == (1, 50, 37)


def test_any_imbalance_loss_works_on_the_change_map() -> None:
    losses = [dict(type='imbdense.PerClassTverskyLoss'), dict(type='imbdense.BalancedSoftmaxLoss')]
    head = dict(type='mmseg.FCNHead', in_channels=64, channels=8, num_classes=2, num_convs=1, loss_decode=losses)
    total, terms = train_step(resnet('diff', head=head), pairs())
    assert torch.isfinite(total) and sum('loss' in name for name in terms) == 2


@pytest.mark.parametrize('options', [{'symmetric': True}, {'exchange': [None, 'spatial', 'channel', None]}])
def test_autocast(options: dict[str, Any]) -> None:
    model = resnet('concat', **options)
    with torch.autocast('cpu', torch.bfloat16):
        total, _ = train_step(model, pairs(size=(64, 64)))
    total.backward()
    assert torch.isfinite(total) and all(bool(torch.isfinite(p.grad).all()) for p in model.parameters())


def test_sliding_windows_equal_those_of_the_host() -> None:
    from mmseg.models.segmentors import EncoderDecoder

    model, images = fc_siam('diff').eval(), torch.randn(2, 6, 48, 64)
    metas = [dict(ori_shape=(48, 64), img_shape=(48, 64), pad_shape=(48, 64)) for _ in range(2)]
    model.test_cfg = ConfigDict(mode='slide', crop_size=(32, 40), stride=(16, 24))
    with torch.no_grad():
        own = model.inference(images, metas)
        theirs = EncoderDecoder.slide_inference(model, images, metas)
    torch.testing.assert_close(own, theirs)


def test_messages() -> None:
    with pytest.raises(ValueError, match='fusion must be one of'):
        resnet('sum')
    with pytest.raises(ValueError, match='fusion names 2 maps, but there are 4'):
        resnet(['diff', 'concat']).extract_feat(torch.randn(1, 6, 32, 32))
    with pytest.raises(ValueError, match='bands of two dates, but has 5 channels'):
        resnet().extract_feat(torch.randn(1, 5, 32, 32))


def two_step(classes: int = 4) -> Any:
    parts = [dict(type='mmseg.FCNHead', in_channels=64, channels=8, num_convs=1, num_classes=n)
             for n in (2, classes - 1)]  # fmt: skip
    return resnet('diff', head=dict(type='imbdense.BinaryThenMulticlassHead', change_head=parts[0], type_head=parts[1]))


def test_binary_then_multiclass_decides_in_two_steps() -> None:
    torch.manual_seed(0)
    head, features = two_step().eval().decode_head, [torch.randn(2, 64, 8, 8)] * 4
    torch.nn.init.normal_(head.change_head.conv_seg.weight, std=1.0)
    with torch.no_grad():
        change, kind, logits = head.change_head(features), head.type_head(features), head(features)
    changed = change.argmax(1) == 1
    assert changed.any() and not changed.all()
    assert torch.equal(logits.argmax(1), torch.where(changed, kind.argmax(1) + 1, 0))
    torch.testing.assert_close(logits[:, 0].exp(), change.softmax(1)[:, 0])


def test_binary_then_multiclass_learns_kinds_on_change_only() -> None:
    model, data = two_step(), pairs(classes=4)
    total, terms = train_step(model, data)
    total.backward()
    assert {'decode.change.loss_ce', 'decode.type.loss_ce'} <= set(terms)
    model.zero_grad()
    for sample in data['data_samples']:
        sample.gt_cd = PixelData(data=torch.zeros(1, 32, 32, dtype=torch.int64))
    total, terms = train_step(model, data)
    total.backward()
    assert terms['decode.type.loss_ce'].item() == 0
    assert all(p.grad.abs().sum() == 0 for p in model.decode_head.type_head.parameters())
    with pytest.raises(ValueError, match='at least 2'):
        two_step(2)
