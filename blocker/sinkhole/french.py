"""What the shipped lists say, in French: by their own English words, so that an operator's words stay his."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FRENCH: Final[Mapping[str, str]] = MappingProxyType({
    # Titles.
    "Ways around the resolver": "moyens de contourner le résolveur",
    "Canary names": "noms témoins",
    "Special-use names": "noms à usage spécial",
    # Reasons.
    "This service lets a device get around the network protection that enforces the bans.": (
        "Ce service permet à un appareil de contourner la protection du réseau qui applique les interdictions."
    ),
    "This network asks devices to use its own resolver.": "Ce réseau demande aux appareils d’utiliser son résolveur.",
    "This name is reserved for special or local use; it does not exist in the public DNS.": (
        "Ce nom est réservé à un usage spécial ou local; il n’existe pas dans le DNS public."
    ),
    "Kaspersky products are banned on government devices and networks.": (
        "Les produits Kaspersky sont interdits sur les appareils et les réseaux du gouvernement."
    ),
    "TikTok is banned on government devices and networks.": (
        "TikTok est interdit sur les appareils et les réseaux du gouvernement."
    ),
    "WeChat is banned on government devices and networks.": (
        "WeChat est interdit sur les appareils et les réseaux du gouvernement."
    ),
    # Decisions.
    "WeChat and Kaspersky banned on government devices. It names none of these services: they are blocked because"
    " each lets a device get around the measure which carries it out": (
        "WeChat et Kaspersky interdits sur les appareils du gouvernement. La décision ne nomme aucun de ces"
        " services\N{NO-BREAK SPACE}: ils sont bloqués parce que chacun permet à un appareil de contourner la"
        " mesure qui l’applique"
    ),
    "TikTok banned on government devices. It names none of these services: they are blocked because each lets a"
    " device get around the measure which carries it out": (
        "TikTok interdit sur les appareils du gouvernement. La décision ne nomme aucun de ces"
        " services\N{NO-BREAK SPACE}: ils sont bloqués parce que chacun permet à un appareil de contourner la"
        " mesure qui l’applique"
    ),
    "President of the Treasury Board: WeChat and the Kaspersky suite removed from and blocked on"
    " government-issued mobile devices; CIO of Canada: unacceptable level of risk to privacy and security": (
        "Présidente du Conseil du Trésor\N{NO-BREAK SPACE}: WeChat et la suite Kaspersky retirés des appareils"
        " mobiles fournis par le gouvernement et bloqués sur ceux-ci; dirigeante principale de l’information du"
        " Canada\N{NO-BREAK SPACE}: niveau de risque inacceptable pour la vie privée et la sécurité"
    ),
    "President of the Treasury Board: TikTok removed from and blocked on government-issued mobile devices,"
    " announced 2023-02-27, effective 2023-02-28": (
        "Présidente du Conseil du Trésor\N{NO-BREAK SPACE}: TikTok retiré des appareils mobiles fournis par le"
        " gouvernement et bloqué sur ceux-ci; mesure annoncée le 2023-02-27, en vigueur le 2023-02-28"
    ),
    "DHS Binding Operational Directive 17-01: find and remove Kaspersky-branded products; leaves out code"
    " embedded in other products, Threat Intelligence and training": (
        "Directive opérationnelle contraignante 17-01 du DHS\N{NO-BREAK SPACE}: repérer et retirer les produits"
        " de marque Kaspersky; ne vise pas le code intégré à d’autres produits, Threat Intelligence ni la"
        " formation"
    ),
    "Commerce Final Determination ICTS-2021-002 (89 FR 52434): no new agreements from 2024-07-20, no updates and"
    " no KSN for US persons from 2024-09-29; includes resale and integration": (
        "Décision finale ICTS-2021-002 du département du Commerce (89 FR 52434)\N{NO-BREAK SPACE}: aucun nouvel"
        " accord à compter du 2024-07-20, aucune mise à jour ni aucun KSN pour les personnes des États-Unis à"
        " compter du 2024-09-29; comprend la revente et l’intégration"
    ),
    "PSPF Direction 002-2025: Kaspersky products and web services off all Commonwealth systems by 2025-04-01": (
        "Directive PSPF 002-2025\N{NO-BREAK SPACE}: produits et services Web de Kaspersky retirés de tous les"
        " systèmes du Commonwealth d’Australie au plus tard le 2025-04-01"
    ),
    "European Commission: TikTok off corporate devices": (
        "Commission européenne\N{NO-BREAK SPACE}: TikTok retiré des appareils professionnels"
    ),
    "Federal directive: TikTok off federal devices": (
        "Directive fédérale\N{NO-BREAK SPACE}: TikTok retiré des appareils fédéraux"
    ),
    "TikTok off government corporate devices": "TikTok retiré des appareils professionnels du gouvernement",
    "PSPF Direction 001-2023: TikTok off Commonwealth devices; the page says Tuesday, the date itself is not"
    " confirmed": (
        "Directive PSPF 001-2023\N{NO-BREAK SPACE}: TikTok retiré des appareils du Commonwealth d’Australie; la"
        " page indique mardi, mais la date elle-même n’est pas confirmée"
    ),
})  # fmt: skip
