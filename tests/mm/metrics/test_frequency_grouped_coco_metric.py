"""FrequencyGroupedCocoMetric: equal to mmdet's CocoMetric, a hand computation on four images, any category ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from imbdense.mm.metrics.coco_matches import match_detections
from imbdense.mm.metrics.coco_records import clean_ground_truth, encode_masks
from imbdense.mm.metrics.coco_tables import evaluate_coco
from imbdense.registry import METRICS
from tests.helpers.two_ranks import run_two_ranks

NAMES, IDS = ['person', 'car', 'bus', 'crane'], [0, 3, 7, 12]


def random_set(seed: int = 0, images: int = 30) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A COCO record with category ids from 0 with gaps and crowds; detections as predicted instances."""
    gen = np.random.default_rng(seed)
    record: dict[str, Any] = {
        'images': [{'id': 3 * i, 'width': 200, 'height': 200, 'file_name': f'{i}.png'} for i in range(images)],
        'categories': [{'id': id_, 'name': name} for id_, name in zip(IDS, NAMES)],
        'annotations': [],
    }
    predictions = []
    for image in record['images']:
        boxes, labels, scores = [], [], []
        for _ in range(gen.integers(0, 8)):
            box = np.r_[gen.random(2) * 100, gen.random(2) * 90 + 6]
            label = int(gen.choice(3, p=[0.7, 0.25, 0.05]))
            record['annotations'].append(
                {'id': len(record['annotations']) + 1, 'image_id': image['id'], 'category_id': IDS[label],
                 'bbox': box.tolist(), 'area': float(box[2] * box[3]), 'iscrowd': int(gen.random() < 0.1)}
            )  # fmt: skip
            if gen.random() < 0.8:
                boxes.append(box + gen.normal(size=4) * 4)
                labels.append(label if gen.random() < 0.8 else int(gen.integers(4)))
                scores.append(round(float(gen.random()), 2))
        for _ in range(3):
            boxes.append(np.r_[gen.random(2) * 100, gen.random(2) * 90 + 6])
            labels.append(int(gen.integers(4)))
            scores.append(float(gen.random()) * 0.6)
        xyxy = np.array(boxes)
        xyxy[:, 2:] = xyxy[:, :2] + np.maximum(xyxy[:, 2:], 1)
        predictions.append(sample(image['id'], xyxy, labels, scores))
    return record, predictions


def sample(image: int, boxes: Any, labels: list[int], scores: list[float]) -> dict[str, Any]:
    found = {
        'bboxes': torch.as_tensor(np.array(boxes), dtype=torch.float32).reshape(-1, 4),
        'labels': torch.tensor(labels, dtype=torch.int64),
        'scores': torch.tensor(scores, dtype=torch.float32),
    }
    return {'img_id': image, 'ori_shape': (200, 200), 'pred_instances': found}


def write(folder: Path, record: dict[str, Any], name: str = 'val.json') -> str:
    path = folder / name
    path.write_text(json.dumps(record))
    return str(path)


def evaluate(samples: list[Any], classes: list[str] = NAMES, **config: Any) -> tuple[dict[str, float], Any]:
    metric = METRICS.build({'type': 'imbdense.FrequencyGroupedCocoMetric', **config})
    metric.dataset_meta = {'classes': classes}
    metric.process(None, samples)
    return metric.evaluate(len(samples)), metric


