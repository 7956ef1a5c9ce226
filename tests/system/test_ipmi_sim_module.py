# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenIPMI's ipmi_sim with our module: it has a diagnostic interrupt, counts it and writes it into its
System Event Log, which nmid reads."""
import subprocess

import lab


class Module(lab.TestCase):
    def ipmitool(self, sim, *command, dialect=("-I", "lanplus", "-C", "3")):
        return subprocess.run(["ipmitool", *dialect, "-H", sim.first, "-p", str(sim.port), "-U",
                               "admin", "-P", "secret", *command], capture_output=True, text=True,
                              timeout=90, stdin=subprocess.DEVNULL, check=False)

    def chassis(self, sim, *command, **keys):
        return self.ipmitool(sim, "chassis", *command, **keys)

    def test_counts_each_interrupt(self):
        sim = self.ipmi_sim()
        self.assertEqual(sim.count(), 0)
        self.assertIn("is on", self.chassis(sim, "power", "status").stdout)
        done = self.chassis(sim, "power", "diag")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sim.count_path.read_text(), "1\n")
        done = self.chassis(sim, "power", "diag", dialect=("-I", "lan"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sim.count(), 2)

    def test_a_machine_that_is_off_gets_none(self):
        sim = self.ipmi_sim()
        for off in ("off", "soft"):
            self.chassis(sim, "power", off)
            self.assertIn("is off", self.chassis(sim, "power", "status").stdout)
            done = self.chassis(sim, "power", "diag")
            self.assertIn("not supported in present state", done.stderr)
            self.assertNotEqual(done.returncode, 0)
            self.assertEqual(sim.count(), 0)
            self.chassis(sim, "power", "on")
        self.assertEqual(self.chassis(sim, "power", "diag").returncode, 0)
        self.assertEqual(sim.count(), 1)

    def test_the_interrupt_is_in_the_event_log(self):
        sim = self.ipmi_sim()
        self.assertIn("no entries", self.ipmitool(sim, "sel", "list").stderr)
        self.chassis(sim, "power", "diag")
        lines = self.ipmitool(sim, "sel", "list").stdout.splitlines()
        self.assertEqual(len(lines), 1, lines)
        self.assertRegex(lines[0], "Critical Interrupt.*NMI/Diag Interrupt.*Asserted")

    def test_nmid_reads_this_event_log_too(self):
        """Only what is new is told: the log has an interrupt of before from the second one on."""
        sim = self.ipmi_sim()
        nmid = self.nmid([lab.node("new", sim)], ipmi={"sel_evidence": "always"})
        for number in (1, 2):
            status, _, action = self.request(nmid, "POST", "/agent/v1/nodes/new/actions",
                                             {"action": "inject_nmi"})
            self.assertEqual(status, 202, action)
            _, _, action = self.request(nmid, "GET", f"/agent/v1/actions/{action['id']}?wait=60")
            self.assertEqual(action["outcome"], "delivered", action)
            self.assertEqual(action["evidence"]["sel"], "interrupt-recorded", action)
            records = action["evidence"]["sel_records"]
            self.assertEqual([int(record["id"], 16) for record in records], [number], action)
            self.assertEqual(sim.count(), number)


if __name__ == "__main__":
    lab.main(needs=("ipmitool", "ipmi_sim"))
