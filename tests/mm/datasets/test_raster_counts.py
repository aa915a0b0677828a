"""Class counts of windows of rasters: the part of the place they lie in, and what their drawer makes of it."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip('mmseg')
pytest.importorskip('rasterio')

from mmengine.dataset import ConcatDataset, RepeatDataset
from torch import nn

from imbdense.cli.main import run_verb
from imbdense.core.stats import ClassCounts, PriorLedger
from imbdense.mm.datasets.statistics import class_counts, class_table, pixel_index
from imbdense.mm.drawn_windows import prior_table
from imbdense.mm.hooks.class_count_hook import ClassCountHook
from imbdense.mm.prior import HUB_COUNTS, HUB_LEDGER
from imbdense.registry import DATASETS, MODELS
from tests.data.raster.places import CLASSES, LUT, place, sources

SPLIT = {'shares': {'train': 0.5, 'val': 0.25, 'test': 0.25}, 'block': 40, 'buffer': 4, 'seed': 0}
WHOLE = (0, 0, 120, 160)


def one_date(folder: Path, files: dict[str, str] | None = None, **options: Any) -> Any:
    files = files or place(folder)
    config: dict[str, Any] = {
        'type': 'imbdense.MultiSourceGeoTIFFDataset', 'window': 24, 'sources': sources(files),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'classes': CLASSES},
        'num_windows': 400, 'cache_dir': str(folder / 'cache'), 'pipeline': [{'type': 'imbdense.NormalizeBands'}],
    }
    return DATASETS.build(config | options)


def two_dates(folder: Path, **options: Any) -> Any:
    files = place(folder)
    config: dict[str, Any] = {
        'type': 'imbdense.BiTemporalGeoTIFFDataset', 'sources': sources(files), 'second_sources': sources(files, 't2'),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'window': 24, 'num_windows': 400,
        'second_label': {'path': files['label2'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'land_cover': CLASSES},
        'cache_dir': str(folder / 'cache'), 'pipeline': [{'type': 'imbdense.NormalizeBands'}],
    }
    return DATASETS.build(config | options)


def test_counts_are_of_the_valid_pixels_of_the_subset(tmp_path: Path) -> None:
    files = place(tmp_path)
    for subset in ('train', 'val'):
        data = one_date(tmp_path, files, split=SPLIT, subset=subset, test_mode=subset == 'val')
        found = class_counts(data)
        scene = data.scene
        label = scene.read(WHOLE).labels['class'][scene.usable(subset, WHOLE)]
        assert found.of('pixels').tolist() == np.bincount(label[label < 255], minlength=4).tolist()
        assert found.classes == CLASSES and found.units == ('pixels', 'images')
    assert class_counts(one_date(tmp_path, files, split=SPLIT)).of('pixels').tolist() == list(
        one_date(tmp_path, files, split=SPLIT).band_statistics.class_pixels)


def test_two_dates_count_the_change_map(tmp_path: Path) -> None:
    data = two_dates(tmp_path)
    change = data.scene.read(WHOLE).labels['change']
    found = class_counts(data)
    assert found.classes == ('unchanged', 'changed')
    assert found.of('pixels').tolist() == [int((change == 0).sum()), int((change == 1).sum())]
    assert found.of('pixels')[1] == 400


def test_counted_once_per_state_of_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = place(tmp_path)
    first = class_counts(one_date(tmp_path, files))
    kept = {path.name for path in (tmp_path / 'cache').iterdir() if not path.name.endswith('.tmp')}
    again = one_date(tmp_path, files)
    again.full_init()
    with monkeypatch.context() as patch:
        patch.setattr(type(again.scene), 'read', lambda *_: pytest.fail('read again'))
        assert class_counts(again).to_dict() == first.to_dict()
    os.utime(files['label'], ns=(1, 1))
    changed = one_date(tmp_path, files)
    assert class_counts(changed).of('pixels').tolist() == first.of('pixels').tolist()
    assert {path.name for path in (tmp_path / 'cache').iterdir()} > kept
    other = class_counts(one_date(tmp_path, files, label={'path': files['label'], 'nodata': 0, 'lut': {
        **LUT, 4: 255}}))
    assert other.of('pixels')[3] == 0 and first.of('pixels')[3] == 16


def test_drawn_windows_have_no_table_and_a_grid_has_one(tmp_path: Path) -> None:
    files = place(tmp_path)
    train = one_date(tmp_path, files)
    with pytest.raises(TypeError, match='its training windows are drawn'):
        class_table(train)
    with pytest.raises(TypeError, match='there is no pixel index'):
        pixel_index(train)
    grid = one_date(tmp_path, files, test_mode=True, normalize='per_scene')
    table = class_table(grid)
    assert len(table) == len(grid)
    for index in (0, len(grid) - 1):
        label = grid[index]['gt_seg_map']
        expected = np.bincount(label[label < 255], minlength=4)
        assert table.subset([index]).totals.tolist() == expected.tolist()
    with pytest.raises(TypeError, match='num_windows'):
        class_counts(RepeatDataset(train, 3))
    joined = ConcatDataset([train, one_date(tmp_path, files)])
    assert class_counts(joined).of('pixels').tolist() == (2 * class_counts(train).of('pixels')).tolist()
    with pytest.raises(TypeError, match='has no labels to count'):
        class_counts(one_date(tmp_path, files, label=None))


class Loss(nn.Module):
    """A counted loss in a model."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = MODELS.build({'type': 'imbdense.BalancedSoftmaxLoss'})


