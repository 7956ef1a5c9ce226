# SPDX-License-Identifier: GPL-3.0-or-later
"""What the operator hears of limits that were reached: in the log who it was, as a warning and once a
minute, in /metrics how often; and actions that wait for longer than limits.queue_s."""
import base64
import contextlib
import json
import socket
import ssl
import subprocess
import threading
import time
import unittest

import lab
from pki import Pki
from test_limits import IRONIC, NMI, counters, head

GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
SMALL = {"url_bytes": 256, "header_bytes": 1024, "token_bytes": 64, "body_bytes": 1024,
         "request_s": 1}
# Each with what tells of it.
OVER = {
    "limits.url_bytes (256) reached": b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "limits.header_bytes (1024) reached": GET + b"X: " + b"y" * 1024 + b"\r\n\r\n",
    "limits.token_bytes (64) reached": GET + b"X-Auth-Token: " + b"t" * 65 + b"\r\n\r\n",
    "limits.body_bytes (1024) reached": head("POST", "/v2.1/servers/n0/action", b"{}" * 513),
    "limits.request_s (1) reached": b"GET /heal",
    "more than 100 header fields": GET + b"A:\r\n" * 100 + b"\r\n",
}


class Told(lab.TestCase):
    def connect(self, nmid, source):
        client = socket.create_connection(("127.0.0.1", nmid.port), 20, (source, 0))
        self.addCleanup(client.close)
        return client

    def answered(self, client, data):
        """Sends, and reads until the other side ends it."""
        answer = b""
        with contextlib.suppress(OSError):
            client.sendall(data)
        with contextlib.suppress(OSError):
            while more := client.recv(65536):
                answer += more
        return answer

    def told(self, nmid, words):
        """The lines of the log with these words, of which there is one at least."""
        return lab.wait_for(lambda: [line.split(" nmid: ", 1)[1] for line in
                                     nmid.log().splitlines() if words in line], 20, words)

    def metrics(self, nmid):
        return self.request(nmid, "GET", "/metrics")[2].decode()

    def small(self, **listener):
        return self.nmid([], listen=[{"address": "127.0.0.1", "port": 0, **listener}], limits=SMALL)

    # ---- Strangers ----

    def test_by_whom(self):
        nmid = self.small()
        for i, (words, data) in enumerate(OVER.items()):
            for last in (i + 10, 99):
                self.answered(self.connect(nmid, f"127.0.0.{last}"), data)
            line, = self.told(nmid, words)
            self.assertTrue(line.startswith("warning: "), line)
            by = "from" if "fields" in words else "by"
            self.assertTrue(line.endswith(f" {by} 127.0.0.{i + 10}"), line)
        self.assertNotIn("nmid: error", nmid.log())
        self.assertNotIn("127.0.0.99", nmid.log())
        reached = counters(self.metrics(nmid))
        self.assertEqual(reached["header_bytes"], 4)  # with those of too many fields
        self.assertEqual([reached[name] for name in ("url_bytes", "token_bytes", "body_bytes",
                                                     "request_s", "queue", "queue_s")],
                         [2, 2, 2, 2, 0, 0])

    def test_what_a_client_is_told_of_too_many_fields(self):
        nmid = self.small()
        answer = self.answered(self.connect(nmid, "127.0.0.1"), OVER["more than 100 header fields"])
        self.assertIn(b" 431 ", answer)
        self.assertIn(b"more than 100 header fields", answer)
        self.assertNotIn("limits.header_bytes (1024) reached", nmid.log())
        client = self.connect(nmid, "127.0.0.1")
        client.sendall(GET + b"A:\r\n" * 99 + b"\r\n")
        self.assertIn(b" 200 ", client.recv(4096))

    def test_a_unix_socket(self):
        path = self.unique("s")
        nmid = self.nmid([], limits=SMALL, listen=[{"socket": path}])
        for data in (OVER["limits.url_bytes (256) reached"], b"GET /" + b"x" * 100000):
            with contextlib.closing(socket.socket(socket.AF_UNIX)) as client:
                client.settimeout(20)
                client.connect(str(path))
                self.answered(client, data)
        line, = self.told(nmid, "limits.url_bytes")
        self.assertTrue(line.endswith("reached by a client of a UNIX socket"), line)
        lab.wait_for(lambda: counters(self.metrics(nmid))["url_bytes"] == 2, 20, "both to count")

    # What does not fit into a connection's memory libmicrohttpd refuses by itself.

    def check_huge(self, open_client, source, whose=None, **listener):
        for words, begin in (("limits.url_bytes (256) reached", b"GET /"),
                             ("limits.header_bytes (1024) reached", GET + b"X: ")):
            nmid = self.small(**listener)
            client = open_client(nmid, source)
            others = [self.connect(nmid, "127.0.0.98") for _ in range(3)]
            self.answered(client, begin + b"x" * 100000)
            line, = self.told(nmid, words)
            self.assertEqual(line, f"warning: {words} by {whose or source}")
            for other in others:
                other.close()
            nmid.stop()

    def test_huge(self):
        self.check_huge(self.connect, "127.0.0.7")

    def test_huge_on_a_kept_connection(self):
        def kept(nmid, source):
            client = self.connect(nmid, source)
            client.sendall(GET + b"\r\n")
            self.assertIn(b" 200 ", client.recv(4096))
            return client
        self.check_huge(kept, "127.0.0.8")

    def test_huge_and_gone(self):
        """As much as fills the memory, and the end at once: it is named all the same, as nobody else
        leaves meanwhile."""
        nmid = self.small()
        for size in (32768, 40000):
            client = self.connect(nmid, "127.0.0.9")
            with contextlib.suppress(OSError):
                client.sendall(b"GET /" + b"x" * (size - 5))
                client.shutdown(socket.SHUT_WR)
            self.answered(client, b"")
        line, = self.told(nmid, "limits.url_bytes")
        self.assertEqual(line, "warning: limits.url_bytes (256) reached by 127.0.0.9")

    def test_nobody_else_is_named(self):
        """Others come, ask and leave by the hundred meanwhile."""
        nmid = self.small()
        over = threading.Event()

        def crowd():
            while not over.is_set():
                for how in (GET + b"Connection: close\r\n\r\n", GET, b"GET /x", b"", GET + b"\r\n"):
                    with contextlib.suppress(OSError):
                        client = socket.create_connection(("127.0.0.1", nmid.port), 20,
                                                          ("127.0.0.98", 0))
                        client.sendall(how)
                        client.close()
        crowds = [threading.Thread(target=crowd) for _ in range(3)]
        for thread in crowds:
            thread.start()
        try:
            for _ in range(20):
                self.answered(self.connect(nmid, "127.0.0.7"), b"GET /" + b"x" * 40000)
        finally:
            over.set()
            for thread in crowds:
                thread.join()
        line, = self.told(nmid, "limits.url_bytes")
        self.assertEqual(line, "warning: limits.url_bytes (256) reached by 127.0.0.7")
        self.assertEqual(counters(self.metrics(nmid))["url_bytes"], 20)

    @unittest.skipUnless(lab.which("openssl"), "openssl is not installed")
    def test_huge_over_tls(self):
        pki = Pki(self.unique("pki"))
        server = pki.server("web", ["127.0.0.1"], pki.ca("site"))
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def wrapped(nmid, source):
            client = context.wrap_socket(self.connect(nmid, source))
            self.addCleanup(client.close)
            return client
        self.check_huge(wrapped, "127.0.0.7",
                        tls={"certificate_file": server.certificate, "key_file": server.key})

    # ---- Principals ----

    @unittest.skipUnless(lab.which("htpasswd"), "htpasswd is not installed")
    def test_principals(self):
        sim = self.bmcsim("--count", "4")
        sim.set("all", "blackhole", "on")
        users = self.unique("users")
        subprocess.run([lab.which("htpasswd"), "-cbB", "-C", "4", users, "alice", "pw"], check=True,
                       capture_output=True)
        users.chmod(0o600)
        nmid = self.nmid([lab.node(f"n{i}", sim, sim.address(i)) for i in range(4)],
                         ipmi={"window": 1, "timeout_ms": 20000},
                         limits={"queue": 1},
                         listen=[{"address": "127.0.0.1", "port": 0, "auth": {
                             "strategy": "http_basic", "user_file": str(users),
                             "users": [{"name": "alice", "project_id": "demo",
                                        "roles": ["admin"]}]}}])
        auth = {"Authorization": "Basic " + base64.b64encode(b"alice:pw").decode()}
        line = "Authorization: " + auth["Authorization"] + "\r\n"
        for i in range(2):
            client = self.connect(nmid, "127.0.0.1")
            client.sendall(head("POST", f"/v2.1/servers/n{i}/action", b'{"inject_nmi": null}', line))
            lab.wait_for(lambda n=i: 'nmid_actions_queued %d\n' % n in self.request(
                nmid, "GET", "/metrics", headers=auth)[2].decode(), 20, "the action")
        status, _, body = self.request(nmid, "POST", "/agent/v1/nodes/n2/actions",
                                       {"action": "inject_nmi"}, auth)
        self.assertEqual((status, body["error"]["code"], body["error"]["message"]),
                         (503, "overloaded",
                          "1 action waits already (limits.queue is 1); nothing was sent"))
        self.told(nmid, "warning: limits.queue (1) reached by alice (project demo)")


