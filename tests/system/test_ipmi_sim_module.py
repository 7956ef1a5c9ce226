# SPDX-License-Identifier: GPL-3.0-or-later
"""OpenIPMI's ipmi_sim with our module: it has a diagnostic interrupt, and it counts it."""
import subprocess

import lab


class Module(lab.TestCase):
    def chassis(self, sim, *command, dialect=("-I", "lanplus", "-C", "3")):
        return subprocess.run(["ipmitool", *dialect, "-H", sim.first, "-p", str(sim.port), "-U",
                               "admin", "-P", "secret", "chassis", *command], capture_output=True,
                              text=True, timeout=90, stdin=subprocess.DEVNULL, check=False)

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


if __name__ == "__main__":
    lab.main(needs=("ipmitool", "ipmi_sim"))
