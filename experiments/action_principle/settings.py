"""What a config tells experiments.action_principle, in frozen dataclasses that check themselves."""

import dataclasses

import numpy as np

from diffenc.diffusion.gaussians import GaussianMixture
from diffenc.errors import check, check_least, check_positive


@dataclasses.dataclass(frozen=True)
class Density:
    """A mixture of isotropic Gaussians.

    Attributes:
        weights: of the components.
        means: of the components, each a vector.
        stds: their standard deviations.
    """

    weights: tuple[float, ...]
    means: tuple[tuple[float, ...], ...]
    stds: tuple[float, ...]

    def __post_init__(self):
        check(min(self.weights, default=0) > 0, "weights", self.weights, "give numbers above 0")
        count = len(self.weights)
        dims = {len(mean) for mean in self.means}
        holds = len(self.means) == count and len(dims) == 1 and min(dims) >= 1
        check(holds, "means", self.means, f"give {count} vectors of one length")
        holds = len(self.stds) == count and min(self.stds) > 0
        check(holds, "stds", self.stds, f"give {count} numbers above 0")

    @property
    def dim(self) -> int:
        """The dimension."""
        return len(self.means[0])

    def mixture(self) -> GaussianMixture:
        """Make the density."""
        return GaussianMixture.isotropic(
            np.log(self.weights), np.asarray(self.means), np.asarray(self.stds)
        )


@dataclasses.dataclass(frozen=True)
class Tilting:
    """The quadratic r(x) = b x - 1/2 R x^2 in one dimension.

    Attributes:
        linear: b.
        precision: R.
    """

    linear: float
    precision: float


@dataclasses.dataclass(frozen=True)
class Mixture:
    """What the task `mixture` measures.

    Attributes:
        seed: of all draws.
        plane: the law of the action and its parabola.
        line: the law of the pictures and of guidance, of one dimension.
        tilt: of `line`.
        t_min: the time at which paths end.
        num_steps: of each path.
        num_paths: paths of each control.
        num_directions: in which the control is moved.
        sizes: by how much it is moved for the parabola.
        guidance: its weights.
        etas: strengths of the noise whose samples are compared with exact ones.
        num_samples: of each.
        num_permutations: of each comparison.
    """

    seed: int
    plane: Density
    line: Density
    tilt: Tilting
    t_min: float
    num_steps: int
    num_paths: int
    num_directions: int
    sizes: tuple[float, ...]
    guidance: tuple[float, ...]
    etas: tuple[float, ...]
    num_samples: int
    num_permutations: int

    def __post_init__(self):
        check(self.line.dim == 1, "line", f"of dimension {self.line.dim}", "give one of 1")
        check(0 < self.t_min < 1, "t_min", self.t_min, "give a small time such as 1e-2")
        check_positive(self, "num_steps")
        check_least(self, 2, "num_paths", "num_directions", "num_samples")
        check_least(self, 1, "num_permutations")
        check(bool(self.sizes), "sizes", self.sizes, "give one or more")
        check(min(self.guidance, default=-1) >= 0, "guidance", self.guidance, "give 0 or more")
        check(min(self.etas, default=-1) >= 0, "etas", self.etas, "give numbers of 0 or more")
