"""The labelled images of a config, which must not be pseudo-labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from imbdense.data.overlap import find_overlap
from imbdense.data.readers.errors import LabelReadError
from imbdense.mm.dataset_wrappers import leaves
from imbdense.mm.datasets.label_source import records_of


@dataclass(frozen=True)
class Leaks:
    """Unlabelled images that are labelled as well.

    Attributes:
        dropped: unlabelled file -> (split, labelled file) that is the same file or has the same content.
        same_name: file names that are in both, with other content; they are kept.
    """

    dropped: dict[str, tuple[str, str]]
    same_name: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        dropped = {file: {'split': split, 'file': other} for file, (split, other) in self.dropped.items()}
        return {'dropped': dropped, 'same_name_other_content': self.same_name}


def labelled_images(config: Config) -> tuple[dict[str, list[str]], list[str]]:
    """(split -> image files, what could not be read).

    The unlabelled part of a semi-supervised data set is left out.
    """
    init_default_scope(config.get('default_scope') or 'mmengine')
    found: dict[str, list[str]] = {}
    unread: list[str] = []
    for split in ('train', 'val', 'test'):
        settings = (config.get(f'{split}_dataloader') or {}).get('dataset')
        if not settings:
            continue
        try:
            parts = leaves(DATASETS.build(settings))
            found[split] = [str(info['img_path']) for leaf in parts for info in records_of(leaf) if 'img_path' in info]
        except (OSError, LabelReadError, AssertionError, ValueError, KeyError) as error:
            reason = str(error).strip().splitlines()
            unread.append(f'{split}: {type(error).__name__}: {reason[0] if reason else ""}')
    return found, unread


def find_leaks(unlabelled: Sequence[Path], labelled: Mapping[str, Sequence[str]]) -> Leaks:
    """Compare by path and by a hash of the content, whatever the name, with every split."""
    dropped: dict[str, tuple[str, str]] = {}
    same_name: set[str] = set()
    for split, files in labelled.items():
        overlap = find_overlap(files, [str(path) for path in unlabelled])
        for _, file, other in overlap.same:
            dropped.setdefault(file, (split, other))
        same_name.update(overlap.same_name)
    return Leaks(dropped, sorted(same_name))
