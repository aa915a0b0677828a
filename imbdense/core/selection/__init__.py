"""Which images to label: pools of objects, selectors, and the tools they share.

* :class:`ObjectPool` - what M images hold, as arrays; :class:`Selection` of :class:`Choice` - the result, with reasons;
* :class:`Selector` - the contract: budget, no duplicates, deterministic, incremental;
* :class:`OFDS` - by the objects in an image, rarest class first; :class:`KNNVerifier` - do the neighbours agree?
* :class:`StreamingPCA` - principal axes of more rows than fit into memory.
"""

from imbdense.core.selection.knn_verifier import KNNVerifier
from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.ofds import OFDS
from imbdense.core.selection.selection import Choice, Selection
from imbdense.core.selection.selector import Selector, Task
from imbdense.core.selection.streaming_pca import StreamingPCA

__all__ = [
    'OFDS', 'UNKNOWN_CLASS', 'Choice', 'KNNVerifier', 'ObjectPool', 'Selection', 'Selector', 'StreamingPCA', 'Task',
]
