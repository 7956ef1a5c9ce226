# SPDX-License-Identifier: GPL-3.0-or-later
"""limits = { ... } from outside: what a caller is told who wants more, in each contract's words; what
is counted; and clients who leave, or do not read, while others are served."""
import contextlib
import http.client
import json
import re
import socket
import ssl
import struct
import threading
import time
import unittest

import lab
from pki import Pki

IRONIC = {"X-OpenStack-Ironic-API-Version": "1.82"}
NMI = {"inject_nmi": None}


def counters(text):
    """limit -> count, as /metrics has them."""
    return {name: int(value) for name, value in
            re.findall(r'^nmid_limit_reached_total\{limit="(\w+)"\} (\d+)$', text, re.M)}


def head(method, path, body=b"", headers=""):
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{headers}\r\n").encode() + body


class Limits(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "12")

    def nodes(self, count=12):
        return [lab.node(f"n{i}", self.sim, self.sim.address(i)) for i in range(count)]

    def connect(self, nmid, local=False):
        client = socket.socket(socket.AF_UNIX if local else socket.AF_INET)
        self.addCleanup(client.close)
        client.settimeout(20)
        client.connect(str(self.socket) if local else ("127.0.0.1", nmid.port))
        return client

    def both(self, nodes, **settings):
        """nmid on TCP and on a UNIX socket."""
        self.socket = self.unique("s")
        return self.nmid(nodes, listen=[{"address": "127.0.0.1", "port": 0},
                                        {"socket": self.socket}], **settings)

    def metrics(self, nmid):
        status, _, text = self.request(nmid, "GET", "/metrics")
        self.assertEqual(status, 200)
        return text.decode()

    def ask(self, nmid, size, path="/healthz", pieces=1):
        """The status of a request whose head has this size; 0: the connection was reset while it was
        still being sent."""
        piece = f"X: {'y' * ((size - len(path) - 60) // pieces - 5)}\r\n"
        head_of = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{piece * pieces}\r\n".encode()
        with self.connect(nmid) as client, contextlib.suppress(ConnectionError):
            client.sendall(head_of)
            return int(client.recv(12, socket.MSG_WAITALL)[9:] or 0)
        return 0

    def ask_path(self, nmid, size):
        return self.ask(nmid, size + 100, "/" + "y" * (size - 1))

    def test_larger_heads_after_a_reload(self):
        """Connections have the memory that they had at the start. No head is larger than what it is
        always enough for: log, counters and answers say the same."""
        more = {"header_bytes": 65536, "url_bytes": 60000, "token_bytes": 60000}
        told = "limits.header_bytes grows beyond 16384 only with a restart"
        for start in (1024, 16384):
            nmid = self.nmid([], listen=[{"address": "127.0.0.1", "port": 0}],
                             limits={"header_bytes": start})
            self.assertNotIn(told, nmid.reload(limits={"header_bytes": 16384}))
            self.assertEqual(self.ask(nmid, 15000), 200)
            self.assertIn(told, nmid.reload(limits=more))
            for size in (17000, 20000, 30000, 33000, 60000):
                for pieces in (1, 40):
                    self.assertIn(self.ask(nmid, size, pieces=pieces),
                                  (431, 0) if size > 20000 else (431,), size)
            self.assertEqual([self.ask(nmid, size, pieces=90) for size in (15000, 16000)], [200] * 2)
            self.assertEqual([self.ask_path(nmid, size) for size in (15000, 17000, 20000)],
                             [404, 414, 414])
            self.assertIn(self.ask_path(nmid, 33000), (414, 0))
            reached = counters(self.metrics(nmid))
            self.assertEqual({name: count for name, count in reached.items() if count},
                             {"header_bytes": 10, "url_bytes": 3})
            self.assertEqual(re.findall(r"limits\.(\w+) \((\d+)\) reached", nmid.log()),
                             [("header_bytes", "16384"), ("url_bytes", "16384")])
            nmid.stop()
        nmid.start()
        self.assertEqual([self.ask(nmid, size) for size in (60000, 70000)], [200, 431])
        self.assertEqual([self.ask_path(nmid, size) for size in (59000, 61000)], [404, 414])
        self.assertIn("limits.header_bytes grows beyond 65536 only with a restart",
                      nmid.reload(limits={"header_bytes": 65537}))

    def check_words(self, nmid, node, limit):
        """One refusal by each contract, in its words."""
        status, headers, body = self.request(nmid, "POST", f"/v2.1/servers/{node}/action", NMI)
        self.assertEqual((status, list(body), set(body["overLimit"])),
                         (429, ["overLimit"], {"code", "message"}))
        self.assertEqual(body["overLimit"]["code"], 429)
        self.assertIn(limit, body["overLimit"]["message"])
        self.assertIsNone(headers["Retry-After"])
        status, headers, body = self.request(nmid, "PUT",
                                             f"/v1/nodes/{node}/management/inject_nmi", {}, IRONIC)
        told = json.loads(body["error_message"])
        self.assertEqual((status, told["faultcode"], told["debuginfo"]), (429, "Client", None))
        self.assertIn(limit, told["faultstring"])
        self.assertIsNone(headers["Retry-After"])
        self.assertEqual(headers["X-OpenStack-Ironic-API-Version"], "1.82")
        status, headers, body = self.request(nmid, "POST", f"/agent/v1/nodes/{node}/actions",
                                             {"action": "inject_nmi"})
        self.assertEqual((status, body["error"]["code"]), (429, "too-many-requests"))
        self.assertIn(limit, body["error"]["message"])
        self.assertIsNone(headers["Retry-After"])

    def test_actions_per_minute(self):
        nmid = self.nmid(self.nodes(), limits={"actions_per_minute": 3})
        self.assertEqual(set(counters(self.metrics(nmid)).values()), {0})
        for i in range(3):
            self.assertEqual(self.request(nmid, "POST", f"/v2.1/servers/n{i}/action", NMI)[0], 202)
        self.check_words(nmid, "n3", "limits.actions_per_minute (3)")
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": ["n3", "n4"]})
        self.assertEqual(status, 202)
        self.assertEqual([(a["outcome"], a["code"]) for a in batch["actions"]],
                         [("failed", "too-many-requests")] * 2)
        for i in range(12):
            self.assertEqual(self.sim.count(self.sim.address(i)), int(i < 3))
        records = self.request(nmid, "GET", "/agent/v1/audit?decision=refused")[2]["records"]
        self.assertEqual([(r["rule"], r["code"], r["node_name"]) for r in records],
                         [("limit", "too-many-requests", name)
                          for name in ("n4", "n3", "n3", "n3", "n3")])
        self.assertEqual(counters(self.metrics(nmid))["actions_per_minute"], 5)
        self.assertEqual(nmid.log().count("limits.actions_per_minute (3) reached by admin\n"), 1)
        # A reload is heard, and takes nothing back.
        nmid.reload(limits={"actions_per_minute": 0})
        self.assertEqual(self.request(nmid, "POST", "/v2.1/servers/n3/action", NMI)[0], 202)

    def test_nmictl_is_told(self):
        nmid = self.nmid(self.nodes(), limits={"actions_per_minute": 1})
        self.assertEqual(self.nmictl(nmid, "inject-nmi", "n0").returncode, 0)
        done = self.nmictl(nmid, "inject-nmi", "n1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("limits.actions_per_minute", done.stdout + done.stderr)
        self.assertEqual(self.sim.count(self.sim.address(1)), 0)

    def test_requests_per_principal(self):
        self.sim.set("all", "delay_ms", 400)
        nmid = self.both(self.nodes(), limits={"requests_per_principal": 2})
        clients = []
        for i in range(2):
            client = self.connect(nmid)
            client.sendall(head("POST", f"/v2.1/servers/n{i}/action", b'{"inject_nmi": null}'))
            clients.append(client)
        lab.wait_for(lambda: all(self.sim.counters(self.sim.address(i))["datagrams_in"]
                                 for i in range(2)), 20, "both to be under way")
        self.check_words(nmid, "n3", "limits.requests_per_principal")
        for path in ("/healthz", "/readyz"):  # nobody's
            self.assertEqual(self.request(nmid, "GET", path)[0], 200)
        for client in clients:
            self.assertIn(b" 202 ", client.recv(65536))
        self.assertEqual(counters(self.metrics(nmid))["requests_per_principal"], 3)
        self.assertIn("warning: limits.requests_per_principal (2) reached by admin\n", nmid.log())
        self.assertEqual(self.sim.count(self.sim.address(3)), 0)
        self.assertEqual(self.request(nmid, "POST", "/v2.1/servers/n3/action", NMI)[0], 202)

    def test_answers_that_nobody_reads(self):
        """They are memory: a caller who asks for more, and reads nothing, gets few words; what an
        injection came to is told all the same."""
        more = [{"uuid": lab.node_uuid(f"m{i}"), "name": f"m{i}", "driver": "noop"}
                for i in range(2500)]
        nmid = self.both(self.nodes() + more, limits={"answer_bytes_per_principal": 65536})
        client = self.connect(nmid, local=True)
        client.sendall(head("GET", "/agent/v1/nodes"))
        lab.wait_for(lambda: client.recv(1, socket.MSG_PEEK), 20, "the first answer")

        def ask():
            with contextlib.closing(lab.UnixConnection(str(self.socket), 20)) as connection:
                connection.request("GET", "/agent/v1/nodes")
                answer = connection.getresponse()
                return answer.status, answer.read()

        status, body = ask()
        self.assertEqual(status, 429)
        self.assertIn(b"limits.answer_bytes_per_principal", body)
        batch = {"action": "inject_nmi", "nodes": [f"m{i}" for i in range(500)] + ["n0"]}
        with contextlib.closing(lab.UnixConnection(str(self.socket), 20)) as connection:
            connection.request("POST", "/agent/v1/actions", json.dumps(batch),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.assertEqual((answer.status, len(json.load(answer)["actions"])), (202, 501))
        while client.recv(65536)[-3:] != b"}]}":
            pass
        lab.wait_for(lambda: ask()[0] == 200, 20, "the first to be over")
        self.assertGreaterEqual(counters(self.metrics(nmid))["answer_bytes_per_principal"], 1)
        self.assertIn("warning: limits.answer_bytes_per_principal (65536) reached by admin\n",
                      nmid.log())

    # ---- Clients who leave ----

    def leave(self, client, how):
        if how == "half-close":
            client.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                self.assertEqual(client.recv(1), b"")
            return
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()

    def test_leaving(self):
        """The action goes on, once, and what came of it is in the history."""
        self.sim.set("all", "delay_ms", 150)
        nmid = self.both(self.nodes())
        asked = [(how, local) for how in ("close", "half-close", "reset")
                 for local in (False, True)]
        requests = [
            (lambda n: head("POST", f"/v2.1/servers/{n}/action", b'{"inject_nmi": null}'), "nova"),
            (lambda n: head("PUT", f"/v1/nodes/{n}/management/inject_nmi", b"{}",
                            "X-OpenStack-Ironic-API-Version: 1.82\r\n"), "ironic")]
        for i, (how, local) in enumerate(asked):
            for j, (request, contract) in enumerate(requests):
                number = 2 * i + j
                sim = self.sim.address(number)
                with self.subTest(how=how, local=local, contract=contract):
                    client = self.connect(nmid, local)
                    client.sendall(request(f"n{number}"))
                    lab.wait_for(lambda sim=sim: self.sim.counters(sim)["datagrams_in"], 20,
                                 "the session to begin")
                    self.leave(client, how)

                    def ended(name=f"n{number}"):
                        found = self.request(nmid, "GET", f"/agent/v1/actions?node={name}")[2]
                        return [a for a in found["actions"] if a["state"] == "finished"]
                    actions = lab.wait_for(ended, 30, "the action to end")
                    self.assertEqual([(a["outcome"], a["contract"]) for a in actions],
                                     [("delivered", contract)])
                    self.assertEqual(self.sim.count(sim), 1)
        # None of their connections is kept: what asks is the one that there is.
        lab.wait_for(lambda: 'nmid_connections{socket="tcp"} 1\n' in self.metrics(nmid), 20,
                     "the connections to be closed")
        self.assertIn('nmid_connections{socket="unix"} 0\n', self.metrics(nmid))

    # ---- Clients who do not read ----

    def test_slow_reader(self):
        """Its answer is more than the sockets hold. Others are served meanwhile, and it is cut."""
        nodes = [{"uuid": lab.node_uuid(f"b{i}"), "name": f"b{i}", "driver": "noop"}
                 for i in range(4000)]
        nmid = self.both(nodes + self.nodes(1), limits={"request_s": 1, "idle_s": 5})
        client = self.connect(nmid, local=True)
        begun = time.monotonic()
        client.sendall(head("GET", "/agent/v1/nodes"))
        self.assertTrue(client.recv(1, socket.MSG_PEEK))
        self.assertEqual(self.request(nmid, "POST", "/v2.1/servers/n0/action", NMI)[0], 202)
        self.assertLess(time.monotonic() - begun, 5)
        lab.wait_for(lambda: counters(self.metrics(nmid))["idle_s"] == 1, 20, "the cut")
        self.assertGreaterEqual(time.monotonic() - begun, 5)
        data = b"".join(iter(lambda: client.recv(1 << 20), b""))
        length = int(re.search(rb"Content-Length: (\d+)", data).group(1))
        self.assertLess(len(data), length)
        self.assertGreater(length, 1 << 19)

    def test_slow_senders_do_not_hold_others_up(self):
        """A byte every 20 ms from 50 clients, in the head, the body, and a chunk's size."""
        nmid = self.nmid(self.nodes(1), limits={"request_s": 5}, hold_off_s=0)
        begins = (b"GET /healthz HTTP/1.1\r\nX: ", head("POST", "/v2.1/servers/n0/action", b"x" * 900),
                  b"POST /v2.1/servers/n0/action HTTP/1.1\r\nHost: localhost\r\n"
                  b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n0")
        begins = (begins[0], begins[1][:-900], begins[2])
        clients = [self.connect(nmid) for _ in range(50)]
        for i, client in enumerate(clients):
            client.sendall(begins[i % 3])
        over = threading.Event()

        def drip():
            while not over.wait(0.02):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(b"0")
        thread = threading.Thread(target=drip)
        thread.start()
        try:
            for _ in range(20):
                begun = time.monotonic()
                status = self.request(nmid, "POST", "/v2.1/servers/n0/action", NMI)[0]
                self.assertEqual(status, 202)
                self.assertLess(time.monotonic() - begun, 4)
            lab.wait_for(lambda: counters(self.metrics(nmid))["request_s"] == 50, 20, "all to be cut")
        finally:
            over.set()
            thread.join()
        self.assertEqual(self.sim.count(), 20)

    @unittest.skipUnless(lab.which("openssl"), "openssl is not installed")
    def test_slow_handshake(self):
        """The time of the first request is that of the TLS handshake too; and one that does not go
        on gives up its place."""
        pki = Pki(self.unique("pki"))
        server = pki.server("web", ["127.0.0.1"], pki.ca("site"))
        tls = {"certificate_file": server.certificate, "key_file": server.key}
        self.socket = self.unique("s")
        nmid = self.nmid(self.nodes(1), limits={"request_s": 2, "connections": 3},
                         listen=[{"address": "127.0.0.1", "port": 0, "tls": tls},
                                 {"socket": self.socket}])
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            context.wrap_bio(incoming, outgoing).do_handshake()
        hello = outgoing.read()
        for piece in (b"", hello[:1], hello[:5], hello[:-1], hello):
            client = self.connect(nmid)
            begun = time.monotonic()
            client.sendall(piece)
            while client.recv(65536):  # its own part, when it has the whole hello
                pass
            self.assertTrue(1.9 <= time.monotonic() - begun < 15, piece)
        nmid.reload(limits={"request_s": 60, "connections": 3})
        begun = time.monotonic()
        slow = [self.connect(nmid) for _ in range(3)]
        for client in slow:
            client.sendall(hello[:9])
        for _ in range(5):
            with contextlib.closing(http.client.HTTPSConnection("127.0.0.1", nmid.port,
                                                                context=context)) as connection:
                connection.request("GET", "/healthz")
                self.assertEqual(connection.getresponse().status, 200)
        self.assertLess(time.monotonic() - begun, 30)
        nmid.url = f"unix:{self.socket}"
        reached = counters(self.metrics(nmid))
        self.assertEqual(reached["request_s"], 5)
        self.assertGreaterEqual(reached["connections"], 1)


if __name__ == "__main__":
    lab.main()
