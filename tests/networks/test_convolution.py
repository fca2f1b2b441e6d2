"""Convolutions of images, and the embedding of networks that see images."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.networks import MLP, ConditionalDenoiser, ConvEmbed
from diffenc.networks.convolution import Conv, double, halve

IMAGES = np.random.default_rng(0).standard_normal((3, 8, 4, 2), np.float32)
NETWORKS = {
    "mlp": MLP((8,), 4, embed_channels=(4, 6)),
    "denoiser": ConditionalDenoiser(2, (8,), (8,), embed_channels=(4, 6)),
}


def init(net, x):
    """The parameters of a network of x."""
    if isinstance(net, MLP):
        return net.init(jax.random.key(0), x)
    n = x.shape[0]
    return net.init(
        jax.random.key(0), x, jnp.zeros((n, net.latent_dim)), jnp.zeros(n), method="initialize"
    )


def test_a_convolution_is_a_sum_over_shifted_images():
    """The equation, in NumPy: y[p] = bias + sum_o x[p + o] w[o], with x zero outside."""
    rng = np.random.default_rng(12)
    shapes = {"kernel": (3, 3, 3, 4), "bias": (4,)}
    params = {name: rng.normal(0, 0.2, shape).astype("f") for name, shape in shapes.items()}
    h = rng.normal(size=(2, 6, 5, 3)).astype("f")
    padded = np.pad(h, ((0, 0), (1, 1), (1, 1), (0, 0)))
    expected = params["bias"] + sum(
        padded[:, i : i + 6, j : j + 5] @ params["kernel"][i, j] for i in range(3) for j in range(3)
    )
    out = Conv(4).apply({"params": params}, h)
    np.testing.assert_allclose(out, expected, rtol=1e-5, atol=1e-6)


def test_halving_keeps_squares_together_and_doubling_undoes_it():
    half = halve(IMAGES)
    assert half.shape == (3, 4, 2, 8)
    np.testing.assert_array_equal(half[1, 2, 1], IMAGES[1, 4:6, 2:4].ravel())
    np.testing.assert_array_equal(double(half), IMAGES)


def test_each_feature_of_an_image_comes_from_its_own_surroundings():
    net = ConvEmbed((4, 6))

    @jax.jit
    def features_of(x):
        params = net.init(jax.random.key(1), x)
        return net.apply(params, x)

    x = np.zeros((2, 32, 16, 2), np.float32)
    x[1, :4] = 1.0  # the first rows of the second image
    features = np.asarray(features_of(x)).reshape(2, 8, 4, 6)
    is_changed = np.any(features[0] != features[1], axis=(1, 2))
    # A feature of the coarsest rows sees four rows of its own, and no further than six beyond.
    np.testing.assert_array_equal(is_changed, np.arange(8) < 3)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_sees_images_through_convolutions(name):
    net = NETWORKS[name]
    params = jax.eval_shape(lambda x: init(net, x), IMAGES)["params"]
    convolutions = params["convolutions" if name == "denoiser" else "ConvEmbed_0"]
    assert convolutions["Conv_0"]["kernel"].shape == (3, 3, 4 * 2, 4)
    assert convolutions["Conv_1"]["kernel"].shape == (3, 3, 4 * 4, 6)
    first = params["embed_layers_0" if name == "denoiser" else "Dense_0"]
    assert first["kernel"].shape == (2 * 1 * 6, 8)
    plain = jax.eval_shape(lambda x: init(net.clone(embed_channels=()), x), IMAGES)["params"]
    assert set(params) - set(plain) == {"convolutions" if name == "denoiser" else "ConvEmbed_0"}
    assert set(plain) <= set(params)


def test_the_context_of_a_denoiser_depends_on_its_image_only():
    net = NETWORKS["denoiser"]

    @jax.jit
    def contexts(x):
        params = init(net, x)
        is_null = jnp.array([False, False, True])

        def embed(x):
            return net.apply(params, x, is_null, method="embed").scales[0]

        return embed(x), embed(x.at[1].multiply(2.0)), embed(x[:, ::-1])

    same, moved, flipped = map(np.asarray, contexts(IMAGES))
    np.testing.assert_allclose(moved[[0, 2]], same[[0, 2]], rtol=1e-6)
    assert np.all(moved[1] != same[1])
    assert np.all(flipped[:2] != same[:2])
    np.testing.assert_allclose(flipped[2], same[2], rtol=1e-6)  # the null token sees nothing


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((3, 64), r"embed_channels is \(4, 6\), but the data are \[64\].*or no embed_channels"),
        ((3, 8, 6, 1), r"embed_channels has 2 widths, but images of \(8, 6\) cannot be halved 2"),
    ],
)
def test_what_convolutions_cannot_take_is_refused(name, shape, message):
    with pytest.raises(InputError, match=message):
        jax.eval_shape(lambda x: init(NETWORKS[name], x), jnp.zeros(shape))


def test_a_width_below_one_is_refused():
    with pytest.raises(InputError, match="give widths of 1 or more"):
        jax.eval_shape(lambda x: ConvEmbed((4, 0)).init(jax.random.key(0), x), IMAGES)
