"""Where the parameters of real models go, and every rule on small ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from mmengine.optim import build_optim_wrapper

from imbdense.mm.optim.muon_split import Placement, SplitRules, split_parameters, split_table
from tests.mm.optim.models import SOURCES, build


def by_name(model: nn.Module, rules: dict[str, Any] | None = None) -> dict[str, Placement]:
    return {placed.name: placed for placed in split_parameters(model, SplitRules(**(rules or {})))}


AUXILIARY = {
    'SegFormer-B0': ['backbone.layers.0.0.projection.weight', 'decode_head.conv_seg.weight',
                     'backbone.layers.0.1.0.ffn.layers.1.weight'],
    'UPerNet-Swin-T': ['backbone.patch_embed.projection.weight', 'decode_head.conv_seg.weight',
                       'auxiliary_head.conv_seg.weight',
                       'backbone.stages.0.blocks.0.attn.w_msa.relative_position_bias_table'],
    'Mask R-CNN R50': ['backbone.conv1.weight', 'rpn_head.rpn_cls.weight', 'rpn_head.rpn_reg.weight',
                       'roi_head.bbox_head.fc_cls.weight', 'roi_head.bbox_head.fc_reg.weight',
                       'roi_head.mask_head.conv_logits.weight'],
    'Mask2Former R50': ['backbone.conv1.weight', 'decode_head.cls_embed.weight', 'decode_head.mask_embed.4.weight',
                        'decode_head.query_feat.weight', 'decode_head.query_embed.weight',
                        'decode_head.level_embed.weight',
                        'decode_head.pixel_decoder.encoder.layers.0.self_attn.sampling_offsets.weight'],
}  # fmt: skip
MUON = {
    'SegFormer-B0': ['backbone.layers.0.1.0.attn.attn.in_proj_weight', 'backbone.layers.1.0.projection.weight',
                     'decode_head.fusion_conv.conv.weight', 'backbone.layers.0.1.0.ffn.layers.0.weight'],
    'UPerNet-Swin-T': ['backbone.stages.0.blocks.0.attn.w_msa.qkv.weight', 'decode_head.bottleneck.conv.weight',
                       'backbone.stages.0.downsample.reduction.weight'],
    'Mask R-CNN R50': ['backbone.layer1.0.conv1.weight', 'neck.fpn_convs.0.conv.weight', 'rpn_head.rpn_conv.weight',
                       'roi_head.bbox_head.shared_fcs.0.weight', 'roi_head.mask_head.upsample.weight'],
    'Mask2Former R50': ['decode_head.mask_embed.2.weight',
                        'decode_head.transformer_decoder.layers.0.self_attn.attn.in_proj_weight',
                        'decode_head.pixel_decoder.encoder.layers.0.self_attn.value_proj.weight'],
}  # fmt: skip


@pytest.mark.parametrize('name', SOURCES)
def test_models_of_the_hosts(name: str) -> None:
    """Every trainable parameter once; ends of the network, norms and embeddings auxiliary, hidden matrices Muon's."""
    model = build(name)
    placements = split_parameters(model)
    print(f'\n{name}\n{split_table(placements)}')
    trainable = {id(param) for param in model.parameters() if param.requires_grad}
    assert [id(placed.param) for placed in placements] == list(dict.fromkeys(id(p.param) for p in placements))
    assert {id(placed.param) for placed in placements} == trainable
    placed = {placement.name: placement for placement in placements}
    assert not [key for key in AUXILIARY[name] if placed[key].use_muon]
    assert not [key for key in MUON[name] if not placed[key].use_muon]
    norms = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.Embedding)
    special = {id(p) for module in model.modules() if isinstance(module, norms) for p in module.parameters()}
    special |= {id(param) for param in model.parameters() if param.ndim < 2}
    assert not [key for key, placement in placed.items() if id(placement.param) in special and placement.use_muon]
    built = build_optim_wrapper(model, {'type': 'OptimWrapper', 'optimizer': {'type': 'imbdense.MuonAdamW'},
                                        'constructor': 'imbdense.MuonOptimWrapperConstructor'})  # fmt: skip
    grouped = [id(param) for group in built.optimizer.param_groups for param in group['params']]
    assert len(grouped) == len(trainable) and set(grouped) == trainable and len(built.optimizer.param_groups) <= 3
    muon = sum(placement.param.numel() for placement in placements if placement.use_muon)
    assert muon > 0.9 * sum(param.numel() for param in model.parameters())


