"""``dataset.json`` of generated scenes, pairs and clouds."""

from __future__ import annotations

import json
import os
from typing import Any

from imbdense.data.readers.errors import LabelReadError

CURE = 'Generate it: `imbdense generate scenes --preset demo --out {root}`.'


def read_scene_record(data_root: str, cure: str = CURE) -> dict[str, Any]:
    """The content of ``dataset.json``; ``cure`` tells how to make one, with ``{root}`` for the folder.

    Raises:
        LabelReadError: missing, damaged, or without classes, palette or splits.
    """
    path = os.path.join(data_root, 'dataset.json')
    cure = cure.format(root=data_root)
    try:
        with open(path, encoding='utf-8') as handle:
            record = json.load(handle)
    except FileNotFoundError as error:
        raise LabelReadError(path, 'missing', 'does not exist.', cure) from error
    except (OSError, ValueError) as error:
        raise LabelReadError(path, 'unreadable', f'cannot be read ({error}).', cure) from error
    missing = [key for key in ('classes', 'palette', 'splits') if key not in record]
    if missing:
        raise LabelReadError(path, 'schema', f'lacks {missing}.', cure)
    return dict(record)
