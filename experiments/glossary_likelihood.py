"""What the results of experiments.warm_start are called; see `experiments.glossary`."""

from experiments.glossary_latent import under

MODELS = under(
    "<model>",
    {
        "bits_per_dim": "bits/dim: An upper bound of the code length -log2 P(x): `prior` + "
        "`diffusion` + `reconstruction`. The truth of generated sentences is their length by "
        "the law that made them.",
        "prior": "bits/dim: KL of the noisiest x from the standard normal law.",
        "diffusion": "bits/dim: 1/2 int e^lambda E|x - x_hat|^2 d(lambda), from the noisiest x "
        "to the start.",
        "reconstruction": "bits/dim: E[-log2 P(x | x at the start)], by the model's decoder: "
        "what it costs to undo the noise of the start.",
        "it_nll": "bits/dim: The quantity of arXiv 2510.20903, which has no reconstruction "
        "term. It is no code length, and may be below the entropy of the data.",
        "bits_saved": "bits/dim: By how much the bound is below that of the first model, paired by "
        "example and seed.",
        "loss_variance": "(bits/dim)^2: Variance of the training loss of one example at one noise "
        "level, drawn by the model's schedule.",
        "update_time": "ms: Time of an update: the median over the dispatches of the first "
        "seed, but for the first dispatch, which compiles.",
    },
)
LIKELIHOOD = MODELS | {
    "uniform.bits_per_dim": "bits/dim: log2 of the number of values: all alike.",
    "independent.bits_per_dim": "bits/dim: Code length of numbers by themselves, with the "
    "training frequencies at their places.",
    "chow_liu.bits_per_dim": "bits/dim: Code length given one other number, along the tree "
    "of most mutual information (Chow & Liu 1968). A bound above it is not worth a network.",
    "n_gram.bits_per_dim": "bits/dim: Code length of a character given those before it.",
    "gzip.bits_per_dim": "bits/dim: Length of all examples in one gzip file.",
    "png.bits_per_dim": "bits/dim: Length of all images in one PNG file.",
    "<family>.bins=<bins>.bits_per_dim": "bits/dim: The bound of the ideal network of a known "
    "law, with its decoder. Its truth is the entropy of the law, as of the next two.",
    "<family>.bins=<bins>.marginal_bits_per_dim": "bits/dim: The same with a decoder that "
    "knows the frequencies of the values, each number by itself.",
    "<family>.bins=<bins>.uninformed_bits_per_dim": "bits/dim: The same with a decoder that "
    "takes all values for alike.",
    "<family>.bins=<bins>.it_nll": "bits/dim: The quantity of arXiv 2510.20903 of the ideal "
    "network.",
    "kraft.<decoder>.bins=<bins>": ": Sum of 2^-L over all states, L the bound of the ideal "
    "network with this decoder. The truth is the most that the lengths of a code can have.",
    "kraft.it_nll.bins=<bins>": ": The same of `it_nll`, which may be more.",
    "high=<level>.prior": "nats: The terms for Gaussian data and their exact denoiser, from a "
    "start at this lambda. The truth is their closed form for the same examples.",
    "high=<level>.diffusion": "nats: See above.",
    "high=<level>.reconstruction": "nats: See above.",
    "high=<level>.bound": "nats: Their sum. The truth is -log p(x).",
    "high=<level>.it_nll": "nats: The quantity of arXiv 2510.20903. The truth is -log p(x).",
}
