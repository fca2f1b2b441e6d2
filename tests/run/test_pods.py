"""The prediction of an update on many chips: its terms by hand, and what follows from them."""

import pytest

from diffenc.errors import InputError
from diffenc.run import pods

CHIP = pods.Chip(flops=1000.0, memory_rate=100.0, link_rate=10.0, per_host=4)
WORK = pods.UpdateWork(example_flops=50.0, state_bytes=20.0, summed_bytes=8.0)


def test_the_parts_of_an_update():
    assert pods.times(WORK, CHIP, 1, 80) == pods.Times(4.0, 0.4, 0.0, 0.0)
    assert pods.times(WORK, CHIP, 8, 80, dispatch=0.5) == pods.Times(0.5, 0.4, 1.4, 0.5)
    assert pods.times(WORK, CHIP, 4, 80, dispatch=0.5).dispatch == 0, "one host, one process"


def test_speed_and_efficiency():
    assert pods.speedup(WORK, CHIP, 8, 80) == pytest.approx(4.4 / 2.3)
    assert pods.efficiency(WORK, CHIP, 8, 80) == pytest.approx(0.9 / 2.3)
    assert pods.speedup(WORK, CHIP, 1, 80) == pods.efficiency(WORK, CHIP, 1, 80) == 1.0


def test_large_batches_use_all_chips_and_one_batch_does_not():
    assert pods.efficiency(WORK, CHIP, 256, 256 * 10**6) == pytest.approx(1, abs=1e-3)
    most = pods.times(WORK, CHIP, 1, 256).total / (0.4 + 1.6)  # state and sums stay, however many
    assert pods.speedup(WORK, CHIP, 256, 256) < most


@pytest.mark.parametrize("num_chips", [2, 8, 256])
def test_at_the_balanced_batch_sums_take_as_long_as_arithmetic(num_chips):
    batch = num_chips * pods.balanced_batch(WORK, CHIP, num_chips)
    parts = pods.times(WORK, CHIP, num_chips, batch)
    assert parts.arithmetic == pytest.approx(parts.sums)


def test_a_batch_has_an_example_for_each_chip():
    with pytest.raises(InputError, match="batch_size is 4: give 8 or more"):
        pods.times(WORK, CHIP, 8, 4)
    with pytest.raises(InputError, match="num_chips is 0"):
        pods.times(WORK, CHIP, 0, 4)
