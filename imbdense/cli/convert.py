"""Make another checkpoint of a finished one, without training.

  imbdense convert tau-norm CONFIG CHECKPOINT --tau 0.7 --out normed.pth   a classifier with lengths that do not favour
  imbdense convert tau-norm CONFIG CHECKPOINT --search --out normed.pth    the frequent classes
  imbdense convert network CHECKPOINT --out plain.pth     the teacher (or student, or peer) of a semi-supervised
                                                          training, for the plain config

`imbdense convert NAME --help` tells the options of each.
"""

from __future__ import annotations

PARTS = {'tau-norm': 'imbdense.cli.convert_tau_norm', 'network': 'imbdense.cli.convert_network'}
