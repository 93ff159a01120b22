"""Replace `${…}` by vars and environment variables.

Owns: the order in which vars are worked out, their cycles, the names that exist and the nearest one
to a name that does not, where late names (`${task.index}`) may stand, and which values are
secret. Leaves to others: the grammar (`template`), and the late values (`plan`).

A value that is exactly one `${NAME}` becomes that var's value with its type; in a longer text a
var stands for its text as it was written. `run` is split into words first, so that a value with
spaces stays one word; a var that holds a list becomes several words.
"""

from __future__ import annotations

import shlex
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from tenfold.base.nearest import nearest
from tenfold.cluster.command_line import WordsError, split
from tenfold.cluster.file.document import (
    MappingEntry,
    MappingNode,
    Node,
    Scalar,
    SequenceNode,
    resolve,
)
from tenfold.cluster.file.hidden import Hidden, listed
from tenfold.cluster.file.places import Remark
from tenfold.cluster.file.unexpanded import in_text, in_value, in_words
from tenfold.cluster.template import (
    INDEX,
    LATE_NAMES,
    Part,
    Parts,
    Reference,
    TemplateError,
    parse,
    written,
)
from tenfold.cluster.units import MAX_TEXT
from tenfold.errors import MOST_FAULTS, Fault, SourcePosition, path_text, shown

MAX_CHARACTERS = 4_000_000
"""The maximum number of characters that vars may grow to in one file.

Vars of vars double with every step.
"""

MAX_STEPS = 50
"""The maximum length of a chain of vars that refer to vars."""

Path = tuple[str | int, ...]


@dataclass(slots=True)
class Interpolated:
    """`root` without vars. `hidden` are the secrets in it.

    `remarks` are warnings: text that a shell would have expanded.
    """

    root: MappingNode
    faults: list[Fault] = field(default_factory=list)
    hidden: Hidden = field(default_factory=Hidden)
    remarks: list[Remark] = field(default_factory=list)


def interpolate(root: MappingNode, environment: Mapping[str, str]) -> Interpolated:
    """`root` with every `${…}` replaced that can be known now.

    What stays is a valid template.

    A value with a fault is marked broken. Never raises for what the file says.
    """
    run = _Run(root, environment)
    done = run.table(root, ())
    return Interpolated(done, run.faults, run.hidden, run.remarks)


class _Unknown(Exception):
    """A reference that has no value. Its fault has been reported."""


