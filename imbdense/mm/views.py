"""Several views of one image on their way from the pipeline to the model, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

SUPERVISED = 'sup'
WEAK = 'unsup_weak'
STRONG = 'unsup_strong_'
"""Names of the branches of a batch; the strong ones are numbered from 1."""
VIEW = 'view_'
"""Names of views that are all alike, numbered from 1."""
MATRIX_KEY = 'homography_matrix'
"""Metadata of a view: (3, 3) float64 from the pixels (x, y, 1) of the image file to those of the view, as in mmdet."""
VALID_FIELD = 'valid_pixels'
"""Field of a weak view: (1, H, W) bool, False where the pipeline padded."""
WEIGHT_KEY = 'shift_weight'
"""Metadata of the views of an unlabelled image: how much it counts, written by ``imbdense.DatasetShiftHook``."""


class Views:
    """The views of one image by branch name, in place of one image (or one data sample).

    No mapping on purpose: the host's collate function then leaves it whole, so that a batch may mix labelled samples,
    packed as always, with unlabelled ones.
    """

    def __init__(self, views: dict[str, Any]) -> None:
        self.views = dict(views)

    @property
    def img_path(self) -> str:
        """The image file, where the views are data samples."""
        return str(getattr(next(iter(self.views.values())), 'img_path', '?'))

    def __repr__(self) -> str:
        return f'Views({list(self.views)})'


def sort_into_branches(data: dict[str, Any], plain: str) -> dict[str, dict[str, list[Any]]]:
    """The ``inputs`` and ``data_samples`` of a batch by branch; samples without views form the branch ``plain``."""
    branches: dict[str, dict[str, list[Any]]] = {}
    for image, sample in zip(data['inputs'], data['data_samples'], strict=True):
        pairs = (
            [(plain, image, sample)] if not isinstance(image, Views)
            else [(name, view, sample.views[name]) for name, view in image.views.items()]
        )
        for name, view, record in pairs:
            branch = branches.setdefault(name, {'inputs': [], 'data_samples': []})
            branch['inputs'].append(view)
            branch['data_samples'].append(record)
    return branches


def valid_mask(data_samples: Sequence[Any], height: int, width: int) -> Tensor:
    """(N, H, W) bool: False where the pipeline or, at the bottom and right, the data preprocessor padded."""
    masks = []
    for sample in data_samples:
        own = getattr(sample, VALID_FIELD).data[0]
        mask = own.new_zeros(height, width)
        mask[: own.shape[0], : own.shape[1]] = own
        masks.append(mask)
    return torch.stack(masks)


def image_weights(data_samples: Sequence[Any]) -> Tensor | None:
    """(N,) float32 weights of unlabelled images, 1 where a sample has none; ``None`` when no sample has one."""
    found = [sample.metainfo.get(WEIGHT_KEY) for sample in data_samples]
    if all(weight is None for weight in found):
        return None
    return torch.tensor([1.0 if weight is None else float(weight) for weight in found])


def view_matrices(data_samples: Sequence[Any]) -> Tensor:
    """(N, 3, 3) float64: from the pixels of the image files to those of the views.

    For :func:`imbdense.core.views.warp_view`: its inverse carries predictions of a view back to the image,
    :func:`imbdense.core.views.view_to_view` leads to another view.
    """
    return torch.from_numpy(np.stack([np.asarray(sample.metainfo[MATRIX_KEY]) for sample in data_samples]))
