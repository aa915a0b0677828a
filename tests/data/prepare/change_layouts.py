"""Miniature copies of the source layouts of change data sets, generated: a few tiny files each, exact in structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from imbdense.data.prepare import landsat_scd, second
from tests.data.change.pair_files import write_raster

SIZE = (12, 16)


def picture(path: Path, seed: int = 0, size: tuple[int, int] = SIZE) -> None:
    """A random RGB image without white."""
    save(path, np.random.default_rng(seed).integers(0, 250, (*size, 3), dtype=np.uint8))


def save(path: Path, values: np.ndarray) -> np.ndarray:
    """Write an array as an image and return it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return values


def covers(seed: int, classes: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, np.ndarray]:
    """Labels of both dates inside changes only: 0 unchanged, 1 ... classes, changed at the same pixels."""
    rng = np.random.default_rng(seed)
    changed = rng.random(size) < 0.4
    first = rng.integers(1, classes + 1, size)
    second_date = (first + rng.integers(0, classes - 1, size)) % classes + 1
    return tuple(np.where(changed, label, 0).astype(np.uint8) for label in (first, second_date))  # type: ignore


def make_dubai_scd_semisynthetic(root: Path) -> None:
    for name in ('000', '029', '030'):
        seed = int(name)
        rng = np.random.default_rng(seed)
        for date in (1, 2):
            picture(root / f't{date}/{name}.png', seed + date)
            save(root / f'label_t{date}/{name}.png', rng.choice([0, 1, 4, 255], SIZE).astype(np.uint8))
        save(root / f'label_change/{name}.png', rng.choice([0, 1, 255], SIZE).astype(np.uint8))


def make_landsat_taizhou_cd(root: Path) -> None:
    rng = np.random.default_rng(0)
    for date in (1, 2):
        write_raster(root / f't{date}.tif', rng.integers(0, 255, (160, 240, 6)).astype(np.uint8))
    save(root / 'label.png', rng.choice([0, 0, 0, 1, 255, 255, 255, 255], (160, 240)).astype(np.uint8))


def make_second(root: Path) -> None:
    """The official colours; ten training pairs."""
    colours = np.array([(255, 255, 255), *second.PALETTE], np.uint8)
    for part, names in (('train', range(10)), ('test', range(10, 12))):
        for number in names:
            for date, label in enumerate(covers(number, 6), 1):
                picture(root / part / f'im{date}/{number:05d}.png', number)
                save(root / part / f'label{date}/{number:05d}.png', colours[label])


def make_second_changemamba(root: Path) -> None:
    """The same pairs as indices in another order, with the change map."""
    index = {new: old for old, new in second.CHANGEMAMBA.items()}
    table = np.array([index[number] for number in range(7)], np.uint8)
    for part, names in (('train', range(10)), ('test', range(10, 12))):
        for number in names:
            for date, label in enumerate(covers(number, 6), 1):
                picture(root / part / f'T{date}/{number:05d}.png', number)
                save(root / part / f'GT_T{date}/{number:05d}.png', table[label])
            save(root / part / f'GT_CD/{number:05d}.png', (255 * (label > 0)).astype(np.uint8))


def make_landsat_scd(root: Path) -> None:
    """Ids of transitions; augmented copies beside; a white corner at both dates in the first pair."""
    for name in (*map(str, range(10)), '3_rotate90', '4Crop', '5_ZheDang'):
        ids = np.random.default_rng(len(name)).choice([0, 0, *landsat_scd.TRANSITIONS], SIZE).astype(np.uint8)
        for number, folder in enumerate('AB'):
            picture(root / f'{folder}/{name}.png', number)
        save(root / f'label/{name}.png', ids)
    for folder in 'AB':
        values = np.array(Image.open(root / f'{folder}/0.png'))
        values[:3, :3] = 255
        save(root / f'{folder}/0.png', values)


def make_landsat_scd_repack(root: Path) -> None:
    """A label per date, by split, in indices or colours."""
    colours = np.array([(255, 255, 255), *landsat_scd.PALETTE], np.uint8)
    for part in ('train', 'val', 'test'):
        for date, (folder, label) in enumerate(zip('AB', covers(len(part), 4))):
            picture(root / part / f'{folder}/7.png', date)
            if folder == 'A':
                save(root / part / 'labelA/7.png', label)
            else:
                save(root / part / 'labelB_rgb/7.png', colours[label])


