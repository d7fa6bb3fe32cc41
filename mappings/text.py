"""English text that keeps its template and parts, so that it can be translated.

Rules and knowledge write English; nothing but the composer of cards asks for another language. A
`Text` is an ordinary string for everybody else.
"""

from datetime import date

Part = str | float | date | tuple[str, ...]


class Text(str):
    """Text made of a template and its parts: "{title}: {reason}"."""

    template: str
    parts: dict[str, Part]

    __slots__ = ("parts", "template")


class LowercasedText(str):
    """Text that begins with a small letter inside an English sentence; elsewhere as it was."""

    original: str

    __slots__ = ("original",)


class CodeName(str):
    """The name of a code, with the title of the value set that it is in for want of a better."""

    general: str

    __slots__ = ("general",)


class Numeral(str):
    """A number as English writes it."""

    __slots__ = ()


def make_text(template: str, /, **parts: Part) -> Text:
    """`template` with its parts put in; the template is what a catalogue of messages holds."""
    words = {
        n: part if isinstance(part, str) else format_english(part) for n, part in parts.items()
    }
    return _build_text(template.format_map(words), template, parts)


def _build_text(text: str, template: str, parts: dict[str, Part]) -> Text:
    result = Text(text)
    result.template, result.parts = template, parts
    return result


def format_english(part: Part) -> str:
    match part:
        case str():
            return part
        case tuple():
            return ", ".join(part)
        case date():
            return f"{part.day} {part:%b %Y}"
    return f"{part:g}"


def lowercase_first(text: str) -> LowercasedText:
    """`text` inside a sentence; "MCV" stays as it is."""
    lowered = LowercasedText(text if text[:2].isupper() else text[:1].lower() + text[1:])
    lowered.original = text
    return lowered


def name_code(display: str, title: str) -> CodeName:
    name = CodeName(display)
    name.general = title
    return name


def format_amount(
    value: float, unit: str, comparator: str | None = None, digits: str = "g"
) -> Text:
    """ "<150 pmol/L": a value with its unit."""
    before, number = comparator or "", Numeral(format(value, digits))
    parts: dict[str, Part] = {"comparator": before, "value": number, "unit": unit}
    # Most texts are amounts: written out, they cost half.
    return _build_text(f"{before}{number} {unit}", "{comparator}{value} {unit}", parts)


def as_amount(text: str) -> str:
    """ "12.6 kg" as an amount, which other languages write in their way; other text as it is."""
    value, _, unit = text.partition(" ")
    if isinstance(text, Text) or not unit or not value.replace(".", "", 1).isdigit():
        return text
    return make_text("{value} {unit}", value=Numeral(value), unit=unit)


def as_id(name: str) -> str:
    """`name` in the letters that FHIR ids have: "walk_400m" is walk-400m."""
    return name.replace("_", "-").replace("+", ".")[:64]
