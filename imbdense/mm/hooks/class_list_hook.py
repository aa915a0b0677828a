"""Classes that are measured must be classes that are learnt: a look at the lists before a run begins."""

from __future__ import annotations

import re
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from imbdense.mm.datasets.class_order import CURE, ClassListError, check_class_order, class_names
from imbdense.registry import HOOKS

HEAD = re.compile(r'(^|\.)(decode_head|bbox_head)(\.\d+)?$')
"""Where hosts keep the head whose class numbers are those of the data set."""


@HOOKS.register_module()
class ClassListHook(Hook):
    """Refuse to begin a run whose class lists cannot belong together.

    That is: a data set with more classes than the head; a validation or test set with more classes than the training
    set (or than the checkpoint says), or with one of its classes under another number. The hosts run through: what the
    model cannot predict is measured as 0, or a class as another one. Fewer classes, and other names for all of them
    (another domain), are allowed.

    Ranks: each looks, all see the same.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Compare the lists of what this run has built."""
        train, val, test = (_metainfo(loop) for loop in (runner._train_loop, runner._val_loop, runner._test_loop))
        width = head_classes(runner.model)
        for kind, metainfo in (('training', train), ('validation', val), ('test', test)):
            names = class_names(metainfo)
            if width is not None and len(names) > width:
                raise ClassListError(
                    f'the {kind} set has {len(names)} classes, but the head of the model num_classes={width}: '
                    f'{", ".join(names[width : width + 5])} cannot be predicted. {CURE}'
                )
        check_class_order(train, val, 'validation')
        check_class_order(train, test, 'test')

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        """Compare the test set with what the checkpoint was trained on."""
        check_class_order((checkpoint.get('meta') or {}).get('dataset_meta'), _metainfo(runner._test_loop), 'test')


def head_classes(model: Any) -> int | None:
    """``num_classes`` of the head of a segmentor or detector; ``None`` without one, or where text names the classes."""
    model = model.module if is_model_wrapper(model) else model
    if hasattr(model, 'language_model'):
        return None
    found = [module.num_classes for name, module in model.named_modules()
             if HEAD.search(name) and isinstance(getattr(module, 'num_classes', None), int)]
    return max(found, default=None)


def _metainfo(loop: Any) -> Any:
    """That of the data set of a loop, if it is built."""
    return getattr(getattr(getattr(loop, 'dataloader', None), 'dataset', None), 'metainfo', None)
