# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of nmictl share: running it, and a fake nmid for each test."""
import json
import os
import signal
import socket
import subprocess
import tempfile
import unittest

from fake_nmid import FakeNmid, make_node

BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.join(os.path.dirname(__file__), "..", ".."))
NMICTL = os.environ.get("NMICTL", os.path.join(BUILD, "nmictl"))
LOST_ADVICE = "do not send again before you have looked at the machine"


def environment(**more):
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LD_LIBRARY_PATH"):
        if name in os.environ:
            env[name] = os.environ[name]
    env.update(more)
    return env


def nmictl(*args, env=None, timeout=100, stdout=subprocess.PIPE):
    return subprocess.run([NMICTL, *args], env=env or environment(), timeout=timeout,
                          stdin=subprocess.DEVNULL, stdout=stdout, stderr=subprocess.PIPE,
                          encoding="utf-8", errors="surrogateescape", check=False)


def closed_port():
    """A port of loopback that nobody listens on: bound, so that nobody else gets it either."""
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    return holder, "http://127.0.0.1:%d" % holder.getsockname()[1]


# A shell that starts a test in the background has it ignore SIGINT, and so would what the test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


class Case(unittest.TestCase):
    """A test with a fake nmid that knows the nodes n1 to n4."""

    names = ("n1", "n2", "n3", "n4")

    def setUp(self):
        self.fake = FakeNmid([make_node(name) for name in self.names])
        self.fake.__enter__()
        self.addCleanup(self.fake.stop)

    def run_nmictl(self, *args, **more):
        return nmictl("-u", self.fake.url, *args, **more)

    def expect(self, code, *args, **more):
        result = self.run_nmictl(*args, **more)
        self.assertEqual(result.returncode, code,
                         "stdout:\n%s\nstderr:\n%s" % (result.stdout, result.stderr))
        return result

    def expect_json(self, code, *args):
        return json.loads(self.expect(code, "-f", "json", *args).stdout)

    def keys(self):
        return [key for _, key, _ in self.fake.posts]

    def assert_one_key(self, posts):
        """So many requests were seen, and they bore one key."""
        self.assertEqual(len(self.fake.posts), posts)
        self.assertEqual(len(set(self.keys())), 1)

    def assert_unknown(self, result, name="n1"):
        line = result.stdout.splitlines()[0]
        self.assertRegex(line, r"^%s\s+UNKNOWN  \S" % name)
        self.assertIn("; " + LOST_ADVICE + " (nmictl actions ", line)

    def temporary(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        return folder.name
