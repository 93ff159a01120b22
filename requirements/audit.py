"""Asks for known vulnerabilities of every version in dev.lock and docker/constraints.txt.

`make audit`. Exit code 0: all were asked about, and nothing is known of any. 1: something is known.
2: some could not be asked about, so that nothing can be said of those; with --if-reachable that is
said as loudly, and no failure. `pip-audit` alone ends well if an index knows no package at all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FILES = (ROOT / "requirements" / "dev.lock", ROOT / "docker" / "constraints.txt")
SERVICES = ("osv", "pypi")
"""Where advisories come from; the second is asked if the first does not answer."""

BY_HAND = """\
Nothing is known of them here, good or bad. Where the internet can be reached:
  python -m pip install pip-audit
  python requirements/audit.py
or hand the list to https://osv.dev (API: https://google.github.io/osv.dev/post-v1-querybatch/)."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What came of asking: faults by package, and packages that nobody could be asked about."""

    known: dict[str, list[str]]
    unasked: dict[str, str]

    @property
    def exit_code(self) -> int:
        """See the module."""
        return 1 if self.known else 2 if self.unasked else 0


def read(report: dict[str, Any]) -> Audit:
    """What a report of pip-audit's says (`--format json`)."""
    known: dict[str, list[str]] = {}
    unasked: dict[str, str] = {}
    for package in report["dependencies"]:
        if "skip_reason" in package:
            unasked[package["name"]] = package["skip_reason"]
        elif package["vulns"]:
            name = f"{package['name']} {package['version']}"
            known[name] = [_words(fault) for fault in package["vulns"]]
    return Audit(known, unasked)


def _words(fault: dict[str, Any]) -> str:
    mended = ", ".join(fault.get("fix_versions", ())) or "no version yet"
    return f"{fault['id']}, mended in {mended}"


def pinned(files: tuple[Path, ...] = FILES) -> list[str]:
    """Every `name==version` of the files, each once."""
    lines = {line.strip() for file in files for line in file.read_text().splitlines()}
    return sorted(line for line in lines if line and not line.startswith("#"))


def ask(pins: list[str]) -> Audit:
    """Ask about all of them; where no service answers, none was asked about."""
    words = "nothing answered"
    for service in SERVICES:
        command = [sys.executable, "-m", "pip_audit", "--vulnerability-service", service]
        audits = [_asked(command, pins) for pins in _apart(pins)]
        if all(isinstance(one, Audit) for one in audits):
            return _together([one for one in audits if isinstance(one, Audit)])
        words = next(one for one in audits if isinstance(one, str))
    return Audit({}, dict.fromkeys(pins, words))


def _apart(pins: list[str]) -> list[list[str]]:
    """Lists in which no package comes twice: two files may name two versions of one."""
    first = {pin.partition("==")[0]: pin for pin in pins}
    rest = [pin for pin in pins if pin not in first.values()]
    return [sorted(first.values())] + ([rest] if rest else [])


def _together(audits: list[Audit]) -> Audit:
    known: dict[str, list[str]] = {}
    unasked: dict[str, str] = {}
    for audit in audits:
        known |= audit.known
        unasked |= audit.unasked
    return Audit(known, unasked)


def _asked(command: list[str], pins: list[str]) -> Audit | str:
    """What one service says of these; in words, why it does not answer."""
    done = subprocess.run(
        [*command, "--requirement", "/dev/stdin", "--no-deps", "--disable-pip", "--format", "json",
         "--progress-spinner", "off"],
        input="\n".join(pins), capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        return read(json.loads(done.stdout))
    except (json.JSONDecodeError, KeyError):
        return (done.stderr.strip().splitlines() or ["it said nothing"])[-1]


def main() -> int:
    """Ask, and say what was heard."""
    pins = pinned()
    audit = ask(pins)
    for name, faults in audit.known.items():
        print(f"{name}: " + "; ".join(faults))
    if audit.unasked:
        reasons = sorted(set(audit.unasked.values()))
        print(f"NOT AUDITED: {len(audit.unasked)} packages. The first reason: {reasons[0]}")
        print(BY_HAND)
    if not audit.exit_code:
        print(f"{len(pins)} packages, nothing is known against any")
    excused = audit.exit_code == 2 and "--if-reachable" in sys.argv[1:]
    return 0 if excused else audit.exit_code


if __name__ == "__main__":
    sys.exit(main())
