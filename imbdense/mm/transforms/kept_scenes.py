"""The scenes that a worker has read last, for transforms that take many crops of few scenes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


class KeptScenes:
    """What was read of the latest ``most`` scenes; 0 = nothing is kept.

    One per worker: the transform that owns it is copied into each.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._kept: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def get(self, path: str, read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """The entries of ``path``, read if they are not kept; their arrays cannot be written into."""
        entries = self._kept.pop(path, None)
        if entries is None:
            entries = read()
            _protect(entries)
        if self.most:
            self._kept[path] = entries
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return entries


def _protect(entries: Mapping[str, Any]) -> None:
    """Make arrays, also those of a dict in ``entries``, read-only."""
    for values in entries.values():
        if isinstance(values, np.ndarray):
            values.setflags(write=False)
        elif isinstance(values, dict):
            _protect(values)
