# SPDX-License-Identifier: GPL-3.0-or-later
"""nmid behind a network that delays, reorders, loses, doubles, forges and replays: whatever it
does, an action is one Chassis Control, and its outcome is true. NMID_TEST_SEED repeats the random
choices (not the times) of a run."""
import collections
import os
import random

import lab
from hostile_proxy import MODES, Proxy

NODES = 165  # of each of VERSIONS
ROUNDS = 2
VERSIONS = {"17": {"ipmi_cipher_suite": 17}, "3": {"ipmi_cipher_suite": 3},
            "1.5": {"ipmi_protocol_version": "1.5"}}
# What these BMCs, which are on and willing, never say themselves.
FORGED = ("powered-off", "refused", "unsupported")


class HostileProxy(lab.TestCase):
    def setUp(self):
        seed = int(os.environ.get("NMID_TEST_SEED") or random.SystemRandom().randrange(2**32))
        print(f"NMID_TEST_SEED={seed}", flush=True)
        self.sim = self.bmcsim("--count", str(NODES * len(VERSIONS)), "--seed", str(seed),
                               first="127.5.0.1")
        self.proxy = Proxy(self.sim)
        self.nodes, self.routes = [], {}
        for i in range(NODES * len(VERSIONS)):
            version, mode = list(VERSIONS)[i // NODES], list(MODES)[i % len(MODES)]
            name = f"{mode}-{version}-{i}"
            route = self.proxy.route(self.sim.address(i), mode, f"{seed}-{i}")
            self.routes[name] = (route, mode, version)
            self.nodes.append(lab.node(name, self.sim, "127.0.0.1", ipmi_port=route.port,
                                       **VERSIONS[version]))
        self.proxy.start()
        self.addCleanup(self.proxy.stop)

    def inject_all(self, nmid):
        """{name: finished action}"""
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": list(self.routes)})
        self.assertEqual(status, 202, batch)
        actions = {}
        for name, action in zip(self.routes, batch["actions"]):
            _, _, actions[name] = self.request(nmid, "GET",
                                               f"/agent/v1/actions/{action['id']}?wait=60")
            self.assertEqual(actions[name]["state"], "finished")
        return actions

    def check(self, route, mode, action):
        counters = self.sim.counters(route.bmc)
        outcome, nmi = action["outcome"], counters["nmi"]
        self.assertLessEqual(len(route.controls), 1, "different datagrams of Chassis Control")
        if not MODES[mode].double:
            self.assertLessEqual(counters["control_4"], 1, "datagrams of Chassis Control")
        self.assertEqual(counters["control_4"], sum(route.controls.values()))
        self.assertLessEqual(nmi, 1)
        if outcome == "delivered":
            self.assertEqual(nmi, 1)
        elif outcome == "failed":
            self.assertEqual((nmi, counters["control_4"], action["sent_at"]), (0, 0, None))
            self.assertNotIn(action["code"], FORGED)
        else:
            # The BMC answers 00 to the one Chassis Control: it cannot be unsure for its code.
            self.assertEqual((outcome, action["code"]), ("unknown", "no-answer"))
            self.assertIsNotNone(action["sent_at"])

    def test_one_chassis_control_and_the_truth(self):
        nmid = self.nmid(self.nodes, ipmi={"timeout_ms": 2000, "answer_ms": 300,
                                           "retransmit_ms": 100})
        tally = collections.Counter()
        delivered, done = collections.Counter(), collections.Counter()
        for number in range(ROUNDS):
            self.proxy.settle()
            self.sim.control("zero all")
            for route, _, _ in self.routes.values():
                route.zeroed()
            actions = self.inject_all(nmid)
            self.proxy.settle()
            for name, action in actions.items():
                route, mode, version = self.routes[name]
                with self.subTest(name, round=number, action=action):
                    self.check(route, mode, action)
                tally[version, mode, action["outcome"], action["code"] or "-"] += 1
                done[version, mode] += 1
                delivered[version, mode] += action["outcome"] == "delivered"
        for key in sorted(tally):
            print(*key, tally[key])
        print(self.proxy.tally)
        for kind, count in self.proxy.tally.items():
            self.assertGreater(count, 300, kind)
        for key, count in done.items():
            with self.subTest("enough were delivered", key=key):
                self.assertGreaterEqual(delivered[key], count / 3)


if __name__ == "__main__":
    lab.main()
