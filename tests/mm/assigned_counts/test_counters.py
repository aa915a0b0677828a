"""Counting on annotations gives what the heads' losses see in a real forward, to the last anchor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

from imbdense.mm.assigned_counts.class_layers import find_class_layers
from imbdense.mm.assigned_counts.measure import measure
from tests.helpers.shared_data import shared_data_dir
from tests.mm.assigned_counts import cases

KINDS = {
    'retinanet': cases.retinanet,
    'retinanet_softmax': lambda: cases.retinanet(cases.SOFTMAX_CE),
    'retinanet_bordered': lambda: cases.retinanet(allowed_border=0),
    'retinanet_range': lambda: cases.retinanet(assigner={**cases.MAX_IOU, 'neg_iou_thr': (0.1, 0.4)}),
    'retinanet_strict': lambda: cases.retinanet(assigner={**cases.MAX_IOU, 'match_low_quality': False}),
    'retinanet_one_best': lambda: cases.retinanet(assigner={**cases.MAX_IOU, 'gt_max_assign_all': False}),
    'retinanet_ignoring_by_region': lambda: cases.retinanet(assigner={
        **cases.MAX_IOU, 'ignore_wrt_candidates': False, 'ignore_iof_thr': 0.2}),
    'retinanet_no_ignoring': lambda: cases.retinanet(assigner={**cases.MAX_IOU, 'ignore_iof_thr': -1}),
    'atss': cases.atss,
    'gfl': cases.gfl,
    'fcos': cases.fcos,
    'fcos_whole_box': lambda: cases.fcos(center=False),
    'fovea': cases.fovea,
}


@pytest.fixture(scope='module')
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('coco')
    cases.write_coco(folder)
    return folder


@pytest.fixture(scope='module')
def dataset(root: Path) -> Any:
    return cases.build_dataset(root)


def counted(model: Any, dataset: Any, target: str = 'auto', **options: Any) -> dict[str, np.ndarray]:
    """Path -> (C + 1,)."""
    found = measure(model, find_class_layers(model, target), dataset, cache=False, **options)
    return {path: np.append(item.foreground, item.background) for path, item in found.items()}


@pytest.mark.parametrize('kind', KINDS)
def test_equals_what_the_loss_sees(kind: str, dataset: Any) -> None:
    """Twenty images of different sizes, with crowds, some without any box."""
    model = cases.build(KINDS[kind]())
    expected = cases.counts_in_forward(model, model.bbox_head, dataset)
    assert expected[:-1].sum() > 20
    assert counted(model, dataset)['bbox_head'].tolist() == expected.tolist()


def test_a_sampler_leaves_what_it_draws(dataset: Any) -> None:
    """Which positives it draws is random where there are too many, how many is not."""
    model = cases.build(cases.retinanet(sampler={**cases.SAMPLER, 'num': 64}))
    expected = cases.counts_in_forward(model, model.bbox_head, dataset)
    found = counted(model, dataset)['bbox_head']
    assert (found[:-1].sum(), found[-1]) == (expected[:-1].sum(), expected[-1])
    assert found.sum() <= 64 * len(dataset) and np.abs(found - expected).max() < 30
    assert found.tolist() == counted(model, dataset)['bbox_head'].tolist()


def test_rpn_tells_objects_only(dataset: Any) -> None:
    model = cases.build(cases.two_stage())
    expected = cases.counts_in_forward(model, model.rpn_head, dataset)
    found = counted(model, dataset, 'rpn_cls')['rpn_head']
    assert found.size == 2 and found.tolist() == expected.tolist()


def test_yolov3(dataset: Any) -> None:
    model = cases.build(cases.yolov3())
    head = model.bbox_head
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []
    original = head.get_targets

    def record(*arguments: Any) -> Any:
        targets = original(*arguments)
        seen.extend(zip(*targets))
        return targets

    head.get_targets = record
    from mmengine.dataset import pseudo_collate

    for index in range(len(dataset)):
        data = model.data_preprocessor(pseudo_collate([dataset[index]]), True)
        model(**data, mode='loss')
    labels = sum(maps[..., 5:].sum((0, 1)) for maps, _ in seen)
    negative = sum(int(neg.sum()) for _, neg in seen)
    head.get_targets = original
    assert counted(model, dataset)['bbox_head'].tolist() == [*labels.long().tolist(), negative]


def test_tood_counts_the_anchors_of_its_first_epochs(dataset: Any) -> None:
    from mmengine.logging import MessageHub

    MessageHub.get_current_instance().update_info('epoch', 0)
    model = cases.build(cases.tood())
    expected = cases.counts_in_forward(model, model.bbox_head, dataset, loss='initial_loss_cls')
    assert expected[:-1].sum() > 20 and counted(model, dataset)['bbox_head'].tolist() == expected.tolist()
    with pytest.raises(TypeError, match=r'initial_epoch=0.*running counts'):
        counted(cases.build(cases.tood(0)), dataset)


def test_paa_counts_what_its_mixture_chooses_from(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a mixture that takes every candidate the loss sees exactly the count; a real one takes a part of it."""
    mixture = pytest.importorskip('sklearn.mixture')
    model = cases.build(cases.paa())
    real = cases.counts_in_forward(model, model.bbox_head, dataset)
    found = counted(model, dataset)['bbox_head']
    assert real.sum() == found.sum() and 0.3 < real[:-1].sum() / found[:-1].sum() < 1.0
    monkeypatch.setattr(mixture.GaussianMixture, 'predict', lambda self, values: np.zeros(len(values), np.int64))
    monkeypatch.setattr(
        mixture.GaussianMixture, 'score_samples', lambda self, values: np.arange(len(values), dtype=np.float64)
    )
    everything = cases.counts_in_forward(model, model.bbox_head, dataset)
    assert found.tolist() == everything.tolist() and found[:-1].sum() > 20


