"""Cityscapes: label ids to the 19 training classes."""

from __future__ import annotations

from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe

CLASSES = (
    'road', 'sidewalk', 'building', 'wall', 'fence', 'pole', 'traffic light', 'traffic sign', 'vegetation', 'terrain',
    'sky', 'person', 'rider', 'car', 'truck', 'bus', 'train', 'motorcycle', 'bicycle',
)
PALETTE = (
    (128, 64, 128), (244, 35, 232), (70, 70, 70), (102, 102, 156), (190, 153, 153), (153, 153, 153), (250, 170, 30),
    (220, 220, 0), (107, 142, 35), (152, 251, 152), (70, 130, 180), (220, 20, 60), (255, 0, 0), (0, 0, 142),
    (0, 0, 70), (0, 60, 100), (0, 80, 100), (0, 0, 230), (119, 11, 32),
)
LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TABLE = dict.fromkeys(range(34), IGNORE) | {raw: index for index, raw in enumerate(LABEL_IDS)}


def build(job: Job) -> None:
    """``*_gtFine_labelIds.png`` → ``labels/<split>/<stem>.png`` with training ids; images are linked."""
    for split in ('train', 'val'):
        root = job.need('leftImg8bit', split)
        images = job.need_files(root, '*/*_leftImg8bit.png')
        for path in job.each(images, split):
            stem = path.name.removesuffix('_leftImg8bit.png')
            job.place(path, f'images/{split}/{stem}.png')
            if not job.done(f'labels/{split}/{stem}.png'):
                label_path = job.need('gtFine', split, path.parent.name, f'{stem}_gtFine_labelIds.png')
                label = ids_to_index(read_image(label_path, grey=True), TABLE, path=label_path)
                job.write_label(f'labels/{split}/{stem}.png', label, PALETTE)
        job.note(f'{split}: {len(images)} images')


RECIPE = Recipe(
    'cityscapes', 'street scenes, 19 classes (segmentation)',
    'the Cityscapes site (register, then leftImg8bit_trainvaltest and gtFine_trainvaltest)',
    """  leftImg8bit/{train,val}/<city>/*_leftImg8bit.png
  gtFine/{train,val}/<city>/*_gtFine_labelIds.png""", build,
)
