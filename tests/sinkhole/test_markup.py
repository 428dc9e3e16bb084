"""What is not markup is escaped, wherever it stands."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.sinkhole.markup import Html, fill, joined


def test_text_is_escaped_and_markup_is_not():
    assert fill("<p>$a</p>$b", a="<b>&\"'", b=Html("<br>")) == "<p>&lt;b&gt;&amp;&quot;&#x27;</p><br>"


def test_what_was_filled_is_markup():
    assert joined([fill("<i>$x</i>", x="1"), Html("<hr>")], " < ") == "<i>1</i> &lt; <hr>"


def test_what_looks_like_a_place_to_fill_is_text():
    assert fill("$a$b", a="$b ${b} $$", b="x") == "$b ${b} $$x"


def test_nothing_may_be_missing():
    with pytest.raises(KeyError):
        fill("$a")


@given(st.text())
def test_no_text_becomes_a_tag(text):
    seen = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: seen.append((tag, attributes))
    parser.feed(fill('<a title="$text">$text</a>', text=text))
    assert [(tag, len(attributes)) for tag, attributes in seen] == [("a", 1)]
