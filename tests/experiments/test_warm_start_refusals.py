"""Configs and data that experiments.warm_start refuses."""

import numpy as np
import pytest
from warm_start_runs import make_config, train

from diffenc.errors import InputError
from experiments.warm_start import __main__ as warm_start


@pytest.mark.parametrize(
    "changes, words",
    [
        (dict(models__cold__bins=0.0), "models.cold.bins is 0.0: give a number above 0"),
        (dict(models__warm__bins=-1.0), "models.warm.bins is -1.0: give a number above 0"),
        (dict(models__cold__schedule="vp"), "models.cold.schedule is 'vp': choose one of .*vp_t"),
        (dict(models__cold__head="logit"), "models.cold.head is 'logit': .*nearest: logits"),
        (dict(methods=("cold", "hot")), "config field methods is 'hot': choose one of cold, plain"),
        (dict(methods=()), r"config field methods is \(\): name one or more"),
        (dict(model__network="cnn"), "model.network is 'cnn': choose one of mlp, sequence, unet"),
        (dict(model__network="sequence"), r"model.network is sequence: data .* are no sequences"),
        (dict(model__attention=(4,)), r"model.attention is \(4,\): network mlp does not attend"),
        (dict(model__features=(8, 8)), r"model.features is \(8, 8\): network mlp has one width"),
        (dict(model__precision="bfloat16"), "model.precision is bfloat16: network mlp is of sing"),
        (dict(model__network="unet", model__features=(12,)), r"model.features is \(12,\)"),
        (dict(model__network="unet", model__attention=(5,)), r"attention is \(5,\): choose among"),
        (dict(model__low=9.0), "model.low is 9.0: the start is at 7.82: give less"),
        (dict(model__fourier=(-1,)), "model.fourier is -1: give 0 or more"),
        (
            dict(model__fourier=(3,), model__code="bits"),
            r"model.fourier is \(3,\): it needs values on a line",
        ),
        (dict(model__code="gray"), "model.code is 'gray': choose one of bits, grid, one_hot"),
        (dict(eval__num_examples=1), "eval.num_examples is 1: give 2 or more"),
    ],
)
def test_bad_settings_are_named(tmp_path, changes, words):
    with pytest.raises(InputError, match=words) as raised:
        train(tmp_path, **changes)
    assert "\n" not in str(raised.value) and not (tmp_path / "model.json").exists()


def test_a_model_may_not_be_called_as_a_simple_code(tmp_path):
    config = make_config()
    config.models.uniform = config.models.cold
    with pytest.raises(InputError, match="config field models is uniform: .* give another"):
        warm_start.run(config, tmp_path)


VECTORS = np.random.default_rng(0).integers(0, 200, (150, 5))


@pytest.mark.parametrize(
    "x, changes, words",
    [
        (VECTORS + 0.5, {}, "data mine are real numbers from 0.5 to 199.5: give values that can"),
        (VECTORS / 200, {}, "data mine are real numbers from 0 to 0.99.*: give values that can be"),
        (
            VECTORS.astype(np.float32),
            {},
            "data mine are whole numbers from 0 to 199, but not bytes: save .* dtype uint8",
        ),
        (VECTORS, {}, "data mine are whole numbers from 0 to 199, but not bytes"),
        (
            VECTORS.astype(np.uint8),
            {"model__network": "unet"},
            r"model.network is unet: data \(5,\) are no images: give mlp",
        ),
    ],
)
def test_bad_data_are_named(tmp_path, x, changes, words):
    np.save(tmp_path / "mine.npy", x)
    file = dict(data__name="file", data__path=str(tmp_path / "mine.npy"))
    with pytest.raises(InputError, match=words) as raised:
        train(tmp_path / "run", **file, **changes)
    assert "\n" not in str(raised.value)
