"""Neural entropy of a small U-Net on MNIST, pixels in [0, 1], against the number of training
images.

python -m experiments.neural_entropy --config=configs/neural_entropy/mnist.py
--workdir=runs/entropy_mnist \
    --config.data.dir=DIRECTORY_OF_PREPARED_TFDS_DATA

One CPU core, seven minutes, one seed, VP from t = 1e-3, 300 held-out images, errors over images
(nats):

    N         S_NN held out    S_NN own data    growth G held out
    100          2657(11)         2640(17)        2682.2(8.9)
    1000         2620(11)         2621(10)        2685.4(8.9)
    10000        2624(12)         2626(10)        2686.5(8.9)

500 updates of 32 images are too few for N to matter, and what this network generates are strokes.
Mind that the numbers depend on t_min: a pixel that is always zero adds 1/2 nat for each further
unit of lambda.

On an accelerator (one H200, beside other programs: 7 minutes of training for all four sizes), 2,000
held-out images:

    --config.model.channels="(32,64,128)" --config.model.dtype=bfloat16 --config.batch_size=128 \
    --config.num_updates=8000 --config.evaluate_every=2000 --config.save_every=8000 \
    --config.samples="(100,1000,10000,0)" --config.eval.num_examples=2000 --config.eval.monitor=500 \
    --config.eval.batch_size=500

    N         S_NN held out    S_NN own data    growth G held out
    100         10307(27)        3226(12)        -5083(32)
    1000         6263(19)        3178.6(3.6)      -481(22)
    10000        2954.4(2.6)     2948.9(2.6)      2950.3(2.8)
    60000        2950.4(2.6)     2946.4(2.6)      2950.6(2.8)

With 8,000 updates for every N, 100 images are learned by heart: of twenty generated ones nineteen
are copies of one of them, and S_NN on images that the network has not seen counts what is not
there. From 10,000 on the three numbers agree, the images are new, and S_NN no longer falls. a + b
log N through these rows: b = -1202 +- 260 for S_NN held out, 1304 +- 294 for G.

The pixels one by one hold 2630.3 +- .5 nats (60,000 images; by quadrature, measured later), so with
G at N = 60,000 their total correlation is at least 320.3 +- 2.8 nats. Both sums, not so much their
difference, depend on t_min.

A budget of passes instead of updates (the same with --config.max_epochs=100
--config.reference=equilibrium --config.warmup=50 --config.samples="(100,300,1000,3000,10000,0)";
stopped at update 3,800; 500 images, judged at update 2,000, where the sizes up to 1,000 rested and
the larger ones were still learning):

    N         updates    S_NN held out    growth G held out
    100           100       2816(10)         2782(10)
    300           300       2904(10)         2875(10)
    1000          800       2931(10)         2915(10)
    3000        2,000       2939(10)         2936(10)
    10000       2,000       2931(10)         2935(10)
    60000       2,000       2942(10)         2936(10)

(the errors are mostly shared: the same images). With a bound on the passes S_NN rises with the
updates that a size is allowed, and levels off; where those are equal, from 3,000 on, it shows no
trend in N. The sizes that rested stopped at almost the full learning rate, and the reference is
another than above, so the two runs differ in more than one thing. arXiv 2409.03817 has 1400 nats at
N = 100 and 2530 at 60,000, with another network and another number of passes: its logarithm is not
reproduced by this run; all sizes to the end of their passes: passes_mnist.py.
"""

from configs.neural_entropy import digits


def get_config():
    config = digits.get_config()
    config.datasets = ("mnist",)
    config.samples = (100, 1000, 10_000)
    config.model.channels = (8, 16, 32)
    config.batch_size = 32
    config.num_updates = 500
    config.evaluate_every = 100
    config.save_every = 500
    config.eval.update(num_examples=300, monitor=100, batch_size=100)
    return config
