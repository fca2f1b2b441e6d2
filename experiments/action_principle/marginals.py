"""Whether reverse processes of every eta end at the law of the data, for the task `mixture`.

Each eta's samples are compared with exact ones by the energy distance, and so are those of two
controls that are wrong, which the test has to refuse: with the noise of eta = 1 the drift needs
twice the score that the flow needs, and one control has that of the flow, half of it; the other
has 0.8 of it.
"""

import functools
from typing import NamedTuple

import jax

from diffenc.diffusion.gaussians import exact
from diffenc.diffusion.linear_process import Process
from diffenc.diffusion.samplers import reverse_sde
from diffenc.diffusion.two_samples import EnergyTest, energy_test
from diffenc.keys import key_of, rng_of
from diffenc.run.tables import Result
from experiments.action_principle.settings import Mixture


class Way(NamedTuple):
    """How samples are drawn.

    Attributes:
        eta: strength of the noise.
        factor: the score is multiplied by it.
    """

    eta: float
    factor: float


WRONG = {"flow_drift": Way(1.0, 0.5), "weak_drift": Way(1.0, 0.8)}


def marginals(settings: Mixture, process: Process) -> list[Result]:
    """Test samples of `plane` by every eta, and by both wrong controls, against exact ones.

    Args:
        settings: of the law, the paths and the test.
        process: the forward process.
    """
    rows = []
    for eta in settings.etas:
        test = _test(settings, process, f"eta={eta:g}", Way(eta, 1.0))
        rows.append(Result(f"samples.eta={eta:g}.energy_distance", test.distance, None, "length"))
        rows.append(Result(f"samples.eta={eta:g}.p_value", test.p_value, None, "probability"))
    for name, way in WRONG.items():
        test = _test(settings, process, name, way)
        rows.append(Result(f"wrong_samples.{name}.energy_distance", test.distance, None, "length"))
        rows.append(Result(f"wrong_samples.{name}.p_value", test.p_value, None, "probability"))
    return rows


def _test(settings: Mixture, process: Process, name: str, way: Way) -> EnergyTest:
    """Compare the samples of one way with exact ones, both drawn for it alone."""
    key = key_of(settings.seed, "marginals", name)
    samples, truth = jax.device_get(_draw(key, way, process, settings))
    rng = rng_of(settings.seed, "marginals", name)
    return energy_test(rng, samples, truth, settings.num_permutations)


@functools.partial(jax.jit, static_argnames=("process", "settings"))
@exact
def _draw(key, way: Way, process: Process, settings: Mixture):
    key_start, key_way, key_truth = jax.random.split(key, 3)
    density = settings.plane.mixture()

    def score(x, t):
        return way.factor * density.score(process, x, t)

    start = density.diffused(process, 1.0).sample(key_start, settings.num_samples)
    steps = settings.num_steps
    x = reverse_sde(key_way, score, process, start, steps, way.eta, settings.t_min)
    return x, density.diffused(process, settings.t_min).sample(key_truth, settings.num_samples)
