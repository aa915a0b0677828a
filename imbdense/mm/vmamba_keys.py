"""Names of the released weights of VMamba (0229), ChangeMamba's encoder and Mamba-FCS, in ours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

Rules = Sequence[tuple[str, str]]

BLOCK: Rules = (
    (r'\bln_1\.', 'norm.'),
    (r'\bself_attention\.', 'op.'),
    (r'\bop\.conv2d\.', 'op.conv.'),
    (r'\bop\.dt_projs_', 'op.dt_proj_'),
    (r'\bop\.A_logs$', 'op.A_log'),
    (r'\bop\.Ds$', 'op.D'),
    (r'\bmlp\.fc1\.', 'mlp.0.'),
    (r'\bmlp\.fc2\.', 'mlp.2.'),
)
BACKBONE: Rules = (
    *BLOCK,
    (r'^patch_embed\.0\.', 'stem.first.conv.'),
    (r'^patch_embed\.2\.', 'stem.first.norm.'),
    (r'^patch_embed\.5\.', 'stem.second.conv.'),
    (r'^patch_embed\.7\.', 'stem.second.norm.'),
    (r'^layers\.(\d+)\.blocks\.', r'stages.\1.'),
    (r'^layers\.(\d+)\.downsample\.1\.', r'downsamples.\1.conv.'),
    (r'^layers\.(\d+)\.downsample\.3\.', r'downsamples.\1.norm.'),
    (r'^outnorm(\d+)\.', r'out_norms.\1.'),
)
PARTS: Rules = (
    *BLOCK,
    (r'\bfft_pre\.proj\.', 'branches.0.'),
    (r'\bfft_post\.proj\.', 'branches.1.'),
    (r'\breduce_conv\.', 'reduce.0.'),
    (r'\breduce_bn\.', 'reduce.1.'),
    (r'\bch_gate\.', 'channel_gate.'),
    (r'\bsp_gate\.', 'spatial_gate.'),
    (r'\bchannel_att\.fc\.0\.', 'channel_gate.narrow.'),
    (r'\bchannel_att\.fc\.2\.', 'channel_gate.wide.'),
    (r'\bspatial_att\.', 'spatial_gate.'),
    (r'\bfinal_conv\.', 'fuse.'),
    (r'\bse\.excitation\.0\.', 'se.narrow.'),
    (r'\bse\.excitation\.2\.', 'se.wide.'),
    (r'^main_clf_cd\.', 'change_head.classifier.'),
    (r'^aux_clf\.', 'semantic_head.classifier.'),
    (r'^decoder_bcd\.', 'change_head.decoder.'),
    (r'^decoder_T1\.', 'semantic_head.decoders.0.'),
    (r'^decoder_T2\.', 'semantic_head.decoders.1.'),
    (r'\bsmooth_layer_0_semantic\.', 'final.'),
)


def vmamba0229(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Backbone of VMamba, ChangeMamba or Mamba-FCS (with ``prefix='encoder.'``) -> :class:`imbdense.nn...VSSM`."""
    return {name: _of_paths(name, value) for name, value in _renamed(weights, BACKBONE).items()}


def mamba_fcs(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A whole Mamba-FCS -> ``SemanticChangeDetector``, ``classifier='pf_official'`` and ``unchanged_channel=True``.

    The cross-attention that the released code builds and never calls is left out.
    """
    encoder = vmamba0229({k[len('encoder.') :]: v for k, v in weights.items() if k.startswith('encoder.')})
    found = {f'backbone.{name}': value for name, value in encoder.items()}
    rest = {k: v for k, v in weights.items() if not k.startswith('encoder.') and '.cross_attn.' not in k}
    for name, value in _renamed({_numbered(k): v for k, v in rest.items()}, PARTS).items():
        if name.startswith('neck.') and name.endswith('spatial_gate.conv.weight'):
            value = value.flip(1)  # there [max, mean], here [mean, max]
        found[name] = _of_paths(name, value)
    empty = [name for name, value in found.items() if name.endswith('.narrow.weight') and not value.numel()]
    for gate in (name.removesuffix('narrow.weight') for name in empty):
        # A classifier of few classes has a hidden width of 0 there: all that is left of its gate is the last bias.
        found[f'{gate}constant'] = found.pop(f'{gate}wide.bias')
        for part in ('narrow.weight', 'narrow.bias', 'wide.weight'):
            del found[f'{gate}{part}']
    return found


KEY_MAPS: dict[str, Callable[[Mapping[str, Tensor]], dict[str, Tensor]]] = {
    'vmamba0229': vmamba0229,
    'mamba_fcs': mamba_fcs,
}


def _renamed(weights: Mapping[str, Tensor], rules: Rules) -> dict[str, Tensor]:
    """Apply all rules, in order, to all names."""
    found = {}
    for name, value in weights.items():
        for pattern, ours in rules:
            name = re.sub(pattern, ours, name)
        found[name] = value
    return found


def _numbered(name: str) -> str:
    """Stages counted from the finest (0) as ours; theirs run from the coarsest or carry the number in the name."""
    name = re.sub(r'^decoder_bcd\.fuse_layer_(\d)\.', lambda m: f'neck.fusions.{4 - int(m[1])}.', name)
    name = re.sub(r'\.st_block_(\d)(?:1|_semantic)\.1\.', lambda m: f'.blocks.{int(m[1]) - 1}.', name)
    name = re.sub(r'\.down_sample_(\d)\.', lambda m: f'.lifts.{3 - int(m[1])}.', name)
    return re.sub(r'\.smooth_layer_([1-3])(?:_semantic)?\.', lambda m: f'.smooth.{int(m[1]) - 1}.', name)


def _of_paths(name: str, value: Tensor) -> Tensor:
    """A and D of the four paths: (4 * Di, ...) -> (4, Di, ...)."""
    return value.unflatten(0, (4, -1)) if re.search(r'\bop\.(A_log|D)$', name) else value
