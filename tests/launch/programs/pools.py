"""A function in other processes, by each way of starting them; classes of __main__ must arrive."""

import json
import multiprocessing
import os
import sys


class Made:
    def __init__(self, number):
        self.number = number


def double(made):
    return Made(made.number * 2), os.getpid(), sys.argv


if __name__ == "__main__":
    multiprocessing.set_start_method(sys.argv[1])
    with multiprocessing.Pool(2) as pool:
        results = pool.map(double, [Made(1), Made(2)])
    print(json.dumps([[made.number, argv] for made, pid, argv in results]))
    assert all(pid != os.getpid() for _, pid, _ in results)
