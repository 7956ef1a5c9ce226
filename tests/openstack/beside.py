# SPDX-License-Identifier: GPL-3.0-or-later
"""make bench-openstack: the hardware types ipmi (which runs ipmitool) and nmid side by side at a real
Ironic: how long, how much CPU, and what each does when the BMC misbehaves. ipmi's own time limits make it
take seven minutes; what nmid must do in these cases is in test_conductor.py and test_clients_*.py too."""
import http.client
import json
import os
import time

from case import lab, short
from test_conductor import ConductorCase

TICK_MS = 1e3 / os.sysconf("SC_CLK_TCK")
ROUNDS = 8  # of the measurements


def cpu_ms(process):
    """Of a process and of its children that have ended."""
    with open(f"/proc/{process.pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) * TICK_MS


class Beside(ConductorCase):
    """The two hardware types side by side, Ironic's settings for ipmi as they come."""

    time_limit = 900
    more = {"ipmi": {"min_command_interval": 5, "command_retry_timeout": 60}}

    def put(self, name):
        """-> (status, seconds, text); not by baremetal, whose start takes longer than all else."""
        began = time.monotonic()
        connection = http.client.HTTPConnection("127.0.0.1", self.ironic.port.number, timeout=200)
        connection.request("PUT", f"/v1/nodes/{name}/management/inject_nmi", "{}", {
            "Content-Type": "application/json", "X-OpenStack-Ironic-API-Version": "1.82"})
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if text:
            text = json.loads(json.loads(text)["error_message"])["faultstring"]
        return answer.status, time.monotonic() - began, text

    def pair(self, what, settings=(), **info):
        """One node of each type before BMCs that misbehave alike; -> {driver: (status, count)}."""
        nodes = [self.create(f"{driver}-{what}", driver, **info) for driver in ("ipmi", "nmid")]
        for node in nodes:
            node["driver_info"].update(info)
            for key, value in settings:
                self.sim.set(self.bmc(node["name"]), key, value)
        self.daemon.reload(nodes=[*self.daemon.settings["nodes"], nodes[1]])
        found = {}
        for node in nodes:
            status, took, text = self.put(node["name"])
            count = self.sim.count(self.bmc(node["name"]))
            asked = self.sim.counters(self.bmc(node["name"]))["control_4"]
            self.row(node["name"].split("-")[0], what, f"{status} after {took:.1f} s, {asked} Chassis "
                     f"Controls: {short(text, 260)}", count)
            found[node["name"].split("-")[0]] = status, count, asked, text
        return found

    def test_latency_and_cpu(self):
        names = [f"{driver}-{i}" for i in range(ROUNDS) for driver in ("ipmi", "nmid")]
        nodes = [self.create(name, name.split("-")[0]) for name in names]
        nmid = self.serve_here(nodes)
        for driver in ("ipmi", "nmid"):
            process = self.ironic.conductor.process
            before, own, times = cpu_ms(process), cpu_ms(nmid.process), []
            for name in names:
                if name.startswith(driver):
                    status, took, text = self.put(name)
                    self.assertEqual(status, 204, text)
                    times.append(took * 1e3)
                    self.assertEqual(self.sim.count(self.bmc(name)), 1)
            conductor_ms = (cpu_ms(process) - before) / ROUNDS
            nmid_ms = (cpu_ms(nmid.process) - own) / ROUNDS
            self.row(driver, f"{ROUNDS} injections, one after the other",
                     f"median {sorted(times)[ROUNDS // 2]:.0f} ms, most {max(times):.0f} ms; CPU each: "
                     f"conductor and its children {conductor_ms:.0f} ms, nmid {nmid_ms:.1f} ms",
                     ROUNDS)

    def test_d5(self):
        self.daemon = self.serve_here([])
        found = self.pair("d5", [("completion", "d5")])
        self.assertEqual(found["nmid"][:3], (500, 0, 1))
        found = self.pair("d5-executed", [("completion", "d5"), ("completion_executes", "on")])
        self.assertLessEqual(found["nmid"][1], 1)

    def test_lost_replies(self):
        self.daemon = self.serve_here([])
        found = self.pair("lost-once", [("lose_response", "control:1")])
        self.assertEqual(found["nmid"][:2], (204, 1))
        found = self.pair("lost-always", [("lose_response", "control:99"), ("sel", "off"),
                                          ("lose_probe_response", "all")])
        self.assertEqual(found["nmid"][:3], (500, 1, 1))
        self.assertIn("UNKNOWN", found["nmid"][3])

    def test_not_reached(self):
        self.daemon = self.serve_here([])
        found = self.pair("password", ipmi_password="wrong")
        self.assertEqual(found["nmid"][:3], (500, 0, 0))
        found = self.pair("black-hole", [("blackhole", "on")])
        self.assertEqual(found["nmid"][:3], (500, 0, 0))


if __name__ == "__main__":
    lab.main()
