"""Recipes of change data sets: the standard layout, splits that share nothing, labels that say what the source says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbdense.core.metrics.alpine_transitions import alpine_transition_lut
from imbdense.data.change.pairs import PairFolders, list_pairs
from imbdense.data.prepare import PrepareError, landsat_scd, second
from tests.data.prepare.change_layouts import CHANGE_LAYOUTS, VARIANTS, covers, save
from tests.data.prepare.test_recipes import run


def make(name: str, folder: Path, **options):
    """Write the miniature source and run its recipe; returns (source, out, job)."""
    source, out = folder / 'source', folder / 'out'
    CHANGE_LAYOUTS[name](source)
    return source, out, run(VARIANTS.get(name, name), source, out, **options)


def names_of(out: Path) -> dict[str, list[str]]:
    return {path.stem: path.read_text().split() for path in sorted((out / 'splits').glob('*.txt'))}


def read(out: Path, folder: str, name: str) -> np.ndarray:
    return np.asarray(Image.open(out / folder / f'{name}.png'))


@pytest.mark.parametrize('name', sorted(CHANGE_LAYOUTS))
def test_every_pair_is_complete_and_in_one_split(name, tmp_path):
    _, out, _ = make(name, tmp_path)
    record = json.loads((out / 'dataset.json').read_text())
    splits = names_of(out)
    assert 'train' in splits and len(splits) > 1 and all(splits.values())
    everything = [pair for names in splits.values() for pair in names]
    assert len(everything) == len(set(everything))
    with_cover = 'land_cover' in record
    folders = PairFolders(
        (str(out / 't1'), str(out / 't2')), str(out / 'label_change'),
        (str(out / 'label_t1'), str(out / 'label_t2')) if with_cover else (),
    )  # fmt: skip
    assert len(list_pairs(folders)) == len(everything), 'what is on disk is in the splits'
    for split in splits:
        for files in list_pairs(folders, out / f'splits/{split}.txt'):
            change = np.asarray(Image.open(files.change))
            assert set(np.unique(change)) <= {*range(len(record['classes'])), 255} and (change != 255).any()
            for cover in files.land_cover:
                label = np.asarray(Image.open(cover))
                assert label.shape == change.shape
                assert set(np.unique(label)) <= {*range(len(record['land_cover'])), 255}
            sizes = {Image.open(image).size[::-1] for image in files.images if image.endswith('png')}
            assert sizes <= {change.shape}
    assert len(record['classes']) == len(record['palette'])
    assert len(record.get('land_cover', ())) == len(record.get('land_cover_palette', ()))


def test_both_packs_of_second_are_one_data_set(tmp_path):
    _, official, _ = make('second', tmp_path / 'a')
    _, indices, job = make('second_changemamba', tmp_path / 'b')
    assert names_of(official) == names_of(indices) and len(names_of(official)['val']) == 2
    for name in names_of(official)['train']:
        for folder in ('label_change', 'label_t1', 'label_t2'):
            assert np.array_equal(read(official, folder, name), read(indices, folder, name))
    first, _ = covers(3, 6)
    assert np.array_equal(read(official, 'label_t1', 'train/00003'), np.where(first == 0, 255, first - 1))
    assert np.array_equal(read(official, 'label_change', 'train/00003'), first > 0)
    assert not any('disagree' in note for note in job.notes)


def test_second_reports_dates_that_disagree_also_when_a_run_goes_on(tmp_path):
    CHANGE_LAYOUTS['second'](tmp_path / 'source')
    path = tmp_path / 'source/train/label2/00002.png'
    label = np.array(Image.open(path))
    label[np.nonzero((label != 255).any(axis=2))[0][0]] = 255  # one row unchanged at the second date only
    save(path, label)
    job = run('second', tmp_path / 'source', tmp_path / 'out')
    assert any('disagree about what changed in 1 pairs' in note and '00002' in note for note in job.notes)
    first, _ = covers(2, 6)
    assert np.array_equal(read(tmp_path / 'out', 'label_change', 'train/00002'), first > 0), 'either date is enough'
    assert run('second', tmp_path / 'source', tmp_path / 'out').notes == job.notes


def test_second_refuses_what_it_cannot_know(tmp_path):
    CHANGE_LAYOUTS['second'](tmp_path / 'source')
    path = tmp_path / 'source/train/label1/00000.png'
    save(path, np.zeros((12, 16), np.uint8))
    with pytest.raises(PrepareError, match=r'00000\.png holds indices.*which class 1 is'):
        run('second', tmp_path / 'source', tmp_path / 'out')
    label = np.full((12, 16, 3), 255, np.uint8)
    label[4, 7] = label[5, 0] = (3, 3, 3)
    save(path, label)
    with pytest.raises(PrepareError, match=r'has 2 pixels .*\(3, 3, 3\).*row 4, column 7'):
        run('second', tmp_path / 'source', tmp_path / 'out')
    (tmp_path / 'source/val.txt').write_text('00001.png\nnobody.png\n')
    with pytest.raises(PrepareError, match='nobody'):
        run('second', tmp_path / 'source', tmp_path / 'out')


def test_landsat_scd_transitions_copies_and_white(tmp_path):
    source, out, job = make('landsat_scd', tmp_path)
    splits = names_of(out)
    assert {split: len(names) for split, names in splits.items()} == {'train': 6, 'val': 2, 'test': 2}
    assert '3 augmented copies are left out' in job.notes[0]
    ids = np.asarray(Image.open(source / 'label/0.png'))
    change, first, second_date = (read(out, folder, '0') for folder in ('label_change', 'label_t1', 'label_t2'))
    assert (change[:3, :3] == 255).all() and (first[:3, :3] == 255).all() and (change != 255).sum() == 12 * 16 - 9
    for number, (before, after) in landsat_scd.TRANSITIONS.items():
        where = (ids == number) & (change != 255)
        assert where.any() and (first[where] == before - 1).all() and (second_date[where] == after - 1).all()
    assert (change[(ids == 0) & (change != 255)] == 0).all()
    save(source / 'label/1.png', np.full((12, 16), 12, np.uint8))
    with pytest.raises(PrepareError, match=r'1\.png: holds 192 pixels with the ids \[12\].*row 0, column 0'):
        run('landsat_scd', source, tmp_path / 'other')


def test_geographic_split_of_whu(tmp_path):
    """Left and right part; no tile of val touches a training tile's pixels."""
    _, out, _ = make('whu_cd', tmp_path, tile=16, overlap=0)
    owner = {}
    for split, names in names_of(out).items():
        for name in names:
            row, column = map(int, name.split('_')[1:])
            height, width = read(out, 'label_change', name).shape
            for place in np.ndindex(height, width):
                key = (row + place[0], column + place[1])
                assert owner.setdefault(key, split) == split
            assert (column >= 37) == (split == 'test') and not column < 37 < column + width
    assert len(owner) == 50 * 56


