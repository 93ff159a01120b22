"""Find the last exceptions a program printed, while its output arrives. Pure.

`ExceptionWatch` is fed a stream's bytes and keeps little: of each of the last few tracebacks and
panics the innermost frames, the exception's line and what follows it, however much output comes
later.
`broken` chooses among them. Python's own format is understood, with what prefixes it (`[rank0]: `
of torchrun), rich's and loguru's, exception groups, and the first lines that other languages'
runtimes print. Leaves to others: what an exception means (`views.causes`).

Facts: `traceback.TracebackException.format` of Python 3.11 to 3.13; the texts of Go's runtime,
Rust's std::panicking, libstdc++'s terminate handler and Java's Thread were taken from programs.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tenfold.run.exceptions import Broken, TracebackFrame
from tenfold.run.jsonfiles import read_json

_BEGIN = "Traceback (most recent call last)"
_GROUP = "Exception Group Traceback (most recent call last)"
_OTHERS = ("panicked at ", "panic: ", "terminate called", "Fatal Python error: ", "fatal error: ",
           'Exception in thread "', "SyntaxError: ", "IndentationError: ",
           "TabError: ")  # fmt: skip
_MARKS = tuple(mark.encode() for mark in ("Traceback (most", *_OTHERS))

_MINOR = ("Exception ignored in", "Exception ignored on", "Error in atexit._run_exitfuncs",
          "--- Logging error ---", "Exception in thread ", "Error in sys.excepthook",
          "Exception in callback", "Task exception was never retrieved")  # fmt: skip
"""Beginnings of the line before a traceback that did not end the process."""

_CHAINED = ("The above exception was the direct cause", "During handling of the above exception")

_WRAPPERS = re.compile(
    r"(?:[\w.]+\.)?(?:ChildFailedError|CalledProcessError|ProcessExitedException|_RemoteTraceback"
    r"|RemoteTraceback|RemoteError)\b"
)
"""Exceptions that report the end of another process, whose own says more."""

_STRONG = re.compile(
    r"[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Quit|Warning|Timeout|Failure|Group|Empty"
    r"|Full|Iteration)(?::|$)|[A-Za-z_]\w*(?:\.\w+)+(?::|$)"
)
_WEAK = re.compile(r"[A-Za-z_][\w.]{0,100}(?:: .*|:?$)")
_FILE = re.compile(r'[\s>]*File "(?P<file>.+)", line (?P<line>\d+)(?:, in (?P<function>.+))?')
_RICH = re.compile(r"[│|]\s*(?P<file>\S.*?):(?P<line>\d+) in(?: (?P<function>[^\s│]+))?")
_ELSEWHERE = (
    re.compile(r"panicked at (?:'.*', )?(?P<file>\S+?):(?P<line>\d+)"),
    re.compile(r"\t(?P<file>\S+\.go):(?P<line>\d+)"),
    re.compile(r"\s+at (?P<function>[\w.$<>]+) ?\((?P<file>[^():]+):(?P<line>\d+)"),
)
_NOT_OWN = re.compile(
    r"[/\\](?:site|dist)-packages[/\\]|[/\\]lib(?:64)?[/\\]python\d|^<|[/\\]tenfold[/\\](?:launch|_)"
    r"|^/rustc/|[/\\]go[/\\]src[/\\]runtime[/\\]"
)
"""Files of libraries, of the interpreter and of tenfold's script runner."""

_BOXES = "│╭╰├┌└|>"
_LONGEST = 2000
_KEPT_BYTES = 1 << 12
_MOST_FRAMES, _MOST_LINES, _MOST_NOISE, _MOST_BETWEEN = 80, 40, 40, 3
_MAJOR, _LESS = 6, 2


@dataclass(slots=True)
class Block:
    """One traceback or panic.

    Attributes:
        minor: it did not end the process; chained: it followed from the block before it.
        stack: the last lines of its frames; lines: the exception's line and what came after it.
    """

    kind: str = "python"
    minor: bool = False
    chained: bool = False
    prefix: str | None = ""
    stack: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_FRAMES))
    lines: list[str] = field(default_factory=list)
    noise: int = 0

    def take(self, line: str) -> bool:
        """Take the next line of the output. False if the block has ended before it."""
        if self.kind == "group":
            return self._take_of_group(line)
        if self.kind == "other":
            return self._keep(line)
        text = self._without_prefix(line)
        if text is None:
            return self._is_noise()
        if self.lines:
            return self._take_message(text)
        return self._take_of_stack(text)

    def _without_prefix(self, line: str) -> str | None:
        """The line without the block's prefix. None if it has another prefix."""
        if self.prefix is None:
            return line
        if not line.startswith(self.prefix):
            if self.stack or self.lines:
                return None
            self.prefix = None  # only the first line had it: a logger's
            return line
        return line.removeprefix(self.prefix)

    def _take_of_stack(self, text: str) -> bool:
        if not text.strip():
            return True
        if text[0].isspace() or text[0] in _BOXES:
            self.stack.append(text)
            return True
        if _STRONG.match(text) or _WEAK.fullmatch(text):
            self.lines.append(text.rstrip())
            return True
        return self._is_noise()

    def _take_message(self, text: str) -> bool:
        weak = len(self.lines) <= _MOST_BETWEEN and not _STRONG.match(self.lines[0])
        if weak and _FILE.match(text):  # another thread's line stood among the frames
            self.stack.extend(self.lines[1:])
            self.lines.clear()
            self.stack.append(text)
            return True
        return self._keep(text)

    def _take_of_group(self, line: str) -> bool:
        text = line.lstrip()
        if text[:1] not in ("|", "+"):
            return False
        inner = text[1:].removeprefix(" ") if text[0] == "|" else ""
        if self.lines:
            return not inner or self._keep(inner)
        return self._take_of_stack(inner)

    def _keep(self, text: str) -> bool:
        if len(self.lines) >= _MOST_LINES:
            return False
        self.lines.append(text.rstrip())
        return True

    def _is_noise(self) -> bool:
        self.noise += 1
        return self.noise <= _MOST_NOISE


