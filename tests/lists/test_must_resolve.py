"""Names that must resolve: which entries would block one, and who may say otherwise."""

import pytest

from blocker import names
from blocker.config import Override
from blocker.errors import ListError
from blocker.lists import must_resolve
from blocker.lists.gather import BUILT_IN
from blocker.lists.must_resolve import MustResolve, Needed
from blocker.lists.pattern import Pattern

SHIPPED = BUILT_IN / must_resolve.FILE


def key(text):
    return names.from_text(text)[::-1]


def override(name):
    return Override(name=name, reason="decided", by="an officer")


def must(*overrides):
    needed = (Needed(names.from_text(text), "why", "m.yaml:1") for text in ("login.gov.example", "a.b.update.example"))
    return MustResolve(needed, map(override, overrides))


@pytest.mark.parametrize(
    ("text", "itself", "below", "refused"),
    [
        ("login.gov.example", True, True, "login.gov.example"),
        ("gov.example", True, True, "login.gov.example"),  # above it
        ("b.update.example", True, True, "a.b.update.example"),
        ("login.gov.example", True, False, "login.gov.example"),  # the name alone
        ("gov.example", True, False, ""),
        ("gov.example", False, True, "login.gov.example"),  # everything below
        ("login.gov.example", False, True, ""),
        ("www.login.gov.example", True, True, ""),  # below a name is another name
        ("gin.gov.example", True, True, ""),
        ("com", True, True, "public suffix"),
        ("co.uk", True, True, "public suffix"),
        ("co.uk", True, False, ""),
        ("no-such-tld", True, True, "public suffix"),
    ],
)
def test_what_would_block_a_name(text, itself, below, refused):
    why = must().refuses(key(text), itself=itself, below=below)
    assert (refused in why) if refused else not why


@pytest.mark.parametrize(
    ("overridden", "text", "refused"),
    [
        ("login.gov.example", "login.gov.example", False),
        ("gov.example", "gov.example", False),
        ("gov.example", "login.gov.example", False),  # and what lies below the name
        ("login.gov.example", "gov.example", False),
        ("www.gov.example", "gov.example", True),
        ("co.uk", "co.uk", False),
        ("co.uk", "uk", True),
    ],
)
def test_an_override_gives_up_its_name_and_no_other(overridden, text, refused):
    held = must(overridden)
    assert bool(held.refuses(key(text))) is refused
    assert (key(text) in held.suspects([key(text)])) is refused


@pytest.mark.parametrize(
    ("text", "refused"), [("**.login.**", True), ("login*.gov.example", True), ("logout.**", False)]
)
def test_patterns(text, refused):
    assert bool(must().refuses_pattern(Pattern.parse(text))) is refused


@pytest.mark.parametrize(
    ("overridden", "text", "needed"),
    [
        ((), "login.gov.example", "login.gov.example"),
        ((), "eu.login.gov.example", "login.gov.example"),
        ((), "gov.example", None),
        ((), "notlogin.gov.example", None),
        (("login.gov.example",), "eu.login.gov.example", None),
        (("eu.login.gov.example",), "eu.login.gov.example", None),
        (("eu.login.gov.example",), "us.login.gov.example", "login.gov.example"),
    ],
)
def test_what_covers_a_name(overridden, text, needed):
    found = must(*overridden).covering(names.from_text(text))
    assert (found and names.to_text(found.name)) == needed


def test_overrides_of_nothing():
    overrides = ("gov.example", "co.uk", "www.gov.example", "elsewhere.example")
    assert must(*overrides).idle == ("elsewhere.example", "www.gov.example")


def test_suspects_are_found_among_many():
    keys = [key(f"n{number}.example.net") for number in range(1000)]
    assert must().suspects([*keys, key("gov.example"), key("co.uk")]) == {key("gov.example"), key("co.uk")}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("must_resolve: [{value: a b, why: x}]", "m.yaml:1: 'a b' is not a domain name"),
        ("must_resolve: [{value: a.example}]", "m.yaml:1: the field 'why' is missing"),
        ("must_resolve: [{value: ca, why: x}]", "m.yaml:1: 'ca' is a top-level domain"),
        ("names: []", "m.yaml:1: there is no field 'names'"),
    ],
)
def test_refused(tmp_path, content, problem):
    (tmp_path / "m.yaml").write_text(content)
    with pytest.raises(ListError) as refused:
        must_resolve.read([tmp_path / "m.yaml"])
    assert refused.value.problems[0].startswith(f"{tmp_path}/{problem}")


def test_the_names_that_ship():
    held = must_resolve.read([SHIPPED])
    assert held.needed[key("canada.ca")].source.startswith("must_resolve.yaml:")
    assert all(held.refuses(at, below=False) for at in held.needed)
