"""The one way for a test to reach the small real data sets that lie beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def shared_data_dir(*parts: str) -> Path:
    """Return ``<shared data>/<parts...>``, or skip the test when the folder is absent.

    The folder is ``$IMBDENSE_SHARED_DATA`` if set, else ``../shared/data`` beside the checkout.
    """
    default = Path(__file__).resolve().parents[3] / 'shared' / 'data'
    root = Path(os.environ.get('IMBDENSE_SHARED_DATA', default))
    if not root.is_dir():
        pytest.skip(f'real data not found: {root} is absent (set IMBDENSE_SHARED_DATA to point to it)')
    path = root.joinpath(*parts)
    if not path.exists():
        raise FileNotFoundError(f'{path} is missing although {root} exists')
    return path
