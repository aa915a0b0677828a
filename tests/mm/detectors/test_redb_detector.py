"""The detector that learns from the boxes of a round."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.structures import InstanceData

from imbdense.data.pseudo import PseudoBoxes
from tests.mm.detectors.cases import KINDS, branches, semi

RED = {'type': 'imbdense.ReDBDetector'}


def boxes(ignored: tuple[bool, ...] = (False, True)) -> PseudoBoxes:
    """A positive box of class 1 and an ignored one of class 2."""
    corners = np.array([[8, 8, 24, 24], [30, 30, 46, 46]], np.float32)
    return PseudoBoxes('a.png', (64, 64), corners, np.array([1, 2]), np.full(2, 0.8, np.float32), np.array(ignored))


def detector(kind: str = 'retina') -> Any:
    """In train mode; it has no rule."""
    return semi(kind, **RED)


def views() -> tuple[dict[str, Any], dict[str, Any]]:
    """Branches without a weak view; the strong samples name their files."""
    inputs, samples = branches()
    for number, sample in enumerate(samples['unsup_student']):
        sample.set_metainfo({'img_path': f'{number}.png'})
    return ({name: inputs[name] for name in ('sup', 'unsup_student')},
            {name: samples[name] for name in ('sup', 'unsup_student')})


@pytest.mark.parametrize('kind', KINDS)
def test_steps_before_and_after_the_first_round(kind: str) -> None:
    model = detector(kind)
    before = model.loss(*views())
    model.set_pseudo_labels({'0.png': boxes(), '1.png': boxes()})
    after = model.loss(*views())
    assert set(before) == set(after)
    _, first = model.parse_losses(before)
    loss, second = model.parse_losses(after)
    loss.backward()
    assert float(first['unsup_loss_cls']) == 0.0 and float(second['unsup_loss_cls']) > 0
    assert float(second['stat_pseudo_kept']) == 1 and float(second['stat_pseudo_ignored']) == 1
    assert all(math.isfinite(float(value)) for value in second.values())


def test_pasted_objects_stay_and_hide() -> None:
    """A pasted box over more than half of a pseudo box removes it; the geometry of the view moves only pseudo boxes."""
    model = detector()
    model.set_pseudo_labels({'0.png': boxes((False, False)), '1.png': boxes((False, False))})
    inputs, samples = views()
    first, second = samples['unsup_student']
    first.gt_instances = InstanceData(bboxes=torch.tensor([[28.0, 28, 40, 48]]), labels=torch.tensor([0]))
    second.set_metainfo({'homography_matrix': np.array([[-1.0, 0, 64], [0, 1, 0], [0, 0, 1]], np.float32)})
    model.label(inputs, samples)
    assert first.gt_instances.bboxes.tolist() == [[8, 8, 24, 24], [28, 28, 40, 48]]
    assert first.gt_instances.labels.tolist() == [1, 0]
    assert second.gt_instances.bboxes.tolist() == [[40, 8, 56, 24], [18, 30, 34, 46]]


def test_image_without_labels_is_ignored_as_a_whole() -> None:
    model = detector()
    model.set_pseudo_labels({'0.png': boxes()})
    inputs, samples = views()
    model.label(inputs, samples)
    missing = samples['unsup_student'][1]
    assert len(missing.gt_instances) == 0
    assert missing.ignored_instances.bboxes.tolist() == [[0, 0, 64, 64]]


def test_samples_must_name_their_file() -> None:
    model = detector()
    model.set_pseudo_labels({})
    _, samples = branches()
    with pytest.raises(ValueError, match='img_path'):
        model.label({}, samples)
