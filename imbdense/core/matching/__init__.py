"""Which prediction answers for which target: matching of queries and of clusters, and assignments of set sizes."""

from imbdense.core.matching.clusters import match_centroids, match_clusters
from imbdense.core.matching.frequency import cap_matches, match_with_copies, matches_per_class
from imbdense.core.matching.sinkhorn import power_law_prior, sinkhorn_assign

__all__ = [
    'cap_matches',
    'match_centroids',
    'match_clusters',
    'match_with_copies',
    'matches_per_class',
    'power_law_prior',
    'sinkhorn_assign',
]
