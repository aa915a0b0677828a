"""Segmentor: any segmentor of mmseg as student, with what teaches it on unlabelled images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.pseudo_label import PseudoLabels
from imbdense.core.reduction import count_values
from imbdense.core.stats import RunningClassStats
from imbdense.mm.run_position import run_position, share_of_run
from imbdense.mm.segmentors.consistency.base import IGNORE, Consistency, SemiBatch
from imbdense.mm.segmentors.networks import class_logits
from imbdense.mm.segmentors.teacher_student import TeacherStudent
from imbdense.mm.views import STRONG, SUPERVISED, WEAK, image_weights, valid_mask
from imbdense.registry import MODELS, PSEUDO_LABELERS

Teacher = Literal['ema', 'self', 'peer']
PredictOn = Literal['teacher', 'student']
SHORT = {'fixmatch': 'FixMatch', 'unimatch': 'UniMatch', 'cps': 'CrossPseudo', 'u2pl': 'U2PL'}
"""Short names of the consistency rules."""


@MODELS.register_module()
class SemiSegmentor(TeacherStudent):
    """Train any segmentor of mmseg on labelled and unlabelled images.

    ``L = sup_weight * L_sup + unsup_weight * ramp(t) * L_unsup``, ramp = exp(-5 (1 - t / T)^2) for t < T = ``ramp``
    iterations, then 1. L_sup are the losses of the host on labelled images; L_unsup are the terms of a consistency rule
    on unlabelled ones: FixMatch, UniMatch, CPS, U2PL. Labels pass through ``refine`` (class distribution) and
    ``pseudo`` (what is trusted). An unlabelled image whose samples carry a ``shift_weight``
    (``imbdense.DatasetShiftHook``) counts that much in L_unsup: its pixels are multiplied, what is divided by is not.

    Batches come from ``imbdense.SemiDataset``, ``TwoStreamSampler`` and ``MultiViewSeg``; ``imbdense.EMATeacherHook``
    must be in the config with ``teacher='ema'``. A step without the hook is an error from the third on.

    Loss keys are the same in every batch and on every rank: ``sup.*``, ``unsup.loss_*`` and the statistics
    ``stat_mask_rate`` (labelled share of the valid pixels), ``stat_unsup_weight`` and ``stat_share_<class>`` (share of
    the class among the labelled pixels, 0 when there are none), of this rank. Without a label the terms are 0 with a
    graph; every parameter that learns is used in every step.

    State: ``student.*``, ``teacher.*`` ('ema') or ``peer.*`` ('peer'), ``pseudo.*``, ``refine.*``, ``consistency.*``,
    ``pseudo_counts.counts`` (K,) int64 pseudo-labelled pixels per class so far, over all ranks, ``threshold_cut``
    (K,) float32, see ``imbdense.RareCollapseHook``. A checkpoint of the bare segmentor is loaded into every network;
    :func:`imbdense.mm.network_state.network_state` takes one out.

    Args:
        segmentor: config of the segmentor, as it is trained alone; at least two logit channels.
        consistency: 'fixmatch', 'unimatch', 'cps', 'u2pl', or the config of a consistency rule.
        teacher: who labels: 'ema' (a moving average), 'self' (the student as it is, in train mode), 'peer' (a second
            network that learns too); ``None`` = that of the consistency rule.
        pseudo: config of a rule of ``PSEUDO_LABELERS``, without ``num_classes``; ``None`` = that of the consistency
            rule.
        refine: configs of refiners, applied in order before it.
        sup_weight, unsup_weight: >= 0; ``None`` = those of the consistency rule. With ``unsup_weight=0`` no network
            looks at the unlabelled images (they would also move the statistics of its normalisation layers) and only
            the ``sup.*`` terms are left: the supervised baseline of the same data, schedule and teacher.
        ramp: T, iterations until the full unsupervised weight; 0 = at once.
        predict_on: 'teacher' or 'student'; ``None`` = the EMA teacher if there is one.
        data_preprocessor: config; ``None`` = that of ``segmentor`` in ``imbdense.SemiDataPreProcessor``.
        init_cfg: as in the host.

    Raises:
        ValueError: an argument out of range, a teacher the rule can not work with, one logit channel, or a batch with
            too few strong views.
        RuntimeError: nobody updates the EMA teacher.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation',)

    def __init__(
        self,
        segmentor: Mapping[str, Any],
        consistency: str | Mapping[str, Any] = 'fixmatch',
        teacher: Teacher | None = None,
        pseudo: Mapping[str, Any] | None = None,
        refine: Sequence[Mapping[str, Any]] = (),
        sup_weight: float | None = None,
        unsup_weight: float | None = None,
        ramp: int = 0,
        predict_on: PredictOn | None = None,
        data_preprocessor: Mapping[str, Any] | None = None,
        init_cfg: Any = None,
    ) -> None:
        name = type(self).__name__
        rule = _build_consistency(consistency)
        teacher = check_choice('teacher', teacher or rule.teachers[0], get_args(Teacher), owner=name)
        check_choice(f'teacher of {type(rule).__name__}', teacher, rule.teachers, owner=name)
        super().__init__(segmentor, teacher, predict_on, data_preprocessor, init_cfg)
        self.consistency = rule
        self.sup_weight, self.unsup_weight = (
            check_number(key, own if given is None else given, low=0.0, owner=name)
            for key, given, own in zip(('sup_weight', 'unsup_weight'), (sup_weight, unsup_weight), rule.weights)
        )
        self.ramp = check_integer('ramp', ramp, low=0, owner=name)
        common = {'num_classes': self.num_classes}
        self.pseudo = PSEUDO_LABELERS.build({**(pseudo or rule.rule), **common})
        self.refine = nn.ModuleList(PSEUDO_LABELERS.build({**item, **common}) for item in refine)
        self.pseudo_counts = RunningClassStats(self.num_classes)
        self.register_buffer('threshold_cut', torch.ones(self.num_classes))
        if self.unsup_weight > 0:
            self.consistency.prepare(self)

    def loss(self, inputs: dict[str, Tensor], data_samples: dict[str, list[Any]]) -> dict[str, Any]:
        """All terms and statistics of a batch of branches, see :class:`imbdense.SemiDataPreProcessor`."""
        self._check_followed()
        batch = self._batch(inputs, data_samples)
        self._tell_progress()
        losses: dict[str, Any] = {}
        for prefix, network in self._learning().items():
            terms = network.loss(batch.sup_images, batch.sup_samples)
            losses.update({f'{prefix}.{key}': _times(self.sup_weight, key, value) for key, value in terms.items()})
        if self.unsup_weight == 0:
            return losses
        result = self.consistency(self, batch)
        weight = self.unsup_weight * self._ramp()
        losses.update({f'unsup.{key}': weight * value for key, value in result.terms.items()})
        losses.update(self._statistics(result.pseudo, batch.valid, weight))
        return losses

    def logits(self, network: nn.Module, images: Tensor, features: Any = None) -> Tensor:
        """(N, K, H, W) float32 class logits of one of the networks, see
        :func:`imbdense.mm.segmentors.networks.class_logits`."""
        return class_logits(network, images, features)

    @torch.no_grad()
    def teacher_view(self, images: Tensor) -> tuple[Tensor, Any]:
        """(probabilities (N, K, H, W), features) of the teacher, or of the student in its present mode."""
        network = self.teacher if self.teacher_kind == 'ema' else self.student
        features = network.extract_feat(images)
        return self.logits(network, images, features).softmax(1), features

    @torch.no_grad()
    def label(
        self, probs: Tensor, features: Any, valid: Tensor, indices: Tensor | None = None
    ) -> PseudoLabels:
        """Pseudo-labels of a batch: refiners, the rule, then the thresholds cut by ``threshold_cut``.

        Args:
            probs: (U, K, h, w); ``features``: of the network that said so, ``None`` = none to give.
            valid: (U, h, w) bool.
            indices: (U,) which unlabelled images these are.
        """
        for refiner in self.refine:
            own = _last_map(features) if getattr(refiner, 'needs_features', False) else None
            probs = refiner(probs, valid, own)
        pseudo = self.pseudo(probs, valid, indices)
        confidence, predicted = probs.max(1)
        limit = (self.pseudo.thresholds().to(probs) * self.threshold_cut)[predicted]
        saved = (self.threshold_cut < 1)[predicted] & valid & (confidence >= limit) & (pseudo.label == IGNORE)
        return PseudoLabels(
            torch.where(saved, predicted, pseudo.label), torch.where(saved, 1.0, pseudo.weight), pseudo.accepted
        )

    @property
    def progress(self) -> float:
        """Share of the training that is over, in [0, 1]; 0 outside of a run."""
        return share_of_run(run_position()[0])

    def _learning(self) -> dict[str, nn.Module]:
        """The networks with a supervised loss, by the prefix of their terms."""
        return {'sup': self.student} | ({'sup_peer': self.peer} if self.teacher_kind == 'peer' else {})

    def _batch(self, inputs: dict[str, Tensor], data_samples: dict[str, list[Any]]) -> SemiBatch:
        """The branches under their names."""
        strong = tuple(inputs[key] for key in sorted(inputs) if key.startswith(STRONG))
        needed = self.consistency.strong_views
        if len(strong) < needed:
            raise ValueError(
                f'SemiSegmentor: {type(self.consistency).__name__} needs {needed} strong views, the batch has '
                f'{len(strong)}. Set num_strong={needed} of imbdense.MultiViewSeg in the unlabelled pipeline.'
            )
        weak, samples = inputs[WEAK], data_samples[WEAK]
        numbers = [sample.metainfo.get('sample_idx') for sample in samples]
        indices = None if None in numbers else torch.tensor(numbers, device=weak.device)
        valid = valid_mask(samples, *weak.shape[-2:]).to(weak.device)
        weight = image_weights(samples)
        return SemiBatch(
            inputs[SUPERVISED], data_samples[SUPERVISED], weak, strong, valid, indices,
            None if weight is None else weight.to(weak.device),
        )

    def _statistics(self, pseudo: PseudoLabels, valid: Tensor, weight: float) -> dict[str, Tensor]:
        """The ``stat_*`` values; counts the labels over all ranks."""
        self.pseudo_counts.update(pseudo.label, IGNORE)
        known = torch.where(pseudo.label == IGNORE, self.num_classes, pseudo.label)
        shares = count_values(known, self.num_classes + 1)[: self.num_classes].float()
        total = shares.sum()
        found = {f'stat_share_{c}': value for c, value in enumerate(shares / total.clamp_min(1))}
        found['stat_mask_rate'] = total / valid.sum().clamp_min(1)
        found['stat_unsup_weight'] = torch.as_tensor(weight, dtype=torch.float32, device=valid.device)
        return found

    def _ramp(self) -> float:
        """exp(-5 (1 - t / T)^2) until iteration T."""
        iteration, _ = run_position()
        return math.exp(-5.0 * (1.0 - iteration / self.ramp) ** 2) if iteration < self.ramp else 1.0

    def _tell_progress(self) -> None:
        """To the rule and the refiners."""
        for part in (self.pseudo, *self.refine):
            part.set_progress(self.progress)


def _build_consistency(config: str | Mapping[str, Any]) -> Consistency:
    """A consistency rule from its short name or its config."""
    if isinstance(config, str):
        check_choice('consistency', config, SHORT, owner='SemiSegmentor')
        config = {'type': f'imbdense.{SHORT[config]}Consistency'}
    return MODELS.build(dict(config))


def _times(weight: float, key: str, value: Any) -> Any:
    """A loss of the host, a tensor or a list of them, with a weight; other values as they are."""
    if 'loss' not in key:
        return value
    return [weight * item for item in value] if isinstance(value, (list, tuple)) else weight * value


def _last_map(features: Any) -> Tensor:
    """The deepest feature map."""
    return features[-1] if isinstance(features, (list, tuple)) else features
