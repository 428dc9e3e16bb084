"""`blocker explain`: is it blocked, by which line, on which ground? From the same `decide` as the server."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

import click

from blocker import addresses, config, names, policy, schedule
from blocker.bundle import current as bundles
from blocker.cli import feeds, times
from blocker.cli.options import config_option, json_option, lists_option, overrides
from blocker.clients import Clients
from blocker.config import Config
from blocker.errors import ConfigError, NameFormatError
from blocker.events import entry_id
from blocker.exceptions import store
from blocker.exceptions.entry import Grant
from blocker.lists.index import Index, Listed
from blocker.lists.opened import opened
from blocker.lists.source import Category
from blocker.policy import Action, Policy, Rule, Verdict
from blocker.rollout import state as rollouts
from blocker.rollout.plan import Position, applied
from blocker.simulate.sides import state
from blocker.wire.constants import AAAA, A, type_from_text

_Address = IPv4Address | IPv6Address


def _client(_ctx: click.Context, _option: click.Parameter, text: str | None) -> _Address | None:
    try:
        return None if text is None else ip_address(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is not an IP address.") from error


def _qtype(_ctx: click.Context, _option: click.Parameter, text: str | None) -> int | None:
    try:
        return None if text is None else type_from_text(text)
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a name or an address has its verdict; texts are for people."""

    asked: str
    verdict: str  # blocked, monitored, shadow, excepted or allowed
    group: str
    action: str
    answer: str  # what the client hears
    rule: Rule | None
    entry_id: str  # what records of such an attempt call the entry
    category: str  # why the lists of its app exist
    others: tuple[str, ...]  # further entries for it, and why they did not decide
    notes: tuple[str, ...]
    exception: Mapping[str, object]  # the one that lets it pass; empty: none does
    schedules: tuple[Mapping[str, object], ...]  # of the apps that list it, for this group


