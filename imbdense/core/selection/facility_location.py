"""Facility location: chosen rows stand for all others."""

from __future__ import annotations

import math
from collections.abc import Iterator

from imbdense.core.checks import check_integer, check_number
from imbdense.core.selection.feature_selector import FeatureSelector, FeatureTable, Level, Pick
from imbdense.core.selection.lazy_greedy import lazy_greedy, stochastic_greedy
from imbdense.core.selection.neighbour_cover import NeighbourCover, neighbour_similarity


class FacilityLocation(FeatureSelector):
    """Choose rows so that every row has a similar one among them: maximise sum_i max_{j in S} s_ij, greedily.

    s_ij is the cosine, not below 0, for j among the ``k`` nearest neighbours of i, 1 for i itself, else 0. The greedy
    set has at least 1 - 1/e of the best value on this graph. Labelled rows are in S from the start. Gains are kept in
    a heap and computed anew only on top of it, which gives the same set as computing all of them.
    ``stochastic=True``: in each step only ceil((n / B) ln(1 / epsilon)) random rows are looked at
    (1 - 1/e - epsilon on average).

    Args:
        level, normalize: see :class:`FeatureSelector`; similarities are cosines in any case.
        k: neighbours of each row.
        stochastic, epsilon: see above.

    Time: nearest neighbours (2 n^2 D, or an inverted file of faiss beyond 200 000 rows), then about n k.
    Memory 16 n k bytes while the graph is made, 8 n k after.

    Source: Minoux 1978; Wei, Iyer & Bilmes, Submodularity in data subset selection and active learning, ICML 2015;
    Mirzasoleiman et al., AAAI 2015 (stochastic).
    """

    def __init__(
        self, level: Level = 'object', normalize: bool = True, k: int = 50, stochastic: bool = False,
        epsilon: float = 0.1,
    ) -> None:
        super().__init__(level, normalize)
        self.k = check_integer('k', k, low=1, owner='FacilityLocation')
        self.stochastic = stochastic
        self.epsilon = check_number('epsilon', epsilon, low=0.0, high=1.0, low_open=True, owner='FacilityLocation')

    @property
    def greedy(self) -> bool:
        """Each pick depends on those before it only; the stochastic form looks at the budget."""
        return not self.stochastic

    def objective(self, table: FeatureTable) -> NeighbourCover:
        """What the picks maximise, with the labelled rows in it."""
        cover = NeighbourCover(neighbour_similarity(table.features, self.k))
        for row in table.seeds.tolist():
            cover.add(row)
        return cover

    def order(self, table: FeatureTable) -> Iterator[Pick]:
        """See :class:`FeatureSelector`."""
        cover, free = self.objective(table), table.free
        if self.stochastic:
            size = max(1, math.ceil(len(free) / table.budget * math.log(1 / self.epsilon)))
            picks = stochastic_greedy(cover, free, size, table.task.rng)
        else:
            picks = lazy_greedy(cover, free)
        for row, gain in picks:
            yield Pick(row, gain, 'stands for')
