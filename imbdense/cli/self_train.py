"""Self-training of a segmentor in rounds: train, label the unlabelled images, train anew on both, and so on.

  imbdense self-train CONFIG --unlabeled photos/ --work-dir work_dirs/rounds
  imbdense self-train CONFIG --unlabeled photos/ --work-dir W --rounds 4 --rule class-balanced --mine-rare
  imbdense self-train CONFIG --unlabeled photos/ --work-dir W --logit-adjust-tau 1 --weight 0.5

Round 0 is the training of CONFIG as it is. Every further round labels with the model before it (`imbdense
pseudo-label`) and trains from scratch on the labels and the pseudo-labels together. WORK_DIR/round_N holds config.py,
train/ (checkpoints, logs), pseudo/ (label maps and their report) and round.json; rounds.json holds the table. The same
command goes on where it was stopped, also after kill -9: finished rounds are kept, a training resumes from its last
checkpoint. More --rounds may be asked for later.

With --rule class-balanced the share that is kept grows from round to round (CBST: 20 % to 50 % by 5 %).
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from imbdense.cli._device import add_device_argument
from imbdense.cli._explain import explained
from imbdense.cli._numbers import number, positive_share, seed_number, share
from imbdense.cli._point_configs import refuse_points
from imbdense.cli._runner import add_config_arguments, load_config, set_work_dir
from imbdense.cli._self_training import Plan, Rounds, round_table
from imbdense.cli.main import UserError
from imbdense.cli.pseudo_label import RULES, listed_images

PASSED = ('threshold', 'alpha_min', 'logit_adjust_tau', 'device')
"""Arguments that `imbdense pseudo-label` has as well."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to train, on what, how often."""
    add_config_arguments(parser)
    parser.add_argument('--unlabeled', nargs='+', type=Path, required=True, metavar='PATH',
                        help='folders (searched recursively), image files, or .txt lists with one path per line')
    parser.add_argument('--work-dir', help='folder of all rounds (default: work_dirs/<name of the config>)')
    parser.add_argument('--rounds', type=int, default=1, help='rounds after the base (1)')
    parser.add_argument('--seed', type=seed_number, default=0, help='of every training (0)')
    parser.add_argument('--processes', type=int, default=1, help='processes, one GPU each, on this machine (1)')
    add_device_argument(parser, of='of the labelling, ')
    rule = parser.add_argument_group('which predictions become labels')
    rule.add_argument('--rule', choices=RULES, default='class-adaptive', help='see `imbdense pseudo-label --help`')
    rule.add_argument('--threshold', type=share, nargs='+', default=[0.9], metavar='P',
                      help='fixed: one, or one per class (0.9); 0 keeps every pixel')
    rule.add_argument('--portion', type=positive_share, default=0.2, help='class-balanced: share of round 1 (0.2)')
    rule.add_argument('--portion-step', type=share, default=0.05, help='class-balanced: more of it a round (0.05)')
    rule.add_argument('--portion-end', type=positive_share, default=0.5, help='class-balanced: largest share (0.5)')
    rule.add_argument('--alpha-min', type=share, default=0.3, help='class-adaptive: share of the largest class (0.3)')
    rule.add_argument('--logit-adjust-tau', type=number(0), default=0.0, metavar='TAU', help='correct the class prior '
                      'of the model before it labels, with this strength (0; 1 under heavy imbalance)')
    union = parser.add_argument_group('how they are learned')
    union.add_argument('--weight', type=number(0), default=1.0, help='loss weight of a pseudo-labelled pixel (1)')
    union.add_argument('--by-confidence', action='store_true', help='multiply it with the confidence of the pixel')
    union.add_argument('--counts', choices=('merged', 'labelled'), default='merged', help='class counts for losses and '
                       'samplers: with the kept pseudo-labels, or without (merged)')
    union.add_argument('--ratio', type=number(0), nargs=2, default=(1.0, 1.0), metavar=('L', 'U'),
                       help='labelled and unlabelled parts of a batch (1 1)')
    union.add_argument('--mine-rare', action='store_true', help='draw crops around the classes that are predicted on '
                       'less than .1 %% of the pixels, and at least around the three rarest')
    union.add_argument('--mine-rate', type=share, default=0.8, help='share of such crops (0.8)')


def run(args: argparse.Namespace) -> int:
    """All rounds; 0 at the end, 1 when images were left out as broken, 130 when it was interrupted."""
    if args.rounds < 1 or args.processes < 1:
        raise UserError('--rounds and --processes must be at least 1.')
    config = load_config(args)
    refuse_points(config, 'self-train')
    folder = set_work_dir(config, args)
    config.pop('work_dir')  # each round has its own, and the folder may be moved
    images = listed_images(args.unlabeled, folder)
    with explained(args.config, args.traceback):
        from imbdense.data.pseudo import claim_folder
        from imbdense.data.scene.partial import exclusive
        from imbdense.mm.pseudo_label.outputs import images_fingerprint
        from imbdense.mm.pseudo_label.union import UnionOptions

        plan = Plan(config, images, args.rounds, _shares(args), _passed(args), args.mine_rare, args.seed,
                    UnionOptions(args.weight, args.by_confidence, args.counts, tuple(args.ratio), args.mine_rate))
        with exclusive(folder, 'is at work in') as lock:
            rounds = Rounds(plan, folder, runner(args.processes, lock))
            rounds.check()
            claim_folder(folder, {
                'config': hashlib.sha256(config.pretty_text.encode()).hexdigest()[:16],
                'images': images_fingerprint(images), **plan.identity(),
            }, 'self-training rounds', '--work-dir')  # fmt: skip
            code = rounds.run()
    print(round_table(rounds.records))
    print(f'\n{folder / "rounds.json"} holds the table; the last model is {rounds.records[-1]["checkpoint"]}')
    return code


def runner(processes: int, lock: int) -> Callable[[Sequence[str]], int]:
    """Runs an ``imbdense`` verb as a process of its own (or several) and gives its exit code.

    The children hold the lock of the work dir too: when this process is killed and one of them goes on, the same
    command does not start a second one beside it.
    """
    launch = [sys.executable, '-m']
    if processes > 1:
        launch += ['torch.distributed.run', '--standalone', '--nproc_per_node', str(processes), '-m']

    def execute(arguments: Sequence[str]) -> int:
        process = subprocess.Popen([*launch, 'imbdense', *arguments], pass_fds=(lock,))
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()  # Ctrl-C has reached it too; it saves a checkpoint
            raise

    return execute


def _shares(args: argparse.Namespace) -> Callable[[int], float | None]:
    """The share of each class that round r keeps; ``None`` where the rule has no schedule.

    Raises:
        UserError: numbers that are no schedule.
    """
    start, step, end = args.portion, args.portion_step, args.portion_end
    if not (0 < start <= end <= 1 and step >= 0):
        raise UserError(f'--portion {start} --portion-step {step} --portion-end {end} is no schedule: it takes 0 < '
                        f'portion <= end <= 1 and a step >= 0.')
    if args.rule != 'class-balanced':
        return lambda number: None
    return lambda number: min(end, start + step * (number - 1))


def _passed(args: argparse.Namespace) -> list[str]:
    """The flags that go on to `imbdense pseudo-label`."""
    flags = ['--rule', args.rule]
    for name in PASSED:
        value: Any = getattr(args, name)
        if value is not None:
            values = value if isinstance(value, list) else [value]
            flags += [f'--{name.replace("_", "-")}', *map(str, values)]
    return flags
