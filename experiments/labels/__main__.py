"""What an image says about its label, and at which noise: I(image; label) over lambda.

    python -m experiments.labels --config=configs/labels/digits.py --workdir=DIR

A classifier of noised images (`posterior`) bounds I(x_lambda; Y) from below at every lambda, the
log signal-to-noise ratio. The rise of this bound is a density of information (arXiv 2509.23937),
which shows at which noise the label becomes visible: by the position of its peak, and by the share
of the information that is there at lambda = 0 already. For comparison there are three `forms` by a
denoiser, integrals of densities over lambda, with peak and share of the scores; their difference
counts as information whatever the label changes without need. Errors are those of the held-out
images alone: another training gives other networks, and the errors do not hold this scatter.
"""

import numpy as np
from etils.epath import Path
from ml_collections import ConfigDict

from diffenc.diffusion import profiles
from diffenc.errors import check
from diffenc.estimate import Estimate, bootstrap, resampled_mean
from diffenc.keys import rng_of
from diffenc.run import parallel, tables
from diffenc.run.tables import Result
from experiments import command_line
from experiments.labels import denoiser, figures, forms, posterior
from experiments.labels.settings import Evaluation, Images, read_classifier, read_training
from experiments.labels.smoothing import make_kernel


def run(config: ConfigDict, workdir: Path) -> None:
    """Run the whole experiment; again, it continues, or prints the results of the finished run."""
    training = read_training(config)
    evaluation = command_line.read(Evaluation, config, "eval")
    classifier = read_classifier(config)
    source = command_line.read(Images, config, "data")
    seed = command_line.read_field(config, "seed", int)
    check(seed >= 0, "config field seed", seed, "give 0 or more")
    if command_line.is_complete(config, workdir):
        return
    mesh = parallel.data_mesh(training.num_devices)
    parallel.check_batch(classifier.batch_size, mesh)
    labelled = denoiser.load(source)
    posterior.check_network(classifier, labelled)
    trained = denoiser.train(seed, workdir, labelled, training, evaluation)
    curve = posterior.run(
        seed, workdir / "posterior", labelled, classifier, training, evaluation.batch_size
    )
    name = source.name
    results = summarize(rng_of(seed, "bootstrap"), name, labelled, trained, curve)
    figures.draw(workdir, name, results, trained.draws, trained.levels, curve)
    tables.write_results(workdir, results)
    num_classified = curve.density.shape[1]
    num_denoised = trained.draws.log_snr.shape[1]
    tables.print_table(
        results,
        title="information of images and labels, held-out images: "
        f"{num_classified} by the classifier, {num_denoised} by the denoiser",
    )
    for sentence in forms.remarks(results):
        print(f"note: {sentence}")
    print(f"figures: {workdir / 'figures'}")


def summarize(
    rng,
    name: str,
    labelled: denoiser.Labelled,
    trained: denoiser.Trained,
    curve: posterior.Curve,
) -> list[Result]:
    """Report what classifier and denoiser say of the label, and where in the noise.

    Args:
        rng: of the bootstrap.
        name: of the data set.
        labelled: its images.
        trained: the denoiser.
        curve: of the classifier.
    """
    draws = trained.draws
    levels = trained.levels
    scores = figures.form(draws, "score_difference")
    share = "of the information"
    return [
        *posterior.information(name, curve),
        Result(f"{name}.peak_log_snr", *peak(rng, curve.slope(), levels), "lambda"),
        Result(f"{name}.high_noise_share", *posterior.high_noise_share(rng, curve), share),
        *forms.information(name, labelled.images, draws.total()),
        Result(f"{name}.peak_log_snr_by_scores", *peak(rng, scores, levels), "lambda"),
        Result(f"{name}.high_noise_share_by_scores", *high_noise_share(scores), share),
    ]


def peak(rng, draws: profiles.Profile, levels) -> Estimate:
    """Estimate where the density over lambda, smoothed by a Gaussian kernel, is highest.

    Args:
        rng: of the bootstrap over images, which gives the error.
        draws: of one form, [K, n].
        levels: the density of their noise levels.
    """
    curve = profiles.curve(draws, levels)
    grid = np.linspace(curve.edges[0], curve.edges[-1], 1001)
    kernel = make_kernel(grid, curve.log_snr)
    heights = figures.densities(draws, curve)

    def highest(height):
        return grid[np.argmax(kernel @ height)]

    error = bootstrap(highest, lambda: resampled_mean(rng, heights.T))
    return Estimate(float(highest(curve.height)), float(error))


def high_noise_share(draws: profiles.Profile) -> Estimate:
    """Estimate the share of the integral of one form [K, n] that lies below lambda = 0.

    There noise is above signal. The error is that of a ratio of means over the n images.
    """
    values = np.asarray(draws.values, np.float64) / np.asarray(draws.density, np.float64)
    is_below = np.asarray(draws.log_snr) < 0
    below = np.mean(values * is_below, axis=0)
    total = np.mean(values, axis=0)
    share = below.mean() / total.mean()
    return Estimate(float(share), Estimate.of((below - share * total) / total.mean()).stderr)


if __name__ == "__main__":
    command_line.main(run)
