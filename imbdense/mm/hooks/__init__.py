"""Registered hooks."""

from imbdense.mm.optional import import_members

import_members(
    __name__,
    {
        'atomic_checkpoint_hook': (),
        'exact_resume_hook': (),
        'graceful_stop_hook': (),
        'nan_guard_hook': (),
        'rich_progress_hook': (),
    },
)
