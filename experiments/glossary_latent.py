"""What the results of latent-variable models mean: the first entries of `experiments.glossary`."""

BOUNDS = {  # of latent-variable models; the encoder is q(z|x), the decoder p(x|z), the prior p(z)
    "neg_elbo": "nats: -ELBO = E[log q(z|x) - log p(x, z)]: `rate` + `distortion`.",
    "rate": "nats: KL(q(z|x) || p(z)): what the latent says about x.",
    "distortion": "nats: E[-log p(x|z)] with z from the encoder.",
    "nll": "nats: An upper bound of -log p(x): importance sampling with K = `eval.num_samples` "
    "draws.",
    "ess": "samples: Effective sample size of these K draws: between 1 and K.",
    "amortization_gap": "nats: -log p(x|z) of the encoder's own sample less that of the same "
    "chain after `eval.langevin_steps` Langevin steps: what the encoder's samples lack.",
}


def under(prefix: str, entries: dict[str, str]) -> dict[str, str]:
    """Put a prefix before the names of entries."""
    return {f"{prefix}.{name}": entry for name, entry in entries.items()}


LATENT = {
    "diffusion_encoder": under("<system>", BOUNDS)
    | {
        "<system>.reconstruction_own": "nats: -log p(x|z) of the encoder's own sample.",
        "<system>.reconstruction_langevin": "nats: The same after `eval.langevin_steps` Langevin "
        "steps from there.",
        "<system>.prior_kl": "nats: KL(q(z) || p(z)), q(z) being the encoder's learned prior: "
        "the encoder without x.",
        "<system>.ml_gap": "nats: Factor analysis: log p(x) of the training data below its "
        "closed-form maximum. Its truth is 0.",
        "<system>.posterior_kl": "nats: Factor analysis: KL(q(z|x) || exact posterior), by the "
        "encoder's own samples, and so an estimate may be negative. With `eval.grid_draws` (the "
        "demo, d = 2): KL(exact posterior of the system's own decoder || q(z|x)), by exact draws "
        "from a grid. Its truth is 0.",
        "<system>.exact_nll": "nats: -log p(x) itself, on a grid (d = 2).",
        "diffusion_encoder.nll_below_vae": "nats: The VAE's `nll` less the diffusion encoder's, "
        "on the same examples.",
        "diffusion_encoder.posterior_kl_below_vae": "nats: The same difference of `posterior_kl`.",
        "diffusion_encoder.exact_nll_below_vae": "nats: The same difference of `exact_nll`.",
        "<system>.update_time": "ms: Time of an update: the median over dispatches after the "
        "first, which compiles.",
        "diffusion_encoder.update_time_ratio": "VAE updates: Time of an alternating update over "
        "that of a VAE's, dispatch by dispatch.",
    },
    "posteriors": under("<case>.<method>", BOUNDS)
    | {
        "<case>.<method>.train_nll": "nats: `nll` of 1,000 training examples: below `nll` by "
        "what the decoder memorized.",
        "<case>.<method>.posterior_kl": "nats: Toys: KL(exact posterior || q(z|x)), by exact "
        "draws. Its truth is 0.",
        "<case>.<method>.mass": ": Toys: the integral of q(z|x) over the grid. Its truth is 1.",
        "<case>.<method>.folds": ": Share of draws whose sampler folded the space. Where it is "
        "above 0 the encoder's density, and so its bounds, are not strict.",
        "<case>.<method>.ais_nll": "nats: An upper bound of -log p(x) by annealed importance "
        "sampling, held out.",
        "<case>.<method>.ais_lower": "nats: Lower bound of log p(x) of data simulated from the "
        "model, by annealing.",
        "<case>.<method>.ais_upper": "nats: Upper bound of the same, by annealing backwards from "
        "the z that made x.",
        "<case>.<method>.ais_gap": "nats: `ais_upper` less `ais_lower`: how far the annealing "
        "can be trusted.",
        "<case>.<method>.nll_above_<first>": "nats: `nll` less that of the first method, on the "
        "same examples.",
        "<case>.<method>.neg_elbo_above_<first>": "nats: The same of `neg_elbo`.",
        "<case>.<method>.ais_nll_above_<first>": "nats: The same of `ais_nll`.",
        "<case>.<method>.update_time": "ms: Time of an update of the first seed, as in "
        "diffusion_encoder.",
        "<case>.best_gaussian.posterior_kl": "nats: Toys: the least KL(exact posterior || "
        "Gaussian).",
    },
    "diffusion_decoder": under(
        "<trained>",
        {
            "rate": BOUNDS["rate"],
            "distortion": "nats: E[-log p(x|z)] with z from the encoder, by the decoder's "
            "denoising loss, which bounds it. Of whole numbers: of their probability, by "
            "dequantization.",
            "neg_elbo": "nats: `rate` + `distortion`, a bound of -log p(x).",
            "prior": "nats: The decoder's loss by parts, whose sum is `distortion`: "
            "KL(q(x_low|x) || N(0, I)) at the smallest lambda.",
            "below": "nats: The denoising loss below the split.",
            "above": "nats: That above the split.",
            "reconstruction": "nats: -log of the density by which x is read off x at the largest "
            "lambda; a constant.",
            "dequantization": "nats: Of whole numbers: -log of the volume of a cell of the data, "
            "which makes of a density a probability; a constant.",
            "refit_rate": "nats: `rate`, `distortion` and `neg_elbo` after the encoder was fitted "
            "again at gamma = 1 while the decoder rested.",
            "refit_distortion": "nats: See `refit_rate`.",
            "refit_neg_elbo": "nats: See `refit_rate`.",
            "latent_cost": "nats: `neg_elbo` less that of the decoder without a latent at the same "
            "split, on the same examples.",
            "refit_latent_cost": "nats: The same of `refit_neg_elbo`.",
            "rate_of_learned_prior": "nats: E[log q(z|x) - log q(z)] with q(z) the learned prior, "
            "the encoder without x.",
            "own_error": "squared: |x - x'|^2 of x' drawn from a latent of x and random noise; x "
            "in [-1, 1] where the data are bounded.",
            "other_error": "squared: The same with latents of other examples: the mean over all "
            "pairs.",
            "round_trip_error": "squared: The same with the latent of x and the noise to which the "
            "flow leads x: what it has less than `own_error` is in the noise, not in z.",
            "mean_error": "squared: |x - E[x|z]|^2 of a latent of x.",
            "other_mean_error": "squared: The same with latents of other examples: the mean over "
            "all pairs.",
            "reconstruction_ratio": "of another's: `own_error` over `other_error`.",
            "round_trip_ratio": "of another's: `round_trip_error` over `other_error`.",
            "mean_reconstruction_ratio": "of another's: `mean_error` over `other_mean_error`.",
            "lambda=<level>.shuffle_rise": "nats: The part of `shuffle_rise` from this lambda to "
            "the next, two above; the first and the last hold all beyond.",
            "shuffle_rise": "nats: Rise of the denoising loss when two examples, paired at random, "
            "exchange latents, at the same noise; 0 where z is ignored.",
            "active_dimensions": "dimensions: How many dimensions of E[z|x] vary over x by more "
            "than 0.01.",
            "knn_accuracy": "of examples: Share of held-out examples that the nearest "
            "`eval.neighbours` training latents label right, by one draw of z each.",
            "knn_accuracy_of_mean": "of examples: The same of means of `eval.mean_samples` draws.",
            "logistic_accuracy": "of examples: Share that a logistic regression on z labels right, "
            "in five folds of the held-out examples.",
            "logistic_accuracy_of_mean": "of examples: The same of means of draws.",
            "frechet": "squared distance: Frechet distance of samples from held-out examples in "
            "the features of a classifier that the run trains. It compares with that of no other "
            "run. Samples of `vae` are E[x|z], without its noise.",
            "frechet_floor": "squared distance: The same between two halves of the held-out "
            "examples.",
            "semantic_information": "nats: Of rivals and in sweeps: as "
            "`semantic.label_information`.",
            "perceptual_information": "nats: Of rivals and in sweeps: as "
            "`perceptual.label_information`.",
            "rate_saved": "nats: Sweeps: the Gaussian encoder's rate at the distortion of this "
            "place, on straight lines between its own places, less the rate of this place. The "
            "lines are chords of a convex curve and lie above it, in favour of the diffusion "
            "encoder; the error does not hold this.",
            "update_time": "ms: Time of an update of the first seed, as in diffusion_encoder.",
            "update_time_ratio": "diffusion-VAE updates: Time of an alternating update over that "
            "of the Gaussian encoder's, dispatch by dispatch.",
            "throughput": "examples/s: Training examples a second, on all devices; with "
            "`eval.peak_side`, as the next.",
            "peak_share": "% of the peak: Operations of matrix products and convolutions a second, "
            "as a share of `machine.matrix_peak` on all devices.",
        },
    )
    | {
        "<trained>.rate_below_gaussian_encoder": "nats: The Gaussian encoder's `rate` less that of "
        "the diffusion encoder, on the same examples and seeds.",
        "<trained>.distortion_below_gaussian_encoder": "nats: The same of `distortion`.",
        "<trained>.neg_elbo_below_gaussian_encoder": "nats: The same of `neg_elbo`.",
        "<trained>.refit_neg_elbo_below_gaussian_encoder": "nats: The same of `refit_neg_elbo`.",
        "<trained>.knn_accuracy_of_mean_above_gaussian_encoder": "of examples: The diffusion "
        "encoder's `knn_accuracy_of_mean` less that of the Gaussian encoder, on the same examples "
        "and seeds.",
        "<trained>.logistic_accuracy_of_mean_above_gaussian_encoder": "of examples: The same of "
        "`logistic_accuracy_of_mean`.",
        "semantic.label_information": "nats: Two latents: I(z; label) of the one that the decoder "
        "sees at high noise. Where fewer than 2,000 examples are held out, training examples fill "
        "them up.",
        "perceptual.label_information": "nats: The same of the one that it sees at low noise.",
        "machine.matrix_peak": "TFLOP/s: Of one device: products of square matrices of side "
        "`eval.peak_side` in the decoder's precision, the best of five.",
        "machine.peak_memory": "GB: The most memory that the first device had in use up to the end "
        "of training, where it tells.",
    },
}
