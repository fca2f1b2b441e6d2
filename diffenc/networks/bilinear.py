"""The 3x3 convolution of images: two bilinear functions, of which each transposes the other.

    y[p] = sum_o x[p + o] w[o]        convolve(x, w)
    w[o] = sum_p x[p + o] y[p]^T      correlate(x, y)

p are pixels and o the nine offsets; x is zero outside the image. The transpose of x -> y is a
convolution too, with the kernel turned round, and the transpose of w -> y is correlate(x, .). So
all derivatives, forward and reverse and of any order, are made of these two.

JAX's own derivatives of a convolution are convolutions whose axes stand in another order. On CPUs
XLA brings axes in order outside of loops only, and inside of `lax.scan`, where networks are
trained, they take a hundred times longer. Here every convolution has its axes in order, and on a
CPU a correlation is a product of matrices.
"""

import functools

import jax
import jax.core
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

# Both take and return k independent problems [k, ...], of which k are 1 without vmap.
_convolve = Primitive("convolve_3x3")
_correlate = Primitive("correlate_3x3")


def convolve(x: jax.Array, w: jax.Array) -> jax.Array:
    """Convolve images x [n, h, w, c] with a kernel [3, 3, c, o] of their type: [n, h, w, o]."""
    return _convolve.bind(x[None], w[None], precision=_precision())[0]


def correlate(x: jax.Array, y: jax.Array) -> jax.Array:
    """Correlate images x [n, h, w, c] with y [n, h, w, o] of their type: a kernel [3, 3, c, o]."""
    return _correlate.bind(x[None], y[None], precision=_precision())[0]


def _precision():
    """The precision of matrix products that the caller has set."""
    return jax.config.values["jax_default_matmul_precision"]


def _turn(w):
    """The kernel of the transposed convolution: [k, 3, 3, c, o] -> [k, 3, 3, o, c]."""
    return w[:, ::-1, ::-1].swapaxes(3, 4)


def _convolved(x, w, precision):
    """One convolution by XLA, with the axes in its order."""
    axes = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, w, (1, 1), "SAME", dimension_numbers=axes, precision=precision
    )


def _correlated(x, y, precision):
    """One correlation by XLA: a convolution whose batch are the channels of x."""
    axes = ("CHWN", "IHWO", "HWNC")
    around = ((1, 1), (1, 1))
    return jax.lax.conv_general_dilated(
        x, y, (1, 1), around, dimension_numbers=axes, precision=precision
    )


def _correlated_by_products(x, y, precision):
    """One correlation as three products of matrices, one for each row of the kernel.

    x is shifted by rows and y, the other way, by columns: each is copied three times, where a
    shift of x alone would be copied nine times.
    """
    c = x.shape[-1]
    columns = [_shift(y, 0, 1 - column) for column in range(3)]
    columns = jnp.concatenate(columns, axis=-1).reshape(-1, 3 * y.shape[-1])
    rows = [_shift(x, row - 1, 0).reshape(-1, c).T for row in range(3)]
    products = jnp.stack([jnp.matmul(row, columns, precision=precision) for row in rows])
    return products.reshape(3, c, 3, -1).swapaxes(1, 2)


def _shift(x, rows, columns):
    """The pixels that stand so many rows below and columns to the right of each pixel of x."""
    padding = ((0, 0, 0), (-rows, rows, 0), (-columns, columns, 0), (0, 0, 0))
    return jax.lax.pad(x, jnp.zeros((), x.dtype), padding)


def _for_all(function, over_all):
    """Lift a function of one problem to k of them, by `over_all` if there is more than one."""

    def lifted(a, b, *, precision):
        """Solve the problems a [k, ...] and b [k, ...]."""
        one = functools.partial(function, precision=precision)
        return one(a[0], b[0])[None] if a.shape[0] == 1 else over_all(one)(a, b)

    return lifted


def _in_turn(function):
    """One after the other: a grouped convolution has no fast form on a CPU."""
    return lambda a, b: jax.lax.map(lambda pair: function(*pair), (a, b))


def _merge(a, dim, into):
    """Move the axis `dim` in front of the axis `into` of the rest, and make them one."""
    a = jnp.moveaxis(a, dim, into)
    return a.reshape(*a.shape[:into], -1, *a.shape[into + 2 :])


def _batched(primitive, axis_of_first, axis_of_second):
    """The rule of vmap.

    Where both operands have a batch there are more independent problems. What only one has are
    more images or more channels: its axis is merged into the first of the two axes given, and is
    found in the second, of the result.
    """

    def rule(operands, dims, **kwargs):
        """Solve a problem for each index along the axes `dims` of the operands, None for none."""
        a, b = operands
        if None not in dims:
            size, into = a.shape[dims[0]], 0
            out = primitive.bind(_merge(a, dims[0], 0), _merge(b, dims[1], 0), **kwargs)
        elif dims[1] is None:
            size, (source, into) = a.shape[dims[0]], axis_of_first
            out = primitive.bind(_merge(a, dims[0], source), b, **kwargs)
        else:
            size, (source, into) = b.shape[dims[1]], axis_of_second
            out = primitive.bind(a, _merge(b, dims[1], source), **kwargs)
        return out.reshape(*out.shape[:into], size, -1, *out.shape[into + 1 :]), into

    return rule


def _define(primitive, shape_of, lax_function, cpu_function):
    """Tell JAX the shape of a result, and how it is computed on a CPU and elsewhere."""

    def abstract(a, b, **_):
        """The type of the result."""
        if a.dtype != b.dtype:
            raise TypeError(f"{primitive.name}: {a.dtype} and {b.dtype} are not of one type")
        return jax.core.ShapedArray(shape_of(a.shape, b.shape), a.dtype)

    primitive.def_abstract_eval(abstract)
    primitive.def_impl(jax.jit(primitive.bind, static_argnames="precision"))
    anywhere = mlir.lower_fun(_for_all(lax_function, jax.vmap), multiple_results=False)
    mlir.register_lowering(primitive, anywhere)
    on_cpu = mlir.lower_fun(_for_all(cpu_function, _in_turn), multiple_results=False)
    mlir.register_lowering(primitive, on_cpu, platform="cpu")


_define(_convolve, lambda x, w: (*x[:4], w[4]), _convolved, _convolved)
_define(_correlate, lambda x, y: (x[0], 3, 3, x[4], y[4]), _correlated, _correlated_by_products)
ad.defbilinear(
    _convolve,
    lambda ct, x, w, **kwargs: _convolve.bind(ct, _turn(w), **kwargs),
    lambda ct, x, w, **kwargs: _correlate.bind(x, ct, **kwargs),
)
ad.defbilinear(
    _correlate,
    lambda ct, x, y, **kwargs: _convolve.bind(y, _turn(ct), **kwargs),
    lambda ct, x, y, **kwargs: _convolve.bind(x, ct, **kwargs),
)
# Axes that hold what x, w or y alone has more of: in the operand, and in the result.
batching.primitive_batchers[_convolve] = _batched(_convolve, (1, 1), (4, 4))
batching.primitive_batchers[_correlate] = _batched(_correlate, (4, 3), (4, 4))
