"""Which images to label: pools of objects, selectors, and the tools they share.

* :class:`ObjectPool` - what M images hold, as arrays; :class:`Selection` of :class:`Choice` - the result, with reasons;
* :class:`Selector` - the contract: budget, no duplicates, deterministic, incremental;
* :class:`BinnedClusterSelector` - clusters, and bins by distance; :class:`ClusterLabeler` - names for whole clusters;
* :class:`StreamingPCA` - principal axes of more rows than fit into memory.
"""

from imbdense.core.selection.binned_cluster_selector import BinnedClusterSelector
from imbdense.core.selection.cluster_bins import ClusterBins, cluster_and_bin
from imbdense.core.selection.cluster_labeler import ClusterLabeler
from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.selection import Choice, Selection
from imbdense.core.selection.selector import Selector, Task
from imbdense.core.selection.streaming_pca import StreamingPCA

__all__ = [
    'UNKNOWN_CLASS',
    'BinnedClusterSelector',
    'Choice',
    'ClusterBins',
    'ClusterLabeler',
    'ObjectPool',
    'Selection',
    'Selector',
    'StreamingPCA',
    'Task',
    'cluster_and_bin',
]
