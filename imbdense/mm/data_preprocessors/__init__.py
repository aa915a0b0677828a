"""Registered data preprocessors."""

from imbdense.mm.optional import import_members

import_members(__name__, {'semi_data_pre_processor': (), 'views_data_pre_processor': ()})
