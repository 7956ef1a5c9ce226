# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit in the system's journal: nmid believes that its stderr is the journal, and the test
listens where systemd-journald would, on a /run of its own in a mount namespace."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import lab

INSIDE = "NMID_TEST_INSIDE"  # set once this runs in its namespace
RUN = Path("/run/systemd/journal")
# As systemd does it: the device and the inode of stderr.
AS_A_SERVICE = 'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec "$@"'


class Journal(lab.TestCase):
    def start(self, argv, cwd=None, **env):
        if str(argv[0]) == lab.built("nmid"):
            argv = ["/bin/sh", "-c", AS_A_SERVICE, "sh", *argv]
        return super().start(argv, cwd, **env)

    def setUp(self):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", "/run"], check=False)
        RUN.mkdir(parents=True)
        self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.journal.close)
        self.journal.settimeout(20)
        self.journal.bind(str(RUN / "socket"))
        self.sim = self.bmcsim()
        self.daemon = self.nmid([lab.node("n1", self.sim)])

    def entry(self):
        """The next one, as a dict."""
        data = self.journal.recv(65536).decode()
        self.assertTrue(data.endswith("\n"))
        return dict(line.split("=", 1) for line in data[:-1].split("\n"))

    def inject(self, node="n1"):
        status, _, answer = self.request(self.daemon, "POST", f"/agent/v1/nodes/{node}/actions",
                                         {"action": "inject_nmi"})
        return status, answer

    def test_entries(self):
        status, action = self.inject()
        self.assertEqual(status, 202, action)
        decision, outcome = self.entry(), self.entry()
        self.assertIn("inject_nmi of n1 accepted (agent, user ", decision["MESSAGE"])
        expected = {"SYSLOG_IDENTIFIER": "nmid", "PRIORITY": "6", "NMID_DECISION": "allowed",
                    "NMID_OPERATION": "inject_nmi", "NMID_NODE": "n1", "NMID_CONTRACT": "agent",
                    "NMID_NODE_UUID": lab.node_uuid("n1"), "NMID_ACTION_ID": action["id"],
                    "NMID_RULE": "inject_nmi:admin_or_owner", "NMID_ADDRESS": "127.0.0.1"}
        self.assertEqual({**decision, **expected}, decision)
        self.assertNotIn("NMID_CODE", decision)
        self.assertEqual((outcome["NMID_OUTCOME"], outcome["NMID_ACTION_ID"]),
                         ("delivered", action["id"]))
        self.assertNotEqual(decision["MESSAGE_ID"], outcome["MESSAGE_ID"])
        for entry in (decision, outcome):  # the manual names them
            self.assertIn(entry["MESSAGE_ID"], (lab.top_srcdir / "docs/audit.md").read_text())
        self.assertEqual(self.inject("n%0A2")[0], 404)
        refused = self.entry()
        self.assertEqual((refused["NMID_DECISION"], refused["NMID_CODE"]),
                         ("refused", "node-not-found"))
        self.assertNotIn(action["id"], self.daemon.log())  # not twice

    def test_journal_is_full_or_gone(self):
        """What it does not take is a line on stderr, and nobody waits."""
        statuses = [self.inject("nowhere")[0] for _ in range(80)]
        self.assertEqual(set(statuses), {404})
        lines = self.daemon.log().count("<6>inject_nmi of nowhere refused ")
        self.assertGreater(lines, 0)
        self.journal.settimeout(0)
        entries = 0
        try:
            while True:
                self.entry()
                entries += 1
        except BlockingIOError:
            pass
        self.assertEqual(lines + entries, 80)
        self.journal.close()
        self.assertEqual(self.inject("elsewhere")[0], 404)
        self.assertIn("<6>inject_nmi of elsewhere refused ", self.daemon.log())


def enter():
    """Goes on in a mount namespace of its own, where it may mount; or is skipped."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    try:
        tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/run"],
                               capture_output=True, text=True, check=False)
        why = tried.stderr.strip() or f"exit code {tried.returncode}" if tried.returncode else ""
    except FileNotFoundError as error:
        why = str(error)
    if why:
        print("skipped: no mount namespace here:", why, file=sys.stderr)
        sys.exit(77)
    os.environ[INSIDE] = "1"
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter()
    lab.main()
