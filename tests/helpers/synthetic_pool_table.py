"""Selectors on the synthetic pool, as a table: ``python -m tests.helpers.synthetic_pool_table``."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection import OFDS, KCenterGreedy, KMeansSelector, RandomSelector, Selector, TypiClust
from tests.helpers.synthetic_pool import SyntheticPool, synthetic_pool

POOLS, DRAWS, BUDGETS = range(4), range(3), (40, 100)
NOISE = {'missed': 0.25, 'wrong': 0.1}
ROWS: tuple[tuple[str, Selector, dict[str, float]], ...] = (
    ('random', RandomSelector(), {}),
    ('image k-centre', KCenterGreedy(level='image'), {}),
    ('image k-means', KMeansSelector(level='image'), {}),
    ('object TypiClust', TypiClust(level='object'), {}),
    ('OFDS, perfect proposals', OFDS(verify=None), {}),
    ('OFDS, perfect, frequent class first', OFDS(verify=None, order='frequent_first'), {}),
    ('OFDS, perfect, all classes joint', OFDS(verify=None, order='joint'), {}),
    ('OFDS, noisy proposals, no verifier', OFDS(verify=None), NOISE),
    ('OFDS, noisy proposals, kNN verifier', OFDS(), NOISE),
)


def figures(selector: Selector, pools: list[SyntheticPool], budget: int) -> np.ndarray:
    """Images with one of the five rarest classes, their modes seen, all modes seen: means over pools and seeds."""
    found = []
    for drawn in pools:
        for seed in DRAWS:
            images = selector(drawn.pool, budget, seed=seed).images
            found.append((drawn.images_with_rare(images), drawn.modes_seen(images, 5), drawn.modes_seen(images)))
    return np.mean(found, axis=0)


def main() -> None:
    """Print the rows, B = 40 / B = 100."""
    for name, selector, noise in ROWS:
        pools = [synthetic_pool(seed, **noise) for seed in POOLS]
        small, large = (figures(selector, pools, budget) for budget in BUDGETS)
        cells = [f'{a:.1f} / {b:.1f}' if place == 0 else f'{a:.2f} / {b:.2f}'
                 for place, (a, b) in enumerate(zip(small, large))]
        print(f'| {name} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    main()
