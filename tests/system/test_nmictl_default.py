#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where nmictl asks when nobody tells it: the packaged daemon's socket, and the port on loopback only
where there surely is no such socket. On a port any user of the host may listen, and what listens there
here takes whatever password it is shown. In namespaces of the test's own, for /run and the port."""
import json
import os
import shutil
import socket
import subprocess
import unittest
from pathlib import Path

from fake_nmid import FakeNmid, make_node
import lab
import netns
from nmictl_case import Case, NMICTL, environment

RUN = Path("/run/nmid")
SOCKET = RUN / "nmid.sock"
URL = f"unix:{SOCKET}"
NOBODY = 65534
# root, and without any privilege: modes then count for it, too.
PLAIN = ("--bounding-set=-all", "--inh-caps=-all")
STRANGER = ("--reuid", str(NOBODY), "--regid", str(NOBODY), "--clear-groups")


def has_users():
    """Is there anybody but root in this user namespace?"""
    lines = Path("/proc/self/uid_map").read_text().splitlines()
    return any(int(line.split()[0]) <= NOBODY < int(line.split()[0]) + int(line.split()[2])
               for line in lines)


class Default(Case):
    def setUp(self):
        """Somebody's own server on the port, which wants passwords; nothing below /run."""
        self.fake = FakeNmid([make_node("n1")], port=8623)
        self.fake.users = {"alice": "secret"}
        self.fake.__enter__()
        self.addCleanup(self.fake.stop)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", "/run"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/run"], check=True)
        folder = self.temporary()
        self.program = shutil.copy(NMICTL, folder)  # where anybody may execute it
        os.chmod(folder, 0o755)

    def daemon(self):
        RUN.mkdir(mode=0o750)
        daemon = FakeNmid([make_node("n1")], str(SOCKET))
        daemon.__enter__()
        self.addCleanup(daemon.stop)
        return daemon

    def ask(self, code, *args, who=PLAIN, **more):
        env = environment(NMID_USER="alice", NMID_PASSWORD="secret", **more)
        result = subprocess.run([lab.which("setpriv"), *who, self.program, *args], env=env, cwd="/",
                                stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                                encoding="utf-8", check=False)
        self.assertEqual(result.returncode, code, result.stdout + result.stderr)
        return result

    def assert_kept_out(self, words, daemon=None, who=PLAIN):
        """Exit code 4 with these words of the socket, and neither server heard of it."""
        told = self.ask(4, "nodes", who=who)
        self.assertEqual(told.stderr, f"nmictl: nmid was not reached at {URL}: {words}\n")
        action = json.loads(self.ask(4, "-f", "json", "inject-nmi", "n1", who=who).stdout)[0]
        self.assertEqual(action["code"], "not-reached")
        self.assertIn(words, action["message"])
        self.assertIn(words, self.ask(0, "version", who=who).stderr)
        self.assertEqual(self.fake.credentials, [])
        if daemon is not None:
            self.assertEqual(daemon.requests, [])

    def test_no_socket(self):
        """Then, and only then, the port: the directory, or the file in it, does not exist."""
        for step in (lambda: None, RUN.mkdir, lambda: (RUN.rmdir(), RUN.touch())):
            step()
            self.fake.requests.clear()
            self.assertIn("n1", self.ask(0, "nodes").stdout)
            self.assertIn(("GET", "/agent/v1/nodes"), self.fake.requests)

    def test_socket(self):
        daemon = self.daemon()
        daemon.users = self.fake.users
        for url in (None, ""):
            daemon.requests.clear()
            self.ask(0, "nodes", **({} if url is None else {"NMID_URL": url}))
            self.assertIn(("GET", "/agent/v1/nodes"), daemon.requests)
        self.assertEqual(self.fake.requests, [])

    def test_closed(self):
        """The socket, or its directory, is closed to the caller."""
        daemon = self.daemon()
        for path in (SOCKET, RUN):
            path.chmod(0)
            self.assert_kept_out("Permission denied: it is open to its owner and root alone", daemon)

    @unittest.skipUnless(has_users(), "there is nobody here but root")
    def test_not_in_the_group(self):
        """As the package has it: 0750 and 0660, and the caller is somebody else."""
        daemon = self.daemon()
        words = ("Permission denied: it is open to its owner and the group 'bin' (adduser USER bin, "
                 "and log in anew)")
        for path, mode in ((RUN, 0o750), (SOCKET, 0o660)):
            os.chown(path, 0, 2)
            path.chmod(mode)
        self.assert_kept_out(words, daemon, who=STRANGER)
        RUN.chmod(0o755)
        self.assert_kept_out(words, daemon, who=STRANGER)

    def test_dead(self):
        """Its daemon was killed: that is said, and nobody else is asked."""
        RUN.mkdir()
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(SOCKET))
        self.assert_kept_out("Connection refused")

    def test_no_socket_but_a_file(self):
        RUN.mkdir()
        SOCKET.touch()
        self.assertIn(f"{SOCKET} is not a socket", self.ask(2, "nodes").stderr)
        self.assertEqual(self.fake.credentials, [])

    def test_said(self):
        """Who names the port gets it, whatever is in /run."""
        self.daemon()
        RUN.chmod(0)
        self.ask(0, "-u", self.fake.url, "nodes")
        self.ask(0, "nodes", NMID_URL=self.fake.url)


if __name__ == "__main__":
    if not shutil.which("setpriv", path=os.environ.get("PATH", "") + ":/usr/bin:/bin"):
        print("skipped: not installed: setpriv")
        raise SystemExit(77)
    netns.enter(mounts=True)
    unittest.main(verbosity=2)
