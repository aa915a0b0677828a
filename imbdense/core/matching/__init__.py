"""Which prediction answers for which target: matching of queries."""

from imbdense.core.matching.frequency import cap_matches, match_with_copies, matches_per_class

__all__ = ['cap_matches', 'match_with_copies', 'matches_per_class']
