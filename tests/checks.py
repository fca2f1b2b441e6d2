"""Assertions that several tests share."""

import sys

import jax
import numpy as np
from ml_collections import ConfigDict

from diffenc import keys
from experiments.arguments import fields_of

NUM_SIGMAS = 4  # every statistical tolerance is this many computed standard errors


def assert_mean(values, truth, largest_stderr=0.1, scale=None):
    """The mean over the leading axis is finite and agrees with the truth within computed standard
    errors. None of these exceeds `largest_stderr` in units of `scale` (by default the truth's size,
    or 1 if that is larger): a wrong mean would agree as well."""
    values = np.asarray(values, np.float64)
    assert np.all(np.isfinite(values))
    scale = np.maximum(1, np.abs(truth)) if scale is None else scale
    stderr = values.std(axis=0, ddof=1) / np.sqrt(len(values))
    np.testing.assert_array_less(stderr, largest_stderr * scale)
    np.testing.assert_array_less(np.abs(values.mean(axis=0) - truth), NUM_SIGMAS * stderr)


def assert_moments(z, mean, cov):
    """Mean and covariance of independent draws z [n, d] against those of their law."""
    centred = np.asarray(z, np.float64) - np.asarray(mean)
    cov = np.asarray(cov)
    width = np.maximum(1, np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1)))
    assert_mean(centred, 0.0, scale=width)
    products = centred[:, :, None] * centred[:, None, :]
    assert_mean(products, cov, scale=width[..., :, None] * width[..., None, :])


def count_compilations(fn) -> int:
    """Count the programs that are compiled, or taken from the disk, while fn runs."""
    compilations = []

    def listen(event, seconds, **details):
        if event == "/jax/core/compile/backend_compile_duration":
            compilations.append(details)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        fn()
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
    return len(compilations)


def record_keys(monkeypatch) -> set:
    """Every (seed, *names) that becomes a key from now on, in whatever module of ours."""
    asked, key_of = set(), keys.key_of

    def recorded(seed, *names):
        asked.add((seed, *names))
        return key_of(seed, *names)

    for name, module in list(sys.modules.items()):
        ours = name.startswith(("diffenc.", "experiments.")) and module is not keys
        if ours and getattr(module, "key_of", None) is key_of:
            monkeypatch.setattr(module, "key_of", recorded)
    return asked


def record_reads(monkeypatch, config) -> set:
    """Dotted names of the fields of this config that are read from now on, other than by a check of
    their values."""
    reads, prefixes = set(), {id(config): ""}
    read = ConfigDict.__getitem__

    def recorded(section, name):
        value, frame = read(section, name), sys._getframe(1)
        prefix = prefixes.get(id(section))
        while frame and not frame.f_code.co_name.startswith("check"):
            frame = frame.f_back
        if prefix is not None and isinstance(value, ConfigDict):
            prefixes[id(value)] = f"{prefix}{name}."
        elif prefix is not None and frame is None:
            reads.add(f"{prefix}{name}")
        return value

    monkeypatch.setattr(ConfigDict, "__getitem__", recorded)
    return reads


def assert_every_field_is_read(config, reads: set) -> None:
    """A field that nothing reads does nothing, whatever is given for it."""
    unread = set(fields_of(config)) - reads
    assert not unread, f"nothing reads {sorted(unread)}"


def assert_distinct_keys(asked: set) -> None:
    """The keys of all these purposes, at their seed and at the next, differ, and so does what they
    are split into."""
    assert asked
    found = {}
    for seed, *names in asked:
        for offset in (0, 1):
            key = keys.key_of(seed + offset, *names)
            children = [key, *jax.random.split(jax.random.clone(key), 6)]
            for place, child in enumerate(children):
                data = tuple(np.asarray(jax.random.key_data(child)).tolist())
                purpose = (seed + offset, *names, place)
                assert found.setdefault(data, purpose) == purpose
