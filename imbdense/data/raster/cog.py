"""The finished map: pieces joined into a cloud-optimised GeoTIFF with place, "no data", colours and class names."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from imbdense.data.raster.grid import Grid
from imbdense.data.raster.layout import BLOCK, Piece
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


def write_mosaic(pieces: Sequence[Piece], band: Band, grid: Grid, target: Path) -> None:
    """Write a virtual raster (VRT) over the pieces of a layer, which lie in or below the folder of ``target``.

    It holds all that the layer says about itself; class names are the band's metadata item ``CLASS_NAMES`` (a JSON
    list).
    """
    atomic_write_text(target, _mosaic(pieces, band, grid, target.parent))


def write_cog(mosaic: Path, target: Path) -> None:
    """Join a mosaic into ``target``, block by block; the file is whole or absent.

    Deflate, blocks of 512, nearest-neighbour overviews, BigTIFF where needed. The bytes depend on pixels and tags
    alone, not on the order in which the pieces were made.

    Raises:
        FileWriteError: the disk is full or the folder cannot be written.
    """
    from rasterio.errors import NotGeoreferencedWarning, RasterioError
    from rasterio.shutil import copy

    temporary = target.with_name(f'.{target.name}.tmp-{os.getpid()}')
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
                             f'command again: the finished units are kept in {mosaic.parent}.') from error


def _mosaic(pieces: Sequence[Piece], band: Band, grid: Grid, folder: Path) -> str:
    """The text of the virtual raster."""
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
    sources = [_source(piece, kind, folder) for piece in pieces]
    return '\n'.join([*head, *sources, '</VRTRasterBand>', '</VRTDataset>'])


def _source(piece: Piece, kind: str, folder: Path) -> str:
    """One piece in its place."""
    path, (top, bottom), (left, right) = piece
    height, width, name = bottom - top, right - left, path.relative_to(folder)
    return (
        f'<SimpleSource><SourceFilename relativeToVRT="1">{escape(str(name))}</SourceFilename>'
        '<SourceBand>1</SourceBand>'
        f'<SourceProperties RasterXSize="{width}" RasterYSize="{height}" DataType="{kind}" '
        f'BlockXSize="{BLOCK}" BlockYSize="{BLOCK}"/>'
        f'<SrcRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/>'
        f'<DstRect xOff="{left}" yOff="{top}" xSize="{width}" ySize="{height}"/></SimpleSource>'
    )


def _item(key: str, value: str) -> str:
    """One metadata item."""
    return f'<MDI key={quoteattr(key)}>{escape(value)}</MDI>'
