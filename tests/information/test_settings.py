"""Settings: nested sections from dictionaries, bad values named, shorter rounds."""

import pytest

from diffenc.errors import InputError
from diffenc.information.settings import DenoiserSettings, FlowSettings, Settings


def test_sections_come_from_dictionaries():
    values = {"denoiser": {"width": 16}, "flow": {"rounds": 0}, "least_gain": 0.1}
    settings = Settings.from_dict(values)
    assert settings == Settings(
        DenoiserSettings(width=16), flow=FlowSettings(rounds=0), least_gain=0.1
    )
    assert Settings.from_dict({}) == Settings()


@pytest.mark.parametrize(
    "values, words",
    [
        ({"flows": {}}, "^setting flows does not exist: give one of denoiser"),
        ({"flow": {"round": 3}}, "^setting flow.round does not exist: give one of width"),
        ({"flow": 3}, "flow is 3: give a section of width"),
        ({"denoiser": {"draws": 0}}, "denoiser.draws is 0: give 1 or more"),
        (
            {"denoiser": {"learning_rate": float("nan")}},
            "denoiser.learning_rate is nan: give a number",
        ),
        ({"mixture": {"components": 0}}, "mixture.components is 0: give 1 or more"),
        ({"flow": {"rounds": -1}}, "flow.rounds is -1: give 0 or more"),
        ({"null": {"rounds": 0}}, "null.rounds is 0: give 1 or more"),
        ({"judge": {"parts": 0}}, "judge.parts is 0: give 1 or more"),
        ({"full_rounds": 0}, "^full_rounds is 0: give 1 or more"),
    ],
)
def test_bad_settings_are_named(values, words):
    with pytest.raises(InputError, match=words) as raised:
        Settings.from_dict(values)
    assert "\n" not in str(raised.value)


def test_few_examples_get_short_rounds():
    settings = Settings()
    assert settings.for_examples(2500) == settings
    assert settings.for_examples(5000).denoiser == settings.denoiser
    few = settings.for_examples(500)
    for n in (500, 5000):  # the gain of a useless coordinate by chance goes like 1 / n
        of_n = settings.for_examples(n).flow
        assert of_n.sparsity_price == pytest.approx(settings.flow.sparsity_price * 2500 / n)
        assert of_n.updates == settings.flow.updates
    assert few.denoiser.updates == settings.denoiser.updates // 5
    assert few.mixture.updates == settings.mixture.updates // 5
    assert settings.for_examples(20).mixture.updates == 10
    short = Settings.from_dict({"mixture": {"updates": 5}})
    assert short.for_examples(20).mixture.updates == 5
