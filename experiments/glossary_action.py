"""What the results of experiments.action_principle are called; see `experiments.glossary`."""

from experiments.glossary_latent import under

MIXTURE = {
    "hjb_residual.<process>": "nats: Largest residual of the Hamilton-Jacobi-Bellman equation of V "
    "= -log p at 50 points, for each unit of lambda, in float64.",
    "score_residual.<process>": "eps: The same of the equation of the score, in units of eps.",
    "action": "nats: Mean action of the score from samples of the prior. The truth is the mean of "
    "-log p of the same samples.",
    "reduced_action": "nats: The same without the stochastic integral of mean 0.",
    "first_variation.<direction>": "nats: Derivative of the action of the score by the size of a "
    "move in that direction.",
    "first_variation.mean_square": "squared errors: Mean over the directions of (first variation "
    "/ error)^2.",
    "wrong_first_variation.mean_square": "squared errors: The same at 1.2 times the score, which "
    "is not stationary.",
    "curvature.<direction>": "nats: Half of the second derivative. The truth is int 1/(2 g^2) "
    "E|h|^2 along the data, by other draws; the error holds those of both.",
    "curvature.mean_square": "squared errors: Mean over the directions of (curvature less truth, "
    "over its error)^2.",
    "samples.eta=<weight>.energy_distance": "length: Energy distance of samples by the reverse "
    "process of that eta from exact ones.",
    "samples.eta=<weight>.p_value": "probability: Of a distance as large, were both of one law.",
    "wrong_samples.flow_drift.energy_distance": "length: The same with the noise of eta = 1 and "
    "half of the score in its drift, which is right for eta = 0.",
    "wrong_samples.flow_drift.p_value": "probability: See above; to be small.",
    "wrong_samples.weak_drift.energy_distance": "length: The same with 0.8 of the score.",
    "wrong_samples.weak_drift.p_value": "probability: See above.",
} | under(
    "guidance.w=<weight>",
    {
        "excess_action": "nats: Action of guidance for the law tilted 1 + w times, less the least "
        "one. The truth is `gap` on the same paths.",
        "gap": "nats: KL(guided paths || paths of the tilted law).",
        "reverse_gap": "nats: KL(paths of the tilted law || guided paths).",
        "mean": "length: Mean of the guided samples. The truth is that of the tilted law, which "
        "guidance does not sample for w > 0.",
        "variance": "length^2: Their variance, beside that of the tilted law.",
    },
)
RESIDUAL = under(
    "<score>",
    {
        "gap": "nats: 1/2 int sigma^2 E|score - exact score|^2 d(lambda), held out.",
        "score_residual": "eps^2: 1/2 int E|r|^2 d(lambda), r the residual of the equation that "
        "every score obeys, of sigma times the score for each unit of lambda.",
    },
)
LEARN = {
    "control_error.<problem>.untrained": "nats: int 1/(2 g^2) E|u - u*|^2 along the paths of the "
    "control before the first update; its error holds the scatter over seeds, as of the next two.",
    "control_error.<problem>.action": "nats: The same after training by gradients of the action.",
    "control_error.<problem>.adjoint": "nats: The same after adjoint matching.",
}
SAMPLING = under(
    "<target>",
    {
        "log_z": "nats: log of the mean weight of the paths of the learned control, over seeds. "
        "The truth is the exact log Z.",
        "bound": "nats: Mean log weight, below log Z by the relative entropy of the paths; the "
        "error is the scatter of the seeds.",
        "effective_share": "of the paths: (sum of weights)^2 / sum of squares, for each path.",
        "tail_index": "index: Shape of the generalized Pareto law of the largest weights; above "
        "0.7 log Z may be off by more than its error.",
        "coverage": "of the groups: Share of the groups of paths whose log Z is within two of its "
        "errors of the truth.",
        "annealing.log_z": "nats: The same of annealed importance sampling, with as many "
        "evaluations of the gradient as the control in training and in sampling.",
        "annealing.bound": "nats: See above.",
        "annealing.effective_share": "of the paths: See above; a chain is a path.",
        "annealing.tail_index": "index: See above.",
        "annealing.coverage": "of the groups: See above.",
    },
)
FAMILY = {
    "neg_log_likelihood.<coordinates>": "nats/dim: Mean -log p of held-out images with the noise "
    "of t_end, in the x and t of that process. The truth is that in the angle; the error is of "
    "the difference.",
    "largest_difference.<coordinates>": "nats/dim: Largest difference of the two for one image.",
    "half_steps.largest_difference.<coordinates>": "nats/dim: The same with half of the steps in "
    "that process, or in the angle itself (`angle`), beside all steps in the angle: an error of "
    "the steps is then four times as large.",
    "flow_difference.<coordinates>": "of the range: Root mean square difference of samples by the "
    "flow from those of the network's own process, from the same noise; gray levels are in [0, 1].",
    "samples.<coordinates>.eta=<weight>.energy_distance": "of the range: Energy distance of the "
    "samples from others of vp at the first eta, drawn for them alone.",
    "samples.<coordinates>.eta=<weight>.p_value": "probability: Of a distance as large, were both "
    "of one law. `wrong` has the drift of the flow with the noise of eta = 1.",
}
ACTION = MIXTURE | RESIDUAL | FAMILY | LEARN | SAMPLING
