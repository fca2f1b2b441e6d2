"""Settings of experiments.diffusion_decoder: what a config says, and what is refused, in one line
and before training."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from checks import NUM_SIGMAS
from decoder_runs import CONFIGS, make_config

from configs.diffusion_decoder import digits
from diffenc.errors import InputError
from diffenc.keys import key_of
from diffenc.latent import systems
from diffenc.latent.em import OF_CHAINS, OF_PROPOSALS
from diffenc.run import costs
from experiments.arguments import load_config
from experiments.diffusion_decoder import __main__ as diffusion_decoder
from experiments.diffusion_decoder import measures, models
from experiments.diffusion_decoder.settings import Point, read_experiment

FIRST = "diffusion_encoder"
RIVAL = "gaussian_encoder"


def test_every_method_has_its_settings():
    experiment = read_experiment(make_config(em__e_step="importance", em__proposals=7))
    of_method = {method: settings for (method, _), settings in experiment.methods.items()}
    assert {method: settings.method for method, settings in of_method.items()} == {
        FIRST: "importance",
        RIVAL: "vae",
        "deterministic_encoder": "deterministic",
        "vae": "vae",
        "without_latent": "without_latent",
    }
    assert not experiment.is_sweep
    for method, settings in of_method.items():
        is_diffusion = method != "vae"
        assert (settings.model.decoder == "diffusion") == is_diffusion
        assert (settings.model.diffusion is not None) == is_diffusion
        assert settings.em.gamma == (0.1 if is_diffusion else 1.0)
        assert settings.em.proposals == 7 and settings.em.rate is None
    again = experiment.refit(of_method[FIRST])
    assert again.em.gamma == 1.0 and again.optimizer.only_encoder
    assert again.optimizer.num_updates == experiment.refit_updates == 4
    early = read_experiment(make_config(first_updates=2)).first(of_method[FIRST])
    assert early.em == of_method[FIRST].em and early.optimizer.num_updates == 2
    assert not early.optimizer.only_encoder


def test_the_diffusion_encoder_takes_at_most_one_and_a_half_of_the_gaussian_encoders_products():
    """In one update of the digits, with the same decoder and batch. Nothing is trained here."""
    experiment = read_experiment(digits.get_config())
    shape = (8, 8)
    flops = {}
    for method in (FIRST, RIVAL):
        settings = experiment.methods[method, Point()]
        decoder = systems.make_decoder(settings.model, shape)
        system = systems.make(settings, decoder, shape, 100, 0)
        x = np.zeros((experiment.training.batch_size, *shape), np.float32)
        measured = costs.measure(system.update, system.state, key_of(0, "costs"), x)
        flops[method] = measured.flops
    assert flops[FIRST] <= 1.5 * flops[RIVAL]


@pytest.mark.slow  # that of ten minutes is traced in test_ten_minutes.py
@pytest.mark.parametrize(
    ("name", "shape", "precision"),
    [
        ("fashion_mnist", (28, 28, 1), "bfloat16"),
        ("cifar10", (32, 32, 3), "bfloat16"),
    ],
)
def test_the_configs_for_accelerators_fit_their_images(name, shape, precision):
    """The first system, in its full size: its update and its E[x|z] have shapes. None is made."""
    config = load_config(f"{CONFIGS / name}.py")
    config.data.dir = "somewhere"
    experiment = read_experiment(config)
    settings = experiment.methods[FIRST, Point()]
    assert settings.model.diffusion.precision == precision
    decoder = systems.make_decoder(settings.model, shape)
    state = jax.eval_shape(lambda: systems.make(settings, decoder, shape, 50000, 0).state)
    encoder = systems.make_encoder(settings, decoder)
    update = systems.make_update(settings, encoder, decoder, systems.make_optimizer(settings))
    x = np.zeros((experiment.training.batch_size, *shape), np.float32)
    new_state, _ = jax.eval_shape(update, state, key_of(0, "shapes"), x)
    assert jax.tree.map(jnp.shape, new_state) == jax.tree.map(jnp.shape, state)
    z = np.zeros((2, settings.model.latent_dim), np.float32)
    mean = jax.eval_shape(decoder.mean, state.params["decoder"], z)
    assert mean.shape == (2, np.prod(shape))


def test_a_rate_is_kept_to_in_training_and_not_in_refitting():
    experiment = read_experiment(make_config(em__rate=3.0, first_updates=4))
    point = Point()
    assert {method: one.em.rate for (method, _), one in experiment.methods.items()} == {
        FIRST: 3.0,
        RIVAL: 3.0,
        "deterministic_encoder": None,
        "vae": None,
        "without_latent": None,
    }
    assert experiment.refit(experiment.methods[FIRST, point]).em.rate is None
    assert experiment.first(experiment.methods[FIRST, point]).em.rate is None


def test_a_sweep_trains_each_method_where_it_differs():
    changes = dict(sweep__gammas=(0.3, 0.1), sweep__splits=(-2.0, 0.0))
    experiment = read_experiment(make_config(**changes))
    assert experiment.is_sweep
    points = {}
    for (method, point), settings in experiment.methods.items():
        points.setdefault(method, []).append(point)
        if point.gamma is not None:
            assert settings.em.gamma == point.gamma
        if point.split is not None:
            assert settings.model.diffusion.split == point.split
    both = [Point(0.3, -2.0), Point(0.3, 0.0), Point(0.1, -2.0), Point(0.1, 0.0)]
    assert points == {
        FIRST: both,
        RIVAL: both,
        "deterministic_encoder": [Point(None, -2.0), Point(None, 0.0)],
        "vae": [Point()],
        "without_latent": [Point(None, -2.0), Point(None, 0.0)],
    }
    assert Point(0.1, -2.0).parts == ("gamma=0.1", "split=-2") and Point().parts == ()


@pytest.mark.parametrize("e_step", ["encoder", "importance", "langevin", "persistent"])
def test_the_config_goes_with_every_e_step_and_what_one_does_not_read_is_refused(e_step):
    read_experiment(make_config(em__e_step=e_step))
    changed = dict(kernel="hmc", step_size=0.2, proposals=7, smooth_decoder=False, sampler_steps=2)
    read = {
        "encoder": {"sampler_steps"},
        "importance": set(OF_PROPOSALS),
        "langevin": {*OF_CHAINS, "sampler_steps"},
        "persistent": set(OF_CHAINS),
    }
    for field, value in changed.items():
        config = make_config(em__e_step=e_step, **{f"em__{field}": value})
        if field in read[e_step]:
            read_experiment(config)
            continue
        words = f"config field em.{field} is {value!r}, which em.e_step={e_step} does not read"
        with pytest.raises(InputError, match=re.escape(words)):
            read_experiment(config)


REFUSALS = [
    (dict(methods=("difusion_encoder",)), "methods is 'difusion_encoder'", "diffusion_encoder"),
    (dict(methods=("pca",)), "methods is 'pca'", "choose one of"),
    (dict(methods=()), "methods is ()", "name one"),
    (dict(methods=("vae", "vae")), "methods is ('vae', 'vae')", "each once"),
    (dict(num_seeds=0), "num_seeds is 0", "above 0"),
    (dict(first_updates=3), "first_updates is 3", "multiple of updates_per_dispatch"),
    (dict(refit_updates=3), "refit_updates is 3", "multiple of updates_per_dispatch"),
    (dict(refit_updates=-2), "refit_updates is -2", "multiple of updates_per_dispatch"),
    (dict(accumulate=7), "accumulate is 7", "at most"),
    (dict(accumulate=5), "accumulate is 5", "has 4 updates"),  # refitting
    (dict(accumulate=0), "accumulate is 0", "1 or more"),
    (dict(decoder__split=9.0), "decoder.split is 9.0", "between low=-7 and high=7"),
    (dict(decoder__split=-7.0), "decoder.split is -7.0", "between low=-7 and high=7"),
    (dict(sweep__splits=(0.0, 9.0)), "sweep.splits is 9.0", "between low=-7 and high=7"),
    (dict(sweep__splits=(0.0, 0.0)), "sweep.splits is (0.0, 0.0)", "each once"),
    (dict(sweep__gammas=(0.1, 0.0)), "sweep.gammas is (0.1, 0.0)", "above 0"),
    (dict(sweep__gammas=(0.1, 0.10000001)), "sweep.gammas is", "each once"),
    (dict(sweep__gammas=(0.1,), em__rate=3.0), "sweep.gammas", "give em.rate=0"),
    (dict(em__rate=15.0), "em.rate is 15.0", "2 dimensions holds 14 nats"),
    (dict(em__rate=-1.0), "em.rate is -1.0", "above 0"),
    (dict(em__gamma=0.0), "em.gamma is 0.0", "above 0"),
    (dict(em__e_step="gibbs"), "em.e_step is 'gibbs'", "persistent"),
    (dict(em__proposals=3), "em.proposals is 3", "em.e_step=encoder does not read"),
    (dict(decoder__perceptual_dim=2), "model.latent_dim is 2", "give more"),
    (dict(decoder__perceptual_dim=1, decoder__split=7.0), "perceptual_dim is 1", "below high=7"),
    (dict(decoder__network="resnet"), "decoder.network is 'resnet'", "mlp, unet"),
    (dict(decoder__features=(8, 8)), "decoder.features is (8, 8)", "one width"),
    (dict(decoder__precision="float16"), "decoder.precision is 'float16'", "(nearest: bfloat16)"),
    (dict(decoder__precision="bfloat16"), "decoder.precision is bfloat16", "give 'float32'"),
    (dict(decoder__attention=(8,)), "decoder.attention is (8,)", "network=unet"),
    (dict(decoder__rematerialize=True), "decoder.rematerialize is True", "does not read it"),
    (dict(eval__num_examples=19), "eval.num_examples is 19", "20 or more (0 for all)"),
    (dict(eval__num_samples=0), "eval.num_samples is 0", "above 0"),
    (dict(eval__frechet_samples=99), "eval.frechet_samples is 99", "100 or more (0 for none)"),
    (dict(eval__classifier_updates=1), "eval.classifier_updates is 1", "2 or more"),
]


@pytest.mark.parametrize("changes, culprit, remedy", REFUSALS)
def test_bad_settings_are_refused_in_one_line(tmp_path, changes, culprit, remedy):
    with pytest.raises(InputError) as raised:
        diffusion_decoder.run(make_config(**changes), tmp_path)
    message = str(raised.value)
    assert culprit in message and remedy in message.split(culprit)[1] and "\n" not in message
    assert not list(tmp_path.iterdir())


def of_file(path, x, labels=None, **changes):
    """A config of a person's file with these rows."""
    np.savez(path, x=x, **({} if labels is None else {"labels": labels}))
    return make_config(data__name="file", data__path=str(path), **changes)


