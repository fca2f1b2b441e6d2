"""experiments.neural_entropy refuses bad settings in one line."""

import pytest
from entropy_runs import make_config

from diffenc.errors import InputError
from experiments.neural_entropy import __main__ as neural_entropy

pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(processes=("vq",)), "vp"),
        (dict(reference="momenta"), "moments"),
        (dict(output="eps"), "residual"),
        (dict(samples=(-5,)), "counts"),
        (dict(eval__num_examples=1), "2 or more"),
        (dict(draws=0), "draws is 0: give a number above 0"),
        (dict(model__features=()), "features"),
        (dict(average_decay=1.0), "average_decay"),
        (dict(clip_norm=0.0), "clip_norm"),
        (dict(mixture__std_min=2.0), "std_min"),
        (dict(mixture__components=0), "mixture.components"),
        (dict(eval__monitor=1), "eval.monitor is 1"),
        (dict(processes=("ve",), reference="equilibrium"), "no equilibrium"),
        (dict(dimensions=()), "dimensions"),
        (dict(samples=(10, 20)), "ignored"),
        (dict(sweep="samples"), "datasets"),
    ],
)
def test_bad_settings_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        neural_entropy.run(make_config("neural_entropy/gaussian_mixture", **changes), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(model__channels=(12,)), "multiples of 8"),
        (dict(model__channels=(8,) * 5), "cannot be halved 4 times"),
        (dict(model__attention=(3,)), "config field model.attention is"),
        (dict(model__blocks=0), "config field model.blocks is 0"),
        (dict(model__channels=()), "model.channels"),
        (dict(model__dtype="float16"), "model.dtype is 'float16'"),
        (dict(eval__images=0), "eval.images"),
        (dict(eval__sampler_steps=0), "sampler_steps"),
        (dict(datasets=("mixture",)), "field mixture.components is missing"),
        (dict(datasets=()), "datasets"),
        (dict(processes=("vp", "ve")), "ignored"),
    ],
)
def test_bad_settings_of_images_are_one_line(tmp_path, changes, message):
    with pytest.raises(InputError, match=message):
        neural_entropy.run(make_config("neural_entropy/digits", **changes), tmp_path)


def test_a_size_may_be_named_once(tmp_path):
    with pytest.raises(InputError, match="twice"):
        neural_entropy.run(
            make_config("neural_entropy/samples", dimensions=(2,), samples=(50, 50)), tmp_path
        )
