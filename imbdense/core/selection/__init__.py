"""Which images to label: pools of objects, selectors, and the tools they share.

* :class:`ObjectPool` - what M images hold, as arrays; :class:`Selection` of :class:`Choice` - the result, with reasons;
* :class:`Selector` - the contract: budget, no duplicates, deterministic, incremental;
* :class:`FeatureSelector` - its part for methods that order rows of features.

Selectors: :class:`RandomSelector`, :class:`StratifiedSelector` (classes only); :class:`KMeansSelector`,
:class:`TypiClust`, :class:`ProbCover`, :class:`FacilityLocation` (what is typical); :class:`KCenterGreedy`,
:class:`FreeSel` (what is missing); :class:`BinnedClusterSelector` (clusters and distance bins); :class:`ZCore`
(scores); :class:`CostAware` (minutes); :class:`OFDS` (objects, rarest class first, after :class:`KNNVerifier` asked
their neighbours).

Tools, for tables that need not fit in memory: :class:`FeatureRows`, :func:`kmeans`, :class:`SphericalKMeans`,
:func:`nearest_neighbours`, :class:`StreamingPCA`. Naming: :func:`cluster_and_bin`, :class:`ClusterLabeler`.
"""

from imbdense.core.selection.binned_cluster_selector import BinnedClusterSelector
from imbdense.core.selection.cluster_bins import ClusterBins, cluster_and_bin
from imbdense.core.selection.cluster_labeler import ClusterLabeler
from imbdense.core.selection.cost_aware import CostAware
from imbdense.core.selection.facility_location import FacilityLocation
from imbdense.core.selection.feature_rows import FeatureRows
from imbdense.core.selection.feature_selector import FeatureSelector
from imbdense.core.selection.free_sel import FreeSel
from imbdense.core.selection.k_center_greedy import KCenterGreedy
from imbdense.core.selection.kmeans import KMeansResult, kmeans
from imbdense.core.selection.kmeans_selector import KMeansSelector
from imbdense.core.selection.knn import nearest_neighbours
from imbdense.core.selection.knn_verifier import KNNVerifier
from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.ofds import OFDS
from imbdense.core.selection.prob_cover import ProbCover
from imbdense.core.selection.random_selector import RandomSelector
from imbdense.core.selection.selection import Choice, Selection
from imbdense.core.selection.selector import Selector, Task
from imbdense.core.selection.spherical_kmeans import SphericalKMeans, TooFewRowsError
from imbdense.core.selection.stratified import StratifiedSelector
from imbdense.core.selection.streaming_pca import StreamingPCA
from imbdense.core.selection.typiclust import TypiClust
from imbdense.core.selection.zcore import ZCore

__all__ = [
    'OFDS',
    'UNKNOWN_CLASS',
    'BinnedClusterSelector',
    'Choice',
    'ClusterBins',
    'ClusterLabeler',
    'CostAware',
    'FacilityLocation',
    'FeatureRows',
    'FeatureSelector',
    'FreeSel',
    'KCenterGreedy',
    'KMeansResult',
    'KMeansSelector',
    'KNNVerifier',
    'ObjectPool',
    'ProbCover',
    'RandomSelector',
    'Selection',
    'Selector',
    'SphericalKMeans',
    'StratifiedSelector',
    'StreamingPCA',
    'Task',
    'TooFewRowsError',
    'TypiClust',
    'ZCore',
    'cluster_and_bin',
    'kmeans',
    'nearest_neighbours',
]
