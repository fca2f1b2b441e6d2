"""experiments.benchmarks.pod: the systems of its config are made and counted at small sizes, and
what is predicted of counts is written and drawn."""

import json

import jax
import pytest
from ml_collections import ConfigDict

from diffenc.errors import InputError
from diffenc.run import pods
from diffenc.run.costs import Costs
from experiments.arguments import load_config
from experiments.benchmarks import pod, virtual_devices
from experiments.benchmarks.virtual_devices import Exchange

CONFIG = "configs/benchmarks/pod.py"
# A million parameters, of whose gradients 4 MB are summed; 2 GFLOP for each of 128 examples.
COSTS = Costs(num_parameters=10**6, state_bytes=16 * 10**6, flops=128 * 2 * 10**9)
COUNT = pod.Count(Exchange(COSTS, 4 * 10**6, 20, 0.0, 1e9), 128, 100)


def test_what_is_predicted_of_counts_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(virtual_devices, "call", lambda *_: dict.fromkeys(pod.NAMES, COUNT))
    pod.run(load_config(CONFIG), tmp_path)
    rows = {
        row["name"]: row["value"] for row in json.loads((tmp_path / "results.json").read_text())
    }
    assert rows["cifar10_unet.operations"] == 2 and rows["cifar10_unet.summed"] == 4
    assert not any("chips=256.one_batch" in name for name in rows), "128 examples, 256 chips"
    label = "mnist_encoder.chips=128"
    parts = pods.times(COUNT.work, pods.V5E, 128, 128, 1.1e-3 / 100)
    assert rows[f"{label}.one_batch.sums"] == pytest.approx(1e6 * parts.sums)
    assert rows[f"{label}.one_batch.dispatch"] == pytest.approx(11)
    # the batch of each chip is that of one chip alone, whose state takes as long
    assert rows[f"{label}.own_batch.state"] == rows["mnist_encoder.chips=1.own_batch.state"]
    assert rows[f"{label}.own_batch.efficiency"] > rows[f"{label}.one_batch.efficiency"]
    for kind in ("one_batch", "own_batch"):
        assert rows[f"mnist_encoder.chips=1.{kind}.efficiency"] == 1
    assert (tmp_path / "figures" / "pod_efficiency.png").exists()


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [("devices", 1, "devices is 1"), ("chips", (0, 8), "chips"), ("agreement", -1.0, "agreement")],
)
def test_what_cannot_be_predicted_is_refused(field, value, complaint, tmp_path):
    config = load_config(CONFIG)
    config[field] = value
    with pytest.raises(InputError, match=complaint):
        pod.run(config, tmp_path)


def small(name) -> ConfigDict:
    """The config of a system, with small networks."""
    config = load_config(CONFIG)[name]
    config.batch_size = 8
    if name == "cifar10_unet":
        config.model.update(features=(8, 8), blocks=1, attention=(), dropout=0.0)
        return config
    config.model.update(latent_dim=2, embed_features=(8,), features=(8,))
    if name == "mnist_encoder":
        config.model.update(decoder_features=(8,))
    else:
        config.model.update(embed_channels=(8,))
        config.decoder.update(features=(8, 8), blocks=1, attention=())
    return config


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("mnist_encoder", 1.1),
        pytest.param("cifar10_unet", 1.1, marks=pytest.mark.slow),
        # the U-Net is evaluated on both sides of the split, whose gradients are summed apart
        pytest.param("cifar10_decoder", 2.0, marks=pytest.mark.slow),
    ],
)
def test_every_gradient_is_summed(name, most):
    """Four bytes of each parameter, and little beside: means of the batch, and chains' steps."""
    system = pod.make_system(name, small(name))
    count = jax.device_count()
    found = virtual_devices.exchange(system.trainee, system.state, count, system.batch_size)
    gradients = 4 * found.costs.num_parameters
    assert gradients <= found.summed_bytes < most * gradients
    assert found.costs.flops > 0 and found.flops > 0
