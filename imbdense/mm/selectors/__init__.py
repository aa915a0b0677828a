"""The selectors of the core, registered under their own names: they need nothing of the hosts."""

from imbdense.mm.optional import import_members

import_members(__name__, {'ofds': ()})
