"""Choose images to label, by the objects in them.

  imbdense select pool CONFIG CKPT --images photos/ --source pred --out pool      objects and features of all images
  imbdense select run selector.py --pool pool --budget 200 --out sel.json         choose 200 of them
  imbdense select apply sel.json --ann annotations.json --out subset.json         the annotations of the chosen ones
  imbdense select report sel.json --pool pool --images photos/ --out sel.html     what was chosen, and why
  imbdense select next pool --labelled batch.json                                 what more minutes of labelling buy
  imbdense select autolabel proposals.json --out autolabels                       labels of a model, to pre-train on
  imbdense select stages STAGE1 STAGE2 --work-dir runs/two_stages                 pre-train, then fine-tune

Each part has its own --help.
"""

from __future__ import annotations

PARTS = {
    'pool': 'imbdense.cli.select_pool',
    'run': 'imbdense.cli.select_run',
    'apply': 'imbdense.cli.select_apply',
    'report': 'imbdense.cli.select_report',
    'next': 'imbdense.cli.select_next',
    'autolabel': 'imbdense.cli.select_autolabel',
    'stages': 'imbdense.cli.select_stages',
}