class ExceptionWatch:
    """Finds exceptions in a stream, in bounded memory and time."""

    def __init__(self) -> None:
        self.major: deque[Block] = deque(maxlen=_MAJOR)
        self.minor: deque[Block] = deque(maxlen=_LESS)
        self._open: Block | None = None
        self._before: deque[str] = deque(maxlen=4)
        self._rest = b""

    def feed(self, data: bytes) -> None:
        """Process new output."""
        text = self._rest + data if self._rest else data
        end = text.rfind(b"\n") + 1
        whole, self._rest = text[:end], text[end:]
        if len(self._rest) > 2 * _KEPT_BYTES:  # the beginning counts, or what a bar shows last
            self._rest = self._rest[:_KEPT_BYTES] + self._rest[-_KEPT_BYTES:]
        if not whole:
            return
        if self._open is None and not any(mark in whole for mark in _MARKS):
            whole = whole[-4 * _LONGEST :]
            self._before.extend(_text(line) for line in whole.splitlines()[-4:])
            return
        self.take(_text(line) for line in whole.split(b"\n")[:-1])

    def end(self) -> None:
        """End the stream. A last line without its newline counts, too."""
        rest, self._rest = self._rest, b""
        if rest:
            self.take([_text(rest)])

    def take(self, lines: Iterable[str]) -> None:
        """Process whole lines."""
        for line in lines:
            if (begun := self._begun(line)) is not None:
                (self.minor if begun.minor else self.major).append(begun)
                self._open = begun
            elif self._open is not None and not self._open.take(line):
                self._open = None
            if line.strip():
                self._before.append(line)

    def _begun(self, line: str) -> Block | None:
        """The block that begins with this line, or None."""
        now = self._open
        if now is not None and now.kind == "group" and line.lstrip()[:1] in ("|", "+"):
            return None
        place = line.find(_BEGIN)
        if place >= 0:
            return self._traceback(line, place)
        if not _is_other(line):
            return None
        if now is not None and now.kind == "python" and (not now.lines or _is_inner(line)):
            return None  # the end of a traceback that has begun
        if now is not None and now.kind == "other" and len(now.lines) < 3:
            return None
        if _is_inner(line):
            stack = list(self._before)
            return Block("other", stack=deque(stack, _MOST_FRAMES), lines=[line.strip()])
        return Block("other", lines=[line.strip()])

    def _traceback(self, line: str, place: int) -> Block:
        before = list(self._before)[-2:]
        minor = any(mark in text for text in before[-1:] for mark in _MINOR)
        chained = any(mark in text for text in before[-1:] for mark in _CHAINED)
        if _GROUP in line:
            return Block("group", minor, chained)
        prefix = line[:place]
        if prefix.strip(" ─━-") in _BOXES:  # rich's frame, or nothing
            prefix = prefix if not prefix.strip() else ""
        return Block("python", minor, chained, prefix)

    def to_json(self) -> dict[str, Any] | None:
        """The blocks to keep as JSON, or None if there are none."""
        found = [block for block in (*self.minor, *self.major) if block.lines]
        return {"version": 1, "blocks": [_to_json(block) for block in found]} if found else None


def _text(line: bytes) -> str:
    """A line as shown by `logs`, cut."""
    shown = line.rstrip(b"\r").rpartition(b"\r")[2][:_LONGEST].decode(errors="replace")
    return _COLOURS.sub("", shown) if "\x1b" in shown else shown


_COLOURS = re.compile(r"\x1b\[[0-9;:]*[A-Za-z]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)")


def _is_other(line: str) -> bool:
    """Whether a panic or compiler error begins here, not just a mention of one."""
    if "panicked at " in line:
        return line.lstrip().startswith("thread ")
    return line.lstrip().startswith(_OTHERS) or ": fatal error: " in line


def _is_inner(line: str) -> bool:
    """Whether this is the last line of a syntax error without its own traceback."""
    return line.lstrip().startswith(("SyntaxError: ", "IndentationError: ", "TabError: "))