class Waiting(lab.TestCase):
    """ipmi.window = 1, a BMC that takes its time."""

    def setUp(self):
        self.sim = self.bmcsim("--count", "4")
        self.sim.set("all", "delay_ms", "500")
        self.daemon = self.nmid([lab.node(f"n{i}", self.sim, self.sim.address(i)) for i in range(4)],
                                ipmi={"window": 1}, limits={"queue": 1, "queue_s": 1})
        self.answers, self.threads = {}, []
        self.addCleanup(lambda: [thread.join() for thread in self.threads])

    def queued(self):
        text = self.request(self.daemon, "GET", "/metrics")[2].decode()
        return [line for line in text.splitlines() if line.startswith("nmid_actions_queued")]

    def ask(self, number, path="/v2.1/servers/n%d/action", method="POST", body=None, headers=None):
        """In the background; what came of it, and after how many seconds, is in self.answers."""
        def wait():
            begun = time.monotonic()
            status, _, answer = self.request(self.daemon, method, path % number,
                                              NMI if body is None else body, headers)
            self.answers[number] = (status, answer, time.monotonic() - begun)
        self.threads.append(threading.Thread(target=wait))
        self.threads[-1].start()

    def test_one_that_waits_for_too_long(self):
        self.ask(0)
        lab.wait_for(lambda: self.sim.counters(self.sim.address(0))["datagrams_in"], 20, "n0")
        self.ask(1)
        lab.wait_for(lambda: self.queued() == ["nmid_actions_queued 1"], 20, "n1 to wait")
        status, _, body = self.request(self.daemon, "POST", "/v2.1/servers/n2/action", NMI)
        self.assertEqual(status, 503)
        self.assertIn("(limits.queue is 1)", str(body))
        lab.wait_for(lambda: 1 in self.answers, 20, "n1 to fail")
        status, body, seconds = self.answers[1]
        self.assertEqual(status, 503)
        self.assertIn("it waited for its turn for more than 1 s (limits.queue_s is 1)", str(body))
        self.assertGreater(seconds, 0.9)
        self.assertNotIn(0, self.answers)  # the window was full all the time
        self.assertEqual(self.queued(), ["nmid_actions_queued 0"])
        self.ask(2)
        lab.wait_for(lambda: self.queued() == ["nmid_actions_queued 1"], 20, "n2 to wait")
        self.daemon.reload(limits={"queue": 1, "queue_s": 60})
        lab.wait_for(lambda: len(self.answers) == 3, 30, "the others")
        self.assertEqual([self.answers[i][0] for i in (0, 2)], [202, 202])
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(3)], [1, 0, 1])
        self.assertEqual(self.sim.counters(self.sim.address(1))["datagrams_in"], 0)
        found = self.request(self.daemon, "GET", "/agent/v1/actions?node=n1")[2]["actions"]
        self.assertEqual([(a["state"], a["outcome"], a["code"], a["sent_at"]) for a in found],
                         [("finished", "failed", "overloaded", None)])
        reached = counters(self.request(self.daemon, "GET", "/metrics")[2].decode())
        self.assertEqual((reached["queue"], reached["queue_s"]), (1, 1))
        log = self.daemon.log()
        self.assertEqual((log.count("warning: limits.queue (1) reached by "),
                          log.count("warning: limits.queue_s (1) reached by ")), (1, 1))

    def test_in_each_contract(self):
        self.ask(0)
        lab.wait_for(lambda: self.sim.counters(self.sim.address(0))["datagrams_in"], 20, "n0")
        self.daemon.reload(limits={"queue": 2, "queue_s": 1})
        self.ask(1, "/v1/nodes/n%d/management/inject_nmi", "PUT", {}, IRONIC)
        self.ask(2, "/agent/v1/nodes/n%d/actions", body={"action": "inject_nmi"})
        lab.wait_for(lambda: len(self.answers) == 3, 30, "all")
        self.assertEqual([self.answers[i][0] for i in range(3)], [202, 500, 202])
        self.assertIn("limits.queue_s", json.loads(self.answers[1][1]["error_message"])["faultstring"])
        found = self.request(self.daemon, "GET", f"/agent/v1/actions/{self.answers[2][1]['id']}")[2]
        self.assertEqual((found["outcome"], found["code"]), ("failed", "overloaded"))
        self.assertIn("limits.queue_s", found["message"])
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(3)], [1, 0, 0])

    def test_a_batch(self):
        """Each of its actions has its own end."""
        self.daemon.reload(limits={"queue": 10, "queue_s": 1})
        _, _, body = self.request(self.daemon, "POST", "/agent/v1/actions",
                                  {"action": "inject_nmi", "nodes": ["n0", "n1", "n2", "n3"]})

        def ended():
            found = self.request(self.daemon, "GET", "/agent/v1/actions")[2]["actions"]
            return found if all(a["state"] == "finished" for a in found) else None
        outcomes = {a["node_name"]: (a["outcome"], a["code"]) for a in
                    lab.wait_for(ended, 30, "all to end")}
        self.assertEqual(len(body["actions"]), 4)
        self.assertEqual(outcomes, {"n0": ("delivered", None),
                                    **{f"n{i}": ("failed", "overloaded") for i in (1, 2, 3)}})
        self.assertEqual(self.sim.count(), 1)


if __name__ == "__main__":
    lab.main()
