"""Documents as YAML text that reads as if a person had written it.

A key that begins with `#` is a comment before the key that follows it; its value is None. Lists of
the class `FlowList`, and mappings, stay on one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

_COMMENT = re.compile(r"""^( *)(['"]?)(#.*)\2: null$""", re.MULTILINE)

Document = dict[str, Any]
T = TypeVar("T")


class FlowList(list[Any]):
    """A list on one line."""


class FlowMap(dict[str, Any]):
    """A mapping on one line."""


def without_comments(value: Any) -> Any:
    """The same value without comments, for machines."""
    if isinstance(value, Mapping):
        return {
            key: without_comments(inner)
            for key, inner in value.items()
            if not (isinstance(key, str) and key.startswith("#"))
        }
    return [without_comments(inner) for inner in value] if isinstance(value, list) else value


def documents(parts: Iterable[tuple[str, Document]]) -> str:
    """A YAML stream; each document below its own comment, which may be empty."""
    return "\n---\n".join(_comment(comment) + _dump(document) for comment, document in parts) + "\n"


def _comment(text: str) -> str:
    return "".join(f"# {line}".rstrip() + "\n" for line in text.splitlines())


def _dump(document: Document) -> str:
    import yaml

    class Dumper(yaml.SafeDumper):
        """Block style, no anchors, literal blocks for texts of many lines."""

        def ignore_aliases(self, data: Any) -> bool:
            """True: a value that occurs twice is written twice."""
            del data
            return True

    def text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
        style = "|" if "\n" in value else None
        return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)

    def flow_list(dumper: yaml.SafeDumper, value: FlowList) -> yaml.SequenceNode:
        return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)

    def flow_map(dumper: yaml.SafeDumper, value: FlowMap) -> yaml.MappingNode:
        return dumper.represent_mapping("tag:yaml.org,2002:map", value, flow_style=True)

    Dumper.add_representer(str, text)
    Dumper.add_representer(FlowList, flow_list)
    Dumper.add_representer(FlowMap, flow_map)
    made: str = yaml.dump(document, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=1000)
    return _COMMENT.sub(lambda match: match[1] + match[3].replace("''", "'"), made).rstrip("\n")