def test_tiles_keep_their_place(tmp_path):
    import rasterio

    source, out, _ = make('landsat_taizhou_cd', tmp_path)
    with rasterio.open(source / 't2.tif') as whole:
        data = whole.read()
    label = np.asarray(Image.open(source / 'label.png'))
    for names in names_of(out).values():
        for name in names:
            row, column = map(int, name.split('_')[1:])
            with rasterio.open(out / f't2/{name}.tif') as tile:
                assert (tile.transform.c, tile.transform.f) == (1000 + 10 * column, 2000 - 10 * row)
                assert (tile.read() == data[:, row : row + 80, column : column + 80]).all()
            found = read(out, 'label_change', name)
            known = found != 255
            assert (found[known] == label[row : row + 80, column : column + 80][known]).all()


def test_lists_that_leave_an_event_out(tmp_path):
    _, out, _ = make('xbd', tmp_path)
    train = (out / 'splits/train.txt').read_text().split()
    one = (out / 'splits/events/flood-a.txt').read_text().split()
    rest = (out / 'splits/events/without_flood-a.txt').read_text().split()
    assert sorted(one + rest) == sorted(train) and one == ['train/flood-a_00000001', 'train/flood-a_00000002']
    assert 'test/flood-a_00000003' not in one


def test_kinds_of_s2looking(tmp_path):
    source, out, job = make('s2looking', tmp_path)
    new, gone = (np.asarray(Image.open(source / f'val/label{k}/4.png')).any(axis=2) for k in (1, 2))
    change = read(out, 'label_change', 'val/4')
    assert (change[new & ~gone] == 1).all() and (change[gone & ~new] == 2).all() and (change[new & gone] == 255).all()
    assert any('new and demolished' in note for note in job.notes)


