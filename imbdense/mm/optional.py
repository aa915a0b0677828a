"""Import the members of a room whose host is installed; leave out the others.

A user of mmseg alone must be able to use our losses although our detection metric needs mmdet. ``imbdense doctor``
says which hosts are missing.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io


def import_members(package: str, members: dict[str, tuple[str, ...]]) -> None:
    """Import ``package.<module>`` for every module whose required hosts are installed.

    What the hosts print while they are imported (which optional data sets they lack) is dropped: it would end up in
    the output of our commands, also where that is JSON.

    Args:
        package: the importing package (``__name__``).
        members: module name -> names of the host packages it needs, for example ``{'coco': ('mmdet',)}``.
    """
    for module, hosts in members.items():
        if all(importlib.util.find_spec(name) is not None for name in hosts):
            with contextlib.redirect_stdout(io.StringIO()):
                importlib.import_module(f'{package}.{module}')
