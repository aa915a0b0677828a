"""Join the shards of a pool in the order of the images, a block at a time."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from imbdense.core.selection.streaming_pca import StreamingPCA
from imbdense.data.object_pool.layout import IDS, IMAGE_ARRAYS, META, OBJECT_ARRAYS, VERSION, PoolError
from imbdense.data.object_pool.records import Header, PoolImage
from imbdense.data.object_pool.shard import Shard
from imbdense.utils.files import FileWriteError, atomic_write_text

PCA_ROWS = 1024
Axes = tuple[NDArray[np.float32], NDArray[np.float32]]


def merge_shards(
    target: Path, image_ids: Sequence[str], shards: Sequence[Shard], meta: Mapping[str, Any], costs: bool, groups: bool
) -> None:
    """Write the pool ``target`` from shards that together hold every image.

    Images that failed are left out; ``meta['skipped']`` names them with the reason.

    Args:
        meta: see :class:`~imbdense.data.object_pool.writer.PoolWriter`. costs, groups: which image arrays to write.

    Raises:
        PoolError: images are missing, all failed, a record is damaged, or feature lengths differ. FileWriteError: the
            disk.
    """
    found: dict[int, Shard] = {}
    for shard in shards:  # the first that holds an image, but not where it failed and was read later
        found.update({image: shard for image in shard.places if image not in found or not found[image].done[image]})
    absent = [name for index, name in enumerate(image_ids) if index not in found]
    if absent:
        raise PoolError(f'{target.name} is incomplete: {len(absent)} of {len(image_ids)} images are missing, the first '
                        f'is {absent[0]}. Run the command that makes it again; it goes on where it stopped.')
    headers = {image: found[image].places[image][1] for image in range(len(image_ids))}
    kept = [image for image in headers if not headers[image].failed]
    if headers and not kept:
        raise PoolError(f'no image could be used, the first because of: {found[0].read(0)}. Mend the cause and run the '
                        f'same command again.')
    skipped = {image_ids[image]: str(found[image].read(image)) for image in headers if headers[image].failed}
    dims = _dims(headers, kept, image_ids)

    def stream() -> Iterator[PoolImage]:
        for image in kept:
            content = found[image].read(image)
            if isinstance(content, PoolImage):
                yield content

    axes = _axes(stream, dims, meta['pca_dim'])
    widths = [dim if own is None else own[1].shape[1] for dim, own in zip(dims, axes)]
    for broken in target.parent.glob(f'.{target.name}.tmp-*'):  # of a merge that was killed
        shutil.rmtree(broken, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f'.{target.name}.tmp-', dir=target.parent))
    try:
        objects = sum(headers[image].objects for image in kept)
        arrays = _Arrays(temporary, meta, objects, len(kept), widths, costs, groups)
        for number, content in enumerate(stream()):
            arrays.write(number, content, axes, bool(meta['normalized']))
        arrays.close()
        atomic_write_text(temporary / IDS, json.dumps([image_ids[image] for image in kept], indent=0) + '\n')
        record = {'version': VERSION, 'feature_dim': widths[0], **meta, 'images': len(kept), 'objects': objects,
                  'skipped': skipped}
        atomic_write_text(temporary / META, json.dumps(record, indent=1, ensure_ascii=False) + '\n')
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(temporary, 0o777 & ~mask)
        os.rename(temporary, target)
    except OSError as error:
        raise FileWriteError(f'cannot write {target}: {error.strerror or error}. Free some space and run the same '
                             f'command again; finished images are kept.') from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def prepared(feat: NDArray[Any], axes: Axes | None, normalize: bool) -> NDArray[np.float32]:
    """(n, D) features in float32 after projection and division by the L2 norm; zero rows stay zero."""
    rows = np.asarray(feat, np.float32)
    if axes is not None:
        rows = (rows - axes[0]) @ axes[1]
    if normalize and rows.size:
        with np.errstate(invalid='ignore', over='ignore'):
            norm = np.sqrt(np.einsum('nd,nd->n', rows, rows, dtype=np.float64))[:, None]
            rows = np.where(norm == 0, rows, rows / np.where(norm == 0, 1, norm)).astype(np.float32)
    return rows


class _Arrays:
    """The array files, written front to back; their lengths are known before."""

    def __init__(self, folder: Path, meta: Mapping[str, Any], objects: int, images: int, widths: Sequence[int],
                 costs: bool, groups: bool) -> None:  # fmt: skip
        self.dtype = np.dtype(meta['dtype']).newbyteorder('<')
        shapes: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {
            name: ((objects, 4) if name == 'obj_box' else (objects,), dtype) for name, dtype in OBJECT_ARRAYS.items()
        }
        shapes['obj_feat'] = ((objects, widths[0]), self.dtype)
        if widths[1]:
            shapes['img_feat'] = ((images, widths[1]), self.dtype)
        for name, wanted in (('img_cost', costs), ('img_group', groups)):
            if wanted:
                shapes[name] = ((images,), IMAGE_ARRAYS[name])
        self.handles: dict[str, BinaryIO] = {}
        self.dtypes = {name: dtype for name, (_, dtype) in shapes.items()}
        for name, (shape, dtype) in shapes.items():
            self.handles[name] = open(folder / f'{name}.npy', 'wb')  # noqa: SIM115 - held until close()
            facts = {'descr': np.lib.format.dtype_to_descr(dtype), 'fortran_order': False, 'shape': shape}
            np.lib.format.write_array_header_1_0(self.handles[name], facts)

    def write(self, number: int, content: PoolImage, axes: Sequence[Axes | None], normalize: bool) -> None:
        """Append one image."""
        values = {
            'obj_image': np.full(len(content), number), 'obj_class': content.klass, 'obj_score': content.score,
            'obj_box': content.box, 'obj_area': content.area, 'obj_feat': prepared(content.feat, axes[0], normalize),
            'img_feat': prepared(content.img_feat[None], axes[1], normalize), 'img_cost': np.array([content.cost]),
            'img_group': np.array([content.group]),
        }  # fmt: skip
        for name, handle in self.handles.items():
            with np.errstate(over='ignore'):
                handle.write(np.ascontiguousarray(values[name], self.dtypes[name]).tobytes())

    def close(self) -> None:
        """Flush to disk."""
        for handle in self.handles.values():
            handle.flush()
            os.fsync(handle.fileno())
            handle.close()


def _dims(headers: Mapping[int, Header], kept: Sequence[int], image_ids: Sequence[str]) -> tuple[int, int]:
    """(D, D') of all images."""
    dims = {(headers[image].dim, headers[image].img_dim): image for image in reversed(kept)}
    if len(dims) > 1:
        words = ', '.join(f'{image_ids[image]} {dim}' for dim, image in list(dims.items())[:3])
        raise PoolError(f'the feature lengths (objects, image) differ between images: {words}. All must come from the '
                        f'same layer.')
    return next(iter(dims), (0, 0))


def _axes(stream: Callable[[], Iterator[PoolImage]], dims: Sequence[int], components: int | None) -> list[Axes | None]:
    """Principal axes of the features of objects and of images; ``None`` where they stay as they are."""
    if components is None:
        return [None, None]
    found: list[Axes | None] = []
    for dim, name in zip(dims, ('feat', 'img_feat')):
        pca, waiting, rows = StreamingPCA(dim), [], 0
        for content in stream() if dim else ():
            waiting.append(np.atleast_2d(getattr(content, name)))
            rows += len(waiting[-1])
            if rows >= PCA_ROWS:  # a covariance per image would cost more than all the rest
                pca.add(np.concatenate(waiting))
                waiting, rows = [], 0
        if waiting:
            pca.add(np.concatenate(waiting))
        found.append(pca.axes(components) if dim else None)
    return found
