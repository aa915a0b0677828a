"""iSAID: aerial objects, colour-coded semantic masks of DOTA images, cut into tiles."""

from __future__ import annotations

from imbdense.data.prepare.job import Job
from imbdense.data.prepare.recipe import Recipe
from imbdense.data.prepare.tiles import ColourCode, write_tiles

CLASSES = (
    'background', 'ship', 'store_tank', 'baseball_diamond', 'tennis_court', 'basketball_court', 'Ground_Track_Field',
    'Bridge', 'Large_Vehicle', 'Small_Vehicle', 'Helicopter', 'Swimming_pool', 'Roundabout', 'Soccer_ball_field',
    'plane', 'Harbor',
)
PALETTE = (
    (0, 0, 0), (0, 0, 63), (0, 63, 63), (0, 63, 0), (0, 63, 127), (0, 63, 191), (0, 63, 255), (0, 127, 63),
    (0, 127, 127), (0, 0, 127), (0, 0, 191), (0, 0, 255), (0, 191, 127), (0, 127, 191), (0, 127, 255), (0, 100, 155),
)
CODE = ColourCode({colour: index for index, colour in enumerate(PALETTE)}, PALETTE)
SUFFIX = '_instance_color_RGB.png'


def build(job: Job) -> None:
    """Every mask with its image; the masks hold classes (not instances) in spite of their file name."""
    for split in ('train', 'val'):
        masks = job.need_files(job.need(split, 'Semantic_masks', 'images'), f'*{SUFFIX}')
        for mask in job.each(masks, split):
            image = job.need(split, 'images', mask.name.removesuffix(SUFFIX) + '.png')
            write_tiles(job, image, mask, split, CODE)
        job.note(f'{split}: {len(masks)} images cut into tiles of {job.tile} px, overlap {job.overlap}')


RECIPE = Recipe(
    'isaid', 'aerial objects, 15 classes + background (segmentation), tiles',
    'the iSAID site (masks) and the DOTA site (images)',
    """  {train,val}/images/P*.png   (the images of DOTA-v1.0)
  {train,val}/Semantic_masks/images/P*_instance_color_RGB.png""", build, tile=896, overlap=384,
)