def make_levir_cd(root: Path) -> None:
    for split in ('train', 'val', 'test'):
        for folder in 'AB':
            picture(root / split / f'{folder}/{split}_1.png')
        save(root / split / f'label/{split}_1.png', np.random.default_rng(1).choice([0, 255], SIZE).astype(np.uint8))


def make_whu_cd(root: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ('before', 'after'):
        write_raster(root / f'{name}.tif', rng.integers(0, 255, (50, 56, 3)).astype(np.uint8))
    write_raster(root / 'change_label.tif', rng.choice([0, 255], (50, 56, 1)).astype(np.uint8))


def make_s2looking(root: Path) -> None:
    rng = np.random.default_rng(0)
    for split in ('train', 'val', 'test'):
        for number in (1, 2):
            picture(root / split / f'Image{number}/4.png', number)
        new, gone = rng.random(SIZE) < 0.3, rng.random(SIZE) < 0.2
        blank = np.zeros((*SIZE, 3), np.uint8)
        for folder, where, colour in (('label1', new, (0, 0, 255)), ('label2', gone, (255, 0, 0))):
            save(root / split / f'{folder}/4.png', np.where(where[..., None], colour, blank).astype(np.uint8))
        save(root / split / 'label/4.png', (255 * (new | gone)).astype(np.uint8))


def make_xbd(root: Path) -> None:
    for folder, names in (('train', ('flood-a_00000001', 'flood-a_00000002', 'fire-b_00000001')),
                          ('tier3', ('storm-c_00000001',)), ('test', ('flood-a_00000003',))):  # fmt: skip
        for name in names:
            for when in ('pre', 'post'):
                picture(root / folder / f'images/{name}_{when}_disaster.png')
            target = np.random.default_rng(2).integers(0, 5, SIZE).astype(np.uint8)
            save(root / folder / f'targets/{name}_post_disaster_target.png', target)


def make_hrscd(root: Path) -> None:
    rng = np.random.default_rng(0)
    for department in ('D14', 'D35'):
        for place in ('0415-6890', '0420-6890', '0425-6895', '0430-6895', '0435-6895'):
            cover = rng.integers(0, 6, (20, 24, 2)).astype(np.uint8)
            for number, year in enumerate((2006, 2012)):
                stem = f'14-{year}-{place}-LA93'
                write_raster(root / f'images_{year}/{department}/{stem}.tif',
                             rng.integers(0, 255, (20, 24, 3)).astype(np.uint8))  # fmt: skip
                write_raster(root / f'labels_land_cover_{year}/{department}/{stem}.tif', cover[..., [number]])
            change = (cover[..., :1] != cover[..., 1:]).astype(np.uint8)
            write_raster(root / f'labels_change/{department}/14-2012-{place}-LA93.tif', change)


def make_dynamic_earthnet(root: Path) -> None:
    rng = np.random.default_rng(0)
    (root / 'splits').mkdir(parents=True)
    for split, areas in (('train', ('u1', 'u2')), ('val', ('u3',)), ('test', ('u4',))):
        (root / f'splits/{split}.txt').write_text('\n'.join(areas))
        for area in areas:
            for month in ('2018-01-01', '2018-02-01', '2018-03-01'):
                klass = rng.integers(0, 7, SIZE)
                layers = (255 * (np.arange(7) == klass[..., None])).astype(np.uint8)
                layers[0, 0], layers[0, 1] = 0, 255
                write_raster(root / area / f'labels/{month}.tif', layers)
                write_raster(root / area / f'images/{month}.tif', rng.integers(0, 9999, (*SIZE, 4)).astype(np.uint16))


def make_habitalp(root: Path) -> None:
    rng = np.random.default_rng(0)
    for year in (2013, 2020):
        write_raster(root / f'image_{year}.tif', rng.integers(0, 255, (40, 70, 4)).astype(np.uint8))
        write_raster(root / f'labels_{year}.tif', rng.integers(0, 24, (40, 70, 1)).astype(np.uint8))


CHANGE_LAYOUTS = {
    name.removeprefix('make_'): make for name, make in list(globals().items()) if name.startswith('make_')
}
VARIANTS = {'second_changemamba': 'second', 'landsat_scd_repack': 'landsat_scd'}
"""Layouts that are another pack of a data set."""
