"""``imbdense.SlideInferenceHook``."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from torch import Tensor

from imbdense.core.inference.slide_mean import slide_mean
from imbdense.registry import HOOKS


@HOOKS.register_module()
class SlideInferenceHook(Hook):
    """Let a segmentor of the host slide its windows without padding each to the whole image.

    One line in ``custom_hooks`` of any config with ``test_cfg=dict(mode='slide', ...)``. While the model is validated
    or tested, its ``slide_inference`` is :func:`~imbdense.core.inference.slide_mean.slide_mean`: the same logits bit
    for bit, but work grows with the area of the image and not with its square. State: none. Ranks: each its own model.

    Raises:
        ValueError: the model has no ``slide_inference``.
    """

    card = 'raster_prediction'
    tasks = ('segmentation', 'change_detection')

    def before_val(self, runner: Any) -> None:
        """Put it in place."""
        self._install(runner)

    def before_test(self, runner: Any) -> None:
        """Put it in place."""
        self._install(runner)

    def after_val(self, runner: Any) -> None:
        """Take it away."""
        _segmentor(runner).__dict__.pop('slide_inference', None)

    def after_test(self, runner: Any) -> None:
        """Take it away."""
        self.after_val(runner)

    def _install(self, runner: Any) -> None:
        """Shadow the method on this instance; the class stays as it is."""
        model = _segmentor(runner)
        if not hasattr(model, 'slide_inference'):
            raise ValueError(f'SlideInferenceHook: {type(model).__name__} has no slide_inference; the hook is for '
                             f'segmentors of mmseg with test_cfg mode="slide".')
        # Not as an attribute of a module: a bound function is no parameter, buffer or child.
        object.__setattr__(model, 'slide_inference', lambda inputs, metas: slide_logits(model, inputs, metas))


def slide_logits(segmentor: Any, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
    """(N, K, H, W) mean logits of the windows of ``segmentor.test_cfg``, as its own ``slide_inference`` gives them."""

    def window(images: Tensor) -> Tensor:
        return segmentor.encode_decode(images, [{**meta, 'img_shape': images.shape[2:]} for meta in batch_img_metas])

    return slide_mean(window, inputs, segmentor.test_cfg['crop_size'], segmentor.test_cfg['stride'])


def _segmentor(runner: Any) -> Any:
    """The model without its wrappers."""
    model = runner.model
    return getattr(model, 'module', model)
