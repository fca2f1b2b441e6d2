"""Settings of the alternation refuse a wrong value by one line that names the field and the
remedy."""

import pytest

from diffenc.errors import InputError
from diffenc.latent import em

REFUSED = {
    "e_step": ("gibbs", "^e_step is 'gibbs': choose one of encoder, importance, langevin, "),
    "kernel": ("nuts", "^kernel is 'nuts': choose one of hmc, mala, ula"),
    "proposal": ("prier", r"^proposal is 'prier': .* \(nearest: prior\)"),
    "target": ("eps", "^target is 'eps': choose one of denoising, mixture, pressure"),
    "leapfrog_steps": (0, "^leapfrog_steps is 0: give 1 or more"),
    "sampler_steps": (0, "^sampler_steps is 0: give 1 or more"),
    "proposals": (0, "^proposals is 0: give 1 or more"),
    "draws": (0, "^draws is 0: give 1 or more"),
    "langevin_steps": (-1, "^langevin_steps is -1: give 0 or more"),
    "path_weight": (float("nan"), "^path_weight is nan: give 0 or more"),
    "step_size": (0.0, "^step_size is 0.0: give a number above 0"),
    "proposal_width": (-1.0, "^proposal_width is -1.0: give a number above 0"),
    "gamma": (0.0, "^gamma is 0.0: give a number above 0"),
    "rate": (0.0, "^rate is 0.0: give a number above 0"),
    "null_probability": (1.0, r"^null_probability is 1.0: give a number in \[0, 1\)"),
    "average_decay": (-0.1, r"^average_decay is -0.1: give a number in \[0, 1\)"),
}


@pytest.mark.parametrize("field", REFUSED)
def test_a_wrong_value_is_refused(field):
    value, message = REFUSED[field]
    with pytest.raises(InputError, match=message):
        em.Settings(**{field: value})


def test_the_ends_of_the_ranges_are_accepted():
    em.Settings(langevin_steps=0, path_weight=0.0, null_probability=0.0, average_decay=0.0)
