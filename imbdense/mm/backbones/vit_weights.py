"""Released weights of plain vision transformers under our names."""

from __future__ import annotations

from torch import Tensor

from imbdense.nn.backbones.vit import PlainViT, resize_positions

State = dict[str, Tensor]


def vit_state(state: State, model: PlainViT) -> State:
    """A timm / DINOv2 state for :class:`imbdense.nn.backbones.vit.PlainViT`.

    Position vectors lose those of extra tokens and are resized; ``ls1.gamma`` and ``ls2.gamma`` are multiplied into the
    layer they scale, which is the same function; a patch embedding of another shape is left out.
    """
    found = dict(state)
    positions = found['pos_embed']
    grid = int(positions.shape[1] ** 0.5)
    found['pos_embed'] = resize_positions(positions[:, positions.shape[1] - grid**2 :], grid, (model.grid, model.grid))
    for name in [name for name in found if name.endswith(('.ls1.gamma', '.ls2.gamma'))]:
        block, scale = name.rsplit('.', 2)[0], found.pop(name)
        layer = f'{block}.attn.proj' if '.ls1.' in name else f'{block}.mlp.fc2'
        found[f'{layer}.weight'] = found[f'{layer}.weight'] * scale[:, None]
        found[f'{layer}.bias'] = found[f'{layer}.bias'] * scale
    if found['patch_embed.proj.weight'].shape != model.patch_embed.proj.weight.shape:
        del found['patch_embed.proj.weight'], found['patch_embed.proj.bias']
    return found
