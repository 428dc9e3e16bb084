"""What lists hold, compared, however each is written or kept."""

from dataclasses import replace

import pytest

from blocker.config import Lists
from blocker.errors import ArtifactError, ListError
from blocker.lists import compile as compiling
from blocker.lists import contents
from blocker.lists.contents import feed_file, shown
from blocker.lists.must_resolve import MustResolve

OURS = """\
app: games
title: Games
switches: {chat: {default: false, about: talk}}
entries:
  - {value: one.example, kind: suffix}
  - {value: two.example, kind: exact}
  - {value: help.one.example, kind: suffix, action: allow}
  - {value: "play*.example", kind: pattern}
  - {value: 192.0.2.0/24, kind: cidr, exclusive: true}
  - {value: chat.example, kind: suffix, switch: chat}
  - {value: soon.example, kind: suffix, shadow: true}
  - {value: "soon*.example", kind: pattern, shadow: true, action: allow}
"""


def read(path):
    return {app: sorted(map(shown, found)) for app, found in contents.read(feed_file(path), MustResolve()).items()}


@pytest.mark.parametrize(("name", "text", "expected"), [
    ("games.txt", "one.example\n@@help.one.example\nONE.example.\nnot a name\n", ["@@help.one.example", "one.example"]),
    ("games.hosts", "0.0.0.0 one.example\n0.0.0.0 two.example\n", ["=one.example", "=two.example"]),
    ("games.rpz", "$TTL 60\n@ SOA a. b. 1 2 3 4 5\n  NS a.\none.example CNAME .\n*.two.example CNAME .\n"
     "24.0.2.0.192.rpz-ip CNAME .\n24.0.2.0.192.rpz-client-ip CNAME .\n"
     "ns.bad.net.rpz-nsdname CNAME .\n24.0.2.0.192.rpz-nsip CNAME .\n",
     ["*.two.example", "192.0.2.0/24", "=one.example", "client-ip 192.0.2.0/24", "nsdname =ns.bad.net",
      "nsip 192.0.2.0/24"]),
])  # fmt: skip
def test_strangers_files(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text)
    assert read(tmp_path / name) == {"games": expected}


def test_a_list_of_ours_and_what_is_compiled_from_it(tmp_path):
    (tmp_path / "games.yaml").write_text(OURS)
    named = ["192.0.2.0/24", "=two.example", "@@help.one.example", "@@soon*.example (shadow)", "chat.example",
             "one.example", "play*.example", "soon.example (shadow)"]  # fmt: skip
    assert read(tmp_path / "games.yaml") == {"games": named}
    compiling.build(compiling.gather(Lists(built_in=False, directories=(tmp_path,))), tmp_path / "a.index")
    assert read(tmp_path / "a.index") == {
        "games": [each for each in named if each != "chat.example"]
    }  # its switch is off


def test_all_that_ships_is_walked(tmp_path):
    sources = compiling.gather(Lists())
    compiling.build(sources, tmp_path / "a.index")
    found = contents.read(feed_file(tmp_path / "a.index"), MustResolve())
    assert set(found) == set(sources.apps)
    for each in sources.lists:
        on = [entry for entry in each.entries if sources.on(each.app, entry.switch)]
        ours = contents.of_list(replace(each, entries=tuple(on)))
        assert found[each.app] <= ours  # ranges that are not exclusive are in no index
        assert {entry for entry in ours if not entry[-1] & 0x80} <= found[each.app]


@pytest.mark.parametrize(("old", "new", "limit", "expected"), [
    ("a.example\n", "a.example\n", 9, []),
    ("a.example\nb.example\n", "b.example\nc.example\n", 9, [(2, 2, 1, 1, ("c.example",), ("a.example",))]),
    ("a.example\n", "@@a.example\n", 9, [(1, 1, 1, 1, ("@@a.example",), ("a.example",))]),
    ("z.example\n", "c.example\nb.example\na.example\n", 2, [(1, 3, 3, 1, ("a.example", "b.example"), ("z.example",))]),
    ("z.example\n", "a.example\n", 0, [(1, 1, 1, 1, (), ())]),
])  # fmt: skip
def test_compare(tmp_path, old, new, limit, expected):
    sides = []
    for folder, text in (("old", old), ("new", new)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "games.txt").write_text(text)
        sides.append(contents.read(feed_file(tmp_path / folder / "games.txt"), MustResolve()))
    found = contents.compare(*sides, limit)
    assert [
        (each.before, each.after, each.added, each.removed, each.added_entries, each.removed_entries) for each in found
    ] == expected


def test_an_app_that_comes_or_goes():
    (gone, new) = contents.compare({"a": {b"\0x\x01\0"}}, {"b": {b"\0y\x01\0"}}, 9)
    assert (gone.app, gone.removed, gone.after, new.app, new.added, new.before) == ("a", 1, 0, "b", 1, 0)


@pytest.mark.parametrize(("name", "content", "error"), [
    ("a.index", b"x" * 100, ArtifactError),
    ("a.yaml", b"nonsense", ListError),
    ("a.txt", b"<html>", ListError),
    ("none.txt", None, ListError),
])  # fmt: skip
def test_what_is_none(tmp_path, name, content, error):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(error):
        contents.read(feed_file(tmp_path / name), MustResolve())
