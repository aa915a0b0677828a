"""Vertical cylinders to learn from: centres drawn at rare changes, and the grid of cylinders that covers a scene."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree

from imbdense.core.checks import check_counts

Floats = NDArray[np.floating]
Index = NDArray[np.int64]


class CropCentres:
    """Candidate centres of one scene, and how often each class is drawn.

    Candidates are points on a grid of ``spacing``, one per cell and class, so that neither dense nor large objects are
    drawn more often than others of their class. A class c with n_c > 0 candidates is drawn with probability
    proportional to n_c ** -tau (tau = 0.5: Siamese KPConv; 0: every class equally often; -1: every candidate equally
    often), then one of its candidates uniformly. A class without candidate is never drawn.

    Args:
        points: (N, 3) of the epoch with the labels. labels: (N,) int64, negative = ignored, never a centre.
        spacing: metres; a tenth of the radius is usual.
        tau: see above.
        class_counts: n_c to use instead of this scene's candidates, for example of the whole training set.

    Raises:
        ValueError: no labelled point, or counts that do not cover the labels.
    """

    def __init__(
        self, points: Floats, labels: Index, spacing: float, tau: float, class_counts: ArrayLike | None = None
    ) -> None:
        labelled = np.flatnonzero(labels >= 0)
        if labelled.size == 0:
            raise ValueError('CropCentres: no point has a label >= 0; the scene has nothing to be a centre.')
        cells = np.floor(points[labelled] / spacing).astype(np.int64)
        key = np.column_stack([labels[labelled], cells])
        first = np.unique(key, axis=0, return_index=True)[1]
        chosen = labelled[first]  # sorted by class
        self.points = points[chosen]
        self.classes, self.start, count = np.unique(labels[chosen], return_index=True, return_counts=True)
        self.count = count.astype(np.int64)
        amounts = self.count.astype(np.float64)
        if class_counts is not None:
            given = check_counts(np.asarray(class_counts, dtype=np.float64).tolist(), owner='CropCentres').numpy()
            if given.size <= int(self.classes.max()):
                raise ValueError(f'CropCentres: class_counts has {given.size} entries, but the labels hold class '
                                 f'{int(self.classes.max())}.')
            amounts = np.maximum(given[self.classes], 1.0)
        weight = amounts ** -float(tau)
        self.probability = weight / weight.sum()

    def draw(self, rng: np.random.Generator) -> Floats:
        """One centre (3,)."""
        which = int(rng.choice(len(self.classes), p=self.probability))
        found: Floats = self.points[self.start[which] + int(rng.integers(self.count[which]))]
        return found


@dataclass(frozen=True, eq=False)
class CylinderDraw:
    """A drawn crop: the centre (3,), the points of each epoch inside (numbers), and how many draws were rejected."""

    centre: Floats
    index1: Index
    index2: Index
    rejected: int

    @classmethod
    def draw(
        cls, centres: CropCentres, tree1: cKDTree, tree2: cKDTree, radius: float, rng: np.random.Generator,
        *, min_points: int = 32, tries: int = 10,
    ) -> CylinderDraw:
        """Draw until both epochs have ``min_points`` inside, at most ``tries`` times; else take the fullest.

        Args:
            tree1, tree2: k-d trees of x and y of each epoch (a tree of no point is allowed for epoch 1).
        """
        best: CylinderDraw | None = None
        fullest = (-1, -1)
        for attempt in range(tries):
            centre = centres.draw(rng)
            inside = [cylinder_index(tree, centre, radius) for tree in (tree1, tree2)]
            sizes = (min(map(len, inside)), max(map(len, inside)))
            if sizes > fullest:
                fullest, best = sizes, cls(centre, inside[0], inside[1], attempt)
            if sizes[0] >= min_points:
                break
        if best is None:
            raise ValueError(f'CylinderDraw: tries must be at least 1, but is {tries}.')
        return best


def cylinder_index(tree: cKDTree, centre: ArrayLike, radius: float) -> Index:
    """Numbers of the points whose x and y lie within ``radius`` of the centre, ascending."""
    if tree.n == 0:
        return np.zeros(0, dtype=np.int64)
    return np.sort(np.asarray(tree.query_ball_point(np.asarray(centre)[:2], radius), dtype=np.int64))


def cylinder_grid(points: Floats, step: float) -> Floats:
    """Centres (K, 2) of the cells of edge ``step`` that hold a point: cylinders there cover all points if
    radius >= step / sqrt(2)."""
    cells = np.unique(np.floor(np.asarray(points)[:, :2] / step).astype(np.int64), axis=0)
    centres: Floats = (cells + 0.5) * step
    return centres
