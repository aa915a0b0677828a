"""Run a trained segmentor or detector of any host config on single image files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.logging import MMLogger
from mmengine.registry import MODELS, TRANSFORMS, init_default_scope
from numpy.typing import NDArray

from imbdense.mm.checkpoints import CheckpointError, load_checkpoint
from imbdense.mm.reproducible import seeded_generators
from imbdense.utils.overlay import Colour, distinct_colours

LABEL_LOADERS = ('LoadAnnotations', 'LoadSegMask', 'LoadPanopticAnnotations', 'LoadBoxes3d')


@dataclass(frozen=True)
class Prediction:
    """What a model says about one image.

    Attributes:
        label: (H, W) uint8 or int32 class indices of a segmentor, at the size of the file, else ``None``.
        boxes: (N, 4) float32 x1 y1 x2 y2 of a detector in pixels of the file, best first, else ``None``.
        labels, scores: (N,) class index and confidence of each box.
    """

    label: NDArray[Any] | None = None
    boxes: NDArray[np.float32] | None = None
    labels: NDArray[np.int64] | None = None
    scores: NDArray[np.float32] | None = None


class Predictor:
    """A model with the weights of a checkpoint and the test pipeline of its config.

    Args:
        config: config of imbdense, mmseg or mmdet.
        checkpoint: file loaded with ``weights_only=True``; ``None`` = the weights the config starts a training from
            (``init_cfg``), what it draws at random drawn with seed 0.
        device: torch device; ``None`` = the first accelerator, else the CPU.

    Attributes:
        content: what the checkpoint holds. model: in eval mode. classes, palette: names and colours.
        pipeline: prepares a :func:`file_record`.

    Raises:
        CheckpointError: the file is not safe, damaged, or its weights do not fit the model.
        ValueError: the config has score_thr='adaptive' and the checkpoint no counted samples.
    """

    def __init__(self, config: Config, checkpoint: str | Path | None, device: str | None = None) -> None:
        from mmengine.device import get_device

        init_default_scope(config.get('default_scope') or 'mmengine')
        self.device = str(device or get_device())
        self.content: dict[str, Any] = {}
        if checkpoint is None:
            with seeded_generators(0), _brief_log():
                self.model = MODELS.build(config.model)
                self.model.init_weights()
        else:
            self.content = load_checkpoint(checkpoint, 'cpu')
            self.model = MODELS.build(config.model)
            load_weights(self.model, self.content.get('state_dict', self.content), checkpoint)
            if hasattr(self.model, 'adopt_ledger'):
                self.model.adopt_ledger(self.content)
        self.model.to(self.device).eval()
        _adaptive_thresholds(self.model, config, self.content)
        dataset = innermost_dataset(config)
        self.classes, self.palette = _names_and_colours(self.content, dataset, config)
        self.pipeline = label_free_pipeline(dataset)

    @torch.no_grad()
    def sample(self, path: str | Path) -> Any:
        """What the host's model returns for one image file; errors of reading it are raised as they come."""
        record = self.pipeline(file_record(path))
        if record is None:
            raise ValueError('the test pipeline of the config returned nothing for this image')
        return self.model.test_step(pseudo_collate([record]))[0]

    def __call__(self, path: str | Path) -> Prediction:
        """Labels or boxes of one image file; errors as in :meth:`sample`."""
        sample = self.sample(path)
        if 'pred_sem_seg' in sample:
            label = sample.pred_sem_seg.data[0].cpu().numpy()
            return Prediction(label=label.astype(np.uint8 if len(self.classes) < 256 else np.int32))
        found = sample.pred_instances
        order = torch.argsort(found.scores, descending=True)
        return Prediction(
            boxes=found.bboxes[order].cpu().numpy().astype(np.float32),
            labels=found.labels[order].cpu().numpy().astype(np.int64),
            scores=found.scores[order].cpu().numpy().astype(np.float32),
        )


@contextlib.contextmanager
def _brief_log() -> Iterator[None]:
    """Without the lines that the host logs for each parameter it starts, which would bury everything else."""
    logger = MMLogger.get_current_instance()

    def wanted(record: Any) -> bool:
        return bool(record.funcName != '_dump_init_info')

    logger.addFilter(wanted)
    try:
        yield
    finally:
        logger.removeFilter(wanted)