def test_equals_coco_metric_in_one_group(tmp_path: Path) -> None:
    from mmdet.evaluation import CocoMetric

    record, predictions = random_set()
    path = write(tmp_path, record)
    theirs = CocoMetric(ann_file=path, classwise=True)
    theirs.dataset_meta = {'classes': NAMES}
    theirs.process({}, predictions)
    expected = theirs.evaluate(len(predictions))
    ours, metric = evaluate(predictions, ann_file=path, groups={'all': NAMES})
    for name in ('mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l'):
        value = expected[f'coco/bbox_{name}']
        assert round(ours.get(f'coco/bbox_{name}', -1.0), 3) == pytest.approx(value, abs=1e-9), name
    for name in NAMES[:3]:
        assert round(ours[f'coco/bbox_AP/{name}'], 3) == pytest.approx(expected[f'coco/{name}_precision'], abs=1e-9)
    assert ours['coco/bbox_mAP_all'] == ours['coco/bbox_mAP']
    assert metric.artifact['absent'] == [3] and 'coco/bbox_AP/crane' not in ours


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_engines_give_equal_tables_and_our_matches_their_recall(iou_type: str) -> None:
    record, predictions = random_set(1, images=12)
    if iou_type == 'segm':
        for annotation in record['annotations']:
            x, y, w, h = annotation['bbox']
            annotation['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            annotation['iscrowd'] = 0
    truth = clean_ground_truth(record)
    detections = []
    for prediction in predictions:
        found = prediction['pred_instances']
        for box, label, score in zip(found['bboxes'].double().numpy(), found['labels'].tolist(), found['scores']):
            mask = np.zeros((200, 200), dtype=np.uint8)
            mask[int(box[1]) : int(box[3]), int(box[0]) : int(box[2])] = 1
            detections.append(
                {'image_id': prediction['img_id'], 'category_id': IDS[label], 'score': float(score),
                 'bbox': [*box[:2], *(box[2:] - box[:2])], 'segmentation': encode_masks(mask[None])[0]}
            )  # fmt: skip
    fast, plain = (
        evaluate_coco(truth, detections, IDS, iou_type=iou_type, engine=engine)
        for engine in ('faster_coco_eval', 'pycocotools')
    )
    np.testing.assert_allclose(fast.precision, plain.precision, atol=1e-12)
    np.testing.assert_allclose(fast.recall, plain.recall, atol=1e-12)
    assert plain.engine == 'pycocotools'
    matches = match_detections(truth, detections, iou_type=iou_type)
    for column, category in enumerate(IDS[:3]):
        found = matches[category]
        assert sum(found.matched) / found.objects == pytest.approx(plain.recall[0, column, 0, -1])


def _evaluate_share(path: str, size: int) -> tuple[dict[str, float], dict[str, Any]]:
    """This rank's share of the images, padded as DefaultSampler does."""
    _, predictions = random_set()
    metric = METRICS.build({'type': 'imbdense.FrequencyGroupedCocoMetric', 'ann_file': path})
    metric.dataset_meta = {'classes': NAMES}
    indices = (list(range(size)) * 2)[: -(-size // 2) * 2][dist.get_rank() :: 2]
    metric.process(None, [predictions[index] for index in indices])
    return metric.evaluate(size), metric.artifact


def test_two_ranks_equal_one(tmp_path: Path) -> None:
    record, predictions = random_set()
    path = write(tmp_path, record)
    expected, metric = evaluate(predictions[:29], ann_file=path)
    first, second = run_two_ranks(_evaluate_share, path, 29)
    assert first[0] == second[0] == expected
    assert first[1] == metric.artifact


def four_images(tmp_path: Path) -> tuple[str, list[dict[str, Any]]]:
    """Two classes, three cars and one crane on four images; boxes 10 x 10 so that every match is exact or none."""
    record = {
        'images': [{'id': i, 'width': 100, 'height': 100} for i in range(4)],
        'categories': [{'id': 5, 'name': 'car'}, {'id': 9, 'name': 'crane'}],
        'annotations': [
            {'id': i, 'image_id': i, 'category_id': 5 if i < 3 else 9, 'bbox': [10, 10, 10, 10]} for i in range(4)
        ],
    }
    hit, miss = [10, 10, 20, 20], [60, 60, 70, 70]
    samples = [
        sample(0, [hit, miss], [0, 0], [0.9, 0.8]),
        sample(1, [hit], [0], [0.7]),
        sample(2, [miss], [0], [0.6]),
        sample(3, [miss, hit], [1, 1], [0.9, 0.5]),
    ]
    return write(tmp_path, record), samples


def test_hand_computation_on_four_images(tmp_path: Path) -> None:
    """Also: annotation id 0 counts as matched, and 'area' and 'iscrowd' may be missing."""
    path, samples = four_images(tmp_path)
    scalars, metric = evaluate(samples, ['car', 'crane'], ann_file=path, fp_per_image=(0.0, 0.25))
    # car: hit, miss, hit, miss; recall 1/3 at precision 1, 2/3 at 2/3: 34 of 101 points at 1, 33 at 2/3
    car = (34 * 1.0 + 33 * 2 / 3) / 101
    assert scalars['coco/bbox_AP/car'] == pytest.approx(car)
    assert scalars['coco/bbox_AP/crane'] == pytest.approx(0.5)
    assert scalars['coco/bbox_mAP_head'] == pytest.approx(car)
    assert scalars['coco/bbox_mAP_tail'] == pytest.approx(0.5)
    assert scalars['coco/bbox_recall@0fp/car'] == pytest.approx(1 / 3)
    assert scalars['coco/bbox_recall@0.25fp/car'] == pytest.approx(2 / 3)
    assert scalars['coco/bbox_recall@0fp/crane'] == 0.0
    assert scalars['coco/bbox_recall@0.25fp/crane'] == 1.0
    assert metric.artifact['counts'] == [3, 1] and metric.artifact['counts_source'] == 'images of the evaluated set'


def test_groups_by_the_training_file(tmp_path: Path) -> None:
    path, samples = four_images(tmp_path)
    train = {
        'images': [{'id': 1}, {'id': 2}],
        'categories': [{'id': 1, 'name': 'crane'}, {'id': 2, 'name': 'car'}],
        'annotations': [
            {'id': n, 'image_id': image, 'category_id': category, 'bbox': [0, 0, 5, 5]}
            for n, (image, category) in enumerate([(1, 1), (2, 1), (1, 2), (1, 2), (1, 2)])
        ],
    }
    config = {'ann_file': path, 'train_ann_file': write(tmp_path, train, 'train.json')}
    _, metric = evaluate(samples, ['car', 'crane'], **config)
    assert metric.artifact['counts'] == [1, 2] and metric.artifact['counts_source'] == 'images in train.json'
    scalars, metric = evaluate(
        samples, ['car', 'crane'], **config, count='instances', groups={'rare': (1, 2), 'common': (3, None)}
    )
    assert metric.artifact['groups'] == {'rare': [1], 'common': [0]}
    assert {'coco/bbox_mAP_rare', 'coco/bbox_recall@1fp_rare'} <= set(scalars)
    assert json.loads(json.dumps(metric.artifact, allow_nan=False))['kind'] == 'coco'


def test_no_detection_at_all_is_zero_not_an_error(tmp_path: Path) -> None:
    path, samples = four_images(tmp_path)
    empty = [sample(one['img_id'], [], [], []) for one in samples]
    scalars, _ = evaluate(empty, ['car', 'crane'], ann_file=path)
    assert scalars['coco/bbox_mAP'] == 0.0 and scalars['coco/bbox_recall@1fp'] == 0.0


def test_masks(tmp_path: Path) -> None:
    path, samples = four_images(tmp_path)
    record = json.loads(Path(path).read_text())
    for annotation in record['annotations']:
        annotation['segmentation'] = [[10, 10, 20, 10, 20, 20, 10, 20]]
    path = write(tmp_path, record)
    for one in samples:
        boxes = one['pred_instances']['bboxes'].long()
        masks = torch.zeros(len(boxes), 100, 100, dtype=torch.bool)
        for mask, (x1, y1, x2, y2) in zip(masks, boxes.tolist()):
            mask[y1:y2, x1:x2] = True
        one['pred_instances']['masks'] = masks
    scalars, _ = evaluate(samples, ['car', 'crane'], ann_file=path, metric='segm')
    assert scalars['coco/segm_AP/crane'] == pytest.approx(0.5)
    del samples[0]['pred_instances']['masks']
    with pytest.raises(KeyError, match='needs masks'):
        evaluate(samples, ['car', 'crane'], ann_file=path, metric='segm')


def test_bad_input_is_named(tmp_path: Path) -> None:
    path, samples = four_images(tmp_path)
    with pytest.raises(ValueError, match=r"no category \['zebra'\]"):
        evaluate(samples, ['car', 'zebra'], ann_file=path)
    with pytest.raises(FileNotFoundError, match=r'nowhere\.json'):
        evaluate(samples, ['car'], ann_file=str(tmp_path / 'nowhere.json'))
    (tmp_path / 'cut.json').write_text('{"images": [')
    with pytest.raises(ValueError, match=r'cut.json is not valid JSON'):
        evaluate(samples, ['car'], ann_file=str(tmp_path / 'cut.json'))
    (tmp_path / 'empty.json').write_text('{}')
    with pytest.raises(ValueError, match="no 'images'"):
        evaluate(samples, ['car'], ann_file=str(tmp_path / 'empty.json'))
    with pytest.raises(ValueError, match='label 1, but there are 1 classes'):
        evaluate(samples, ['car'], ann_file=path)
    with pytest.raises(RuntimeError, match='no image was evaluated'):
        evaluate([], ['car'], ann_file=path)
    with pytest.raises(ValueError, match='not both'):
        evaluate(samples, ann_file=path, train_ann_file=path, class_counts=[1, 2])
