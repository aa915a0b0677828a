"""Class lists of data sets and head: a run that would measure what cannot be predicted does not begin."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('mmseg')
pytest.importorskip('mmdet')

from imbdense.mm.datasets.class_order import ClassListError
from imbdense.mm.hooks.class_list_hook import head_classes
from imbdense.mm.runner import SafeRunner
from tests.helpers.point_scenes import CLASSES as POINT_CLASSES
from tests.helpers.point_scenes import CODES, write_scenes
from tests.integration.test_point_configs import tiny_config as point_config
from tests.mm.assigned_counts import cases
from tests.mm.hooks import tiny_detection_run, tiny_run


def segmentation(root: Path, classes: tuple[str, ...], width: int) -> Any:
    """A run whose validation set has ``classes`` and whose head has ``width``."""
    tiny_run.write_dataset(root / 'data')
    config = tiny_run.config(root / 'data', root / 'run')
    for loader in (config.val_dataloader, config.test_dataloader):
        loader.dataset.metainfo.classes = classes
    config.model.decode_head.num_classes = width
    return config


def detection(root: Path, classes: tuple[str, ...], width: int) -> Any:
    """As above."""
    cases.write_coco(root)
    config = tiny_detection_run.config(root, root / 'run', cases.retinanet(), hooks=[])
    for loader in (config.val_dataloader, config.test_dataloader):
        loader.dataset.metainfo.classes = classes
    config.model.bbox_head.num_classes = width
    return config


def clouds(root: Path, classes: tuple[str, ...], width: int) -> Any:
    """As above; mast and fence get their classes."""
    from mmengine.config import Config

    config = Config.fromfile(str(point_config(write_scenes(root / 'data', side=20.0), root)))
    config.val_dataloader.dataset.update(metainfo=dict(classes=classes), label_map=dict(CODES))
    config.test_dataloader, config.test_evaluator = config.val_dataloader, config.val_evaluator
    config.test_cfg = dict(type='TestLoop')
    config.model.decode_head.num_classes = width
    config.work_dir = str(root / 'run')
    return config


TASKS = {'segmentation': (segmentation, tiny_run.CLASSES), 'detection': (detection, cases.CLASSES),
         'clouds': (clouds, POINT_CLASSES)}  # fmt: skip


@pytest.mark.parametrize('task', list(TASKS))
def test_more_classes_than_are_learnt_or_than_the_head_has_are_refused(task: str, tmp_path: Path) -> None:
    make, classes = TASKS[task]
    more = (*classes, 'more')
    runner = SafeRunner.from_cfg(make(tmp_path / 'a', more, len(more)))
    with pytest.raises(ClassListError, match=f'the validation set has {len(more)} classes, but the training set'):
        runner.train()
    assert runner.iter == 0 and head_classes(runner.model) == len(more)
    runner = SafeRunner.from_cfg(make(tmp_path / 'b', classes, len(classes) - 1))
    with pytest.raises(ClassListError, match=f'but the head of the model num_classes={len(classes) - 1}'):
        runner.train()
    runner = SafeRunner.from_cfg(make(tmp_path / 'c', more, len(classes)))
    with pytest.raises(ClassListError, match='the test set has'):
        runner.test()


@pytest.mark.parametrize('task', list(TASKS))
def test_the_same_classes_are_measured(task: str, tmp_path: Path) -> None:
    make, classes = TASKS[task]
    runner = SafeRunner.from_cfg(make(tmp_path, classes, len(classes)))
    runner.test()
    assert head_classes(runner.model) == len(classes)


def test_a_two_stage_detector_has_the_width_of_its_boxes_not_of_its_proposals() -> None:
    from mmengine.registry import MODELS, init_default_scope

    init_default_scope('mmdet')
    assert head_classes(MODELS.build(cases.two_stage(stages=3))) == 3


def test_a_test_set_is_compared_with_what_the_checkpoint_knows() -> None:
    from types import SimpleNamespace

    from imbdense.mm.hooks.class_list_hook import ClassListHook

    data = SimpleNamespace(metainfo={'classes': ('a', 'b')})
    run = SimpleNamespace(_test_loop=SimpleNamespace(dataloader=SimpleNamespace(dataset=data)))
    ClassListHook().after_load_checkpoint(run, {'meta': {'dataset_meta': {'classes': ('a', 'b', 'c')}}})
    ClassListHook().after_load_checkpoint(run, {'state_dict': {}})
    with pytest.raises(ClassListError, match="'b' is number 0 in training, 1 in test"):
        ClassListHook().after_load_checkpoint(run, {'meta': {'dataset_meta': {'classes': ('b', 'a')}}})
