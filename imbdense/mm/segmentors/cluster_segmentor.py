"""The base of segmentors that learn from clusters of parts instead of labels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseModel
from mmengine.registry import MODELS as HOST_MODELS
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.core.points import pool_directions
from imbdense.core.reduction import zero_with_graph

STAGES = ('distill', 'warmup', 'iterate')
Config = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class EncodedRows:
    """Features of a batch. ``rows`` (R, C) of all samples; ``index``: of each sample (N,) int64, the row of each of its
    elements (points, pixels)."""

    rows: Tensor
    index: Sequence[Tensor]


@dataclass(frozen=True, eq=False)
class PooledParts:
    """The parts of one sample. ``name``: of the sample; ``features`` (S, C) unit vectors, zeros for a part without
    elements; ``sizes`` (S,) int64 elements."""

    name: str
    features: Tensor
    sizes: Tensor


class ClusterSegmentor(BaseModel):
    """Unsupervised segmentation in stages, over *elements* (points, pixels) in *parts* (super-voxels, superpixels).

    * 'distill': ``projection`` of the features of every element shall point where those of a teacher do.
    * 'warmup': the head learns the pseudo-labels, all elements of a part have its label.
    * 'iterate': the same with the head frozen to the centroids, which a hook renews.

    Prediction: the mean unit feature of each part decides for all its elements (``test_cfg=dict(part_vote=True)``, the
    default); elements in no part decide by themselves.

    State beside the weights: pseudo-labels, ``set_round``; the hook keeps them in the checkpoint.
    """

    tasks: tuple[str, ...]

    def __init__(
        self,
        backbone: Config,
        head: Config,
        distill: Config | None,
        stage: str,
        data_preprocessor: Config | None,
        test_cfg: Config | None,
        init_cfg: Config | None,
    ) -> None:
        super().__init__(
            None if data_preprocessor is None else dict(data_preprocessor), None if init_cfg is None else dict(init_cfg)
        )
        name = type(self).__name__
        self.stage = check_choice('stage', stage, STAGES, owner=name)
        unknown = set(test_cfg or {}) - {'part_vote'}
        if unknown:
            raise ValueError(f'{name}: test_cfg has {sorted(unknown)}; it knows part_vote alone.')
        self.part_vote = bool((test_cfg or {}).get('part_vote', True))
        self.backbone = HOST_MODELS.build(dict(backbone))
        self.head: Any = HOST_MODELS.build({'in_channels': self.feature_channels(), **head})
        self.head.freeze(stage == 'iterate')
        self.distill: Any = None if distill is None else HOST_MODELS.build(dict(distill))
        self.projection = None if distill is None else nn.Linear(self.head.in_channels, self.distill.dims)
        if stage == 'distill' and self.distill is None:
            raise ValueError(f"{name}: stage='distill' needs distill=dict(type='imbdense.DistillCosineLoss', dims=C).")
        self._labels: dict[str, Tensor] = {}

    @abstractmethod
    def feature_channels(self) -> int:
        """C of the encoded rows; asked once the backbone is there."""

    @abstractmethod
    def encode(self, inputs: Any, samples: Sequence[Any]) -> EncodedRows:
        """Features of a batch."""

    @abstractmethod
    def parts_of(self, sample: Any) -> Tensor:
        """(N,) int64 part of each element, -1 = none."""

    @abstractmethod
    def teacher_of(self, sample: Any) -> Tensor:
        """(N, D) features of the teacher, zeros = unseen."""

    @abstractmethod
    def name_of(self, sample: Any) -> str:
        """The scene or image of a sample: under this name its pseudo-labels are kept."""

    @abstractmethod
    def answer(self, sample: Any, classes: Tensor) -> Any:
        """The sample with predicted classes (N,)."""

    def set_labels(self, labels: Mapping[str, Tensor]) -> None:
        """Pseudo-labels (S,) of the parts of each scene, -1 = ignored."""
        self._labels = dict(labels)

    def forward(self, inputs: Any, data_samples: Sequence[Any] | None = None, mode: str = 'tensor') -> Any:
        """'loss' (terms of the stage), 'predict' (the samples with predictions), or 'tensor' (the rows)."""
        check_choice('mode', mode, ('loss', 'predict', 'tensor'), owner=type(self).__name__)
        samples = data_samples or ()
        encoded = self.encode(inputs, samples)
        if mode == 'tensor':
            return encoded.rows
        if mode == 'predict':
            return self._predict(encoded, samples)
        return self._distill(encoded, samples) if self.stage == 'distill' else self._cluster(encoded, samples)

    @torch.no_grad()
    def pooled(self, inputs: Any, samples: Sequence[Any]) -> Iterator[PooledParts]:
        """The parts of each sample of a batch."""
        encoded = self.encode(inputs, samples)
        for sample, index in zip(samples, encoded.index):
            parts = self.parts_of(sample)
            number = int(parts.max()) + 1 if len(parts) else 0
            features, sizes = pool_directions(encoded.rows[index], parts, number)
            yield PooledParts(self.name_of(sample), features, sizes)

    def _distill(self, encoded: EncodedRows, samples: Sequence[Any]) -> dict[str, Tensor]:
        """Elements that the teacher has seen."""
        rows = self.projection(encoded.rows)
        pred = torch.cat([rows[index] for index in encoded.index])
        target = torch.cat([self.teacher_of(sample) for sample in samples])
        if not bool(torch.isfinite(target).all()):
            names = [self.name_of(s) for s in samples if not bool(torch.isfinite(self.teacher_of(s)).all())]
            raise ValueError(f'{type(self).__name__}: the features of the teacher hold NaN in {", ".join(names)}.')
        unused = sum((zero_with_graph(p) for p in self.head.parameters() if p.requires_grad), pred.new_zeros(()))
        return {self.distill.loss_name: self.distill(pred, target) + unused}

    def _cluster(self, encoded: EncodedRows, samples: Sequence[Any]) -> dict[str, Tensor]:
        """Elements whose part has a pseudo-label."""
        logits = self.head(encoded.rows)
        labels = torch.cat([self._element_labels(sample) for sample in samples])
        terms = self.head.loss(torch.cat([logits[index] for index in encoded.index]), labels)
        if self.projection is not None:
            unused = sum(zero_with_graph(parameter) for parameter in self.projection.parameters())
            terms['loss_cluster'] = terms['loss_cluster'] + unused
        return terms

    def _element_labels(self, sample: Any) -> Tensor:
        """(N,) pseudo-label of each element.

        Raises:
            ValueError: the scene has no labels, or others parts than those that were clustered.
        """
        name, parts = self.name_of(sample), self.parts_of(sample)
        labels = self._labels.get(name)
        if labels is None:
            raise ValueError(f'{type(self).__name__}: there are no pseudo-labels of {name}. Add '
                             "dict(type='imbdense.SuperVoxelClusterHook', ...) to custom_hooks.")  # fmt: skip
        if len(parts) and int(parts.max()) >= len(labels):
            raise ValueError(f'{type(self).__name__}: {name} has part {int(parts.max())}, but {len(labels)} parts were '
                             'clustered. Make the parts before augmentation, and with the same arguments.')
        inside = parts >= 0
        return torch.where(inside, labels.to(parts.device)[parts.clamp_min(0)], self.head.ignore_index)

    def _predict(self, encoded: EncodedRows, samples: Sequence[Any]) -> list[Any]:
        """By part, or by element."""
        alone = self.head(encoded.rows).argmax(1)
        found = []
        for sample, index in zip(samples, encoded.index):
            clusters = alone[index]
            parts = self.parts_of(sample) if self.part_vote else None
            if parts is not None and len(parts) and int(parts.max()) >= 0:
                mean, _ = pool_directions(encoded.rows[index], parts, int(parts.max()) + 1)
                vote = (mean @ F.normalize(self.head.weight.float(), dim=1).t()).argmax(1)
                clusters = torch.where(parts >= 0, vote[parts.clamp_min(0)], clusters)
            found.append(self.answer(sample, self.head.classes(clusters)))
        return found
