"""Plays each tests/scenarios/*.yaml against the whole core: line, cache, fast table, policies. README.md is the format.

No socket and no clock: the client is this file, the upstream is what the scenario says, seconds pass when told to.
"""

import json
from ipaddress import ip_address
from pathlib import Path

import dns.flags
import dns.message
import dns.rdatatype
import pytest

from blocker.answer import BLOCK_EDE, Wording, aged
from blocker.cache import Cache, Limits
from blocker.cli import times
from blocker.clients import Clients
from blocker.config import Config
from blocker.errors import WireError
from blocker.events import ATTEMPT
from blocker.exceptions.entry import Grant, checked
from blocker.fast import Fast
from blocker.line import Line
from blocker.lists import marked
from blocker.policy import Action, Scope, Trigger
from blocker.serve.excepted import shortened
from blocker.serve.turns import Turns
from blocker.upstream.exchange import message, question_of
from blocker.wire.constants import NOERROR, NXDOMAIN, SERVFAIL
from blocker.wire.response import scan
from tests.oracle import Journal, Loaded, Table, ask, heard, lines, rule, said

HERE = Path(__file__).parent
WORDS = {"name": Scope.SUFFIX, "exact": Scope.EXACT, "pattern": Scope.PATTERN}
START = 1_000_000.0  # monotonic seconds
SCENARIOS = sorted(HERE.glob("*.yaml"))


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_scenario(path):
    document = marked.read(path)
    play = Play(document.data)
    for number, step in enumerate(document.data["steps"]):
        ((word, what),) = step.items()
        place = f"{path.name}:{document.line(('steps', number))}"
        getattr(play, f"do_{word}")(what, place)


def test_every_scenario_says_what_it_shows():
    titles = [marked.read(path).data["title"] for path in SCENARIOS]
    assert len(titles) == len(set(titles)) >= 25


