"""Everything a program can see of how it was started, as JSON on standard output."""

import faulthandler
import gc
import json
import locale
import multiprocessing
import os
import pathlib
import signal
import sys
import threading
import time

SEEN_BEFORE_US = sorted(vars())


def stream(one):
    return [
        type(one).__name__, one.name, one.mode, one.encoding, one.errors, one.isatty(),
        one.line_buffering, one.write_through, one.fileno(), type(one.buffer).__name__,
    ]  # fmt: skip


def descriptors():
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/self/fd/{name}").partition(":")[0]
        except FileNotFoundError:  # the one that listed
            continue
    return sorted(found.items())


def words(path):
    with open(path, "rb") as opened:
        return sorted(word.decode() for word in opened.read().split(b"\0") if word)


def handler(number):
    return repr(signal.getsignal(number)).partition(" at ")[0]


def seen():
    main = sys.modules["__main__"]
    return {
        "names": SEEN_BEFORE_US,
        "main": [repr(getattr(main, name, "absent")) for name in ("__name__", "__file__", "__doc__",
                 "__package__", "__cached__", "__annotations__")],
        "spec": getattr(main.__spec__, "name", None),
        "loader": getattr(main.__loader__, "__name__", type(main.__loader__).__name__),
        "is main": main.__dict__ is globals(),
        "builtins": main.__builtins__ is sys.modules["builtins"],
        "argv": sys.argv,
        "orig_argv": sys.orig_argv,
        "path": sys.path,
        "flags": str(sys.flags),
        "executable": sys.executable,
        "prefix": sys.prefix,
        "environ": sorted(item for item in os.environ.items() if item[0] != "TENFOLD_SPAWN"),
        "kernel's environ": [w for w in words("/proc/self/environ") if "TENFOLD_SPAWN" not in w],
        "kernel's cmdline": words("/proc/self/cmdline"),
        "comm": open("/proc/self/comm").read(),
        "cwd": str(pathlib.Path.cwd()),
        "handlers": {n: handler(n) for n in signal.valid_signals()},
        "mask": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "wakeup": signal.set_wakeup_fd(-1),
        "streams": [stream(one) for one in (sys.stdin, sys.stdout, sys.stderr)],
        "stdin": sys.stdin.read(),
        "descriptors": descriptors(),
        "leader": [os.getsid(0) == os.getpid(), os.getpgrp() == os.getpid()],
        "umask": os.umask(0o22),
        "gc": [gc.isenabled(), gc.get_threshold(), gc.get_debug()],
        "limit": sys.getrecursionlimit(),
        "locale": locale.setlocale(locale.LC_ALL),
        "hooks": [sys.excepthook is sys.__excepthook__, sys.stdout is sys.__stdout__],
        "faults": faulthandler.is_enabled(),
        "threads": [len(threading.enumerate()),
                    threading.main_thread().native_id == threading.get_native_id(),
                    threading.current_thread() is threading.main_thread()],
        "process": [multiprocessing.current_process().name, multiprocessing.parent_process(),
                    multiprocessing.get_start_method()],
        "young": time.process_time() < 5,
    }  # fmt: skip


if __name__ == "__main__":
    print(json.dumps(seen(), default=str))
