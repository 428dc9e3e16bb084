"""What is wrong with a configuration, in an operator's words instead of the validator's.

Pure: turns a ValidationError into places and sentences; knows no file and no line.
"""

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from types import UnionType
from typing import Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from blocker.config.values import Where

_LIST = "must be a list; write one item a line, each after '- '"
_SECTION = "must hold keys; write 'key: value' lines below it"
_NAME = "must be lower-case letters, digits and '-', at most 32 of them, starting with a letter or digit"
_SENTENCES: Final[Mapping[str, str]] = {  # by the validator's own names of mistakes
    "missing": "is missing",
    "invalid_key": "this key must be text; put it in quotes if it is meant so",
    "tuple_type": _LIST,
    "model_type": _SECTION,
    "model_attributes_type": _SECTION,
    "dict_type": _SECTION,
    "mapping_type": _SECTION,
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number, and not such a big one",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "string_type": "must be text; put it in quotes if it is meant so",
    "string_unicode": "must be text without half characters",
    "string_pattern_mismatch": _NAME,
    "string_too_long": "must be at most {max_length} characters long",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "too_short": "must have at least {min_length} item",
    "too_long": "must have at most {max_length} items",
}
_SELF_EXPLAINING = frozenset({"missing", "too_short"})

_LONGEST: Final = 60  # characters of a value in a message


def told(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Where, str]]:
    """Yield each mistake in `error` with its place; `model` is what was validated."""
    for details in error.errors(include_url=False):
        where = tuple(part for part in details["loc"] if part != "[key]")
        if details["type"] == "mistakes":
            for below, text in details["ctx"]["found"]:
                yield (*where, *below), text
        elif details["type"] == "too_short" and len(details["input"]) >= details["ctx"]["min_length"]:
            continue  # there were enough items; they are refused one by one
        elif details["type"] == "extra_forbidden":
            yield where, _unknown_key(str(where[-1]), where[:-1], model)
        else:
            yield where, _sentence(details)


def nearest(word: str, choices: list[str]) -> str:
    """Return `; did you mean ...?` where one of `choices` looks like `word`, else what there is to choose from."""
    if close := get_close_matches(word, choices, n=1, cutoff=0.6):
        return f"; did you mean {close[0]!r}?"
    return f"; choose from {', '.join(choices)}" if choices else ""


def _sentence(details: ErrorDetails) -> str:
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind in ("literal_error", "enum"):
        choices = re.findall(r"'([^']*)'", context["expected"])
        return f"must be {_one_of(choices)} (got {shown(value)}){_hint(value, choices)}"
    if known := _SENTENCES.get(kind):
        text = known.format_map({key: _plain(limit) for key, limit in context.items()})
    else:
        text = details["msg"][:1].lower() + details["msg"][1:]
    return text if kind in _SELF_EXPLAINING else f"{text} (got {shown(value)})"


def _plain(limit: object) -> object:
    return int(limit) if isinstance(limit, float) and limit.is_integer() else limit


def _one_of(choices: list[str]) -> str:
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def _hint(value: object, choices: list[str]) -> str:
    close = get_close_matches(value.lower(), choices, n=1) if isinstance(value, str) else []
    return f"; did you mean {close[0]!r}?" if close else ""


def shown(value: object) -> str:
    """Return `value` as it stands in the file, roughly: short, printable, `true` and `null` as in YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = ascii(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 3]}..."


def _unknown_key(key: str, where: Where, model: type[BaseModel]) -> str:
    here = _section(model, where)
    keys = list(here.model_fields) if here else []
    if not get_close_matches(key, keys, n=1, cutoff=0.6):
        elsewhere = [path for path in _paths(model) if path.rpartition(".")[2] == key]
        if elsewhere:
            return f"unknown key here; did you mean {' or '.join(elsewhere)}?"
    return "unknown key" + nearest(key, keys)


def _section(model: type[BaseModel], where: Where) -> type[BaseModel] | None:
    """Return the model of the section at `where`."""
    found: type[BaseModel] | None = model
    for part in where:
        if isinstance(part, str) and found is not None:
            found = _model_in(found.model_fields[part].annotation) if part in found.model_fields else None
    return found


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, Union, UnionType):
        return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
    return None


def _paths(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Yield the dotted path of every key that stands in a section, those inside lists left out."""
    for key, info in model.model_fields.items():
        yield above + key
        if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
            yield from _paths(info.annotation, f"{above}{key}.")
