"""Where compiled programs are kept: variables, the limit of size, what a second process finds."""

import gc
import os
from pathlib import Path

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src import monitoring as listeners

import diffenc
from diffenc import compilation, xla_flags
from diffenc.networks import MLP

# The programs of tests/information/test_estimates.py.
TINY = {
    "denoiser": {"width": 16, "batch_size": 32, "draws": 2, "updates": 20, "rounds": 2},
    "mixture": {"updates": 20, "rounds": 2},
    "flow": {"rounds": 0},
    "judge": {"parts": 3},
}
# Of an estimate of two blocks of two columns, those of keys included. Every process traces them and
# reads them from the cache.
MOST_PROGRAMS = 18


@pytest.fixture
def unconfigured(monkeypatch, tmp_path):
    """JAX without a compilation cache of the tests, and a place for ours."""
    place = jax.config.jax_compilation_cache_dir
    compilation._configure({"jax_compilation_cache_dir": None})
    monkeypatch.setenv(compilation.VARIABLE, str(tmp_path / "programs"))
    yield tmp_path / "programs"
    compilation._configure({"jax_compilation_cache_dir": place})


@pytest.fixture
def events():
    """Names of the events of JAX from now on."""
    names = []

    def listen(name, **_):
        names.append(name)

    jax.monitoring.register_event_listener(listen)
    yield names
    listeners.unregister_event_listener(listen)


def count(events, what) -> int:
    return events.count(f"/jax/compilation_cache/cache_{what}")


def test_parameters_are_made_by_one_program(events):
    network = MLP((5, 7), 3)
    x = np.ones((1, 4), np.float32)
    made = compilation.init(network, jax.random.key(0), x)
    chex.assert_trees_all_close(made, network.init(jax.random.key(0), x), rtol=1e-6)
    key = jax.random.key(1)
    events.clear()
    compilation.init(MLP((5, 7), 3), key, x)  # an equal network is the same program
    assert not [name for name in events if "compil" in name]


def test_variables_say_where():
    home = Path.home() / ".cache" / "diffenc"
    assert compilation.directory({}).parent == home
    assert compilation.directory({"XDG_CACHE_HOME": "/x"}).parent == Path("/x/diffenc")
    both = {"XDG_CACHE_HOME": "/x", compilation.VARIABLE: "/y"}
    assert compilation.directory(both).parent == Path("/y")
    for word in ("off", "OFF", "no", "0"):
        assert compilation.directory({compilation.VARIABLE: word}) is None
    assert compilation.directory({}).name.startswith("jax-")


def test_what_is_compiled_within_is_kept_and_found(unconfigured, events):
    def make_program():
        """An equal program each time, which no other one's function keeps in memory."""

        def program(x):
            return jnp.sin(x) + 3 * x

        return jax.jit(program)

    x = jax.device_put(np.ones(7, np.float32))
    thresholds = {name: getattr(jax.config, name) for name in compilation.SETTINGS}
    with compilation.cache():
        make_program()(x)
        assert jax.config.jax_compilation_cache_dir.startswith(str(unconfigured))
        with compilation.cache():  # within itself it does nothing
            pass
        assert jax.config.jax_compilation_cache_dir is not None
    assert jax.config.jax_compilation_cache_dir is None
    assert {name: getattr(jax.config, name) for name in thresholds} == thresholds
    files = list(unconfigured.glob("jax-*/*-cache"))
    assert files and count(events, "misses") == len(files)
    make_program()(x)  # outside nothing is looked for
    assert count(events, "hits") == 0
    with compilation.cache():
        make_program()(x)
    assert count(events, "misses") == len(files) and count(events, "hits") > 0


@pytest.mark.parametrize("name", ["mutual", "given", "labels", "total", "entropy"])
def test_programs_of_keys_are_kept_as_well(unconfigured, monkeypatch, name):
    """They are compiled before any other, and would be compiled again by every process."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200, 2))
    z = rng.normal(size=200)
    estimate = {
        "mutual": lambda: diffenc.mutual_information(x, y),
        "given": lambda: diffenc.mutual_information(x, y, given=z),
        "labels": lambda: diffenc.mutual_information(x, z > 0, given=y),
        "total": lambda: diffenc.total_correlation(x),
        "entropy": lambda: diffenc.entropy(x),
    }[name]

    def key_of(*_):
        place = jax.config.jax_compilation_cache_dir
        raise RuntimeError("kept" if place and place.startswith(str(unconfigured)) else "not kept")

    for module in ("estimates", "conditional_estimates"):
        monkeypatch.setattr(f"diffenc.information.{module}.key_of", key_of)
    with pytest.raises(RuntimeError, match="^kept"):
        estimate()


@pytest.mark.slow
def test_a_process_that_begins_finds_every_program_of_an_estimate(events):
    """In the cache of the tests, so that the first one compiles only where it is empty."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 1000, 2))
    first = diffenc.mutual_information(x, y, settings=TINY)
    jax.clear_caches()  # as in a process that begins
    events.clear()
    second = diffenc.mutual_information(x, y, settings=TINY)
    assert count(events, "misses") == 0 and 5 < count(events, "hits") <= MOST_PROGRAMS
    assert first.estimate == second.estimate


def test_who_has_configured_the_cache_keeps_it(unconfigured, monkeypatch, tmp_path):
    own = str(tmp_path / "own")
    compilation._configure({"jax_compilation_cache_dir": own})
    with compilation.cache():
        assert jax.config.jax_compilation_cache_dir == own
    compilation._configure({"jax_compilation_cache_dir": None})
    monkeypatch.setenv(compilation.VARIABLE, "off")
    with compilation.cache():
        assert jax.config.jax_compilation_cache_dir is None
    monkeypatch.setenv(compilation.VARIABLE, str(tmp_path / "programs"))
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    with compilation.cache():  # several processes on CPUs
        assert jax.config.jax_compilation_cache_dir is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["file", "read-only"])
