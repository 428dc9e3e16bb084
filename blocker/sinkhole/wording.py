"""What the page says, in English and in French: the operator's texts, and our own words where there are none.

Plain language for people who did nothing wrong. French as it is written in
Canada: a space before a colon, none before a question mark.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from blocker.config import Answers, PageText, Sinkhole
from blocker.sinkhole.french import FRENCH


@dataclass(frozen=True, slots=True)
class Labels:
    """The words of one language that nobody needs to change."""

    name: str  # of the language, in itself
    band: str  # at the head of a page that nobody put a name to
    skip: str
    what: str  # headings
    next_steps: str
    address: str  # what stands before the facts
    service: str
    reason: str
    decision: str
    quote: str
    time: str
    colon: str
    later: str  # for those whose exception has just come into force


LABELS: Final = {
    "en": Labels(
        name="English",
        band="Notice from your network",
        skip="Skip to main content",
        what="What is blocked",
        next_steps="What you can do",
        address="Address",
        service="Service",
        reason="Reason",
        decision="Decision",
        quote="Reference number",
        time="Time",
        colon=": ",
        later="If access was approved a moment ago, wait a minute and try again.",
    ),
    "fr": Labels(
        name="Français",
        band="Avis de votre réseau",
        skip="Passer au contenu principal",
        what="Ce qui est bloqué",
        next_steps="Ce que vous pouvez faire",
        address="Adresse",
        service="Service",
        reason="Raison",
        decision="Décision",
        quote="Numéro de référence",
        time="Heure",
        colon="\N{NO-BREAK SPACE}: ",
        later="Si l’accès vient d’être approuvé, attendez une minute et essayez de nouveau.",
    ),
}

OURS: Final = {
    "en": PageText(
        title="Access to this service is blocked",
        body="You tried to reach a service that may not be used on this network: {app}.\n\n"
        "There is nothing wrong with your device.",
        unknown="The address that you tried to reach leads to a service that may not be used on this network.\n\n"
        "There is nothing wrong with your device.",
        contact="If you need this service for your work, contact your help desk and tell them what this page says.",
        notice="This attempt was recorded.",
    ),
    "fr": PageText(
        title="L’accès à ce service est bloqué",
        body="Vous avez tenté d’accéder à un service dont l’utilisation n’est pas permise sur ce"
        " réseau\N{NO-BREAK SPACE}: {app}.\n\nVotre appareil fonctionne normalement.",
        unknown="L’adresse à laquelle vous avez tenté d’accéder mène à un service dont l’utilisation n’est pas permise"
        " sur ce réseau.\n\nVotre appareil fonctionne normalement.",
        contact="Si vous avez besoin de ce service pour votre travail, communiquez avec votre centre d’assistance et"
        " mentionnez ce qui figure sur cette page.",
        notice="Cette tentative a été consignée.",
    ),
}


@dataclass(frozen=True, slots=True)
class Voice:
    """Everything that the page says in one language; only `organisation` and the mappings may be empty."""

    language: str
    labels: Labels
    organisation: str
    title: str
    body: str
    unknown: str
    contact: str
    notice: str
    decisions: Mapping[str, str]  # by id, as the operator says them
    shipped: Mapping[str, str]  # what the shipped lists say, by their own words


@dataclass(frozen=True, slots=True)
class Wording:
    """The page's words under one configuration."""

    voices: Mapping[str, Voice]
    first: str  # the language of those who ask for none of ours
    contact: str  # whom to ask, in no particular language
    contacts: tuple[str, ...]  # the same as URIs
    lists_language: str  # what the lists' reasons and decisions are written in
    blocked_by: str  # address of a page of whoever ordered the block, or nothing


def wording(sinkhole: Sinkhole, answers: Answers) -> Wording:
    """Return the words of the page that `sinkhole` describes."""
    return Wording(
        voices={language: _voice(language, said, answers) for language, said in _said(sinkhole).items()},
        first=sinkhole.first,
        contact=answers.contact,
        contacts=answers.contacts,
        lists_language=answers.language,
        blocked_by=sinkhole.blocked_by or "",
    )


def _said(sinkhole: Sinkhole) -> dict[str, PageText]:
    return {"en": sinkhole.en, "fr": sinkhole.fr}


def _voice(language: str, said: PageText, answers: Answers) -> Voice:
    ours = OURS[language]
    return Voice(
        language=language,
        labels=LABELS[language],
        organisation=said.organisation or answers.organisation,
        title=said.title or ours.title,
        body=said.body or ours.body,
        unknown=said.unknown or ours.unknown,
        contact=said.contact or ours.contact,
        notice=said.notice or ours.notice,
        decisions=said.decisions,
        shipped=FRENCH if language == "fr" else {},
    )
