"""Sampler: over-sampling, under-sampling, square-root and progressive sampling of images."""

from __future__ import annotations

from collections.abc import Sized
from typing import Any, Literal, get_args

from imbdense.core.checks import check_choice
from imbdense.core.sampling import (
    ClassAwareStream,
    IndexStream,
    ProgressiveStream,
    RateStream,
    RepeatFactorStream,
    keep_rates,
    oversampling_factors,
)
from imbdense.core.stats import ImageClassTable
from imbdense.mm.samplers.dataset_table import dataset_table
from imbdense.mm.samplers.stream_sampler import StreamSampler, check_shuffle
from imbdense.registry import DATA_SAMPLERS

Mode = Literal['oversample', 'undersample', 'sqrt', 'progressive']
_ARGUMENTS = {
    'oversample': ('level', 'max_repeat'),
    'undersample': ('level',),
    'sqrt': ('max_repeat',),
    'progressive': ('epochs', 'max_repeat'),
}


@DATA_SAMPLERS.register_module()
class BalancedImageSampler(StreamSampler):
    """Balance the classes by how often each image is drawn: over-sampling, under-sampling, square-root, progressive.

    * ``'oversample'``: repeat images until the class amounts are as equal as their images allow; every image comes at
      least once, the epoch grows (:func:`imbdense.core.sampling.oversampling_factors`);
    * ``'undersample'``: draw images of frequent classes with a chance below one; the epoch shrinks
      (:func:`imbdense.core.sampling.keep_rates`);
    * ``'sqrt'``: class j is drawn with probability proportional to sqrt(images of j), then one of its images;
    * ``'progressive'``: from all images equally often to all classes equally often over ``epochs``
      (:class:`imbdense.core.sampling.ProgressiveStream`).

    Repeat factors and equal shares per class have samplers of their own: ``RepeatFactorSampler`` and
    ``BalancedClassSampler``. What the draws do to the classes is logged before training. See :class:`StreamSampler` for
    epochs, ranks and resume.

    Args:
        dataset: an mmseg or mmdet data set, or one with ``get_cat_ids``.
        mode: see above.
        level: of 'oversample' and 'undersample': how much of the imbalance to remove, in [0, 1]; default 1.
        max_repeat: of the modes other than 'undersample': most draws of one image per epoch; default 50 for
            'oversample', 10 for 'sqrt' and 'progressive'.
        epochs: of 'progressive', where it must be given: passes over the data in the whole training. In
            iteration-based training that is iterations * batch size * ranks / images.
        shuffle: must be True; accepted so that only ``type`` changes in a config.
        seed, round_up, infinite: see :class:`StreamSampler`; ``infinite=True`` for iteration-based training.

    Raises:
        ValueError: empty data set, unknown mode, an argument out of range, missing, or without meaning for the mode.
    """

    card = 'balanced_image_sampler'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        dataset: Sized,
        mode: Mode = 'oversample',
        level: float | None = None,
        max_repeat: int | None = None,
        epochs: float | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        infinite: bool = False,
    ) -> None:
        check_shuffle(shuffle, self.name)
        check_choice('mode', mode, get_args(Mode), owner=self.name)
        given = {'level': level, 'max_repeat': max_repeat, 'epochs': epochs}
        options = {name: value for name, value in given.items() if value is not None}
        foreign = sorted(set(options) - set(_ARGUMENTS[mode]))
        if foreign:
            raise ValueError(f"{self.name}: mode='{mode}' has no {', '.join(foreign)}, only {_ARGUMENTS[mode]}.")
        if mode == 'progressive' and epochs is None:
            raise ValueError(
                f"{self.name}: mode='progressive' needs epochs, the passes over the data in the whole training "
                f'(iteration-based: iterations * batch size * ranks / images).'
            )
        table = dataset_table(dataset)
        super().__init__(dataset, _stream(mode, table, options), seed, round_up, infinite)
        self.log_effect(table)


def _stream(mode: str, table: ImageClassTable, options: dict[str, Any]) -> IndexStream:
    """The index stream of a mode."""
    if mode == 'oversample':
        return RepeatFactorStream(oversampling_factors(table, **options))
    if mode == 'undersample':
        return RateStream(keep_rates(table, **options))
    if mode == 'sqrt':
        return ClassAwareStream(table, power=0.5, **options)
    return ProgressiveStream(table, **options)
