"""The selectors of the core, registered under their own names: they need nothing of the hosts."""
