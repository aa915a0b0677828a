"""The model of a running training, asked for predictions between two epochs."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from torch import nn

from imbdense.mm.predictor import file_record, innermost_dataset, label_free_pipeline


class LiveModel:
    """What :class:`~imbdense.mm.predictor.Predictor` is for a checkpoint, for the model of a runner.

    Args:
        model: without wrappers. config: of the run; its test pipeline prepares the images.
        classes: names.
    """

    def __init__(self, model: Any, config: Config, classes: Sequence[str]) -> None:
        self.model, self.classes = model, list(classes)
        steps = label_free_pipeline(innermost_dataset(config)).transforms
        self._load, self._prepare = Compose(steps[:1]), Compose(steps[1:])

    def load(self, path: str | Path) -> dict[str, Any]:
        """The record of an image as its loading transform leaves it, with ``img`` (H, W, bands)."""
        return dict(self._load(file_record(path)))

    def predict(self, record: dict[str, Any]) -> Any:
        """The host's sample of a loaded record."""
        return self.model.test_step(pseudo_collate([self._prepare(record)]))[0]

    def sample(self, path: str | Path) -> Any:
        """The host's sample of an image file."""
        return self.predict(self.load(path))

    def evaluating(self) -> AbstractContextManager[None]:
        """Evaluation mode without gradient, then what was before."""
        return evaluation_mode(self.model)


@contextlib.contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradient, then what was before."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)


def weights_digest(network: nn.Module) -> str:
    """16 digits that change with any parameter or buffer."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
