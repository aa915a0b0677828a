"""``python tools/train.py CONFIG ...`` = ``imbdense train CONFIG ...`` (for users of mmseg and mmdet)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from imbdense.cli.main import run_verb

if __name__ == '__main__':
    raise SystemExit(run_verb('train', sys.argv[1:]))
