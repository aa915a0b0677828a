"""Counting over a data set: subsets, sampler rates, ranks, cache."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip('mmdet')

from imbdense.core.stats import AssignedCounts
from imbdense.mm.assigned_counts import measure as module
from imbdense.mm.assigned_counts.class_layers import find_class_layers
from imbdense.mm.assigned_counts.measure import draw_images, measure
from tests.mm.assigned_counts import cases


@pytest.fixture
def root(tmp_path: Path) -> Path:
    cases.write_coco(tmp_path)
    return tmp_path


def count(root: Path, config: Any = None, *extra: dict[str, Any], **options: Any) -> AssignedCounts:
    """Of a RetinaNet, or of ``config``."""
    model = cases.build(config or cases.retinanet(), init=False)
    return measure(model, find_class_layers(model), cases.build_dataset(root, *extra), **options)['bbox_head']


def numbers(counts: AssignedCounts) -> list[int]:
    return [*counts.foreground.tolist(), counts.background, counts.images]


# Which images -------------------------------------------------------------------------------------------------------


def test_every_image_once() -> None:
    assert sorted(draw_images(50, 50, None, 0)) == list(range(50))
    part = draw_images(50, 20, None, 0)
    assert len(set(part)) == 20 and not np.array_equal(part, draw_images(50, 20, None, 1))


def test_rates_decide_how_often() -> None:
    rates = np.array([0.5, 2.0, 1.0, 0.5] * 100)
    times = np.bincount(draw_images(400, 400, rates, 0), minlength=400).reshape(100, 4).sum(0)
    assert times.tolist() == pytest.approx([50, 200, 100, 50], abs=2)
    assert times.sum() == 400


def test_a_subset_says_its_error(root: Path) -> None:
    whole, part = count(root, cache=False), count(root, cache=False, max_images=10)
    assert (whole.share_error, whole.images, part.images, part.dataset_images) == (0.0, 20, 10, 20)
    assert part.share_error > 0
    assert abs(part.foreground_share - whole.foreground_share) < 4 * part.share_error


def test_a_sampler_that_draws_some_images_more_often(root: Path) -> None:
    """Index 4 has no box; only it is drawn, then only the others."""
    rates = np.zeros(20)
    rates[4] = 10.0
    empty, others = (count(root, cache=False, draw_rates=r) for r in (rates, (rates == 0).astype(float)))
    assert (empty.images, empty.num_foreground) == (20, 0)
    assert others.foreground_share > count(root, cache=False).foreground_share > 0


def test_images_that_the_pipeline_drops_do_not_count(root: Path) -> None:
    dropped = count(root, None, {'type': 'FilterAnnotations', 'min_gt_bbox_wh': (40, 40)}, cache=False)
    assert 0 < dropped.images < 20
    assert 0 < dropped.num_foreground < count(root, cache=False).num_foreground


def test_one_image(tmp_path: Path) -> None:
    cases.write_coco(tmp_path, images=1)
    assert count(tmp_path, cache=False).images == 1


def test_pixels_are_told_in_the_log(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmengine.logging import MMLogger

    said: list[str] = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'warning', said.append)
    monkeypatch.setattr(module, 'REAL_IMAGES', 5)
    crop = {'type': 'RandomCrop', 'crop_size': (64, 64), 'recompute_bbox': True}
    dataset = cases.build_dataset(root, crop)
    dataset.pipeline.transforms[1].with_mask = False
    model = cases.build(cases.retinanet(), init=False)
    dataset.pipeline.transforms[2].recompute_bbox = True
    monkeypatch.setattr(type(dataset.pipeline.transforms[2]), '_crop_data', lambda self, results, *rest: results)
    found = measure(model, find_class_layers(model), dataset, cache=False)['bbox_head']
    assert found.images == 5 and found.share_error > 0
    assert 'on 5 of 20 images, which are decoded, because RandomCrop looks at pixels' in said[0]


# Cache --------------------------------------------------------------------------------------------------------------


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time the images are really counted."""
    calls: list[int] = []
    original = module._share

    def share(*arguments: Any) -> Any:
        calls.append(1)
        return original(*arguments)

    monkeypatch.setattr(module, '_share', share)
    return calls


def test_the_second_time_is_read(root: Path, counting: list[int]) -> None:
    first = count(root)
    assert count(root).to_dict() == first.to_dict() and len(counting) == 1
    count(root, cache=False)
    assert len(counting) == 2


@pytest.mark.parametrize('what', ['assigner', 'anchors', 'sampler', 'transform', 'padding', 'subset', 'seed'])
def test_a_change_counts_anew(root: Path, counting: list[int], what: str) -> None:
    count(root, None, {'type': 'Resize', 'scale': (200, 200), 'keep_ratio': True})
    config, options, scale = cases.retinanet(), {}, 200
    if what == 'assigner':
        config = cases.retinanet(assigner={**cases.MAX_IOU, 'pos_iou_thr': 0.6})
    elif what == 'anchors':
        config.bbox_head.anchor_generator = {**cases.ANCHORS, 'octave_base_scale': 3}
    elif what == 'sampler':
        config = cases.retinanet(sampler=cases.SAMPLER)
    elif what == 'padding':
        config.data_preprocessor.pad_size_divisor = 64
    elif what == 'transform':
        scale = 220
    else:
        options = {'max_images': 7} if what == 'subset' else {'seed': 5}
    count(root, config, {'type': 'Resize', 'scale': (scale, scale), 'keep_ratio': True}, **options)
    assert len(counting) == 2


@pytest.mark.parametrize('what', ['box', 'label', 'crowd', 'image'])
def test_changed_annotations_count_anew(root: Path, counting: list[int], what: str) -> None:
    before = count(root)
    record = json.loads((root / 'train.json').read_text())
    if what == 'box':
        record['annotations'][2]['bbox'][2] += 3
    elif what == 'label':
        record['annotations'][2]['category_id'] = 1 + record['annotations'][2]['category_id'] % 3
    elif what == 'crowd':
        record['annotations'][2]['iscrowd'] = 1
    else:
        record['images'].pop()
    (root / 'train.json').write_text(json.dumps(record))
    assert numbers(count(root)) != numbers(before) and len(counting) == 2


def test_a_damaged_cache_is_counted_anew(root: Path, counting: list[int]) -> None:
    first = count(root)
    file, = (root / '.imbdense').glob('assigned-*.json')
    file.write_text('{"format": 1, "heads": {"bbox_head": {"strange": 3}}}')
    assert count(root).to_dict() == first.to_dict() and len(counting) == 2
    assert json.loads(file.read_text())['heads']['bbox_head']['images'] == 20


def test_keys_do_not_depend_on_the_process() -> None:
    """No address and no order of a set goes into a key."""
    from imbdense.mm.assigned_counts.fingerprint import content_of, key_of

    class Thing:
        def __init__(self) -> None:
            self.names, self.call, self.itself = {'b', 'a'}, len, self

    text = json.dumps(content_of(Thing()))
    assert '0x' not in text.replace('0x>', '') and text == json.dumps(content_of(Thing()))
    assert key_of(Thing(), np.arange(3)) == key_of(Thing(), np.arange(3)) != key_of(Thing(), np.arange(4))
