# SPDX-License-Identifier: GPL-3.0-or-later
"""Forged answers of BMCs at nmid's own port, by tens of thousands a second: from the address and port
of a BMC whose session is open, from those of others, and from strangers'. Whatever looks right of them
without keys changes nothing: each action is one NMI and ends as delivered, and all others are served.

NMID_FLOOD_RATE: datagrams a second. Needs a network namespace of its own and a raw socket in it."""
import collections
import os
import re
import subprocess
import time

import lab
import netns

RATE = int(os.environ.get("NMID_FLOOD_RATE") or 50000)
BMCS = 24
SECONDS = 3  # of each flood, at least
VERSIONS = ({"ipmi_cipher_suite": 17}, {"ipmi_cipher_suite": 3}, {"ipmi_protocol_version": "1.5"})


def udp_port(pid):
    """The one that nmid talks to BMCs from, over IPv4: none until it has sent something."""
    inodes = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        try:
            inodes.update(re.findall(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{fd}")))
        except OSError:
            continue  # closed meanwhile
    with open("/proc/net/udp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[9] in inodes:
                return int(fields[1].split(":")[1], 16)
    return None


class Flood:
    """A running flood; stop() tells how many went out, a second."""

    def __init__(self, case, port, sources):
        self.process = subprocess.Popen(
            [lab.built("tests/sim/flood"), str(RATE), str(port),
             *(f"{address}:{from_port}" for address, from_port in sources)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        case.addCleanup(self.end)
        if self.process.stdout.readline() != "ready\n":
            if self.process.wait() == 77:
                case.skipTest("no raw socket")
            case.fail("flood did not start")

    def end(self):
        if self.process.poll() is None:
            self.process.stdin.close()
            self.process.wait(20)
        self.process.stdout.close()

    def stop(self):
        self.process.stdin.close()
        sent, ms = self.process.stdout.readline().split()
        self.process.wait(20)
        return int(sent) * 1000 // int(ms)


class SpoofedFlood(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", str(BMCS), first="127.7.0.1")
        self.sim.set("all", "delay_ms", 20)  # so that sessions last
        self.names = {f"n{i}": self.sim.address(i) for i in range(BMCS)}
        self.daemon = self.nmid([lab.node(name, self.sim, address, **VERSIONS[i % 3])
                                 for i, (name, address) in enumerate(self.names.items())],
                                ipmi={"timeout_ms": 10000, "retransmit_ms": 250,
                                      "answer_ms": 2000})

    def inject_all(self):
        """{name: finished action}, and how long the slowest question in between took."""
        status, _, batch = self.request(self.daemon, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": list(self.names)})
        self.assertEqual(status, 202, batch)
        slowest = 0
        while self.request(self.daemon, "GET", "/healthz")[2]["in_flight"] > 0:
            begun = time.monotonic()
            self.assertEqual(self.request(self.daemon, "GET", "/agent/v1/nodes")[0], 200)
            slowest = max(slowest, time.monotonic() - begun)
        actions = {}
        for name, action in zip(self.names, batch["actions"]):
            _, _, actions[name] = self.request(self.daemon, "GET",
                                               f"/agent/v1/actions/{action['id']}?wait=60")
        return actions, slowest

    def check_action(self, action, tally):
        """What one action ended as, and that it may."""
        self.assertEqual(action["state"], "finished")
        outcome = action["outcome"]
        if outcome == "failed":
            self.assertIsNone(action["sent_at"])
        tally[action["node_name"]][outcome] += 1
        return action["evidence"].get("ignored_datagrams", 0)

    def check_bmc(self, before, after, outcomes, rounds):
        """The outcomes are true."""
        nmi = after["nmi"] - before["nmi"]
        self.assertEqual(sum(outcomes.values()), rounds)
        self.assertTrue(outcomes["delivered"] <= nmi <= outcomes["delivered"] + outcomes["unknown"],
                        (nmi, outcomes))
        self.assertLessEqual(after["control_4"] - before["control_4"],
                             outcomes["delivered"] + outcomes["unknown"])

    def check_flood(self, name, sources, spoofed):
        port = lab.wait_for(lambda: udp_port(self.daemon.process.pid), what="nmid's port")
        before = {name: self.sim.counters(address) for name, address in self.names.items()}
        tally = {name: collections.Counter() for name in self.names}
        flood = Flood(self, port, sources)
        begun, rounds, slowest, ignored = time.monotonic(), 0, 0, 0
        while time.monotonic() < begun + SECONDS:
            rounds += 1
            actions, slow = self.inject_all()
            slowest = max(slowest, slow)
            for action in actions.values():
                with self.subTest(flood=name, action=action):
                    ignored += self.check_action(action, tally)
        took = time.monotonic() - begun
        rate = flood.stop()
        for each, address in self.names.items():
            with self.subTest(each, flood=name):
                self.check_bmc(before[each], self.sim.counters(address), tally[each], rounds)
        total = sum(tally.values(), collections.Counter())
        print(f"{name}: {rate} a second for {took:.1f} s, {dict(total)}, {ignored} ignored in their "
              f"sessions, slowest answer of HTTP {1000 * slowest:.0f} ms", flush=True)
        if spoofed:
            self.assertGreater(ignored, 0)  # they have reached the sessions
            self.assertGreater(total["delivered"], 0.5 * rounds * BMCS)
        else:
            self.assertEqual(ignored, 0)
            self.assertGreater(total["delivered"], 0.9 * rounds * BMCS)

    def test_flood(self):
        actions, _ = self.inject_all()  # so that nmid has its port
        self.assertEqual({action["outcome"] for action in actions.values()}, {"delivered"})
        sim = [(address, self.sim.port) for address in self.names.values()]
        self.check_flood("one BMC's address and port", sim[:1], True)
        self.check_flood("all BMCs'", sim, True)
        self.check_flood("another port of the BMCs'", [(a, port + 1) for a, port in sim], False)
        self.check_flood("strangers'", [(f"10.99.0.{i}", 623) for i in range(1, 64)], False)


if __name__ == "__main__":
    netns.enter()
    lab.main()
