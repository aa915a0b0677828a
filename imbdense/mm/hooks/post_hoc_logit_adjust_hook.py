"""``imbdense.PostHocLogitAdjustHook``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from torch import Tensor

from imbdense.core.checks import check_counts, check_number
from imbdense.core.losses.prior_shift import has_background
from imbdense.core.stats import PriorLedger, class_prior
from imbdense.mm.class_counts import ClassCountsSource, default_unit, load_class_counts
from imbdense.mm.prior import HUB_LEDGER, declared_ledger
from imbdense.registry import HOOKS

MASK_HEADS = ('MaskFormerHead', 'Mask2FormerHead')
"""Heads whose segmentation output is a class score in [0, queries], not a logit."""


@HOOKS.register_module()
class PostHocLogitAdjustHook(Hook):
    """Shift the logits at validation and test towards another class prior, without training.

    ``z_c <- z_c + tau * (log q_c - log pi_c)`` with pi the prior the model encodes (the last entry of the ledger) and
    q the target (uniform by default): what a model trained with plain cross-entropy needs to decide for the balanced
    error. With a background channel, or sigmoids, the shift is centred so that the decision object / background is
    unmoved on average, see :func:`imbdense.core.losses.prior_shift.prior_shift`.

    Works with mmseg segmentors (their ``encode_decode``, so also sliding windows and test-time augmentation; class
    scores of MaskFormer heads in the log domain, log(s + 1e-6)) and with the RoI, dense and query heads of mmdet.
    Training is never touched: the shift is put in place before a validation or test loop and taken away after it.

    A model that was already balanced, by a sampler, a loss or this hook, is not balanced again: the ledger of the
    checkpoint (kept by :class:`~imbdense.mm.hooks.ClassCountHook`) or, without one, the losses of the config tell, and
    ``DoubleCorrectionError`` names who did it.

    Args:
        tau: strength >= 0; choose it on validation data.
        target_prior: (C,) prior to move to; ``None`` = uniform.
        class_counts: counts of the training labels (list, path or content of class_counts.json), for models trained
            without ClassCountHook; ``None`` = the ledger of the checkpoint.
        force: adjust although the ledger says that somebody did.

    Source: Menon et al., Long-tail learning via logit adjustment, ICLR 2021; Pan et al., NorCal, NeurIPS 2021.
    """

    card = 'logit_adjust'
    tasks = ('segmentation', 'detection')

    def __init__(
        self,
        tau: float = 1.0,
        target_prior: Sequence[float] | None = None,
        class_counts: ClassCountsSource | None = None,
        force: bool = False,
    ) -> None:
        name = 'PostHocLogitAdjustHook'
        self.tau = check_number('tau', tau, low=0.0, owner=name)
        self.target_prior = None if target_prior is None else check_counts(
            target_prior, name='target_prior', owner=name
        ).numpy()
        self.class_counts = class_counts
        self.force = bool(force)
        self._loaded: PriorLedger | None = None
        self._remove: list[Callable[[], None]] = []

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Remember what training did."""
        self._loaded = declared_ledger(checkpoint)

    def before_val(self, runner: Any) -> None:
        """Put the shift in place."""
        self._install(runner, runner.val_dataloader)

    def after_val(self, runner: Any) -> None:
        """Take it away."""
        self.remove()

    def before_test(self, runner: Any) -> None:
        """Put the shift in place."""
        self._install(runner, runner.test_dataloader)

    def after_test(self, runner: Any) -> None:
        """Take it away."""
        self.remove()

    def remove(self) -> None:
        """Undo everything this hook attached to the model; safe to call twice."""
        while self._remove:
            self._remove.pop()()

    def _install(self, runner: Any, loader: Any) -> None:
        """Find the prior, refuse a double correction, attach the shift."""
        self.remove()
        model = runner.model
        while hasattr(model, 'module'):
            model = model.module
        ledger = self._ledger(runner, model, loader)
        assumed = None if self.class_counts is None else self._given_counts()
        prior = ledger.prior if assumed is None else class_prior(assumed)
        shift = PriorLedger(ledger.classes, prior).residual(self.target_prior, self.tau)
        ledger.apply('PostHocLogitAdjustHook', 'post_hoc', shift, assumed=assumed, force=self.force)
        centred = shift - float((prior * shift).sum())
        self._remove = attach_shift(model, torch.as_tensor(shift), torch.as_tensor(centred))
        MMLogger.get_current_instance().info(f'PostHocLogitAdjustHook: prior with the shift\n{ledger.describe()}')

    def _ledger(self, runner: Any, model: Any, loader: Any) -> PriorLedger:
        """A copy of the run's ledger; else one made of ``class_counts`` and of what the losses say they correct."""
        stored = runner.message_hub.runtime_info.get(HUB_LEDGER)
        if stored is not None:
            return PriorLedger.from_dict(stored)
        if self._loaded is not None:
            return PriorLedger.from_dict(self._loaded.to_dict())
        if self.class_counts is None:
            raise ValueError(
                'PostHocLogitAdjustHook: the checkpoint holds no class prior, because it was trained without '
                'imbdense.ClassCountHook. Give class_counts: the path that `imbdense stats CONFIG` prints, or a list.'
            )
        counts = self._given_counts()
        names = (getattr(loader.dataset, 'metainfo', None) or {}).get('classes') or range(counts.size)
        ledger = PriorLedger([str(name) for name in names], counts)
        for module in model.modules():
            if callable(getattr(module, 'declare_correction', None)):
                module.declare_correction(ledger)
        return ledger

    def _given_counts(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """``class_counts`` as an array."""
        if isinstance(self.class_counts, (list, tuple)):
            return check_counts(self.class_counts, owner='PostHocLogitAdjustHook').numpy()
        stored = load_class_counts(self.class_counts, 'PostHocLogitAdjustHook')
        return stored.of(default_unit(stored)).astype(np.float64)


def attach_shift(model: Any, shift: Tensor, centred: Tensor) -> list[Callable[[], None]]:
    """Make ``model`` add the shift to its logits when it is not training; return the functions that undo it.

    Raises:
        TypeError: no part of the model is known to make class logits of that number of classes.
    """
    if hasattr(model, 'decode_head'):
        return [_wrap_segmentor(model, shift)]
    removers: list[Callable[[], None]] = []
    for module in model.modules():
        if hasattr(module, 'loss_cls') and getattr(module, 'num_classes', None) == shift.numel():
            if shift.numel() == 1 or type(module).__name__.startswith('RPN'):
                continue
            handle = module.register_forward_hook(_HeadShift(module, centred))
            removers.append(handle.remove)
    if not removers:
        raise TypeError(
            f'PostHocLogitAdjustHook: found no head with {shift.numel()} classes in {type(model).__name__}; known are '
            f'mmseg segmentors with a decode_head and mmdet heads with loss_cls and num_classes.'
        )
    return removers


def _wrap_segmentor(model: Any, shift: Tensor) -> Callable[[], None]:
    """Shadow ``encode_decode`` (else ``postprocess_result``) on this instance; the class stays as it is."""
    scores = any(cls.__name__ in MASK_HEADS for cls in type(model.decode_head).__mro__)
    name = 'encode_decode' if hasattr(model, 'encode_decode') else 'postprocess_result'
    original = getattr(model, name)

    def adjust(logits: Tensor) -> Tensor:
        if logits.shape[1] != shift.numel():
            raise ValueError(
                f'PostHocLogitAdjustHook: the model has {logits.shape[1]} channels but the prior has '
                f'{shift.numel()} classes. A binary head with out_channels=1 needs out_channels=2.'
            )
        base = torch.log(logits.float() + 1e-6) if scores else logits
        return base + shift.to(base).view(1, -1, 1, 1)

    def encode_decode(*args: Any, **kwargs: Any) -> Tensor:
        return adjust(original(*args, **kwargs))

    def postprocess_result(seg_logits: Tensor, *args: Any, **kwargs: Any) -> Any:
        return original(adjust(seg_logits), *args, **kwargs)

    object.__setattr__(model, name, encode_decode if name == 'encode_decode' else postprocess_result)
    return lambda: model.__dict__.pop(name, None) and None


class _HeadShift:
    """Forward hook of an mmdet head: adds the shift to the class logits, whatever their layout."""

    def __init__(self, head: Any, shift: Tensor) -> None:
        self.use_sigmoid = bool(getattr(head.loss_cls, 'use_sigmoid', False))
        self.shift = shift

    def __call__(self, head: Any, inputs: Any, output: Any) -> Any:
        if head.training:
            return None
        first, *rest = output if isinstance(output, (tuple, list)) else (output,)
        if isinstance(first, (list, tuple)):  # one map per feature level, or one query table per decoder layer
            adjusted = type(first)(self._add(item, 1 if item.ndim == 4 else -1) for item in first)
        else:
            adjusted = None if first is None else self._add(first, -1)
        return (adjusted, *rest) if isinstance(output, (tuple, list)) else adjusted

    def _add(self, logits: Tensor, dim: int) -> Tensor:
        """Logits (N, anchors * channels, H, W) for dim 1, or (..., channels) for dim -1."""
        classes = self.shift.numel()
        channels = logits.shape[dim]
        per_prior = classes if channels % classes == 0 and self.use_sigmoid else classes + 1
        if channels % per_prior != 0:
            has_background(classes, channels, use_sigmoid=self.use_sigmoid, owner='PostHocLogitAdjustHook')
        background = self.shift.new_zeros(per_prior - classes)
        full = torch.cat([self.shift, background]).repeat(channels // per_prior).to(logits)
        return logits + (full if dim == -1 else full.view(1, -1, *(1,) * (logits.ndim - 2)))
