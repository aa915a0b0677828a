"""A short key of everything that counts depend on: annotations, transforms, assigners, anchors."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from imbdense.mm.dataset_wrappers import children, own_indices


def key_of(*parts: Any) -> str:
    """Return 16 hex digits of the content of ``parts`` (see :func:`content_of`)."""
    text = json.dumps([content_of(part) for part in parts], sort_keys=True)
    return hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:16]


def dataset_digest(dataset: Any) -> str:
    """Return a digest of the records of a data set (paths, sizes, boxes, labels), in the order a wrapper shows them."""
    digest = hashlib.sha256()
    for child in children(dataset):
        digest.update(dataset_digest(child).encode())
    if not children(dataset):
        if getattr(dataset, 'serialize_data', False) and hasattr(dataset, 'data_bytes'):
            digest.update(np.ascontiguousarray(dataset.data_bytes).data)
        else:
            digest.update(pickle.dumps([dataset.get_data_info(index) for index in range(len(dataset))], protocol=4))
    indices = own_indices(dataset)
    digest.update(b'' if indices is None else indices.tobytes())
    digest.update(json.dumps(content_of((getattr(dataset, 'metainfo', None) or {}).get('classes'))).encode())
    return digest.hexdigest()


def content_of(value: Any, inside: tuple[int, ...] = ()) -> Any:
    """Return ``value`` as plain data that is equal whenever the behaviour is: objects by class and attributes.

    Arrays and tensors become a digest of their bytes. Addresses, which differ in every process, are removed.

    Args:
        value: anything.
        inside: addresses of the objects that hold ``value``; one of them again is a cycle and ends there.
    """
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.ndarray, np.generic, torch.Tensor)):
        array = np.ascontiguousarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
        return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    if id(value) in inside:
        return type(value).__qualname__
    inside = (*inside, id(value))
    if isinstance(value, Mapping):
        return {str(key): content_of(item, inside) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [content_of(item, inside) for item in value]
        return sorted(items, key=json.dumps) if isinstance(value, (set, frozenset)) else items
    name = f'{type(value).__module__}.{type(value).__qualname__}'
    if hasattr(value, '__dict__') and not isinstance(value, type) and not callable_only(value):
        return [name, {key: content_of(item, inside) for key, item in sorted(vars(value).items())}]
    return [name, re.sub(r'0x[0-9a-fA-F]+', '0x', repr(value))]


def callable_only(value: Any) -> bool:
    """Whether ``value`` is a function or method, whose repr says more than its attributes."""
    return callable(value) and hasattr(value, '__name__')
