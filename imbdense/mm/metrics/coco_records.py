"""Reading COCO annotation files so that every evaluation engine sees the same, and counting what they hold."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


def clean_ground_truth(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a COCO record every engine reads alike.

    Annotations get ids from 1 (an annotation with id 0 can never be matched in pycocotools: 0 means "unmatched"), a
    missing ``iscrowd`` is 0, a missing ``area`` is the area of the box.
    Category and image ids are kept: they may begin at 0 and have gaps.

    Raises:
        ValueError: ``images`` or ``categories`` are missing or empty, or an annotation names an unknown image.
    """
    for key in ('images', 'categories'):
        if not record.get(key):
            raise ValueError(f"the annotation file has no '{key}'. Is it a COCO detection json?")
    known = {image['id'] for image in record['images']}
    annotations = []
    for number, old in enumerate(record.get('annotations') or (), start=1):
        if old['image_id'] not in known:
            raise ValueError(f"annotation {old.get('id', number)} is of image {old['image_id']}, which is not listed.")
        new = dict(old)
        new['id'] = number
        new['iscrowd'] = int(old.get('iscrowd', 0))
        new.setdefault('area', float(old['bbox'][2]) * float(old['bbox'][3]))
        annotations.append(new)
    return {'images': list(record['images']), 'categories': list(record['categories']), 'annotations': annotations}


def read_coco(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Parse a COCO json; errors name the file."""
    try:
        record = json.loads(Path(path).read_text(encoding='utf-8'))
    except FileNotFoundError:
        raise FileNotFoundError(f'{path} does not exist; ann_file and train_ann_file name COCO json files.') from None
    except json.JSONDecodeError as error:
        raise ValueError(f'{path} is not valid JSON ({error}); was the download cut short?') from error
    if not isinstance(record, dict):
        raise ValueError(f'{path} is not a COCO annotation file: it holds a {type(record).__name__}, not an object.')
    return record


def category_counts(record: Mapping[str, Any], ids: Sequence[int], unit: str) -> NDArray[np.float64]:
    """Images that hold each category, or its objects (crowds included in neither)."""
    row = {category: place for place, category in enumerate(ids)}
    pairs = [
        (row[annotation['category_id']], annotation['image_id'])
        for annotation in record['annotations']
        if annotation['category_id'] in row and not annotation['iscrowd']
    ]
    chosen = sorted(set(pairs), key=str) if unit == 'images' else pairs
    return np.bincount([place for place, _ in chosen], minlength=len(ids)).astype(np.float64)


def encode_masks(masks: Any) -> list[Any]:
    """Binary masks (n, H, W) as compressed RLE; RLE passes through."""
    if not isinstance(masks, (Tensor, np.ndarray)):
        return list(masks)
    from pycocotools import mask as codec

    array = masks.detach().cpu().numpy() if isinstance(masks, Tensor) else masks
    return [codec.encode(np.asfortranarray(one, dtype=np.uint8)) for one in array.astype(np.uint8)]
