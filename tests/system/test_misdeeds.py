# SPDX-License-Identifier: GPL-3.0-or-later
"""BMCs that do all of bmcsim's misdeeds (tests/sim/README.md) at once, mixed at random: whatever
they do, an action is one Chassis Control, and its outcome is true. NMID_TEST_SEED repeats a run's
mix."""
import collections
import os
import random

import lab

NODES = 110  # of each of VERSIONS
ROUNDS = 3
VERSIONS = {"17": {"ipmi_cipher_suite": 17}, "3": {"ipmi_cipher_suite": 3},
            "1.5": {"ipmi_protocol_version": "1.5"}}
ANSWER_MS = 500
EXECUTE_MS = (100, 400, 700)
KINDS = ("any", "auth_cap", "open", "rakp1", "rakp3", "challenge", "activate", "privilege",
         "status", "control", "close", "sel")
SEL_MS = 300
# {key: (chance, values)}
MISDEEDS = {
    **{key: (0.3, ("on",)) for key in
       ("garbage", "oversize", "wrong_session", "wrong_seq", "wrong_rqseq", "bad_authcode",
        "bad_rakp", "stray", "lie", "duplicate_out", "count_half_open", "control_blocks",
        "open_privilege_zero")},
    "rakp_fresh_random": (0.3, ("off",)), "rakp3_repeat": (0.3, ("off",)),
    "duplicate_in": (0.3, ("execute",)), "mutate": (0.3, (10, 50)),
    "truncate": (0.1, (16, 24, 40, 50, 60)),
    "loss_in": (0.15, (5, 20)), "loss_out": (0.15, (5, 20)),
    "lose_request": (0.2, [f"{kind}:1" for kind in KINDS]),
    "lose_response": (0.2, [f"{kind}:1" for kind in KINDS]),
    "delay_ms": (0.2, (5, 50)), "control_delay_ms": (0.2, (300, 490, 500, 510, 600)),
    "execute_delay_ms": (0.15, EXECUTE_MS), "session_limit": (0.15, (0, 1)),
    "completion": (0.3, ("00", "C0", "C1", "C3", "CC", "CE", "D4", "D5", "FF")),
    "status_completion": (0.1, ("C1", "D4", "FF")), "privilege_completion": (0.05, ("81", "D4")),
    "lose_probe_request": (0.1, ("1", "2", "all")),
    "lose_probe_response": (0.1, ("1", "1,2", "all")),
    "reorder": (0.15, (20, 60)), "jitter_ms": (0.15, (5, 50)),
    "control_drops_session": (0.1, ("on",)), "sel": (0.1, ("off",)),
    "sel_records": (0.3, ("os", "both", "none", "noise")), "sel_delay_ms": (0.1, (SEL_MS,)),
    "sel_full": (0.1, ("on",)), "sel_refuses_late": (0.3, ("on",)),
    "sel_completion": (0.1, ("CB", "CE", "D4", "FF")),
    "power": (0.05, ("off",)), "blackhole": (0.03, ("on",)),
}
# Codes after which a BMC may have executed all the same: it would lie with another.
UNSURE = ("C3", "CE", "FF")


