"""The largest subset with given class shares: a planted prior shift."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from imbdense.core.checks import check_choice, check_number
from imbdense.core.sampling.subset import Amounts, Subset
from imbdense.core.stats import ImageClassTable

UNITS = ('images', 'amounts')
AT_ONCE = 0.02


def target_subset(
    table: ImageClassTable,
    shares: Mapping[int, float],
    *,
    unit: str = 'images',
    tol: float = 0.01,
    seed: int = 0,
) -> Subset:
    """Choose the largest subset whose class shares are those wanted.

    Where every image holds one of the named classes alone and counts as one (``unit='images'``), the answer is exact:
    with N = min_c n_c / t_c, floor(t_c N) images of class c are drawn. For two classes that is
    ``n_a' = min(n_a, floor(t / (1 - t) n_b))`` and likewise for b: from 60 : 140, half and half gives 60 : 60 and 10 %
    gives 15 : 140.

    Otherwise greedily: the images whose removal brings the shares nearest to the target go, a few at a time, until the
    largest |share - target| is at most ``tol`` or stops falling; then images are put back where that keeps it. What was
    reached is in :attr:`~imbdense.core.sampling.subset.Subset.counts`. A pure function of its arguments.

    Args:
        table: amounts per image and class.
        shares: class index -> wanted share >= 0, made to sum to one. Classes that are not named are left to chance;
            images without a named class stay.
        unit: 'images' counts the images that hold a class, 'amounts' what the table holds (pixels, objects).
        tol: largest accepted |share - target|.
        seed: decides between equal images.

    Returns:
        The subset; its ``targets`` are the wanted shares of the reached sum over the named classes.

    Raises:
        ValueError: no share above 0, a class that is unknown, or one that shall have a share but has no image.
    """
    check_choice('unit', unit, UNITS, owner='target_subset')
    check_number('tol', tol, low=0.0, owner='target_subset')
    named, wanted = _checked(table, shares)
    dense: Amounts = np.zeros((len(table), table.num_classes))
    dense[table.entry_images, table.classes] = table.amounts if unit == 'amounts' else 1.0
    dense = dense[:, named]
    rng = np.random.default_rng(seed)
    if unit == 'images' and (dense.sum(axis=1) <= 1).all():
        kept = _exact(dense, wanted, rng)
    else:
        kept = _put_back(dense, wanted, _removed(dense, wanted, tol, rng), tol, rng)
    images = np.flatnonzero(kept)
    counts = table.subset(images).totals if unit == 'amounts' else table.subset(images).image_counts
    targets = np.full(table.num_classes, np.inf)
    targets[named] = wanted * counts[named].sum()
    return Subset(images, counts.astype(np.int64), targets)


def _checked(table: ImageClassTable, shares: Mapping[int, float]) -> tuple[NDArray[np.int64], Amounts]:
    """(class indices, shares that sum to one)."""
    named = np.array(sorted(shares), dtype=np.int64)
    wanted = np.array([check_number('a share', float(shares[c]), low=0.0, owner='target_subset') for c in named])
    wrong = [c for c in named.tolist() if not 0 <= c < table.num_classes]
    if wrong or named.size < 2 or wanted.sum() <= 0:
        raise ValueError(
            f'target_subset: shares must name at least two classes below {table.num_classes} with a share above 0, but '
            f'are {dict(shares)}.'
        )
    empty = [c for c, share in zip(named.tolist(), wanted) if share > 0 and table.image_counts[c] == 0]
    if empty:
        raise ValueError(f'target_subset: no image holds the classes {empty}, so they cannot have a share.')
    return named, wanted / wanted.sum()


def _exact(dense: Amounts, wanted: Amounts, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(I,) one class per image: floor(t_c N) drawn images of each."""
    totals = dense.sum(axis=0)
    some = wanted > 0
    largest = (totals[some] / wanted[some]).min()
    kept = dense.sum(axis=1) == 0
    for place, share in enumerate(wanted):
        members = np.flatnonzero(dense[:, place] > 0)
        kept[rng.permutation(members)[: int(np.floor(share * largest + 1e-9))]] = True
    return kept


def _gap(totals: Amounts, wanted: Amounts) -> Amounts:
    """(...,) largest |share - target|; 1 where nothing is left."""
    sums = totals.sum(axis=-1, keepdims=True)
    found = np.abs(totals / np.where(sums > 0, sums, 1.0) - wanted).max(axis=-1)
    return np.where(sums[..., 0] > 0, found, 1.0)


def _removed(dense: Amounts, wanted: Amounts, tol: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """(I,) what stays when the worst images go."""
    kept = np.ones(len(dense), dtype=bool)
    noise = rng.random(len(dense))
    totals = dense.sum(axis=0)
    while _gap(totals, wanted) > tol:
        candidates = np.flatnonzero(kept & (dense.sum(axis=1) > 0))
        # The sum of squares ranks the images: the maximum alone does not see what a removal does to other classes.
        left = totals - dense[candidates]
        sums = np.maximum(left.sum(axis=1, keepdims=True), 1e-12)
        order = candidates[np.lexsort((noise[candidates], ((left / sums - wanted) ** 2).sum(axis=1)))]
        number = max(1, int(AT_ONCE * len(order)))
        while number > 0 and _gap(totals - dense[order[:number]].sum(axis=0), wanted) >= _gap(totals, wanted):
            number //= 2
        if number == 0:
            break
        kept[order[:number]] = False
        totals = totals - dense[order[:number]].sum(axis=0)
    return kept


def _put_back(
    dense: Amounts, wanted: Amounts, kept: NDArray[np.bool_], tol: float, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """(I,) with the removed images that do no harm."""
    totals = dense[kept].sum(axis=0)
    limit = max(tol, float(_gap(totals, wanted)))
    for image in rng.permutation(np.flatnonzero(~kept)).tolist():
        if _gap(totals + dense[image], wanted) <= limit:
            kept[image] = True
            totals = totals + dense[image]
    return kept