UNET = dict(decoder__network="unet", decoder__features=(8, 16), methods=(FIRST,))
ATTENDING = UNET | dict(decoder__features=(8,), decoder__attention=(4,))
TWO = dict(decoder__perceptual_dim=1, data__test_fraction=0.6)
ROWS = np.random.default_rng(0)
IMAGES = ROWS.integers(0, 256, (200, 7, 7)).astype(np.uint8)
VECTORS = ROWS.normal(size=(200, 5))
BAD_DATA = [
    (IMAGES, None, UNET, "decoder.features has 2 levels", "cannot be halved 1 times: give fewer"),
    (IMAGES, None, UNET | dict(decoder__features=(9,)), "decoder.features is (9,)", "multiples of"),
    (IMAGES, None, ATTENDING, "decoder.attention is (4,)", "heights of its levels, 7"),
    (VECTORS, None, UNET, "'unet' takes images [h, w, c]", "[5]: choose mlp"),
    (VECTORS, None, dict(model__embed_channels=(8,)), "embed_channels is (8,)", "give images"),
    (VECTORS[:110], None, {}, "has 18 examples to test, and probes need 20", "test_fraction"),
    (VECTORS, np.arange(200) // 10, {}, "label 0 has 1 of the 33 held-out", "eval.num_examples"),
    (VECTORS, np.arange(200) // 191, TWO, "label 1 has 9 of the 200 examples", "perceptual_dim=0"),
    (VECTORS, np.zeros(200, int), {}, "label 0 has 33 of the 33", "two labels of 5"),
    (VECTORS, np.arange(200) % 2, dict(eval__neighbours=168), "eval.neighbours is 168", "167"),
    (VECTORS, None, dict(data__validation=150), "data.validation is 150", "give 2 to 67"),
]


@pytest.mark.parametrize("x, labels, changes, culprit, remedy", BAD_DATA)
def test_bad_data_are_refused_in_one_line_before_training(
    tmp_path, monkeypatch, x, labels, changes, culprit, remedy
):
    config = of_file(tmp_path / "mine.npz", x, labels, **changes)
    monkeypatch.delattr(diffusion_decoder.loop, "train")
    with pytest.raises(InputError) as raised:
        diffusion_decoder.run(config, tmp_path / "run")
    message = str(raised.value)
    assert culprit in message and remedy in message.split(culprit)[1] and "\n" not in message


WEIGHING = (
    (dict(em__e_step="importance"), "em.e_step=importance weighs"),
    (dict(em__e_step="langevin", em__kernel="mala"), "em.kernel=mala weighs"),
)


@pytest.mark.parametrize(("changes", "culprit"), WEIGHING)
def test_what_weighs_two_latents_by_values_is_refused(tmp_path, monkeypatch, changes, culprit):
    monkeypatch.delattr(diffusion_decoder.loop, "train")
    config = make_config(decoder__perceptual_dim=1, methods=(FIRST,), **changes)
    with pytest.raises(InputError, match=f"{culprit} latents by values .* with em.kernel=ula"):
        diffusion_decoder.run(config, tmp_path)


def test_persistent_chains_with_a_metropolis_step_are_refused(tmp_path, monkeypatch):
    monkeypatch.delattr(diffusion_decoder.loop, "train")
    config = make_config(em__e_step="persistent", em__kernel="mala", methods=(FIRST,))
    with pytest.raises(InputError, match=r"e_step=persistent with em.kernel=mala \(ula does not\)"):
        diffusion_decoder.run(config, tmp_path)


def test_the_examples_of_a_file_are_mixed_with_their_labels(tmp_path):
    """A file sorted by label: the first examples, and neighbours, are of all labels."""
    labels = np.arange(600) // 200
    x = 10.0 * labels[:, None] + np.random.default_rng(0).uniform(size=(600, 2))
    experiment = read_experiment(of_file(tmp_path / "mine.npz", x, labels))
    dataset = models.load(experiment)
    for rows, names in (
        (dataset.train, dataset.train_labels),
        (dataset.test, dataset.test_labels),
    ):
        np.testing.assert_array_equal(rows[:, 0] // 10, names)
        assert len(set(names[:20])) == 3
        share = np.mean(names == np.roll(names, 1))
        # of a random order, 1/3; a pair shares an example with two others, which are uncorrelated
        assert abs(share - 1 / 3) < NUM_SIGMAS * np.sqrt(2 / 9 / len(names))
    again = models.load(experiment)
    np.testing.assert_array_equal(dataset.test, again.test)
    measures.check_examples(experiment, dataset)
