"""Registered autoencoders: models that learn features from images without labels."""

from imbdense.mm.optional import import_members

import_members(__name__, {'conv_auto_encoder': ()})
