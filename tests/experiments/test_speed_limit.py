"""experiments.speed_limit: one run with tiny settings, bad input."""

import pytest
from checks import NUM_SIGMAS, assert_every_field_is_read, record_reads
from entropy_runs import values_of

from diffenc.errors import InputError
from experiments import speed_limit
from experiments.arguments import load_config

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


def test_speed_limit(tmp_path, monkeypatch):
    config = load_config("configs/speed_limit/gaussian_mixture.py")
    config.update(processes=("vp",), dimensions=(1,), num_samples=400, num_times=4, refine=32)
    config.transport.update(samples=100, groups=3)
    reads = record_reads(monkeypatch, config)
    speed_limit.run(config, tmp_path)
    assert_every_field_is_read(config, reads)
    rows = values_of(tmp_path)
    limit, exact = rows["vp.D1.speed_limit"], rows["vp.D1.gaussian.speed_limit"]["value"]
    assert (
        0
        < rows["vp.D1.w2_squared_corrected"]["value"]
        < limit["value"] + NUM_SIGMAS * limit["stderr"]
    )
    assert 0 < rows["vp.D1.gaussian.w2_squared"]["value"] < exact
    assert 0.5 < rows["vp.D1.gaussian.largest_share"]["value"] < 1
    assert (tmp_path / "figures" / "speed_limit.png").exists()


def test_bad_speed_limits_are_one_line(tmp_path):
    config = load_config("configs/speed_limit/gaussian_mixture.py")
    config.transport.groups = 1
    with pytest.raises(InputError, match="groups"):
        speed_limit.run(config, tmp_path)
