"""Sampler: labelled and unlabelled images in a fixed ratio per batch."""

from __future__ import annotations

from collections.abc import Sequence, Sized

from mmengine.logging import print_log

from imbdense.core.checks import check_integer, check_number
from imbdense.core.sampling import TwoStream
from imbdense.mm.samplers.stream_sampler import StreamSampler, check_shuffle
from imbdense.registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class TwoStreamSampler(StreamSampler):
    """Draw batches of labelled and unlabelled images in a fixed ratio, the labelled ones first.

    The longer list makes the epoch; the shorter one is gone through again, in a new order each time. The draws follow
    from (seed, epoch, rank) alone; batches are dealt out to the ranks, so the ratio holds on each. Unlike mmdet's
    ``GroupMultiSourceSampler`` it resumes where it was and works in epoch-based loops too. See :class:`StreamSampler`.

    Args:
        dataset: ``imbdense.SemiDataset``, or two joined data sets (mmengine's ``ConcatDataset``), labelled first.
        batch_size: images of a batch on one rank, >= 2; must be that of the data loader.
        ratio: (labelled, unlabelled) parts; each gets at least one image of the batch.
        labeled: number of labelled images at the front, where ``dataset`` does not tell.
        shuffle: must be True.
        seed, round_up, infinite: see :class:`StreamSampler`; ``infinite=True`` for iteration-based training.

    Raises:
        ValueError: a part is empty, or an argument out of range.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation', 'detection')
    conformance_arguments = {'batch_size': 3, 'ratio': (1, 2), 'labeled': 5}

    def __init__(
        self,
        dataset: Sized,
        batch_size: int,
        ratio: Sequence[float] = (1, 1),
        labeled: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        round_up: bool = True,
        infinite: bool = False,
    ) -> None:
        check_shuffle(shuffle, self.name)
        number = _labeled_images(dataset, self.name) if labeled is None else labeled
        check_integer('labeled', number, low=1, high=len(dataset) - 1, owner=self.name)
        stream = TwoStream(number, len(dataset) - number, _split(batch_size, ratio, self.name))
        super().__init__(dataset, stream, seed, round_up, infinite)
        self.group = stream.batch_size
        print_log(
            f'{self.name}: {number} labelled and {len(dataset) - number} unlabelled images; {stream.per_batch[0]} + '
            f'{stream.per_batch[1]} per batch, {stream.batches} batches per epoch over all ranks.',
            logger='current',
        )


def _labeled_images(dataset: Sized, owner: str) -> int:
    """L of a joined data set."""
    parts = getattr(dataset, 'datasets', None) or ()
    if len(parts) != 2:
        raise ValueError(
            f'{owner}: {type(dataset).__name__} does not tell which images are labelled. Use imbdense.SemiDataset, or '
            f'join two data sets, the labelled one first.'
        )
    return len(parts[0])


def _split(batch_size: int, ratio: Sequence[float], owner: str) -> tuple[int, int]:
    """(labelled, unlabelled) images of a batch."""
    check_integer('batch_size', batch_size, low=2, owner=owner)
    if len(ratio) != 2:
        raise ValueError(f'{owner}: ratio must be (labelled, unlabelled), but got {ratio!r}.')
    parts = [check_number(f'ratio[{i}]', part, low=0.0, low_open=True, owner=owner) for i, part in enumerate(ratio)]
    labeled = min(max(round(batch_size * parts[0] / sum(parts)), 1), batch_size - 1)
    return labeled, batch_size - labeled
