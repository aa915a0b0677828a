"""The finished map: units joined into a cloud-optimised GeoTIFF with place, "no data", colours and class names."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from imbdense.data.raster.grid import Grid
from imbdense.data.raster.layout import BLOCK
from imbdense.data.raster.unit_store import UnitStore
from imbdense.utils.files import FileWriteError, atomic_write_text

GDAL_TYPES = {'uint8': 'Byte', 'uint16': 'UInt16'}


@dataclass(frozen=True)
class Band:
    """What a written layer says about itself.

    Attributes:
        name: of the layer. dtype: 'uint8' or 'uint16'. nodata: its value for "no data".
        classes, colours: name and (r, g, b) per value, where values are classes.
        tags: further metadata of the file (text).
    """

    name: str
    dtype: str
    nodata: int
    classes: Sequence[str] = ()
    colours: Sequence[tuple[int, int, int]] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


def write_cog(store: UnitStore, band: Band, grid: Grid, target: Path) -> None:
    """Join the units of a layer into ``target``, block by block; the file is whole or absent.

    Deflate, blocks of 512, nearest-neighbour overviews, BigTIFF where needed. Class names are the band's metadata item
    ``CLASS_NAMES`` (a JSON list). The bytes depend on pixels and tags alone, not on the order in which units were made.

    Raises:
        FileWriteError: the disk is full or the folder cannot be written.
    """
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.shutil import copy

    mosaic, temporary = store.folder / f'{band.name}.vrt', target.with_name(f'.{target.name}.tmp-{os.getpid()}')
    atomic_write_text(mosaic, _mosaic(store, band, grid))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', NotGeoreferencedWarning)
            copy(
                str(mosaic), str(temporary), driver='COG', compress='DEFLATE', predictor='YES', blocksize=BLOCK,
                bigtiff='IF_SAFER', overview_resampling='NEAREST', overviews='AUTO', num_threads='1',
            )  # fmt: skip
        os.replace(temporary, target)
    except (RasterioError, OSError) as error:
        temporary.unlink(missing_ok=True)
        raise FileWriteError(f'cannot write {target} ({error.__cause__ or error}). Free some space and run the same '
                             f'command again: the finished units are kept in {store.folder}.') from error


def _mosaic(store: UnitStore, band: Band, grid: Grid) -> str:
    """A virtual raster over all units."""
    kind = GDAL_TYPES[band.dtype]
    head = [f'<VRTDataset rasterXSize="{grid.width}" rasterYSize="{grid.height}">']
    if grid.crs is not None:
        head.append(f'<SRS dataAxisToSRSAxisMapping="1,2">{escape(grid.crs.to_wkt())}</SRS>')
    if not grid.transform.is_identity:
        head.append('<GeoTransform>' + ', '.join(repr(float(term)) for term in grid.transform.to_gdal())
                    + '</GeoTransform>')
    head.append('<Metadata>' + ''.join(_item(key, value) for key, value in sorted(band.tags.items())) + '</Metadata>')
    head.append(f'<VRTRasterBand dataType="{kind}" band="1"><Description>{escape(band.name)}</Description>')
    names = {'CLASS_NAMES': json.dumps(list(band.classes))} if band.classes else {}
    head.append('<Metadata>' + ''.join(_item(key, value) for key, value in names.items()) + '</Metadata>')
    head.append(f'<NoDataValue>{band.nodata}</NoDataValue>')
    if band.colours:
        colours = {value: (*colour, 255) for value, colour in enumerate(band.colours)} | {band.nodata: (0, 0, 0, 0)}
        entries = [colours.get(value, (0, 0, 0, 255)) for value in range(band.nodata + 1)]
        head.append('<ColorInterp>Palette</ColorInterp><ColorTable>' + ''.join(
            '<Entry c1="{}" c2="{}" c3="{}" c4="{}"/>'.format(*entry) for entry in entries
        ) + '</ColorTable>')
    sources = [_source(store, band, *unit) for unit in store.layout.units()]
    return '\n'.join([*head, *sources, '</VRTRasterBand>', '</VRTDataset>'])


def _source(store: UnitStore, band: Band, panel: int, number: int) -> str:
    """One unit in its place."""
    (top, bottom), (left, right) = store.layout.rows(number), store.layout.columns(panel)
    height, width = bottom - top, right - left
    name = store.path(band.name, panel, number).relative_to(store.folder)
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(str(name))}</SourceFilename>'
        '<SourceBand>1</SourceBand>'
        f'<SourceProperties RasterXSize="{width}" RasterYSize="{height}" DataType="{GDAL_TYPES[band.dtype]}" '
        f'BlockXSize="{BLOCK}" BlockYSize="{BLOCK}"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{left}" yOff="{top}" xSize="{width}" ySize="{height}"/></SimpleSource>'
    )


def _item(key: str, value: str) -> str:
    """One metadata item."""
    return f'<MDI key={quoteattr(key)}>{escape(value)}</MDI>'
