"""A Python for shell scripts to start: its programs begin as copies of this process, see `tests.forks`."""

from __future__ import annotations

import json
import shlex
import socketserver
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread

from tests.forks import run_forked

ASK = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    line.sendall(json.dumps([sys.argv[2:], dict(os.environ), os.getcwd()]).encode())
    line.shutdown(socket.SHUT_WR)
    status, output, errors = json.load(line.makefile())
sys.stdout.write(output)
sys.stderr.write(errors)
sys.exit(status)
"""


class _Server(socketserver.ThreadingUnixStreamServer):
    def __init__(self, address: str) -> None:
        super().__init__(address, _Program)
        self.started: list[list[str]] = []


class _Program(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        words, environment, folder = json.load(self.rfile)
        self.server.started.append(words)
        command = [sys.executable, *words[words[0] == '-u' :]]  # what a fork says is there at its end
        done = run_forked(command, env=environment, cwd=folder)
        self.wfile.write(json.dumps([done.returncode, done.stdout, done.stderr]).encode())


@contextmanager
def warm_python() -> Iterator[tuple[Path, list[list[str]]]]:
    """Yields an executable that takes `FILE ...` or `-m MODULE ...`, and the arguments of each run."""
    with TemporaryDirectory() as folder:
        address, path = f'{folder}/socket', Path(folder) / 'python'
        words = shlex.join([sys.executable, '-IS', '-c', ASK, address])
        path.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
        path.chmod(0o755)
        with _Server(address) as server:
            thread = Thread(target=server.serve_forever, daemon=True)
            thread.start()
            try:
                yield path, server.started
            finally:
                server.shutdown()
                thread.join()
