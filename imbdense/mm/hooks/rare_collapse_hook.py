"""``imbdense.RareCollapseHook``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from numpy.typing import NDArray

from imbdense.core.checks import check_counts, check_integer, check_number
from imbdense.core.stats import ClassCounts, class_prior
from imbdense.mm.class_counts import default_unit
from imbdense.mm.freezing import unwrapped
from imbdense.mm.hooks.held_out import HeldOutImages, check_held_out
from imbdense.mm.hooks.pseudo_quality import PseudoQuality, measure_quality
from imbdense.mm.prior import HUB_COUNTS, META_KEY
from imbdense.registry import HOOKS

KEY = 'rare_collapse'


@HOOKS.register_module()
class RareCollapseHook(Hook):
    """Warn when pseudo-labels of a class dry up, and perhaps lower its threshold.

    Confirmation bias starves rare classes: few pseudo-labels, then fewer. Every ``interval`` iterations the share of
    each class among the pseudo-labels made since the last look (all ranks) is compared with a target prior. A class
    that was below ``floor`` times its target in ``patience`` looks in a row is named in a warning, and again after as
    many more. With ``cut`` its threshold is multiplied by ``1 - cut`` each time (the ``threshold_cut`` of the model).

    With ``held_out`` the labelled images that are not trained on are pseudo-labelled at every look, as unlabelled ones
    would be, and the share of right ones among them (precision; 1 - impurity) and of the class's pixels that got one
    (recall) are logged per class, ``pseudo/precision_<class>`` and ``pseudo/recall_<class>``. A class whose labels are
    right less often than ``least_precision`` is named after ``patience`` looks, and its threshold is not cut: more of
    such labels would not help it.

    Looks at every module with ``pseudo_counts`` (:class:`~imbdense.core.stats.RunningClassStats`) and ``threshold_cut``
    (K,), such as ``imbdense.SemiSegmentor``; for boxes the counts may be boxes. Reading the counts makes a GPU wait
    once per look.

    State: the counts at the last look and the strikes lie in ``meta['imbdense']['rare_collapse']`` of every checkpoint,
    the cut thresholds in the state_dict; resuming continues them. Ranks: all compute the same from equal counts.

    Args:
        interval: iterations between two looks.
        target: (K,) shares or counts, or 'labelled', those of ``imbdense.ClassCountHook``.
        floor: share of the target below which a look is a strike.
        patience: strikes in a row until the warning.
        cut: part taken off the threshold at each warning, in [0, 1); 0 = warn only.
        least_cut: the threshold is not cut below this part of itself.
        held_out: config of a labelled segmentation data set that is not trained on, or 'val', that of
            ``val_dataloader``; ``None`` = quality is not measured. With ``imbdense.SemiSegmentor`` only.
        least_precision: see above, in [0, 1].
        max_images: held-out images drawn per look.

    Raises:
        ValueError: before training, when no module makes pseudo-labels, the target is not known, or has another number
            of classes; with ``held_out``, when that data set cannot be used or the model is no ``SemiSegmentor``.
    """

    card = 'semi_segmentor'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    priority = 'BELOW_NORMAL'

    def __init__(
        self,
        interval: int = 200,
        target: str | Sequence[float] = 'labelled',
        floor: float = 0.2,
        patience: int = 5,
        cut: float = 0.0,
        least_cut: float = 0.5,
        held_out: str | Mapping[str, Any] | None = None,
        least_precision: float = 0.5,
        max_images: int = 50,
    ) -> None:
        name = type(self).__name__
        self.interval = check_integer('interval', interval, low=1, owner=name)
        if isinstance(target, str) and target != 'labelled':
            raise ValueError(f"{name}: target must be 'labelled' or one number per class, but got {target!r}.")
        self.target = target if isinstance(target, str) else class_prior(check_counts(target, name='target').numpy())
        self.floor = check_number('floor', floor, low=0.0, high=1.0, owner=name)
        self.patience = check_integer('patience', patience, low=1, owner=name)
        self.cut = check_number('cut', cut, low=0.0, high=1.0 - 1e-6, owner=name)
        self.least_cut = check_number('least_cut', least_cut, low=0.0, high=1.0, owner=name)
        self.held_out = check_held_out(held_out, name)
        self.least_precision = check_number('least_precision', least_precision, low=0.0, high=1.0, owner=name)
        self.max_images = check_integer('max_images', max_images, low=1, owner=name)
        self.quality: PseudoQuality | None = None
        self._states: dict[str, dict[str, Any]] = {}
        self._loaded: dict[str, dict[str, Any]] = {}

    def before_train(self, runner: Any) -> None:
        """Find who makes pseudo-labels and what the shares should be."""
        self._modules = {
            name: module for name, module in unwrapped(runner.model).named_modules()
            if hasattr(module, 'pseudo_counts') and hasattr(module, 'threshold_cut')
        }
        if not self._modules:
            raise ValueError('RareCollapseHook: no module of the model counts pseudo-labels (pseudo_counts).')
        self._classes, self._prior = self._target_prior(runner)
        for name, module in self._modules.items():
            if module.pseudo_counts.counts.numel() != self._prior.size:
                raise ValueError(
                    f'RareCollapseHook: the target has {self._prior.size} classes, '
                    f'{name or type(module).__name__} has {module.pseudo_counts.counts.numel()}.'
                )
            self._states[name] = self._loaded.get(name) or {
                'counts': module.pseudo_counts.counts.tolist(), 'strikes': [0] * self._prior.size,
                'impure': [0] * self._prior.size,
            }
        if self.held_out is not None:
            model = unwrapped(runner.model)
            if not callable(getattr(model, 'label', None)) or getattr(model, 'decode_head', None) is None:
                raise ValueError(
                    f'RareCollapseHook: held_out needs imbdense.SemiSegmentor, but the model is {type(model).__name__}.'
                )
            if any(getattr(refiner, 'needs_features', False) for refiner in model.refine):
                raise ValueError('RareCollapseHook: held_out does not go with a refiner that needs features.')
            self._images = HeldOutImages(runner, self.held_out, model, 'RareCollapseHook')

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Every ``interval`` iterations: compare."""
        if (runner.iter + 1) % self.interval == 0:
            if self.held_out is not None:
                self._measure(runner)
            for name, module in self._modules.items():
                self._look(module, self._states[name], runner.iter + 1)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Put counts and strikes into the checkpoint."""
        checkpoint['meta'].setdefault(META_KEY, {})[KEY] = {name: dict(state) for name, state in self._states.items()}

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Take them back, when the run is resumed."""
        record = (checkpoint.get('meta') or {}).get(META_KEY) or {}
        self._loaded = record.get(KEY, {}) if getattr(runner, '_resume', False) else {}

    def _measure(self, runner: Any) -> None:
        """Quality of the pseudo-labels on held-out images: log, remember."""
        self.quality = measure_quality(unwrapped(runner.model), self._images, self.max_images, int(runner.iter))
        scalars = {
            f'pseudo/{what}_{name}': float(value)
            for what, values in (('precision', self.quality.precision), ('recall', self.quality.recall))
            for name, value in zip(self._images.classes, values, strict=True) if np.isfinite(value)
        }
        runner.visualizer.add_scalars(scalars, step=int(runner.iter) + 1)

    def _impure(self, state: dict[str, Any], iteration: int) -> NDArray[np.bool_]:
        """(K,) classes whose labels are wrong too often; named after ``patience`` looks in a row."""
        if self.quality is None:
            return np.zeros(self._prior.size, bool)
        impure = np.nan_to_num(self.quality.precision, nan=1.0) < self.least_precision
        strikes = np.where(impure, np.asarray(state.get('impure', 0)) + 1, 0)
        named = np.flatnonzero(strikes >= self.patience)
        state['impure'] = np.where(strikes >= self.patience, 0, strikes).tolist()
        if named.size:
            lines = '\n'.join(
                f'  {self._classes[c]}: {100 * self.quality.precision[c]:.3g} % of {self.quality.kept[c]} are right'
                for c in named.tolist()
            )
            MMLogger.get_current_instance().warning(
                f'RareCollapseHook: iteration {iteration}: pseudo-labels of these classes are wrong on held-out '
                f'images; {self.patience} looks in a row below {100 * self.least_precision:.0f} %:\n{lines}\n'
                'Raise their thresholds, or train longer on labels alone (ramp).'
            )
        return np.asarray(impure)

    def _look(self, module: Any, state: dict[str, Any], iteration: int) -> None:
        """One comparison: strikes, warnings, cuts."""
        counts = module.pseudo_counts.counts.tolist()
        new = np.asarray(counts, np.float64) - np.asarray(state['counts'], np.float64)
        share = new / max(new.sum(), 1.0)
        low = (self._prior > 0) & (share < self.floor * self._prior)
        strikes = np.where(low, np.asarray(state['strikes']) + 1, 0)
        starved = np.flatnonzero(strikes >= self.patience)
        state['counts'], state['strikes'] = counts, np.where(strikes >= self.patience, 0, strikes).tolist()
        impure = self._impure(state, iteration)
        if not starved.size:
            return
        if self.cut > 0:
            chosen = starved[~impure[starved]]
            module.threshold_cut[chosen] = (module.threshold_cut[chosen] * (1 - self.cut)).clamp_min(self.least_cut)
        lines = [
            f'  {self._classes[c]}: {100 * share[c]:.3g} % instead of {100 * self._prior[c]:.3g} %'
            + (f', threshold now x {float(module.threshold_cut[c]):.3g}' if self.cut > 0 else '')
            for c in starved.tolist()
        ]
        what = 'no pseudo-label at all was accepted' if new.sum() == 0 else 'these classes starve'
        MMLogger.get_current_instance().warning(
            f'RareCollapseHook: iteration {iteration}: {what}; {self.patience} looks in a row below '
            f'{100 * self.floor:.0f} % of the share they should have among the pseudo-labels:\n' + '\n'.join(lines)
            + '\nLower the threshold, use a rule with one per class, or align the distribution.'
        )

    def _target_prior(self, runner: Any) -> tuple[list[str], NDArray[np.float64]]:
        """(class names, shares)."""
        if not isinstance(self.target, str):
            return [str(c) for c in range(self.target.size)], self.target
        record = runner.message_hub.runtime_info.get(HUB_COUNTS)
        if record is None:
            raise ValueError(
                "RareCollapseHook: target='labelled' takes the counts of imbdense.ClassCountHook, which is not in the "
                'config. Add it, or give target=[one number per class].'
            )
        counts = ClassCounts.from_dict(record)
        amounts = np.asarray(counts.of(default_unit(counts)), np.float64)
        return list(counts.classes), amounts / amounts.sum()
