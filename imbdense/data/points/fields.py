"""From the named columns of a file to a :class:`PointCloud`: which are coordinates, colours, labels, attributes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from imbdense.data.points.cloud import PointCloud
from imbdense.data.points.errors import PointReadError

Fields = Mapping[str, NDArray[Any]]
SEMANTIC_NAMES = (
    'semantic', 'classification', 'class', 'label', 'sem_class', 'label_ch', 'scalar_label', 'scalar_classification',
    'scalar_class',
)
"""Names that labels go by (without regard to case); another name is given as ``semantic=``."""
INSTANCE_NAMES = ('instance', 'instance_id', 'ins_class', 'scalar_instance')
COLOURS = (('red', 'green', 'blue'), ('r', 'g', 'b'))


class FieldSource(Protocol):
    """A file as named columns.

    Attributes:
        path: the file. names: every column, 'x', 'y', 'z' among them. usual: those that are read when nobody chooses.
        crs: coordinate system, where the file tells it.
    """

    path: Path
    names: tuple[str, ...]
    usual: tuple[str, ...]
    crs: str | None

    def chunks(self, names: Sequence[str], size: int | None) -> Iterator[Fields]:
        """Yield the named columns, ``size`` points at a time (``None`` = all at once)."""
        ...


@dataclass(frozen=True)
class Choice:
    """What to take from a file: attributes (``None`` = the usual ones) and the names of the label columns."""

    attributes: Sequence[str] | None = None
    semantic: str | None = None
    instance: str | None = None


@dataclass(frozen=True)
class Plan:
    """Which column becomes what; made once per file by :func:`make_plan`."""

    path: Path
    xyz: tuple[str, str, str]
    semantic: str | None
    instance: str | None
    rgb: tuple[str, str, str] | None
    nir: str | None
    others: tuple[str, ...]

    @property
    def colours(self) -> tuple[str, ...]:
        """Columns that share one colour depth."""
        return (*(self.rgb or ()), *((self.nir,) if self.nir else ()))

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that must be read."""
        labels = tuple(name for name in (self.semantic, self.instance) if name)
        return (*self.xyz, *labels, *self.colours, *self.others)


def make_plan(source: FieldSource, choice: Choice) -> Plan:
    """Decide which column becomes what.

    Raises:
        PointReadError: no coordinates, a chosen column that is not there, or two columns that may both be labels.
    """
    lower = {name.lower(): name for name in source.names}
    missing = [axis for axis in 'xyz' if axis not in lower]
    if missing:
        raise _fields_error(source, f'has no column {", ".join(missing)}')
    semantic = _label_column(source, lower, choice.semantic, SEMANTIC_NAMES, 'semantic')
    instance = _label_column(source, lower, choice.instance, INSTANCE_NAMES, 'instance')
    rgb = next((tuple(lower[name] for name in group) for group in COLOURS if all(n in lower for n in group)), None)
    nir = lower.get('nir')
    taken = {*(lower[axis] for axis in 'xyz'), semantic, instance, nir, *(rgb or ())}
    if choice.attributes is None:
        others = tuple(name for name in source.usual if name not in taken)
        return Plan(source.path, _triple(lower, 'xyz'), semantic, instance, _as_triple(rgb), nir, others)
    wanted = list(choice.attributes)
    lacking = [name for name in wanted if name not in source.names and not (name == 'rgb' and rgb)]
    if lacking:
        raise _fields_error(source, f'has no {", ".join(lacking)}')
    others = tuple(name for name in wanted if name not in ('rgb', 'nir'))
    return Plan(
        source.path, _triple(lower, 'xyz'), semantic, instance, _as_triple(rgb) if 'rgb' in wanted else None,
        nir if 'nir' in wanted else None, others,
    )


