"""What was computed from a whole scene, as long as a loader keeps the scene."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray


class KeptByArray:
    """Results by the array they were computed from: the same object gives the same result without computing again.

    Only read-only arrays are remembered, as :class:`~imbdense.mm.transforms.kept_scenes.KeptScenes` hands them out,
    since others may change behind one's back; and only as long as somebody else keeps them, so memory is that of the
    loader. Empty in a copy and in a worker.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[weakref.ref[NDArray[Any]], Any]] = {}

    def get(self, array: NDArray[Any], compute: Callable[[], Any]) -> Any:
        """``compute()``, or what it gave for this array before."""
        if array.flags.writeable:
            return compute()
        key = id(array)
        known = self._known.get(key)
        if known is None or known[0]() is not array:
            known = (weakref.ref(array, lambda _: self._known.pop(key, None)), compute())
            self._known[key] = known
        return known[1]

    def __reduce__(self) -> tuple[type[KeptByArray], tuple[()]]:
        """Weak references cannot be copied."""
        return KeptByArray, ()