def _to_json(block: Block) -> dict[str, Any]:
    return {
        "kind": block.kind,
        "minor": block.minor,
        "chained": block.chained,
        "stack": list(block.stack),
        "lines": block.lines,
    }


def from_json(data: Mapping[str, Any] | None) -> list[Block]:
    """The blocks in the result of `Watch.to_json`, whoever wrote it."""
    found = []
    blocks = data.get("blocks") if data else None
    for one in blocks if isinstance(blocks, list) else ():
        if isinstance(one, dict):
            stack, lines = (
                [str(line)[:_LONGEST] for line in value][:_MOST_FRAMES]
                for name in ("stack", "lines")
                if isinstance(value := one.get(name, []), list) or not (value := [])
            )
            minor, chained = one.get("minor") is True, one.get("chained") is True
            found.append(
                Block(str(one.get("kind")), minor, chained, stack=deque(stack), lines=lines)
            )
    return [block for block in found if block.lines]


def kept_blocks(path: Path) -> list[Block]:
    """The blocks in a file that `run.logs.writer` has written. Empty if there is none."""
    return from_json(read_json(path))


def broken(blocks: Sequence[Block]) -> Broken | None:
    """The exception that ended the program, from `blocks` in order, or None."""
    said = [block for block in blocks if block.lines]
    major = [block for block in said if not block.minor] or said
    if not major:
        return None
    own = [block for block in major if not _WRAPPERS.match(block.lines[0])]
    chosen = (own or major)[-1]
    first = _root(major, chosen)
    line, root = _line(chosen), _line(first) if first is not chosen else None
    if root == line:  # the same, raised again in another process
        return Broken(line, tuple(chosen.lines), _frame(first) or _frame(chosen))
    return Broken(line, tuple(chosen.lines), _frame(chosen) or _frame(first), root)


def broken_in(lines: Sequence[str]) -> Broken | None:
    """The same as `broken`, for a few lines of output."""
    return broken(blocks_in(lines))


def blocks_in(lines: Sequence[str]) -> list[Block]:
    """All blocks in a few lines of output."""
    watch = ExceptionWatch()
    watch.take(lines)
    return [*watch.minor, *watch.major]


def _root(blocks: Sequence[Block], block: Block) -> Block:
    place = next(n for n, one in enumerate(blocks) if one is block)
    while blocks[place].chained and place > 0:
        place -= 1
    return blocks[place]


def _line(block: Block) -> str:
    """The most informative line: the exception's, or the next if that is empty."""
    first, *rest = (line.strip() for line in block.lines)
    more = [line for line in rest if line]
    if first.startswith("terminate called"):
        what = next((line for line in more if line.startswith("what():")), "")
        return f"{first}: {what.removeprefix('what():').strip()}" if what else first
    if block.kind == "group":
        inner = next((line for line in more if _STRONG.match(line)), None)
        return f"{first}: {inner}" if inner else first
    if (op := _tensorflow(more)) and first.endswith("Graph execution error:"):
        return f"{first.removesuffix('Graph execution error:')}{op}"
    if first.endswith(":") and more and not first.startswith("Exception in thread"):
        return f"{first} {more[0]}"
    return first


def _tensorflow(lines: Sequence[str]) -> str | None:
    """What TensorFlow reports about a failed node: the line before its name."""
    places = (n for n, line in enumerate(lines) if line.startswith("[[{{node") and n)
    place = next(places, None)
    return None if place is None else lines[place - 1]


def _frame(block: Block) -> TracebackFrame | None:
    texts = list(block.stack) if block.kind in ("python", "group") else [*block.stack, *block.lines]
    found = [frame for n in range(len(texts)) if (frame := _frame_at(texts, n))]
    if block.kind == "group":
        texts = block.lines
        found += [frame for n in range(len(texts)) if (frame := _frame_at(texts, n))][:1]
    innermost_last = block.kind in ("python", "group") or _is_inner(block.lines[0])
    ordered = found[::-1] if innermost_last else found
    own = (frame for frame in ordered if not _NOT_OWN.search(frame.file))
    return next(own, next(iter(ordered), None))


def _frame_at(texts: Sequence[str], place: int) -> TracebackFrame | None:
    text = texts[place]
    for pattern in (_FILE, _RICH, *_ELSEWHERE):
        if found := pattern.match(text) or (pattern is _ELSEWHERE[0] and pattern.search(text)):
            parts = found.groupdict()
            source = _source(texts[place + 1 : place + 12], pattern is _RICH)
            number = int(parts["line"][:9])
            return TracebackFrame(parts["file"], number, parts.get("function"), source)
    return None


def _source(after: Sequence[str], rich: bool) -> str | None:
    if rich:
        pointed = next((text for text in after if "❱" in text), "")
        return re.sub(r"^\s*\d+\s*│?", "", pointed.partition("❱")[2]).strip(" │") or None
    text = after[0].strip() if after else ""
    if not text or _FILE.match(after[0]) or not text.strip("^~ ") or text.startswith("["):
        return None
    return text
