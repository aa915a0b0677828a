"""``imbdense.ReDB3D``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from torch import Tensor

from imbdense.core.checks import check_number
from imbdense.core.reduction import zero_with_graph
from imbdense.mm.pseudo_label.redb_points import PointWorld
from imbdense.mm.structures.point_det_data_sample import PointDetDataSample
from imbdense.registry import MODELS

Config = dict[str, Any]


@MODELS.register_module()
class ReDB3D(BaseModel):
    """A detector in point clouds that learns from the pseudo-boxes of a *round*, which stay until the next round.

    :class:`~imbdense.mm.hooks.PseudoLabelRoundHook` predicts the unlabelled scenes between two epochs and hands the
    boxes to the transform ``imbdense.PseudoBoxes3d``, so here every scene comes with its boxes. Student and teacher are
    one network, as published. Per step::

        L = sup_weight * L(labelled scenes) + unsup_weight * L(scenes with pseudo-boxes)

    With weight 0 scenes of that kind are not even run through the network: its normalisation then sees the target
    domain alone, as published. A batch without any scene that counts gives zeros with a graph. Terms ``sup_loss_*`` and
    ``unsup_loss_*``; ``stat_pseudo_kept`` and ``stat_pseudo_ignored`` are boxes per unlabelled scene.

    State: that of the detector, under ``detector.``; a checkpoint of the plain detector loads, too. The labels of the
    round lie in the round's folder.

    Args:
        detector: config of :class:`~imbdense.mm.detectors.PillarDetector`, or of a model with its ``loss``,
            ``propose``, ``select`` and ``limit``.
        sup_weight, unsup_weight: >= 0.
        data_preprocessor: default the detector's own. init_cfg: as in mmengine.

    Source: Chen et al., Revisiting Domain-Adaptive 3D Object Detection by Reliable, Diverse and Class-balanced
    Pseudo-Labeling, ICCV 2023.
    """

    card = 'redb_3d'
    tasks = ('detection_3d',)

    def __init__(
        self,
        detector: Config,
        sup_weight: float = 0.0,
        unsup_weight: float = 1.0,
        data_preprocessor: Config | None = None,
        init_cfg: Config | None = None,
    ) -> None:
        built = MODELS.build(detector)
        super().__init__(data_preprocessor or built.data_preprocessor, init_cfg)
        self.detector = built
        self.sup_weight = check_number('sup_weight', sup_weight, low=0.0, owner='ReDB3D')
        self.unsup_weight = check_number('unsup_weight', unsup_weight, low=0.0, owner='ReDB3D')
        self.num_classes = built.num_classes

    @property
    def predictor(self) -> Any:
        """The network that predicts."""
        return self.detector

    def round_world(self, config: Any, classes: Sequence[str]) -> PointWorld:
        """What a round of pseudo-labels works on: point clouds."""
        return PointWorld(self, config, classes)

    def forward(
        self, inputs: dict[str, Any], data_samples: Sequence[PointDetDataSample] | None = None, mode: str = 'tensor'
    ) -> Any:
        """As the detector's, with losses of both kinds of scenes."""
        if mode == 'loss':
            return self.loss(inputs, data_samples or ())
        return self.detector(inputs, data_samples, mode)

    def loss(self, inputs: dict[str, Any], samples: Sequence[PointDetDataSample]) -> dict[str, Tensor]:
        """The terms of a batch."""
        pseudo = [is_pseudo(sample) for sample in samples]
        kinds = {'sup_': (self.sup_weight, [not flag for flag in pseudo]), 'unsup_': (self.unsup_weight, pseudo)}
        losses: dict[str, Tensor] = {}
        for prefix, (weight, members) in kinds.items():
            chosen = [number for number, member in enumerate(members) if member]
            if weight > 0 and chosen:
                found = self.detector.loss(take_scenes(inputs, chosen), [samples[number] for number in chosen])
                losses.update({f'{prefix}{name}': weight * value for name, value in found.items()})
        if not losses:
            parameters = torch.cat([parameter.flatten()[:1] for parameter in self.detector.parameters()])
            losses['unsup_loss_cls'] = zero_with_graph(parameters)
        unlabelled = [sample for sample, flag in zip(samples, pseudo) if flag]
        kept = sum(len(sample.gt_instances_3d) for sample in unlabelled)
        ignored = sum(len(sample.ignored_instances_3d) for sample in unlabelled)
        share = 1.0 / max(len(unlabelled), 1)
        numbers = {'stat_pseudo_kept': kept * share, 'stat_pseudo_ignored': ignored * share}
        device = inputs['points'].device
        return {**losses, **{name: torch.tensor(value, device=device) for name, value in numbers.items()}}

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        own = f'{prefix}detector.'
        if not any(name.startswith(own) for name in state_dict):  # a checkpoint of the plain detector
            for name in [name for name in state_dict if name.startswith(prefix)]:
                state_dict[own + name.removeprefix(prefix)] = state_dict.pop(name)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def is_pseudo(sample: PointDetDataSample) -> bool:
    """Whether a scene has no annotation: its boxes are those of a round, or it has none."""
    return bool(sample.metainfo.get('pseudo', False))


def take_scenes(inputs: dict[str, Any], chosen: Sequence[int]) -> dict[str, Any]:
    """Some scenes of a batch, numbered anew."""
    number = torch.full((inputs['batch_size'],), -1, dtype=torch.int64, device=inputs['sample'].device)
    number[list(chosen)] = torch.arange(len(chosen), device=number.device)
    sample = number[inputs['sample']]
    return {'points': inputs['points'][sample >= 0], 'sample': sample[sample >= 0], 'batch_size': len(chosen)}
