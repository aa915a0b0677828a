"""``imbdense.DecoupledStage2Hook``."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Literal

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from torch import Tensor, nn

from imbdense.core.checks import check_choice
from imbdense.mm.freezing import frozen_norms, set_learning, unwrapped
from imbdense.registry import HOOKS

NAME = 'DecoupledStage2Hook'
SCALE = 'class_scale'
CHECKPOINT_KEY = 'imbdense_class_scale'


@HOOKS.register_module()
class DecoupledStage2Hook(Hook):
    """Train only the classifier of a model that is trained already: second stage of decoupled training (cRT, LWS).

    Stage 1 is an ordinary training; its checkpoint is the ``load_from`` of stage 2, which usually draws class-balanced
    (``BalancedClassSampler``) and takes about a tenth of the iterations.

    * ``mode='crt'``: the classifier starts again from its initialisation, and learns.
    * ``mode='lws'``: the classifier stays; only a factor s_c per class learns, z_c = s_c (w_c x + b_c), from s = 1. The
      factor scales the bias too. Checkpoints hold the product s_c w_c, s_c b_c in the place of w_c, b_c, so they are
      those of an ordinary model: no hook is needed to test them. The parts lie beside it, for resuming.

    Everything else is frozen, and the optimiser holds the parameters that learn and no other. On several ranks the
    model is wrapped anew. Resuming goes on with what was learned and does not initialise again.

    Args:
        mode: 'crt' or 'lws'.
        trainable: names of the classifier modules: ``decode_head.conv_seg`` of mmseg, ``roi_head.bbox_head.fc_cls`` of
            mmdet. For 'lws' each is a Linear or a convolution with one output per class.
        reinit: whether the classifier starts anew; ``None`` = yes for 'crt', no for 'lws'.
        freeze_bn: keep the running statistics of frozen normalisation layers. The reference code lets them move.

    Raises:
        ValueError: unknown mode; before training when a module is not there or of the wrong kind, nothing was loaded,
            or there are several optimisers.

    Source: Kang et al., Decoupling Representation and Classifier for Long-Tailed Recognition, ICLR 2020.
    """

    card = 'decoupled_training'
    tasks = ('segmentation', 'detection', 'points', 'volumes')
    priority = 'VERY_HIGH'

    def __init__(
        self,
        mode: Literal['crt', 'lws'] = 'crt',
        trainable: Sequence[str] = ('decode_head.conv_seg',),
        reinit: bool | None = None,
        freeze_bn: bool = True,
    ) -> None:
        self.mode = check_choice('mode', mode, ('crt', 'lws'), owner=NAME)
        self.trainable = (trainable,) if isinstance(trainable, str) else tuple(trainable)
        self.reinit = self.mode == 'crt' if reinit is None else bool(reinit)
        self.freeze_bn = bool(freeze_bn)
        self._classifiers: dict[str, nn.Module] = {}
        self._fresh: dict[str, Tensor] | None = None
        self._norms: list[nn.Module] = []

    def before_run(self, runner: Any) -> None:
        """Freeze, add the factors, and leave only what learns in the optimiser. In a test run: nothing."""
        if isinstance(runner.optim_wrapper, dict) or runner.optim_wrapper is None:
            return
        if not isinstance(runner.optim_wrapper, OptimWrapper):
            raise ValueError(f'{NAME}: works with one optimiser, not with {type(runner.optim_wrapper).__name__}.')
        model = unwrapped(runner.model)
        self._classifiers = {name: find_classifier(model, name, self.mode) for name in self.trainable}
        groups = runner.optim_wrapper.optimizer.param_groups
        if self.mode == 'lws':
            for module in self._classifiers.values():
                _group_of(module.weight, groups)['params'].append(add_class_scale(module))
        learning = {
            f'{name}.{own}'
            for name, module in self._classifiers.items()
            for own, _ in module.named_parameters()
            if self.mode == 'crt' or own == SCALE
        }
        set_learning(runner, learning)
        for group in groups:  # emptied groups stay, schedulers count them
            group['params'] = [parameter for parameter in group['params'] if parameter.requires_grad]
        if self.freeze_bn:
            self._norms = frozen_norms(model)

    def after_load_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Keep the fresh classifier, which the weights are about to replace; take factors apart from the weights."""
        if not self._classifiers:
            return
        self._fresh = {
            f'{name}.{own}': value.detach().clone()
            for name, module in self._classifiers.items()
            for own, value in module.named_parameters()
        }
        if self.mode == 'lws':
            checkpoint['state_dict'].update(checkpoint.get(CHECKPOINT_KEY, {}))

    def before_train(self, runner: Any) -> None:
        """Start the classifier anew, unless the run is resumed."""
        if self._fresh is None:
            raise ValueError(f'{NAME}: no model was loaded. Set load_from to the checkpoint of the first stage.')
        if not self.reinit or runner.iter > 0 or runner.epoch > 0:
            return
        with torch.no_grad():
            for name, module in self._classifiers.items():
                for own, parameter in module.named_parameters():
                    parameter.copy_(self._fresh[f'{name}.{own}'])

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Put frozen normalisation layers, which the loop has put into train mode, back."""
        for module in self._norms:
            module.eval()

    def before_save_checkpoint(self, runner: Any, checkpoint: dict[str, Any]) -> None:
        """Multiply the factors into the saved weights, and keep the parts for resuming."""
        if self.mode != 'lws' or not self._classifiers:
            return
        state, parts = checkpoint['state_dict'], {}
        for name in self._classifiers:
            scale = parts[f'{name}.{SCALE}'] = state.pop(f'{name}.{SCALE}')
            for own in ('weight', 'bias'):
                value = state.get(f'{name}.{own}')
                if value is not None:
                    parts[f'{name}.{own}'] = value
                    state[f'{name}.{own}'] = value * scale.view(-1, *(1,) * (value.ndim - 1))
        checkpoint[CHECKPOINT_KEY] = parts


def find_classifier(model: nn.Module, name: str, mode: str) -> nn.Module:
    """Return the module ``name`` of ``model``.

    Raises:
        ValueError: it is not there (near names are listed), has no parameters, or, for 'lws', is no Linear and no
            convolution.
    """
    modules = dict(model.named_modules())
    layers = [key for key, module in modules.items() if isinstance(module, (nn.Linear, nn.modules.conv._ConvNd))]
    if name in layers or (mode == 'crt' and name in modules and any(True for _ in modules[name].parameters())):
        return modules[name]
    near = difflib.get_close_matches(name, layers, n=3, cutoff=0.3)
    what = f'is a {type(modules[name]).__name__}' if name in modules else 'is not in the model'
    raise ValueError(f"{NAME}: '{name}' {what}; trainable must name layers that classify, for example {near}.")


def add_class_scale(classifier: nn.Module) -> nn.Parameter:
    """Give a classifier a learned factor per output, (C,) ones, that multiplies what it returns; return the factor."""
    scale = nn.Parameter(classifier.weight.detach().new_ones(classifier.weight.shape[0]))
    classifier.register_parameter(SCALE, scale)
    classifier.register_forward_hook(_scaled)
    return scale


def _scaled(classifier: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    """Forward hook: classes are the last dimension of a Linear, the second of a convolution."""
    scale = getattr(classifier, SCALE)
    if isinstance(classifier, nn.Linear):
        return output * scale
    return output * scale.view(-1, *(1,) * (classifier.weight.ndim - 2))


def _group_of(parameter: nn.Parameter, groups: list[dict[str, Any]]) -> dict[str, Any]:
    """The parameter group that holds ``parameter``; the first when none does (it was frozen)."""
    for group in groups:
        if any(member is parameter for member in group['params']):
            return group
    return groups[0]
