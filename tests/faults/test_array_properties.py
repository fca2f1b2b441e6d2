"""Arrays and settings for every public function: taken, or refused in one line.

Where the input is taken, the work would begin: it is cut off there, since fitting takes seconds.
Wrong types of the parameters that are no data (a seed, groups, settings) are drawn too.
"""

import collections

import hypothesis.strategies as st
import jax
import numpy as np
import odd
import pandas as pd
import pytest
from hypothesis import given
from workdirs import DIM, LATENT_DIM, make_workdir

import diffenc
from diffenc import trained_model, training
from diffenc.diffusion import noise_levels, processes, warmth
from diffenc.errors import InputError
from diffenc.information.coordinates import gaussian
from diffenc.information.settings import Settings
from diffenc.latent import annealing, em, system_settings
from diffenc.run import data, order

pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::numpy.exceptions.ComplexWarning"),
]


@pytest.fixture
def without_fits(monkeypatch):
    """Cut every estimate off once its samples are checked."""
    monkeypatch.setattr(Settings, "for_examples", odd.reach)
    monkeypatch.setattr(gaussian, "independent_scores", lambda rng, x: None)


PARAMETERS = {
    "seed": odd.VALUES,
    "settings": st.one_of(
        odd.VALUES,
        st.dictionaries(
            st.sampled_from(["flow", "null", "judge", "denoiser", "least_gain", "flo"]),
            st.one_of(
                odd.VALUES,
                st.dictionaries(st.sampled_from(["rounds", "updates", "rows"]), odd.VALUES),
            ),
            max_size=2,
        ),
    ),
    "progress": odd.SCALARS,
    "groups": st.one_of(odd.samples(), st.just(np.repeat(np.arange(30), 4))),
    "order": st.one_of(odd.SCALARS, st.just("exchangeable")),
}
OF_PAIRS = {
    "labels": odd.SCALARS,
    "codes": st.one_of(odd.VALUES, st.sampled_from(["x", "y", "x[0]", "x[9]", "c0", "x["])),
    "amounts": st.one_of(odd.VALUES, st.sampled_from(["x", "y", "y[0]"])),
}


FUNCTIONS = {  # how many blocks of samples each takes, and its other parameters
    "mutual_information": (2, PARAMETERS | OF_PAIRS),
    "conditional_information": (3, PARAMETERS | OF_PAIRS),
    "total_correlation": (1, PARAMETERS),
    "entropy": (1, PARAMETERS),
    "mutual_information_matrix": (
        1,
        PARAMETERS | {name: OF_PAIRS[name] for name in ("codes", "amounts")},
    ),
}
GOOD = [np.random.default_rng(seed).normal(size=(odd.ROWS, 2)) for seed in (7, 8, 9)]


@st.composite
def calls(draw):
    """(function, arguments, named arguments): one of them is odd, or all are."""
    name = draw(st.sampled_from(sorted(FUNCTIONS)))
    count, parameters = FUNCTIONS[name]
    odd_one = draw(st.sampled_from(["all", *range(count), *sorted(parameters)]))
    arguments = [
        draw(odd.samples()) if odd_one in ("all", place) else GOOD[place] for place in range(count)
    ]
    named = {odd_one: draw(parameters[odd_one])} if odd_one in parameters else {}
    return name, arguments, named


@pytest.mark.parametrize("count", [20, pytest.param(400, marks=pytest.mark.slow)])
def test_samples_have_an_estimate_or_are_refused_in_one_line(without_fits, count):
    counts = collections.Counter()

    @odd.draw(count)
    @given(calls())
    def check(call):
        name, arguments, named = call
        odd.end_of(counts, lambda: getattr(diffenc, name)(*arguments, **named))

    check()
    odd.report("samples", counts)


CODE_AND_NUMBER = pd.DataFrame({"code": ["a", "b"] * 60, "number": GOOD[0][:, 0]})
FOUND = {  # what these properties have found, and what is said of it now
    "keys": (lambda: diffenc.entropy(jax.random.split(jax.random.key(0), 120)), "x is no array"),
    "ragged": (lambda: diffenc.mutual_information_matrix([[1], [2, 3]]), "columns is no array"),
    "no columns": (
        lambda: diffenc.total_correlation(np.zeros((120, 0))),
        "x has type float64 and shape",
    ),
    "a name": (lambda: diffenc.entropy(GOOD[0], name=None), "name is None: give a text"),
    "a number twice, beside codes": (
        lambda: diffenc.mutual_information(CODE_AND_NUMBER, CODE_AND_NUMBER[["number"]]),
        "y column 'number' is a function of x column 'number'",
    ),
    "no workdir": (lambda: diffenc.load(None), "workdir is None: give that of a run"),
    "no updates": (lambda: training.make_optimizer(0.1, 0), "num_updates is 0: give 1 or more"),
}


