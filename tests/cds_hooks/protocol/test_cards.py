"""A card that breaks a rule of the specification never leaves."""

import json

import pytest
from tables import cases

from cds_hooks.protocol.cards import (
    Action,
    Card,
    Coding,
    Indicator,
    Link,
    Source,
    Suggestion,
    as_json,
    escape_markdown,
    shorten,
)

SOURCE = Source(
    "Guideline", "https://guideline.example", Coding("b12Deficient", "https://c.example")
)


def card(**members):
    return Card(**{"summary": "B12 low", "indicator": Indicator.INFO, "source": SOURCE, **members})


def order(**members):
    given = {"type": "create", "description": "Order B12", "resource": {"resourceType": "X"}}
    return Suggestion("Order B12", (Action(**{**given, **members}),))


BROKEN = {
    "cds-resp-1 two recommended": {
        "suggestions": (Suggestion("a", is_recommended=True), Suggestion("b", is_recommended=True)),
        "selection_behavior": "at-most-one",
    },
    "cds-resp-2 delete with a resource": {
        "suggestions": (order(type="delete", resource_id="X/1"),),
        "selection_behavior": "any",
    },
    "cds-resp-2 delete without an id": {
        "suggestions": (order(type="delete", resource=None),),
        "selection_behavior": "any",
    },
    "cds-resp-3 appContext on an absolute link": {
        "links": (Link("l", "https://a.example", "absolute", "{}"),)
    },
    "cds-resp-4 reason without display": {"override_reasons": (Coding("a", "https://s.example"),)},
    "cds-resp-5 action without description": {
        "suggestions": (order(description=""),),
        "selection_behavior": "any",
    },
    "cds-resp-6 no selectionBehavior": {"suggestions": (order(),)},
    "ACT-03 create without resource": {
        "suggestions": (order(resource=None),),
        "selection_behavior": "any",
    },
    "CARD-02 empty summary": {"summary": ""},
    "CARD-02 140 characters": {"summary": "x" * 140},
    "CARD-02 140 accents": {"summary": "é" * 140},
    "LNK-02 relative link": {"links": (Link("l", "/evidence"),)},
    "SRC-02 relative source": {"source": Source("s", "evidence")},
    "SRC-01 no label": {"source": Source("")},
    "COD-01 no code": {"source": Source("s", topic=Coding("", "https://s.example"))},
}


@pytest.mark.parametrize("members", BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_card_is_refused(members):
    with pytest.raises(ValueError, match=r".+"):
        as_json(card(**members))


def test_139_code_points_fit():
    assert len(as_json(card(summary="😀" * 139))["summary"]) == 139


def test_nothing_null_or_empty_goes_out():
    plain = as_json(card(detail=""))
    assert set(plain) == {"uuid", "summary", "indicator", "source"}
    assert "isRecommended" not in json.dumps(
        as_json(card(suggestions=(order(),), selection_behavior="any"))
    )


@cases("""
    text                      | limit | short
    --------------------------+-------+------------------
    one two three             | 13    | one two three
    one two three             | 12    | one two…
    one, two                  | 7     | one…
    abcdefghij                | 5     | abcd…
""")
def test_shortening_cuts_at_a_word(case):
    assert shorten(case["text"], int(case["limit"])) == case["short"]


@pytest.mark.parametrize(
    "attack",
    [
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "![x](https://evil.example/p.png)",
        "https://evil.example",
        "www.evil.example",
        "a | b | c",
        "`code` **bold** _em_ ~~gone~~",
        "&lt;script&gt;",
        "line\n# heading\n- item\n> quote",
        "1. item",
        "name@evil.example",
        "<https://evil.example>",
        "\x00\u202e",
    ],
)
def test_words_from_a_record_are_words_and_nothing_else(attack):
    import html

    from markdown_it import MarkdownIt

    shown = MarkdownIt("gfm-like", {"html": True, "linkify": False}).render(escape_markdown(attack))
    assert shown.startswith("<p>") or not attack.strip("\x00\u202e")
    inner = shown.removeprefix("<p>").removesuffix("</p>\n")
    assert "<" not in inner
    flat = "".join(char if char.isprintable() else " " for char in attack)
    assert html.unescape(inner).split() == flat.split()
