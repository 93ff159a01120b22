"""Train a line with workers and a server, without any framework.

One task runs this file with --listen and keeps the weights. The others run it with --server. Start
all of them with `tenfold up`.
"""

import argparse
import json
import random
import socketserver
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler

import tenfold

weights = [0.0, 0.0]  # of the server: slope and offset of the line y = 3 x + 1
lock = threading.Lock()


class Weights(BaseHTTPRequestHandler):
    """Applies the gradients that workers send, and answers with the weights."""

    protocol_version = "HTTP/1.1"  # keeps connections open

    def do_POST(self) -> None:
        gradient = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with lock:
            for index, part in enumerate(gradient):
                weights[index] -= 0.1 * part
            body = json.dumps(weights).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Print nothing for each request."""


def train(server: str, steps: int) -> None:
    host, _, port = server.rpartition(":")
    connection = HTTPConnection(host, int(port), timeout=60)  # one for the whole training
    gradient = [0.0, 0.0]
    for step in range(1, steps + 1):
        connection.request("POST", "/", json.dumps(gradient))
        slope, offset = json.loads(connection.getresponse().read())
        points = [random.uniform(-1, 1) for _ in range(32)]
        errors = [(slope * x + offset) - (3 * x + 1) for x in points]
        gradient = [
            sum(error * x for error, x in zip(errors, points, strict=True)) / len(points),
            sum(errors) / len(points),
        ]
        loss = sum(error * error for error in errors) / len(errors)
        tenfold.progress(step, steps, loss=loss)
        if step % 20 == 0:
            print(f"step {step} of {steps}: loss {loss:.6f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", metavar="HOST:PORT")
    parser.add_argument("--server", metavar="HOST:PORT")
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    if options.server:
        train(options.server, options.steps)
        return
    host, _, port = options.listen.rpartition(":")
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    with socketserver.ThreadingTCPServer((host, int(port)), Weights) as server:
        server.serve_forever()


if __name__ == "__main__":
    main()
