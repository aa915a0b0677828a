"""The registered backbone: alone in the hosts' models, and with released weights."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip('mmseg')

from imbdense.mm.backbones.vssm import adapt_bands
from imbdense.mm.checkpoints import CheckpointError
from imbdense.registry import MODELS
from tests.helpers.official_mamba_fcs import official_backbone

SIZES = {'dims': (16, 32), 'depths': (1, 2), 'out_indices': (0, 1)}


def build(**options):
    return MODELS.build({'type': 'imbdense.VSSM', **SIZES, **options})


def pretrained(path, **options):
    return {'type': 'Pretrained', 'checkpoint': str(path), 'key_map': 'vmamba0229', **options}


def test_alone_in_a_segmentor() -> None:
    head = {
        'type': 'mmseg.FCNHead', 'in_channels': 32, 'in_index': 1, 'channels': 8, 'num_convs': 1, 'num_classes': 3,
        'norm_cfg': {'type': 'BN'}, 'loss_decode': {'type': 'mmseg.CrossEntropyLoss', 'avg_non_ignore': True},
    }  # fmt: skip
    model = MODELS.build({
        'type': 'mmseg.EncoderDecoder', 'backbone': {'type': 'imbdense.VSSM', **SIZES, 'in_channels': 6},
        'decode_head': head, 'test_cfg': {'mode': 'whole'},
    })  # fmt: skip
    assert model.encode_decode(torch.randn(1, 6, 20, 28), [{'img_shape': (20, 28)}]).shape == (1, 3, 20, 28)


def test_in_front_of_the_pyramid_of_a_detector() -> None:
    pytest.importorskip('mmdet')
    backbone = build()
    neck = MODELS.build({'type': 'mmdet.FPN', 'in_channels': list(backbone.out_channels), 'out_channels': 8, 'num_outs': 3})
    assert [tuple(m.shape[1:]) for m in neck(backbone(torch.randn(1, 3, 32, 24)))] == [(8, 8, 6), (8, 4, 3), (8, 2, 2)]


@pytest.mark.parametrize('kind', ['classifier', 'detector', 'detector as convolutions'])
def test_released_weights_fill_every_tensor(tmp_path, kind: str) -> None:
    weights = official_backbone((16, 32), (1, 2), out_norms=kind != 'classifier')
    prefix = '' if kind == 'classifier' else 'encoder.'
    if kind.endswith('convolutions'):
        weights = {k: v[..., None, None] if k.endswith('in_proj.weight') else v for k, v in weights.items()}
    stored = {f'{prefix}{name}': value for name, value in weights.items()}
    torch.save({'model': stored} if kind == 'classifier' else {'state_dict': stored}, tmp_path / 'released.pth')
    model = build(init_cfg=pretrained(tmp_path / 'released.pth', prefix=prefix))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    model.init_weights()
    unchanged = {k for k, v in model.state_dict().items() if torch.equal(v, before[k])}
    outs = {f'out_norms.{i}.{part}' for i in (0, 1) for part in ('weight', 'bias')}
    assert unchanged == (outs if kind == 'classifier' else set())
    state = model.state_dict()
    assert torch.equal(state['stages.1.1.op.D'].flatten(), weights['layers.1.blocks.1.op.Ds'])
    assert torch.equal(state['stages.1.1.mlp.2.weight'], weights['layers.1.blocks.1.mlp.fc2.weight'])
    assert torch.equal(state['downsamples.0.conv.weight'], weights['layers.0.downsample.1.weight'])
    assert torch.equal(state['stem.second.norm.bias'], weights['patch_embed.7.bias'])


def test_weights_that_do_not_fit_are_an_error_and_change_nothing(tmp_path) -> None:
    torch.save(official_backbone((8, 16), (1, 2)), tmp_path / 'other.pth')
    model = build(init_cfg=pretrained(tmp_path / 'other.pth'))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=r'does not fit VSSM: .*misshaped.*At least 90% must match'):
        model.init_weights()
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    with pytest.raises(CheckpointError, match='begins with'):
        build(init_cfg=pretrained(tmp_path / 'other.pth', prefix='net.')).init_weights()
    with pytest.raises(ValueError, match='key_map must be one of'):
        build(init_cfg=pretrained(tmp_path / 'other.pth', key_map='vmamba')).init_weights()


def test_own_checkpoints_and_no_weights(tmp_path) -> None:
    torch.manual_seed(0)
    model = build()
    model.init_weights()
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in model.state_dict().items()}}, tmp_path / 'own.pth')
    copy = build(init_cfg={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'own.pth'), 'prefix': 'backbone.'})
    copy.init_weights()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), copy.parameters()))


@pytest.mark.parametrize(('bands', 'how'), [(1, 'mean'), (4, 'mean'), (4, 'zero'), (2, 'zero'), (3, 'mean')])
def test_stem_for_other_bands(bands: int, how: str) -> None:
    weight = torch.randn(8, 3, 3, 3)
    found = adapt_bands(weight, bands, how)
    assert found.shape == (8, bands, 3, 3)
    grey = torch.ones(bands, 3, 3)
    if how == 'mean':  # a grey image gives what it gave
        assert torch.allclose((found * grey).sum((1, 2, 3)), weight.sum((1, 2, 3)), atol=1e-5)
    else:
        shared = min(bands, 3)
        assert torch.equal(found[:, :shared], weight[:, :shared]) and (found[:, shared:] == 0).all()


def test_four_bands_from_released_weights(tmp_path) -> None:
    weights = official_backbone((16, 32), (1, 2))
    torch.save(weights, tmp_path / 'released.pth')
    model = build(in_channels=4, band_init='zero', init_cfg=pretrained(tmp_path / 'released.pth'))
    model.init_weights()
    assert torch.equal(model.stem.first.conv.weight[:, :3], weights['patch_embed.0.weight'])
    assert (model.stem.first.conv.weight[:, 3] == 0).all()
