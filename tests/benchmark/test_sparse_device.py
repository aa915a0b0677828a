"""The comparison of devices runs on a machine without an accelerator, too."""

from __future__ import annotations

from imbdense.benchmark.sparse_device import compare


def test_the_cpu_against_itself() -> None:
    found = compare('cpu', voxels=300, base_channels=4)
    assert found['max_difference'] == 0.0 and found['same_bits']
    assert set(found['seconds']) == {'cpu', 'float32', 'bfloat16'}
    assert isinstance(found['spconv'], str)  # absent, or no gradients on a CPU: either way it says so
