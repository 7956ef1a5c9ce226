# SPDX-License-Identifier: GPL-3.0-or-later
"""A program of the cloud: on a port of its own, with its logs in files, stopped and started."""
import configparser
import http.client
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
import lab  # noqa: E402


def environment(**more):
    """Without the settings of whoever runs this: no proxies, no other cloud, no other CA file."""
    kept = {key: value for key, value in os.environ.items()
            if not key.startswith("OS_") and not key.lower().endswith("_proxy")
            and key not in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PYTHONPATH")}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", **more}


class Port:
    """A port of 127.0.0.1 that stays ours while the program behind it is stopped and started: it is
    bound, without listening, so that the kernel gives it to nobody else."""

    def __init__(self):
        self.holder = socket.socket()
        self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.holder.bind(("127.0.0.1", 0))
        self.number = self.holder.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.number}"

    def answers(self, path):
        """Whether an HTTP server there answers this path without an error of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=30)
        try:
            connection.request("GET", path)
            return connection.getresponse().status < 500
        except OSError:
            return False
        finally:
            connection.close()


def write_conf(path, sections):
    conf = configparser.RawConfigParser(default_section="\0")
    conf.optionxform = str
    conf.read_dict({name: {key: str(value) for key, value in keys.items()}
                    for name, keys in sections.items()})
    path.touch(mode=0o600)
    with open(path, "w", encoding="utf-8") as file:
        conf.write(file)


class Service:
    """A program of the cloud, with its logs below the directory. It can be stopped and started."""

    def __init__(self, name, directory, argv, ready, cwd=None, env=None):
        self.name, self.directory, self.argv, self.ready = name, directory, argv, ready
        self.cwd = cwd or directory
        self.env = environment(HOME=str(directory), **(env or {}))
        self.process, self.runs, self.paused = None, [], False

    def start(self):
        stem = self.directory / f"{self.name}-{len(self.runs) + 1}"
        self.process = lab.Process([str(word) for word in self.argv], stem.with_suffix(".out"),
                                   stem.with_suffix(".log"), env=self.env, cwd=self.cwd)
        self.runs.append(self.process)
        return self

    def wait_ready(self):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"{self.name} did not start:\n{self.process.err()[-8000:]}")
            return self.ready()
        lab.wait_for(ready, 180, f"{self.name} to answer")
        return self

    def stop(self):
        if self.paused:
            self.resume()
        if self.process:
            self.process.stop(timeout=20)

    def pause(self):
        """It hangs: connections are taken by the kernel, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def logs(self):
        return [path for run in self.runs for path in (run.out_path, run.err_path)]


def run(argv, env=None, cwd=None, timeout=300):
    """Runs a program to its end, which must be good. Its caches go to cwd, if that is given."""
    home = {"HOME": str(cwd)} if cwd else {}
    done = subprocess.run([str(word) for word in argv], env=environment(**home, **(env or {})),
                          cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=timeout, check=False)
    if done.returncode:
        raise AssertionError(f"{' '.join(map(str, argv))} exited with {done.returncode}:\n"
                             f"{done.stdout}{done.stderr}")
    return done.stdout


def make_wal(path):
    """Write-ahead log: without it two that write at once get "database is locked"."""
    database = sqlite3.connect(path)
    assert database.execute("pragma journal_mode=wal").fetchone() == ("wal",)
    database.close()
