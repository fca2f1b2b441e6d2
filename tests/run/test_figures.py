"""Contracts of figures: their size, their colours, where a grid places its images."""

import matplotlib.image
import numpy as np
import pytest

from diffenc.errors import InputError
from diffenc.run import figures, parallel


def test_a_figure_of_every_kind(tmp_path):
    fig, axes = figures.figure(1, 2)
    assert axes.shape == (1, 2)
    x = np.arange(5)
    line = figures.band(axes[0, 0], x, x**2, 0.1 * x, label="estimate")
    figures.truth_line(axes[0, 0], 4.0)
    figures.label(axes[0, 0], "time", "entropy (nats)", title="growth", legend=True)
    figures.image_grid(
        axes[0, 1], np.random.default_rng(0).integers(0, 17, (7, 8, 8, 1)), columns=3, max_value=16
    )
    assert line.get_color() == figures.PALETTE[0]
    path = figures.save(fig, tmp_path, "all")
    assert path == tmp_path / "figures" / "all.png" and [
        one.name for one in path.parent.iterdir()
    ] == ["all.png"]
    assert matplotlib.image.imread(path).shape[:2] == (420, 1020)


def test_the_grid_places_images_row_by_row():
    fig, axes = figures.figure()
    images = np.arange(1.0, 4.0)[:, None, None] * np.ones((3, 2, 2))
    figures.image_grid(axes[0, 0], images, columns=2)
    shown = np.asarray(axes[0, 0].images[0].get_array())
    assert shown.shape == (5, 5)
    np.testing.assert_allclose(
        [shown[0, 0], shown[0, 3], shown[3, 0], shown[3, 3], shown[0, 2]], [1 / 3, 2 / 3, 1, 1, 1]
    )


def test_a_logarithmic_axis_of_less_than_a_decade_is_named():
    fig, axes = figures.figure()
    axes[0, 0].plot([15.0, 110.0], [1.0, 2.0])
    axes[0, 0].set(xscale="log")
    figures.log_labels(axes[0, 0].xaxis)
    fig.canvas.draw()
    low, high = axes[0, 0].get_xlim()
    ticks = axes[0, 0].get_xticklabels(which="both")
    shown = [
        one.get_text() for one in ticks if one.get_text() and low <= one.get_position()[0] <= high
    ]
    assert shown == ["20", "50", "100"]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_three_channels_are_colours_and_others_their_mean(channels):
    fig, axes = figures.figure()
    images = np.random.default_rng(0).uniform(size=(1, 3, 5, channels))
    figures.image_grid(axes[0, 0], images, columns=1, max_value=1.0)
    shown = np.asarray(axes[0, 0].images[0].get_array())
    expected = images[0] if channels == 3 else images[0].mean(axis=-1)
    np.testing.assert_allclose(shown, expected)


@pytest.mark.parametrize("shape", [(8, 8), (0, 8, 8), (3, 8, 8, 0)])
def test_images_of_another_shape(shape):
    fig, axes = figures.figure()
    with pytest.raises(InputError, match="images have shape"):
        figures.image_grid(axes[0, 0], np.zeros(shape), columns=2)


def test_of_several_processes_only_the_first_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(parallel, "is_main_process", lambda: False)
    figure, _ = figures.figure()
    figures.save(figure, tmp_path, "loss")
    assert list(tmp_path.iterdir()) == []