def test_a_directory_that_cannot_be_written_to_is_done_without(unconfigured, monkeypatch, kind):
    if kind == "file":
        unconfigured.write_text("")
    else:
        monkeypatch.setattr(os, "access", lambda *_: False)
    with compilation.cache():
        assert jax.config.jax_compilation_cache_dir is None
        assert float(jax.jit(jnp.cos)(0.0)) == 1.0


def test_programs_unused_for_longest_make_room(tmp_path):
    folder = tmp_path / "jax-here"
    folder.mkdir()
    for age in range(8):
        path = folder / f"program{age}-cache"
        path.write_bytes(bytes(100))
        os.utime(path, (10_000 - age, 10_000 - age))
    (tmp_path / "of another.txt").write_bytes(bytes(1000))
    compilation.prune(tmp_path, 800)
    assert len(list(folder.iterdir())) == 8
    compilation.prune(tmp_path, 799)  # to three quarters
    assert {path.name for path in folder.iterdir()} == {f"program{age}-cache" for age in range(5)}
    assert (tmp_path / "of another.txt").exists()


@pytest.mark.parametrize("runs", ["long", "short", "once"])
def test_programs_that_are_compiled_sooner_compute_the_same(runs):
    """Under options of XLA where it takes them, with static arguments and a nested call."""

    @compilation.jit_sooner(runs=runs, static_argnames="power")
    def total(x, power):
        return jnp.sum(x**power)

    x = jnp.arange(5.0)
    assert float(total(x, power=2)) == 30.0
    assert float(total(x, power=3)) == 100.0
    assert total.program()._cache_size() == 2
    assert float(jax.jit(lambda x: total(x, power=2))(x)) == 30.0
    if jax.default_backend() == "cpu":
        assert compilation._quick_options(runs) in compilation.QUICK_OPTIONS[runs]


def test_nothing_is_collected_while_a_program_is_traced():
    """And Python's collector is as it was afterwards, after an error too."""
    was_on = []

    def make_negative():
        @compilation.jit_sooner()
        def negative(x):
            was_on.append(gc.isenabled())
            return -x if x.ndim == 0 else x.no_such_attribute

        return negative

    for switch in (gc.enable, gc.disable):
        negative = make_negative()
        switch()
        try:
            assert negative(1.0) == -1.0
            with pytest.raises(AttributeError):
                negative(np.ones(2, np.float32))
            assert gc.isenabled() == (switch is gc.enable)
        finally:
            gc.enable()
    assert was_on == [False] * 4


def test_options_that_xla_does_not_take_are_left_out(monkeypatch):
    compiled = []

    def jit(function, compiler_options):
        def run():
            compiled.append(compiler_options)
            if len(compiler_options) > 1:
                raise jax.errors.JaxRuntimeError("No such compile option")

        return run

    monkeypatch.setattr(jax, "jit", jit)
    compilation._quick_options.cache_clear()
    try:
        options = compilation._quick_options("short")
    finally:
        compilation._quick_options.cache_clear()
    assert options == {"xla_backend_optimization_level": 1}
    assert len(compiled) == 2


def test_programs_are_forgotten_before_the_maps_of_memory_run_out(monkeypatch):
    double = jax.jit(lambda x: 2 * x)
    double(1.0)
    compilation.forget_many()
    assert double._cache_size() == 1, "there are few"
    monkeypatch.setattr(compilation, "count_maps", lambda: (501, 1000))
    compilation.forget_many()
    assert double._cache_size() == 0
    assert double(1.0) == 2.0


def test_maps_of_memory_are_counted():
    maps, limit = compilation.count_maps()
    if not Path("/proc/self/maps").exists():
        assert (maps, limit) == (0, 0)
    else:
        assert 100 < maps < limit


def test_a_product_that_is_used_in_a_product_and_in_a_sum_is_right():
    """XLA's CPU compiler of jaxlib 0.10.2 is wrong by as much as the result is large, but for the
    flag of `xla_flags`."""
    rng = np.random.default_rng(0)
    shapes = ((2, 256, 128), (128, 64), (128, 64), (1, 256, 64))
    stack, kernel, rows, weight = [rng.standard_normal(s).astype(np.float32) for s in shapes]

    def compute(stack, kernel, rows, weight):
        product = stack @ kernel
        return product @ rows.T - (weight * product).sum(-1)[..., None]

    exact = compute(*[a.astype(np.float64) for a in (stack, kernel, rows, weight)])
    compiled = jax.jit(compute)(stack, kernel, rows, weight)
    # Sums of 64 products of sums of 128: about 8,192 roundings of numbers of order one.
    np.testing.assert_allclose(compiled, exact, atol=8192**0.5 * 16 * np.finfo(np.float32).eps)


def test_the_flag_is_set_where_it_is_needed(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")
    monkeypatch.setattr("importlib.metadata.version", lambda name: "0.12.0")
    xla_flags.avoid_wrong_numbers()
    assert os.environ["XLA_FLAGS"] == "--xla_cpu_multi_thread_eigen=false"
    monkeypatch.setattr("importlib.metadata.version", lambda name: xla_flags.WRONG)
    jnp.zeros(1).block_until_ready()
    with pytest.warns(UserWarning, match="import diffenc first, set XLA_FLAGS=.* or take another"):
        xla_flags.avoid_wrong_numbers()
    flags = f"--xla_cpu_multi_thread_eigen=false {xla_flags.FLAG}="
    assert os.environ["XLA_FLAGS"] == flags
    xla_flags.avoid_wrong_numbers()  # what the environment says stays, and nothing is warned of
    assert os.environ["XLA_FLAGS"] == flags
