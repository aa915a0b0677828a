"""Quotas of the cells: the published rule and the exact one."""

from __future__ import annotations

import numpy as np

from imbdense.core.selection.cells import Cells, exact_quotas, reference_quotas


def cells(sizes: list[tuple[int, int, int, int]], labelled: dict[int, int] | None = None) -> Cells:
    """(class, group, cluster, members), each cluster in five bins (three for seven members)."""
    path, size = [], []
    for klass, group, cluster, members in sizes:
        bins = 3 if members == 7 else 5
        own = [members // bins + (b < members % bins) for b in range(bins)]
        path += [(klass, group, cluster, b) for b, n in enumerate(own) if n]
        size += [n for n in own if n]
    there = np.zeros(len(size), np.int64)
    for cell, number in (labelled or {}).items():
        there[cell] = number
    return Cells(np.array(path), np.array(size), there)


def test_cluster_of_seven_by_hand() -> None:
    seven = cells([(0, 0, 0, 7)])
    assert seven.size.tolist() == [3, 2, 2]
    assert reference_quotas(seven, 0.2, 1).tolist() == [1, 1, 1]
    assert reference_quotas(seven, 0.2, 3).tolist() == [3, 2, 2]
    assert exact_quotas(2, seven, 1.0).tolist() == [1, 1, 0]


def test_reference_share_of_small_groups() -> None:
    """25 clusters of 24 tiles: 125 of 600, as the published log says (119 to 144)."""
    assert reference_quotas(cells([(0, 0, c, 24) for c in range(25)]), 0.2, 1).sum() == 125
    assert reference_quotas(cells([(0, 0, 0, 6)]), 0.2, 1).sum() == 5
    assert reference_quotas(cells([(0, 0, 0, 500)]), 0.2, 1).sum() == 100


def test_alpha_between_equal_and_proportional() -> None:
    two = cells([(0, 0, 0, 900), (0, 0, 1, 100)])
    shares = {alpha: exact_quotas(100, two, alpha)[:5].sum() for alpha in (0.0, 0.5, 1.0)}
    assert shares == {0.0: 50, 0.5: 75, 1.0: 90}


def test_classes_share_equally_and_the_unknown_take_the_rest() -> None:
    three = cells([(-1, 0, 0, 500), (0, 0, 1, 500), (1, 0, 2, 20)])
    by_class = lambda quotas: [int(quotas[three.path[:, 0] == c].sum()) for c in (-1, 0, 1)]  # noqa: E731
    assert by_class(exact_quotas(60, three, 0.5)) == [0, 40, 20]
    assert by_class(exact_quotas(600, three, 0.5)) == [80, 500, 20]


def test_small_groups_are_not_forgotten_while_there_is_enough() -> None:
    many = cells([(0, 0, c, 40) for c in range(30)] + [(0, 1, 30, 5)])
    small = many.path[:, 1] == 1
    assert exact_quotas(20, many, 0.5)[small].sum() == 1
    assert exact_quotas(1, many, 0.5).sum() == 1


def test_bins_take_turns_where_clusters_give_one_each() -> None:
    quotas = exact_quotas(25, cells([(0, 0, c, 25) for c in range(25)]), 0.5)
    bins = np.tile(np.arange(5), 25)
    assert quotas.sum() == 25 and np.bincount(bins, quotas).tolist() == [5.0] * 5


def test_what_is_labelled_counts_and_stays() -> None:
    """The first cluster holds ten labelled ones in its nearest bin; of ten more the second gets all."""
    two = cells([(0, 0, 0, 100), (0, 0, 1, 100)], {0: 10})
    quotas = exact_quotas(20, two, 0.5)
    assert quotas.sum() == 20 and quotas[0] == 10 and quotas[5:].sum() == 10
    assert reference_quotas(two, 0.2, 1).tolist() == [10, 4, 4, 4, 4, 4, 4, 4, 4, 4]


def test_sum_and_bounds_always() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        found = cells([(int(rng.integers(0, 3)), int(rng.integers(0, 3)), c, int(rng.integers(1, 60)))
                       for c in range(12)])
        order = np.lexsort(found.path.T[::-1])
        found = Cells(found.path[order], found.size[order], rng.integers(0, 2, found.size.size))
        total = int(rng.integers(0, found.total + 20))
        quotas = exact_quotas(total, found, float(rng.uniform(0, 1)))
        assert quotas.sum() == np.clip(total, found.labelled.sum(), found.total)
        assert (quotas <= found.size).all() and (quotas >= found.labelled).all()
