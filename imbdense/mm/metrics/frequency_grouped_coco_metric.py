"""COCO's average precision per frequency group, and recall at fixed false positives per image, on any COCO json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.evaluator import BaseMetric
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_integer, check_number
from imbdense.core.metrics.groups import FrequencyGroups, GroupSpec
from imbdense.mm.metrics.coco_matches import Matches, match_detections
from imbdense.mm.metrics.coco_records import category_counts, clean_ground_truth, encode_masks, read_coco
from imbdense.mm.metrics.coco_report import CocoReport
from imbdense.mm.metrics.coco_tables import evaluate_coco
from imbdense.mm.metrics.group_counts import CountsArg, resolve_groups
from imbdense.registry import METRICS
from imbdense.utils.distributed import gather_objects, interleave, rank_and_world


@METRICS.register_module()
class FrequencyGroupedCocoMetric(BaseMetric):
    """AP and AR per class and per frequency group, and recall at fixed false positives per image, on any COCO json.

    Works without the LVIS API; category ids may begin at 0 and have gaps. The overall values equal mmdet's CocoMetric
    (which rounds to three digits). ``faster_coco_eval`` is used where it is installed, else pycocotools.

    Returned (m = ``metric``): ``m_mAP, m_mAP_50, m_mAP_75, m_mAP_s, m_mAP_m, m_mAP_l, m_AR``; ``m_mAP_<group>,
    m_mAP_50_<group>, m_AR_<group>``; ``m_AP/<class>, m_AP50/<class>, m_AR/<class>``; for every rate r
    ``m_recall@<r>fp`` (mean over classes), per group ``..._<group>`` and per class ``.../<class>``, at IoU 0.5.
    Classes without objects in ``ann_file`` are left out of every mean and named.

    Across ranks: the detections of all ranks are gathered once and evaluated on rank 0; samples that the sampler
    repeated are dropped. The detector's ``score_thr`` and ``max_per_img`` cut rare classes off before any metric sees
    them: for many classes use ``score_thr=1e-4, max_per_img=300`` and ``max_dets=300`` here.

    Args:
        ann_file: COCO json of the evaluated set.
        train_ann_file: COCO json of the training set, whose counts make the groups.
        groups: ``None`` = head/medium/tail thirds; or count ranges such as ``dict(rare=(1, 10), common=(11, 100),
            frequent=(101, None))``; or lists of class names.
        class_counts: instead of ``train_ann_file``: one number per class or a ``class_counts.json``. With neither, the
            counts of ``ClassCountHook`` if there are any, else those of ``ann_file``.
        count: ``'images'`` that hold the class (as LVIS) or ``'instances'``.
        metric: ``'bbox'`` or ``'segm'``.
        max_dets: detections kept per image and category.
        fp_per_image: allowed false positives per image for the recalls.
        collect_device, prefix: as in mmengine.

    Artefact: ``kind='coco'``, ``metric``, ``per_class``: ``AP, AP50, AR, objects, recall_at_fp`` and ``pr50``, the
    precision at 101 recall points; ``absent``.
    """

    card = 'frequency_grouped_coco'
    tasks = ('detection', 'instance segmentation')
    default_prefix = 'coco'

    def __init__(
        self,
        ann_file: str,
        train_ann_file: str | None = None,
        groups: GroupSpec = None,
        class_counts: CountsArg = None,
        count: str = 'images',
        metric: str = 'bbox',
        max_dets: int = 100,
        fp_per_image: Sequence[float] = (0.1, 1.0),
        collect_device: str = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        owner = type(self).__name__
        self.ann_file, self.train_ann_file = ann_file, train_ann_file
        self.groups, self.class_counts = groups, class_counts
        self.count_unit = check_choice('count', count, ('images', 'instances'), owner=owner)
        self.metric = check_choice('metric', metric, ('bbox', 'segm'), owner=owner)
        self.max_dets = check_integer('max_dets', max_dets, low=1, owner=owner)
        self.fp_per_image = tuple(check_number('fp_per_image', rate, low=0.0, owner=owner) for rate in fp_per_image)
        self.artifact: dict[str, Any] = {}
        if train_ann_file is not None and class_counts is not None:
            raise ValueError(f'{owner}: give train_ann_file or class_counts, not both.')

    def process(self, data_batch: Any, data_samples: Sequence[Mapping[str, Any]]) -> None:
        """Keep image id, boxes, scores, labels (and RLE masks) of every sample."""
        for sample in data_samples:
            if 'pred_instances' not in sample or 'img_id' not in sample:
                raise KeyError(
                    f'{type(self).__name__}: a sample needs pred_instances and img_id; is the model a detector, and '
                    f"does the packing transform keep 'img_id' in meta_keys?"
                )
            found = sample['pred_instances']
            kept = {name: found[name].detach().cpu().numpy() for name in ('bboxes', 'scores', 'labels')}
            if self.metric == 'segm':
                if 'masks' not in found:
                    raise KeyError(f"{type(self).__name__}: metric='segm' needs masks, but the detector gives none.")
                kept['masks'] = encode_masks(found['masks'])
                kept['scores'] = found['mask_scores'].cpu().numpy() if 'mask_scores' in found else kept['scores']
            self.results.append({'img_id': sample['img_id'], **kept})

    def evaluate(self, size: int) -> dict[str, float]:
        """Gather, drop padding by place, evaluate on rank 0, hand the scalars to every rank. **Collective**."""
        results = interleave(gather_objects(self.results))[:size]
        self.results.clear()
        scalars = self.compute_metrics(results) if rank_and_world()[0] == 0 else {}
        scalars = gather_objects(scalars)[0]
        return {f'{self.prefix}/{name}' if self.prefix else name: value for name, value in scalars.items()}

    def compute_metrics(self, results: list[dict[str, Any]]) -> dict[str, float]:
        """Evaluate the gathered detections (rank 0)."""
        if not results:
            raise RuntimeError(f'{type(self).__name__}: no image was evaluated. Is {self.ann_file} empty?')
        truth = clean_ground_truth(read_coco(self.ann_file))
        names, ids = self._categories(truth)
        detections = [item for result in results for item in self._detections(result, ids)]
        tables = evaluate_coco(truth, detections, ids, iou_type=self.metric, max_dets=self.max_dets)
        matches = match_detections(truth, detections, iou_type=self.metric, max_dets=self.max_dets)
        by_class = [matches.get(category, Matches()) for category in ids]
        groups, counts = self._groups(names, ids, truth)
        images = len(truth['images'])
        report = CocoReport(self.metric, names, groups, counts, images, tables, by_class, self.fp_per_image)
        scalars = report.scalars()
        self.artifact = report.artifact(scalars)
        report.log(scalars)
        return {name: float(value) for name, value in scalars.items() if not np.isnan(value)}

    def _groups(
        self, names: list[str], ids: list[int], truth: dict[str, Any]
    ) -> tuple[FrequencyGroups, NDArray[np.float64]]:
        """The groups and the counts behind them."""
        return resolve_groups(
            self.groups, self._train_counts(names), self.count_unit, names,
            category_counts(truth, ids, self.count_unit), f'{self.count_unit} of the evaluated set',
            given_source=f'{self.count_unit} in {Path(self.train_ann_file).name}' if self.train_ann_file
            else 'class_counts of the config',
        )  # fmt: skip

    def _categories(self, truth: dict[str, Any]) -> tuple[list[str], list[int]]:
        """Names and ids of the categories in label order: the order of the json, as in mmdet's CocoDataset."""
        classes = (self.dataset_meta or {}).get('classes')
        if not classes:
            raise ValueError(f'{type(self).__name__} needs the class names: set dataset.metainfo=dict(classes=(...)).')
        chosen = [category for category in truth['categories'] if category['name'] in classes]
        missing = sorted(set(classes) - {category['name'] for category in chosen})
        if missing:
            raise ValueError(
                f'{type(self).__name__}: {self.ann_file} has no category {missing}; it has '
                f'{[category["name"] for category in truth["categories"]]}.'
            )
        return [category['name'] for category in chosen], [category['id'] for category in chosen]

    def _detections(self, result: Mapping[str, Any], ids: list[int]) -> list[dict[str, Any]]:
        """The detections of one image in COCO's form."""
        labels = result['labels']
        if len(labels) and (labels.min() < 0 or labels.max() >= len(ids)):
            raise ValueError(
                f'{type(self).__name__}: image {result["img_id"]} has the label {int(labels.max())}, but there are '
                f'{len(ids)} classes; compare num_classes of the head with the class list.'
            )
        boxes = result['bboxes'].astype(np.float64)
        boxes[:, 2:] -= boxes[:, :2]
        detections = [
            {'image_id': result['img_id'], 'category_id': ids[label], 'score': score, 'bbox': box}
            for label, score, box in zip(labels.tolist(), result['scores'].astype(np.float64).tolist(), boxes.tolist())
        ]
        for detection, mask in zip(detections, result.get('masks', ())):
            detection['segmentation'] = mask
        return detections

    def _train_counts(self, names: list[str]) -> CountsArg:
        """Counts of ``train_ann_file`` by class name; else what the config gave."""
        if self.train_ann_file is None:
            return self.class_counts
        record = clean_ground_truth(read_coco(self.train_ann_file))
        id_of = {category['name']: category['id'] for category in record['categories']}
        missing = [name for name in names if name not in id_of]
        if missing:
            raise ValueError(f'{type(self).__name__}: {self.train_ann_file} has no category {missing}.')
        return category_counts(record, [id_of[name] for name in names], self.count_unit).tolist()
