# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract 1 from outside, row by row (docs/contract-nova.md): a running nmid, simulated BMCs."""
import threading

import lab

MALFORMED = "Malformed request body"


class Nova(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "12")

    def node(self, name, index, **keys):
        return lab.node(name, self.sim, self.sim.address(index), **keys)

    def act(self, nmid, ident, body=None, method="POST", headers=None, **options):
        return self.request(nmid, method, f"/v2.1/servers/{ident}/action",
                            {"inject_nmi": None} if body is None else body, headers, **options)

    def expect(self, answer, status, key, message=None):
        self.assertEqual(answer[0], status, answer[2])
        self.assertEqual(list(answer[2]), [key])
        self.assertEqual(answer[2][key]["code"], status)
        self.assertEqual(set(answer[2][key]), {"code", "message"})
        self.assertEqual(answer[1]["Content-Type"], "application/json")
        self.assertTrue(answer[1]["X-Openstack-Request-Id"].startswith("req-"))
        self.assertIsNone(answer[1]["Retry-After"])
        if message is not None:
            self.assertEqual(answer[2][key]["message"], message)
        return answer[2][key]["message"]

    def test_delivered(self):
        nmid = self.nmid([self.node("n1", 0)])
        for count, method in enumerate(("PUT", "POST"), 1):
            status, headers, body = self.act(nmid, "n1", method=method)
            self.assertEqual((status, body, self.sim.count()), (202, b"", count))
            self.assertEqual(headers["OpenStack-API-Version"], "compute 2.1")
            self.assertEqual(headers["X-OpenStack-Nova-API-Version"], "2.1")
            self.assertEqual(headers.get_all("Vary"),
                             ["OpenStack-API-Version", "X-OpenStack-Nova-API-Version"])
            identity = headers["X-Openstack-Request-Id"]
            action = self.request(nmid, "GET", f"/agent/v1/actions/{identity}")[2]
            self.assertEqual((action["outcome"], action["contract"], action["caller"]["address"]),
                             ("delivered", "nova", "127.0.0.1"))

    def test_not_delivered(self):
        sim = self.sim
        sim.set(sim.address(1), "completion", "d5")
        sim.set(sim.address(2), "completion", "c1")
        sim.set(sim.address(3), "password", "another")
        sim.set(sim.address(4), "blackhole", "on")
        sim.set(sim.address(5), "power", "off")
        names = ("ok", "state", "invalid", "password", "silent", "off")
        nmid = self.nmid([self.node(name, i) for i, name in enumerate(names)] +
                         [{"uuid": lab.node_uuid("bare"), "name": "bare", "driver": "noop"}],
                         ipmi={"timeout_ms": 2000, "answer_ms": 1000, "retransmit_ms": 200})
        for name in ("state", "invalid", "password", "silent", "bare"):
            with self.subTest(name):
                self.assertNotEqual(self.expect(self.act(nmid, name), 400, "badRequest"), "")
        self.expect(self.act(nmid, "off"), 409, "conflictingRequest")
        self.assertEqual(sim.control("total")["sum"]["nmi"], 0)

    def test_unknown(self):
        self.sim.set(self.sim.address(0), "lose_response", "control:9")
        self.sim.set(self.sim.address(0), "sel", "off")
        nmid = self.nmid([self.node("n1", 0)],
                         ipmi={"timeout_ms": 3000, "answer_ms": 500, "retransmit_ms": 200})
        answer = self.act(nmid, "n1")
        message = self.expect(answer, 400, "badRequest")
        self.assertIn("unknown", message)
        self.assertIn(answer[1]["X-Openstack-Request-Id"], message)
        self.assertIn("Do not send it again", message)
        self.assertEqual(self.sim.counters()["control_4"], 1)

    def test_not_found(self):
        nmid = self.nmid([self.node("n1", 0)])
        for ident, shown in (("n2", "n2"), (lab.node_uuid("n2"), lab.node_uuid("n2")),
                             ("%C3%A4", "ä"), ("n1%20", "n1 "), ("n1%00", "n1%00"), ("..", "..")):
            self.expect(self.act(nmid, ident), 404, "itemNotFound",
                        f"Instance {shown} could not be found.")

    def test_statuses(self):
        allowed = {"inject_nmi": {"ACTIVE", "ERROR"},
                   "trigger_crash_dump": {"ACTIVE", "PAUSED", "RESCUED", "RESIZED", "ERROR"}}
        states = ("ACTIVE", "PAUSED", "RESCUED", "RESIZED", "ERROR", "SHUTOFF", "SUSPENDED", "BUILD")
        nmid = self.nmid([self.node(state, i, status=state) for i, state in enumerate(states)])
        version = {"OpenStack-API-Version": "compute 2.17"}
        for action, good in allowed.items():
            for state in states:
                with self.subTest(action=action, state=state):
                    answer = self.act(nmid, state, {action: None}, headers=version)
                    if state in good:
                        self.assertEqual(answer[0], 202)
                    else:
                        self.expect(answer, 409, "conflictingRequest")
        for index, state in enumerate(states):
            self.assertEqual(self.sim.count(self.sim.address(index)),
                             sum(state in good for good in allowed.values()))

    def test_status_message(self):
        nmid = self.nmid([self.node("n1", 0, status="SUSPENDED")])
        self.expect(self.act(nmid, "n1"), 409, "conflictingRequest",
                    f"Cannot 'inject_nmi' instance {lab.node_uuid('n1')} while it is in vm_state "
                    "suspended")

    def test_locked_is_no_matter_to_an_administrator(self):
        nmid = self.nmid([self.node("n1", 0, locked=True)])
        self.assertEqual(self.act(nmid, "n1")[0], 202)

    def test_hold_off(self):
        nmid = self.nmid([self.node("n1", 0)], hold_off_s=300)
        first = self.act(nmid, "n1")
        self.assertEqual(first[0], 202)
        message = self.expect(self.act(nmid, "n1"), 409, "conflictingRequest")
        self.assertIn(first[1]["X-Openstack-Request-Id"], message)
        self.assertEqual(self.sim.count(), 1)

    def test_in_flight(self):
        self.sim.set(self.sim.address(0), "control_delay_ms", "700")
        nmid = self.nmid([self.node("n1", 0)])
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.act(nmid, "n1")))
        thread.start()
        lab.wait_for(lambda: self.request(nmid, "GET", "/healthz")[2]["in_flight"] == 1)
        self.expect(self.act(nmid, "n1"), 409, "conflictingRequest")
        thread.join()
        self.assertEqual((answers[0][0], self.sim.count()), (202, 1))

    def test_bodies(self):
        nmid = self.nmid([self.node("n1", 0)])
        headers = {"Content-Type": "application/json"}
        for body in (b"", b"{", b"[]", b"null", b'"inject_nmi"', b"{}", b"\xff",
                     b'{"inject_nmi": null, "reboot": null}', b'{"inject_nmi": null} x',
                     b'{"inject_nmi": null, "inject_nmi": null}', b"[" * 10000,
                     b'{"inject_nmi": 1e999}', b'{"inject_nmi": ' + b"9" * 400 + b"}"):
            with self.subTest(body[:40]):
                self.expect(self.act(nmid, "n1", body, headers=headers), 400, "badRequest",
                            MALFORMED)
        for kind in ("text/plain", "application/xml", "application/x-www-form-urlencoded"):
            self.expect(self.act(nmid, "n1", b'{"inject_nmi": null}',
                                 headers={"Content-Type": kind}), 400, "badRequest", MALFORMED)
        for value in ({}, [], "now", 0, False, 1.5, {"type": "soft"}, "it's"):
            self.expect(self.act(nmid, "n1", {"inject_nmi": value}), 400, "badRequest",
                        f"Invalid input for field/attribute inject_nmi. Value: {value}. "
                        f"{value!r} is not of type 'null'")
        for name in ("reboot", "inject_NMI", "", "<b>\"\n\x1b"):
            self.expect(self.act(nmid, "n1", {name: None}), 400, "badRequest",
                        f"There is no such action: {name}")
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)

    def test_order(self):
        """Version, body, node, status: the first that is wrong is told."""
        nmid = self.nmid([self.node("n1", 0, status="SHUTOFF")])
        bad = {"OpenStack-API-Version": "compute junk"}
        self.expect(self.act(nmid, "none", {"x": None}, headers=bad), 400, "badRequest",
                    "API Version String junk is of invalid format. Must be of format "
                    "MajorNum.MinorNum.")
        self.expect(self.act(nmid, "none", {"x": None}), 400, "badRequest",
                    "There is no such action: x")
        self.expect(self.act(nmid, "none"), 404, "itemNotFound")
        self.expect(self.act(nmid, "n1"), 409, "conflictingRequest")

    def test_versions(self):
        nmid = self.nmid([self.node("n1", 0)])
        dump = {"trigger_crash_dump": None}
        for headers in ({}, {"OpenStack-API-Version": "compute 2.16"},
                        {"OpenStack-API-Version": "volume 2.17"}):
            self.expect(self.act(nmid, "n1", dump, headers=headers), 404, "itemNotFound",
                        "The resource could not be found.")
        self.assertEqual(self.sim.count(), 0)
        for count, (name, value, shown) in enumerate((
                ("OpenStack-API-Version", "compute 2.17", "2.17"),
                ("OPENSTACK-API-VERSION", "Compute 2.93", "2.93"),
                ("OpenStack-API-Version", "compute latest", "2.93"),
                ("OpenStack-API-Version", "volume 3.1, compute 2.18,identity 3", "2.18"),
                ("X-OpenStack-Nova-API-Version", "2.17", "2.17"),
                ("X-OpenStack-Nova-API-Version", "latest", "2.93")), 1):
            status, headers, _ = self.act(nmid, "n1", dump, headers={name: value})
            self.assertEqual((status, self.sim.count()), (202, count), value)
            self.assertEqual(headers["OpenStack-API-Version"], f"compute {shown}")
            self.assertEqual(headers["X-OpenStack-Nova-API-Version"], shown)
        answer = self.act(nmid, "n1", headers={"OpenStack-API-Version": "compute 2.999"})
        self.expect(answer, 406, "computeFault", "Version 2.999 is not supported by the API. "
                                                 "Minimum is 2.1 and maximum is 2.93.")
        self.assertEqual(answer[1]["OpenStack-API-Version"], "compute 2.999")
        self.expect(self.act(nmid, "n1", headers={"X-OpenStack-Nova-API-Version": "junk"}), 400,
                    "badRequest", "API Version String junk is of invalid format. Must be of format "
                    "MajorNum.MinorNum.")

    def test_idempotency_key(self):
        nmid = self.nmid([self.node("n1", 0), self.node("n2", 1)])
        key = {"Idempotency-Key": "once"}
        first = self.act(nmid, "n1", headers=key)
        again = self.act(nmid, "n1", headers=key, method="PUT")
        self.assertEqual((first[0], again[0]), (202, 202))
        self.assertEqual(first[1]["X-Openstack-Request-Id"], again[1]["X-Openstack-Request-Id"])
        self.assertEqual(self.sim.count(), 1)
        self.expect(self.act(nmid, "n1", {"trigger_crash_dump": None},
                             headers={**key, "OpenStack-API-Version": "compute 2.17"}),
                    422, "computeFault")
        self.assertEqual(self.act(nmid, "n2", headers=key)[0], 202)  # its scope is one node
        self.assertEqual(self.sim.count(self.sim.address(1)), 1)
        for bad in ("", "k" * 256, "a\tb", "ä"):
            self.expect(self.act(nmid, "n1", headers={"Idempotency-Key": bad.encode()}), 400,
                        "badRequest")
        self.assertEqual(self.sim.count(), 1)

    def test_idempotency_key_in_flight(self):
        self.sim.set(self.sim.address(0), "control_delay_ms", "500")
        nmid = self.nmid([self.node("n1", 0)])
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            self.act(nmid, "n1", headers={"Idempotency-Key": "k"}))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([answer[0] for answer in answers], [202] * 8)
        self.assertEqual(len({answer[1]["X-Openstack-Request-Id"] for answer in answers}), 1)
        self.assertEqual(self.sim.count(), 1)

    def test_not_found_and_not_allowed(self):
        nmid = self.nmid([self.node("n1", 0)])
        answer = self.request(nmid, "GET", "/v2.1/servers/n1/action")
        self.expect(answer, 405, "badMethod")
        self.assertEqual(answer[1]["Allow"], "POST, PUT")
        for path in ("/v2.1/servers//action", "/v2.1/servers/n1/actions", "/v2.1/x"):
            self.expect(self.request(nmid, "POST", path, {"inject_nmi": None}), 404,
                        "itemNotFound", "The resource could not be found.")


if __name__ == "__main__":
    lab.main()