class Play:
    """One scenario on its way."""

    def __init__(self, data):
        assert set(data) <= {"title", "why", "config", "lists", "clock", "steps"}, set(data)
        self.config = Config.model_validate(data.get("config") or {})
        self.now = START
        self.wall = moment_of(data.get("clock", "1970-01-01T00:00Z"))
        self.turns = Turns(self.wall, self.now)
        self.granted = []
        self.cache = Cache(limits(self.config))
        self.fast = Fast()
        self.journal = Journal()
        self.script = "silence"
        self.others = {}
        self.aside = []
        self.line = Line(Table(), self.cache, self.fast, wording(self.config), self.journal, ATTEMPT)
        self.do_lists(data.get("lists") or {}, "")
        self.heard = self.saw = self.wire = self.packet = None
        self.logged = []

    # The steps.

    def do_lists(self, lists, _place):
        """From now on these lists are in force."""
        rules = [each for app, said in lists.items() for each in rules_of(app, said or {})]
        self.loaded = Loaded(lists, *(each for each in rules if each.trigger is Trigger.CLIENT_IP))
        self.table = Table(*(each for each in rules if each.trigger is not Trigger.CLIENT_IP))
        self.adopt()

    def do_exceptions(self, exceptions, _place):
        """From now on these exceptions are approved, and no others."""
        self.granted = [grant_of(dict(each)) for each in exceptions]
        self.turns.grant({each.id: (each.starts, each.ends) for each in self.granted})
        self.adopt()

    def do_clock(self, text, _place):
        """Somebody sets the clock."""
        self.wall = moment_of(text)
        self.look()

    def do_upstream(self, script, _place):
        """From now on the upstream says this."""
        self.script = script

    def do_servers(self, scripts, _place):
        """From now on the upstream says this to the questions `name TYPE`, whatever else it says."""
        self.others = scripts

    def do_after(self, seconds, _place):
        """Time passes."""
        self.now += seconds
        self.wall += seconds
        self.look()

    def do_ask(self, what, _place):
        """A client asks; what it hears, what upstream saw and what was logged is kept for `expect`."""
        what = dict(what)
        client = ip_address(what.pop("client", "198.51.100.1")).packed
        transport = what.pop("transport", "udp")
        edns = what.pop("edns", True)
        self.packet = ask(
            what.pop("name"),
            what.pop("type", "A"),
            qclass=what.pop("class", "IN"),
            flags=what.pop("flags", "RD"),
            do=what.pop("do", False),
            size=what.pop("size", 1232),
            version=what.pop("version", 0),
            edns=edns,
        )
        assert not what, what
        self.saw, self.aside = None, []
        self.logged = self.journal.lines = []
        self.wire = self.exchanged(client, transport)
        self.heard = heard(self.wire)

    def do_expect(self, expected, place):
        """Compare what happened with what is expected."""
        seen = self.seen()
        for key, value in expected.items():
            assert key in seen, f"{place}: 'expect' does not know {key!r}"
            assert as_expected(key, value, seen[key]), f"{place}: {key}: {seen[key]!r}, not {value!r}"

    def seen(self):
        """Return what happened since the last `ask`."""
        assert len(self.logged) <= 1
        return {
            "rcode": self.heard.rcode,
            "flags": self.heard.flags,
            "answer": self.heard.answer,
            "authority": self.heard.authority,
            "additional": self.heard.additional,
            "ede": self.heard.ede,
            "text": self.heard.text,
            "edns": self.heard.edns,
            "do": self.heard.do,
            "upstream": self.saw or "nothing",
            "aside": self.aside,
            "log": json.loads(b"{" + self.logged[0][1] + b"}") if self.logged else "nothing",
            "kept": len(self.cache),
        }

    # What time does, as the supervisor has it done.

    def look(self):
        self.turns.look(self.wall, self.now)
        if self.turns.is_due(self.wall):
            self.adopt()

    def adopt(self):
        """Have everything as it is now."""
        self.turns.turn(self.wall)
        granted = shortened(self.granted, self.turns.ends)
        self.clients = Clients(self.config, self.loaded, self.turns.moment, granted)
        self.turns.next = self.clients.turns
        self.line.adopt(self.table, self.line.wording, self.clients.policy_for)

    # One exchange, as the worker and the resolver would go through it.

    def exchanged(self, client, transport):
        policy = self.clients.policy_for(client)
        second = int(self.now)
        given = self.fast.by_address.get(client, {}).get(self.packet[2:]) if transport == "udp" else None
        if given is not None and given.expires > second:
            self.journal.give(given)
            return self.packet[:2] + aged(given.answer, given.ttl_offsets, second - given.stored)
        self.fast.remember(client, policy)
        exchange = self.line.open(self.packet, policy, client, transport, self.now)
        while exchange.wanted or exchange.refresh:
            query = exchange.waiting.asks[0] if exchange.waiting else exchange.query
            response = self.upstream_says(query, aside=exchange.waiting is not None)
            self.line.keep(query, response, self.now)
            if not exchange.wanted:
                break
            self.line.finish(exchange, response, self.now)
        assert not self.journal.bugs, self.journal.bugs
        return self.check_answer(exchange.answer, transport)

    def upstream_says(self, query, *, aside):
        packet = message(4711, query, question_of(query))
        if aside:
            self.aside.append(question_text(packet).removesuffix(" RD AD"))
        else:
            self.saw = question_text(packet)
        script = self.others.get(" ".join(question_text(packet).split()[:2]), self.script)
        if script == "silence":
            return None
        script = {"rcode": "SERVFAIL"} if script == "SERVFAIL" else script
        script = {"answer": script} if isinstance(script, str) else dict(script)
        ede = [(script.pop("ede"), "")] if "ede" in script else ()
        wire = said(packet, script.pop("answer", ""), ede=ede, **script)
        try:
            response = scan(wire, len(query.qname) + 16, query.qtype)
        except WireError:
            return None
        return response if response.rcode in (NOERROR, NXDOMAIN, SERVFAIL) else None

    def check_answer(self, wire, transport):
        """What holds for every answer: the client's id, its spelling, its size."""
        if wire is not None:
            query = dns.message.from_wire(self.packet)
            limit = 65535 if transport == "tcp" else max(512, min(query.payload or 512, 1232))
            assert len(wire) <= limit
            assert wire[:2] == self.packet[:2]
            for question in dns.message.from_wire(wire).question:
                assert question.name.to_text() == query.question[0].name.to_text()
        return wire