def assemble(plan: Plan, fields: Fields, crs: str | None, shift: int, first: int = 0) -> PointCloud:
    """Build the cloud of one chunk.

    Args:
        shift: how far colours are shifted right: 0 for 8 bit, 8 for 16 bit, -1 for fractions of one.
        first: number of the first point of the chunk in the file, for messages.
    """
    xyz = np.stack([np.asarray(fields[name], np.float64) for name in plan.xyz], axis=1)
    attributes: dict[str, NDArray[Any]] = {}
    if plan.rgb:
        attributes['rgb'] = np.stack([to_8_bit(fields[name], shift) for name in plan.rgb], axis=1)
    if plan.nir:
        attributes['nir'] = to_8_bit(fields[plan.nir], shift)
    for name in plan.others:
        values = np.asarray(fields[name])
        attributes[name] = values.astype(np.float32) if name.lower() == 'intensity' else values
    semantic = None if plan.semantic is None else to_labels(fields[plan.semantic], plan.path, plan.semantic)
    instance = None if plan.instance is None else to_labels(fields[plan.instance], plan.path, plan.instance)
    bad = np.flatnonzero(~np.isfinite(xyz).all(axis=1))
    if bad.size:
        raise PointReadError(
            plan.path, 'coordinates', f'{bad.size} of the {len(xyz)} points from {first} on have NaN or infinite '
            f'coordinates, the first is point {first + int(bad[0])} {xyz[bad[0]].tolist()}.', 'Remove these points.',
        )
    return PointCloud(xyz, attributes, semantic, instance, crs)


def to_labels(values: NDArray[Any], path: Path, name: str) -> NDArray[np.int64]:
    """Labels as int64: NaN (CloudCompare's "no value") and negative numbers become -1; fractions are an error."""
    values = np.asarray(values)
    if values.dtype.kind == 'f':
        empty = np.isnan(values)
        values = np.where(empty, -1, values)
        odd = np.flatnonzero(values != np.floor(values))
        if odd.size:
            raise PointReadError(
                path, 'labels', f'column {name!r} holds {values[odd[0]]} at point {odd[0]}, which is no class number.',
                'Name the column of the labels.',
            )
    return np.maximum(values.astype(np.int64), -1)


def colour_shift(path: Path, chunks: Iterable[Fields]) -> int:
    """How colours are stored in one file: 0 = 8 bit, 8 = 16 bit, -1 = fractions of one.

    LAS asks for 16 bit, but many files hold 8 bit. The rule, applied to the whole file: bytes are 8 bit; any value
    above 255 means 16 bit; otherwise the values are taken as 8 bit (also where all are 0: no colour was stored);
    numbers with a fraction, none above 1, are fractions of one. 16 bit becomes 8 by ``value >> 8``, which undoes both
    ways of scaling up (times 256 and times 257).

    Raises:
        PointReadError: colours below 0, above 65535, or above 1 with a fraction.
    """
    largest, fraction = 0.0, False
    for fields in chunks:
        for values in fields.values():
            if values.dtype == np.uint8 or not values.size:
                continue
            low, high = float(values.min()), float(values.max())
            if not (low >= 0 and high <= 65535):
                raise PointReadError(path, 'colours', f'colours reach from {low} to {high}.', 'Expected 0 to 65535.')
            largest = max(largest, high)
            fraction = fraction or (values.dtype.kind == 'f' and bool((values != np.floor(values)).any()))
        if largest > 255:
            break
    if fraction and largest > 1:
        raise PointReadError(
            path, 'colours', f'colours have fractions and reach {largest}.', 'Expected whole numbers, or 0 to 1.'
        )
    return -1 if fraction else 8 if largest > 255 else 0


def to_8_bit(values: NDArray[Any], shift: int) -> NDArray[np.uint8]:
    """Colours as bytes; ``shift`` as :func:`colour_shift` returns it."""
    values = np.asarray(values)
    if shift < 0:
        return np.rint(values * 255).astype(np.uint8)
    return (values.astype(np.uint16) >> shift).astype(np.uint8)


def _label_column(
    source: FieldSource, lower: Mapping[str, str], chosen: str | None, usual: Sequence[str], what: str
) -> str | None:
    """The column of labels: the chosen one, else the one that has a usual name, else none."""
    if chosen is not None:
        if chosen not in source.names:
            raise _fields_error(source, f'has no column {chosen!r} for {what} labels')
        return chosen
    found = [lower[name] for name in usual if name in lower]
    if len(found) > 1:
        raise _fields_error(source, f'has {" and ".join(found)}, which may both be {what} labels; name one ({what}=)')
    return found[0] if found else None


def _fields_error(source: FieldSource, problem: str) -> PointReadError:
    return PointReadError(source.path, 'fields', f'{problem}.', f'The file has the columns {", ".join(source.names)}.')


def _triple(lower: Mapping[str, str], axes: str) -> tuple[str, str, str]:
    first, second, third = (lower[axis] for axis in axes)
    return first, second, third


def _as_triple(names: tuple[str, ...] | None) -> tuple[str, str, str] | None:
    return None if names is None else (names[0], names[1], names[2])
