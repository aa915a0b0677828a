"""Every recipe on a miniature copy of its source: what comes out, twice, after a kill, and with parts missing."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imbdense.data.prepare import RECIPE_MODULES, PrepareError, cityscapes, hsdb_instrument, prepare, recipe
from tests.data.prepare.layouts import LAYOUTS, mask

SMALL_TILES = {
    'potsdam': 8, 'vaihingen': 8, 'isaid': 8, 'dota': 10, 'spacenet_georef': 8, 'whu_cd': 16, 'hrscd': 20,
    'habitalp': 8,
}
NUM_CLASSES = {
    'dsb2018_nuclei': 3, 'dubai_aerial': 5, 'spacenet_georef': 2, 'cityscapes': 19, 'loveda': 7, 'potsdam': 6,
    'vaihingen': 6, 'isaid': 16,
}


def run(name: str, source: Path, out: Path, **options):
    options.setdefault('tile', SMALL_TILES.get(name))
    if options['tile'] is not None:
        options.setdefault('overlap', 2)
    return prepare(recipe(name), source, out, **options)


def digest(root: Path) -> dict[str, str]:
    """Relative path -> hash of every file below a folder."""
    files = sorted(path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(params=sorted(RECIPE_MODULES))
def layout(request, tmp_path):
    LAYOUTS[request.param](tmp_path / 'source')
    return request.param, tmp_path / 'source', tmp_path / 'out'


def test_every_image_has_its_label_and_every_record_its_image(layout):
    name, source, out = layout
    run(name, source, out)
    for split in ('train', 'val'):
        images = {path.stem for path in (out / 'images' / split).glob('*')}
        if name in NUM_CLASSES:
            labels = {path.stem: path for path in (out / 'labels' / split).glob('*')}
            assert labels and labels.keys() == images
            for path in labels.values():
                label = np.asarray(Image.open(path))
                assert label.ndim == 2 and set(np.unique(label)) <= {*range(NUM_CLASSES[name]), 255}
        if (out / f'annotations/{split}.json').exists():
            record = json.loads((out / f'annotations/{split}.json').read_text())
            folders = ('images', f'images/{split}', 'images/real', 'images/syn')
            for image in record['images']:
                assert any((out / folder / image['file_name']).exists() for folder in folders)
            ids = {image['id'] for image in record['images']}
            categories = {category['id'] for category in record['categories']}
            assert record['annotations'] and all(a['image_id'] in ids for a in record['annotations'])
            assert all(a['category_id'] in categories for a in record['annotations'])
            assert [c['id'] for c in record['categories']] == list(range(1, len(categories) + 1))


def test_second_run_and_fresh_run_give_equal_files_and_source_is_untouched(layout, tmp_path):
    name, source, out = layout
    before = digest(source)
    run(name, source, out, copy=True)
    first = digest(out)
    run(name, source, out, copy=True)
    run(name, source, tmp_path / 'again', copy=True)
    assert digest(out) == first == digest(tmp_path / 'again')
    assert digest(source) == before


def test_killed_run_goes_on(layout, monkeypatch):
    """Stop after the first progress of the second part; the finished output equals an uninterrupted one."""
    name, source, out = layout
    calls = []

    def stop(done: int, total: int, what: str) -> None:
        calls.append(what)
        if len(calls) > 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(name, source, out, copy=True, progress=stop)
    assert not json.loads((out / 'prepare.json').read_text())['finished']
    run(name, source, out, copy=True)
    run(name, source, out.parent / 'whole', copy=True)
    assert digest(out) == digest(out.parent / 'whole')


def test_missing_part_names_it_and_shows_the_layout(layout):
    name, source, out = layout
    folders = sorted((path for path in source.rglob('*') if path.is_dir()), key=lambda path: len(path.parts))
    if not folders:
        min(source.iterdir()).unlink()
    else:
        shutil.rmtree(source / 'train' if name == 'xbd' else folders[0])
    with pytest.raises(PrepareError, match='Expected layout') as error:
        run(name, source, out)
    assert recipe(name).home in str(error.value)


def test_links_by_default_and_never_into_the_source(tmp_path):
    LAYOUTS['bccd'](tmp_path / 'source')
    run('bccd', tmp_path / 'source', tmp_path / 'out')
    assert (tmp_path / 'out/images/train/a.jpg').is_symlink()
    with pytest.raises(PrepareError, match='inside the source'):
        run('bccd', tmp_path / 'source', tmp_path / 'source/out')


def test_other_options_into_the_same_folder_are_refused(tmp_path):
    LAYOUTS['isaid'](tmp_path / 'source')
    run('isaid', tmp_path / 'source', tmp_path / 'out')
    with pytest.raises(PrepareError, match='choose another --out'):
        run('isaid', tmp_path / 'source', tmp_path / 'out', tile=10)
    (tmp_path / 'mine').mkdir()
    (tmp_path / 'mine/thesis.txt').write_text('x')
    with pytest.raises(PrepareError, match='not empty'):
        run('isaid', tmp_path / 'source', tmp_path / 'mine')


def test_cityscapes_ids_become_training_ids(tmp_path):
    LAYOUTS['cityscapes'](tmp_path / 'source')
    raw = np.asarray(Image.open(tmp_path / 'source/gtFine/val/ulm/ulm_000000_gtFine_labelIds.png'))
    run('cityscapes', tmp_path / 'source', tmp_path / 'out')
    label = np.asarray(Image.open(tmp_path / 'out/labels/val/ulm_000000.png'))
    assert (label[raw == 26] == cityscapes.CLASSES.index('car')).all() and (raw == 26).any()
    assert (label[(raw == 0) | (raw == 3)] == 255).all()


def test_potsdam_tiles_cover_the_image_and_tolerate_near_colours(tmp_path):
    LAYOUTS['potsdam'](tmp_path / 'source')
    run('potsdam', tmp_path / 'source', tmp_path / 'out')
    seen = np.zeros((20, 26), bool)
    for path in (tmp_path / 'out/labels/train').glob('*.png'):
        y, x = (int(v) for v in path.stem.split('_')[-2:])
        label = np.asarray(Image.open(path))
        assert label.shape == (8, 8)
        seen[y : y + 8, x : x + 8] = True
    assert seen.all()
    mask(tmp_path / 'source/5_Labels_all/top_potsdam_2_10_label.tif', [(120, 120, 120)], (20, 26))
    with pytest.raises(PrepareError, match=r'2_10_label.tif: has 520 pixels of colours .* lacks.*\(120, 120, 120\)'):
        run('potsdam', tmp_path / 'source', tmp_path / 'other')


def test_dota_boxes_cut_by_a_tile_are_kept_as_crowd(tmp_path):
    LAYOUTS['dota'](tmp_path / 'source')
    run('dota', tmp_path / 'source', tmp_path / 'out', tile=10, overlap=0)
    record = json.loads((tmp_path / 'out/annotations/train.json').read_text())
    images = {image['file_name']: image['id'] for image in record['images']}
    boxes = {(a['image_id'], a['category_id']): a for a in record['annotations']}
    whole = boxes[images['P0001_0_0.png'], 1]
    assert whole['bbox'] == [1, 1, 4, 4] and whole['iscrowd'] == 0
    assert boxes[images['P0001_0_0.png'], 7]['iscrowd'] == 1  # the ship: 2 of 5 columns are in this tile
    assert 'P0001_10_16.png' not in images  # holds only a difficult harbour


def test_bccd_boxes_are_clipped_and_empty_ones_dropped(tmp_path):
    LAYOUTS['bccd'](tmp_path / 'source')
    job = run('bccd', tmp_path / 'source', tmp_path / 'out')
    record = json.loads((tmp_path / 'out/annotations/val.json').read_text())
    assert [a['bbox'] for a in record['annotations']] == [[0, 0, 5, 5], [3, 3, 13, 6]]
    assert job.notes[0] == 'train: 2 images, 4 boxes; 2 boxes clipped to the image, 2 without area dropped'
    (tmp_path / 'source/Annotations/a.xml').write_text('<annotation><size>')
    with pytest.raises(PrepareError, match=r'a\.xml is not a Pascal VOC'):
        run('bccd', tmp_path / 'source', tmp_path / 'other')


def test_hsdb_names_are_normalised_and_misspellings_refused(tmp_path):
    LAYOUTS['hsdb_instrument'](tmp_path / 'source')
    run('hsdb_instrument', tmp_path / 'source', tmp_path / 'out')
    record = json.loads((tmp_path / 'out/annotations/train.json').read_text())
    assert [c['name'] for c in record['categories']] == list(hsdb_instrument.CHOLEC)
    assert record['annotations'][0]['category_id'] == 1 + hsdb_instrument.CHOLEC.index('Suction-Irrigation')
    path = tmp_path / 'source/real/val.json'
    path.write_text(path.read_text().replace('Specimenbag', 'Overhold_Head'))
    with pytest.raises(PrepareError, match='Overhold_Head'):
        run('hsdb_instrument', tmp_path / 'source', tmp_path / 'other')
    assert len(hsdb_instrument.CHOLEC) == 17 and len(hsdb_instrument.GASTREC) == 33


def test_nuclei_run_length_masks_decode_to_the_instances(tmp_path):
    LAYOUTS['dsb2018_nuclei'](tmp_path / 'source')
    run('dsb2018_nuclei', tmp_path / 'source', tmp_path / 'out')
    record = json.loads((tmp_path / 'out/annotations/train.json').read_text())
    ids = np.asarray(Image.open(tmp_path / 'source/instances/aa.png'))
    for annotation, number in zip(record['annotations'], (1, 300)):
        counts = annotation['segmentation']['counts']
        flat = np.repeat(np.arange(len(counts)) % 2, counts).astype(bool)
        assert (flat.reshape(ids.shape, order='F') == (ids == number)).all()
        assert annotation['area'] == (ids == number).sum()


def test_georeferenced_tiles_keep_their_place(tmp_path):
    import rasterio

    LAYOUTS['spacenet_georef'](tmp_path / 'source')
    run('spacenet_georef', tmp_path / 'source', tmp_path / 'out', tile=8, overlap=0)
    with rasterio.open(tmp_path / 'source/atlanta_pan_uint16.tif') as whole:
        data = whole.read()
    names = {}
    for split in ('train', 'val'):
        for path in (tmp_path / 'out/images' / split).glob('*.tif'):
            y, x = (int(v) for v in path.stem.split('_')[1:])
            with rasterio.open(path) as tile:
                assert (tile.crs.to_epsg(), tile.transform.c, tile.transform.f) == (32616, 1000 + x / 2, 2000 - y / 2)
                assert (tile.read() == data[:, y : y + 8, x : x + 8]).all()
            names.setdefault(split, set()).update(range(x, x + 8))
    assert not names['train'] & names['val']


def test_truncated_image_is_named(tmp_path):
    LAYOUTS['isaid'](tmp_path / 'source')
    victim = tmp_path / 'source/train/images/P0001.png'
    victim.write_bytes(victim.read_bytes()[:200])
    with pytest.raises(PrepareError, match=r'P0001\.png .*truncated'):
        run('isaid', tmp_path / 'source', tmp_path / 'out')


@pytest.mark.parametrize('name', ['dsb2018_nuclei', 'dubai_aerial'])
def test_whole_images_can_be_cut(name, tmp_path):
    """The tiles of a label, put together, are the label of the uncut data set."""
    LAYOUTS[name](tmp_path / 'source')
    run(name, tmp_path / 'source', tmp_path / 'whole')
    run(name, tmp_path / 'source', tmp_path / 'tiles', tile=3)
    for path in (tmp_path / 'whole/labels/train').iterdir():
        label = np.array(Image.open(path))
        joined = np.full_like(label, 255)
        for part in (tmp_path / 'tiles/labels/train').glob(f'{path.stem}_*.png'):
            y, x = (int(number) for number in part.stem.rsplit('_', 2)[1:])
            tile = np.array(Image.open(part))
            assert max(tile.shape) <= 3
            joined[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
        assert np.array_equal(joined, label)
