"""The page for people, and the same as plain text for programs. Pure.

English and French stand on one page with equal weight, the visitor's language first. Says only what it is given:
what a stranger sent is shown by nobody but `blocked.name`, which is a name that the policy blocks.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from blocker.sinkhole.markup import Html, fill, joined
from blocker.sinkhole.style import STYLE
from blocker.sinkhole.wording import Voice, Wording

_PAGE: Final = """\
<!DOCTYPE html>
<html lang="$language">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title</title>
<link rel="icon" href="data:,">
<style>$style</style>
</head>
<body>
<a class="skip" href="#main">$skip</a>
<header><div class="in">
<p>$organisation</p>
<nav aria-label="$languages">$jumps</nav>
</div></header>
<main id="main" class="in" tabindex="-1">
<h1>$headings</h1>
<div class="both">
$sections</div>
</main>
</body>
</html>
"""
_SECTION: Final = """\
<section id="$language" lang="$language" aria-labelledby="$language-what" tabindex="-1">
<h2 id="$language-what">$what</h2>
$body$facts<h2>$next_steps</h2>
$contact<p class="notice">$notice</p>
</section>
"""
_OR: Final = Html('<span class="or" aria-hidden="true">·</span>')


@dataclass(frozen=True, slots=True)
class Blocked:
    """What was blocked, as far as it is known; texts as the lists have them."""

    name: str
    app: str
    reason: str = ""
    reference: str = ""  # id of the decision
    decision: str = ""  # its text
    entry: str = ""  # id of the entry: what a help desk finds it by


def html(wording: Wording, blocked: Blocked | None, languages: Sequence[str], when: float) -> str:
    """Return the page at unix time `when`, the first of `languages` first; None: it is not known what was blocked."""
    voices = [wording.voices[language] for language in languages]
    return fill(
        _PAGE,
        language=voices[0].language,
        title=" – ".join(voice.title for voice in voices),
        style=Html(STYLE),
        skip=_spans(((voice, voice.labels.skip) for voice in voices), " / "),
        organisation=_organisation(voices),
        languages=" / ".join(voice.labels.name for voice in voices),
        jumps=_spans(((voice, _jump(voice)) for voice in voices), ""),
        headings=_spans(((voice, voice.title) for voice in voices), " "),
        sections=joined(_section(wording, voice, blocked, when) for voice in voices),
    )


def text(wording: Wording, blocked: Blocked | None, languages: Sequence[str], when: float) -> str:
    """Return what `html` says as plain text."""
    return "\n".join(_plain(wording, wording.voices[language], blocked, when) for language in languages)


def _section(wording: Wording, voice: Voice, blocked: Blocked | None, when: float) -> Html:
    return fill(
        _SECTION,
        language=voice.language,
        what=voice.labels.what,
        body=_paragraphs(_body(voice, blocked)),
        facts=_facts(wording, voice, blocked, when),
        next_steps=voice.labels.next_steps,
        contact=joined((_paragraphs(_contact(wording, voice, blocked)), _contacts(wording))),
        notice=voice.notice,
    )


def _body(voice: Voice, blocked: Blocked | None) -> str:
    # Not str.format: the operator's braces are text, and a name is never a template.
    return voice.unknown if blocked is None else voice.body.replace("{app}", _app(voice, blocked))


def _contact(wording: Wording, voice: Voice, blocked: Blocked | None) -> str:
    later = "" if blocked else f"\n\n{voice.labels.later}"
    return voice.contact + (f"\n\n{wording.contact}" if wording.contact else "") + later


def _rows(wording: Wording, voice: Voice, blocked: Blocked | None, when: float) -> Iterator[tuple[str, str, str, str]]:
    """Yield the facts: label, value, further text, and the language of value and text if it is another one."""
    labels = voice.labels
    if blocked is not None:
        yield labels.address, blocked.name, "", ""
        yield labels.service, _app(voice, blocked), "", ""
        reason, language = _listed(wording, voice, blocked.reason)
        yield labels.reason, reason, "", language
        said = voice.decisions.get(blocked.reference, "")
        decision, language = (said, "") if said else _listed(wording, voice, blocked.decision)
        yield labels.decision, blocked.reference, decision, language
        yield labels.quote, blocked.entry, "", ""
    yield labels.time, f"{datetime.fromtimestamp(when, UTC):%Y-%m-%d %H:%M:%S UTC}", "", ""


def _facts(wording: Wording, voice: Voice, blocked: Blocked | None, when: float) -> Html:
    rows = joined(_row(*each) for each in _rows(wording, voice, blocked, when) if each[1])
    return fill("<dl>\n$rows</dl>\n", rows=rows)


def _row(label: str, value: str, more: str, language: str) -> Html:
    return fill(
        "<div><dt>$label</dt><dd$lang>$value$more</dd></div>\n",
        label=label,
        lang=fill(' lang="$language"', language=language) if language else Html(""),
        value=value,
        more=fill(" <small>$more</small>", more=more) if more else Html(""),
    )


def _app(voice: Voice, blocked: Blocked) -> str:
    return voice.shipped.get(blocked.app, blocked.app)


def _listed(wording: Wording, voice: Voice, words: str) -> tuple[str, str]:
    """Return what a list says in the voice's language, if we know it; else as it is there, and in which language."""
    said = voice.shipped.get(words)
    return (said, "") if said is not None else (words, _other(voice, wording.lists_language))


def _other(voice: Voice, language: str) -> str:
    """Return `language` if a voice speaks another one."""
    return "" if language.partition("-")[0].lower() == voice.language else language


def _paragraphs(words: str) -> Html:
    return joined(fill("<p>$words</p>\n", words=each) for each in words.split("\n\n") if each.strip())


def _contacts(wording: Wording) -> Html:
    if not wording.contacts:
        return Html("")
    items = (fill('<li><a href="$uri">$shown</a></li>\n', uri=each, shown=_shown(each)) for each in wording.contacts)
    return fill("<ul>\n$items</ul>\n", items=joined(items))


def _shown(uri: str) -> str:
    return uri.partition(":")[2]


def _organisation(voices: Sequence[Voice]) -> Html:
    """Return who blocks, in both languages unless it is the same in both."""
    names = {voice.organisation or voice.labels.band: voice for voice in reversed(voices)}
    if len(names) == 1:
        return fill("$name", name=next(iter(names)))
    return _spans(((voice, voice.organisation or voice.labels.band) for voice in voices), _OR)


def _spans(said: Iterable[tuple[Voice, str]], between: str) -> Html:
    spans = (fill('<span lang="$language">$words</span>', language=each.language, words=words) for each, words in said)
    return joined(spans, between)


def _jump(voice: Voice) -> Html:
    return fill('<a href="#$language">$name</a>', language=voice.language, name=voice.labels.name)


def _plain(wording: Wording, voice: Voice, blocked: Blocked | None, when: float) -> str:
    lines = [voice.title, "", _body(voice, blocked), ""]
    for label, value, more, _ in _rows(wording, voice, blocked, when):
        lines += [f"{label}{voice.labels.colon}{value}" + (f" ({more})" if more else "")] if value else []
    lines += ["", _contact(wording, voice, blocked), *map(_shown, wording.contacts), "", voice.notice, ""]
    return "\n".join(lines)
