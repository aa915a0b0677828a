"""`python datasets/prepare.py NAME SOURCE --out DIR` = `imbdense prepare ...`; see README.md here."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from imbdense.cli.main import main

if __name__ == '__main__':
    raise SystemExit(main(['prepare', *sys.argv[1:]]))