def rules_of(app, said):
    """Return the rules of one inline list: `block` and `allow` entries, texts or mappings with `value`."""
    about = {key: said[key] for key in ("title", "reason", "reference", "quiet") if key in said}
    number = 0
    for kind in ("block", "allow"):
        for entry in said.get(kind) or ():
            number += 1
            entry = {"value": entry} if isinstance(entry, str) else dict(entry)
            value, answer, trigger = entry.pop("value"), entry.pop("answer", None), entry.pop("trigger", None)
            yield rule(
                value,
                app,
                allow=kind == "allow",
                line=number,
                answer=Action(answer) if answer else None,
                trigger=Trigger(trigger) if trigger else None,
                **entry,
                **about,
            )


def grant_of(said):
    """Return the exception that a scenario describes: as `blocker exceptions add` takes it."""
    scope, value = next(((scope, said.pop(word)) for word, scope in WORDS.items() if word in said), ("", ""))
    starts, ends = (int(moment_of(text)) for text in (said.pop("from", "1970-01-01T00:00Z"), said.pop("until")))
    words = [said.pop(word, "") for word in ("app", "group", "client")]
    grant = Grant(str(said.pop("id")), said.pop("ticket", ""), scope, value, *words, starts, ends)
    assert not said, said
    return checked(grant)


def moment_of(text):
    """Return the unix time of a moment with its zone: `2026-11-24T17:00-05:00`, `...T17:00[America/Toronto]`."""
    found = times.moment(str(text))
    assert str(text)[-1] in "Z]" or str(text)[-6] in "+-", f"{text}: say in which zone"
    return found.timestamp()


def question_text(packet):
    """Return what the upstream saw: `name TYPE FLAGS`."""
    query = dns.message.from_wire(packet)
    (question,) = query.question
    words = [word for word in ("RD", "AD", "CD") if query.flags & dns.flags.from_text(word)]
    assert not query.options, "options of the client's must not leave"
    return " ".join((
        question.name.to_text(omit_final_dot=True), dns.rdatatype.to_text(question.rdtype), *words,
        *(["DO"] if query.ednsflags & dns.flags.DO else []),
    ))  # fmt: skip


def as_expected(key, value, seen):
    """Tell whether what was seen is what was expected: of a log line the fields that are named, of the rest all."""
    if key in ("answer", "authority", "additional"):
        return seen == lines(value or "")
    if key == "flags":
        return seen == set(value.split())
    if key == "ede":
        return seen == ([] if value == "nothing" else value if isinstance(value, list) else [value])
    if isinstance(value, dict) and isinstance(seen, dict):
        return value == {field: seen.get(field) for field in value}
    return seen == value


def limits(config):
    """Return the whole cache for one worker."""
    cache = config.cache
    return Limits(
        cache.size << 20, cache.min_ttl, cache.max_ttl, cache.max_negative_ttl, cache.failure_ttl, cache.stale_for,
        cache.prefetch,
    )  # fmt: skip


def wording(config):
    """Return how answers are worded."""
    answers = config.answers
    return Wording(
        tuple(address.packed for address in answers.sinkhole_v4),
        tuple(address.packed for address in answers.sinkhole_v6),
        answers.ttl,
        config.cache.stale_ttl,
        BLOCK_EDE[answers.ede],
        answers.contact,
        answers.version,
        int(config.limits.tcp_idle * 10),
    )