def ledger_of(dataset: Any, model: nn.Module | None = None) -> PriorLedger:
    """What the hook makes of a run with this training set."""
    from torch.utils.data import DataLoader

    info: dict[str, Any] = {}
    hub = SimpleNamespace(update_info=info.__setitem__)
    loader = DataLoader(dataset, batch_size=2)
    ClassCountHook().before_train(SimpleNamespace(
        model=model or Loss(), train_dataloader=loader, val_loop=None, message_hub=hub))
    assert ClassCounts.from_dict(info[HUB_COUNTS]).units == ('pixels', 'images')
    return PriorLedger.from_dict(info[HUB_LEDGER])


def test_the_hook_counts_and_binds(tmp_path: Path) -> None:
    data, model = one_date(tmp_path), Loss()
    ledger = ledger_of(data, model)
    pixels = class_counts(data).of('pixels')
    assert [entry.source for entry in ledger.entries] == ['training labels (pixels)', 'BalancedSoftmaxLoss']
    assert np.asarray(ledger.entries[0].prior) == pytest.approx(pixels / pixels.sum())
    known = model.loss.known_counts()
    assert (known / known.sum()).numpy() == pytest.approx(pixels / pixels.sum())
    loss = model.loss(torch.randn(1, 4, 8, 8, requires_grad=True), torch.zeros(1, 8, 8, dtype=torch.long))
    loss.backward()


def test_a_drawer_that_prefers_rare_classes_is_in_the_ledger(tmp_path: Path) -> None:
    data = one_date(tmp_path, windows={'type': 'imbdense.ClassBalancedWindowSampler', 'beta': 0.0})
    ledger = ledger_of(data)
    assert [entry.source for entry in ledger.entries][1] == 'ClassBalancedWindowSampler'
    seen = np.asarray(ledger.entries[1].prior)
    drawn = np.zeros(4)
    for index in range(len(data)):
        label = data[index]['gt_seg_map']
        drawn += np.bincount(label[label < 255], minlength=4)
    assert seen[3] > 2 * np.asarray(ledger.entries[0].prior)[3]
    assert seen == pytest.approx(drawn / drawn.sum(), abs=0.02)
    table, sample, drawer = prior_table(data)
    assert drawer == 'ClassBalancedWindowSampler' and len(table) == len(sample) == 256


def test_change_aware_windows_in_the_ledger(tmp_path: Path) -> None:
    ledger = ledger_of(two_dates(tmp_path, windows={'type': 'imbdense.ChangeAwareWindowSampler', 'frac_change': 1.0}))
    area, seen = (np.asarray(entry.prior)[1] for entry in ledger.entries[:2])
    assert area == pytest.approx(400 / 18690, rel=0.05)
    assert seen > 3 * area


def test_stats_and_check_of_a_config(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = place(tmp_path)
    common = {
        'type': 'imbdense.MultiSourceGeoTIFFDataset', 'window': 24, 'sources': sources(files),
        'label': {'path': files['label'], 'nodata': 0, 'lut': LUT}, 'metainfo': {'classes': CLASSES},
        'cache_dir': str(tmp_path / 'cache'), 'pipeline': [], 'split': SPLIT,
    }
    config = tmp_path / 'config.py'
    config.write_text(
        f"default_scope = 'mmseg'\ntrain_dataloader = dict(dataset={common | {'num_windows': 10**6}!r})\n"
        f"val_dataloader = dict(dataset={common | {'subset': 'val', 'test_mode': True}!r})\n"
    )
    assert run_verb('stats', [str(config), '--out', str(tmp_path / 'out')]) == 0
    shown = capsys.readouterr().out
    assert 'train: 1 blocks of 512 pixels' in shown and 'label shift train -> val' in shown
    counts_file = next((tmp_path / 'cache').glob('class_counts-*.json'))
    loss = MODELS.build({'type': 'imbdense.BalancedSoftmaxLoss', 'class_counts': str(counts_file)})
    assert len(loss.known_counts()) == 4
    assert run_verb('check', [str(config)]) == 0
    capsys.readouterr()
    config.write_text(config.read_text().replace("'lut': {1: 0, 2: 1, 3: 2, 4: 3}", "'lut': {1: 0}"))
    assert run_verb('stats', [str(config)]) == 2
    assert 'label value 2 is no class' in capsys.readouterr().err
    known = next(path for path in (tmp_path / 'cache').glob('*.json') if 'class_counts' not in path.name)
    config.write_text(config.read_text().replace("'pipeline': []", f"'pipeline': [], 'statistics': {str(known)!r}"))
    assert run_verb('check', [str(config)]) == 1, 'opened without a look at the labels'
    assert 'is no class' in capsys.readouterr().out.replace('\n', ' ')
