"""Where in its training a model is, for models that change with it; the host tells only its hooks."""

from __future__ import annotations

from mmengine.logging import MessageHub


def run_position() -> tuple[int, int]:
    """(iteration, number of iterations) of the run; (0, 0) outside of one."""
    hub = MessageHub.get_current_instance()
    return int(hub.get_info('iter', 0) or 0), int(hub.get_info('max_iters', 0) or 0)


def share_of_run(step: int) -> float:
    """How much of the training is over after ``step`` iterations, in [0, 1]; 0 where nobody knows its length."""
    _, total = run_position()
    return min(step / total, 1.0) if total else 0.0
