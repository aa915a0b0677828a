"""The tensor part of the detector leaves as one graph of ordinary operators."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

pytest.importorskip('mmseg')

from tests.mm.segmentors.semantic_change_cases import make_detector


class Maps(nn.Module):
    """Images in, three maps of logits out."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> Any:
        """(N, 2 B, H, W) -> three maps."""
        return self.model.encode_decode(images)


def test_exported_graph_gives_the_same_maps() -> None:
    model = Maps(make_detector(backbone={'dims': (8, 16)})).eval()
    images, others = torch.randn(2, 1, 6, 12, 8).unbind()
    graph = torch.export.export(model, (images,)).module()
    with torch.no_grad():
        for own, exported in zip(model(others), graph(others)):
            assert torch.allclose(own, exported, atol=1e-4)


@pytest.mark.slow
def test_onnx_gives_the_same_maps(tmp_path) -> None:
    pytest.importorskip('onnxscript', reason='torch.onnx needs onnxscript')
    runtime = pytest.importorskip('onnxruntime', reason='onnxruntime runs the exported file')
    model = Maps(make_detector(backbone={'dims': (8, 16)})).eval()
    images, others = torch.randn(2, 1, 6, 12, 8).unbind()
    torch.onnx.export(model, (images,), str(tmp_path / 'model.onnx'), dynamo=True)
    session = runtime.InferenceSession(str(tmp_path / 'model.onnx'))
    found = session.run(None, {session.get_inputs()[0].name: others.numpy()})
    with torch.no_grad():
        for own, exported in zip(model(others), found):
            assert torch.allclose(own, torch.from_numpy(exported), atol=1e-4)
