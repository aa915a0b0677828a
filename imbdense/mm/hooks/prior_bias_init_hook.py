"""``imbdense.PriorBiasInitHook``."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from torch import Tensor, nn

from imbdense.core.checks import check_integer, check_number
from imbdense.mm.assigned_counts.class_layers import ClassLayer, find_class_layers, unwrap
from imbdense.mm.assigned_counts.run import keep_in_checkpoint, restore_from_checkpoint, run_counts
from imbdense.mm.prior_bias import Start, start_biases
from imbdense.registry import HOOKS
from imbdense.utils.distributed import collective_device, rank_and_world


@HOOKS.register_module()
class PriorBiasInitHook(Hook):
    """Start the class logits at the class frequencies that the head will see, measured before training.

    With N_f foreground and N_b background samples (anchors, points, proposals, queries), N = N_f + N_b, C classes::

        sigmoid, shared      b = -log(C N / N_f - 1)                for every class channel
        softmax, shared      b = 0 for classes, log(C N_b / N_f) for the background
        sigmoid, per class   b_c = log(pi_c / (1 - pi_c)),  pi_c = (N_c + 1) / (N + C)
        softmax, per class   b_c = log(N_c + 1), b_bg = log(N_b + 1), minus their mean
        segmentation         the last two over pixels, without a background of its own; always per class

    The samples are counted on the annotations with the head's own anchors, assigner and sampler, after the geometry of
    the training pipeline; see :mod:`imbdense.mm.assigned_counts`. Ignored samples are in neither count. What the loss
    adds to its logits or weighs its classes with is taken into account. YOLOv3: objectness at N_f / N, classes at
    their share of the objects. Losses that train sigmoids of their own in a box head (EQLv2, FCBL, ECM, federated) are
    started as sigmoids, their objectness channel at N_b / N; a given ``prior`` holds for all their channels.

    The bias is an ordinary parameter and learns from there. Nothing happens on resume. A layer whose bias came with
    loaded weights (``load_from``, ``init_cfg=Pretrained`` of the head or the model) is left alone.

    State: counts and numbers lie in the message hub and in ``meta['imbdense']`` of checkpoints, for
    :class:`~imbdense.mm.hooks.AdaptiveScoreThrHook` and for the test run. Across ranks: each counts its share, the
    sums are reduced, the bias is that of rank 0.

    Args:
        target: 'auto' = every class layer; or an attribute ('conv_seg'), a path ('bbox_head.retina_cls') or a head.
        prior: probability of each class to start with; ``None`` = measured.
        per_class: each class at its own frequency (long-tailed data); else one prior for all.
        max_images: count at most this many images; the log then tells the standard error. ``None`` = all.
        cache: keep the counts beside the annotations.
        only_from_scratch: leave layers with loaded weights alone.
        seed: of the random transforms and samplers while counting.

    Source: Chen et al., Is Heuristic Sampling Necessary in Training Deep Object Detectors?, IEEE TIP 2021.
    """

    card = 'prior_bias'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        target: str = 'auto',
        prior: float | None = None,
        per_class: bool = False,
        max_images: int | None = None,
        cache: bool = True,
        only_from_scratch: bool = True,
        seed: int = 0,
    ) -> None:
        owner = 'PriorBiasInitHook'
        self.target = target
        self.prior = None if prior is None else check_number('prior', prior, low=0.0, high=1.0, owner=owner)
        if self.prior in (0.0, 1.0):
            raise ValueError(f'{owner}: prior must lie inside (0, 1), but is {prior}.')
        if prior is not None and per_class:
            raise ValueError(f'{owner}: prior={prior} is the same for every class; leave out one of prior, per_class.')
        self.per_class = bool(per_class)
        self.max_images = None if max_images is None else check_integer('max_images', max_images, low=1, owner=owner)
        self.cache = bool(cache)
        self.only_from_scratch = bool(only_from_scratch)
        self.seed = int(seed)
        self._loaded: dict[str, tuple[int, ...]] = {}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember which weights were loaded, and publish the counts of that run."""
        state = checkpoint.get('state_dict', checkpoint)
        self._loaded = {
            name.removeprefix('module.'): tuple(value.shape) for name, value in state.items() if hasattr(value, 'shape')
        }
        restore_from_checkpoint(runner, checkpoint)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the counts into the checkpoint's meta."""
        keep_in_checkpoint(runner, checkpoint)

    def before_train(self, runner: Any) -> None:
        """Count, publish, and set the biases of layers that start from scratch."""
        model = unwrap(runner.model)
        layers = find_class_layers(model, self.target)
        counts = {}
        if self.prior is None:
            counts = run_counts(runner, layers, max_images=self.max_images, cache=self.cache, seed=self.seed)
        logger = MMLogger.get_current_instance()
        for path, found in counts.items():
            logger.info(f'PriorBiasInitHook: {path}: {found.describe()}')
        if runner.iter > 0:
            logger.info('PriorBiasInitHook: training is resumed, so no bias is set.')
            return
        for layer in layers:
            self._start(model, layer, counts[layer.path] if self.prior is None else self.prior, logger)

    def _start(self, model: nn.Module, layer: ClassLayer, start: Start, logger: Any) -> None:
        """Set the biases of one layer unless it has loaded weights."""
        current = layer.biases()
        if self.only_from_scratch:
            loaded = {**pretrained_shapes(model, layer), **self._loaded}
            kept = [name for name, bias in current.items() if loaded.get(name) == tuple(bias.shape)]
            if kept:
                logger.info(f'PriorBiasInitHook: {layer.dotted} has loaded weights ({kept[0]}), its bias stays.')
                return
        values = start_biases(layer, start, per_class=self.per_class)
        with torch.no_grad():
            for name, bias in current.items():
                bias.copy_(same_on_all_ranks(values[name]))
        shown = ', '.join(f'{value:.3f}' for value in next(iter(values.values()))[:6].tolist())
        logger.info(f'PriorBiasInitHook: {layer.dotted} starts at the bias {shown}{", ..." if len(values) > 1 else ""}')


def same_on_all_ranks(values: Tensor) -> Tensor:
    """The values of rank 0 (float64, CPU)."""
    if rank_and_world()[1] == 1:
        return values
    shared = values.to(collective_device())
    dist.broadcast(shared, src=0)
    return shared.cpu()


def pretrained_shapes(model: nn.Module, layer: ClassLayer) -> dict[str, tuple[int, ...]]:
    """Names (in the model) and shapes of the weights that ``init_cfg=Pretrained`` gives to modules round ``layer``."""
    from mmengine.runner.checkpoint import CheckpointLoader

    found: dict[str, tuple[int, ...]] = {}
    parts = layer.path.split('.') if layer.path else []
    for depth in range(len(parts) + 1):
        path = '.'.join(parts[:depth])
        configs = getattr(model.get_submodule(path), 'init_cfg', None)
        for config in configs if isinstance(configs, (list, tuple)) else [configs]:
            if not config or config.get('type') != 'Pretrained':
                continue
            content = CheckpointLoader.load_checkpoint(config['checkpoint'], map_location='cpu')
            state, inner = content.get('state_dict', content), config.get('prefix')
            for name, value in state.items():
                if inner is None or name.startswith(f'{inner}.'):
                    own = name if inner is None else name[len(inner) + 1 :]
                    found['.'.join(part for part in (path, own) if part)] = tuple(value.shape)
    return found
