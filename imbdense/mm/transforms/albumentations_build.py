"""Build albumentations transforms from config dictionaries, with errors instead of warnings."""

from __future__ import annotations

import difflib
import os
import warnings
from collections.abc import Mapping, Sequence
from typing import Any


def build_pipeline(transforms: Sequence[Mapping[str, Any]], min_area: float, min_visibility: float, maps: int) -> Any:
    """Return an ``albumentations.Compose`` with boxes in pixels (x1, y1, x2, y2) and ``maps`` label maps.

    Label maps are called ``map0``, ``map1``, … and always resampled by nearest neighbour; boxes carry ``box_index``.

    Args:
        transforms: dictionaries with ``type`` (a class name of albumentations) and its arguments; a nested
            ``transforms`` list makes ``OneOf``, ``SomeOf``, ``Sequential``.
        min_area, min_visibility: boxes below are dropped, see ``albumentations.BboxParams``.

    Raises:
        ImportError: albumentations is not installed.
        ValueError: an unknown transform; the nearest names are told.
        TypeError: an argument the transform does not have (albumentations itself only warns).
    """
    library = import_albumentations()
    boxes = library.BboxParams(
        format='pascal_voc', label_fields=['box_index'], min_area=min_area, min_visibility=min_visibility, clip=True,
        filter_invalid_bboxes=True,
    )
    steps = [_build(library, config) for config in transforms]
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='Got processor for bboxes')  # colour transforms alone need none
        return library.Compose(
            steps,
            bbox_params=boxes,
            additional_targets={f'map{i}': 'mask' for i in range(maps)},
            mask_interpolation=0,
        )


def import_albumentations() -> Any:
    """Import the library without its look-up of newer versions on the network."""
    os.environ.setdefault('NO_ALBUMENTATIONS_UPDATE', '1')
    try:
        import albumentations
    except ImportError as error:
        raise ImportError('AlbumentationsAdapter needs albumentations: pip install "imbdense[aug]".') from error
    return albumentations


def _build(library: Any, config: Mapping[str, Any]) -> Any:
    """One transform, with nested ones."""
    arguments = dict(config)
    name = arguments.pop('type', None)
    kind = getattr(library, name, None) if isinstance(name, str) else None
    if not (isinstance(kind, type) and issubclass(kind, (library.BasicTransform, library.BaseCompose))):
        near = difflib.get_close_matches(str(name), dir(library), n=3)
        hint = f' Did you mean {" or ".join(near)}?' if near else ''
        raise ValueError(f'AlbumentationsAdapter: albumentations has no transform {name!r}.{hint}')
    if 'transforms' in arguments:
        arguments['transforms'] = [_build(library, inner) for inner in arguments['transforms']]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter('always')
        transform = kind(**arguments)
    for warning in caught:
        if 'not valid for transform' in str(warning.message):
            raise TypeError(f'AlbumentationsAdapter: {warning.message}')
        warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return transform
