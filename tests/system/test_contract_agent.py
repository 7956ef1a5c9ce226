# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract 4 from outside, call by call (docs/contract-agent.md): a running nmid, simulated BMCs."""
import json
import re
import socket
import threading
import time

import lab

NMI = {"action": "inject_nmi"}
KEYS = {"id", "node_uuid", "node_name", "action", "contract", "caller", "force", "state", "outcome",
        "code",
        "message", "evidence", "created_at", "sent_at", "finished_at"}


class Agent(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "8")

    def node(self, name, index, **keys):
        return lab.node(name, self.sim, self.sim.address(index), **keys)

    def post(self, nmid, ident, body=None, **options):
        return self.request(nmid, "POST", f"/agent/v1/nodes/{ident}/actions", body or NMI, **options)

    def get(self, nmid, path):
        status, _, body = self.request(nmid, "GET", f"/agent/v1/{path}")
        self.assertEqual(status, 200, body)
        return body

    def finished(self, nmid, identity):
        return self.get(nmid, f"actions/{identity}?wait=60")

    def expect(self, answer, status, code):
        self.assertEqual((answer[0], answer[2]["error"]["code"]), (status, code), answer[2])
        self.assertEqual(set(answer[2]), {"error"})
        self.assertEqual(set(answer[2]["error"]), {"code", "message", "action_id"})
        self.assertTrue(answer[1]["X-Openstack-Request-Id"].startswith("req-"))
        return answer[2]["error"]

    def test_one_action(self):
        nmid = self.nmid([self.node("n1", 0)])
        status, headers, action = self.post(nmid, "n1")
        self.assertEqual(status, 202)
        self.assertEqual(set(action), KEYS)
        self.assertEqual(headers["Location"], f"/agent/v1/actions/{action['id']}")
        self.assertEqual(headers["X-Openstack-Request-Id"], action["id"])
        self.assertEqual((action["node_uuid"], action["node_name"], action["contract"]),
                         (lab.node_uuid("n1"), "n1", "agent"))
        action = self.finished(nmid, action["id"])
        self.assertEqual((action["state"], action["outcome"], action["code"]),
                         ("finished", "delivered", None))
        for key in ("created_at", "sent_at", "finished_at"):
            self.assertRegex(action[key], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$")
        self.assertEqual(self.sim.count(), 1)

    def test_refused(self):
        self.sim.set(self.sim.address(2), "control_delay_ms", "700")
        nmid = self.nmid([self.node("n1", 0), self.node("stopped", 1, status="SHUTOFF"),
                          self.node("slow", 2),
                          {"uuid": lab.node_uuid("bare"), "name": "bare", "driver": "noop"}],
                         hold_off_s=300)
        self.expect(self.post(nmid, "none"), 404, "node-not-found")
        self.expect(self.post(nmid, "stopped"), 409, "status")
        self.expect(self.post(nmid, "bare"), 400, "unsupported")
        slow = self.post(nmid, "slow")[2]["id"]
        self.assertEqual(self.expect(self.post(nmid, "slow"), 409, "in-flight")["action_id"], slow)
        identity = self.post(nmid, "n1")[2]["id"]
        self.finished(nmid, identity)
        self.assertEqual(self.expect(self.post(nmid, "n1"), 409, "hold-off")["action_id"], identity)
        self.assertEqual(self.sim.count(), 1)
        # An administrator may pass hold-off and status, but not what is in flight.
        self.expect(self.post(nmid, "slow", {**NMI, "force": True}), 409, "in-flight")
        for ident, index in (("n1", 0), ("stopped", 1)):
            status, _, action = self.post(nmid, ident, {**NMI, "force": True})
            self.assertEqual(status, 202)
            self.assertEqual(self.finished(nmid, action["id"])["outcome"], "delivered")
            self.assertEqual(self.sim.count(self.sim.address(index)), 2 - index)
        self.assertEqual(self.finished(nmid, slow)["outcome"], "delivered")
        self.assertEqual(self.sim.count(self.sim.address(2)), 1)

    def test_bodies(self):
        nmid = self.nmid([self.node("n1", 0)])
        for body in (b"", b"[]", b"{}", b'{"action": 1}', b'{"action": "reboot"}',
                     b'{"action": "inject_nmi", "Force": true}', b'{"action": "inject_nmi"',
                     b'{"action": "inject_nmi", "force": "yes"}', b"\xff", b"[" * 9999,
                     b'{"action": "inject_nmi", "nodes": ["n1"]}'):
            with self.subTest(body[:50]):
                self.expect(self.request(nmid, "POST", "/agent/v1/nodes/n1/actions", body,
                                         {"Content-Type": "application/json"}), 400, "malformed")
        self.expect(self.post(nmid, "n1", {**NMI, "callback_url": "127.0.0.1"}), 400, "malformed")
        error = self.expect(self.post(nmid, "n1", {**NMI, "callback_url": "http://127.0.0.1/"}),
                            403, "forbidden")
        self.assertIn("callback.allow", error["message"])
        self.expect(self.request(nmid, "POST", "/agent/v1/nodes/n1/actions", b"{}",
                                 {"Content-Type": "text/plain"}), 415, "media-type")
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)

    def test_long_poll(self):
        self.sim.set(self.sim.address(0), "control_delay_ms", "2500")
        nmid = self.nmid([self.node("n1", 0)])
        identity = self.post(nmid, "n1")[2]["id"]
        begun = time.monotonic()
        action = self.get(nmid, f"actions/{identity}?wait=1")
        self.assertGreaterEqual(time.monotonic() - begun, 0.95)
        self.assertNotEqual(action["state"], "finished")
        self.assertIsNone(action["outcome"])
        action = self.get(nmid, f"actions/{identity}?wait=300")
        self.assertEqual(action["outcome"], "delivered")
        self.assertLess(time.monotonic() - begun, 20)
        for query in ("wait=301", "wait=-1", "wait=", "wait=1s", "wait=1&wait=1", "w=1"):
            self.expect(self.request(nmid, "GET", f"/agent/v1/actions/{identity}?{query}"), 400,
                        "malformed")
        self.expect(self.request(nmid, "GET", "/agent/v1/actions/req-none"), 404, "not-found")

    def test_history(self):
        nmid = self.nmid([self.node("n1", 0), self.node("n2", 1)])
        ids = []
        for name in ("n1", "n2", "n1", "n1"):
            ids.insert(0, self.post(nmid, name)[2]["id"])
            self.finished(nmid, ids[0])
        listing = self.get(nmid, "actions")
        self.assertEqual([action["id"] for action in listing["actions"]], ids)
        self.assertIsNone(listing["next"])
        seen, query = [], "actions?limit=1"
        while query:
            page = self.get(nmid, query)
            seen += [action["id"] for action in page["actions"]]
            query = page["next"] and f"actions?limit=1&marker={page['next']}"
        self.assertEqual(seen, ids)
        self.assertEqual(len(self.get(nmid, "actions?node=n1")["actions"]), 3)
        self.assertEqual(len(self.get(nmid, f"actions?node={lab.node_uuid('n2')}")["actions"]), 1)
        self.assertEqual(self.get(nmid, "actions?state=accepted")["actions"], [])
        self.assertEqual(len(self.get(nmid, "actions?state=finished")["actions"]), 4)
        for query in ("limit=0", "limit=1001", "limit=x", "state=done", "marker=req-none", "x=1"):
            self.expect(self.request(nmid, "GET", f"/agent/v1/actions?{query}"), 400, "malformed")
        self.expect(self.request(nmid, "GET", "/agent/v1/actions?node=none"), 404, "node-not-found")

    def test_batch(self):
        self.sim.set(self.sim.address(1), "completion", "d5")
        nmid = self.nmid([self.node("n1", 0), self.node("n2", 1), self.node("n3", 2),
                          self.node("stopped", 3, status="SHUTOFF")])
        names = ["n1", "n2", "none", "stopped", "n3", lab.node_uuid("n1"), "n1", "none"]
        status, headers, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                              {**NMI, "nodes": names})
        self.assertEqual(status, 202)
        self.assertEqual(headers["Location"], f"/agent/v1/batches/{batch['id']}")
        self.assertEqual([action["node_name"] for action in batch["actions"]],
                         ["n1", "n2", "none", "stopped", "n3"])
        for action in batch["actions"]:
            self.assertEqual(set(action), KEYS)
            if action["id"]:
                self.finished(nmid, action["id"])
        batch = self.get(nmid, f"batches/{batch['id']}")
        self.assertEqual([(action["outcome"], action["code"]) for action in batch["actions"]],
                         [("delivered", None), ("failed", "refused"),
                          ("failed", "node-not-found"), ("failed", "status"), ("delivered", None)])
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(4)], [1, 0, 1, 0])
        self.expect(self.request(nmid, "GET", "/agent/v1/batches/batch-none"), 404, "not-found")
        for nodes in ([], "n1", [1], [""], ["n1", None], {}):
            self.expect(self.request(nmid, "POST", "/agent/v1/actions", {**NMI, "nodes": nodes}),
                        400, "malformed")
        self.expect(self.request(nmid, "POST", "/agent/v1/actions", NMI), 400, "malformed")

    def test_large_batch(self):
        sim = self.bmcsim("--count", "1000", first="127.2.0.1")
        nmid = self.nmid([lab.node(f"m{i}", sim, sim.address(i)) for i in range(1000)])
        names = [f"m{i}" for i in range(1000)]
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions", {**NMI, "nodes": names})
        self.assertEqual((status, len(batch["actions"])), (202, 1000))
        lab.wait_for(lambda: self.request(nmid, "GET", "/healthz")[2]["delivered"] == 1000, 60)
        total = sim.control("total")
        self.assertEqual((total["once"], total["none"], total["more"]), (1000, 0, 0))
        batch = self.get(nmid, f"batches/{batch['id']}")
        self.assertEqual({action["outcome"] for action in batch["actions"]}, {"delivered"})

    def test_idempotency_key(self):
        nmid = self.nmid([self.node("n1", 0), self.node("n2", 1)])
        key = {"Idempotency-Key": "again and again"}
        answers, path = [], "/agent/v1/nodes/n1/actions"
        threads = [threading.Thread(target=lambda: answers.append(
            self.request(nmid, "POST", path, NMI, key))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({answer[0] for answer in answers}, {202})
        self.assertEqual(len({answer[2]["id"] for answer in answers}), 1)
        self.finished(nmid, answers[0][2]["id"])
        self.expect(self.post(nmid, "n1", {**NMI, "force": True}, headers=key), 422,
                    "idempotency-key")
        batch = {**NMI, "nodes": ["n1", "n2"]}
        one, two = (self.request(nmid, "POST", "/agent/v1/actions", batch,
                                 {"Idempotency-Key": "batch"})[2] for _ in range(2))
        self.assertEqual([action["id"] for action in one["actions"]],
                         [action["id"] for action in two["actions"]])
        for action in one["actions"]:
            self.finished(nmid, action["id"])
        self.assertEqual((self.sim.count(), self.sim.count(self.sim.address(1))), (2, 1))
        self.expect(self.post(nmid, "n1", headers={"Idempotency-Key": "k" * 256}), 400, "malformed")

    def test_nodes(self):
        nmid = self.nmid([self.node("n1", 0, locked=True, instance_uuid=lab.node_uuid("i")),
                          self.node("n2", 1, status="SHUTOFF")])
        nodes = self.get(nmid, "nodes")["nodes"]
        self.assertEqual([node["name"] for node in nodes], ["n1", "n2"])
        node = self.get(nmid, f"nodes/{lab.node_uuid('i')}")
        self.assertEqual(node, nodes[0])
        self.assertEqual(set(node), {"uuid", "name", "instance_uuid", "project_id", "status",
                                     "status_source", "locked", "lock_source", "driver",
                                     "driver_info", "bmc"})
        self.assertEqual((node["uuid"], node["locked"], node["driver"]),
                         (lab.node_uuid("n1"), True, "ipmi"))
        self.assertEqual(node["driver_info"]["ipmi_password"], "******")
        self.assertNotIn("secret", str(nodes))
        self.expect(self.request(nmid, "GET", "/agent/v1/nodes/none"), 404, "node-not-found")

    def test_probe(self):
        self.sim.set(self.sim.address(1), "power", "off")
        self.sim.set(self.sim.address(2), "password", "another")
        nmid = self.nmid([self.node(name, i) for i, name in enumerate(("on", "off", "bad"))])
        for name in ("on", "off"):
            status, _, probe = self.request(nmid, "POST", f"/agent/v1/nodes/{name}/probe")
            self.assertEqual((status, probe["power"]), (200, name))
            self.assertEqual((probe["node_uuid"], probe["node_name"]), (lab.node_uuid(name), name))
            self.assertEqual(probe["cipher_suite"], 17)
            self.assertGreaterEqual(probe["elapsed_ms"], 0)
            self.assertIn("protocol", probe)
        self.expect(self.request(nmid, "POST", "/agent/v1/nodes/bad/probe"), 502, "password")
        self.expect(self.request(nmid, "POST", "/agent/v1/nodes/none/probe"), 404, "node-not-found")
        self.assertEqual(self.sim.control("total")["sum"]["nmi"], 0)

    def test_health(self):
        nmid = self.nmid([self.node("n1", 0)])
        self.finished(nmid, self.post(nmid, "n1")[2]["id"])
        status, _, health = self.request(nmid, "GET", "/healthz")
        self.assertEqual((status, health["status"], health["nodes"], health["delivered"]),
                         (200, "ok", 1, 1))
        self.assertTrue(re.match(r"\d+\.\d+", health["version"]))
        self.assertEqual(self.request(nmid, "GET", "/readyz")[0], 200)
        status, headers, body = self.request(nmid, "HEAD", "/healthz")
        self.assertEqual((status, body), (200, b""))
        self.assertGreater(int(headers["Content-Length"]), 0)
        self.expect(self.request(nmid, "GET", "/agent/v2/nodes"), 404, "not-found")
        self.expect(self.request(nmid, "PUT", "/agent/v1/nodes"), 405, "method-not-allowed")

    def test_stop_answers_who_waits(self):
        self.sim.set(self.sim.address(0), "blackhole", "on")
        nmid = self.nmid([self.node("n1", 0)])
        identity = self.post(nmid, "n1")[2]["id"]
        with socket.create_connection(("127.0.0.1", nmid.port), 30) as client:
            client.sendall(f"GET /agent/v1/actions/{identity}?wait=300 HTTP/1.1\r\n"
                           "Host: localhost\r\n\r\n".encode())
            for _ in range(3):  # whoever asked before is being waited for now
                self.assertEqual(self.request(nmid, "GET", "/healthz")[0], 200)
            self.assertEqual(nmid.stop(), 0)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
        action = json.loads(answer.partition(b"\r\n\r\n")[2])
        self.assertEqual((action["outcome"], action["code"]), ("failed", "stopping"))


if __name__ == "__main__":
    lab.main()
