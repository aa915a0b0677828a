"""Speed against named peers, the demo run, and the proof on real data.

  imbdense benchmark speed [CASE ...]   ratios against the usual code, with equality and scaling checks
  imbdense benchmark demo               generate data, train plain and rebalanced, report
  imbdense benchmark proof              the comparison tables of the docs
  imbdense benchmark semi               a tenth of the labels: supervised, one threshold, class-balanced
  imbdense benchmark select             10, 20, 30 % of the images, chosen by different selectors
  imbdense benchmark points             point clouds: weights, balanced softmax, crops round rare classes
  imbdense benchmark imbalance          {sampling} x {loss} x {post hoc} x {imbalance ratio} x seeds
  imbdense benchmark ssl-curve CONFIG   semi-supervised training against its baseline at several label volumes
  imbdense benchmark prior-shift        FixMatch on pools in which the rare class is rarer, and what mends it
  imbdense benchmark adaptation         a detector across a domain shift: mean teacher against ReDB
  imbdense benchmark adaptation-3d      the same in LiDAR scenes: plain self-training against ReDB

`imbdense benchmark NAME --help` tells the options of each.
"""

from __future__ import annotations

PARTS = {
    'speed': 'imbdense.benchmark.speed',
    'demo': 'imbdense.benchmark.demo',
    'proof': 'imbdense.benchmark.proof',
    'semi': 'imbdense.benchmark.semi',
    'select': 'imbdense.benchmark.select',
    'change': 'imbdense.benchmark.change',
    'points': 'imbdense.benchmark.points',
    'imbalance': 'imbdense.benchmark.imbalance',
    'ssl-curve': 'imbdense.benchmark.ssl_curve',
    'prior-shift': 'imbdense.benchmark.prior_shift',
    'adaptation': 'imbdense.benchmark.adaptation',
    'adaptation-3d': 'imbdense.benchmark.adaptation_3d',
}
