"""See through the wrappers round a data set; some images of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def children(dataset: Any) -> list[Any]:
    """The data sets that a wrapper holds; an empty list when ``dataset`` is no wrapper."""
    if hasattr(dataset, 'full_init') and (hasattr(dataset, 'datasets') or hasattr(dataset, 'dataset')):
        dataset.full_init()
    inner = getattr(dataset, 'datasets', None)
    if inner:
        return list(inner)
    child = getattr(dataset, 'dataset', None)
    return [] if child is None else [child]


def own_indices(dataset: Any) -> NDArray[np.int64] | None:
    """Index i of a wrapper -> index in its joined children; ``None`` when it is the identity.

    Knows mmengine's ClassBalancedDataset (``repeat_indices``) and RepeatDataset (``times``), and torch's Subset
    (``indices``).
    """
    for name in ('repeat_indices', 'indices'):
        indices = getattr(dataset, name, None)
        if indices is not None and hasattr(dataset, 'dataset'):
            return np.asarray(indices, np.int64)
    if hasattr(dataset, 'times') and hasattr(dataset, 'dataset'):
        return np.tile(np.arange(len(dataset.dataset), dtype=np.int64), int(dataset.times))
    return None


def leaves(dataset: Any) -> Iterator[Any]:
    """The innermost data sets, in order; not the unlabelled ones (:func:`is_unlabeled_part`)."""
    inner = children(dataset)
    if not inner:
        yield dataset
    for child in inner:
        if not is_unlabeled_part(dataset, child):
            yield from leaves(child)


def is_unlabeled_part(wrapper: Any, child: Any) -> bool:
    """Whether ``child`` is what ``wrapper`` (``imbdense.SemiDataset``) holds as unlabelled: its labels, if it has any,
    are never read."""
    return getattr(wrapper, 'unlabeled', None) is child


def is_uncounted_part(wrapper: Any, child: Any) -> bool:
    """Whether the labels of ``child`` count nothing: those of an unlabelled part, unless ``wrapper`` has labels for it
    and wants them counted (``imbdense.SemiLongTailDataset``, ``counts='merged'``)."""
    return is_unlabeled_part(wrapper, child) and not getattr(wrapper, 'counts_unlabeled', False)


class ImageSubset:
    """Some images of a data set, by index."""

    def __init__(self, dataset: Any, indices: list[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    @property
    def metainfo(self) -> dict[str, Any]:
        """That of the whole."""
        return dict(self.dataset.metainfo)

    def get_data_info(self, idx: int) -> dict[str, Any]:
        """The record of an image."""
        return self.dataset.get_data_info(self.indices[idx])  # type: ignore[no-any-return]

    def __getitem__(self, idx: int) -> Any:
        return self.dataset[self.indices[idx]]

    def __len__(self) -> int:
        return len(self.indices)


def image_files(dataset: Any) -> list[str]:
    """The image, or the point cloud, of every record; '' where it names none."""
    return [sample_file(dataset.get_data_info(index)) for index in range(len(dataset))]


def sample_file(info: Mapping[str, Any]) -> str:
    """The file a record is about: its image, or its points; '' where it names none."""
    return str(info.get('img_path') or info.get('points_path') or '')
