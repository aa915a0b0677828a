"""The verbs of the ``imbdense`` command, one module each."""
