"""What refuses a list that can be read, and what is only worth a look."""

from datetime import date

import pytest

from blocker.config import Lists
from blocker.lists import check
from blocker.lists.feed import FeedFile
from blocker.lists.gather import gather
from blocker.lists.pattern import FLOATING

TODAY = date(2026, 11, 24)
HOSTERS = ("web.app", "pages.dev", "blogspot.com", "vercel.app", "duckdns.org")


def sources(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return gather(Lists(built_in=False, directories=(tmp_path,)))


def app(*entries, more=""):
    return f"app: a\n{more}entries:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


@pytest.mark.parametrize(
    ("files", "problems"),
    [
        ({"a.yaml": app("value: com, kind: suffix")}, ["a.yaml:3: 'com' is a public suffix"]),
        ({"a.yaml": app("value: co.uk, kind: suffix")}, ["a.yaml:3: 'co.uk' is a public suffix"]),
        ({"a.yaml": app("value: co.uk, kind: exact")}, []),  # the name alone harms nobody below it
        ({"a.yaml": app("value: co.uk, kind: suffix, action: allow")}, []),
        ({"a.yaml": app("value: test, kind: suffix", more="category: protocol\n")}, []),
        ({"a.yaml": app('value: "**.tiktok*.com", kind: pattern')}, []),
        ({"a.txt": "a.example\nco.uk\nfoo.ck\nwww.ck\n"}, ["a.txt:2: 'co.uk' is", "a.txt:3: 'foo.ck' is"]),
        ({"a.txt": "@@co.uk\n"}, []),
        (
            {"a.yaml": app(*(f'value: "{wide}", kind: cidr, exclusive: true' for wide in ("0.0.0.0/0", "2000::/3")))},
            ["a.yaml:3: '0.0.0.0/0' is too wide a range", "a.yaml:4: '2000::/3' is too wide a range"],
        ),
        ({"a.yaml": app("value: 0.0.0.0/0, kind: cidr")}, []),  # only recorded
        ({"a.yaml": app("value: 0.0.0.0/0, kind: cidr, exclusive: true, action: allow")}, []),
        ({"a.hosts": "0.0.0.0 co.uk\n"}, []),
        (
            {"a.yaml": app(*(f'value: "abcd{at}.*", kind: pattern' for at in range(FLOATING + 2)))},
            [f"a.yaml:{FLOATING + 3}: 'abcd{FLOATING}.*' is pattern number {FLOATING + 1}"],
        ),
    ],
)  # fmt: skip
def test_problems(tmp_path, files, problems):
    found = check.problems(sources(tmp_path, files))
    assert len(found) == len(problems)
    assert all(said.startswith(f"{tmp_path}/{wanted}") for said, wanted in zip(found, problems, strict=True))


OFF = "switches:\n  s: {default: false, about: x}\n"


@pytest.mark.parametrize(
    ("files", "warnings"),
    [
        ({"a.yaml": app("value: a.example, kind: suffix", more="review_by: 2026-11-24\n")}, []),
        ({"a.yaml": app("value: a.example, kind: suffix", more="review_by: 2026-11-23\n")}, ["a.yaml:2: was to be"]),
        ({"a.yaml": app("value: a.example, kind: suffix", more=OFF)}, ["a.yaml:3: switch 's' is declared"]),
        ({"a.yaml": app("value: github.io, kind: suffix")}, ["a.yaml:3: strangers have names of their own"]),
        (
            {"a.yaml": app("value: a.example, kind: suffix", "value: A.example, kind: suffix")},
            ["a.yaml:4: 'A.example' is already in"],
        ),
        (
            {"a.yaml": app("value: a.example, kind: suffix", "value: b.a.example, kind: exact")},
            ["a.yaml:4: 'b.a.example' is covered by"],
        ),
        (  # under an exception it is not covered
            {"a.yaml": app("value: a.b.c.example, kind: suffix", "value: b.c.example, kind: suffix, action: allow",
                           "value: c.example, kind: suffix")},
            [],
        ),
        (  # an entry whose switch is off covers nothing
            {"a.yaml": app("value: a.example, kind: suffix, switch: s", "value: b.a.example, kind: suffix", more=OFF)},
            [],
        ),
        (  # nor does one whose switch may be turned off
            {"a.yaml": app("value: a.example, kind: suffix, switch: s", "value: b.a.example, kind: suffix",
                           more=OFF.replace("false", "true"))},
            [],
        ),
        ({"a.txt": "a.example\na.example\nb.example\n"}, ["a.txt:1: 1 name is listed more than once"]),
    ],
)  # fmt: skip
def test_warnings(tmp_path, files, warnings):
    found = check.warnings(sources(tmp_path, files), TODAY)
    assert len(found) == len(warnings)
    assert all(said.startswith(f"{tmp_path}/{wanted}") for said, wanted in zip(found, warnings, strict=True))


def test_a_feed_that_blocks_whole_hosters_is_worth_a_look(tmp_path):
    (tmp_path / "copy").write_text("".join(f"{zone}\n" for zone in ("github.io", "a.example", *HOSTERS)))
    feeds = [FeedFile("ads", "games", tmp_path / "copy", "domains")]
    (said,) = check.warnings(gather(Lists(built_in=False), feeds=feeds), TODAY)
    assert said.startswith(
        "feed ads: strangers have names below github.io (line 1), web.app (line 3), pages.dev (line 4), "
    )
    assert said.endswith(", vercel.app (line 6) and 1 more. Make sure that all of them are meant.")


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"a.yaml": app("value: canada.ca, kind: suffix")}, "a.yaml:3: 'canada.ca' would block canada.ca, which must"),
        ({"a.yaml": app("value: canada.ca, kind: exact")}, "a.yaml:3: 'canada.ca' would block canada.ca"),
        ({"a.yaml": app('value: "login.microsoft*.com", kind: pattern')}, "a.yaml:3: 'login.microsoft*.com' would "),
        ({"a.yaml": app("value: windowsupdate.com, kind: below")}, "a.yaml:3: 'windowsupdate.com' would block "),
        ({"a.txt": "a.example\npush.apple.com\n"}, "a.txt:2: 'push.apple.com' would block "),
        ({"a.hosts": "0.0.0.0 apple.com\n"}, "a.hosts:1: 'apple.com' would block apple.com"),
        ({"a.yaml": app("value: canada.ca, kind: suffix, action: allow")}, ""),
        ({"a.yaml": app("value: x.canada.ca, kind: suffix")}, ""),  # below it is another name
        ({"a.hosts": "0.0.0.0 ca\n"}, ""),
        (  # standards may ask for a public suffix, but not for these
            {"a.yaml": app("value: canada.ca, kind: suffix", more="category: protocol\n")},
            "a.yaml:4: 'canada.ca' would block canada.ca",
        ),
    ],
)  # fmt: skip
def test_what_must_resolve(tmp_path, files, problem):
    found = check.problems(sources(tmp_path, files))
    assert [said.startswith(f"{tmp_path}/{problem}") for said in found] == [True] * bool(problem)


def test_overrides_are_told_where_they_change_nothing(tmp_path):
    (tmp_path / "a.txt").write_text("canada.ca\n")
    override = [{"name": name, "reason": "decided", "by": "an officer"} for name in ("canada.ca", "elsewhere.example")]
    found = gather(Lists(built_in=False, directories=(tmp_path,), overrides=override))
    assert check.problems(found) == []
    (warning,) = check.warnings(found, TODAY)
    assert warning.startswith("lists.overrides: 'elsewhere.example' is no public suffix")


def test_the_lists_that_ship_are_in_order():
    found = gather(Lists())
    assert check.problems(found) == []
    assert check.warnings(found, TODAY) == []
