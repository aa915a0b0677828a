"""Object pools on disk: the folder, its reader, and the resumable writer."""

from imbdense.data.object_pool.layout import PoolError
from imbdense.data.object_pool.precomputed import add_precomputed, open_features
from imbdense.data.object_pool.reader import open_pool
from imbdense.data.object_pool.records import PoolImage
from imbdense.data.object_pool.writer import PoolWriter

__all__ = ['PoolError', 'PoolImage', 'PoolWriter', 'add_precomputed', 'open_features', 'open_pool']
