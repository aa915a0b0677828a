"""xBD: damage of buildings before and after a disaster, with lists that leave one event out."""

from __future__ import annotations

from imbdense.data.prepare.job import IGNORE, Job
from imbdense.data.prepare.pairs import PairOutput
from imbdense.data.prepare.pixels import ids_to_index, read_image
from imbdense.data.prepare.recipe import Recipe

CLASSES = ('background', 'no damage', 'minor damage', 'major damage', 'destroyed')
PALETTE = ((0, 0, 0), (0, 160, 0), (255, 230, 0), (255, 130, 0), (220, 0, 0))
TABLE = {index: index for index in range(5)} | {IGNORE: IGNORE}
PRE, POST = '_pre_disaster', '_post_disaster'
SOURCES = {'train': 'train', 'tier3': 'train', 'test': 'test', 'hold': 'hold'}
"""Folder of the download -> split."""


def build(job: Job) -> None:
    """The change map is the damage after the event. ``splits/without_<event>.txt`` leaves an event out of training."""
    output = PairOutput(job, classes=CLASSES, palette=PALETTE)
    events: dict[str, str] = {}
    job.need('train')
    for folder, split in SOURCES.items():
        if not (job.source / folder).is_dir():
            job.note(f'{folder} is not there')
            continue
        images = job.need_files(job.need(folder, 'images'), f'*{PRE}.png')
        for path in job.each(images, folder):
            stem = path.stem.removesuffix(PRE)
            name = f'{folder}/{stem}'
            output.add(split, name)
            events[name] = stem.rsplit('_', 1)[0] if split == 'train' else ''
            size = output.place(name, [path, job.need(folder, 'images', f'{stem}{POST}.png')])
            if not output.done(name):
                target = job.need(folder, 'targets', f'{stem}{POST}_target.png')
                output.write_labels(name, ids_to_index(read_image(target, grey=True), TABLE, path=target), size=size)
    for event in sorted({event for event in events.values() if event}):
        for name in output.splits['train']:
            output.add(f'events/{event}' if events[name] == event else f'events/without_{event}', name)
    output.finish()


RECIPE = Recipe(
    'xbd', 'damage of buildings, 4 grades, pre- and post-disaster pairs of 1024 px', 'the xView2 challenge page',
    """  train/images/<event>_<number>_pre_disaster.png  <event>_<number>_post_disaster.png
  train/targets/<event>_<number>_post_disaster_target.png (0 to 4)
  [tier3/...  test/...  hold/...]""", build,
)
