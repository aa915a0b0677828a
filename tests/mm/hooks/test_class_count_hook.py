"""ClassCountHook in a real run: counts, ledger, binding, checkpoint."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')

from mmengine.hooks import Hook

from imbdense.core.stats import ClassCounts, DoubleCorrectionError, ImageClassTable, PriorLedger
from imbdense.mm.heads.cga_semantic_head import CGASemanticHead
from imbdense.mm.hooks.class_count_hook import ClassCountHook, bind_losses
from imbdense.mm.prior import HUB_COUNTS, HUB_LEDGER, PriorContext, build_ledger, declared_ledger, load_label
from imbdense.registry import MODELS
from tests.mm.hooks.tiny_run import CLASSES, runner, write_dataset

COUNTS = ClassCounts(('a', 'b'), pixels=[900, 100], images=[4, 2])


@pytest.fixture(scope='module')
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp('tiny')
    write_dataset(folder)
    return folder


@pytest.fixture(scope='module')
def trained(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[object, Path]:
    work_dir = tmp_path_factory.mktemp('trained')
    run = runner(dataset, work_dir, sampler={'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0, 'seed': 0})
    run.train()
    return run, work_dir / 'epoch_1.pth'


def test_ledger_follows_labels_sampler_and_loss(trained: tuple[object, Path]) -> None:
    run, _ = trained
    ledger = PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))
    assert [entry.source for entry in ledger.entries] == [
        'training labels (pixels)', 'RepeatFactorSampler', 'BalancedSoftmaxLoss'
    ]  # fmt: skip
    labels, sampled = np.asarray(ledger.entries[0].prior), np.asarray(ledger.entries[1].prior)
    assert labels == pytest.approx(np.array([552 * 8 - 48 * 8 - 8, 48 * 8, 8]) / (552 * 8), rel=1e-6)
    assert sampled[2] > 1.2 * labels[2]  # the images with the mast are drawn more often
    assert ledger.prior == pytest.approx([1 / 3] * 3)


def test_loss_uses_what_the_sampler_leaves(trained: tuple[object, Path]) -> None:
    run, _ = trained
    ledger = PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER))
    counts = run.model.decode_head.loss_decode.known_counts()
    assert (counts / counts.sum()).numpy() == pytest.approx(np.asarray(ledger.entries[1].prior))
    assert run.model.decode_head.loss_decode.running is None


def test_checkpoint_carries_counts_and_ledger_as_plain_data(trained: tuple[object, Path]) -> None:
    _, path = trained
    checkpoint = torch.load(path, weights_only=False)
    record = checkpoint['meta']['imbdense']
    assert ClassCounts.from_dict(record['class_counts']).classes == CLASSES
    assert declared_ledger(checkpoint).prior == pytest.approx([1 / 3] * 3)


def test_test_run_restores_them(trained: tuple[object, Path], dataset: Path, tmp_path: Path) -> None:
    _, path = trained
    run = runner(dataset, tmp_path, load_from=str(path))
    assert HUB_LEDGER not in run.message_hub.runtime_info
    run.test()
    assert run.message_hub.get_info(HUB_COUNTS)['pixels'][2] == 8
    assert PriorLedger.from_dict(run.message_hub.get_info(HUB_LEDGER)).entries[-1].source == 'BalancedSoftmaxLoss'


def test_explicit_counts_after_a_sampler_stop_the_run_with_a_name(dataset: Path, tmp_path: Path) -> None:
    run = runner(
        dataset, tmp_path,
        loss={'type': 'imbdense.BalancedSoftmaxLoss', 'class_counts': [4024, 384, 8]},
        sampler={'type': 'imbdense.RepeatFactorSampler', 'threshold': 1.0, 'seed': 0},
    )  # fmt: skip
    with pytest.raises(DoubleCorrectionError, match='RepeatFactorSampler already changed'):
        run.train()


def test_without_the_hook_one_line_is_enough(dataset: Path, tmp_path: Path) -> None:
    run = runner(dataset, tmp_path, hooks=[])
    run.train()
    assert run.model.decode_head.loss_decode.running.counts.tolist() == [4024, 384, 8]
    assert HUB_LEDGER not in run.message_hub.runtime_info


def test_unknown_unit_is_refused() -> None:
    with pytest.raises(ValueError, match='count must be one of'):
        ClassCountHook(count='boxes')
    assert isinstance(ClassCountHook(), Hook)


# The ledger of the data components, with stand-ins -------------------------------------------------

TABLE = ImageClassTable.from_dense([[300, 0], [300, 50], [200, 50], [100, 0]])


class HalvingTransform:
    """Leaves half of class a and checks what it is told."""

    def prior_effect(self, context: PriorContext) -> np.ndarray:
        assert context.table is TABLE and context.draws.tolist() == [0.5, 2.0, 2.0, 0.5] and context.seed == 3
        return context.table.expected_totals(context.draws) * [0.5, 1.0]


class FavouringSampler:
    """Draws the two images with class b four times as often."""

    def draw_rates(self) -> np.ndarray:
        return np.array([0.5, 2.0, 2.0, 0.5])

    def prior_effect(self, table: ImageClassTable) -> np.ndarray:
        return table.expected_totals(self.draw_rates())


def pipeline(*transforms: object) -> SimpleNamespace:
    return SimpleNamespace(pipeline=SimpleNamespace(transforms=list(transforms)))


@pytest.mark.parametrize('compose', [list, lambda inner: SimpleNamespace(transforms=inner)], ids=['list', 'Compose'])
def test_sampler_and_transform_effects_multiply(compose: Any) -> None:
    wrapper = SimpleNamespace(transforms=compose([HalvingTransform()]))  # inside RandomApply, PerDate and the like
    ledger, unknown = build_ledger(COUNTS, TABLE, pipeline(object(), wrapper), FavouringSampler(), seed=3)
    assert [entry.source for entry in ledger.entries[1:]] == ['FavouringSampler', 'HalvingTransform'] and not unknown
    sampled = np.array([0.5 * 300 + 2 * 300 + 2 * 200 + 0.5 * 100, 200.0])
    assert np.asarray(ledger.entries[1].prior) == pytest.approx(sampled / sampled.sum())
    cropped = sampled * [0.5, 1.0]
    assert ledger.seen_prior == pytest.approx(cropped / cropped.sum())


def test_in_another_unit_only_the_ratio_counts() -> None:
    ledger, _ = build_ledger(COUNTS, TABLE, pipeline(), FavouringSampler(), unit='images')
    ratio = np.array([1200 / 900, 200 / 100])
    expected = np.array([4, 2]) * ratio
    assert ledger.seen_prior == pytest.approx(expected / expected.sum())


def test_a_sampler_that_says_nothing_is_named() -> None:
    _, unknown = build_ledger(COUNTS, TABLE, pipeline(), SimpleNamespace())
    assert unknown == ['SimpleNamespace']
    _, none = build_ledger(COUNTS, TABLE, pipeline(), None)
    assert none == []


def test_a_component_of_the_wrong_shape_is_named() -> None:
    class Wrong(HalvingTransform):
        def prior_effect(self, context: PriorContext) -> np.ndarray:
            return np.ones(3)

    with pytest.raises(ValueError, match=r'Wrong\.prior_effect returned shape \(3,\)'):
        build_ledger(COUNTS, TABLE, pipeline(Wrong()), None)


def test_labels_are_loaded_through_wrappers(dataset: Path, tmp_path: Path) -> None:
    from mmengine.dataset import ConcatDataset, RepeatDataset

    run = runner(dataset, tmp_path)
    base = run.build_dataloader(run.cfg.train_dataloader, seed=0).dataset
    joined, repeated = ConcatDataset([base, base]), RepeatDataset(base, times=2)
    for index in (0, 7, 8, 12):
        for wrapped in (joined, repeated):
            assert (load_label(wrapped, index) == load_label(base, index % 8)).all()
    assert (load_label(base, 0) == 2).sum() == 4


def test_labels_for_the_estimate_leave_the_random_numbers_alone():
    class RandomWindow:
        def __call__(self, results):
            return {**results, 'gt_seg_map': np.random.randint(0, 9, (4, 4))}

    class Images:
        pipeline = type('Compose', (), {'transforms': [RandomWindow()]})

        def get_data_info(self, index):
            return {}

    np.random.seed(3)
    before = np.random.get_state()[1].copy()
    first = load_label(Images(), 5, seed=1)
    assert np.array_equal(first, load_label(Images(), 5, seed=1))
    assert not np.array_equal(first, load_label(Images(), 5, seed=2))
    assert not np.array_equal(first, load_label(Images(), 6, seed=1))
    assert np.array_equal(before, np.random.get_state()[1])


def test_land_cover_heads_of_a_change_detector_count_for_themselves():
    """Five land covers beside two classes of change: their loss must not get the counts of the change map."""
    losses = {name: MODELS.build({'type': 'imbdense.BalancedSoftmaxLoss'}) for name in ('change_head', 'semantic_head')}
    model = torch.nn.ModuleDict({name: torch.nn.ModuleDict({'loss': loss}) for name, loss in losses.items()})
    model['semantic_head'].classes_of_its_own = CGASemanticHead.classes_of_its_own
    ledger = PriorLedger(COUNTS.classes, COUNTS.of('pixels'), source='labels')
    assert bind_losses(model, ledger, COUNTS) == ['change_head.loss']
    logits, target = torch.zeros(1, 5, 2, 2), torch.tensor([[[0, 1], [4, 4]]])
    assert torch.isfinite(losses['semantic_head'](logits, target))
    with pytest.raises(ValueError, match='class_counts'):
        losses['change_head'](logits, target)


def test_a_validation_set_with_its_classes_in_another_order_is_an_error(dataset: Path, tmp_path: Path) -> None:
    run = runner(dataset, tmp_path)
    changed = {**run.val_dataloader.dataset.metainfo, 'classes': CLASSES[::-1]}
    run.val_dataloader.dataset._metainfo = changed
    with pytest.raises(ValueError, match='numbers the classes in another way than the training set'):
        run.train()


def test_a_test_set_with_its_classes_in_another_order_is_an_error(
    trained: tuple[object, Path], dataset: Path, tmp_path: Path
) -> None:
    run = runner(dataset, tmp_path, load_from=str(trained[1]))
    run.test_dataloader.dataset._metainfo = {**run.test_dataloader.dataset.metainfo, 'classes': CLASSES[::-1]}
    with pytest.raises(ValueError, match='the test set numbers the classes in another way'):
        run.test()
