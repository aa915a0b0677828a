"""Selections on disk: ``selection.json``, lists of image names, and subsets of annotations."""

from imbdense.data.selection.apply import apply_selection
from imbdense.data.selection.names import match_names, read_names
from imbdense.data.selection.selection_file import SelectionError, read_selection, selection_record

__all__ = ['SelectionError', 'apply_selection', 'match_names', 'read_names', 'read_selection', 'selection_record']
