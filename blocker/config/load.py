"""Reads a configuration: the file, then what the command line says instead, into one Config.

All mistakes come at once, each with its line or its option.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from pydantic import ValidationError

from blocker.config.origin import OPTIONS, Origin
from blocker.config.values import Where
from blocker.config.whole import Config
from blocker.config.wording import shown, told
from blocker.errors import ConfigError, ProblemsError
from blocker.lists import marked
from blocker.lists.marked import Marked

NOTHING: Final[Mapping[str, object]] = MappingProxyType({})


def load(path: Path | None, overrides: Mapping[str, object] = NOTHING) -> Config:
    """Return the configuration in the file at `path` (None: the defaults), with `overrides` put over it.

    `overrides` maps dotted keys (`upstream.servers`) to values. Relative paths in the file start at its
    folder, those in `overrides` at the current one. Raises ConfigError holding every mistake.
    """
    if path is None:
        return _checked(None, Path.cwd(), overrides)
    return _checked(_parsed(lambda: marked.read(path)), path.absolute().parent, overrides)


def parse(text: str, name: str, folder: Path, overrides: Mapping[str, object] = NOTHING) -> Config:
    """Return the configuration written as `text`; `name` is its file's in messages. Raises ConfigError."""
    return _checked(_parsed(lambda: marked.parse(text, name)), folder, overrides)


def _parsed(read: Callable[[], Marked]) -> Marked:
    try:
        document = read()
    except ProblemsError as error:
        raise ConfigError(error.problems) from error
    if document.data is not None and not isinstance(document.data, dict):
        raise ConfigError([f"{document.name}:1: the file must hold 'key: value' lines (got {shown(document.data)})"])
    return document


def _checked(document: Marked | None, folder: Path, overrides: Mapping[str, object]) -> Config:
    data = copy.deepcopy(document.data or {}) if document else {}
    options: dict[Where, str] = {}
    for key, value in overrides.items():
        where = tuple(key.split("."))
        if _put(data, where, _absolute(value)):
            options[where] = OPTIONS.get(key, f"--{key}")
    origin = Origin(document, options)
    try:
        config = Config.model_validate(data, context={"folder": folder})
    except ValidationError as error:
        problems = sorted({origin.problem(where, sentence) for where, sentence in told(error, Config)})
        raise ConfigError([problem for _, problem in problems]) from error
    config._origin = origin
    return config


def _put(data: dict[Any, Any], where: Where, value: object) -> bool:
    """Set the value at `where`; False if the file holds something else than a section on the way there."""
    for key in where[:-1]:
        section = data.setdefault(key, {})
        data[key] = data = {} if section is None else section
        if not isinstance(data, dict):
            return False
    data[where[-1]] = value
    return True


def _absolute(value: object) -> object:
    if isinstance(value, Path):
        return value.absolute()
    return [_absolute(item) for item in value] if isinstance(value, list | tuple) else value