@pytest.mark.parametrize('stages', [1, 3])
def test_proposals_are_near_the_first_steps(stages: int, dataset: Any) -> None:
    """Not to the last one: an untrained RPN proposes at random. Objects make most of the foreground."""
    found = counted(cases.build(cases.two_stage(stages)), dataset)
    real = {path: np.zeros(4) for path in found if path.startswith('roi_head')}
    for seed in range(3):
        model = cases.build(cases.two_stage(stages), seed)
        for path in real:
            real[path] += cases.counts_in_forward(model, model.get_submodule(path), dataset) / 3
    assert len(real) == stages
    for path, expected in real.items():
        share, true = found[path][:-1].sum() / found[path].sum(), expected[:-1].sum() / expected.sum()
        assert abs(np.log(share / true)) < np.log(1.5), (path, share, true)


@pytest.mark.parametrize('kind', ['retinanet', 'atss', 'fcos'])
def test_real_images(kind: str) -> None:
    """Twenty thermal drone images full of objects smaller than any anchor."""
    folder = shared_data_dir('hit_uav')
    dataset = cases.build_dataset(
        folder, ann_file=str(folder / 'annotations' / 'train.json'), indices=20,
        data_prefix={'img': str(folder / 'images' / 'train')}, metainfo={'classes': ('Person', 'Car', 'Bicycle')},
    )  # fmt: skip
    model = cases.build(KINDS[kind]())
    expected = cases.counts_in_forward(model, model.bbox_head, dataset)
    assert expected[:-1].sum() > 50 and counted(model, dataset)['bbox_head'].tolist() == expected.tolist()


def test_queries_are_matched_once_per_object(dataset: Any) -> None:
    from imbdense.mm.assigned_counts.images import ImageSource
    from imbdense.mm.assigned_counts.queries import QueryCounter

    source = ImageSource(dataset)
    rows = sum(QueryCounter(3, 3).count(source.draw(index, 0, index)) for index in range(20))
    objects = [min(len(source.draw(index, 0, index).boxes), 3) for index in range(20)]
    assert rows[0, :-1].sum() == sum(objects) and rows.sum() == 60


