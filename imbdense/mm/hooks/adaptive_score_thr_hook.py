"""``imbdense.AdaptiveScoreThrHook``."""

from __future__ import annotations

import copy
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from torch import Tensor

from imbdense.core.checks import check_integer, check_number
from imbdense.core.stats import AssignedCounts
from imbdense.mm.assigned_counts.class_layers import ClassLayer, find_class_layers, unwrap
from imbdense.mm.assigned_counts.run import (
    keep_in_checkpoint,
    published_counts,
    restore_from_checkpoint,
    run_counts,
)
from imbdense.registry import HOOKS


@HOOKS.register_module()
class AdaptiveScoreThrHook(Hook):
    """Put the measured share of foreground samples in place of ``score_thr='adaptive'``.

    A head that learns from all samples, without focusing or sampling, answers with probabilities near the true
    frequencies: the usual threshold of 0.05 would cut off most of its detections, and those of rare classes first.
    ``theta = clip(N_f / N, low, high)``, or one threshold per class, ``theta_j = clip(N_j / N, low, high)``, with the
    N that :class:`~imbdense.mm.hooks.PriorBiasInitHook` or this hook has measured; see
    :mod:`imbdense.mm.assigned_counts`.

    Works in a separate test run: the numbers are in the checkpoint. Dense heads get a number or a (C,) tensor; RoI
    heads, which flatten their scores, get the tensor repeated for each proposal. Training, the config and ``nms_pre``
    are not touched. Every rank has the same numbers.

    Args:
        per_class: one threshold per class; else one for all.
        low, high: limits of the threshold.
        max_images, cache, seed: of the counting, when this hook has to do it; see ``PriorBiasInitHook``.

    Source: Chen et al., Is Heuristic Sampling Necessary in Training Deep Object Detectors?, IEEE TIP 2021.
    """

    card = 'prior_bias'
    tasks = ('detection',)
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        per_class: bool = False,
        low: float = 1e-4,
        high: float = 0.05,
        max_images: int | None = None,
        cache: bool = True,
        seed: int = 0,
    ) -> None:
        owner = 'AdaptiveScoreThrHook'
        self.per_class = bool(per_class)
        self.low = check_number('low', low, low=0.0, high=1.0, owner=owner)
        self.high = check_number('high', high, low=self.low, high=1.0, owner=owner)
        self.max_images = None if max_images is None else check_integer('max_images', max_images, low=1, owner=owner)
        self.cache = bool(cache)
        self.seed = int(seed)

    def before_train(self, runner: Any) -> None:
        """Measure what another hook has not measured yet."""
        layers = [layer for layer, _ in adaptive_owners(unwrap(runner.model))]
        if layers:
            run_counts(runner, layers, max_images=self.max_images, cache=self.cache, seed=self.seed)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put the counts into the checkpoint's meta."""
        keep_in_checkpoint(runner, checkpoint)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Publish the counts of the run that made the checkpoint."""
        restore_from_checkpoint(runner, checkpoint)

    def before_val(self, runner: Any) -> None:
        """Put the thresholds in place."""
        self._install(runner)

    def before_test(self, runner: Any) -> None:
        """Put the thresholds in place."""
        self._install(runner)

    def install(self, model: Any, counts: dict[str, AssignedCounts]) -> None:
        """Put thresholds into ``model`` in place of every 'adaptive', also where an earlier call did.

        Args:
            model: a detector, unwrapped.
            counts: path of a head -> its counts.

        Raises:
            ValueError: ``counts`` lack a head that wants a threshold.
        """
        for layer, owner in adaptive_owners(model):
            device = next(model.parameters()).device
            if layer.path not in counts:
                raise ValueError(
                    f"AdaptiveScoreThrHook: score_thr='adaptive' of {layer.path} needs the counted samples, but the "
                    f'checkpoint holds {sorted(counts) or "none"}. It was trained without AdaptiveScoreThrHook and '
                    f'PriorBiasInitHook: give score_thr a number, for example 1e-3.'
                )
            found = counts[layer.path].score_thresholds(self.low, self.high, per_class=self.per_class)
            # A copy: the config of the run, which is written into checkpoints, shares the host's object.
            owner.test_cfg = copy.deepcopy(owner.test_cfg)
            threshold = torch.as_tensor(found, dtype=torch.float32, device=device) if self.per_class else float(found)
            owner.test_cfg['score_thr'] = threshold
            owner.adaptive_score_thr = True
            if self.per_class and owner is not layer.head:
                for head in _stages(owner):
                    tile_for_proposals(head)
            MMLogger.get_current_instance().info(f'AdaptiveScoreThrHook: {layer.path}: score_thr = {found.tolist()}')

    def _install(self, runner: Any) -> None:
        """With what this run or the loaded checkpoint has published."""
        self.install(unwrap(runner.model), published_counts(runner))


def adaptive_owners(model: Any) -> list[tuple[ClassLayer, Any]]:
    """(class layer, module whose test_cfg says 'adaptive') of every such head; of a cascade its last stage.

    Raises:
        ValueError: a module says so whose scores no known layer makes.
    """
    if not any(_is_adaptive(module) for module in model.modules()):
        return []
    layers = find_class_layers(model)
    found, roi_head = [], getattr(model, 'roi_head', None)
    for layer in layers:
        if _is_adaptive(layer.head):
            found.append((layer, layer.head))
    if roi_head is not None and _is_adaptive(roi_head):
        found.append(([layer for layer in layers if layer.path.startswith('roi_head.')][-1], roi_head))
    if not found:
        raise ValueError(
            f"AdaptiveScoreThrHook: {type(model).__name__} has score_thr='adaptive' for a head that is not known; give "
            f'it a number.'
        )
    return found


def tile_for_proposals(head: Any) -> None:
    """Make a RoI box head, whose NMS flattens (n, C) scores, repeat a (C,) threshold for its n proposals."""
    if 'imbdense_tiled' in head.__dict__:
        return
    original = head._predict_by_feat_single

    def predict(roi: Tensor, *args: Any, rcnn_test_cfg: Any = None, **kwargs: Any) -> Any:
        if rcnn_test_cfg is not None and isinstance(rcnn_test_cfg.score_thr, Tensor):
            rcnn_test_cfg = copy.copy(rcnn_test_cfg)
            rcnn_test_cfg.score_thr = rcnn_test_cfg.score_thr.repeat(len(roi))
        return original(roi, *args, rcnn_test_cfg=rcnn_test_cfg, **kwargs)

    # Past nn.Module's __setattr__: this instance only, and not in its state.
    object.__setattr__(head, '_predict_by_feat_single', predict)
    object.__setattr__(head, 'imbdense_tiled', True)


def _is_adaptive(module: Any) -> bool:
    """Whether a module's own test_cfg has the switch on, or had it before this hook came."""
    config = getattr(module, 'test_cfg', None)
    return hasattr(module, 'adaptive_score_thr') or (bool(config) and config.get('score_thr') == 'adaptive')


def _stages(roi_head: Any) -> list[Any]:
    """The box heads of a RoI head."""
    heads = roi_head.bbox_head
    return list(heads) if hasattr(heads, '__len__') else [heads]
