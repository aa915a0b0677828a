"""Registered models that learn without labels, and their pretext tasks."""

from imbdense.mm.optional import import_members

import_members(__name__, {'ssp_pretrainer': (), 'tasks': ()})
