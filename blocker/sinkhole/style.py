"""How the page looks: colours for light and dark, one column on a phone and two on a desk. No file, no script, no font.

The colours are named, so that a test can compute the contrast of each pair that meets (WCAG 2.1 §1.4.3, §1.4.11).
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

LIGHT: Final = {
    "page": "#f2f4f7",
    "card": "#ffffff",
    "text": "#1d2733",
    "quiet": "#4b5766",
    "line": "#d5dbe3",
    "band": "#26374a",
    "on-band": "#ffffff",
    "accent": "#a62a3a",
    "link": "#1c4f9c",
}
DARK: Final = {
    "page": "#11171e",
    "card": "#1a232d",
    "text": "#e7ecf2",
    "quiet": "#aab6c4",
    "line": "#35424f",
    "band": "#0b1016",
    "on-band": "#e7ecf2",
    "accent": "#e5808d",
    "link": "#94c1ff",
}

READ: Final = (
    ("text", "page"),
    ("text", "card"),
    ("quiet", "page"),
    ("quiet", "card"),
    ("link", "card"),
    ("on-band", "band"),
)
"""What is read on what: text colours and their backgrounds."""

SEEN: Final = (("accent", "page"), ("link", "page"))
"""What is not read but must be seen: the bar under the heading, the ring around what has the focus."""

_RULES: Final = """\
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);overflow-wrap:anywhere;
font:1.0625rem/1.6 "Noto Sans","Segoe UI",system-ui,-apple-system,"Helvetica Neue",Arial,sans-serif}
.in{max-width:66rem;margin:0 auto;padding:0 1.25rem}
header{background:var(--band);color:var(--on-band)}
header .in{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;justify-content:space-between;padding-top:.9rem;
padding-bottom:.9rem}
header p{margin:0;font-weight:600}
header p>span[lang]{display:inline-block}
header a{color:inherit;margin-right:1.25rem}
header span:last-child>a{margin-right:0}
.or{margin:0 .5rem;opacity:.75}
.skip{position:absolute;left:1rem;top:.4rem;background:var(--card);color:var(--link);padding:.4rem 1rem}
.skip:not(:focus){clip-path:inset(50%);height:1px;width:1px;overflow:hidden;white-space:nowrap;padding:0}
a{color:var(--link);text-underline-offset:.2em}
a:focus-visible,main:focus-visible,section:focus-visible{outline:3px solid var(--link);outline-offset:3px}
header a:focus-visible{outline-color:currentColor}
h1{font-size:clamp(1.6rem,1.2rem + 2vw,2.3rem);line-height:1.25;margin:2.5rem 0 2rem;padding-bottom:1.1rem;
font-weight:700;position:relative}
h1 span{display:block}
h1 span+span{margin-top:.35rem}
h1:after{content:"";position:absolute;left:0;bottom:0;width:4.5rem;height:.35rem;background:var(--accent)}
main{padding-bottom:3rem}
.both{display:grid;gap:1.5rem;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr))}
section{background:var(--card);border:1px solid var(--line);border-radius:.5rem;padding:.5rem 1.75rem 1.5rem}
h2{font-size:1.25rem;line-height:1.35;margin:1.35rem 0 .6rem}
p{margin:0 0 .8rem}
dl{margin:1.1rem 0;border-top:1px solid var(--line)}
dl div{display:flex;flex-wrap:wrap;gap:0 1rem;padding:.55rem 0;border-bottom:1px solid var(--line)}
dt{flex:0 0 9.5rem;color:var(--quiet)}
dd{flex:1 1 12rem;margin:0}
dd small{display:block;font-size:.9em;color:var(--quiet)}
div:first-child:not(:last-child)>dd{font-weight:600}
ul{margin:0 0 .8rem;padding-left:1.25rem}
.notice{color:var(--quiet);margin:1.25rem 0 0}
@media (max-width:30rem){section{padding:.25rem 1.1rem 1.1rem}h1{margin:1.6rem 0 1.5rem}dt{flex-basis:100%}}
@media print{header{background:none;color:inherit}nav,.skip{display:none}}
"""


def _palette(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


STYLE: Final = (
    f"\n:root{{color-scheme:light dark;{_palette(LIGHT)}}}\n"
    f"@media (prefers-color-scheme:dark){{:root{{{_palette(DARK)}}}}}\n" + _RULES
)
DIGEST: Final = b64encode(sha256(STYLE.encode()).digest()).decode()
"""What the page's security policy knows the style by; nothing else may style the page."""