@pytest.mark.parametrize("name", FOUND)
def test_what_was_found_is_refused_in_one_line(name):
    call, words = FOUND[name]
    with pytest.raises(InputError, match=words):
        call()


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    workdir = tmp_path_factory.mktemp("trained") / "run"
    workdir.mkdir()
    make_workdir(workdir)
    return workdir


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_trained_model_takes_data_or_refuses_them_in_one_line(monkeypatch, workdir, count):
    trained = diffenc.load(workdir)
    monkeypatch.setattr(trained_model.Trained, "_map", odd.reach)
    x = np.random.default_rng(0).normal(size=(4, DIM))
    good = {"x": x, "z": x[:, :LATENT_DIM]}
    rows = odd.often(
        ("nothing",),
        st.one_of(odd.samples(), st.sampled_from(sorted(odd.MUTATIONS)).map(lambda name: (name,))),
    )
    methods = {
        "encode": "x",
        "decode": "z",
        "reconstruct": "x",
        "log_prob": "x",
        "posterior_samples": "x",
        "sample": None,
    }
    counts = collections.Counter()

    @odd.draw(count)
    @given(st.sampled_from(sorted(methods)), rows, odd.often(0, odd.VALUES))
    def check(name, value, seed):
        of = methods[name]
        if of is None:
            value = seed
        elif isinstance(value, tuple) and value and value[0] in odd.MUTATIONS:
            try:
                value = odd.MUTATIONS[value[0]](good[of])
            except (TypeError, ValueError):
                return
        odd.end_of(counts, lambda: getattr(trained, name)(value, seed=seed))

    check()
    odd.report("data for a trained model", counts)


@pytest.mark.parametrize("count", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_a_model_is_loaded_or_refused_in_one_line(workdir, tmp_path, count):
    others = st.sampled_from([str(tmp_path), "/", f"{workdir}/model.json"])
    places = odd.often(str(workdir), st.one_of(odd.VALUES, others))
    counts = collections.Counter()

    @odd.draw(count)
    @given(places, odd.often(None, odd.VALUES), odd.often(9, odd.VALUES))
    def check(place, system, batch_size):
        odd.end_of(counts, lambda: diffenc.load(place, system, batch_size))

    check()
    odd.report("workdirs to load", counts)


TEXTS = st.one_of(
    st.binary(max_size=200),
    st.text(max_size=200).map(str.encode),
    st.lists(st.lists(odd.SCALARS.map(str), min_size=2, max_size=3).map(",".join), max_size=9).map(
        lambda lines: "\n".join(lines).encode()
    ),
)
ENDINGS = (".npy", ".npz", ".csv", ".tsv", ".txt", ".parquet", ".doc")


def write(path, x) -> None:
    """Save samples by the ending of a path, as a person does."""
    x = x if hasattr(x, "iloc") else np.asarray(x)
    if path.suffix == ".csv":
        pd.DataFrame(x).to_csv(path, index=False)
    elif path.suffix == ".parquet":
        pd.DataFrame(x).rename(columns=str).to_parquet(path)
    elif path.suffix == ".npz":
        np.savez(path, x=x)
    else:
        np.save(path, x)


@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
def test_a_file_of_data_is_read_or_refused_in_one_line(tmp_path, count):
    counts = collections.Counter()

    @odd.draw(count)
    @given(st.sampled_from(ENDINGS), st.one_of(TEXTS, odd.samples(strange=False)))
    def check(ending, content):
        path = tmp_path / f"data{ending}"
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path = path.with_suffix(ending if ending in ENDINGS[:2] else ".csv")
            try:
                write(path, content)
            except (TypeError, ValueError):  # pandas or numpy cannot save it
                return
        odd.end_of(counts, lambda: data.load("file", path=path))

    check()
    odd.report("files of data", counts)


N = odd.NUMBERS
SETTINGS = {  # of numbers, which may be of any size
    "VPLinear": (processes.VPLinear, [N, N]),
    "VE": (processes.VE, [N, N]),
    "EDM": (processes.EDM, [N]),
    "Uniform": (noise_levels.Uniform, [N, N]),
    "Logistic": (noise_levels.Logistic, [N, N, N, N]),
    "bins_of_log_snr": (warmth.bins_of_log_snr, [N, N]),
    "make_optimizer": (training.make_optimizer, [N, st.integers(-2, 9), st.integers(0, 9), N, N]),
    "batch_indices": (order.batch_indices, [st.integers(-2, 9)] * 5),
    "OptimizerSettings": (system_settings.OptimizerSettings, [N, N, N]),
    "annealing": (annealing.Settings, [N, N]),
    "em": (lambda steps, draws: em.Settings(langevin_steps=steps, draws=draws), [N, N]),
}


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_numbers_of_any_size_make_settings_or_are_refused_in_one_line(count):
    counts = collections.Counter()

    @odd.draw(count)
    @given(
        st.sampled_from(sorted(SETTINGS)).flatmap(
            lambda name: st.tuples(st.just(name), st.tuples(*SETTINGS[name][1]))
        )
    )
    def check(case):
        name, arguments = case
        odd.end_of(counts, lambda: SETTINGS[name][0](*arguments))

    check()
    odd.report("settings of numbers", counts)