def test_layers_of_dynamic_earthnet(tmp_path):
    import rasterio

    source, out, _ = make('dynamic_earthnet', tmp_path)
    with rasterio.open(source / 'u1/labels/2018-01-01.tif') as raster:
        layers = raster.read()
    label = read(out, 'label_t1', 'u1/2018-01-01')
    assert label[0, 0] == label[0, 1] == 255, 'no class, and two classes at once'
    assert np.array_equal(label[1:], layers.argmax(axis=0)[1:])
    assert len(names_of(out)['train']) == 4, 'two pairs of months in two areas'


def test_habitat_table():
    table = alpine_transition_lut()
    assert (table[0] == 255).all() and (table[:, 0] == 255).all() and (np.diag(table)[1:] == 0).all()
    for before, after, kind in (
        (16, 15, 2), (12, 11, 1), (9, 8, 3), (8, 9, 5), (9, 12, 4), (6, 11, 8), (6, 8, 4), (11, 15, 4), (18, 6, 3),
        (19, 6, 6), (19, 12, 8), (5, 19, 7), (20, 19, 7), (21, 8, 6), (8, 21, 8), (1, 2, 8), (6, 7, 8), (13, 11, 8),
    ):  # fmt: skip
        assert table[before, after] == kind, (before, after)


def test_hrscd_has_every_department_in_both_splits(tmp_path):
    source, out, _ = make('hrscd', tmp_path)
    for split, number in (('train', 4), ('val', 1)):
        places = {name.rsplit('_', 2)[0] for name in names_of(out)[split]}
        assert sorted(place.split('_')[0] for place in places) == ['D14'] * number + ['D35'] * number
    shutil.rmtree(source / 'labels_change/D35')
    with pytest.raises(PrepareError, match='labels_change/D35'):
        run('hrscd', source, tmp_path / 'other')


def test_masks_with_other_values_are_refused(tmp_path):
    CHANGE_LAYOUTS['levir_cd'](tmp_path / 'source')
    save(tmp_path / 'source/val/label/val_1.png', np.full((12, 16), 128, np.uint8))
    with pytest.raises(PrepareError, match=r'val_1\.png: holds the values \[128\]'):
        run('levir_cd', tmp_path / 'source', tmp_path / 'out')


def test_dates_of_different_size_are_named(tmp_path):
    CHANGE_LAYOUTS['levir_cd'](tmp_path / 'source')
    save(tmp_path / 'source/train/B/train_1.png', np.zeros((12, 15, 3), np.uint8))
    with pytest.raises(PrepareError, match=r'train/A/train_1\.png is \(12, 16\) and .*no pair'):
        run('levir_cd', tmp_path / 'source', tmp_path / 'out')


def test_colour_order_is_that_of_the_published_indices():
    """Low vegetation is 1 in the ChangeMamba pack; in the order of the colours it is 3."""
    assert {second.CLASSES[new - 1]: old for old, new in second.CHANGEMAMBA.items() if old} == {
        'low vegetation': 1, 'ground': 2, 'tree': 3, 'water': 4, 'building': 5, 'playground': 6
    }  # fmt: skip
