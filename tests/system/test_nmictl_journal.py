#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl with the real nmid and its journal: lock and status outlive a kill, history is paged
through, and a request that meets a restart is not made twice."""
import contextlib
import json
import re
import socket
import sqlite3
import subprocess

import lab


class Journal(lab.TestCase):
    def ask(self, code, nmid, *args):
        done = self.nmictl(nmid, *args)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def show(self, nmid, name):
        node = json.loads(self.ask(0, nmid, "-f", "json", "show", name))
        return (node["locked"], node["lock_source"], node["status"], node["status_source"])

    def recorded(self, nmid):
        """How many actions the journal has on disk."""
        with contextlib.closing(sqlite3.connect(nmid.state_dir / "nmid.db", timeout=10)) as base:
            return base.execute("SELECT count(*) FROM actions").fetchone()[0]

    def test_lock_and_status_outlive_a_kill_and_a_reload(self):
        sim = self.bmcsim("--count", "2")
        nodes = [lab.node("a", sim), lab.node("b", sim, "127.1.0.2", locked=True, status="SHUTOFF")]
        nmid = self.nmid(nodes)
        self.assertEqual(self.ask(0, nmid, "lock", "a"), "a  locked (run-time)\n")
        self.assertEqual(self.ask(0, nmid, "unlock", "b"), "b  unlocked (run-time)\n")
        self.assertEqual(self.ask(0, nmid, "status", "b", "error"), "b  ERROR (run-time)\n")
        self.assertIn("node b: status ERROR (user admin from 127.0.0.1)", nmid.log())
        nmid.crash()
        nmid.start()
        for again in (lambda: None, lambda: nmid.reload(nodes=nodes)):
            again()
            self.assertEqual(self.show(nmid, "a"), (True, "run-time", "ACTIVE", "configuration"))
            self.assertEqual(self.show(nmid, "b"), (False, "run-time", "ERROR", "run-time"))
        self.ask(0, nmid, "inject-nmi", "b")
        self.ask(0, nmid, "lock", "--default", "a", "b")
        self.ask(0, nmid, "status", "a", "b", "default")
        nmid.crash()
        nmid.start()
        self.assertEqual(self.show(nmid, "a"), (False, "configuration", "ACTIVE", "configuration"))
        self.assertEqual(self.show(nmid, "b"), (True, "configuration", "SHUTOFF", "configuration"))
        self.assertIn("while it is in vm_state shutoff", self.ask(1, nmid, "inject-nmi", "b"))
        self.assertEqual(self.ask(1, nmid, "status", "a", "gone"),
                         "a  failed  There is no such status: GONE (there are ACTIVE, BUILD, ERROR, "
                         "PAUSED, RESCUED, RESIZED, SHELVED, SHELVED_OFFLOADED, SHUTOFF, SUSPENDED, "
                         "SOFT_DELETED, DELETED, UNKNOWN)\n")
        self.assertEqual([sim.count(f"127.1.0.{i}") for i in (1, 2)], [0, 1])

    def test_history_and_evidence_outlive_a_kill(self):
        sim = self.bmcsim("--count", "3")
        nodes = [lab.node(f"n{i}", sim, f"127.1.0.{i}") for i in (1, 2, 3)]
        nmid = self.nmid(nodes, hold_off_s=300)
        self.ask(0, nmid, "inject-nmi", "n[1-3]")
        before = json.loads(self.ask(0, nmid, "-f", "json", "actions"))
        nmid.crash()
        nmid.start()
        after = json.loads(self.ask(0, nmid, "-f", "json", "actions", "--all"))
        self.assertEqual((len(after["actions"]), after), (3, before))
        page = json.loads(self.ask(0, nmid, "-f", "json", "actions", "--limit", "2"))
        rest = json.loads(self.ask(0, nmid, "-f", "json", "actions", "--marker", page["next"]))
        self.assertEqual(page["actions"] + rest["actions"], after["actions"])
        self.assertIsNone(rest["next"])
        first = after["actions"][0]
        words = self.ask(0, nmid, "actions", first["id"])
        self.assertRegex(words, r"\Adelivered.*\n  The session with the BMC was IPMI 2.0")
        self.assertIn("The BMC answered after ", words)
        held = self.nmictl(nmid, "inject-nmi", "n[1-3]")
        self.assertEqual(held.returncode, 1)
        self.assertEqual(len(re.findall("was delivered to n[123]", held.stdout)), 3)
        self.assertEqual([sim.count(f"127.1.0.{i}") for i in (1, 2, 3)], [1, 1, 1])

    def test_evidence_in_words(self):
        """Every key that the driver gives has a sentence; nothing comes out as a mere key."""
        sim = self.bmcsim("--count", "4")
        addresses = [f"127.1.0.{i}" for i in (1, 2, 3, 4)]
        for address, key, value in zip(addresses, (
                "lose_response", "lose_request", "lose_response", "completion"), (
                "control:1", "control:1", "control:1", "D5")):
            sim.set(address, key, value)
        sim.set(addresses[1], "sel", "off")
        sim.set(addresses[2], "sel_records", "os")
        nmid = self.nmid([lab.node(f"n{i}", sim, a) for i, a in enumerate(addresses, 1)],
                         ipmi={"answer_ms": 1000, "timeout_ms": 5000})
        lines = sorted(self.ask(3, nmid, "inject-nmi", "n[1-4]").splitlines()[:4])
        self.assertEqual([line.split()[1] for line in lines],
                         ["delivered", "UNKNOWN", "UNKNOWN", "failed"])
        self.assertIn("[sent once, not answered by its sequence numbers, session closed]", lines[1])
        self.assertIn("[sent once, answered, the answer was lost, SEL: the system stopped, "
                      "session closed]", lines[2])
        words = {}
        for action in json.loads(self.ask(0, nmid, "-f", "json", "actions"))["actions"]:
            text = self.ask(0, nmid, "actions", action["id"]).split("\n\n")[0]
            words[action["node_name"]] = text
            self.assertNotRegex(text, r"(?m)^  [a-z_]+: ")
        self.assertIn("has a new record of the interrupt.\n    record 0001: ", words["n1"])
        self.assertIn("(sensor type 13h, offset 0)\n", words["n1"])
        self.assertIn("(no-answer-seen).\n  The BMC has no event log.\n", words["n2"])
        self.assertIn("(answered-but-lost).\n", words["n3"])
        self.assertIn("(sensor type 20h, offset 1)\n", words["n3"])
        self.assertIn("with completion code D5.\n", words["n4"])

    def meet_a_restart(self, key, value, ready):
        """nmid is killed when ready(nmid) while nmictl waits, and comes back on the same port; what
        nmictl says, its exit code, and how many interrupts the BMC executed."""
        sim = self.bmcsim()
        sim.set(sim.first, key, value)
        with socket.socket() as holder:  # a port that is free, and stays the same
            holder.bind(("127.0.0.1", 0))
            port = holder.getsockname()[1]
        nmid = self.nmid([lab.node("a", sim)], listen=[{"address": "127.0.0.1", "port": port}])
        waiting = subprocess.Popen([lab.built("nmictl"), "-u", nmid.url, "-f", "json", "inject-nmi",
                                    "a"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            lab.wait_for(lambda: ready(nmid), 20, "the action on disk")
            nmid.crash()
            nmid.start()
            output, complaints = waiting.communicate(timeout=60)
        finally:
            waiting.kill()
            waiting.wait()
        self.assertEqual(complaints, "")
        action, = json.loads(output)
        return action, waiting.returncode, sim.count()

    def test_killed_before_it_sent(self):
        action, code, count = self.meet_a_restart("blackhole", "on", self.recorded)
        self.assertEqual((action["outcome"], action["code"]), ("failed", "stopping"))
        self.assertIn("never sent", action["message"])
        self.assertEqual((code, count), (1, 0))

    def test_killed_after_it_sent(self):
        def sent(nmid):
            return self.request(nmid, "GET", "/agent/v1/actions?state=sent")[2]["actions"]
        action, code, count = self.meet_a_restart("lose_response", "control:9", sent)
        self.assertEqual((action["outcome"], action["code"]), ("unknown", "daemon-stopped"))
        self.assertEqual(action["evidence"], {"sends": 1})
        self.assertEqual((code, count), (3, 1))


if __name__ == "__main__":
    lab.main()
