"""PostClassificationHook on two ranks: each sees its own images, both get the table of all of them."""

from __future__ import annotations

import tempfile
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist

pytest.importorskip('mmseg')

from imbdense.core.inference import estimate_transitions
from imbdense.mm.hooks.post_classification_hook import PostClassificationHook
from tests.helpers.two_dates import two_dates
from tests.helpers.two_ranks import run_two_ranks

PIXELS = 3_000


class ReadyProbabilities(torch.nn.Module):
    """Stands for PostClassificationChange: its images are the probabilities."""

    land_classes, mode = 8, 'bayes'

    def __init__(self) -> None:
        super().__init__()
        data = two_dates(2 * PIXELS, 2.0, seed=0)
        self.prior, self.transition = data.prior, torch.zeros(8, 8, dtype=torch.float64)
        self.allowed = torch.ones(8, 8, dtype=torch.bool)
        self.scenes = [(data.first[:, part], data.second[:, part]) for part in (slice(0, PIXELS), slice(PIXELS, None))]

    @property
    def needs_transition(self) -> bool:
        return not bool(self.transition.any())

    def data_preprocessor(self, batch: Any, training: bool) -> dict[str, Any]:
        return {'inputs': batch}

    def date_probabilities(self, number: int, samples: Any) -> list[tuple[torch.Tensor, torch.Tensor]]:
        return [self.scenes[number]]

    def set_transition(self, matrix: torch.Tensor) -> None:
        self.transition = matrix


class OwnScene(list):
    """One scene per rank."""

    dataset = None


def estimate() -> torch.Tensor:
    model = ReadyProbabilities()
    loader = OwnScene([dist.get_rank()])
    with tempfile.TemporaryDirectory() as folder:
        runner = SimpleNamespace(model=model, work_dir=folder, test_dataloader=loader)
        PostClassificationHook(pixels=2 * PIXELS).before_test(runner)
    return model.transition


def test_two_ranks_estimate_one_table_of_all_pixels() -> None:
    first, second = run_two_ranks(estimate)
    assert torch.equal(first, second)
    data = two_dates(2 * PIXELS, 2.0, seed=0)
    expected = estimate_transitions(data.first, data.second, data.prior)
    torch.testing.assert_close(first, expected.matrix, atol=1e-6, rtol=0)
