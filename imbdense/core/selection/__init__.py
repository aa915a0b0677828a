"""Which images to label: pools of objects, selectors, and the tools they share.

* :class:`ObjectPool` - what M images hold, as arrays; :class:`Selection` of :class:`Choice` - the result, with reasons;
* :class:`Selector` - the contract: budget, no duplicates, deterministic, incremental.
"""

from imbdense.core.selection.object_pool import UNKNOWN_CLASS, ObjectPool
from imbdense.core.selection.selection import Choice, Selection
from imbdense.core.selection.selector import Selector, Task

__all__ = ['UNKNOWN_CLASS', 'Choice', 'ObjectPool', 'Selection', 'Selector', 'Task']