class Misdeeds(lab.TestCase):
    def setUp(self):
        seed = int(os.environ.get("NMID_TEST_SEED") or random.SystemRandom().randrange(2**32))
        print(f"NMID_TEST_SEED={seed}", flush=True)
        self.random = random.Random(seed)
        count = NODES * len(VERSIONS)
        # one more, that is a clock: see wait_for_executions()
        self.sim = self.bmcsim("--count", str(count + 1), "--seed", str(seed), first="127.6.0.1")
        self.clock = self.sim.address(count)
        self.addresses = {f"n{i}": self.sim.address(i) for i in range(count)}
        self.versions = {f"n{i}": list(VERSIONS)[i // NODES] for i in range(count)}

    def misbehave(self, address):
        """A new mix of misdeeds; returns it."""
        mix = {key: self.random.choice(values) for key, (chance, values) in MISDEEDS.items()
               if self.random.random() < chance}
        if mix.get("completion") in UNSURE and self.random.random() < 0.5:
            mix["completion_executes"] = "on"
        for key, value in mix.items():
            self.sim.set(address, key, value)
        self.sim.set(address, "reorder_ms", 200)
        if self.random.random() < 0.3:  # an interrupt of an earlier day
            self.sim.sel_add(address, 0x13, 0)
        return mix

    def inject_all(self, nmid):
        """{name: finished action}"""
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": list(self.addresses)})
        self.assertEqual(status, 202, batch)
        actions = {}
        for name, action in zip(self.addresses, batch["actions"]):
            _, _, actions[name] = self.request(nmid, "GET",
                                               f"/agent/v1/actions/{action['id']}?wait=60")
            self.assertEqual(actions[name]["state"], "finished")
        return actions

    def wait_for_executions(self):
        """bmcsim does what is late in the order of its time: this pong is behind all executions."""
        self.sim.set(self.clock, "delay_ms", max(EXECUTE_MS) + SEL_MS + 300)
        self.assertIsNotNone(lab.ping(self.clock, self.sim.port, 10))

    def check(self, address, mix, action):
        counters = self.sim.counters(address)
        outcome, code, nmi = action["outcome"], action["code"], counters["nmi"]
        self.assertLessEqual(counters["control_4"], 1, "datagrams of Chassis Control")
        self.assertLessEqual(nmi, 1)
        if outcome == "delivered":
            self.assertEqual((nmi, counters["control_4"]), (1, 1))
        elif outcome == "failed":
            self.assertEqual(nmi, 0)
            if action["sent_at"] is None:
                self.assertEqual(counters["control_4"], 0)
        else:
            self.assertEqual(outcome, "unknown")
            self.assertIn(code, ("no-answer", "completion-code"))
            self.assertIsNotNone(action["sent_at"])
        if outcome == "delivered" and "completion_code" not in action["evidence"]:
            self.assertEqual(action["evidence"]["sel"], "interrupt-recorded")
        elif action["sent_at"] is not None and code != "no-answer":
            # What nmid takes for the BMC's word is that, whatever else tells another code.
            said = mix.get("completion", "00")
            if mix.get("power") == "off" and (said == "00" or "completion_executes" in mix):
                said = "D5"
            self.assertEqual(action["evidence"]["completion_code"], said)

    def test_one_chassis_control_and_the_truth(self):
        nmid = self.nmid([lab.node(name, self.sim, address, **VERSIONS[self.versions[name]])
                          for name, address in self.addresses.items()],
                         ipmi={"timeout_ms": 2500, "answer_ms": ANSWER_MS, "retransmit_ms": 80,
                               "auth_pause_s": 0})
        tally, outcomes = collections.Counter(), collections.Counter()
        for number in range(ROUNDS):
            self.sim.control("reset all")
            mixes = {name: self.misbehave(address) for name, address in self.addresses.items()}
            actions = self.inject_all(nmid)
            self.wait_for_executions()
            for name, action in actions.items():
                with self.subTest(name, round=number, mix=mixes[name], action=action):
                    self.check(self.addresses[name], mixes[name], action)
                version = self.versions[name]
                tally[version, action["outcome"], action["code"] or "-"] += 1
                outcomes[version, action["outcome"]] += 1
        for key in sorted(tally):
            print(*key, tally[key])
        for version in VERSIONS:
            with self.subTest("the mix means something", version=version):
                self.assertGreaterEqual(outcomes[version, "delivered"], NODES * ROUNDS * 0.1)
                self.assertGreaterEqual(outcomes[version, "failed"], 10)
                self.assertGreaterEqual(outcomes[version, "unknown"], 10)


if __name__ == "__main__":
    lab.main()
