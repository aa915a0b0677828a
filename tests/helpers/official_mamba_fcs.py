"""Random weights under the names and in the shapes of the released VMamba (0229) and Mamba-FCS."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

Shapes = Iterator[tuple[str, tuple[int, ...]]]


def official_backbone(dims: tuple[int, ...], depths: tuple[int, ...], *, out_norms: bool = True) -> dict[str, Tensor]:
    """VMamba as released for classification, or (``out_norms``) as a backbone of ChangeMamba."""
    return _random(_backbone(dims, depths, out_norms))


def official_mamba_fcs(dims: tuple[int, ...], depths: tuple[int, ...], classes: int) -> dict[str, Tensor]:
    """A whole model; ``classes`` land covers and "unchanged"."""
    found = {f'encoder.{name}': shape for name, shape in _backbone(dims, depths, True)}
    top = len(dims)
    for level in range(1, top + 1):
        dim = dims[level - 1]
        found.update(_named(f'decoder_bcd.st_block_{level}1.1', _block(dim)))
        found.update(_named(f'decoder_bcd.fuse_layer_{top + 1 - level}', _fusion(dim)))
        for date in ('T1', 'T2'):
            found.update(_named(f'decoder_{date}.st_block_{level}_semantic.1', _block(dim)))
        for decoder, suffix in (('bcd', ''), ('T1', '_semantic'), ('T2', '_semantic')):
            if level < top:
                lift = _named(f'decoder_{decoder}.down_sample_{top - level}', _pyramid(dims[level], dim))
                found.update(lift)
                found.update(_named(f'decoder_{decoder}.smooth_layer_{level}{suffix}', _residual(dim)))
    for date in ('T1', 'T2'):
        found.update(_named(f'decoder_{date}.smooth_layer_0_semantic', _residual(dims[0])))
    found.update(_named('main_clf_cd', _pyramid(dims[0], 2)))
    found.update(_named('aux_clf', _pyramid(dims[0], classes + 1)))
    return _random(iter(found.items()))


def _backbone(dims: tuple[int, ...], depths: tuple[int, ...], out_norms: bool) -> Shapes:
    yield from _affine('patch_embed.0', (dims[0] // 2, 3, 3, 3))
    yield from _affine('patch_embed.2', (dims[0] // 2,))
    yield from _affine('patch_embed.5', (dims[0], dims[0] // 2, 3, 3))
    yield from _affine('patch_embed.7', (dims[0],))
    for stage, (dim, depth) in enumerate(zip(dims, depths)):
        for block in range(depth):
            yield from _named(f'layers.{stage}.blocks.{block}', _block(dim))
        if stage + 1 < len(dims):
            yield from _affine(f'layers.{stage}.downsample.1', (dims[stage + 1], dim, 3, 3))
            yield from _affine(f'layers.{stage}.downsample.3', (dims[stage + 1],))
        if out_norms:
            yield from _affine(f'outnorm{stage}', (dim,))
    if not out_norms:
        yield from _affine('classifier.norm', (dims[-1],))
        yield from _affine('classifier.head', (1000, dims[-1]))


def _block(dim: int) -> Shapes:
    inner, rank = 2 * dim, math.ceil(dim / 16)
    yield from _affine('norm', (dim,))
    yield 'op.x_proj_weight', (4, rank + 2, inner)
    yield 'op.dt_projs_weight', (4, inner, rank)
    yield 'op.dt_projs_bias', (4, inner)
    yield 'op.A_logs', (4 * inner, 1)
    yield 'op.Ds', (4 * inner,)
    yield from _affine('op.out_norm', (inner,))
    yield 'op.in_proj.weight', (inner, dim)
    yield 'op.conv2d.weight', (inner, 1, 3, 3)
    yield 'op.out_proj.weight', (dim, inner)
    yield from _affine('norm2', (dim,))
    yield from _affine('mlp.fc1', (4 * dim, dim))
    yield from _affine('mlp.fc2', (dim, 4 * dim))


def _fusion(dim: int) -> Shapes:
    for branch in ('fft_pre', 'fft_post'):
        yield f'{branch}.proj.0.weight', (dim, dim, 1, 1)
        yield from _norm(f'{branch}.proj.1', dim)
    yield 'reduce_conv.weight', (dim, 5 * dim, 1, 1)
    yield from _norm('reduce_bn', dim)
    size = int((math.log2(dim) + 1) / 2)
    yield 'ch_gate.conv.weight', (1, 1, size + 1 - size % 2)
    yield 'sp_gate.conv.weight', (1, 2, 7, 7)
    yield from _affine('cross_attn.qkv', (3 * dim, dim))
    yield from _affine('cross_attn.proj', (dim, dim))


def _pyramid(wide: int, narrow: int) -> Shapes:
    yield from _affine('shortcut', (narrow, wide, 1, 1))
    yield from _affine('branch1.0', (narrow, wide, 1, 1))
    yield from _norm('branch1.1', narrow)
    yield from _affine('branch3.0', (narrow, wide, 3, 3))
    yield from _norm('branch3.1', narrow)
    yield from _affine('branch5.0', (wide, 1, 5, 5))
    yield from _affine('branch5.1', (narrow, wide, 1, 1))
    yield from _norm('branch5.2', narrow)
    yield from _affine('channel_att.fc.0', (3 * narrow // 16, 3 * narrow))
    yield from _affine('channel_att.fc.2', (3 * narrow, 3 * narrow // 16))
    yield from _affine('spatial_att.conv', (1, 2, 7, 7))
    yield from _affine('final_conv.0', (narrow, 3 * narrow, 1, 1))
    yield from _norm('final_conv.1', narrow)


def _residual(dim: int) -> Shapes:
    for number in (1, 2):
        yield f'conv{number}.weight', (dim, dim, 3, 3)
        yield from _norm(f'bn{number}', dim)
    yield from _affine('se.excitation.0', (dim // 16, dim))
    yield from _affine('se.excitation.2', (dim, dim // 16))


def _affine(name: str, shape: tuple[int, ...]) -> Shapes:
    """A weight and its bias."""
    yield f'{name}.weight', shape
    yield f'{name}.bias', shape[:1]


def _norm(name: str, dim: int) -> Shapes:
    """Batch normalisation."""
    yield from _affine(name, (dim,))
    yield f'{name}.running_mean', (dim,)
    yield f'{name}.running_var', (dim,)
    yield f'{name}.num_batches_tracked', ()


def _named(prefix: str, shapes: Shapes) -> Shapes:
    """Names behind a prefix."""
    yield from ((f'{prefix}.{name}', shape) for name, shape in shapes)


def _random(shapes: Shapes) -> dict[str, Tensor]:
    """Positive numbers, so that they may be variances; integers where batches are counted."""
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.zeros((), dtype=torch.int64) if name.endswith('tracked')
        else torch.rand(shape, generator=generator) * 0.2 + 0.1
        for name, shape in shapes
    }  # fmt: skip
