"""``python -m imbdense`` is the ``imbdense`` command."""

from imbdense.cli.main import main

raise SystemExit(main())
