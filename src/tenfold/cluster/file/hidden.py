"""The secret values of a cluster file, and the paths that contain them.

Owns: the values by their variables' names, texts that a secret is a part of, and faults about such
texts. Leaves to others: the rule by name and hiding by value (`base.secrets`), and filling in
(`interpolate`).

A long secret is found by its value wherever it turns up. A short one (`abc`) would be found in
words that have nothing to do with it, so it is hidden by provenance: in the texts that it was put
into, and in what is said about the paths where those are.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from tenfold.base.secrets import HIDDEN, hide, is_secret, secrets_of_url
from tenfold.cluster.file.document import MappingNode, Node, Scalar, SequenceNode
from tenfold.errors import Fault, path_text

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Hidden:
    """What must not be shown: `values`, `texts`, and the values at `paths`.

    `texts` are keyed by what is shown instead.
    """

    values: set[str] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)
    paths: dict[str, frozenset[str]] = field(default_factory=dict)
    listed: frozenset[str] = frozenset()
    _vars: dict[str, frozenset[str]] = field(default_factory=dict)
    _watched: list[set[str]] = field(default_factory=list)

    def is_secret(self, name: str) -> bool:
        """Whether a variable of this name holds a secret.

        Its name shows that, or some `secret:` does.
        """
        return name in self.listed or is_secret(name)

    def used(self, value: str) -> None:
        """Record that a secret is put into a text."""
        if value:
            self.values.add(value)
            for values in self._watched:
                values.add(value)

    @contextlib.contextmanager
    def watched(self) -> Iterator[set[str]]:
        """A set of the secrets that are used inside of this context."""
        values: set[str] = set()
        self._watched.append(values)
        try:
            yield values
        finally:
            self._watched.pop()

    def keep_var(self, name: str, values: Collection[str]) -> None:
        """Record which secrets a var holds. A var is computed once and used often."""
        self._vars[name] = frozenset(values)

    def used_var(self, name: str) -> None:
        """Record that a var is put into a text, with the secrets in it."""
        for value in self._vars.get(name, ()):
            self.used(value)

    def note(self, path: Path, values: Collection[str], made: Node) -> None:
        """Record that the text at `path` contains secrets."""
        if not values:
            return
        self.paths[path_text(path)] = frozenset(values)
        if isinstance(made, Scalar) and (shown := hide(made.text, values)) != made.text:
            self.texts[made.text] = shown

    def literal(self, path: Path, node: Node) -> None:
        """Record a value of a variable or of a build argument, after filling in."""
        if not isinstance(node, Scalar):
            return
        if path[:1] == ("notify",) and not node.broken and "://" in node.text:
            values = secrets_of_url(node.text)
            self.values |= values
            self.paths.setdefault(path_text(path), values)
        of_variable = path[-2:-1] in (("env",), ("args",)) and self.is_secret(str(path[-1]))
        if of_variable and not node.broken and node.text and "${" not in node.text:
            self.values.add(node.text)
            self.paths.setdefault(path_text(path), frozenset({node.text}))

    def shown(self, fault: Fault) -> Fault:
        """`fault` without the secrets of its path."""
        values = self._at(fault.path)
        if not values:
            return fault
        message, hint = (_without(text, values) for text in (fault.message, fault.hint or ""))
        if hint == HIDDEN or (hint.startswith("write ") and "$" not in hint):
            hint = ""
        return replace(fault, message=message, hint=hint or None)

    def _at(self, path: str) -> frozenset[str]:
        around = (p for p in self.paths if p == path or p.startswith((f"{path}[", f"{path}.")))
        return frozenset(value for p in around for value in self.paths[p])


def listed(jobs: Mapping[str, object]) -> frozenset[str]:
    """The names in every `secret:` of the jobs, whose nodes these are."""
    found: set[str] = set()
    for job in jobs.values():
        entry = job.entries.get("secret") if isinstance(job, MappingNode) else None
        node = entry.node if entry else None
        names = node.items if isinstance(node, SequenceNode) else (node,)
        found |= {item.text for item in names if isinstance(item, Scalar) and item.text}
    return frozenset(found)


def _without(text: str, values: Collection[str]) -> str:
    for value in sorted(values, key=len, reverse=True):
        text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", HIDDEN, text)
    if _tells(text, values):
        begin, got, _ = text.partition(", got ")
        return begin + got + HIDDEN if got else HIDDEN
    return text


def _tells(text: str, values: Collection[str]) -> bool:
    """Whether a text contains a secret in another spelling.

    For example, `my-key` for `My_Key`.
    """
    plain = _letters(text)
    return any(len(_letters(value)) > 3 and _letters(value) in plain for value in values)


def _letters(text: str) -> str:
    return re.sub(r"\W|_", "", text).lower()