class Small(nn.Module):
    """One of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.ModuleDict({
            'stem': nn.Conv2d(3, 16, 3), 'depthwise': nn.Conv2d(16, 16, 3, groups=16),
            'grouped': nn.Conv2d(32, 32, 3, groups=4), 'up': nn.ConvTranspose2d(16, 8, 2),
            'thin': nn.Conv2d(16, 4, 1), 'volume': nn.Conv3d(16, 16, 3),
        })  # fmt: skip
        self.attention = nn.MultiheadAttention(16, 2)
        self.cross = nn.MultiheadAttention(16, 2, kdim=12, vdim=12)
        self.attn = nn.ModuleDict({'qkv': nn.Linear(16, 48), 'proj': nn.Linear(16, 16), 'q': nn.Linear(16, 16)})
        self.conv_offset = nn.Conv2d(16, 18, 3)
        self.pos_embed = nn.Parameter(torch.zeros(16, 16))
        self.mask_embed = nn.Sequential(nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 16))
        self.cls_branches = nn.ModuleList([nn.Linear(16, 10), nn.Linear(16, 10)])
        self.cls_convs = nn.ModuleList([nn.Conv2d(16, 16, 3)])
        self.frozen = nn.Linear(16, 16).requires_grad_(False)
        self.shared = self.attn['proj']
        self.wave = nn.Parameter(torch.zeros(16, 16, dtype=torch.complex64))


def test_every_rule() -> None:
    placed = by_name(Small())
    assert {name: placement.reason for name, placement in placed.items() if not placement.use_muon
            and not name.endswith('bias')} == {
        'pos_embed': 'embedding or table', 'wave': 'complex or empty', 'backbone.stem.weight': 'first layer',
        'backbone.depthwise.weight': 'grouped convolution', 'backbone.grouped.weight': 'grouped convolution',
        'backbone.thin.weight': 'side below 8', 'conv_offset.weight': 'offset predictor',
        'mask_embed.2.weight': 'classifier', 'cls_branches.0.weight': 'classifier',
        'cls_branches.1.weight': 'classifier',
    }  # fmt: skip
    assert {name for name, placement in placed.items() if placement.use_muon} == {
        'backbone.up.weight', 'backbone.volume.weight', 'attention.in_proj_weight', 'attention.out_proj.weight',
        'cross.q_proj_weight', 'cross.k_proj_weight', 'cross.v_proj_weight', 'cross.out_proj.weight',
        'attn.qkv.weight', 'attn.proj.weight', 'attn.q.weight', 'mask_embed.0.weight', 'cls_convs.0.weight',
    }  # fmt: skip
    assert not [name for name in placed if name.startswith(('frozen', 'shared'))]
    assert placed['attention.in_proj_weight'].blocks == placed['attn.qkv.weight'].blocks == 3


def test_options() -> None:
    model = Small()
    grouped = by_name(model, {'grouped': 'per_group'})
    assert grouped['backbone.grouped.weight'].blocks == 4 and grouped['backbone.grouped.weight'].use_muon
    assert not grouped['backbone.depthwise.weight'].use_muon  # one row per group
    head = by_name(model, {'include_head': True})['cls_branches.0.weight']
    assert head.use_muon and head.rank_guard and head.reason == 'classifier'
    assert not by_name(model, {'include_head': True, 'rank_guard': False})['cls_branches.0.weight'].rank_guard
    assert by_name(model, {'fused_qkv': False})['attn.qkv.weight'].blocks == 1
    assert by_name(model, {'min_dim': 4})['backbone.thin.weight'].use_muon
    assert by_name(model, {'head_keys': ('cls_convs',)})['cls_convs.0.weight'].reason == 'classifier'


def test_only_v_and_o() -> None:
    """The ablation of the paper: q and k to AdamW, v, o and the feed-forward layers to Muon."""
    placed = by_name(Small(), {'muon_parts': ('v',)})
    for name in ('attention.in_proj_weight', 'attn.qkv.weight'):
        assert placed[name].use_muon and placed[name].muon_blocks == (2,)
    others = ('cross.q_proj_weight', 'cross.k_proj_weight', 'attn.q.weight')
    assert [placed[name].reason for name in others] == ['attention part'] * 3
    assert placed['cross.v_proj_weight'].use_muon and placed['attention.out_proj.weight'].use_muon
    assert not by_name(Small(), {'muon_parts': ()})['attn.qkv.weight'].use_muon


def test_without_a_backbone_the_first_layer_of_the_model_counts() -> None:
    placed = by_name(nn.Sequential(nn.Conv2d(3, 16, 3), nn.Conv2d(16, 16, 3)))
    assert placed['0.weight'].reason == 'first layer' and placed['1.weight'].use_muon


def test_deformable_convolution_is_a_convolution() -> None:
    ops = pytest.importorskip('mmcv.ops')
    placed = by_name(nn.Sequential(nn.Conv2d(3, 16, 3), ops.ModulatedDeformConv2dPack(16, 16, 3, padding=1)))
    assert placed['1.weight'].use_muon and placed['1.conv_offset.weight'].reason == 'offset predictor'