class _Run:
    def __init__(self, root: MappingNode, environment: Mapping[str, str]) -> None:
        self.faults: list[Fault] = []
        self.remarks: list[Remark] = []
        self._environment = environment
        self._characters = 0
        self._vars = _entries(root, "vars")
        self._jobs = _entries(root, "jobs")
        self.hidden = Hidden(listed=listed({k: entry.node for k, entry in self._jobs.items()}))
        self._values: dict[str, Node | None] = {}
        self._open: list[str] = []

    # The tree.

    def table(self, table: MappingNode, path: Path) -> MappingNode:
        entries = {
            key: MappingEntry(entry.key, self._node(entry.node, (*path, key)))
            for key, entry in table.entries.items()
            if (*path, key) != ("extends",)
        }
        return MappingNode(entries, table.place)

    def _node(self, node: Node, path: Path) -> Node:
        if len(path) == 2 and path[0] == "vars" and isinstance(path[1], str):
            return self._var(path[1]) or _broken(node)
        if isinstance(node, MappingNode):
            return self.table(node, path)
        if isinstance(node, SequenceNode):
            return self._list_of_words(node, path) if _is_run(path) else self._items(node, path)
        if _is_run(path) and not node.broken and node.value is not None:
            return self._command(node, path)
        if _is_env(path) and not self.hidden.is_secret(str(path[-1])):
            self._doubt_value(node, path)
        if path[-2:] == ("ready", "command") and "${" in node.text and not node.broken:
            return self._readiness(node, path)
        made = self._scalar(node, path)
        self.hidden.literal(path, made)
        return made

    def _readiness(self, node: Scalar, path: Path) -> Node:
        """A readiness command with each argument filled and quoted.

        One `${…}` may be the whole command.
        """
        try:
            words = split(node.text, "command")
        except WordsError:
            return self._scalar(node, path)  # the check of the whole file tells what is wrong
        if len(words) < 2:
            return self._scalar(node, path)
        made = self._items(self._words_of(node, words), path)
        items = made.items if isinstance(made, SequenceNode) else ()
        filled = [item.text for item in items if isinstance(item, Scalar)]
        if len(filled) < len(items) or any(isinstance(i, Scalar) and i.broken for i in items):
            return _broken(node)
        text = shlex.join(filled)
        return Scalar(text, text, node.place)

    def _items(self, node: SequenceNode, path: Path) -> Node:
        items: list[Node] = []
        for position, item in enumerate(node.items):
            new = self._node(item, (*path, position))
            if isinstance(item, Scalar) and isinstance(new, SequenceNode):
                if not self._spend(10 * len(new.items), item, path):
                    return _broken(node)
                items += new.items
            else:
                items.append(new)
        return SequenceNode(tuple(items), node.place)

    def _command(self, node: Scalar, path: Path) -> Node:
        """`run` as a list of its arguments, each with its position."""
        if len(node.text) > MAX_TEXT:
            message = f"the command has more than {MAX_TEXT} characters"
            return self._wrong(node, path, node.place, message, "keep data in files")
        try:
            words = split(node.text)
        except WordsError as error:
            return self._wrong(node, path, node.place, str(error), error.hint)
        if not words:
            return node
        made = self._items(self._words_of(node, words), path)
        for doubt in in_text(node.text, "run", self._environment):
            self.remarks.append(Remark((*path, doubt.word), doubt.message, doubt.hint))
        filled = [position for position, word in enumerate(words) if "${" in word]
        self._doubt_words(made, path, filled)
        return made

    def _words_of(self, node: Scalar, words: Sequence[str]) -> SequenceNode:
        """The arguments of a command line, each at its position in the file."""
        parts: list[Scalar] = []
        offset = 0
        for word in words:
            found = node.text.find(word, offset) if word else -1
            place = node.at(found) if found >= 0 else node.place
            exact = 0 if found >= 0 and node.inset is not None else None
            parts.append(Scalar(word, word, place, exact))
            offset = max(offset, found + len(word))
        return SequenceNode(tuple(parts), node.place)

    def _list_of_words(self, node: SequenceNode, path: Path) -> Node:
        made = self._items(node, path)
        self._doubt_words(made, path, range(MAX_TEXT))
        return made

    def _doubt_words(self, made: Node, path: Path, positions: Container[int]) -> None:
        """Record words at some positions that a shell would have expanded."""
        items = made.items if isinstance(made, SequenceNode) else ()
        words = [item.text for item in items if isinstance(item, Scalar)]
        if len(words) == len(items):
            for doubt in in_words(words, "run", self._environment):
                if doubt.word in positions:
                    self.remarks.append(Remark((*path, doubt.word), doubt.message, doubt.hint))

    def _doubt_value(self, node: Scalar, path: Path) -> None:
        if found := in_value(node.text, self._environment):
            self.remarks.append(Remark(path, *found))

    def _scalar(self, node: Scalar, path: Path) -> Node:
        if node.broken or "${" not in node.text or not isinstance(node.value, str):
            return node
        if len(node.text) > MAX_TEXT:
            message = f"a text with ${{…}} can have at most {MAX_TEXT} characters"
            return self._wrong(node, path, node.place, message, "keep data in files")
        try:
            parts = parse(node.text)
        except TemplateError as error:
            return self._wrong(node, path, node.at(error.offset), str(error), error.hint)
        try:
            with self.hidden.watched() as values:
                made = self._filled(node, parts, path)
        except _Unknown:
            return replace(node, broken=True)
        self.hidden.note(path, values, made)
        return made

    def _filled(self, node: Scalar, parts: Parts, path: Path) -> Node:
        if len(parts) == 1 and isinstance(parts[0], Reference) and not parts[0].late:
            found = self._value(parts[0], node, path)
            if isinstance(found, Scalar) and isinstance(found.value, str):
                self._check_late(parse(found.text), node, path)
            return _moved(found, node.place)
        if not self._spend(0, node, path):
            raise _Unknown
        new: list[Part] = []
        for part in parts:
            known = isinstance(part, str) or part.late
            new += (part,) if known else self._text_of(part, node, path)  # type: ignore[arg-type]
        self._check_late(new, node, path)
        text = written(new)
        if len(text) > MAX_TEXT:
            message = f"the value of this var is too long: {len(text)} characters"
            return self._wrong(node, path, node.place, message, f"the limit is {MAX_TEXT}")
        if not self._spend(len(text), node, path):
            raise _Unknown
        return Scalar(text, text, node.place)

    def _text_of(self, reference: Reference, node: Scalar, path: Path) -> Parts:
        value = self._value(reference, node, path)
        if isinstance(value, Scalar):
            return parse(value.text) if isinstance(value.value, str) else (value.text,)
        message = f"${{{reference.name}}} is a list and cannot be part of a text"
        self._wrong(node, path, node.at(reference.offset), message, "write it as the whole value")
        raise _Unknown

    # What names stand for.

    def _value(self, reference: Reference, node: Scalar, path: Path) -> Node:
        head, dot, rest = reference.name.partition(".")
        if not dot or head == "vars":
            return self._var_value(rest if dot else head, reference, node, path)
        if head == "env":
            return self._env_value(rest, reference, node, path)
        self._unknown(reference, node, path)
        raise _Unknown

    def _var_value(self, name: str, reference: Reference, node: Scalar, path: Path) -> Node:
        if name not in self._vars:
            self._unknown(reference, node, path)
            raise _Unknown
        if reference.default is not None:
            message = "only ${env.NAME:-…} can have a default"
            self._wrong(node, path, node.at(reference.offset), message, f"set vars.{name} instead")
            raise _Unknown
        value = self._var(name)
        if value is None:
            raise _Unknown
        return value

    def _var(self, name: str) -> Node | None:
        """The value of a var, computed once. None if it has a fault."""
        if name in self._values:
            self.hidden.used_var(name)
            return self._values[name]
        entry = self._vars[name]
        path = ("vars", name)
        if name in self._open:
            circle = " → ".join([*self._open[self._open.index(name) :], name])
            message = f"vars refer to each other in a cycle: {circle}"
            self._fault(path, entry.key, message, "give one of them a value without a reference")
            return None
        if len(self._open) >= MAX_STEPS:
            message = f"vars refer to vars more than {MAX_STEPS} times in a row"
            self._fault(path, entry.key, message, None)
            return None
        self._open.append(name)
        node = entry.node
        with self.hidden.watched() as values:
            value = self._var_node(node, path)
        self._open.pop()
        broken = isinstance(value, Scalar) and value.broken
        self._values[name] = None if broken else value
        own = value.items if isinstance(value, SequenceNode) else (value,)
        if self.hidden.is_secret(name):
            values |= {item.text for item in own if isinstance(item, Scalar) and not item.broken}
        self.hidden.keep_var(name, values)
        self.hidden.used_var(name)
        return self._values[name]

    def _var_node(self, node: Node, path: Path) -> Node:
        if isinstance(node, MappingNode):
            return node  # the schema says what is wrong with it
        return self._scalar(node, path) if isinstance(node, Scalar) else self._items(node, path)

    def _env_value(self, name: str, reference: Reference, node: Scalar, path: Path) -> Node:
        text = self._environment.get(name)
        if text is None or (text == "" and reference.default is not None):
            text = reference.default
        if text is None:
            message = f"the environment variable {name} is not set"
            hint = f"set it, or give a default: ${{env.{name}:-…}}"
            if near := nearest(name, self._environment, 0.85):
                hint = f"did you mean ${{env.{near}}}? If not, set it or give a default"
            self._wrong(node, path, node.at(reference.offset), message, hint)
            raise _Unknown
        if self.hidden.is_secret(name):
            self.hidden.used(text)
        value = resolve(text) if text else text  # an empty variable is an empty text
        literal = written((text,))
        return Scalar(literal if isinstance(value, str) else value, literal, node.place)

    # Late names.

    def _check_late(self, parts: Iterable[Part], node: Scalar, path: Path) -> None:
        for part in parts:
            if isinstance(part, str) or path[0] == "vars":
                continue  # a var is judged where it is used
            if not _may_be_late(path):
                message = f"${{{part.name}}} is known only when the tasks start"
                hint = "use it only in run, env, workdir and ready"
                self._wrong(node, path, _place_of(part, node), message, hint)
                raise _Unknown
            if not self._late_exists(part.name, path):
                self._unknown(part, node, path)
                raise _Unknown

    def _late_exists(self, name: str, path: Path) -> bool:
        match name.split("."):
            case ["task", "ports", port]:
                jobs = [path[1]] if path[0] == "jobs" else self._jobs
                return port == "main" or all(port in self._ports(str(job)) for job in jobs)
            case ["jobs", job, ("addresses" | "tasks")]:
                return job in self._jobs
            case ["jobs", job, ("addresses" | "hosts" | "ports"), index]:
                return job in self._jobs and INDEX.fullmatch(index) is not None
        return name in LATE_NAMES

    def _ports(self, job: str) -> Mapping[str, MappingEntry]:
        entry = self._jobs.get(job)
        return _entries(entry.node, "ports") if entry else {}

    def _unknown(self, reference: Reference, node: Scalar, path: Path) -> None:
        names: list[str] = []
        if len(self.faults) < MOST_FAULTS:
            names = [*self._vars, *self._late_names(path)]
            names += [f"env.{name}" for name in self._environment]
        near = nearest(reference.name, names)
        hint = f"did you mean ${{{near}}}?" if near else _known_names(list(self._vars))
        message = f"there is no ${{{reference.name}}}"
        self._wrong(node, path, _place_of(reference, node), message, hint)

    def _late_names(self, path: Path) -> Iterator[str]:
        """The late names that exist for a value at `path`."""
        jobs = list(self._jobs)[:100]
        ports = ["main", *(self._ports(str(path[1])) if path[0] == "jobs" and path[1:] else ())]
        for name in LATE_NAMES:
            for job in jobs if "JOB" in name else [""]:
                for port in ports if "NAME" in name else [""]:
                    yield name.replace("JOB", job).replace("NAME", port)

    # Faults.

    def _spend(self, characters: int, node: Scalar, path: Path) -> bool:
        """Whether that much more text is still allowed.

        The first time it is not is a fault.
        """
        before = self._characters
        self._characters += characters
        if before <= MAX_CHARACTERS < self._characters:
            message = "the values of vars are too long"
            self._wrong(
                node, path, node.place, message, "vars that contain vars multiply their length"
            )
        return self._characters <= MAX_CHARACTERS

    def _wrong(
        self, node: Scalar, path: Path, place: SourcePosition | None, message: str, hint: str | None
    ) -> Scalar:
        self._fault(path, place, message, hint)
        return replace(node, broken=True)

    def _fault(
        self, path: Path, place: SourcePosition | None, message: str, hint: str | None
    ) -> None:
        self.faults.append(Fault(place, path_text(path), message, hint))


