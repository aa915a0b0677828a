"""Several trainings in one process: the host keeps loggers, visualisers and message hubs in global dictionaries."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.fixture(autouse=True)
def fresh_host() -> None:
    """Forget the global objects of earlier runs; a foreign config names its visualiser 'visualizer' every time."""
    manager = pytest.importorskip('mmengine.utils').ManagerMixin
    for kind in descendants(manager):
        kind._instance_dict.clear()


def descendants(kind: Any) -> list[Any]:
    """All subclasses, also indirect ones."""
    return [deeper for child in kind.__subclasses__() for deeper in (child, *descendants(child))]
