"""Objects per image."""

import numpy as np

from imbdense.data.scan.instances import InstanceRecords


def records():
    """Three images, the second one empty."""
    return InstanceRecords.of_lists([[0, 2, 0], [], [1]], [[1.0, 5.0, 1000.0], [], [0.2]], ignored=4)


def test_counts_by_hand():
    counts = records().counts(['a', 'b', 'c'])
    assert counts.instances.tolist() == [2, 1, 1]
    assert counts.images.tolist() == [1, 1, 1]
    assert counts.num_images == 3
    assert counts.cooccurrence.tolist() == [[1, 0, 1], [0, 1, 0], [1, 0, 1]]
    assert counts.object_sizes[0, [0, 9]].tolist() == [1, 1]
    assert counts.object_sizes[1, 0] == 1
    assert counts.object_sizes[2, 2] == 1


def test_take_and_concat():
    twice = InstanceRecords.concat([records(), records().take([2, 0])])
    assert twice.table(3).totals.tolist() == [4, 2, 2]
    assert twice.table(3).empty_images.tolist() == [1]
    assert np.array_equal(records().take([0, 0]).klass, [0, 2, 0, 0, 2, 0])


def test_no_object_at_all():
    counts = InstanceRecords.of_lists([[], []], [[], []]).counts(['a'])
    assert counts.instances.tolist() == [0]
    assert counts.object_sizes.shape == (1, 1)
