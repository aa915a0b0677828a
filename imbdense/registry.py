"""The registries of imbdense.

Each is a child of mmengine's root registry of the same kind, so ``type='imbdense.X'`` resolves from every scope
(mmseg, mmdet, ...), with or without ``custom_imports=dict(imports=['imbdense'])``. A child imports its ``locations``
the first time it is asked. A name that is not there is answered with the nearest right ones.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

import mmengine.registry as host
from mmengine.registry import Registry

SCOPE = 'imbdense'


class SuggestingRegistry(Registry):
    """A registry that answers a name it does not have with the nearest names it has."""

    def get(self, key: str) -> Any:
        """Return the class registered as ``key`` here or in a parent registry.

        The host strips the scope before it asks a child, so ``key`` is usually the bare class name. Full Python paths
        (``imbdense.mm.losses.X``, written by lazy configs) and other scopes are left to the host.

        Raises:
            KeyError: nothing of that name is registered; the message holds the nearest names.
        """
        scope, name = self.split_scope_key(key)
        if scope not in (None, SCOPE) or '.' in name:
            return super().get(key)
        if name in self or any(name in ancestor.module_dict for ancestor in self._ancestors()):
            return super().get(name)
        near = difflib.get_close_matches(name, self.module_dict, n=3, cutoff=0.5)
        hint = f'Did you mean {" or ".join(f"imbdense.{word}" for word in near)}? ' if near else ''
        raise KeyError(f"imbdense has no {self.name} called '{name}'. {hint}`imbdense list {self.name}` shows all.")

    def build(self, cfg: Any, *args: Any, **kwargs: Any) -> Any:
        """Build a config. A registry of our own has no parent that host scopes could search: it answers itself."""
        if self.parent is None and isinstance(cfg, Mapping):
            cfg = {**cfg, '_scope_': SCOPE}
        return super().build(cfg, *args, **kwargs)

    def __contains__(self, name: str) -> bool:
        self.import_from_location()
        return name in self.module_dict

    def _ancestors(self) -> list[Registry]:
        """The parent registries, nearest first."""
        found, parent = [], self.parent
        while parent is not None:
            found.append(parent)
            parent = parent.parent
        return found


def _child(name: str, parent: Registry | None, *rooms: str) -> SuggestingRegistry:
    """Make a registry whose members live in the packages ``imbdense.<room>``."""
    return SuggestingRegistry(name, parent=parent, scope=SCOPE, locations=[f'imbdense.{room}' for room in rooms])


MODELS = _child(
    'model', host.MODELS, 'mm.losses', 'mm.backbones', 'mm.necks', 'mm.heads', 'mm.segmentors', 'mm.detectors',
    'mm.data_preprocessors', 'mm.pretrainers', 'mm.autoencoders',
)
DATASETS = _child('dataset', host.DATASETS, 'mm.datasets')
DATA_SAMPLERS = _child('sampler', host.DATA_SAMPLERS, 'mm.samplers')
TRANSFORMS = _child('transform', host.TRANSFORMS, 'mm.transforms')
METRICS = _child('metric', host.METRICS, 'mm.metrics')
HOOKS = _child('hook', host.HOOKS, 'mm.hooks')
TASK_UTILS = _child('task util', host.TASK_UTILS, 'mm.task_utils')
OPTIMIZERS = _child('optimizer', host.OPTIMIZERS, 'mm.optim')
OPTIM_WRAPPERS = _child('optim wrapper', host.OPTIM_WRAPPERS, 'mm.optim')
OPTIM_WRAPPER_CONSTRUCTORS = _child('optimizer wrapper constructor', host.OPTIM_WRAPPER_CONSTRUCTORS, 'mm.optim')
VISUALIZERS = _child('visualizer', host.VISUALIZERS)
SELECTORS = _child('selector', None, 'mm.selectors')
SCORERS = _child('scorer', None)
SELECTION_FILTERS = _child('selection_filter', None, 'mm.selectors')
PSEUDO_LABELERS = _child('pseudo_labeler', None, 'mm.pseudo_labelers')

REGISTRIES: dict[str, SuggestingRegistry] = {
    registry.name: registry
    for registry in (
        MODELS, DATASETS, DATA_SAMPLERS, TRANSFORMS, METRICS, HOOKS, TASK_UTILS, OPTIMIZERS, OPTIM_WRAPPERS,
        OPTIM_WRAPPER_CONSTRUCTORS, VISUALIZERS, SELECTORS, SCORERS, SELECTION_FILTERS,
        PSEUDO_LABELERS,
    )
}
"""Every registry by its name, as ``imbdense list KIND`` spells it."""
