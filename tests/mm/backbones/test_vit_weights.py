"""Released weights in their own files, names and shapes: loaded in full, or refused with everything named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip('mmengine')

from imbdense.mm.checkpoints import CheckpointError
from imbdense.nn.backbones.vit import PlainViT
from imbdense.registry import MODELS

PRITHVI = dict(type='imbdense.PrithviViT', dim=32, depth=2, num_heads=2, out_indices=(0, 1))
CLAY = dict(type='imbdense.ClayViT', dim=24, depth=2, heads=2, dim_head=8, out_indices=(1,))


def save(path: Path, content: Any) -> str:
    torch.save(content, path)
    return str(path)


def released_prithvi(version: int) -> tuple[dict[str, torch.Tensor], Any]:
    """A state in the layout of the file of version 1 (bare names) or 2 (encoder. and decoder.), and its encoder."""
    torch.manual_seed(0)
    source = MODELS.build(PRITHVI)
    state = dict(source.state_dict())
    state['patch_embed.proj.weight'] = state['patch_embed.proj.weight'][:, :, None]
    state['pos_embed'] = torch.zeros(1, 4 * 196 + 1, 32)
    if version == 1:
        return {**state, 'mask_token': torch.zeros(1, 1, 8), 'decoder_embed.weight': torch.zeros(8, 32),
                'decoder_pos_embed': torch.zeros(1, 9, 8)}, source  # fmt: skip
    return {**{f'encoder.{name}': value for name, value in state.items()},
            'encoder.temporal_embed_enc.scale': torch.ones(1), 'decoder.mask_token': torch.zeros(1, 1, 8),
            'decoder.decoder_blocks.0.norm1.weight': torch.zeros(8)}, source  # fmt: skip


@pytest.mark.parametrize('version', [1, 2])
def test_prithvi(version: int, tmp_path: Path) -> None:
    state, source = released_prithvi(version)
    bands = ('red', 'height', 'blue', 'green', 'nir_narrow', 'swir_1', 'swir_2')
    model = MODELS.build(dict(PRITHVI, bands=bands, checkpoint=save(tmp_path / 'p.pt', state)))
    model.init_weights()
    image = torch.randn(1, 7, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model.eval()(image)[1], source.eval()(image[:, [2, 3, 0, 4, 5, 6]])[1])


def test_clay(tmp_path: Path) -> None:
    torch.manual_seed(0)
    source = MODELS.build(CLAY)
    state = {f'model.encoder.{name}': value for name, value in source.state_dict().items()}
    state.update({'model.decoder.mask_patch': torch.zeros(3), 'model.teacher.cls_token': torch.zeros(1)})
    path = save(tmp_path / 'c.ckpt', {'state_dict': state, 'epoch': 3})
    model = MODELS.build(dict(CLAY, bands=('red', 'green', 'blue', 'nir', 'height'), checkpoint=path))
    model.init_weights()
    image = torch.randn(1, 5, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(
            model.eval()(image)[0], source.eval()(image[:, :4])[0], atol=1e-5, rtol=1e-4
        )


def test_what_does_not_fit_is_named(tmp_path: Path) -> None:
    state, _ = released_prithvi(2)
    del state['encoder.blocks.1.mlp.fc2.bias']
    state['encoder.blocks.2.norm1.weight'] = torch.zeros(32)
    state['encoder.norm.weight'] = torch.zeros(16)
    model = MODELS.build(dict(PRITHVI, checkpoint=save(tmp_path / 'p.pt', state)))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError) as error:
        model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    for part in ('not in the file: blocks.1.mlp.fc2.bias', 'unknown names in the file: blocks.2.norm1.weight',
                 r'norm.weight (16,) instead of (32,)'):  # fmt: skip
        assert part in str(error.value)
    with pytest.raises(CheckpointError, match='there is no checkpoint'):
        MODELS.build(dict(PRITHVI, checkpoint=str(tmp_path / 'none.pt'))).init_weights()


def plain_vit_state(patch: int) -> dict[str, torch.Tensor]:
    """As timm and DINOv2 name it: class token, positions with one for it, layer scales, a head."""
    torch.manual_seed(0)
    vit = PlainViT(dim=16, depth=2, num_heads=2, patch_size=patch, image_size=4 * patch)
    state = dict(vit.state_dict())
    state['pos_embed'] = torch.cat([torch.zeros(1, 1, 16), state['pos_embed']], dim=1)
    scales = {f'blocks.{i}.ls{k}.gamma': torch.rand(16) for i in range(2) for k in (1, 2)}
    return {**state, **scales, 'cls_token': torch.zeros(1, 1, 16), 'head.weight': torch.zeros(3, 16)}


@pytest.mark.parametrize('patch', [16, 14])
def test_change_vit_takes_plain_transformers(patch: int, tmp_path: Path) -> None:
    state = plain_vit_state(patch)
    model = MODELS.build(dict(
        type='imbdense.ChangeViTBackbone', dim=16, depth=2, num_heads=2, image_size=64,
        vit_checkpoint=save(tmp_path / 'v.pth', {'model': state} if patch == 16 else state)))  # fmt: skip
    before = model.vit.patch_embed.proj.weight.clone()
    model.init_weights()
    torch.testing.assert_close(model.vit.pos_embed, state['pos_embed'][:, 1:])
    torch.testing.assert_close(
        model.vit.blocks[1].attn.proj.weight,
        state['blocks.1.ls1.gamma'][:, None] * state['blocks.1.attn.proj.weight'],
    )
    torch.testing.assert_close(
        model.vit.blocks[0].mlp.fc2.bias, state['blocks.0.ls2.gamma'] * state['blocks.0.mlp.fc2.bias']
    )
    assert torch.equal(model.vit.patch_embed.proj.weight, before) == (patch == 14)


def test_change_vit_takes_resnet18(tmp_path: Path) -> None:
    build = dict(type='imbdense.ChangeViTBackbone', dim=16, depth=1, num_heads=2, image_size=64)
    state = {name: torch.randn_like(value) if value.is_floating_point() else value
             for name, value in MODELS.build(build).detail.state_dict().items()}  # fmt: skip
    extra = {'layer4.0.conv1.weight': torch.zeros(2), 'fc.bias': torch.zeros(2)}
    path = save(tmp_path / 'r.pth', {**state, **extra})
    model = MODELS.build(dict(build, detail_checkpoint=path))
    model.init_weights()
    assert all(torch.equal(value, state[name]) for name, value in model.detail.state_dict().items())
    six = MODELS.build(dict(build, in_channels=6, detail_checkpoint=path))
    six.init_weights()
    assert six.detail.conv1.weight.shape[1] == 6
