"""The operator's words where there are some, ours where there are none, in both languages."""

from dataclasses import fields

import pytest

from blocker.config import Config, PageText
from blocker.sinkhole.wording import LABELS, OURS, wording


def made(**sections):
    config = Config.model_validate(sections)
    return wording(config.sinkhole, config.answers)


def test_both_languages_say_everything():
    voices = made().voices
    assert set(voices) == set(LABELS) == set(OURS) == {"en", "fr"}
    for voice in voices.values():
        empty = {each.name for each in fields(voice) if not getattr(voice, each.name)}
        assert empty - {"shipped"} == {"organisation", "decisions"}
        assert all(getattr(voice.labels, each.name) for each in fields(voice.labels))


@pytest.mark.parametrize("key", [key for key in PageText.model_fields if key != "decisions"])
@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_operator_has_the_word(language, key):
    voices = made(sinkhole={language: {key: "Mine."}}).voices
    assert getattr(voices[language], key) == "Mine."
    other = "fr" if language == "en" else "en"
    assert getattr(voices[other], key) == getattr(made().voices[other], key)


def test_who_blocks_is_said_once_for_everything():
    voices = made(answers={"organisation": "Office"}, sinkhole={"fr": {"organisation": "Bureau"}}).voices
    assert (voices["en"].organisation, voices["fr"].organisation) == ("Office", "Bureau")


def test_french_is_written_as_in_canada():
    french = " ".join([*vars_of(OURS["fr"]), *vars_of(LABELS["fr"])])
    assert "'" not in french  # apostrophes are curved
    assert " ?" not in french
    assert LABELS["fr"].colon == "\N{NO-BREAK SPACE}: "


def vars_of(said):
    if isinstance(said, PageText):
        return [value for value in said.model_dump().values() if isinstance(value, str)]
    return [getattr(said, each.name) for each in fields(said)]
