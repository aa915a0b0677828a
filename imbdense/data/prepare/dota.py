"""DOTA: oriented boxes as text files → tiles with horizontal COCO boxes."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.prepare.coco import CocoBuilder
from imbdense.data.prepare.job import Job, PrepareError, read_json
from imbdense.data.prepare.pixels import read_image, windows
from imbdense.data.prepare.recipe import Recipe
from imbdense.utils.files import atomic_write_json

CLASSES = (
    'plane', 'baseball-diamond', 'bridge', 'ground-track-field', 'small-vehicle', 'large-vehicle', 'ship',
    'tennis-court', 'basketball-court', 'storage-tank', 'soccer-ball-field', 'roundabout', 'harbor', 'swimming-pool',
    'helicopter', 'container-crane', 'airport', 'helipad',
)
"""The 15 classes of version 1.0, then those that 1.5 and 2.0 add."""

VISIBLE = 0.7
Box = tuple[str, tuple[float, float, float, float], bool]


def build(job: Job) -> None:
    """Cut; a box of which less than 70 % is inside a tile, or marked difficult, is kept as iscrowd=1 (not punished)."""
    for split in ('train', 'val'):
        images = job.need_files(job.need(split, 'images'), '*.png')
        labels = job.need_one_of(*(f'{split}/labelTxt{version}' for version in ('', '-v1.0', '-v1.5', '-v2.0')))
        parts = [cut_image(job, path, labels / f'{path.stem}.txt', split) for path in job.each(images, split)]
        names = {box[0] for part in parts for tile in part for box in tile[3]}
        used = CLASSES if names & set(CLASSES[16:]) else CLASSES[:16] if 'container-crane' in names else CLASSES[:15]
        coco = CocoBuilder(used, f'DOTA {split}, horizontal boxes of tiles')
        for name, width, height, boxes in (tile for part in parts for tile in part):
            image = coco.add_image(name, width, height)
            for label, corners, ignored in boxes:
                coco.add_box(image, label, corners, crowd=ignored)
        job.write_json(f'annotations/{split}.json', coco.to_dict())
        job.note(f'{split}: {len(images)} images → {len(coco.images)} tiles with {len(coco.annotations)} boxes')


def cut_image(job: Job, path: Path, label_path: Path, split: str) -> list[tuple[str, int, int, list[Box]]]:
    """Write the tiles of one image that hold an object; return (name, width, height, boxes) of each. Resumable."""
    marker = job.out / f'.prepare/{split}_{path.stem}.json'
    if marker.exists():
        return [(name, w, h, [(n, tuple(c), i) for n, c, i in boxes]) for name, w, h, boxes in read_json(marker)]
    if not label_path.exists():
        raise job.error(f'{path.name} has no label file {label_path}')
    boxes = read_labels(label_path)
    image = read_image(path)
    tiles = []
    for y0, x0, y1, x1 in windows(*image.shape[:2], job.tile, job.overlap):
        inside = [found for box in boxes if (found := crop_box(box, (x0, y0, x1, y1))) is not None]
        if not any(not ignored for _, _, ignored in inside):
            continue
        name = f'{path.stem}_{y0}_{x0}.png'
        job.write_image(f'images/{split}/{name}', image[y0:y1, x0:x1])
        tiles.append((name, x1 - x0, y1 - y0, inside))
    atomic_write_json(marker, tiles, indent=None)
    return tiles


def read_labels(path: Path) -> list[Box]:
    """Parse ``x1 y1 … x4 y4 class difficult`` lines into (class, horizontal box, difficult), without the header."""
    boxes: list[Box] = []
    for number, line in enumerate(path.read_text(encoding='utf-8-sig').splitlines(), 1):
        fields = line.split()
        if not fields or line.lower().startswith(('imagesource', 'gsd', 'acquisition')):
            continue
        try:
            xs, ys = [float(v) for v in fields[0:8:2]], [float(v) for v in fields[1:8:2]]
            name, difficult = fields[8], len(fields) > 9 and fields[9] != '0'
        except (ValueError, IndexError) as error:
            raise PrepareError(f'{path}, line {number}: {line!r} is not "x1 y1 … x4 y4 class difficult".') from error
        if name not in CLASSES:
            raise PrepareError(f'{path}, line {number}: unknown class {name!r}; known: {list(CLASSES)}.')
        boxes.append((name, (min(xs), min(ys), max(xs), max(ys)), difficult))
    return boxes


def crop_box(box: Box, window: tuple[int, int, int, int]) -> Box | None:
    """The part of a box inside a window (x0, y0, x1, y1) in its coordinates; ``None`` when nothing is inside."""
    name, (x0, y0, x1, y1), difficult = box
    left, top, right, bottom = max(x0, window[0]), max(y0, window[1]), min(x1, window[2]), min(y1, window[3])
    if right <= left or bottom <= top:
        return None
    share = (right - left) * (bottom - top) / ((x1 - x0) * (y1 - y0))
    corners = (left - window[0], top - window[1], right - window[0], bottom - window[1])
    return name, corners, difficult or share < VISIBLE


RECIPE = Recipe(
    'dota', 'aerial objects, 15–18 classes, horizontal boxes (detection), tiles',
    'the DOTA site (versions 1.0, 1.5, 2.0)',
    """  {train,val}/images/P*.png
  {train,val}/labelTxt[-v1.0|-v1.5|-v2.0]/P*.txt   (oriented boxes)""", build, tile=1024, overlap=200,
)
