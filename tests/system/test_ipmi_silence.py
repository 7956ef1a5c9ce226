# SPDX-License-Identifier: GPL-3.0-or-later
"""Silence after the interrupt: what nmid says, with which evidence, and what the BMC did. Over
IPMI 2.0 (suites 17 and 3) and 1.5; with and without the System Event Log; with resend and
retry_busy. The rule is docs/ipmi.md's."""
from concurrent.futures import ThreadPoolExecutor

import lab

VERSIONS = {"17": {"ipmi_cipher_suite": 17}, "3": {"ipmi_cipher_suite": 3},
            "15": {"ipmi_protocol_version": "1.5"}}
ANSWER_MS = 400
LATER = "later"  # in milliseconds: behind all that nmid does for an action, with the SEL or without
LATER_MS = {True: 8000, False: 2500}
TIMES = {"answer_ms": ANSWER_MS, "retransmit_ms": 100, "timeout_ms": 5000}
LOST_IN, LOST_OUT = {"lose_request": "control:1"}, {"lose_response": "control:1"}

# name: (keys of the BMC, NMIs executed, sequence, gap, what the SEL says). Without the SEL the
# outcome is unknown; with it, delivered where it says interrupt-recorded.
SILENT = {
    "request-lost": (LOST_IN, 0, "no-answer-seen", 1, "nothing-new"),
    "response-lost": (LOST_OUT, 1, "answered-but-lost", 2, "interrupt-recorded"),
    # Of the first probe one datagram gets lost too: u = 1.
    "request-and-probe-lost": ({**LOST_IN, "lose_probe_request": "1"}, 0, "no-answer-seen", 1,
                               "nothing-new"),
    "request-and-probe-answer-lost": ({**LOST_IN, "lose_probe_response": "1"}, 0, "ambiguous", 2,
                                      "nothing-new"),
    "response-and-probe-lost": ({**LOST_OUT, "lose_probe_request": "1"}, 1, "ambiguous", 2,
                                "interrupt-recorded"),
    "response-and-probe-answer-lost": ({**LOST_OUT, "lose_probe_response": "1"}, 1,
                                       "answered-but-lost", 3, "interrupt-recorded"),
    # The BMC takes its time: the answer comes when nobody can hear it any more.
    "too-late": ({"control_delay_ms": LATER}, 1, "no-answer-seen", 1, "interrupt-recorded"),
    "deferred": ({"execute_delay_ms": LATER}, 1, "no-answer-seen", 1, "nothing-new"),
    # What the SEL may say.
    "sel-os": ({**LOST_OUT, "sel_records": "os"}, 1, "answered-but-lost", 2, "os-stopped"),
    "sel-both": ({**LOST_OUT, "sel_records": "both"}, 1, "answered-but-lost", 2,
                 "interrupt-recorded"),
    "sel-none": ({**LOST_OUT, "sel_records": "none"}, 1, "answered-but-lost", 2, "nothing-new"),
    "sel-noise": ({**LOST_OUT, "sel_records": "noise"}, 1, "answered-but-lost", 2, "nothing-new"),
    "sel-off": ({**LOST_OUT, "sel": "off"}, 1, "answered-but-lost", 2, "none"),
    "sel-full": ({**LOST_OUT, "sel_full": "on"}, 1, "answered-but-lost", 2, "nothing-new"),
    "sel-refuses": ({**LOST_OUT, "sel_completion": "CE", "sel_refuses_late": "on"}, 1,
                    "answered-but-lost", 2, "unreadable"),
    "sel-soon": ({**LOST_OUT, "sel_delay_ms": ANSWER_MS // 2}, 1, "answered-but-lost", 2,
                 "interrupt-recorded"),
    "sel-in-time": ({**LOST_OUT, "sel_delay_ms": 1500}, 1, "answered-but-lost", 2,
                    "interrupt-recorded"),
    "sel-later": ({**LOST_OUT, "sel_delay_ms": LATER}, 1, "answered-but-lost", 2,
                  "nothing-new"),
    # An NMI of last week is none of today's.
    "sel-old": (LOST_IN, 0, "no-answer-seen", 1, "nothing-new"),
    "sel-old-and-new": (LOST_OUT, 1, "answered-but-lost", 2, "interrupt-recorded"),
    "sel-many": (LOST_OUT, 1, "answered-but-lost", 2, "interrupt-recorded"),
}
EARLIER = {"sel-old": [(0x13, 0)], "sel-old-and-new": [(0x13, 0), (0x20, 1)],
           "sel-many": [(4, 2)] * 20}
# An answer comes: name: (keys of the BMC, "on-time" or "late").
ANSWERED = {
    "plain": ({}, "on-time"),
    "silent-log": ({"sel_records": "none"}, "on-time"),
    "slow": ({"control_delay_ms": ANSWER_MS // 2}, "on-time"),
    "blocked": ({"control_delay_ms": ANSWER_MS * 3 // 2, "control_blocks": "on"}, "late"),
    "far": ({"delay_ms": 300, "control_delay_ms": 250}, "late"),
}
# No probe is answered: (keys of the BMC, NMIs executed).
DEAD = {
    "dropped": ({"control_drops_session": "on"}, 1),
    "probes-lost": ({**LOST_IN, "lose_probe_request": "all"}, 0),
    "answers-lost": ({**LOST_OUT, "lose_probe_response": "all"}, 1),
}
# With resend = "if-unseen": (keys of the BMC, then without and with the SEL: Chassis Controls, NMIs
# executed, outcome). Two executions are the risk that the manual tells.
UNSEEN = {
    "request-lost": (LOST_IN, (2, 1, "delivered"), (2, 1, "delivered")),
    "both-lost": ({"lose_request": "control:9"}, (2, 0, "unknown"), (2, 0, "unknown")),
    "then-answer-lost": ({**LOST_IN, **LOST_OUT}, (2, 1, "unknown"), (2, 1, "delivered")),
    "response-lost": (LOST_OUT, (1, 1, "unknown"), (1, 1, "delivered")),
    "ambiguous": ({**LOST_IN, "lose_probe_response": "1"}, (1, 0, "unknown"), (1, 0, "unknown")),
    "no-fence": ({**LOST_IN, "lose_response": "close:99"}, (1, 0, "unknown"), (1, 0, "unknown")),
    "dropped": ({"control_drops_session": "on", "sel": "off"}, (1, 1, "unknown"),
                (1, 1, "unknown")),
    "probes-lost": ({**LOST_IN, "lose_probe_request": "all", "sel": "off"}, (1, 0, "unknown"),
                    (1, 0, "unknown")),
    "refused": ({"completion": "C1"}, (1, 0, "failed"), (1, 0, "failed")),
    "unclear": ({"completion": "FF"}, (1, 0, "unknown"), (1, 0, "unknown")),
    "slow": ({"control_delay_ms": ANSWER_MS // 2}, (1, 1, "delivered"), (1, 1, "delivered")),
    "too-late": ({"control_delay_ms": LATER}, (2, 2, "unknown"), (1, 1, "delivered")),
    "too-late-os": ({"control_delay_ms": LATER, "sel_records": "os"}, (2, 2, "unknown"),
                    (1, 1, "unknown")),
    "deferred": ({"execute_delay_ms": LATER}, (2, 2, "unknown"), (2, 2, "unknown")),
}


class Silence(lab.TestCase):
    def lab_of(self, settings, first, **ipmi):
        """A BMC and node per version and name: {name: keys}; self.addresses: {(version, name)}."""
        pairs = [(version, name) for version in VERSIONS for name in settings]
        later = LATER_MS[ipmi.get("sel_evidence") != "never"]
        self.sim = self.bmcsim("--count", str(len(pairs)), first=first)
        self.addresses = {pair: self.sim.address(i) for i, pair in enumerate(pairs)}
        for (_, name), address in self.addresses.items():
            for record in EARLIER.get(name, ()):
                self.sim.sel_add(address, *record)
            for key, value in settings[name].items():
                self.sim.set(address, key, later if value == LATER else value)
        self.daemon = self.nmid([lab.node(f"{version}-{name}", self.sim, address,
                                          **VERSIONS[version])
                                 for (version, name), address in self.addresses.items()],
                                ipmi={**TIMES, **ipmi})

    def inject(self, pair):
        """The finished action."""
        status, _, action = self.request(self.daemon, "POST",
                                         f"/agent/v1/nodes/{'-'.join(pair)}/actions",
                                         {"action": "inject_nmi"})
        self.assertEqual(status, 202, action)
        status, _, action = self.request(self.daemon, "GET",
                                         f"/agent/v1/actions/{action['id']}?wait=60", timeout=90)
        self.assertEqual((status, action["state"]), (200, "finished"))
        return action

    def inject_all(self):
        """{pair: finished action}"""
        with ThreadPoolExecutor(len(self.addresses)) as pool:
            return dict(zip(self.addresses, pool.map(self.inject, self.addresses)))

    def check(self, pair, action, executed, sends=1):
        """What must hold of any action: the outcome is true, and each send was told. A Chassis
        Control counts when it comes: no more is executed than has come."""
        address = self.addresses[pair]
        lab.wait_for(lambda: self.sim.count(address) >= executed, 20, "the execution")
        counters = self.sim.counters(address)
        self.assertEqual((counters["control_4"], counters["nmi"]), (sends, executed))
        self.assertEqual(action["evidence"]["sends"], sends)
        if action["outcome"] == "delivered":
            self.assertGreaterEqual(executed, 1)
        if action["outcome"] == "failed":
            self.assertEqual(executed, 0)
        return counters

    def check_silent(self, pair, action, sel):
        _, executed, sequence, gap, found = SILENT[pair[1]]
        counters = self.check(pair, action, executed)
        evidence = action["evidence"]
        if sel and found == "interrupt-recorded":
            self.assertEqual((action["outcome"], action["code"]), ("delivered", None))
        else:
            self.assertEqual((action["outcome"], action["code"]), ("unknown", "no-answer"))
        self.assertEqual((evidence["sequence"], evidence["sequence_gap"]), (sequence, gap))
        self.assertNotIn("completion_code", evidence)
        lost = sum(key.startswith("lose_probe") for key in SILENT[pair[1]][0])
        self.assertGreaterEqual(evidence["probes"], 1 + lost)
        self.assertEqual(evidence["probes_answered"], evidence["probes"] - lost)
        self.assertIs(evidence["session_closed"], True)
        self.assertEqual(counters["sessions_active"], 0)
        if not sel:
            self.assertEqual(evidence.get("sel", "unchecked"), "unchecked")
            self.assertEqual(counters["sel_requests"], 0)
            return
        self.assertEqual(evidence["sel"], found)
        records = {(record["sensor_type"], record["offset"]): record
                   for record in evidence.get("sel_records", ())}
        written = {"interrupt-recorded": (0x13, 0), "os-stopped": (0x20, 1)}.get(found)
        if written:
            self.assertIn(written, records)
            self.assertEqual(int(records[written]["id"], 16), [
                record["id"] for record in self.sim.sel(self.addresses[pair])
                if (record["sensor_type"], record["offset"]) == written][-1])
            self.assertTrue(records[written]["text"])
        else:
            self.assertEqual(records, {})

    def settings(self):
        return {**{name: row[0] for name, row in SILENT.items()},
                **{name: row[0] for name, row in ANSWERED.items()}}

    def check_answered(self, pair, action, sel):
        counters = self.check(pair, action, 1)
        evidence = action["evidence"]
        self.assertEqual((action["outcome"], evidence["completion_code"]), ("delivered", "00"))
        self.assertEqual(evidence["answer"], ANSWERED[pair[1]][1])
        late = evidence["answer"] == "late"
        self.assertEqual(evidence["answered_after_ms"] > ANSWER_MS, late)
        self.assertEqual(evidence.get("probes", 0) > 0, late)
        if sel == "never":
            self.assertEqual(counters["sel_requests"], 0)
        elif sel == "silence":
            self.assertEqual(evidence.get("sel", "unchecked"), "unchecked")
        else:
            self.assertEqual(evidence["sel"], "nothing-new" if pair[1] == "silent-log"
                             else "interrupt-recorded")

    def everything(self, first, sel, **ipmi):
        self.lab_of(self.settings(), first, **ipmi)
        for pair, action in self.inject_all().items():
            with self.subTest("-".join(pair), action=action):
                if pair[1] in SILENT:
                    self.check_silent(pair, action, sel != "never")
                else:
                    self.check_answered(pair, action, sel)

    def test_sequence_numbers_alone(self):
        self.everything("127.20.1.1", "never", sel_evidence="never")

    def test_the_event_log_in_the_silence_is_the_default(self):
        self.everything("127.20.2.1", "silence")

    def test_the_event_log_always(self):
        self.everything("127.20.3.1", "always", sel_evidence="always")

    def when_sent(self, pair, change):
        """Calls change(address) once its Chassis Control has come; the finished action."""
        address = self.addresses[pair]
        with ThreadPoolExecutor(1) as pool:
            action = pool.submit(self.inject, pair)
            lab.wait_for(lambda: self.sim.counters(address)["control_4"], 10, "the interrupt")
            change(address)
            return action.result()

    def each_when_sent(self, name, change):
        for version in VERSIONS:
            action = self.when_sent((version, name), change)
            yield (version, name), action, action["evidence"]

    def test_a_dead_session(self):
        self.lab_of({name: row[0] for name, row in DEAD.items()}, "127.20.4.1")
        for pair, action in self.inject_all().items():
            with self.subTest("-".join(pair), action=action):
                self.check(pair, action, DEAD[pair[1]][1])
                self.assertEqual((action["outcome"], action["code"]), ("unknown", "no-answer"))
                evidence = action["evidence"]
                self.assertEqual((evidence["sequence"], evidence["probes_answered"]),
                                 ("session-dead", 0))
                self.assertGreater(evidence["probes"], 0)
                self.assertNotIn("sequence_gap", evidence)
                self.assertEqual(evidence["sel"], "unchecked")

    def test_a_bmc_that_dies_after_the_interrupt(self):
        """It hears nothing any more: nothing can be read, and the action ends all the same."""
        self.lab_of({"dies": LOST_OUT}, "127.20.5.1")
        for pair, action, evidence in self.each_when_sent(
                "dies", lambda address: self.sim.set(address, "blackhole", "on")):
            self.check(pair, action, 1)
            self.assertEqual((action["outcome"], action["code"]), ("unknown", "no-answer"))
            self.assertEqual((evidence["sequence"], evidence["session_closed"]),
                             ("session-dead", False))
            self.assertIn(evidence["sel"], ("unreadable", "unchecked"))

    def test_an_event_log_that_is_cleared_meanwhile(self):
        """What is in it then may be of any time: it proves nothing."""
        self.lab_of({"cleared": LOST_IN}, "127.20.6.1")

        def change(address):
            self.sim.control(f"sel_clear {address}")
            self.sim.sel_add(address, 0x13, 0)
        for address in self.addresses.values():
            self.sim.sel_add(address, 4, 2)
        for pair, action, evidence in self.each_when_sent("cleared", change):
            self.check(pair, action, 0)
            self.assertEqual((action["outcome"], evidence["sel"]), ("unknown", "unreadable"))

    def test_a_mark_that_gets_lost(self):
        """The answer to the first one may come late, with a number: that makes gap 2 ambiguous.
        What a BMC that does not answer the mark has in its log is not looked at: it may be old."""
        self.lab_of({"once": {**LOST_OUT, "lose_request": "sel:1"},
                     "each": {**LOST_OUT, "lose_request": "sel:9"}}, "127.20.11.1")
        for pair, action in self.inject_all().items():
            with self.subTest("-".join(pair), action=action):
                self.check(pair, action, 1)
                evidence = action["evidence"]
                self.assertEqual(evidence["sequence"], "ambiguous")
                self.assertEqual((action["outcome"], evidence["sel"]),
                                 ("delivered", "interrupt-recorded") if pair[1] == "once"
                                 else ("unknown", "unchecked"))

    def unseen(self, first, column, **ipmi):
        self.lab_of({name: row[0] for name, row in UNSEEN.items()}, first, resend="if-unseen",
                    **ipmi)
        for pair, action in self.inject_all().items():
            with self.subTest("-".join(pair), action=action):
                sends, executed, outcome = UNSEEN[pair[1]][column]
                if pair[0] == "15" and sends == 2:  # never a resend in 1.5
                    sends, executed, outcome = 1, max(executed - 1, 0), "unknown"
                self.check(pair, action, executed, sends)
                self.assertEqual(action["outcome"], outcome)

    def test_resend_if_unseen(self):
        self.unseen("127.20.7.1", 1, sel_evidence="never")

    def test_resend_if_unseen_asks_the_event_log_first(self):
        self.unseen("127.20.8.1", 2)

    def test_busy_is_tried_again_within_the_deadline(self):
        self.lab_of({"busy": {"completion": "C0"}}, "127.20.9.1", retry_busy=True)
        for pair, action in self.inject_all().items():
            with self.subTest(pair[0], action=action):
                self.assertEqual((action["outcome"], action["code"]), ("failed", "refused"))
                self.assertEqual(action["evidence"]["completion_code"], "C0")
                sends = action["evidence"]["sends"]
                self.assertGreater(sends, 1)
                self.check(pair, action, 0, sends)

    def test_busy_for_a_while(self):
        self.lab_of({"busy": {"completion": "C0"}}, "127.20.10.1", retry_busy=True)
        for pair, action, evidence in self.each_when_sent(
                "busy", lambda address: self.sim.set(address, "completion", "off")):
            self.check(pair, action, 1, evidence["sends"])
            self.assertEqual((action["outcome"], evidence["completion_code"]), ("delivered", "00"))


if __name__ == "__main__":
    lab.main()
