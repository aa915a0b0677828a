"""``python tools/predict.py`` = ``imbdense predict``: run a model on images or folders."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from imbdense.cli.main import run_verb

if __name__ == '__main__':
    raise SystemExit(run_verb('predict', sys.argv[1:]))
