"""Read and write task output, for the terminal, the page and the supervisor.

Those three only format what they get from here.

writer.py  the writer of one stream: bytes as they came, times, a limit
tracebacks.py  the exception that ends a stream
files.py   the files of one stream, which turn at a limit, as one
times.py   when a byte of a stream came
overwriting.py  what is left of lines that were written over
reader.py  lines, from the start, the end or a moment on
merging.py  lines of many tasks, by time
filter.py  which lines are wanted
"""

from tenfold.run.logs.merging import by_time, last_lines, merged, readers, skip_to_tail
from tenfold.run.logs.reader import STREAMS, LogLine, LogReader

__all__ = [
    "STREAMS",
    "LogLine",
    "LogReader",
    "by_time",
    "last_lines",
    "merged",
    "readers",
    "skip_to_tail",
]