def test_a_crowded_image_in_chunks_is_the_same(dataset: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks of a few anchors, for the assigner, for the search of the best anchors, and for points."""
    from imbdense.mm.assigned_counts import anchors, max_iou, points

    models = [cases.build(KINDS[kind]()) for kind in ('retinanet', 'retinanet_range', 'fcos')]
    whole = [counted(model, dataset)['bbox_head'].tolist() for model in models]
    for module, size in ((max_iou, 60), (anchors, 60), (points, 30)):
        monkeypatch.setattr(module, 'CHUNK', size)
    assert [counted(model, dataset)['bbox_head'].tolist() for model in models] == whole


@pytest.mark.parametrize('scale', [0.02, 0.3, 1.0, 3.0])
def test_windows_find_all_that_can_matter(scale: float) -> None:
    """Random boxes of extreme sizes and places: the assigner on the candidates agrees with it on all anchors."""
    from mmdet.registry import TASK_UTILS
    from mmengine.structures import InstanceData

    from imbdense.mm.assigned_counts.max_iou import assign_in_chunks, candidate_anchors
    from imbdense.mm.assigned_counts.windows import AnchorGrid

    generator = TASK_UTILS.build(cases.ANCHORS)
    assigner = TASK_UTILS.build(cases.MAX_IOU)
    sizes = ((16, 20), (8, 10), (4, 5))
    priors = torch.cat(generator.grid_priors(list(sizes), device='cpu'))
    grid = AnchorGrid([base.double().numpy() for base in generator.base_anchors], generator.strides, sizes)
    assert grid.total == len(priors)
    random = torch.Generator().manual_seed(0)
    nothing = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    for _ in range(30):
        centre = torch.rand(5, 2, generator=random) * torch.tensor([160.0, 128.0])
        half = torch.rand(5, 2, generator=random) * 60 * scale + 0.05
        objects = InstanceData(bboxes=torch.cat([centre - half, centre + half], 1), labels=torch.arange(5))
        expected = assigner.assign(InstanceData(priors=priors), objects).gt_inds
        found = candidate_anchors(assigner, grid, priors, objects.bboxes, np.ones(len(priors), bool))
        assert found is not None and len(found[0]) < len(priors)
        assigned = torch.zeros(len(priors), dtype=torch.long)
        assigned[found[0]] = assign_in_chunks(assigner, priors[found[0]], priors[found[1]], objects, nothing)
        assert torch.equal(assigned, expected)


def test_an_object_no_anchor_touches_falls_back_to_the_assigner(tmp_path: Path) -> None:
    """mmdet then gives every anchor that overlaps it by 0, so all of them, to the object; so does the count."""
    cases.write_coco(tmp_path, images=2, crowd=False)
    model = cases.build(cases.retinanet())
    dataset = cases.build_dataset(tmp_path)

    from imbdense.mm.assigned_counts.anchors import AnchorCounter
    from imbdense.mm.assigned_counts.images import DrawnImage

    far = DrawnImage(torch.tensor([[900.0, 900, 905, 905]]), torch.tensor([1]), torch.zeros(0, 4), (128, 160))
    row = AnchorCounter(model.bbox_head, 32, False).count(far)
    assert row.tolist() == [[0, 6 * 420, 0, 0]] and len(dataset) == 2


def test_unknown_heads_are_refused_with_advice(dataset: Any) -> None:
    config = cases.retinanet()
    config.bbox_head.type = 'FreeAnchorRetinaHead'
    model = cases.build(config)
    with pytest.raises(TypeError, match=r'bbox_head.retina_cls \(FreeAnchorRetinaHead\).*Give prior='):
        counted(model, dataset)
    with pytest.raises(TypeError, match=r'multi_level_conv_cls \(YOLOXHead\).*1 to 10 cells.*running counts'):
        counted(cases.build(cases.yolox()), dataset)
    config = cases.retinanet(assigner={'type': 'SimOTAAssigner'})
    with pytest.raises(TypeError, match='SimOTAAssigner may look at predictions'):
        counted(cases.build(config), dataset)


def test_a_model_of_other_classes_is_refused(dataset: Any) -> None:
    config = cases.retinanet()
    config.bbox_head.num_classes = 5
    with pytest.raises(ValueError, match='has 5 classes, the data set has 3'):
        counted(cases.build(config), dataset)
