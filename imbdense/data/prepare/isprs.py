"""ISPRS Potsdam and Vaihingen: colour-coded masks of very large orthophotos, cut into tiles."""

from __future__ import annotations

from pathlib import Path

from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import ColourCode, write_tiles

CLASSES = ('impervious_surface', 'building', 'low_vegetation', 'tree', 'car', 'clutter')
PALETTE = ((255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0))
CODE = ColourCode({colour: index for index, colour in enumerate(PALETTE)} | {(0, 0, 0): IGNORE}, PALETTE, tolerance=16)
"""Black is the eroded border of the ``noBoundary`` masks. One published Potsdam mask has colours that are a few values
off, hence the tolerance."""

POTSDAM_VAL = frozenset((
    '2_13', '2_14', '3_13', '3_14', '4_13', '4_14', '4_15', '5_13', '5_14', '5_15', '6_13', '6_14', '6_15', '7_13',
))
VAIHINGEN_TRAIN = frozenset((1, 3, 5, 7, 11, 13, 15, 17, 21, 23, 26, 28, 30, 32, 34, 37))


def build_potsdam(job: Job) -> None:
    """24 patches for training, the 14 of the published test part as val."""
    image_folder = job.need_one_of('2_Ortho_RGB', 'Potsdam/2_Ortho_RGB')
    mask_folder = job.need_one_of(
        '5_Labels_all_noBoundary', '5_Labels_all', '5_Labels_for_participants', 'Potsdam/5_Labels_all'
    )
    pairs = []
    for mask in job.need_files(mask_folder, 'top_potsdam_*_label*.tif'):
        patch = '_'.join(mask.stem.split('_')[2:4])
        image = image_folder / f'top_potsdam_{patch}_RGB.tif'
        pairs.append((image, mask, 'val' if patch in POTSDAM_VAL else 'train'))
    _cut(job, pairs)


def build_vaihingen(job: Job) -> None:
    """16 areas for training, the other 17 as val; the bands are near infrared, red, green."""
    image_folder = job.need_one_of('top', 'ISPRS_semantic_labeling_Vaihingen/top')
    mask_folder = job.need_one_of(
        'gts_eroded_for_participants', 'ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE',
        'ISPRS_semantic_labeling_Vaihingen_ground_truth_COMPLETE', 'gts_for_participants', 'ground_truth',
    )
    pairs = []
    for mask in job.need_files(mask_folder, 'top_mosaic_09cm_area*.tif'):
        name = mask.stem.removesuffix('_noBoundary')
        area = int(name.rsplit('area', 1)[1])
        pairs.append((image_folder / f'{name}.tif', mask, 'train' if area in VAIHINGEN_TRAIN else 'val'))
    _cut(job, pairs)


def _cut(job: Job, pairs: list[tuple[Path, Path, str]]) -> None:
    """Check that every image is there before the long work begins, then cut."""
    missing = [str(image) for image, _, _ in pairs if not image.exists()]
    if missing:
        raise job.error(f'{len(missing)} images of the masks are missing, first {missing[0]}')
    for image, mask, split in job.each(pairs, 'images'):
        write_tiles(job, image, mask, split, CODE)
    job.note(f'{len(pairs)} images cut into tiles of {job.tile} px')


_HOME = 'the ISPRS benchmark "2D Semantic Labeling" (form on the ISPRS site)'
POTSDAM = Recipe(
    'potsdam', 'orthophotos 5 cm, 6 classes (segmentation), tiles', _HOME,
    """  2_Ortho_RGB/top_potsdam_<i>_<j>_RGB.tif
  5_Labels_all[_noBoundary]/top_potsdam_<i>_<j>_label[_noBoundary].tif""", build_potsdam, tile=512, overlap=0,
)
VAIHINGEN = Recipe(
    'vaihingen', 'orthophotos 9 cm, infrared, 6 classes (segmentation), tiles', _HOME,
    """  top/top_mosaic_09cm_area<n>.tif
  gts_eroded_for_participants/top_mosaic_09cm_area<n>[_noBoundary].tif (or ..._ground_truth_COMPLETE)""",
    build_vaihingen, tile=512, overlap=0,
)
