"""Segmentation of point clouds without labels, stage by stage (PointDC).

  imbdense pointdc CONFIG --work-dir work_dirs/pointdc                 all stages
  imbdense pointdc CONFIG --work-dir work_dirs/pointdc --stage features  one of them
  imbdense pointdc CONFIG --work-dir W --cfg-options stages.distill.train_cfg.max_epochs=20

features   features of the images that saw the points, as files, in the folder that imbdense.LoadFeatureVolume names
distill    the 3-D network learns them (cross-modal distillation); left out where the model has no `distill`
warmup     super-voxels are clustered, a classifier learns the clusters
iterate    they are clustered anew every few epochs, the classifier is the centroids

`feature_volume = dict(extractor=..., ...)` and `stages = dict(distill=dict(...), ...)` of CONFIG say how images are
looked at and what differs between the stages. Each stage starts from the weights of the one before.
WORK_DIR/<stage>-<hash> holds config, logs and checkpoints of a stage; the hash is that of its config and of the stages
before it. The same command goes on where it was stopped, and leaves alone what is finished. WORK_DIR/cmd.pth and
svc.pth are the weights after distillation and at the end, scores.json the scores of every stage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from imbdense.cli._explain import explained
from imbdense.cli._numbers import seed_number
from imbdense.cli._pointdc import STAGES, PointDCStages, table
from imbdense.cli._runner import add_config_arguments, load_config, set_work_dir
from imbdense.cli.main import UserError
from imbdense.cli.self_train import runner


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which config, which stage."""
    add_config_arguments(parser)
    parser.add_argument('--work-dir', help='folder of all stages (default: work_dirs/<name of the config>)')
    parser.add_argument('--stage', choices=('all', *STAGES), default='all', help='one stage; those before it must be '
                        'finished (all)')
    parser.add_argument('--seed', type=seed_number, default=0, help='of every training (0)')
    parser.add_argument('--processes', type=int, default=1, help='processes, one GPU each, on this machine (1)')


def run(args: argparse.Namespace) -> int:
    """The stages; 0 at the end."""
    if args.processes < 1:
        raise UserError('--processes must be at least 1.')
    config = load_config(args)
    if str(config.model.get('type')).rsplit('.', 1)[-1] != 'PointDCSegmentor':
        raise UserError(f'{args.config}: model.type must be imbdense.PointDCSegmentor, but is '
                        f'{config.model.get("type")}. Begin with configs/point_cloud/pointdc_clouds.py.')
    folder = set_work_dir(config, args)
    config.pop('work_dir')
    with explained(args.config, args.traceback):
        from imbdense.data.scene.partial import exclusive

        with exclusive(folder, 'is at work in') as lock:
            stages = PointDCStages(config, Path(folder), args.seed, runner(args.processes, lock))
            for name in stages.names if args.stage == 'all' else (args.stage,):
                stages.run(name)
    print(table(stages.scores()))
    return 0
