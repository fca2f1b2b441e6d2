"""How well devices are used in training: examples a second, the share of their peak, memory."""

import jax
import numpy as np

from diffenc.keys import key_of
from diffenc.latent.systems import System
from diffenc.run import costs, peaks
from diffenc.run.advance import dotted
from diffenc.run.data import Dataset
from diffenc.run.tables import Result
from experiments.diffusion_decoder.models import Name, first_places
from experiments.diffusion_decoder.results import update_times
from experiments.diffusion_decoder.settings import Experiment


def measure(
    experiment: Experiment, dataset: Dataset, models: dict[Name, System], metrics: list[dict]
) -> list[Result]:
    """Measure how training used the devices; nothing where the config does not ask for it.

    The peak is that of large matrix products in the precision of the decoder's. The products of
    encoders, which are float32, count as if they had it.

    Args:
        experiment: the config.
        dataset: the data.
        models: the systems.
        metrics: lines of metrics.jsonl.

    Returns:
        Of each method, at its first place: examples a second, and the share of the peak. Of the
        machine: the peak of one device, and the most memory that one had in use, where it tells.
    """
    side = experiment.evaluation.peak_side
    if not side:
        return []
    training = experiment.training
    decoders = [settings.model.diffusion for settings in experiment.methods.values()]
    precision = next((one.precision for one in decoders if one is not None), "float32")
    peak = peaks.matrix_peak(side, precision)
    of_all = peak * (training.num_devices or jax.device_count())
    times = {row.name: row for row in update_times(metrics, models)}
    rows = []
    for name in first_places(models):
        label = dotted((name.method, *name.point.parts))
        row = times.get(f"{label}.update_time")
        if row is None or row.stderr is None:  # too few dispatches to tell
            continue
        relative = row.stderr / row.value
        per_second = 1e3 / row.value
        examples = training.batch_size * per_second
        flops = flops_of(models[name], training.batch_size, dataset.example_shape)
        share = 100 * flops * per_second / of_all
        rows.append(Result(f"{label}.throughput", examples, examples * relative, "examples/s"))
        rows.append(Result(f"{label}.peak_share", share, share * relative, "% of the peak"))
    rows.append(Result("machine.matrix_peak", peak / 1e12, None, f"TFLOP/s in {precision}"))
    # read before anything is measured, whose memory would count
    stats = jax.local_devices()[0].memory_stats() or {}
    if "peak_bytes_in_use" in stats:
        rows.append(Result("machine.peak_memory", stats["peak_bytes_in_use"] / 1e9, None, "GB"))
    return rows


def flops_of(system: System, batch_size: int, example_shape: tuple[int, ...]) -> int:
    """Count the operations of an update, as `costs.measure` does.

    Args:
        system: the system.
        batch_size: over all devices.
        example_shape: of one x.
    """
    x = np.zeros((batch_size, *example_shape), np.float32)
    batch = (x, np.zeros(batch_size, np.int32)) if system.is_persistent else x
    return costs.measure(system.update, system.state, key_of(0, "costs"), batch).flops
