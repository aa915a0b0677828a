"""Registered optimizers, their wrappers and constructors."""

from imbdense.mm.optional import import_members

import_members(__name__, {'cpu_autocast': (), 'muon_adamw': (), 'muon_constructor': (), 'marked_constructor': ()})
