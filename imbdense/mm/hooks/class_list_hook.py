"""Classes that are measured must be classes that are learnt: a look at the lists before a run begins."""

from __future__ import annotations

import contextlib
import re
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from imbdense.mm.datasets.label_source import dataset_classes
from imbdense.registry import HOOKS

HEAD = re.compile(r'(^|\.)(decode_head|bbox_head)(\.\d+)?$')
"""Where hosts keep the head whose class numbers are those of the data set."""
CURE = ('Give all splits the same list in the same order (metainfo.classes; of clouds: mapping, classes), and the head '
        'its length as num_classes.')


class ClassListError(ValueError):
    """The data sets and the model do not have the same classes; the message names what differs."""


@HOOKS.register_module()
class ClassListHook(Hook):
    """Refuse to begin a run whose class lists cannot belong together.

    That is: a data set with more classes than the head; a validation set with more classes than the training set, or
    with one of its classes under another number. The hosts run through: what the model cannot predict is measured as 0,
    or a class as another one. Fewer classes, and other names for them (another domain), are allowed.

    Ranks: each looks, all see the same.
    """

    card = 'safe_training'
    tasks: tuple[str, ...] = ('segmentation', 'detection', 'points')
    priority = 'VERY_HIGH'

    def before_run(self, runner: Runner) -> None:
        """Compare the lists of what this run has built."""
        lists = {name: classes for name, loop in (('train', runner._train_loop), ('val', runner._val_loop),
                                                  ('test', runner._test_loop)) if (classes := _classes(loop))}
        width = head_classes(runner.model)
        for name, classes in lists.items():
            if width is not None and len(classes) > width:
                raise ClassListError(
                    f'the {name} data set has {len(classes)} classes, but the head of the model num_classes={width}: '
                    f'{list(classes[width:])} cannot be predicted. {CURE}'
                )
        if 'train' in lists:
            for name in lists.keys() - {'train'}:
                check_same_numbers(lists['train'], lists[name], name)


def check_same_numbers(learnt: tuple[str, ...], measured: tuple[str, ...], name: str) -> None:
    """Raise :class:`ClassListError` if ``measured`` has more classes, or one of ``learnt`` under another number."""
    if len(measured) > len(learnt):
        raise ClassListError(
            f'the {name} data set has {len(measured)} classes, but the train data set {len(learnt)}: '
            f'{[klass for klass in measured if klass not in learnt] or list(measured[len(learnt):])} cannot be learnt. '
            f'{CURE}'
        )
    for number, klass in enumerate(measured):
        if klass in learnt and learnt[number] != klass:
            raise ClassListError(
                f'the {name} data set has {klass!r} as class {number}, but the train data set has {learnt[number]!r} '
                f'there, and {klass!r} as class {learnt.index(klass)}. {CURE}'
            )


def head_classes(model: Any) -> int | None:
    """``num_classes`` of the head of a segmentor or detector; ``None`` without one, or where text names the classes."""
    model = model.module if is_model_wrapper(model) else model
    if hasattr(model, 'language_model'):
        return None
    found = [module.num_classes for name, module in model.named_modules()
             if HEAD.search(name) and isinstance(getattr(module, 'num_classes', None), int)]
    return max(found, default=None)


def _classes(loop: Any) -> tuple[str, ...]:
    """The classes of a loop that is built; () where its data set names none."""
    dataset = getattr(getattr(loop, 'dataloader', None), 'dataset', None)
    with contextlib.suppress(TypeError, ValueError, AttributeError):
        return dataset_classes(dataset)
    return ()
