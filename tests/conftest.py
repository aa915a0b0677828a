"""What every test is surrounded by."""

from __future__ import annotations

import gc
import random
import sys
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

GLOBALS = {'mmengine.registry.default_scope': 'DefaultScope', 'mmengine.logging.message_hub': 'MessageHub'}
"""Where mmengine keeps what the whole process sees: the default scope, and the hub through which hooks publish."""


def pytest_collection_finish() -> None:
    """Take the collected tests and imported modules out of garbage collection.

    Hosts call ``gc.collect()`` for every data set they build, which takes 2 s each among the objects of this suite.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _random_numbers_begin_anew() -> None:
    """Every test draws the same numbers, alone, in the whole suite and on any machine; a test may set its own seed."""
    torch.manual_seed(0)
    np.random.seed(0)
    random.seed(0)


@pytest.fixture(autouse=True, scope='module')
def _globals_of_the_host_as_modules_found_them() -> Iterator[None]:
    """As below, for what fixtures of a module or a session set, which is there before a test begins."""
    yield from _given_back()


@pytest.fixture(autouse=True)
def _globals_of_the_host_are_given_back() -> Iterator[None]:
    """They are the same before and after every test, so that none finds what another one set.

    Where nothing has imported mmengine (the core alone, without the hosts) there is nothing to give back.
    """
    yield from _given_back()


def _given_back() -> Iterator[None]:
    before = {name: OrderedDict(known._instance_dict) for name, known in _known().items()}
    yield
    for name, known in _known().items():
        known._instance_dict = before.get(name, OrderedDict())


def _known() -> dict[str, Any]:
    """The classes of GLOBALS that have been imported, each with its instances by name, the current one last."""
    return {name: getattr(sys.modules[name], member) for name, member in GLOBALS.items() if name in sys.modules}
