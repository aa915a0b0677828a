"""Weights that others released, into our modules: every name is accounted for, nothing is dropped silently."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from imbdense.mm.mapped_weights import read_weights
from imbdense.nn.backbones.vit import PlainViT, resize_positions

State = dict[str, Tensor]


def load_released(
    module: nn.Module,
    path: str | Path,
    adapt: Callable[[State], State],
    *,
    unused: Sequence[str] = (),
    may_miss: Sequence[str] = (),
) -> None:
    """Load a file into ``module`` and say what was done; anything unexpected is an error.

    Args:
        adapt: from the names and shapes of the file to those of ``module``.
        unused: prefixes of names that ``module`` has no use for (a classifier, a decoder).
        may_miss: prefixes of parameters that may keep their initial values.

    Raises:
        CheckpointError: the file cannot be read.
        ValueError: it lacks parameters, holds unknown ones, or shapes differ; all are named.
    """
    given = adapt(read_weights(str(path)))
    own = module.state_dict()
    dropped = sorted(name for name in given if name not in own and name.startswith(tuple(unused)) and unused)
    unknown = sorted(set(given) - set(own) - set(dropped))
    missing = sorted(set(own) - set(given))
    lacking = [name for name in missing if not (may_miss and name.startswith(tuple(may_miss)))]
    wrong = sorted(
        f'{name} {tuple(given[name].shape)} instead of {tuple(own[name].shape)}'
        for name in set(own) & set(given) if given[name].shape != own[name].shape
    )
    if unknown or lacking or wrong:
        raise ValueError(
            f'{path} does not fit {type(module).__name__}.\n  not in the file: {_listed(lacking)}\n  unknown names in '
            f'the file: {_listed(unknown)}\n  other shapes: {_listed(wrong)}\nCheck dim, depth and the patch size.'
        )
    module.load_state_dict({name: value for name, value in given.items() if name in own}, strict=False)
    print_log(
        f'{type(module).__name__}: {len(set(own) & set(given))} of {len(own)} tensors from {path}; left as they were: '
        f'{_listed(missing)}; not used: {_listed(dropped)}', logger='current',
    )


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


def _listed(names: Sequence[str]) -> str:
    """At most eight names."""
    return 'none' if not names else ', '.join(names[:8]) + (f' and {len(names) - 8} more' if len(names) > 8 else '')
