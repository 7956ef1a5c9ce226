# SPDX-License-Identifier: GPL-3.0-or-later
"""BMCs that misbehave: what the caller is told, and how often the interrupt was sent and executed."""
from concurrent.futures import ThreadPoolExecutor

import lab

# docs/ipmi.md, rule 5.
FAILED = {0xC0: "refused", 0xC1: "unsupported", 0xC2: "refused", 0xCC: "unsupported",
          0xD3: "refused", 0xD4: "privilege", 0xD5: "refused", 0xD6: "refused", 0xCD: "refused",
          **{code: "refused" for code in range(0xC5, 0xCC)}}


class Faults(lab.TestCase):
    def lab_of(self, settings, sim_args=(), nodes=None, **ipmi):
        """A BMC and node per name in settings: {name: {key: value}}; nodes: {name: driver_info}."""
        self.sim = self.bmcsim("--count", str(len(settings)), *sim_args)
        self.addresses = {}
        conf = []
        for i, (name, keys) in enumerate(settings.items()):
            address = self.addresses[name] = self.sim.address(i)
            for key, value in keys.items():
                self.sim.set(address, key, value)
            conf.append(lab.node(name, self.sim, address, **(nodes or {}).get(name, {})))
        self.daemon = self.nmid(conf, ipmi=ipmi) if ipmi else self.nmid(conf)

    def inject(self, name):
        """The finished action."""
        status, _, action = self.request(self.daemon, "POST", f"/agent/v1/nodes/{name}/actions",
                                         {"action": "inject_nmi"})
        self.assertEqual(status, 202, action)
        status, _, action = self.request(self.daemon, "GET",
                                         f"/agent/v1/actions/{action['id']}?wait=60", timeout=90)
        self.assertEqual((status, action["state"]), (200, "finished"))
        return action

    def inject_all(self):
        with ThreadPoolExecutor(64) as pool:
            return dict(zip(self.addresses, pool.map(self.inject, self.addresses)))

    def counters(self, name):
        return self.sim.counters(self.addresses[name])

    def test_each_refusal_in_words(self):
        self.lab_of({"password": {"password": "other"}, "user": {"user": "root"},
                     "off": {"power": "off"}, "kg": {"k_g": "0123456789abcdef0123456789abcdef01234567"},
                     "suite": {"suites": "3"}, "level": {"privilege": "user"},
                     "v15": {"version": "1.5"}, "dead": {"blackhole": "on"},
                     "busy": {"session_limit": "0"}, "locked": {"status_completion": "D4"}},
                    nodes={"suite": {"ipmi_cipher_suite": 17}}, timeout_ms=4000, answer_ms=1000)
        at = {name: f"{address}:{self.sim.port}" for name, address in self.addresses.items()}
        expected = {
            "password": ("password", f"the BMC at {at['password']} refused the password of user admin"),
            "user": ("user", f"the BMC at {at['user']} knows no user admin"),
            "off": ("powered-off", "powered off; no interrupt was sent"),
            "kg": ("password", "probably wants a K_g (ipmi_hex_kg_key)"),
            "suite": ("cipher-suite", f"the BMC at {at['suite']} refused cipher suite 17"),
            "level": ("privilege", "user admin may not act as OPERATOR"),
            "v15": ("cipher-suite", "does not speak IPMI 2.0"),
            "dead": ("unreachable", f"no answer from the BMC at {at['dead']} within 4.0 s; no interrupt was sent"),
            "busy": ("bmc-busy", "had no free session"),
        }
        actions = self.inject_all()
        for name, (code, words) in expected.items():
            with self.subTest(name):
                action = actions[name]
                self.assertEqual((action["outcome"], action["code"]), ("failed", code), action)
                self.assertIn(words, action["message"])
                self.assertIsNone(action["sent_at"])
                counters = self.counters(name)
                self.assertEqual((counters["control_4"], counters["nmi"]), (0, 0))
                # With another K_g nobody can close what the BMC takes for open: it lets it time out.
                self.assertEqual(counters["sessions_active"], 1 if name == "kg" else 0)
        # A BMC that refuses the status: go on, and say so.
        self.assertEqual(actions["locked"]["outcome"], "delivered")
        self.assertEqual(actions["locked"]["evidence"]["power"], "unchecked")
        self.assertNotIn("secret", self.daemon.log())

    def test_wrong_password_over_1_5(self):
        self.lab_of({"old": {"password": "other"}, "user": {"user": "root"}},
                    nodes={name: {"ipmi_protocol_version": "1.5"} for name in ("old", "user")},
                    retransmit_ms=100)
        actions = self.inject_all()
        self.assertEqual(actions["old"]["code"], "password")
        self.assertIn("does not answer Activate Session", actions["old"]["message"])
        self.assertEqual(actions["user"]["code"], "user")
        self.assertEqual(self.counters("old")["control_4"], 0)

    def test_every_completion_code(self):
        codes = [0x01, 0x7F, 0x80, *range(0xC0, 0xD8), 0xFF]
        self.lab_of({f"code-{code:02x}": {"completion": f"{code:02X}"} for code in codes})
        actions = self.inject_all()
        for code in codes:
            with self.subTest(f"{code:02X}"):
                action = actions[f"code-{code:02x}"]
                expected = (("failed", FAILED[code]) if code in FAILED
                            else ("unknown", "completion-code"))
                self.assertEqual((action["outcome"], action["code"]), expected)
                self.assertIn(f"{code:02X}h", action["message"])
                self.assertEqual(action["evidence"]["completion_code"], f"{code:02X}")
                self.assertEqual(self.counters(f"code-{code:02x}")["control_4"], 1)

    def test_the_first_reply_lost_never_gives_two(self):
        """Every client that we measured executes it twice here, and reports success. (More about the
        silence after the interrupt: test_ipmi_silence.py.)"""
        kinds = ("auth_cap", "open", "rakp1", "rakp3", "privilege", "status", "control", "close")
        self.lab_of({f"{way}-{kind}": {f"lose_{way}": f"{kind}:1"}
                     for kind in kinds for way in ("request", "response")},
                    retransmit_ms=200, answer_ms=1500, timeout_ms=15000)
        actions = self.inject_all()
        for name, action in actions.items():
            with self.subTest(name):
                counters = self.counters(name)
                self.assertEqual(counters["control_4"], 1, "datagrams of Chassis Control")
                self.assertEqual(counters["nmi"], 0 if name == "request-control" else 1)
                if name == "response-control":
                    self.assertEqual((action["outcome"], action["evidence"]["sel"]),
                                     ("delivered", "interrupt-recorded"))
                elif name == "request-control":
                    self.assertEqual((action["outcome"], action["code"]), ("unknown", "no-answer"))
                    self.assertIn("it may have been delivered", action["message"])
                    self.assertIsNotNone(action["sent_at"])
                else:
                    self.assertEqual(action["outcome"], "delivered", action)

    def test_silence_after_the_interrupt_over_1_5(self):
        old = {"ipmi_protocol_version": "1.5"}
        self.lab_of({f"lose-{kind}": {"lose_response": f"{kind}:1"}
                     for kind in ("auth_cap", "challenge", "activate", "privilege", "status",
                                  "control", "close")},
                    nodes={f"lose-{kind}": old for kind in
                           ("auth_cap", "challenge", "activate", "privilege", "status", "control",
                            "close")},
                    retransmit_ms=200, answer_ms=1500, sel_evidence="never")
        for name, action in self.inject_all().items():
            with self.subTest(name):
                counters = self.counters(name)
                self.assertEqual((counters["control_4"], counters["nmi"]), (1, 1))
                self.assertEqual(action["outcome"],
                                 "unknown" if name == "lose-control" else "delivered")

    def test_slow_bmcs_work_with_the_defaults(self):
        """1.5 s round trips (ipmitool and ipmipower reach nobody at 1.2 s), and an answer after 9 s."""
        self.lab_of({"far": {"delay_ms": "1500"}, "thinks": {"control_delay_ms": "9000"}, "near": {}})
        actions = self.inject_all()
        for name in self.addresses:
            with self.subTest(name):
                self.assertEqual(actions[name]["outcome"], "delivered", actions[name])
                counters = self.counters(name)
                self.assertEqual((counters["control_4"], counters["nmi"]), (1, 1))
                self.assertEqual(counters["sessions_opened"], 1)
        self.assertGreaterEqual(actions["thinks"]["evidence"]["answered_after_ms"], 9000)

    def test_an_answer_that_comes_too_late_stays_unknown(self):
        self.lab_of({"late": {"control_delay_ms": "2500"}}, answer_ms=1000, timeout_ms=10000,
                    sel_evidence="never")
        action = self.inject("late")
        self.assertEqual((action["outcome"], action["code"]), ("unknown", "no-answer"))
        self.assertEqual(self.counters("late")["control_4"], 1)
        self.assertEqual(self.inject("late")["outcome"], "unknown")  # each action once, no more
        self.assertEqual(self.counters("late")["control_4"], 2)

    def test_hostile_datagrams_are_ignored_and_counted(self):
        flags = ("garbage", "oversize", "wrong_session", "wrong_seq", "wrong_rqseq", "bad_authcode",
                 "stray", "duplicate_out")
        for version in ("2.0", "1.5"):
            with self.subTest(version):
                # The copies tell the opposite: who takes one reports something else. (In 1.5 the copy of
                # the answer to Activate Session proves the password, and its number is not looked at.)
                honest = ("duplicate_out",) if version == "2.0" else ("duplicate_out", "wrong_seq")
                self.lab_of({flag: {flag: "on", "lie": "off" if flag in honest else "on"}
                             for flag in flags},
                            nodes={flag: {"ipmi_protocol_version": version} for flag in flags})
                actions = self.inject_all()
                for flag in flags:
                    with self.subTest(flag):
                        self.assertEqual(actions[flag]["outcome"], "delivered", actions[flag])
                        counters = self.counters(flag)
                        self.assertEqual((counters["control_4"], counters["nmi"]), (1, 1))
                        if flag not in ("stray", "oversize", "bad_authcode"):
                            self.assertGreater(actions[flag]["evidence"]["ignored_datagrams"], 0)

    def test_mutated_and_truncated_answers_never_lie(self):
        settings = {f"mutate-{i}": {"mutate": "30"} for i in range(40)}
        settings.update({f"cut-{n}": {"truncate": str(n)} for n in range(0, 60, 5)})
        self.lab_of(settings, ("--seed", "7"), retransmit_ms=100, answer_ms=1000, timeout_ms=5000)
        for name, action in self.inject_all().items():
            with self.subTest(name):
                counters = self.counters(name)
                self.assertLessEqual(counters["control_4"], 1)
                if action["outcome"] == "delivered":
                    self.assertEqual(counters["nmi"], 1)
                if action["outcome"] == "failed":
                    self.assertEqual(counters["nmi"], 0, action)


class Fleet(lab.TestCase):
    def test_200_nodes_at_once_20_dead_and_one_that_says_everything_twice(self):
        sim = self.bmcsim("--count", "200", "--set", "delay_ms=20")
        for i in range(20):
            sim.set(sim.address(10 * i), "blackhole", "on")
        sim.set(sim.address(5), "duplicate_out", "on")
        nmid = self.nmid([lab.node(f"n{i}", sim, sim.address(i)) for i in range(200)],
                         ipmi={"timeout_ms": 3000, "answer_ms": 2000})
        done = self.nmictl(nmid, "inject-nmi", "--parallel", "200", "n[0-199]")
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        lines = done.stdout.splitlines()
        self.assertEqual(sum(line.endswith("  delivered") for line in lines), 180, done.stdout)
        self.assertEqual(sum(1 for line in lines if "no answer from the BMC" in line), 20)
        for i in range(200):
            counters = sim.counters(sim.address(i))
            self.assertEqual(counters["nmi"], 0 if i % 10 == 0 else 1, f"n{i}")
            self.assertEqual(counters["sessions_active"], 0)


if __name__ == "__main__":
    lab.main()
