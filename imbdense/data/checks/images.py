"""Checks of image files: there, whole, of the size of their annotation, and in one split only."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from imbdense.data.finding import Finding
from imbdense.data.readers.errors import LabelReadError
from imbdense.data.readers.masks import mask_size

TAIL = 4096
"""A JPEG may carry a few bytes after its end marker."""


def image_findings(image: str) -> tuple[tuple[int, int] | None, list[Finding]]:
    """((height, width) or None, findings): missing, no image, or cut off. Only header and tail are read."""
    try:
        size = mask_size(image)
    except LabelReadError as error:
        return None, [Finding('error', f'image_{error.code}', image, error.problem, error.cure)]
    if _cut_off(image):
        return size, [
            Finding(
                'error', 'image_truncated', image, 'is cut off: the end of the file is missing.', 'Get this file again.'
            )
        ]
    return size, []


def size_finding(image: str, size: tuple[int, int], other: str, expected: tuple[int, int]) -> list[Finding]:
    """An error when an image and its label or annotation differ in size (height, width)."""
    if size == expected:
        return []
    turned = ' It is turned: width and height are exchanged (EXIF orientation?).' if size == expected[::-1] else ''
    return [
        Finding(
            'error',
            'size',
            image,
            f'is {size[0]} x {size[1]} (height x width), but {other} says {expected[0]} x {expected[1]}.{turned}',
            'Export both at the same size; labels are resized with nearest neighbour only.',
        )
    ]


def duplicate_findings(splits: Mapping[str, Sequence[str]]) -> list[Finding]:
    """Images whose content (bytes) is in more than one place: across splits an error when training is one of them.

    Only files of equal size are read. Re-encoded or resized copies are not found.
    """
    by_size: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for split, images in splits.items():
        for image in dict.fromkeys(images):
            if image and os.path.isfile(image):
                by_size[os.path.getsize(image)].append((split, image))
    groups: dict[bytes, list[tuple[str, str]]] = defaultdict(list)
    for entries in by_size.values():
        if len(entries) > 1:
            for split, image in entries:
                groups[content_digest(image)].append((split, image))
    return [finding for entries in groups.values() if len(entries) > 1 for finding in _describe(entries)]


def _describe(entries: list[tuple[str, str]]) -> list[Finding]:
    """One finding for a group of equal images."""
    owners = list(dict.fromkeys(split.split('/')[0] for split, _ in entries))
    others = ', '.join(f'{image} ({split})' for split, image in entries[1:4])
    split, first = entries[0]
    if len(owners) == 1:
        return [
            Finding(
                'warning',
                'duplicate',
                first,
                f'has the same content as {others}.',
                'Remove the copies: the image counts double, and its labels may disagree.',
                split,
            )
        ]
    leak = 'train' in owners
    return [
        Finding(
            'error' if leak else 'note',
            'duplicate_across_splits',
            first,
            f'is in {" and ".join(owners)}: same content as {others}.',
            'Remove it from one of them; the score on seen images is worth nothing.' if leak else 'Fine if meant.',
            split,
        )
    ]


def same_content(one: str, other: str) -> bool:
    """Whether two files are there and hold the same bytes; only files of equal size are read."""
    if not (os.path.isfile(one) and os.path.isfile(other)) or os.path.getsize(one) != os.path.getsize(other):
        return False
    return content_digest(one) == content_digest(other)


def content_digest(path: str) -> bytes:
    """Hash of the content."""
    with open(path, 'rb') as handle:
        return (
            hashlib.file_digest(handle, 'blake2b').digest()
            if hasattr(hashlib, 'file_digest')
            else hashlib.blake2b(handle.read()).digest()
        )


def _cut_off(path: str) -> bool:
    """Whether a PNG or JPEG lacks its end."""
    suffix = Path(path).suffix.lower()
    if suffix not in ('.png', '.jpg', '.jpeg'):
        return False
    with open(path, 'rb') as handle:
        size = handle.seek(0, os.SEEK_END)
        handle.seek(max(0, size - TAIL))
        tail = handle.read()
    return (b'IEND' if suffix == '.png' else b'\xff\xd9') not in tail
