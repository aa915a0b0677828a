"""Checks of a split of LiDAR scenes with boxes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from imbdense.data.boxes3d import KittiError, read_velodyne
from imbdense.data.checks.detection import object_findings
from imbdense.data.checks.splits import BoxSplit
from imbdense.data.finding import Finding


def box_findings(split: BoxSplit, *, progress: Callable[[str], None] = lambda text: None) -> list[Finding]:
    """Scans that cannot be read (errors), no object at all, classes without an object, scenes without one."""
    progress(f'{split.name}: looking at {len(split.images)} scans')
    found = list(split.findings) + object_findings(split)
    for scan in split.images:
        try:
            read_velodyne(scan)
        except KittiError as error:
            found.append(Finding('error', 'unreadable', scan, str(error), 'Copy it anew, or take it out of ImageSets.'))
    return [replace(finding, split=split.name) for finding in found]
