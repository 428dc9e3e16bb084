"""The JSON schema of the configuration file, and the reference page made from it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from blocker.config.values import Endpoint
from blocker.config.whole import Config

_Node = Mapping[str, Any]

_INTRODUCTION = """\
# Configuration

The file is YAML. Every key may be left out; then its default holds. Keys that are not on this page are errors.
Relative paths start at the file's own folder. `blocker check FILE` tells every mistake with its line;
`blocker config show --config FILE` prints the file with every default filled in. Examples: `deploy/examples/`.

This page is printed by `blocker config reference`; do not edit it.
"""

_FORMATS = {
    "address:port": "`ADDR:PORT`",
    "address[:port]": "`ADDR` or `ADDR:PORT`",
    "address": "IP address",
    "ipv4": "IPv4 address",
    "ipv6": "IPv6 address",
    "network": "address or prefix",
    "domain": "domain name",
    "path": "path",
    "app": "app",
    "url": "URL",
    "uri": "`mailto:` or `tel:` URI",
    "language": "language tag",
    "time": "time of day",
    "time zone": "time zone",
    "weekdays": "weekday or `mon-fri`",
    "hours": "`HH:MM-HH:MM`",
    "sha256": "SHA-256",
    "public-key": "public key",
    "key-id": "number of a key",
    "interface": "name of a network interface",
}


class _Schema(GenerateJsonSchema):
    """Writes endpoints in defaults as people write them."""

    def encode_default(self, dft: object) -> object:
        """Return the default `dft` as JSON has it."""
        if isinstance(dft, Endpoint):
            return str(dft)
        return [self.encode_default(each) for each in dft] if isinstance(dft, tuple) else super().encode_default(dft)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the configuration file."""
    return {"$schema": _Schema.schema_dialect} | Config.model_json_schema(schema_generator=_Schema)


def page() -> str:
    """Return the reference page, in Markdown."""
    whole = schema()
    parts = [_INTRODUCTION, *_section("", whole, whole["$defs"], "Top level", "What is not in a section.")]
    return "\n".join(parts) + "\n"


def _section(path: str, node: _Node, models: Mapping[str, _Node], title: str, about: str) -> Iterator[str]:
    """Yield the section at `path` as a table, then the sections inside it."""
    rows, inner = [], []
    for key, field in node["properties"].items():
        below = f"{path}.{key}" if path else key
        if (model := _model(field, models)) is not None:
            inner.append((below, model, field))
            if field.get("type") != "array":
                continue
        rows.append(_row(key, field, models, required=key in node.get("required", ())))
    yield f"## {title}\n\n{about}\n\n| key | type | default | meaning |\n| --- | --- | --- | --- |"
    yield "\n".join(rows) + "\n"
    for below, model, field in inner:
        each = "" if field.get("type") != "array" else " (each item)"
        about = model["description"] if each else field.get("description", model["description"])
        yield from _section(below, model, models, f"`{below}`{each}", about)


def _row(key: str, field: _Node, models: Mapping[str, _Node], *, required: bool) -> str:
    default = "required" if required else f"`{json.dumps(field['default'])}`" if "default" in field else "`{}`"
    cells = (f"`{key}`", _type(field, models), default, field.get("description", ""))
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _model(field: _Node, models: Mapping[str, _Node]) -> _Node | None:
    """Return the section that `field` is, or is a list of."""
    node = field.get("items", field)
    found = models.get(str(node.get("$ref", "")).rpartition("/")[2])
    return found if found is not None and "properties" in found else None


def _type(node: _Node, models: Mapping[str, _Node]) -> str:
    if "$ref" in node:
        node = models[node["$ref"].rpartition("/")[2]]
    if "enum" in node:
        return " or ".join(f"`{choice}`" for choice in node["enum"])
    if "anyOf" in node:
        return " or ".join(_type(each, models) for each in node["anyOf"])
    match node["type"]:
        case "array":
            return f"list: {_type(node['items'], models)}{_size(node)}"
        case "object" if "properties" in node:
            return "section, below"
        case "object":
            if "patternProperties" in node:
                return f"app: {_type(next(iter(node['patternProperties'].values())), models)}"
            return f"name: {_type(node['additionalProperties'], models)}"
        case "boolean":
            return "`true` or `false`"
        case "integer" | "number":
            return f"{'whole number' if node['type'] == 'integer' else 'number'}{_range(node)}"
        case "string" if "format" in node:
            return _FORMATS[node["format"]]
        case "string" if "pattern" in node:
            return "short name: `a-z`, `0-9`, `-`"
        case "string":
            return f"text, at most {node['maxLength']} characters" if "maxLength" in node else "text"
        case other:
            return f"`{other}`"


def _range(node: _Node) -> str:
    if "exclusiveMinimum" in node:
        return f", above {node['exclusiveMinimum']:g}, at most {node['maximum']:g}"
    return f", {node['minimum']} to {node['maximum']}"


def _size(node: _Node) -> str:
    least, most = node.get("minItems"), node.get("maxItems")
    return (f", at least {least}" if least else "") + (f", at most {most}" if most else "")
