"""The config of a self-training round: a segmentation config, trained on its labels and on pseudo-labels."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict

from imbdense.mm.predictor import LABEL_LOADERS

CROPS = ('RandomCrop', 'RareClassCrop')


class UnionError(ValueError):
    """A config cannot be made into one of a self-training round; the message says what to change."""


@dataclass(frozen=True)
class UnionOptions:
    """How a round learns from its pseudo-labels.

    Attributes:
        weight: loss weight of a pseudo-labelled pixel. by_confidence: times its confidence.
        counts: 'merged' or 'labelled'. ratio: (labelled, unlabelled) parts of a batch.
        mine_rate: share of the crops that are drawn around a mined class.
    """

    weight: float = 1.0
    by_confidence: bool = False
    counts: str = 'merged'
    ratio: tuple[float, float] = (1.0, 1.0)
    mine_rate: float = 0.8

    @property
    def weighs(self) -> bool:
        """Whether any pixel can weigh other than 1."""
        return self.weight != 1.0 or self.by_confidence


def union_config(
    base: Config, image_list: Path, pseudo_dir: Path, options: UnionOptions, mined: Sequence[int] = ()
) -> Config:
    """``base`` with its training set in ``imbdense.SemiLongTailDataset`` and ``imbdense.TwoStreamSampler`` before it.

    Images with pseudo-labels go through the training pipeline of ``base``; only the step that loads the label is
    exchanged (pseudo-labels are index masks). The images that ``base`` validates on are named to the data set. The
    sampler of ``base`` is replaced. Where pixels are weighted every decode head goes into ``imbdense.PixelWeightHead``.

    Args:
        image_list: file with the path of every unlabelled image. pseudo_dir: their labels. options: see there.
        mined: classes around which crops are drawn, in both parts, with chance ``options.mine_rate``: the crop of the
            pipelines becomes ``imbdense.RareClassCrop``.

    Raises:
        UnionError: no segmentation config, a batch of one image, or no crop that could mine.
    """
    config = deepcopy(base)
    loader = config.get('train_dataloader') or ConfigDict()
    problem = _problem(config, loader)
    if problem:
        raise UnionError(problem)
    labeled = loader.dataset
    innermost = _innermost(labeled)
    pipeline = _for_pseudo_labels(innermost.pipeline, options)
    if mined:
        for steps in (innermost.pipeline, pipeline):
            _mine(steps, mined, options.mine_rate)
    validation = (config.get('val_dataloader') or {}).get('dataset')
    loader.dataset = ConfigDict(
        type='imbdense.SemiLongTailDataset', labeled=labeled,
        unlabeled=dict(
            type='imbdense.UnlabeledSegDataset', data_root=None, data_prefix=dict(img_path=''),
            ann_file=str(image_list), broken='skip', pipeline=pipeline),
        pseudo_dir=str(pseudo_dir), weight_unlabeled=options.weight, confidence_weight=options.by_confidence,
        counts=options.counts, held_out=deepcopy(validation))  # fmt: skip
    loop = config.get('train_cfg') or {}
    endless = loop.get('by_epoch') is False or 'IterBased' in str(loop.get('type', ''))
    loader.sampler = ConfigDict(
        type='imbdense.TwoStreamSampler', batch_size=loader.batch_size, ratio=tuple(options.ratio), infinite=endless
    )
    if options.weighs:
        _weigh_heads(config.model)
    return config


def _problem(config: Config, loader: Any) -> str | None:
    """Why there is no union of this config."""
    if 'decode_head' not in config.model:
        return (f'{config.model.get("type")} is no segmentor of mmseg with a decode head. For detectors label with '
                f'`imbdense pseudo-label` and join its COCO file with the training set: docs/methods/self_training.md.')
    if not loader or 'unlabeled' in loader.dataset:
        return 'the config must have a train_dataloader with labelled images only.'
    if loader.get('batch_size', 1) < 2:
        return ('train_dataloader.batch_size must be at least 2, so that a batch holds labelled and unlabelled images; '
                'set it with --cfg-options train_dataloader.batch_size=2.')
    return None


def _innermost(dataset: Any) -> Any:
    """The config of the first data set that reads files."""
    while 'dataset' in dataset or 'datasets' in dataset:
        dataset = dataset.dataset if 'dataset' in dataset else dataset.datasets[0]
    return dataset


def _kind(step: Any) -> str:
    """The class name of a transform, without scope."""
    return str(step.type).rsplit('.', 1)[-1]


def _for_pseudo_labels(steps: Sequence[Any], options: UnionOptions) -> list[Any]:
    """The training pipeline, reading index masks and, where pixels are weighted, their weights."""
    made: list[Any] = []
    for step in deepcopy(list(steps)):
        if _kind(step) in LABEL_LOADERS:
            made.append(ConfigDict(type='imbdense.LoadSegMask'))
            made += [ConfigDict(type='imbdense.LoadPixelWeight')] * options.weighs
        elif _kind(step) == 'PackSegInputs' and options.weighs:
            made.append(ConfigDict({**step, 'type': 'imbdense.PackSegInputsWithWeight'}))
        else:
            made.append(step)
    if not any(_kind(step) == 'LoadSegMask' for step in made):
        raise UnionError(f'the training pipeline loads its labels with none of {", ".join(LABEL_LOADERS)}, so there '
                         f'is no step to be exchanged for the pseudo-labels.')
    return made


def _mine(steps: list[Any], classes: Sequence[int], rate: float) -> None:
    """Exchange the crop of a pipeline for one around ``classes``."""
    places = [place for place, step in enumerate(steps) if _kind(step) in CROPS]
    if not places:
        raise UnionError(f'rare classes are mined with the crop of the training pipeline, but it has none of '
                         f'{", ".join(CROPS)}. Add one, or leave the mining out.')
    place = places[-1]
    steps[place] = ConfigDict(type='imbdense.RareClassCrop', crop_size=steps[place].crop_size, rate=rate,
                              classes=list(classes), power=0.0)


def _weigh_heads(model: Any) -> None:
    """Open the route of pixel weights in every head."""
    for name in ('decode_head', 'auxiliary_head'):
        heads = model.get(name)
        if heads:
            wrap = [ConfigDict(type='imbdense.PixelWeightHead', base=head) for head in
                    (heads if isinstance(heads, (list, tuple)) else [heads])]
            model[name] = wrap if isinstance(heads, (list, tuple)) else wrap[0]
