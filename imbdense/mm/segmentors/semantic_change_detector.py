"""``imbdense.SemanticChangeDetector``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS as HOST_MODELS
from mmengine.structures import PixelData
from mmseg.models.segmentors.base import BaseSegmentor
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.core.inference.slide_blend import slide_blend
from imbdense.mm.losses.joint_change import ChangeCall
from imbdense.mm.mapped_weights import fill_module, read_weights
from imbdense.mm.structures.scd_data_sample import SCDDataSample
from imbdense.registry import MODELS

Config = Mapping[str, Any]
TINY = 1e-12


@MODELS.register_module()
class SemanticChangeDetector(BaseSegmentor):
    """Where did the land change between two dates, and from what to what: one network, three maps.

    Both dates pass the same backbone; ``neck`` fuses the two pyramids; ``change_head`` decodes the change map and gives
    its own maps to ``semantic_head``, which decodes land cover at each date. Input: (N, 2 B, H, W), date by date
    (``imbdense.DenseDataPreProcessor(dates=2)``); samples: :class:`SCDDataSample`.

    Training sums ``change.*``, ``t1.*``, ``t2.*`` and the terms of ``losses_joint``. Prediction writes
    ``pred_sem_seg`` (0 / 1), ``seg_logits`` (of the change map; logarithms of blended probabilities in 'slide' mode),
    ``pred_sem_t1`` and ``pred_sem_t2`` (0 ... S - 1, or 255 where a head with a channel for it says "unchanged"), at
    the original size, without padding. With ``symmetric`` in the neck and ``share_decoder`` in the head, exchanging
    the dates exchanges the maps and does nothing else.

    State: ``train_tile`` (int64 buffer, in checkpoints), the size of the last training batch. With a neck that depends
    on the tile size (frequencies) it warns once when it predicts on another one.

    Args:
        backbone, neck, change_head, semantic_head: configs; ``in_channels`` of the latter three is filled in from the
            ``out_channels`` of the backbone where it is not given.
        losses_joint: configs of losses of all three maps, see :mod:`imbdense.mm.losses.joint_change`.
        data_preprocessor: config.
        train_cfg: unused, for the host. test_cfg: ``mode='whole'``, or ``'slide'`` with ``crop_size`` and ``stride``,
            which blends the probabilities of overlapping windows (Hann).
        init_cfg: ``dict(type='Pretrained', checkpoint=..., key_map='mamba_fcs')`` reads a whole released model (heads
            with ``classifier='pf_official'`` and ``unchanged_channel=True``); without ``key_map``, one of imbdense.
    """

    card = 'mamba_fcs'
    tasks = ('change_detection',)
    conformance_arguments = {
        'backbone': {'type': 'imbdense.VSSM', 'dims': (8, 16), 'depths': (1, 1), 'out_indices': (0, 1)},
        'neck': {'type': 'imbdense.JSFusionNeck'},
        'change_head': {'type': 'imbdense.VSSChangeHead'},
        'semantic_head': {'type': 'imbdense.CGASemanticHead', 'num_classes': 3},
    }
    align_corners = False
    train_tile: Tensor

    def __init__(
        self,
        backbone: Config,
        neck: Config,
        change_head: Config,
        semantic_head: Config,
        losses_joint: Sequence[Config] = (),
        data_preprocessor: Config | None = None,
        train_cfg: Config | None = None,
        test_cfg: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        self.backbone = HOST_MODELS.build(dict(backbone))
        channels = getattr(self.backbone, 'out_channels', None)
        known = {'in_channels': tuple(channels)} if isinstance(channels, Sequence) else {}
        parts = [HOST_MODELS.build({**known, **config}) for config in (neck, change_head, semantic_head)]
        self.neck, self.change_head, self.semantic_head = parts
        self.losses_joint = nn.ModuleList(HOST_MODELS.build(dict(config)) for config in losses_joint)
        self.train_cfg, self.test_cfg = train_cfg, dict(test_cfg or {'mode': 'whole'})
        self._check_test_cfg()
        self.register_buffer('train_tile', torch.zeros(2, dtype=torch.int64))
        self._warned = False

    def init_weights(self) -> None:
        """Initialise the parts, or read the whole model from ``init_cfg``.

        Raises:
            CheckpointError: the file is unreadable, or less than 90 % of the model's tensors match.
        """
        config = dict(self.init_cfg or {})
        if config.pop('type', None) != 'Pretrained':
            super().init_weights()
            return
        fill_module(self, read_weights(**config), str(config['checkpoint']))
        self._is_init = True

    # The network --------------------------------------------------------------------------------------------------

    def extract_feat(self, inputs: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """(N, 2 B, H, W) -> the pyramid of each date."""
        if inputs.shape[1] % 2:
            raise ValueError(f'SemanticChangeDetector: inputs need 2 * B channels, but have {inputs.shape[1]}.')
        pairs = [maps.chunk(2) for maps in self.backbone(torch.cat(inputs.chunk(2, 1)))]
        return [pair[0] for pair in pairs], [pair[1] for pair in pairs]

    def encode_decode(self, inputs: Tensor, batch_data_samples: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """(N, 2 B, H, W) -> logits (N, K, H, W) of change and of land cover at both dates."""
        first, second = self.extract_feat(inputs)
        change, guides = self.change_head(self.neck(first, second))
        land = self.semantic_head(first, second, guides, change)
        maps = [F.interpolate(x, size=inputs.shape[-2:], mode='bilinear') for x in (change, *land)]
        return maps[0], maps[1], maps[2]

    def score_maps(self, inputs: Tensor) -> dict[str, Tensor]:
        """The logits by name, ``change``, ``t1``, ``t2``: what ``imbdense predict raster`` maps."""
        self._compare_tile(inputs.shape[-2:])
        return dict(zip(('change', 't1', 't2'), self.encode_decode(inputs)))

    @property
    def maps_with_unchanged(self) -> tuple[str, ...]:
        """Names of the maps whose channel 0 says "unchanged at this date"."""
        return ('t1', 't2') if self.semantic_head.unchanged_channel else ()

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> tuple[Tensor, Tensor, Tensor]:
        """The logits; tensors in, tensors out, so this is what is exported."""
        return self.encode_decode(inputs)

    # Training -----------------------------------------------------------------------------------------------------

    def loss(self, inputs: Tensor, data_samples: Sequence[SCDDataSample]) -> dict[str, Tensor]:
        """All terms, by name."""
        self.train_tile.copy_(torch.tensor(inputs.shape[-2:]))
        change_logits, *land_logits = self.encode_decode(inputs)
        change = stacked(data_samples, 'gt_sem_seg')
        lands = [stacked(data_samples, f'gt_sem_t{date}') for date in (1, 2)]
        terms = {**self.change_head.loss(change_logits, change), **self.semantic_head.loss(land_logits, lands)}
        for joint in self.losses_joint:
            call = ChangeCall(
                change_logits, land_logits, change, lands, self.semantic_head.unchanged_channel, joint.ignore_index
            )
            terms[joint.loss_name] = terms.get(joint.loss_name, 0) + joint(call)
        return terms

    # Prediction ---------------------------------------------------------------------------------------------------

    def predict(self, inputs: Tensor, data_samples: Sequence[SCDDataSample] | None = None) -> list[SCDDataSample]:
        """The samples with their predictions; new samples where none are given."""
        change, *lands = self.inference(inputs)
        samples = [SCDDataSample() for _ in inputs] if data_samples is None else list(data_samples)
        for i, sample in enumerate(samples):
            logits = [self._original(maps[i : i + 1], sample.metainfo) for maps in (change, *lands)]
            found = {'seg_logits': logits[0][0], 'pred_sem_seg': logits[0].argmax(1)}
            found |= {f'pred_sem_t{date}': self.semantic_head.predict(x) for date, x in enumerate(logits[1:], start=1)}
            sample.set_data({name: PixelData(data=value) for name, value in found.items()})
        return samples

    def inference(self, inputs: Tensor) -> list[Tensor]:
        """Logits of the three maps, or in 'slide' mode the logarithms of their blended probabilities."""
        if self.test_cfg['mode'] == 'whole':
            self._compare_tile(inputs.shape[-2:])
            return list(self.encode_decode(inputs))
        self._compare_tile(self.test_cfg['crop_size'])
        maps = slide_blend(inputs, self.encode_decode, self.test_cfg['crop_size'], self.test_cfg['stride'])
        return [part.clamp_min(TINY).log() for part in maps]

    def _original(self, logits: Tensor, meta: Mapping[str, Any]) -> Tensor:
        """(1, K, H, W) without padding and flip, at the size of the file."""
        left, right, top, bottom = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        logits = logits[..., top : logits.shape[-2] - bottom, left : logits.shape[-1] - right]
        if meta.get('flip'):
            logits = logits.flip(-1 if meta['flip_direction'] == 'horizontal' else -2)
        size = tuple(meta.get('ori_shape', logits.shape[-2:])[:2])
        return logits if tuple(logits.shape[-2:]) == size else F.interpolate(logits, size=size, mode='bilinear')

    def _compare_tile(self, size: Sequence[int]) -> None:
        """Warn once when frequencies are taken over another tile than in training."""
        trained = tuple(self.train_tile.tolist()) if not self._warned else ()
        if getattr(self.neck, 'depends_on_size', False) and any(trained) and trained != tuple(size):
            warnings.warn(
                f'SemanticChangeDetector: trained on tiles of {trained} but predicts on {tuple(size)}; the frequency '
                f"branch depends on the size. Set test_cfg=dict(mode='slide', crop_size={trained}, ...), or --tile.",
                stacklevel=2,
            )
            self._warned = True

    def _check_test_cfg(self) -> None:
        """Raise ``ValueError`` for a mode that is unknown or lacks its sizes."""
        owner = 'SemanticChangeDetector'
        mode = check_choice('test_cfg.mode', self.test_cfg.get('mode', 'whole'), ('whole', 'slide'), owner=owner)
        if mode == 'slide':
            check_choice('test_cfg.blend', self.test_cfg.get('blend', 'hann'), ('hann',), owner=owner)
            missing = [key for key in ('crop_size', 'stride') if key not in self.test_cfg]
            if missing:
                raise ValueError(f"{owner}: test_cfg of mode 'slide' needs crop_size and stride; {missing} missing.")
        self.test_cfg.setdefault('mode', 'whole')


def stacked(samples: Sequence[SCDDataSample], name: str) -> Tensor:
    """(N, H, W) int64 of a label map of all samples.

    Raises:
        ValueError: a sample has no such map; the message says what is missing.
    """
    maps = [sample.get(name) for sample in samples]
    if any(item is None for item in maps):
        raise ValueError(
            f'SemanticChangeDetector: a sample has no {name}; training needs a change map and land cover at both dates.'
        )
    return torch.stack([item.data.reshape(item.data.shape[-2:]) for item in maps]).long()
