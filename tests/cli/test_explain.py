"""Exceptions of torch and the hosts as messages that tell what to do."""

from __future__ import annotations

import pytest
import torch

from imbdense.cli._explain import explain


def test_a_layer_of_another_width_than_the_images() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.nn.Conv2d(6, 4, 3)(torch.zeros(1, 3, 8, 8))
    told = explain(caught.value, 'mine.py')
    assert told.startswith('mine.py: a layer of the model takes 6 channels, but gets 3. Set in_channels of the')
