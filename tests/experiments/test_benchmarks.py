"""experiments.benchmarks.update_time: products counted as often as loops turn, medians and ratios,
one run with tiny settings."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.arguments import load_config
from experiments.benchmarks import update_time


def test_products_in_loops_and_gradients_are_counted():
    def loss(weight, x):
        def turn(x, _):
            return jnp.tanh(x @ weight), None

        return jax.lax.scan(turn, x, None, length=7)[0].sum()

    weight, x = jnp.ones((3, 3)), jnp.ones((5, 3))
    one_product = 2 * 5 * 3 * 3
    forward = jax.make_jaxpr(loss)(weight, x).jaxpr
    assert update_time.matmul_flops(forward) == 7 * one_product
    both = jax.make_jaxpr(jax.grad(loss, argnums=(0, 1)))(weight, x).jaxpr
    assert (
        update_time.matmul_flops(both) == 3 * 7 * one_product
    )  # and two more for the two gradients


def test_ratios_are_taken_turn_by_turn():
    slow, fast = np.array([4.0, 8.0, 2.0]), np.array([1.0, 2.0, 0.5])
    flops = {"diffusion_encoder": 8e9, "vae": 1e9}
    results = update_time.summarize(
        {"diffusion_encoder": list(slow), "vae": list(fast)}, flops, np.array([1e10, 1e10, 1e10])
    )
    named = {result.name: result for result in results}
    assert named["diffusion_encoder.update_time_ratio"].value == 4.0
    assert named["diffusion_encoder.update_time_ratio"].stderr == 0.0
    assert named["vae.update_time"].value == 1000.0
    assert named["diffusion_encoder.peak_share"].value == pytest.approx(
        20.0
    )  # 8 of 40 GFLOP in 4 s


@pytest.mark.slow
def test_a_run_has_its_names(tmp_path):
    config = load_config("configs/benchmarks/update_time.py")
    config.benchmark.update(repeats=2, updates=2)
    config.batch_size = 8
    update_time.run(config, tmp_path)
    rows = {row["name"]: row for row in json.loads((tmp_path / "results.json").read_text())}
    for system in ("diffusion_encoder", "vae"):
        for quantity in ("update_time", "matrix_flops", "peak_share"):
            assert rows[f"{system}.{quantity}"]["value"] > 0
    assert rows["diffusion_encoder.update_time_ratio"]["value"] > 1
    assert (tmp_path / "figures" / "update_time.png").exists()