def _entries(node: Node, key: str) -> dict[str, MappingEntry]:
    entry = node.entries.get(key) if isinstance(node, MappingNode) else None
    return entry.node.entries if entry and isinstance(entry.node, MappingNode) else {}


def _broken(node: Node) -> Node:
    return Scalar(None, "", node.place, broken=True)


def _place_of(reference: Reference, node: Scalar) -> SourcePosition | None:
    """The position of `reference` in the file.

    If a var brought it, this is the position of the whole value.
    """
    written_here = node.text.startswith(str(reference), reference.offset)
    return node.at(reference.offset) if written_here else node.place


def _moved(node: Node, place: SourcePosition | None) -> Node:
    """A var's value with the position where it is used."""
    return replace(node, place=place, inset=None) if isinstance(node, Scalar) else node


def _is_run(path: Path) -> bool:
    return path[0] == "jobs" and path[-1] == "run" and len(path) in (3, 5)


def _is_env(path: Path) -> bool:
    return path[-2:-1] == ("env",) and path[0] in ("env", "jobs")


def _may_be_late(path: Path) -> bool:
    """Whether the value at `path` is used only when tasks start."""
    if path[0] == "env":
        return True
    inner = path[2:]
    if path[0] == "jobs" and inner[:1] == ("overrides",):
        inner = inner[2:]
    return path[0] == "jobs" and inner[:1] in (("run",), ("env",), ("workdir",), ("ready",))


def _known_names(variables: list[str]) -> str:
    if not variables:
        return "the file has no vars; others are env.NAME, task.index, jobs.JOB.addresses, …"
    return f"vars here: {shown(', '.join(variables))[1:-1]}; write $${{ for a literal ${{"
