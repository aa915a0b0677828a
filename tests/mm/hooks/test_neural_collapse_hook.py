"""NeuralCollapseHook on real heads: what it samples, that training does not notice, its file, resuming, two ranks."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg.models')

from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope

from imbdense.core.metrics.class_scatter import ClassScatter
from imbdense.core.metrics.neural_collapse import neural_collapse
from imbdense.core.regions import region_means
from imbdense.core.representation import fixed_frame
from imbdense.mm.hooks.classifier_watch import ClassifierWatch, draw_per_group
from imbdense.mm.hooks.neural_collapse_hook import NeuralCollapseHook
from imbdense.nn.classifiers import CosineConv2d, FixedFrameClassifier
from imbdense.report.build import load_story, render
from tests.helpers.two_ranks import run_two_ranks
from tests.mm.hooks.tiny_run import CLASSES, runner, write_dataset

HOOK = {'type': 'imbdense.NeuralCollapseHook', 'interval': 2, 'max_samples': 64}


def read(work_dir: Path) -> dict[str, Any]:
    return json.loads((work_dir / 'imbdense' / 'neural_collapse.json').read_text())


# The tap --------------------------------------------------------------------------------------------------------------


class Loss(nn.Module):
    def forward(self, pred: torch.Tensor, target: torch.Tensor, weight: Any = None) -> torch.Tensor:
        return pred.mean()


class Head(nn.Module):
    """The parts of a decode head the tap looks at."""

    ignore_index = 255

    def __init__(self, classifier: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.conv_seg = classifier
        self.dropout = nn.Dropout2d(dropout) if dropout else None
        self.loss_decode = Loss()

    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        feat = x if self.dropout is None else self.dropout(x)
        return self.loss_decode(self.conv_seg(feat), target)


def tap_of(head: nn.Module) -> ClassifierWatch:
    model = nn.Module()
    model.decode_head = head
    tap = ClassifierWatch(model)
    tap.armed = True
    return tap


def maps() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (2, 8, 8), generator=generator)  # the label 3 is no class of the head
    target[:, :2] = 255
    return torch.randn(2, 5, 4, 4, generator=generator), target


def test_regions_are_the_means_in_front_of_the_dropout() -> None:
    x, target = maps()
    head = Head(nn.Conv2d(5, 3, 1), dropout=0.9).train()
    tap = tap_of(head)
    head(x, target)
    features, labels = tap.take('region', torch.Generator())
    expected, classes, _ = region_means(x, target, 3)
    assert torch.equal(labels, classes) and torch.allclose(features, expected)
    assert tap.take('region', torch.Generator()) is None  # taken once
    tap.armed = False
    head(x, target)
    assert tap.take('region', torch.Generator()) is None
    tap.remove()
    tap.armed = True
    head(x, target)
    assert tap.take('region', torch.Generator()) is None


def test_pixels_have_the_label_of_their_cell_and_are_limited() -> None:
    head = Head(nn.Conv2d(5, 3, 1))
    tap = tap_of(head)
    target = torch.zeros(2, 64, 64, dtype=torch.long)
    target[0, 32:] = 2
    target[1] = 255
    target[1, :4, :4] = 1  # one cell of 4 x 4 pixels
    x = torch.arange(2 * 16 * 16).reshape(2, 1, 16, 16).float().expand(2, 5, 16, 16)
    head(x, target)
    features, labels = tap.take('pixel', torch.Generator().manual_seed(0))
    assert torch.bincount(labels).tolist() == [64, 1, 64] and features[labels == 1].tolist() == [[256.0] * 5]
    assert (features[labels == 0, 0] < 128).all() and (features[labels == 2, 0] >= 128).all()
    assert len(features[:, 0].unique()) == 129  # without repetition


def test_draw_per_group_is_uniform() -> None:
    generator = torch.Generator().manual_seed(0)
    groups = torch.tensor([1, 0, 1, -1, 1, 0, 1])
    hits = torch.zeros(7)
    for _ in range(3000):
        picked = draw_per_group(groups, 2, generator)
        assert picked.tolist() == sorted(picked.tolist()) and 3 not in picked
        hits[picked] += 1
    assert hits[[1, 5]].tolist() == [3000, 3000] and (hits[[0, 2, 4, 6]] / 3000 - 0.5).abs().max() < 0.04
    assert draw_per_group(torch.zeros(0, dtype=torch.long), 2, generator).tolist() == []


def test_fixed_frame_and_cosines_are_looked_at_where_the_product_is() -> None:
    x, target = maps()
    frame = fixed_frame('etf', 3)
    fixed = FixedFrameClassifier(5, frame, nn.BatchNorm2d(2)).eval()
    tap = tap_of(head := Head(fixed))
    head(x, target)
    features, _ = tap.take('region', torch.Generator())
    assert torch.allclose(features, region_means(fixed.features(x), target, 3)[0], atol=1e-6)
    from imbdense.mm.hooks.classifier_watch import effective_classifier

    assert torch.equal(effective_classifier(fixed)[0], frame.T)
    rows, bias = effective_classifier(CosineConv2d(5, 3))
    assert torch.allclose(rows.norm(dim=1), torch.ones(3)) and bias is None


def test_roi_and_query_heads() -> None:
    """Rows of vectors; of several decoder layers the last; background is one more class."""

    class RoIHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc_cls = nn.Linear(5, 4)
            self.loss_cls = Loss()

    model = nn.Module()
    model.roi_head = nn.Module()
    model.roi_head.bbox_head = nn.ModuleList([RoIHead(), RoIHead()])
    tap = ClassifierWatch(model)
    assert tap.head is model.roi_head.bbox_head[1] and tap.num_classes == 4
    tap.armed = True
    x = torch.randn(3, 2, 10, 5)  # layers, batch, queries
    labels = torch.randint(0, 4, (20,))
    for layer in tap.head.fc_cls(x):
        tap.head.loss_cls(layer.flatten(0, 1), labels)
    features, classes = tap.take('region', torch.Generator())
    assert torch.equal(features, x[-1].flatten(0, 1)) and torch.equal(classes, labels)


def test_heads_that_can_not_be_watched_are_named() -> None:
    model = nn.Module()
    with pytest.raises(ValueError, match=r"name it with head='\.\.\.'"):
        ClassifierWatch(model)
    model.bbox_head = nn.Module()
    with pytest.raises(ValueError, match='no last layer called conv_seg'):
        ClassifierWatch(model)
    with pytest.raises(ValueError, match='1 x 1'):
        tap_of(Head(nn.Conv2d(5, 3, 3)))


# The hook in a run ----------------------------------------------------------------------------------------------------


def test_a_run_leaves_measurements_and_is_the_same_as_without(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data')
    weights = []
    for name, hooks in (('with', [HOOK, {'type': 'imbdense.ReportHook'}]), ('without', [])):
        run = runner(tmp_path / 'data', tmp_path / name, hooks=[{'type': 'imbdense.ClassCountHook'}, *hooks])
        run.train()
        weights.append(run.model.state_dict())
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[1])
    record = read(tmp_path / 'with')
    assert record['kind'] == 'neural_collapse' and record['classes'] == list(CLASSES)
    assert [entry['step'] for entry in record['history']] == [2, 4]
    last = record['history'][-1]
    samples = [item['samples'] for item in last['per_class']]
    assert last['samples'] == sum(samples) and samples[:2] == [4, 4] and samples[2] <= 2  # two steps of two images
    assert {'nc1', 'nc2_etf_w', 'nc3_etf', 'nc4', 'tail_angle', 'tail_head_norm_w'} <= set(last['scalars'])
    assert last['tail'] == ['roof', 'mast'] and 'gof' not in str(last['scalars'].keys())
    page = render(load_story([tmp_path / 'with']))
    assert 'smallest angle of tail vectors' in page and 'collapse/' not in page


def test_the_numbers_are_those_of_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_dataset(tmp_path / 'data')
    seen: list[Any] = []
    take = ClassifierWatch.take
    monkeypatch.setattr(ClassifierWatch, 'take', lambda self, *a: seen.append(take(self, *a)) or seen[-1])
    run = runner(tmp_path / 'data', tmp_path / 'run', hooks=[{**HOOK, 'interval': 4, 'weight_decay': [1e-4, 1e-3]}])
    run.train()
    stats = ClassScatter(3, 6)
    for features, labels in seen:
        stats.update(features, labels)
    weight = run.model.decode_head.conv_seg.weight.flatten(1)
    expected = neural_collapse(stats, weight, weight_decay=(1e-4, 1e-3))
    found = read(tmp_path / 'run')['history'][-1]
    for name, value in expected.scalars.items():
        # conv_seg is measured after its last step; the file is written in the same iteration.
        assert found['scalars'][name] == pytest.approx(value, rel=1e-9), name
    assert [item['survival'] for item in found['per_class']] == pytest.approx(expected.survival)


def test_samples_are_the_latest_ones_and_the_window_shrinks() -> None:
    hook = NeuralCollapseHook(interval=100, max_samples=10)
    for step in range(20):
        hook._add((torch.full((4, 2), float(step)), torch.zeros(4, dtype=torch.long)))
    hook._add((torch.full((4, 2), math.nan), torch.zeros(4, dtype=torch.long)))  # is left out
    assert hook._window == 4 and [int(chunk[0][0, 0]) for chunk in hook._chunks] == [17, 18, 19]


def test_resuming_goes_on_with_the_file_and_drops_what_is_repeated(tmp_path: Path) -> None:
    write_dataset(tmp_path / 'data')
    work = tmp_path / 'run'
    runner(tmp_path / 'data', work, hooks=[HOOK]).train()
    path = work / 'imbdense' / 'neural_collapse.json'
    content = json.loads(path.read_text())
    content['history'] += [{**content['history'][0], 'step': 6}, {**content['history'][0], 'step': 99}]
    path.write_text(json.dumps(content))
    run = runner(tmp_path / 'data', work, hooks=[HOOK])
    run.load_or_resume()
    hook = next(item for item in run.hooks if isinstance(item, NeuralCollapseHook))
    run._train_loop = run.build_train_loop(run._train_loop)
    run._train_loop._iter = 6
    hook.before_train(run)
    assert [entry['step'] for entry in hook.history] == [2, 4, 6]
    hook.after_train(run)
    path.write_text('{"history": [')
    hook.before_train(run)  # a broken file is started anew
    assert hook.history == []


def test_unknown_tail_class_and_bad_arguments() -> None:
    with pytest.raises(ValueError, match='region'):
        NeuralCollapseHook(sample='image')
    with pytest.raises(ValueError, match='one number or two'):
        NeuralCollapseHook(weight_decay=[1, 2, 3])


def _run_on_rank(folder: str) -> list[dict[str, Any]]:
    import torch.distributed as dist

    with DefaultScope.overwrite_default_scope('mmseg'):
        hook = NeuralCollapseHook(max_samples=100)

        class Visualizer:
            def add_scalars(self, scalars: dict[str, float], step: int) -> None:
                pass

        class Run:
            iter, work_dir, visualizer, optim_wrapper = 7, folder, Visualizer(), None
            message_hub = MessageHub.get_instance('collapse test')

        head = Head(nn.Conv2d(5, 3, 1))
        with torch.no_grad():
            head.conv_seg.weight.copy_(torch.arange(15.0).sin().reshape(3, 5, 1, 1))
            head.conv_seg.bias.zero_()
        hook._tap = tap_of(head)
        x, target = maps()
        rank = dist.get_rank() if dist.is_initialized() else slice(None)
        head(x[rank].reshape(-1, 5, 4, 4), target[rank].reshape(-1, 8, 8))
        hook._add(hook._tap.take('region', torch.Generator()))
        hook._measure(Run())
    return hook.history


@pytest.mark.slow
def test_two_ranks_measure_what_one_would(tmp_path: Path) -> None:
    (single,) = _run_on_rank(str(tmp_path / 'one'))
    first, second = run_two_ranks(_run_on_rank, str(tmp_path / 'two'))
    assert first == second
    for name, value in single['scalars'].items():
        assert first[0]['scalars'][name] == pytest.approx(value, abs=1e-10), name
    assert first[0]['samples'] == single['samples'] and not math.isnan(single['scalars']['nc1'])
