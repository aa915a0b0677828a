"""What is installed, asked by import name and without importing it.

``mmcv`` may come from the distribution ``mmcv``, ``mmcv-lite`` or ``onedl-mmcv``, ``cv2`` from four of them; only the
import name is stable. Nothing here loads the modules it asks about.
"""

from __future__ import annotations

import importlib.util
import re
from functools import lru_cache
from importlib import metadata


@lru_cache(maxsize=1)
def _providers() -> dict[str, list[str]]:
    """Import name -> distributions; reading all metadata takes about 0.1 s, once per process."""
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}


def distributions_of(module: str) -> dict[str, str]:
    """Distributions that provide the import name ``module``, each with its version.

    Example: ``distributions_of('cv2')`` -> ``{'opencv-python': '4.12.0.88', 'opencv-python-headless': '4.12.0.88'}``.
    More than one entry means that they share (and overwrite) one folder. Empty for a module that no distribution
    lists, for example the standard library's.
    """
    return {name: metadata.version(name) for name in _providers().get(module, [])}


def module_version(module: str) -> str | None:
    """Version of the distribution that provides ``module``; None if there is none.

    A module that can be found but belongs to no distribution (a source folder on the path) gives ``'unknown'``.
    """
    found = distributions_of(module)
    if found:
        return next(iter(found.values()))
    return 'unknown' if has_module(module) else None


def has_module(module: str) -> bool:
    """True if ``import module`` would find it (its own imports may still fail)."""
    return importlib.util.find_spec(module) is not None


def parse_version(text: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparison: ``'2.13.0+cpu'`` -> ``(2, 13, 0)``, ``'2.0rc4'`` -> ``(2, 0)``.

    A text without leading number gives the empty tuple, which is smaller than every version.
    """
    found = re.match(r'\d+(?:\.\d+)*', text)
    return tuple(int(part) for part in found.group(0).split('.')) if found else ()
