"""Segmentors are built in the scope of mmseg, as in a run: bare names in their configs are those of mmseg."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _scope_of_mmseg(_globals_of_the_host_are_given_back: None) -> None:
    pytest.importorskip('mmseg')
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
