"""Begin the schedules of a running training anew."""

from __future__ import annotations

from typing import Any

INITIAL = 'initial_'
"""The host keeps the value a schedule started from as ``initial_lr``, ``initial_momentum``, ..."""


def restart_schedules(runner: Any) -> None:
    """Build ``param_scheduler`` of the runner's config again, from the values it started with.

    Step numbers in the config then count from here. Weights and optimiser state stay. The new schedules are what the
    next checkpoint holds, so a resumed run goes on with them.
    """
    for group in runner.optim_wrapper.param_groups:
        for name in [key for key in group if key.startswith(INITIAL)]:
            group[name.removeprefix(INITIAL)] = group[name]
    runner.param_schedulers = runner.build_param_scheduler(runner.cfg.param_scheduler)