@click.command("explain")
@click.argument("name")
@click.option("--client", callback=_client, metavar="ADDR", help="Who asks; not said: a client in no group.")
@click.option(
    "--at", "when", callback=times.option(times.moment), metavar="TIME", help="When: 2026-11-27T17:00; not said: now."
)
@click.option("--type", "qtype", callback=_qtype, metavar="TYPE", help="What is asked for: A, AAAA, HTTPS, ...")
@config_option
@lists_option
@json_option
@click.pass_context
def commands(
    ctx: click.Context,
    name: str,
    client: _Address | None,
    when: datetime | None,
    qtype: int | None,
    path: Path | None,
    lists: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Say whether NAME, a domain name or an IP address, is blocked, and why.

    Works without a running blocker. Exit status 0: allowed; monitored, in shadow and excepted too. 1: blocked. 2: it
    cannot be said.
    """
    found = config.load(path, overrides(lists=lists))
    kept = rollouts.read(config.state_dir(found))
    standing = rollouts.positions(found, kept)
    with TemporaryDirectory(prefix="blocker-") as scratch:
        source = bundles.in_force(found)
        index = opened(source.lists, config.state_dir(found), Path(scratch), feeds.in_force(found))
        if problems := config.check_apps(found, index.apps):
            raise ConfigError(problems)  # the server would not serve this either
        found = applied(found, standing)
        moment = time.time() if when is None else when.timestamp()
        granted = store.snapshot(found, source.granted).granted
        explanation = _explain(found, index, name, client, qtype, standing, moment, granted)
    click.echo(json.dumps(asdict(explanation)) if as_json else "\n".join(_lines(explanation)))
    ctx.exit(1 if explanation.verdict == "blocked" else 0)


def _explain(
    found: Config,
    index: Index,
    asked: str,
    client: _Address | None,
    qtype: int | None,
    standing: Mapping[str, Position],
    moment: float,
    granted: Sequence[Grant],
) -> Explanation:
    clients = Clients(found, index, moment, granted)
    who = clients.unlisted if client is None else clients.policy_for(client.packed)
    address = _address(asked)
    if address is None:
        name = _name(asked)
        verdict, listed = policy.decide(who, index, name, True), index.listed(name)
    else:
        verdict = policy.inspect_address(who, index, address.packed, names.ROOT, True)
        listed = tuple(Listed(rule, active=True) for rule in index.find_address(address.packed))
    listed = (*(Listed(rule, active=True) for rule in who.client_rules), *listed)
    blocked = verdict.action is not Action.PASSTHRU
    return Explanation(
        asked=asked,
        verdict=state(verdict),
        group=who.group,
        action=verdict.action.value,
        answer=_answer(found, verdict.action, qtype) if blocked else "",
        rule=verdict.rule,
        entry_id=entry_id(verdict.rule) if verdict.rule else "",
        category=index.apps[verdict.rule.app].category if verdict.rule and verdict.rule.app in index.apps else "",
        others=tuple(_other(each, who, blocked=blocked) for each in listed if each.rule != verdict.rule),
        notes=tuple(each.note for each in listed if each.note and each.rule == verdict.rule)
        + tuple(_rolled_out(verdict, standing, None if client is None else clients.bucket(client.packed)))
        + tuple(_notes(verdict, who, address))
        + tuple(_of_servers(index, asked, address)),
        exception=_exception(verdict, granted),
        schedules=tuple(_schedules(found, who.group, verdict, listed, moment)),
    )


def _rolled_out(verdict: Verdict, standing: Mapping[str, Position], bucket: int | None) -> Iterator[str]:
    """Yield where the rollout stands that the entry is part of, and whether it has reached this client."""
    if not verdict.rollout or verdict.rule is None:
        return
    now = standing[verdict.rollout]
    reached = "has reached" if not verdict.shadow or verdict.rule.shadow else "has not reached"
    share = f", number {bucket} of 0 to 99" if now.percent and bucket is not None else ""
    returned = f"; it was taken back: {now.why}" if now.returned else ""
    yield f"rollout {verdict.rollout} is at stage {now} and {reached} this client{share}{returned}"
    if verdict.rule.shadow:
        yield "the entry's own list says shadow, whatever the rollout"


def _exception(verdict: Verdict, granted: Sequence[Grant]) -> Mapping[str, object]:
    """Return the exception that decided, if one did."""
    waiver = verdict.waiver
    return {} if waiver is None else next(each.said() for each in granted if each.id == waiver.id)


def _schedules(
    found: Config, group: str, verdict: Verdict, listed: Sequence[Listed], moment: float
) -> Iterator[Mapping[str, object]]:
    """Yield the schedules of the apps that list what was asked, and what they do at `moment`."""
    apps = {each.rule.app for each in listed if each.active} | ({verdict.rule.app} if verdict.rule else set())
    scheduled = next((each.scheduled for each in found.groups if each.name == group), {})
    for app in sorted(apps & scheduled.keys()):
        for each in scheduled[app]:
            yield {
                "app": app,
                "days": list(each.days),
                "hours": list(each.hours),
                "zone": each.zone,
                "inside": each.inside,
                "outside": each.outside,
                "open": schedule.is_within(each, moment),
                "changes": schedule.next_change([each], moment),
            }


def _address(text: str) -> _Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _name(text: str) -> names.Name:
    try:
        return names.hostname(text)
    except NameFormatError as error:
        raise NameFormatError(f"{error}. Give a domain name or an IP address, not a URL.") from error


def _answer(found: Config, action: Action, qtype: int | None) -> str:
    """Return what a blocked client hears, in words."""
    if action is Action.LOOPBACK:
        addresses: dict[int, tuple[object, ...]] = {A: ("127.0.0.1",), AAAA: ("::1",)}
    elif action is Action.SINKHOLE:
        addresses = {A: found.answers.sinkhole_v4, AAAA: found.answers.sinkhole_v6}
    else:
        return {
            Action.NXDOMAIN: "NXDOMAIN: there is no such name",
            Action.NODATA: "NODATA: the name has no such records",
            Action.REFUSED: "REFUSED",
            Action.DROP: "nothing at all",
            Action.TCP_ONLY: "an empty answer cut short (TC) over UDP; over TCP it is resolved",
        }[action]
    if qtype is not None and qtype not in addresses:
        return "NODATA: the name has no such records"
    told = [str(each) for of, values in addresses.items() if qtype in (None, of) for each in values]
    return " and ".join(told) or "NODATA: no address is configured"


def _notes(verdict: Verdict, who: Policy, address: _Address | None) -> Iterator[str]:
    if verdict.waiver is not None:
        yield "it would be blocked but for the exception; each use is counted and logged with the exception's number"
    elif verdict.shadow:
        yield "in shadow: answered truthfully, counted and logged as what would have been blocked"
    elif verdict.monitored:
        yield f"group {who.group} only monitors this app: answered truthfully, counted and logged"
    if verdict.rule is not None and verdict.rule.allow:
        yield "an exception in the lists allows it"
    if verdict.rule is None:
        yield "no list entry applies to it"
    if address is not None:
        yield "addresses are looked at inside answers: in A, AAAA, and the hints of HTTPS and SVCB records"
        if who.rebinding and addresses.is_private(address.packed):
            yield "this one is private: no public name may point at it (protection.rebinding)"
    elif verdict.action is Action.PASSTHRU:
        yield "the upstream's answer is still inspected: an alias or address in it may be blocked"


def _of_servers(index: Index, asked: str, address: _Address | None) -> Iterator[str]:
    """Yield what is listed of a name server of this name or address, and when such matter."""
    if not index.judges_servers:
        return
    if address is not None:
        found = index.find_server_address(address.packed)
    else:
        found = tuple(rule for rules in index.find_server(_name(asked)) for rule in rules)
        yield "the name servers of its zone and of those above are asked for, and may be listed"
    for rule in found:
        how = "excepts" if rule.allow else f"answers {rule.answer} for" if rule.answer else "blocks"
        yield f"as a name server it is listed: {rule.app} {how} all zones that it serves, {rule.source}"


def _other(listed: Listed, who: Policy, *, blocked: bool) -> str:
    rule = listed.rule
    treatment = who.apps.get(rule.app)
    if not listed.active:
        why = f"switched off: lists.switches.{rule.app}.{listed.switch}{': ' if listed.note else ''}{listed.note}"
    elif treatment is None:
        why = f"group {who.group} does not block this app"
    elif rule.allow:
        why = "an exception"
    elif rule.shadow or ((staged := policy.stage_of(who, rule.app, rule.origin)) is not None and staged.shadow):
        why = "in shadow"
    elif treatment.monitored:
        why = "only monitored"
    else:
        why = "blocks it too" if blocked else "would block it, if nothing more specific allowed it"
    return f"{rule.app}: {rule.value} ({rule.trigger or rule.scope}), {rule.source}: {why}"


def _lines(explanation: Explanation) -> Iterator[str]:
    yield f"{explanation.asked}: {explanation.verdict}"
    rule = explanation.rule
    rows = [("group", explanation.group)]
    if explanation.answer:
        rows.append(("action", f"{explanation.action}: the client hears {explanation.answer}"))
    if rule is not None:
        rows += [
            ("app", _app(rule, explanation.category)),
            (
                "entry",
                f"{rule.value} ({rule.trigger or rule.scope}{', exception' if rule.allow else ''}), {rule.source}",
            ),
            ("id", explanation.entry_id),
        ]
    if rule is not None and not rule.allow:
        rows += [("reason", rule.reason), ("legal", rule.reference)]
    rows += [("except", _exception_text(explanation.exception))] if explanation.exception else []
    rows += [("hours", _schedule_text(each)) for each in explanation.schedules]
    rows += [("also", other) for other in explanation.others]
    rows += [("note", note) for note in explanation.notes]
    for label, text in rows:
        if text:
            yield f"  {label:7} {text}"


def _app(rule: Rule, category: str) -> str:
    about = [rule.title] if rule.title else []
    about += ["a category: no decision bans it"] if category == Category.CONTENT else []
    return f"{rule.app} ({', '.join(about)})" if about else rule.app


def _exception_text(said: Mapping[str, object]) -> str:
    grant = Grant.of(said)
    ticket = f", ticket {grant.ticket}" if grant.ticket else ""
    return (
        f"{grant.id}: {grant.what()}, for {grant.whose()}, until {times.shown(grant.ends)};"
        f" approved by {grant.approved_by or 'the publisher'}{ticket}"
    )


def _schedule_text(said: Mapping[str, Any]) -> str:
    state = "inside, so" if said["open"] else "outside, so"
    zone = UTC if said["zone"] == "UTC" else ZoneInfo(said["zone"])
    return (
        f"{said['app']}: {said['inside']} {','.join(said['days'])} {' '.join(said['hours'])} {said['zone']},"
        f" else {said['outside']}; {state} {said['inside'] if said['open'] else said['outside']}"
        f" until {times.shown(said['changes'], zone)}"
    )
