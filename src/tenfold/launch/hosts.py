"""/etc/hosts of a run's namespace: the names of loopback's addresses.

A run's network has no name server. A program that asks for the name of a peer (getnameinfo, as
torch's store does of every client) then gets EAI_AGAIN where the file is silent, and warns or
fails. Most files name 127.0.0.1 and not ::ffff:127.0.0.1, the same address as a dual-stack socket
sees it (RFC 4291, 2.5.5.2; glibc does not map it when it reads the file).

Existing lines stay, and so does what `localhost` resolves to: the added names are other ones.
"""

from __future__ import annotations

import contextlib
import os

from tenfold.launch import namespace

PATH = "/etc/hosts"
_LARGEST_BYTES = 1 << 20

_NAMES = (("::ffff:127.0.0.1", "ip4-localhost"), ("::1", "ip6-localhost ip6-loopback"))
_OWN = "127.0.1.1"
"""Debian's address for a machine's own name if no other is known."""


def completed(text: str, own_name: str) -> str:
    """`text`, an /etc/hosts, with the lines that it lacks. Pure.

    These are lines for the addresses and for `own_name`.

    Args:
        own_name: the machine's host name; programs ask for its address (gloo, Jupyter).
    """
    lines = [line.partition("#")[0].split() for line in text.splitlines()]
    addresses = {line[0].lower() for line in lines if line}
    names = {name.lower() for line in lines for name in line[1:]}
    added = [f"{address} {name}" for address, name in _NAMES if address not in addresses]
    if own_name and own_name.lower() not in names and not set(own_name) & set(" \t\n#"):
        added.append(f"{_OWN} {own_name}")
    if not added:
        return text
    begin = text if text.endswith("\n") or not text else f"{text}\n"
    return begin + "# added by tenfold, for this run alone\n" + "".join(f"{a}\n" for a in added)


def complete() -> None:
    """Show the completed file to this mount namespace, if it lacks anything.

    A kernel that refuses the mount leaves the file as it is: lookups then fail as before.
    """
    with contextlib.suppress(OSError):
        with open(PATH, "rb") as stream:
            text = stream.read(_LARGEST_BYTES + 1)
        if len(text) > _LARGEST_BYTES:
            return
        made = completed(text.decode("utf-8", "surrogateescape"), os.uname().nodename)
        data = made.encode("utf-8", "surrogateescape")
        if data != text:
            namespace.mount_over(PATH, data)
