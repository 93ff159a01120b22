"""The commands of a shell script or command line, read without a shell.

Owns: words, quotes, variables with known values, continued lines, comments and here documents.
Nothing is run: what only a shell could know (`$(hostname)`, `$1`) makes a word unknown. A word
keeps its original text, so that a shell can still be asked when the cluster starts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tenfold.starter.draft import literal

MOST_CHARACTERS = 200_000
"""Longer texts are cut: they hold data."""

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_ASSIGNED = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.DOTALL)
_ARRAY = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(\+?)=\(")
_ALL = re.compile(r"\"?\$\{([A-Za-z_][A-Za-z0-9_]*)\[[@*]\]\}\"?(?=[\s;|&)]|$)")
_ONE = re.compile(r"\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})")
_TEMPLATE = re.compile(r"\$\{(?:env|task|jobs|run)\.[\w.-]+(?::-[^{}]*)?\}")
_HERE = re.compile(
    r"\$\(\s*pwd\s*\)|`pwd`|\$\{?PWD\b\}?"
    r"|\$\(\s*dirname (?:-- )?(?P<q>\"?)\$(?:0|\{0\}|\{BASH_SOURCE(?:\[0\])?\})(?P=q)\s*\)"
)
"""What stands for the directory in which the script is started, or in which it is."""

_PIECES = re.compile(r"(?:\$\{[^{}]*\}|\S)+")
_BRACED = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*|[0-9])(?:(:?[-=])([^{}$`]*))?\}")
_HEREDOC = re.compile(r"<<-?\s*(['\"]?)([A-Za-z_]\w*)\1")
_OPERATORS = ("&&", "||", ";;", ";", "|&", "|", "&", "(", ")", "\n")
_CONTROL = frozenset(
    [
        "if",
        "then",
        "elif",
        "else",
        "fi",
        "for",
        "while",
        "until",
        "do",
        "done",
        "case",
        "esac",
        "function",
        "select",
        "in",
        "{",
        "}",
        "!",
        "[[",
        "[",
        "time",
        "exec",
        "command",
        "nohup",
    ]
)
_ASSIGNING = ("export", "declare", "local", "readonly", "typeset")
_TRANSPARENT = ("then", "do", "else", "{", "!", "time", "exec", "command", "nohup", "eval")
"""Words after which a command begins."""


@dataclass(frozen=True, slots=True)
class ShellWord:
    """A word of a command.

    Attributes:
        text: its value, as a template of tenfold (`${env.HOME}/data`).
        raw: as it was written.
        known: whether `text` is what a shell would make of it.
    """

    text: str
    raw: str
    known: bool = True


@dataclass(slots=True)
class ShellCommand:
    """One simple command: its words, the variables set before it, and its line from 1.

    `prelude` are assignments that a shell must make for what is unknown in the words.
    """

    words: list[ShellWord] = field(default_factory=list)
    env: dict[str, ShellWord] = field(default_factory=dict)
    line: int = 1
    ended_by: str = "\n"
    prelude: list[str] = field(default_factory=list)

    @property
    def raw(self) -> str:
        """The command as it was written, without redirections."""
        before = [f"{name}={word.raw}" for name, word in self.env.items()]
        return " ".join([*before, *(word.raw for word in self.words)])


def commands(text: str, known: Mapping[str, str] | None = None) -> list[ShellCommand]:
    """The commands of a script in their order, with those inside of `if` and loops.

    `known` are values of variables, as templates. A variable that the script sets once to a known
    text is replaced by it, and one that it sets otherwise is unknown.
    """
    reader = _ShellReader(
        text[:MOST_CHARACTERS].replace("\r\n", "\n").replace("\0", ""), dict(known or {})
    )
    return list(reader.read())


class _ShellReader:
    """Reads a script from its beginning to its end."""

    def __init__(self, text: str, values: dict[str, str]) -> None:
        self._text, self._at, self._line = text, 0, 1
        self._values = values
        self._unknown: set[str] = set()
        self._arrays: dict[str, list[ShellWord]] = {}
        self._preludes: dict[str, str] = {}
        self._heredocs: list[str] = []

    def read(self) -> Iterator[ShellCommand]:
        command = ShellCommand(line=1)
        while self._at < len(self._text):
            self._skip_blanks()
            operator = self._operator()
            if operator is not None:
                command.ended_by = operator
                yield from self._finished(command)
                command = ShellCommand(line=self._line)
            elif self._at < len(self._text):
                if not command.words and not command.env:
                    command.line = self._line
                self._take(command)
        yield from self._finished(command)

    def _finished(self, command: ShellCommand) -> Iterator[ShellCommand]:
        while command.words and command.words[0].raw in _TRANSPARENT:
            del command.words[0]
        command.prelude = self._needed(" ".join(w.raw for w in command.words if not w.known))
        first = command.words[0].raw if command.words else None
        if first is None or first in _ASSIGNING:
            self._assign(command, first)
        if (command.words and (first not in _CONTROL or first == "[")) or (
            command.env and not command.words
        ):
            yield command

    def _needed(self, text: str) -> list[str]:
        """The assignments of unknown variables in `text`, and of those that these need."""
        found: list[str] = []
        for name, assignment in reversed(self._preludes.items()):
            if re.search(rf"\$\{{?{name}\b", " ".join([text, *found])):
                found.insert(0, assignment)
        return found

    def _assign(self, command: ShellCommand, builtin: str | None) -> None:
        """Remember the values of `A=1` and `export A=1`."""
        found = dict(command.env)
        for word in command.words[1:] if builtin else ():
            if match := _ASSIGNED.fullmatch(word.text):
                found[match[1]] = ShellWord(match[2], word.raw.partition("=")[2], word.known)
        for name, word in found.items():
            if not word.known or name in self._unknown:
                self._unknown.add(name)
                self._preludes[name] = f"{name}={word.raw}"
                self._values.pop(name, None)
            else:
                self._values[name] = word.text

    def _take(self, command: ShellCommand) -> None:
        begin = self._at
        if self._redirection() or self._array(command):
            return
        if (found := _ALL.match(self._text, self._at)) and found[1] in self._arrays:
            self._at = found.end()
            command.words += self._arrays[found[1]]
            return
        word = self._word()
        if self._at == begin:
            self._at += 1
            return
        assigned = _ASSIGNED.fullmatch(word.raw)
        if assigned and not command.words:
            value = word.text.partition("=")[2]
            command.env[assigned[1]] = ShellWord(value, assigned[2], word.known)
        else:
            command.words += self._split(word)

    def _split(self, word: ShellWord) -> list[ShellWord]:
        """The words that a variable without quotes becomes: `$ARGS` may be several."""
        if not word.known or not _ONE.fullmatch(word.raw):
            return [word]
        return [ShellWord(piece, piece) for piece in _PIECES.findall(word.text)]

    def _array(self, command: ShellCommand) -> bool:
        """Read `ARGS=(--lr 0.1)` and `ARGS+=(…)`. Returns whether there was one."""
        found = _ARRAY.match(self._text, self._at)
        if found is None or any(word.raw not in _ASSIGNING for word in command.words[:1]):
            return False
        self._at = found.end()
        inner = ShellCommand()
        while self._at < len(self._text) and self._text[self._at] != ")":
            begin = self._at
            self._skip_blanks()
            if self._text[self._at : self._at + 1] == "\n":
                self._at, self._line = self._at + 1, self._line + 1
            elif self._text[self._at : self._at + 1] != ")":
                self._take(inner)
                self._at += self._at == begin
        self._at += 1
        assigned = [
            ShellWord(f"{name}={w.text}", f"{name}={w.raw}", w.known)
            for name, w in inner.env.items()
        ]
        before = self._arrays.get(found[1], []) if found[2] else []
        self._arrays[found[1]] = [*before, *assigned, *inner.words]
        return True

    def _skip_blanks(self) -> None:
        text = self._text
        while self._at < len(text):
            if text[self._at] in " \t":
                self._at += 1
            elif text.startswith("\\\n", self._at):
                self._at, self._line = self._at + 2, self._line + 1
            elif text[self._at] == "#":
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            else:
                return

    def _operator(self) -> str | None:
        for operator in _OPERATORS:
            if self._text.startswith(operator, self._at):
                if operator == "&" and self._text.startswith("&>", self._at):
                    return None
                self._at += len(operator)
                if operator == "\n":
                    self._line += 1
                    self._skip_heredocs()
                return operator
        return None

    def _skip_heredocs(self) -> None:
        """Skip the lines of the here documents that the last line began."""
        for end in self._heredocs:
            found = re.compile(rf"^\t*{re.escape(end)}$", re.MULTILINE).search(self._text, self._at)
            after = found.end() if found else len(self._text)
            self._line += self._text.count("\n", self._at, after)
            self._at = after
        self._heredocs.clear()

    def _redirection(self) -> bool:
        """Skip `> file`, `2>&1`, `<<EOF` and the like."""
        if here := _HEREDOC.match(self._text, self._at):
            self._heredocs.append(here[2])
            self._at = here.end()
            return True
        found = re.compile(r"(?:\d*|&)(?:>>|>\||>&|<&|<<<|<>|>|<)").match(self._text, self._at)
        if not found:
            return False
        self._at = found.end()
        while self._at < len(self._text) and self._text[self._at] in " \t":
            self._at += 1
        self._word()
        return True

    def _word(self) -> ShellWord:
        begin, parts, known = self._at, "", True
        while self._at < len(self._text):
            character = self._text[self._at]
            if character in " \t\n;|&()<>":
                break
            if self._at == begin and character == "~" and self._tilde():
                parts += "${env.HOME}"
                continue
            part, sure = self._part(character)
            known = known and sure
            parts += part
        return ShellWord(parts, self._text[begin : self._at], known)

    def _tilde(self) -> bool:
        if self._text[self._at + 1 : self._at + 2] not in ("", "/", " ", "\t", "\n"):
            return False
        self._at += 1
        return True

    def _part(self, character: str) -> tuple[str, bool]:
        """The next piece of a word as a template, and whether it is known."""
        if character == "'":
            end = self._text.find("'", self._at + 1)
            end = len(self._text) if end < 0 else end
            inner = self._text[self._at + 1 : end]
            self._line += inner.count("\n")
            self._at = end + 1
            return literal(inner), True
        if character == '"':
            return self._double_quoted()
        if character == "\\":
            return self._escaped(), True
        if character in "$`":
            return self._expansion()
        self._at += 1
        return character, character not in "*?"

    def _escaped(self) -> str:
        following = self._text[self._at + 1 : self._at + 2]
        self._at += 2
        if following == "\n":
            self._line += 1
            return ""
        if following == "$" and self._text.startswith("{", self._at):
            self._at += 1
            return "$${"
        return following

    def _double_quoted(self) -> tuple[str, bool]:
        parts, known = "", True
        self._at += 1
        while self._at < len(self._text) and self._text[self._at] != '"':
            character = self._text[self._at]
            if character in "$`":
                part, sure = self._expansion()
                parts, known = parts + part, known and sure
                continue
            if character == "\\" and self._text[self._at + 1 : self._at + 2] in '$`"\\\n':
                parts += self._escaped()
                continue
            self._line += self._text[self._at : self._at + 1] == "\n"
            parts += character
            self._at += 1
        self._at += 1
        return parts, known

    def _expansion(self) -> tuple[str, bool]:
        """What begins with `$` or a backtick."""
        text, at = self._text, self._at
        if found := _TEMPLATE.match(text, at):
            self._at = found.end()
            return found[0], True
        if found := _HERE.match(text, at):
            self._at = found.end()
            return ".", True
        if text.startswith("$(", at):
            return self._unknown_until(_closing(text, at + 1))
        if text[at] == "`":
            return self._unknown_until(text.find("`", at + 1) + 1)
        if found := _BRACED.match(text, at + 1):
            self._at = found.end()
            return self._value(found[1], found[3])
        if found := _NAME.match(text, at + 1):
            self._at = found.end()
            return self._value(found[0], None)
        if text.startswith("${", at):
            return self._unknown_until(text.find("}", at) + 1)
        special = re.compile(r"\$[0-9@*#?$!-]").match(text, at)
        self._at = special.end() if special else at + 1
        return (literal(text[at : self._at]), special is None)

    def _unknown_until(self, end: int) -> tuple[str, bool]:
        begin = self._at
        self._at = end if end > begin else len(self._text)
        inner = self._text[begin : self._at]
        self._line += inner.count("\n")
        return literal(inner), False

    def _value(self, name: str, default: str | None) -> tuple[str, bool]:
        if name in self._values:
            return self._values[name], True
        if name in self._unknown:
            return f"${name}", False
        if name.isdigit():
            return (literal(default or ""), default is not None)
        if default is not None:
            return f"${{env.{name}:-{default}}}", True
        return ("${env.HOME}" if name == "HOME" else f"${{env.{name}:-}}"), True


def _closing(text: str, at: int) -> int:
    """The position after the bracket that closes the one at `at`."""
    depth = 0
    for position in range(at, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if not depth:
            return position + 1
    return len(text)
