"""Trainings on selected pictures, as a table: ``python -m tests.helpers.selection_task_table``."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import OFDS, FreeSel, KCenterGreedy, RandomSelector, Selector, TypiClust
from tests.helpers.selection_task import RARE, selected_iou

SEEDS = range(3)
ROWS: tuple[tuple[str, Selector], ...] = (
    ('random', RandomSelector()),
    ('image k-centre', KCenterGreedy(level='image')),
    ('FreeSel', FreeSel()),
    ('object TypiClust', TypiClust(level='object')),
    ('OFDS', OFDS()),
)


def main() -> None:
    """Mean and standard deviation over the seeds: IoU of the three rarest classes, mIoU."""
    for name, selector in ROWS:
        found = np.array([selected_iou(selector, seed) for seed in SEEDS])
        for values in (found[:, -RARE:].mean(1), found.mean(1)):
            name += f' | {values.mean():.3f} ± {values.std(ddof=1):.3f}'
        print(f'| {name} |', flush=True)


if __name__ == '__main__':
    main()