def label_free_pipeline(dataset: dict[str, Any]) -> Compose:
    """The pipeline of a data set config without the steps that load labels."""
    steps = [step for step in dataset['pipeline'] if step['type'].rsplit('.', 1)[-1] not in LABEL_LOADERS]
    return Compose([TRANSFORMS.build(step) for step in steps])


def file_record(path: str | Path) -> dict[str, Any]:
    """What such a pipeline starts from."""
    return {'img_path': str(path), 'img_id': 0, 'reduce_zero_label': False, 'seg_fields': []}


def load_given_weights(model: torch.nn.Module, weights: dict[str, Any], checkpoint: str | Path) -> list[str]:
    """Load the weights that a checkpoint holds; return the names of those it lacks.

    Raises:
        CheckpointError: a weight of another shape, which the hosts leave at random numbers.
    """
    weights = {key.removeprefix('module.'): value for key, value in weights.items()}
    try:
        missing, _ = model.load_state_dict(weights, strict=False)
    except RuntimeError as error:
        raise CheckpointError(
            f'{checkpoint} does not fit the model of the config: {str(error).splitlines()[1].strip()} Use the config '
            f'it was trained with (a copy lies in its work dir).'
        ) from error
    return [key for key in missing if not key.endswith('num_batches_tracked')]


def load_weights(model: torch.nn.Module, weights: dict[str, Any], checkpoint: str | Path) -> None:
    """Load all weights of ``model``; a part that is missing or of another shape is an error, not random numbers."""
    missing = load_given_weights(model, weights, checkpoint)
    if missing:
        raise CheckpointError(
            f'{checkpoint} does not fit the model of the config: {len(missing)} weights are missing, for example '
            f'{missing[0]}. Use the config it was trained with (a copy lies in its work dir).'
        )


def _adaptive_thresholds(model: torch.nn.Module, config: Config, content: dict[str, Any]) -> None:
    """Do what :class:`~imbdense.mm.hooks.AdaptiveScoreThrHook` does in a test run, with the config's options."""
    from imbdense.mm.assigned_counts.run import checkpoint_counts
    from imbdense.mm.hooks.adaptive_score_thr_hook import AdaptiveScoreThrHook

    listed = [*(config.get('custom_hooks') or ()), *(config.get('default_hooks') or {}).values()]
    options = [hook for hook in listed if hook and str(hook.get('type')).endswith('AdaptiveScoreThrHook')]
    chosen = {key: value for key, value in (options[0] if options else {}).items() if key not in ('type', 'priority')}
    AdaptiveScoreThrHook(**chosen).install(model, checkpoint_counts(content))


def innermost_dataset(config: Config) -> dict[str, Any]:
    """The config of the test (else validation) data set, without wrappers."""
    loader = config.get('test_dataloader') or config.get('val_dataloader') or {}
    dataset = loader.get('dataset', {})
    while 'pipeline' not in dataset and ('dataset' in dataset or 'datasets' in dataset):
        dataset = dataset['dataset'] if 'dataset' in dataset else dataset['datasets'][0]
    if 'pipeline' not in dataset:
        raise ValueError('the config has no test_dataloader with a pipeline; prediction does not know how to prepare '
                         'an image.')
    return dataset


def _names_and_colours(
    content: dict[str, Any], dataset: dict[str, Any], config: Config
) -> tuple[list[str], list[Colour]]:
    """Class names and colours: of the checkpoint, else of the config, else of its data set class, else numbers."""
    from mmengine.registry import DATASETS

    declared = getattr(DATASETS.get(dataset['type']), 'METAINFO', {}) if 'type' in dataset else {}
    sources = [content.get('meta', {}).get('dataset_meta') or {}, dataset.get('metainfo') or {}, declared]
    found = {key.lower(): value for source in reversed(sources) for key, value in source.items() if value is not None}
    classes = [str(name) for name in found.get('classes', ())]
    if not classes:
        head = config.model.get('decode_head') or config.model.get('bbox_head') or {}
        classes = [f'class {index}' for index in range(head.get('num_classes', 256))]
    palette = found.get('palette')
    if not isinstance(palette, (list, tuple)) or len(palette) < len(classes):
        return classes, distinct_colours(len(classes))
    return classes, [tuple(int(channel) for channel in colour) for colour in palette]  # type: ignore[misc]
