"""The run that each released version has left is loaded by this one.

A release adds its own: `make_workdir(epath.Path("tests/fixtures/run-VERSION"), updates=(4,))`.
"""

from pathlib import Path

import jax
import numpy as np
import pytest
from workdirs import LATENT_DIM, make_truth

import diffenc

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
VERSIONS = sorted(path.name.removeprefix("run-") for path in FIXTURES.glob("run-*"))


def test_this_version_is_among_them():
    assert diffenc.__version__ in VERSIONS


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("system", ["diffusion_encoder", "vae"])
def test_a_run_of_an_earlier_version_is_loaded(version, system):
    run = diffenc.load(FIXTURES / f"run-{version}", system)
    assert (run.updates, run.num_updates, run.systems) == (4, 4, ("diffusion_encoder", "vae"))
    truth = make_truth()
    z = np.asarray(jax.random.normal(jax.random.key(0), (16, LATENT_DIM)))
    np.testing.assert_allclose(run.decode(z), z @ truth.weight.T + truth.mean, rtol=1e-5, atol=1e-5)
    assert np.isfinite(run.encode(run.decode(z))).all()
