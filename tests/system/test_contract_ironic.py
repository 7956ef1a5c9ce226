# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract 2 from outside, row by row (docs/contract-ironic.md): a running nmid, simulated BMCs."""
import base64
import json
import socket
import subprocess
import threading
import time

import lab

FAST = {"timeout_ms": 3000, "answer_ms": 500, "retransmit_ms": 200}
VERSIONS = "X-OpenStack-Ironic-API-"


class Ironic(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "12", first="127.1.2.1")

    def node(self, name, index=0, **keys):
        return lab.node(name, self.sim, self.sim.address(index), **keys)

    def ask(self, nmid, method, path, body=None, version="1.82", user=None, **headers):
        headers = {key.replace("_", "-"): value for key, value in headers.items()}
        if version is not None:
            headers[VERSIONS + "Version"] = version
        if user is not None:
            pair = f"{user}:password of {user}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        answer = self.request(nmid, method, path, body, headers)
        self.assertEqual(answer[1][VERSIONS + "Minimum-Version"], "1.1")
        self.assertEqual(answer[1][VERSIONS + "Maximum-Version"], "1.82")
        self.assertIsNotNone(answer[1][VERSIONS + "Version"])
        self.assertIsNone(answer[1]["Retry-After"])
        return answer

    def inject(self, nmid, ident, **options):
        return self.ask(nmid, "PUT", f"/v1/nodes/{ident}/management/inject_nmi",
                        **{"body": {}, **options})

    def expect(self, answer, status, words=None):
        """-> the faultstring."""
        self.assertEqual(answer[0], status, answer[2])
        self.assertEqual(list(answer[2]), ["error_message"])
        inner = json.loads(answer[2]["error_message"])
        self.assertEqual(list(inner), ["faultcode", "faultstring", "debuginfo"])
        self.assertEqual(inner["faultcode"], "Client" if status < 500 else "Server")
        if words is not None:
            self.assertEqual(inner["faultstring"], words)
        return inner["faultstring"]

    def delivered(self, answer):
        self.assertEqual((answer[0], answer[2]), (204, b""), answer)
        return answer[1]["X-Openstack-Request-Id"]

    def people(self, *names, **options):
        """Settings of http_basic: each an administrator unless options say otherwise."""
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        for name in names:
            subprocess.run([lab.which("htpasswd"), "-iB", "-C", "4", path, name],
                           input=f"password of {name}", text=True, check=True, capture_output=True)
        users = [{"name": name, **options.get(name, {"roles": ["admin"]})} for name in names]
        return {"auth": {"strategy": "http_basic", "user_file": path, "users": users}}

    def drop(self, nmid, path="/v1/nodes/n1/management/inject_nmi", after=0.0):
        """The request, and a connection that ends before its answer."""
        with socket.create_connection(("127.0.0.1", nmid.port), 10) as client:
            client.sendall(f"PUT {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           f"{VERSIONS}Version: 1.46\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            client.settimeout(max(after, 0.001))
            try:
                client.recv(1)
            except TimeoutError:
                pass

    # ---- The call ----

    def test_delivered(self):
        nmid = self.nmid([self.node("n1"), self.node("n2", 1)])
        identity = self.delivered(self.inject(nmid, "n1"))
        self.delivered(self.inject(nmid, lab.node_uuid("n2"), body=None, version="1.29"))
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(2)], [1, 1])
        action = self.request(nmid, "GET", f"/agent/v1/actions/{identity}")[2]
        self.assertEqual((action["contract"], action["outcome"]), ("ironic", "delivered"))
        record = self.request(nmid, "GET", f"/agent/v1/audit?action={identity}")[2]["records"][0]
        self.assertEqual((record["contract"], record["operation"]), ("ironic", "inject_nmi"))

    def test_not_delivered(self):
        sim = self.sim
        sim.set(sim.address(1), "completion", "d5")
        sim.set(sim.address(2), "password", "another")
        sim.set(sim.address(3), "blackhole", "on")
        sim.set(sim.address(4), "power", "off")
        names = ("ok", "state", "password", "silent", "off")
        nmid = self.nmid([self.node(name, i) for i, name in enumerate(names)] +
                         [self.node("deleted", 5, status="DELETED"),
                          {"uuid": lab.node_uuid("bare"), "name": "bare", "driver": "noop"}],
                         ipmi=FAST)
        for name in ("state", "password", "silent"):
            with self.subTest(name):
                self.assertNotEqual(self.expect(self.inject(nmid, name), 500), "")
        self.assertIn("off", self.expect(self.inject(nmid, "off"), 400))
        self.assertIn("deleted", self.expect(self.inject(nmid, "deleted"), 400))
        self.expect(self.inject(nmid, "bare"), 400,
                    "Driver noop does not support inject_nmi (disabled or not implemented).")
        self.expect(self.inject(nmid, "n9"), 404, "Node n9 could not be found.")
        self.expect(self.inject(nmid, "n%209"), 400, "Expected UUID or name for node_ident: n 9")
        self.assertEqual(sim.control("total")["sum"]["nmi"], 0)

    def test_unknown(self):
        """The answer is one that no client repeats; whoever does all the same injects nothing."""
        self.sim.set(self.sim.first, "lose_response", "control:9")
        self.sim.set(self.sim.first, "sel", "off")
        nmid = self.nmid([self.node("n1")], ipmi=FAST)
        for _ in range(6):
            answer = self.inject(nmid, "n1")
            words = self.expect(answer, 500)
            self.assertIn("It is unknown whether the NMI was delivered", words)
            self.assertIn(answer[1]["X-Openstack-Request-Id"], words)
            self.assertIn("Do not send it again", words)
        self.assertEqual(self.sim.counters()["control_4"], 1)

    # ---- Repeats ----

    def test_six_dropped_connections(self):
        """As python-ironicclient does, without its pauses; and there is no hold-off at all."""
        self.sim.set(self.sim.first, "control_delay_ms", "300")
        nmid = self.nmid([self.node("n1")])
        for _ in range(6):
            self.drop(nmid)
        self.delivered(self.inject(nmid, "n1"))
        self.assertEqual(self.sim.counters()["control_4"], 1)
        self.delivered(self.inject(nmid, "n1"))
        self.assertEqual(self.sim.count(), 1)

    def test_failures_are_repeated_too(self):
        self.sim.set(self.sim.first, "blackhole", "on")
        nmid = self.nmid([self.node("n1")], ipmi=FAST)
        first = self.inject(nmid, "n1")
        words = self.expect(first, 500)
        self.sim.set(self.sim.first, "blackhole", "off")
        again = self.inject(nmid, "n1")
        self.assertTrue(self.expect(again, 500).startswith(words))
        self.assertIn("an earlier request", self.expect(again, 500))
        self.assertEqual(again[1]["X-Openstack-Request-Id"], first[1]["X-Openstack-Request-Id"])
        # With a key one says that it is another request.
        self.delivered(self.inject(nmid, "n1", Idempotency_Key="a new one"))
        self.assertEqual(self.sim.count(), 1)

    def test_fifteen_seconds(self):
        """Then the hold-off holds, and without one the next is a request like any other."""
        nmid = self.nmid([self.node("n1"), self.node("n2", 1)])
        begun = time.monotonic()
        first = self.delivered(self.inject(nmid, "n1"))
        other = self.delivered(self.inject(nmid, "n2"))
        nmid.reload(hold_off_s=300)
        self.assertEqual(self.delivered(self.inject(nmid, "n1")), first)
        lab.wait_for(lambda: self.inject(nmid, "n1")[0] != 204, 20, "the repeats to end")
        self.assertGreater(time.monotonic() - begun, 14.5)
        words = self.expect(self.inject(nmid, "n1"), 400)
        self.assertIn("was delivered", words)
        self.assertIn(first, words)
        self.assertEqual(self.sim.count(self.sim.address(1)), 1)
        nmid.reload(hold_off_s=0)
        lab.wait_for(lambda: self.delivered(self.inject(nmid, "n2")) != other, 5, "a new action")
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(2)], [1, 2])

    def test_after_a_restart(self):
        """Killed and started again within the 15 s: the history knows it."""
        self.sim.set(self.sim.address(1), "blackhole", "on")
        nmid = self.nmid([self.node("n1"), self.node("n2", 1), self.node("n3", 2)], ipmi=FAST)
        first = self.delivered(self.inject(nmid, "n1"))
        failed = self.inject(nmid, "n2")
        words = self.expect(failed, 500)
        self.sim.set(self.sim.address(2), "control_delay_ms", "1500")
        self.drop(nmid, "/v1/nodes/n3/management/inject_nmi")
        lab.wait_for(lambda: self.sim.counters(self.sim.address(2))["control_4"], 10, "the NMI")
        nmid.crash()
        self.sim.set(self.sim.address(1), "blackhole", "off")
        self.sim.set(self.sim.address(2), "control_delay_ms", "0")
        nmid.start()
        self.assertEqual(self.delivered(self.inject(nmid, "n1")), first)
        again = self.inject(nmid, "n2")
        self.assertTrue(self.expect(again, 500).startswith(words))
        self.assertEqual(again[1]["X-Openstack-Request-Id"], failed[1]["X-Openstack-Request-Id"])
        answer = self.inject(nmid, "n3")
        if answer[0] != 204:  # the SEL told, or it did not
            self.assertIn("It is unknown", self.expect(answer, 500))
        counts = [self.sim.counters(self.sim.address(i))["control_4"] for i in range(3)]
        self.assertEqual(counts, [1, 0, 1])

    def test_another_caller(self):
        self.sim.set(self.sim.first, "control_delay_ms", "400")
        nmid = self.nmid([self.node("n1")], hold_off_s=300, **self.people("alice", "bob"))
        answers = []
        thread = threading.Thread(
            target=lambda: answers.append(self.inject(nmid, "n1", user="alice")))
        thread.start()
        lab.wait_for(lambda: "inject_nmi of n1 accepted" in nmid.log(), 10, "alice")
        self.assertIn("already under way", self.expect(self.inject(nmid, "n1", user="bob"), 409))
        joined = self.delivered(self.inject(nmid, "n1", user="alice"))
        thread.join()
        self.assertEqual(self.delivered(answers[0]), joined)
        words = self.expect(self.inject(nmid, "n1", user="bob"), 400)
        self.assertIn("was delivered", words)
        self.assertIn(joined, words)
        self.assertEqual(self.sim.count(), 1)

    # ---- Who ----

    def test_credentials(self):
        nmid = self.nmid([self.node("n1"), self.node("n2", 1, project_id="other")],
                         **self.people("alice", "rita", "eve",
                                       alice={"roles": ["member"], "project_id": "demo"},
                                       rita={"roles": ["reader"], "project_id": "demo"}))
        status, headers, body = self.inject(nmid, "n1")
        self.assertEqual((status, body),
                         (401, {"error": {"message": "Authorization required", "code": 401}}))
        self.assertEqual(headers["WWW-Authenticate"], 'Basic realm="Baremetal API"')
        status, headers, body = self.inject(nmid, "n1", user="nobody")
        self.assertEqual((status, body["error"]["message"]),
                         (401, "Incorrect username or password"))
        self.expect(self.inject(nmid, "n1", user="rita"), 403,
                    "Access was denied to the following resource: baremetal:node:inject_nmi")
        self.expect(self.inject(nmid, "n2", user="rita"), 404, "Node n2 could not be found.")
        self.assertEqual(self.ask(nmid, "GET", "/v1", version=None)[0], 200)
        self.assertEqual(self.ask(nmid, "GET", "/v1/nodes", version="junk")[0], 401)
        listed = self.ask(nmid, "GET", "/v1/nodes", user="rita")[2]["nodes"]
        self.assertEqual([node["name"] for node in listed], ["n1"])
        self.expect(self.ask(nmid, "GET", f"/v1/nodes?marker={lab.node_uuid('n2')}", user="rita"),
                    404, f"Node {lab.node_uuid('n2')} could not be found.")
        self.delivered(self.inject(nmid, "n1", user="alice"))
        self.assertEqual(self.sim.control("total")["sum"]["nmi"], 1)

    # ---- Reading ----

    def test_node(self):
        instance = "6da6ff82-82ed-4cbe-9b56-10f80f017fb1"
        nmid = self.nmid([self.node("n1", instance_uuid=instance, status="RESCUED"),
                          self.node("n2", 1, status="DELETED")])
        node = self.ask(nmid, "GET", "/v1/nodes/n1")[2]
        self.assertEqual(node["driver_info"]["ipmi_password"], "******")
        self.assertNotIn("secret", json.dumps(node))
        for key, value in {"uuid": lab.node_uuid("n1"), "name": "n1", "power_state": None,
                           "instance_uuid": instance, "provision_state": "rescue",
                           "maintenance": False, "driver": "ipmi", "owner": "demo",
                           "lessee": None, "reservation": None, "traits": []}.items():
            self.assertEqual(node[key], value, key)
        self.assertEqual(node["links"], [{"rel": "self", "href":
                                          f"{nmid.url}/v1/nodes/{lab.node_uuid('n1')}"}])
        state = self.ask(nmid, "GET", "/v1/nodes/n2?fields=provision_state")[2]
        self.assertEqual(state["provision_state"], "available")
        path = (f"/v1/nodes?fields=uuid,power_state,traits,resource_class&"
                f"instance_uuid={instance}")  # nova-compute's
        found = self.ask(nmid, "GET", path, version="1.46")[2]
        self.assertEqual([entry["uuid"] for entry in found["nodes"]], [lab.node_uuid("n1")])

    def test_pages(self):
        nmid = self.nmid([self.node(f"n{i:02}", i) for i in range(12)])
        for path in ("/v1/nodes?limit=5", "/v1/nodes/detail?limit=5&sort_key=name&sort_dir=desc"):
            names = []
            while path:
                page = self.ask(nmid, "GET", path)[2]
                names += [node["name"] for node in page["nodes"]]
                path = page.get("next", "").removeprefix(nmid.url)
            expected = [f"n{i:02}" for i in range(12)]
            self.assertEqual(sorted(names), expected)
            self.assertIn(names, (expected, expected[::-1]))
        secure = self.ask(nmid, "GET", "/v1/nodes?limit=5", X_Forwarded_Proto="https")[2]["next"]
        self.assertTrue(secure.startswith("https://127.0.0.1:"), secure)


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
