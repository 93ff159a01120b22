"""Ends in the way that its first argument says."""

import atexit
import os
import signal
import sys
import threading
import time

how = sys.argv[1]
atexit.register(print, "atexit ran")

if how == "code":
    sys.exit(int(sys.argv[2]))
if how == "text":
    sys.exit("the last word")
if how == "error":

    def deeper() -> None:
        raise ValueError("no value")

    deeper()
if how == "cause":
    try:
        {}["key"]
    except KeyError as error:
        raise RuntimeError("outer") from error
if how == "interrupt":
    raise KeyboardInterrupt
if how == "sigint":
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(5)
if how == "sigterm":
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
if how == "hook":
    sys.excepthook = lambda kind, value, trace: print("hook:", kind.__name__, trace.tb_lineno)
    raise ValueError("for the hook")
if how == "_exit":
    os._exit(7)
if how == "abort":
    os.abort()
if how == "thread":
    threading.Thread(target=lambda: (time.sleep(0.2), print("thread ended"))).start()
if how == "unflushed":
    sys.stdout.write("no newline at the end")
