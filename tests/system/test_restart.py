# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 at the worst moments, and clients that ask again: what the next nmid says about an action
that its predecessor left, and how often the BMC got the interrupt. Never twice."""
import http.client
import json
import socket
from concurrent.futures import ThreadPoolExecutor

import lab

HOLD_OFF_S = 300
TIMES = {"timeout_ms": 20000, "answer_ms": 10000, "retransmit_ms": 200}
KEY = {"Idempotency-Key": "the same"}


class Restart(lab.TestCase):
    def lab_of(self, count=1, **settings):
        self.sim = self.bmcsim("--count", str(count))
        self.daemon = self.nmid([lab.node(f"n{i}", self.sim, self.sim.address(i))
                                 for i in range(count)],
                                **{"hold_off_s": HOLD_OFF_S, "ipmi": TIMES, **settings})

    def post(self, headers=None, force=False, node="n0"):
        """-> (status, body) of contract 4."""
        body = {"action": "inject_nmi", **({"force": True} if force else {})}
        status, _, answer = self.request(self.daemon, "POST", f"/agent/v1/nodes/{node}/actions",
                                         body, headers)
        return status, answer

    def put(self, headers=None, node="n0", **options):
        """-> (status, body, id) of contract 1."""
        status, answer_headers, answer = self.request(
            self.daemon, "PUT", f"/v2.1/servers/{node}/action", {"inject_nmi": None}, headers,
            **options)
        return status, answer, answer_headers["X-Openstack-Request-Id"]

    def get(self, identity, wait=0):
        status, _, action = self.request(self.daemon, "GET",
                                         f"/agent/v1/actions/{identity}?wait={wait}", timeout=90)
        self.assertEqual(status, 200, action)
        return action

    def accept(self, headers=None):
        status, action = self.post(headers)
        self.assertEqual(status, 202, action)
        return action["id"]

    def await_sent(self, identity):
        lab.wait_for(lambda: self.get(identity)["state"] == "sent", what="*sent*")

    def finished(self, identity):
        action = self.get(identity, 30)
        self.assertEqual(action["state"], "finished")
        return action

    def next_daemon(self):
        self.daemon.crash()
        self.daemon.start()

    def check_listed(self, identity, outcome, words):
        """What nmictl says of it."""
        done = self.nmictl(self.daemon, "actions", identity)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(outcome, done.stdout)
        self.assertIn(words, " ".join(done.stdout.split()))
        listed = json.loads(self.nmictl(self.daemon, "-f", "json", "actions").stdout)["actions"]
        self.assertEqual([action["outcome"] for action in listed if action["id"] == identity],
                         [outcome])

    def check_held_off(self, identity):
        """Over both contracts: by which action, and until when."""
        status, answer = self.post()
        self.assertEqual((status, answer["error"]["code"], answer["error"]["action_id"]),
                         (409, "hold-off", identity))
        self.assertRegex(answer["error"]["message"], r"allowed again in (29\d|300) s \(\d{4}-")
        status, answer, _ = self.put()
        self.assertEqual((status, list(answer)), (409, ["conflictingRequest"]))
        self.assertIn(f"(action {identity})", answer["conflictingRequest"]["message"])
        self.assertRegex(answer["conflictingRequest"]["message"], r"allowed again in \d+ s")

    # ---- Killed ----

    def test_killed_while_accepted(self):
        self.lab_of()
        self.sim.set("all", "blackhole", "on")
        identity = self.accept(KEY)
        self.assertEqual(self.get(identity)["state"], "accepted")
        self.next_daemon()
        action = self.finished(identity)
        self.assertEqual((action["state"], action["outcome"], action["code"], action["sent_at"]),
                         ("finished", "failed", "stopping", None))
        self.assertIn("never sent", action["message"])
        self.check_listed(identity, "failed", "never sent")
        self.sim.set("all", "blackhole", "off")
        status, again = self.post(KEY)
        self.assertEqual((status, again), (202, action))  # the same request: the same answer
        self.assertEqual(self.sim.count(), 0)
        another = self.accept()  # nothing to hold it off
        self.assertEqual(self.finished(another)["outcome"], "delivered")
        self.assertEqual(self.sim.count(), 1)

    def killed_while_sent(self, key, value, executed):
        self.lab_of()
        self.sim.set("all", key, value)
        identity = self.accept(KEY)
        self.await_sent(identity)
        lab.wait_for(lambda: self.sim.counters()["control_4"] == 1, what="the Chassis Control")
        self.next_daemon()
        action = self.finished(identity)
        self.assertEqual((action["state"], action["outcome"], action["code"]),
                         ("finished", "unknown", "daemon-stopped"))
        self.assertIn("it may have been delivered", action["message"])
        self.assertEqual(action["evidence"]["sends"], 1)
        self.assertIsNotNone(action["sent_at"])
        self.check_listed(identity, "unknown", "it may have been delivered")
        self.sim.set("all", key, "off" if value.endswith("1") else "0")
        self.assertEqual(self.post(KEY), (202, action))
        self.check_held_off(identity)
        self.next_daemon()  # and it stays so
        self.assertEqual(self.finished(identity), action)
        self.assertEqual(self.post(KEY), (202, action))
        self.check_held_off(identity)
        self.assertEqual((self.sim.counters()["control_4"], self.sim.count()), (1, executed))
        status, forced = self.post(force=True)
        self.assertEqual(status, 202, forced)
        self.assertEqual(self.finished(forced["id"])["outcome"], "delivered")
        self.assertEqual(self.sim.counters()["control_4"], 2)  # the operator's own wish

    def test_killed_while_the_answer_is_lost(self):
        self.killed_while_sent("lose_response", "control:1", 1)

    def test_killed_while_the_request_is_lost(self):
        self.killed_while_sent("lose_request", "control:1", 0)

    def test_killed_while_the_answer_is_late(self):
        self.killed_while_sent("control_delay_ms", "5000", 1)

    def test_killed_after_the_end(self):
        self.lab_of()
        status, _, identity = self.put(KEY)
        self.next_daemon()
        self.assertEqual(status, 202)
        action = self.get(identity)
        self.assertEqual((action["outcome"], action["evidence"]["completion_code"]),
                         ("delivered", "00"))
        self.check_held_off(identity)
        for _ in range(3):
            self.assertEqual(self.put(KEY), (202, b"", identity))
        self.assertEqual(self.post(KEY)[0], 422)  # the key of another request
        self.assertEqual(self.sim.count(), 1)

    def test_killed_in_full_flight(self):
        """Of 60 at once: what each is called afterwards, and what its BMC did."""
        count = 60
        self.lab_of(count, ipmi={**TIMES, "window": 20})
        for i in range(count):
            self.sim.set(self.sim.address(i), "control_delay_ms", (i * 37) % 400)
        names = [f"n{i}" for i in range(count)]
        status, _, batch = self.request(self.daemon, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": names})
        self.assertEqual(status, 202, batch)
        lab.wait_for(lambda: self.sim.control("total")["sum"]["nmi"] >= 25, what="25 NMIs")
        self.next_daemon()
        listed = self.request(self.daemon, "GET", "/agent/v1/actions?limit=1000")[2]["actions"]
        self.assertEqual({action["node_name"] for action in listed}, set(names))
        outcomes = {action["node_name"]: self.finished(action["id"])["outcome"]
                    for action in listed}
        for i, name in enumerate(names):
            executed = self.sim.count(self.sim.address(i))
            allowed = {"delivered": {1}, "failed": {0}, "unknown": {0, 1}}[outcomes[name]]
            self.assertIn(executed, allowed, f"{name} is {outcomes[name]}")
        self.assertGreaterEqual(set(outcomes.values()), {"failed", "unknown"})
        with ThreadPoolExecutor(8) as pool:  # everybody asks again
            answers = dict(zip(names, pool.map(lambda name: self.put(node=name)[0], names)))
        for i, name in enumerate(names):
            self.assertEqual(answers[name], 202 if outcomes[name] == "failed" else 409, name)
        self.assertEqual(self.sim.control("total")["more"], 0)

    # ---- Clients that ask again ----

    def drop(self, headers=""):
        """A PUT whose connection is gone before the answer."""
        body = b'{"inject_nmi": null}'
        with socket.create_connection(("127.0.0.1", self.daemon.port)) as peer:
            peer.sendall(f"PUT /v2.1/servers/n0/action HTTP/1.1\r\nHost: localhost\r\n{headers}"
                         f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                         .encode() + body)

    def accepted(self):
        """How many requests nmid has let in."""
        return self.daemon.log().count("inject_nmi of n0 accepted")

    def answered(self):
        return self.accepted() + self.daemon.log().count("inject_nmi of n0 refused")

    def test_six_times_without_a_key(self):
        """As python-ironicclient does after a dropped connection, without its pauses."""
        self.lab_of()
        self.sim.set("all", "control_delay_ms", "700")
        for times in range(1, 6):
            self.drop()
            lab.wait_for(lambda: self.answered() == times, what=f"request {times} to be heard")
        status, answer, _ = self.put()
        self.assertEqual(status, 409, answer)
        self.assertEqual(self.accepted(), 1)
        action = self.request(self.daemon, "GET", "/agent/v1/actions")[2]["actions"][0]
        self.assertIn(f"(action {action['id']})", answer["conflictingRequest"]["message"])
        self.assertEqual(self.finished(action["id"])["outcome"], "delivered")
        self.assertEqual(self.sim.counters()["control_4"], 1)

    def test_six_times_with_a_key(self):
        """Each dropped but the last, which hears the outcome of the first; over a restart too."""
        self.lab_of()
        self.sim.set("all", "control_delay_ms", "700")
        for _ in range(5):
            self.drop("Idempotency-Key: the same\r\n")
        lab.wait_for(lambda: self.accepted() == 1, what="the first")
        status, body, identity = self.put(KEY)
        self.assertEqual((status, body), (202, b""))
        self.next_daemon()
        self.assertEqual(self.put(KEY), (202, b"", identity))
        self.assertEqual(self.sim.counters()["control_4"], 1)

    def test_sixty_times(self):
        """As nova-compute does for 120 s, without its pauses; nmid is killed in between."""
        self.lab_of()
        self.sim.set("all", "control_delay_ms", "300")
        self.drop()
        lab.wait_for(lambda: self.accepted() == 1, what="the first")
        for times in range(60):
            if times == 30:  # what was never sent might be sent after the restart
                lab.wait_for(lambda: self.sim.counters()["control_4"] == 1, what="the NMI")
                self.next_daemon()
            status, answer, _ = self.put()
            self.assertEqual(status, 409, answer)
        self.assertEqual(self.sim.counters()["control_4"], 1)

    def test_the_connection_drops_with_the_daemon(self):
        """The caller waits for the outcome when nmid is killed, and asks the next one."""
        self.lab_of()
        self.sim.set("all", "lose_response", "control:1")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(self.put, KEY)
            lab.wait_for(lambda: self.sim.count() == 1, what="the NMI")
            self.daemon.crash()
            with self.assertRaises((http.client.HTTPException, ConnectionError)):
                waiting.result()
        self.daemon.start()
        status, answer, identity = self.put(KEY)
        self.assertEqual((status, list(answer)), (400, ["badRequest"]))
        self.assertIn("may have been delivered", answer["badRequest"]["message"])
        self.assertIn(identity, answer["badRequest"]["message"])
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.sim.counters()["control_4"], 1)

    # ---- Two daemons ----

    def test_a_second_daemon(self):
        self.lab_of()
        conf = self.unique("second.conf")
        conf.touch(mode=0o600)
        conf.write_text(self.daemon.conf.read_text())
        second = self.start([lab.built("nmid"), "-c", conf])
        second.allowed = {1}
        self.assertEqual(second.wait(30), 1)
        self.assertIn(f"another nmid (process {self.daemon.process.pid}) uses it", second.err())
        self.assertIn(str(self.daemon.state_dir), second.err())
        self.assertNotIn("listening", second.err())
        self.assertEqual(self.put()[0], 202)
        self.daemon.stop()
        self.daemon.start()  # the lock went with it
        self.assertEqual(self.put()[0], 409)
        self.assertEqual(self.sim.count(), 1)


if __name__ == "__main__":
    lab.main()
