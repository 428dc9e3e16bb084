"""Purity and direction of imports, read from the sources: what is not tested does not last."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "blocker").rglob("*.py"))

CORE = {
    "schedule", "exceptions.entry", "serve.turns",
    "names", "errors", "addresses", "rule", "waivers", "policy", "clients", "structured", "answer", "cache", "fast",
    "events", "servers", "exchange", "recording", "line", "lists.pattern",
    "feeds.facts", "feeds.guard", "feeds.schedule",
    "rollout.hits", "rollout.plan", "rollout.stages",
    "upstream.exchange", "upstream.pool", "bundle.archive", "bundle.granted", "bundle.key", "bundle.manifest",
    "bundle.signature", "bundle.trust", "wire.constants", "wire.ech", "wire.query", "wire.response",
    "egress.hello.dns", "egress.hello.first", "egress.hello.http", "egress.hello.mmtls", "egress.hello.quic",
    "egress.hello.seen", "egress.hello.tls", "egress.answers", "egress.findings", "egress.flows", "egress.packets",
    "egress.cut", "egress.filter", "egress.observe", "egress.stream",
    "egress.fragments", "egress.octets",
    "selftest.judge", "selftest.plan",
    "candidates.brand", "candidates.company", "candidates.finding", "candidates.memory", "candidates.seen",
    "evidence.chain", "evidence.checkpoint", "evidence.verify",
    "egress.attempt", "egress.book", "egress.elements", "egress.framing", "egress.learning", "egress.memo",
    "egress.neighbours", "egress.questions", "egress.sets", "egress.talk",
    "egress.counts", "egress.facts", "egress.repeats", "egress.reports", "egress.ruleset",
    "sinkhole", "sinkhole.attempts", "sinkhole.language", "sinkhole.limits", "sinkhole.markup", "sinkhole.page",
    "sinkhole.reply", "sinkhole.style", "sinkhole.visit", "sinkhole.wording",
}  # fmt: skip
IMPURE = {
    "asyncio", "concurrent", "ctypes", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "random", "secrets",
    "select", "selectors", "signal", "socket", "ssl", "structlog", "subprocess", "sys", "tempfile", "threading", "time",
}  # fmt: skip

# What each room may import of ours, besides itself. Rooms of the core, from the bottom up.
MAY_IMPORT = {
    "errors": set(),
    "names": {"errors"},
    "wire": {"errors", "names"},
    "addresses": set(),
    "rule": {"names"},
    "waivers": {"names", "rule"},
    "policy": {"addresses", "names", "rule", "waivers"},
    "config": {"errors", "names", "policy", "lists.marked", "bundle.key"},
    "schedule": {"config"},
    "exceptions.entry": {"config.values", "errors", "lists.pattern", "names", "policy"},
    "clients": {"config", "exceptions.entry", "names", "policy", "rollout.stages", "schedule", "waivers"},
    "rollout.hits": set(),
    "rollout.plan": {"config"},
    "rollout.stages": {"config", "policy"},
    "structured": {"wire"},
    "answer": {"names", "policy", "structured", "wire"},
    "cache": {"answer", "wire"},
    "fast": {"policy"},
    "events": {"names", "policy", "wire"},
    "servers": {"errors", "names", "wire"},
    "exchange": {"cache", "events", "fast", "policy", "wire"},
    "recording": {"events", "exchange", "policy", "wire"},
    "line": {
        "answer", "cache", "errors", "events", "exchange", "fast", "policy", "recording", "servers", "wire",
    },
    "bundle.key": set(),
    "upstream.exchange": {"exchange", "wire"},  # exchange: for the type of those who wait
    "upstream.pool": {"config"},
    "lists.pattern": {"errors", "names"},
    "lists.index": {"lists", "names", "policy"},
    "egress.answers": {"errors", "wire"},
    "egress.cut": {"egress.book", "egress.elements", "egress.framing", "egress.sets"},
    "egress.cutter": {
        "egress.book", "egress.cut", "egress.elements", "egress.framing", "egress.sets", "errors",
    },
    "egress.filter": {"egress.hello"},
    "egress.observe": {
        "egress.answers", "egress.findings", "egress.flows", "egress.fragments", "egress.packets", "events", "names",
        "policy",
    },
    "egress.recorded": {"egress.packets", "errors"},
    "egress.findings": {
        "addresses", "egress.attempt", "egress.flows", "egress.hello", "events", "names", "policy", "wire",
    },
    "egress.flows": {"egress.attempt", "egress.hello", "egress.packets", "egress.stream", "wire"},
    "egress.hello": {"errors", "names", "wire", "egress.octets"},
    "egress.packets": set(),
    "egress.octets": set(),
    "egress.fragments": {"egress.octets", "egress.packets"},
    "egress.stream": {"egress.hello", "egress.octets"},
    "selftest.plan": {"names", "policy", "wire"},
    "selftest.judge": {"answer", "errors", "events", "policy", "selftest.plan", "wire"},
    "candidates.seen": {"config", "errors", "names", "policy"},
    "candidates.brand": {"names"},
    "candidates.finding": set(),
    "candidates.company": {"candidates.finding"},
    "candidates.memory": {
        "names", "candidates.brand", "candidates.company", "candidates.finding", "candidates.seen",
    },
    "feeds.facts": {"errors"},
    "feeds.guard": set(),
    "feeds.schedule": {"config", "feeds.facts"},
    "egress.attempt": {"events", "policy"},
    "egress.framing": {"errors"},
    "egress.elements": {"errors", "egress.framing"},
    "egress.netlink": {"errors", "egress.counts", "egress.elements", "egress.sets"},
    "egress.reports": {
        "clients", "events", "lists.index", "names", "policy", "wire",
        "addresses", "egress.attempt", "egress.framing", "egress.hello", "egress.packets", "egress.ruleset",
    },
    "egress.precedence": {"egress.elements", "egress.netlink"},
    "egress.counts": {"egress.elements", "egress.framing"},
    "egress.facts": {"addresses", "clients", "config", "lists.index", "lists.ranges", "names", "policy"},
    "egress.ruleset": {"config", "policy", "egress.facts", "egress.sets"},
    "egress.apply": {"errors", "egress.netlink", "egress.ruleset", "egress.sets"},
    "egress.neighbours": {"errors", "egress.framing"},
    "egress.rtnetlink": {"errors", "egress.neighbours"},
    "egress.book": set(),
    "egress.repeats": set(),
    "egress.learning": {"addresses", "names"},
    "egress.questions": {"names", "wire"},
    "egress.known": {"clients", "config", "lists", "names", "policy", "egress.attempt"},
    "egress.memo": set(),
    "egress.talk": {"errors", "names", "wire"},
    "egress.gatekeeper": {
        "config", "errors", "sinks.oplog", "sinks.region",
        "egress.book", "egress.elements", "egress.neighbours", "egress.questions", "egress.sets", "egress.talk",
    },
    "egress.sets": set(),
    "sinkhole": {
        "clients", "config", "events", "lists.index", "names", "policy",
        "egress.attempt", "egress.findings", "egress.flows", "egress.hello", "egress.repeats",
    },
}  # fmt: skip

# Modules without a test file of their own name, and where they are tested. This list only ever gets shorter.
WITHOUT_TEST = {
    "recording": "tests/test_line.py",
    "rule": "tests/test_policy.py",
    "upstream/shown": "tests/e2e/test_upstreams.py",
    **dict.fromkeys(("cli/config", "cli/run"), "tests/cli/test_main.py"),
    **dict.fromkeys(("cli/reload", "cli/status"), "tests/cli/test_control.py"),
    "cli/granted": "tests/cli/test_rpz.py",
    "cli/replaying": "tests/cli/test_simulate.py",
    **dict.fromkeys(
        (
            "config/apps", "config/bundles", "config/candidates", "config/evidence", "config/exceptions",
            "config/gating", "config/learning", "config/load", "config/models", "config/origin", "config/overrides",
            "config/places",
            "config/reference", "config/section", "config/whole", "config/values", "config/wording",
            "config/apps", "config/bundles", "config/evidence", "config/gating", "config/load",
            "config/models", "config/origin", "config/overrides", "config/places",
            "config/apps", "config/bundles", "config/candidates", "config/evidence", "config/load", "config/models",
            "config/origin", "config/overrides", "config/places",
            "config/reference", "config/section", "config/selftest", "config/whole", "config/values", "config/wording",
        ),
        "tests/test_config.py",
    ),
    "lists/form": "tests/lists/test_source.py",
    "lists/formats/domains": "tests/lists/test_formats.py",
    **dict.fromkeys(
        (
            "serve/commands", "serve/httpd", "serve/link", "serve/reloads", "serve/sinkhole",
            "serve/slot", "serve/visitor", "upstream/ports", "upstream/resolver", "upstream/stream",
        ),
        "tests/e2e",  # real processes
    ),
    "serve/followers": "tests/serve/test_zones.py",
    "rpz/serials": "tests/rpz/test_history.py",
    "rpz/transfer": "tests/rpz/test_imports.py",  # against primaries that say what a test wants
    "rpz/wire": "tests/rpz/test_serve.py",
    "serve/beside": "tests/serve/test_supervisor.py",
    "serve/companion": "tests/serve/test_supervisor.py",
    **dict.fromkeys(
        ("egress/planned", "serve/egress", "serve/reports"), "tests/lab/test_frame.py"
    ),  # real processes
    **dict.fromkeys(("serve/selftest", "cli/selftest"), "tests/e2e/test_selftest.py"),
    "upstream/entropy": "tests/e2e",  # random numbers
    "wire/constants": "tests/test_events.py",  # numbers; its two functions are for people
}  # fmt: skip
TOO_LONG: set[str] = set()  # over 400 lines: two rooms in one. This list only ever gets shorter.


def name_of(path):
    return ".".join(path.relative_to(ROOT / "blocker").with_suffix("").parts).removesuffix(".__init__")


def imported(path):
    """Return the modules that the file at `path` imports, `blocker.` and all."""
    package = ("blocker", *path.relative_to(ROOT / "blocker").parent.parts)
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = (
                ".".join((*package[: len(package) - node.level + 1], node.module or "")) if node.level else node.module
            )
            for alias in node.names:
                below = f"{module}.{alias.name}"
                yield below if is_module(below) else module


def is_module(dotted):
    path = ROOT.joinpath(*dotted.split("."))
    return path.with_suffix(".py").exists() or path.joinpath("__init__.py").exists()


def ours(path):
    return {each.removeprefix("blocker.") for each in imported(path) if each.startswith("blocker.")}


def within(module, allowed):
    """Tell whether `module` is one of `allowed` or lies inside one of them."""
    return any(module == each or module.startswith(each + ".") for each in allowed)


def room_of(module):
    return next((room for room in MAY_IMPORT if within(module, {room})), None)


CORE_FILES = [path for path in SOURCES if name_of(path) in CORE]
PLACED = [path for path in SOURCES if room_of(name_of(path))]


def test_the_core_is_all_there():
    assert {name_of(path) for path in CORE_FILES} == CORE


@pytest.mark.parametrize("path", CORE_FILES, ids=name_of)
def test_the_core_knows_no_clock_no_socket_no_log(path):
    assert {each.split(".")[0] for each in imported(path)} & IMPURE == set()


@pytest.mark.parametrize("path", PLACED, ids=name_of)
def test_imports_point_one_way(path):
    room = room_of(name_of(path))
    assert {each for each in ours(path) if not within(each, MAY_IMPORT[room] | {room})} == set()


def test_the_index_maps_files_and_does_nothing_else():
    path = ROOT / "blocker/lists/index.py"
    assert {each.split(".")[0] for each in imported(path)} & (IMPURE - {"mmap", "pathlib", "os"}) == set()


@pytest.mark.parametrize(("shell", "may_not_import"), [
    ("sinks", {"serve", "upstream", "cli"}),  # sinks count what they are told
    ("upstream", {"serve", "cli", "lists"}),
    ("rpz", {"serve", "sinks", "upstream", "cli", "line", "feeds", "simulate"}),
    ("serve", {"cli", "simulate"}),
    ("simulate", {"feeds", "serve", "sinks", "upstream", "cli", "line"}),  # it asks the core, never a running blocker
    ("exceptions", {"serve", "sinks", "upstream", "cli", "line", "cache", "fast", "answer", "clients"}),
    ("feeds", {"serve", "sinks", "upstream", "cli", "line", "cache", "fast", "answer", "clients"}),
    ("selftest", {"serve", "sinks", "upstream", "cli", "line", "cache", "fast", "feeds", "simulate"}),
    ("candidates", {
        "serve", "sinks", "upstream", "cli", "line", "feeds", "simulate", "cache", "fast", "answer", "clients",
    }),
    ("evidence", {"serve", "upstream", "cli", "lists", "line", "cache", "fast", "answer", "clients"}),
    ("rollout", {"serve", "sinks", "upstream", "cli", "lists", "line", "cache", "fast", "answer", "clients"}),
    ("lists", {"feeds", "serve", "sinks", "upstream", "cli", "line", "cache", "fast", "answer", "clients"}),
    ("bundle", {"serve", "sinks", "cli", "upstream", "line"}),
    ("egress", {"serve", "cli", "upstream", "line", "cache", "fast", "answer"}),
])  # fmt: skip
def test_shells_do_not_know_those_above_them(shell, may_not_import):
    files = sorted((ROOT / "blocker" / shell).glob("*.py"))
    assert {(name_of(path), each) for path in files for each in ours(path) if within(each, may_not_import)} == set()


def test_the_core_calls_no_clock_by_another_way():
    """No `open`, `print`, `input`, `eval`, `__import__`: what imports nothing can still do these."""
    called = {
        (name_of(path), node.func.id)
        for path in CORE_FILES
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }
    assert {pair for pair in called if pair[1] in ("open", "print", "input", "eval", "exec", "__import__")} == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if not path.name.startswith("__")], ids=name_of)
def test_every_module_has_its_test(path):
    module = path.relative_to(ROOT / "blocker")
    own = ROOT / "tests" / module.parent / f"test_{module.name}"
    elsewhere = WITHOUT_TEST.get(str(module.with_suffix("")))
    assert own.exists() or (elsewhere and (ROOT / elsewhere).exists())
    assert not (own.exists() and elsewhere), "it has its own test now: take it off WITHOUT_TEST"


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_no_module_is_two_rooms_in_one(path):
    lines = len(path.read_text().splitlines())
    if str(path.relative_to(ROOT / "blocker")) in TOO_LONG:
        assert lines > 400, "it is short enough now: take it off TOO_LONG"
    else:
        assert lines <= 400


def test_exceptions_are_still_needed():
    assert {each for each in WITHOUT_TEST if not (ROOT / "blocker" / f"{each}.py").exists()} == set()
