"""Entries of `glossary` of benchmarks: what things cost, and how often a warning is false."""

from experiments.glossary_growth import GROWTH, POD

PLACES_OF_BENCHMARKS = {
    "benchmarks.growth": "<swept> is a name in `sweeps`, <axis> one of its sizes, and <size> its "
    "value. Memory is what a compiled program needs beside its arguments and results; of "
    "`information` by how much the resident memory of its process rises, of `order` the most on "
    "the host, and of `checkpoint` the bytes on the disk.",
    "benchmarks.pod": "<real> is a system of real size, <size> a number of chips. What it does is "
    "counted in its compiled update; seconds and rates are predicted from that by published rates "
    "of a TPU v5e, see `diffenc.run.pods`. `one_batch` is the config's batch over all chips, "
    "`own_batch` that batch on each chip.",
    "benchmarks": "<program> is an experiment and what it updates, such as "
    "`diffusion_encoder.langevin`; <sampler> is `encoder` or `sampler`, <steps> the number of "
    "their Heun steps. Errors are over turns, those of losses over draws.",
    "benchmarks.groups": "<group> is an experiment, what it updates, and the number of systems, "
    "such as `posteriors.ring.vae.size3`; <way> is `alone`, one system after another, or "
    "`together`, all in one dispatch. Errors are over turns.",
    "benchmarks.situations": "<situation> is a name in `SITUATIONS` of "
    "`experiments/benchmarks/wild_samples.py`, <verdict> is `right`, `covered`, `refused`, "
    "`warned` or `wrong`.",
    "benchmarks.false_alarms": "<warning> is a name in `WARNINGS` of "
    "`experiments/benchmarks/false_alarms.py`, or a note beside a whole estimate, in `NOTES` of "
    "`experiments/benchmarks/whole_estimates.py`.",
    "benchmarks.independence": "<law> is of independent x and y, <relation> of dependent ones: see "
    "the end of the source. A share is of sets of samples in which p <= 0.05.",
    "benchmarks.entropy_training": "<loop> is `plain` (an epoch loop), `scanned` (many updates in "
    "one program) or `reference` (scanned, from a Gaussian reference).",
}
BENCHMARKS = {
    "benchmarks": {
        "<program>.flops": "GFLOP: Operations of an update by the compiler's analysis, loops as "
        "often as they turn.",
        "<program>.megabytes": "MB: Bytes that the operations of an update read and write, "
        "likewise.",
        "<program>.time": "ms: Time of an update: the median over turns.",
        "<program>.limit_share": "% of the limit: Of that time, what operations at "
        "`machine.matrix_peak` or bytes at `machine.cached_copy_peak` would take, the larger of "
        "both.",
        "<program>.first_step": "s: Seconds of tracing, compiling and running the first call, of "
        "some updates.",
        "<program>.compilations": "programs: How many are compiled in the first call.",
        "<program>.later_compilations": "programs: How many are compiled in a second call.",
        "<program>.time_ratio": "VAE updates: Time of an update over that of the VAE of the same "
        "sizes, turn by turn.",
        "<sampler>.steps<steps>.rate": "1/s: Encodings or samples a second.",
        "<sampler>.steps<steps>.loss": "nats: KL of what is made from what should be: the exact "
        "posterior of the encoder's decoder; the mixture, for the sampler with the exact score.",
        "<sampler>.steps<steps>.folds": "of draws: Share of draws where the sampler folds the "
        "space, and the loss is none.",
        "machine.matrix_peak": "GFLOP/s: Operations a second of matrix products in float32, of the "
        "fastest of the sides `benchmark.peak_sides`.",
        "machine.cached_copy_peak": "GB/s: Bytes a second that passes over an array in a cache "
        "read and write.",
        "machine.memory_copy_peak": "GB/s: The same of an array that is too large for caches.",
    },
    "benchmarks.groups": {
        "<group>.<way>.time": "ms: Time of an update of each system, the dispatch's share.",
        "<group>.<way>.first_step": "s: Seconds of tracing, compiling and the first dispatch of "
        "all systems.",
        "<group>.<way>.memory": "MB: Memory that the compiled program needs beside its arguments "
        "and results.",
        "<group>.gain": "of one after another: Time one after another over that together, turn by "
        "turn.",
    },
    "benchmarks.growth": GROWTH,
    "benchmarks.pod": POD,
    "benchmarks.independence": {
        "<law>.false_alarms": "of sets: Share of independent samples. Its truth is 0.05, or less "
        "where samples have ties.",
        "<relation>.power_of_test": "of sets: Share of dependent samples, by the test.",
        "<relation>.power_of_ksg": "of sets: The same by nearest neighbours (Kraskov et al.).",
        "<relation>.power_of_gaussian": "of sets: The same by canonical correlations.",
    },
    "benchmarks.situations": {
        "<situation>.information": "nats: The answer; null where it was refused. Its truth is null "
        "where it is infinite, or where there is none.",
        "situations.<verdict>": "situations: How many answers are right, covered by a wide error, "
        "refused, warned of, or wrong without a word.",
    },
    "benchmarks.false_alarms": {
        "<warning>.false_alarms": "of sets: Share of clean sets of which the warning is given and "
        "is false. Its truth is the share that is aimed at.",
        "<warning>.said": "of sets: Share of which the note is given, true or false.",
        "estimates.coverage": "of sets: Share of whole estimates within two standard errors of the "
        "information. Its truth is that of normal errors.",
        "estimates.misses": "of sets: Share of whole estimates that are further away, and beside "
        "which no note says that so few rows do not show that there is nothing more.",
        "estimates.misses_warned": "of sets: Share that are further away with such a note.",
        "neighbours.doubted": "of sets: Share in which nearest neighbours show more than the exact "
        "pointwise information of the samples, by what makes an estimate doubted.",
        "neighbours.contradicted": "of sets: The same by what makes it replaced.",
        "neighbours.largest_excess": "errors: The largest of these differences, in standard "
        "errors.",
    },
    "benchmarks.entropy_training": {
        "<loop>.examples_per_second": "1/s: Training examples a second.",
        "<loop>.evaluations_per_second": "1/s: Network evaluations a second.",
        "<loop>.em_gap": "nats: L_EM, held out, at the end.",
        "<loop>.seconds": "s in all: Seconds of training.",
        "<loop>.seconds_to_<share>_percent": "s: Seconds until L_EM is below that share of "
        "S_tot; null where it is not.",
        "scanned.examples_ratio": "of plain: Examples a second, over the plain loop's.",
        "scanned.evaluations_ratio": "of plain: Evaluations a second, likewise.",
    },
}
