# SPDX-License-Identifier: GPL-3.0-or-later
"""The limits of connections in a network namespace, from more addresses than one: slow clients do not
keep others out; one address has its share; a client that vanishes is noticed."""
import http.client
import re
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

import lab
import netns

SERVER = "10.77.0.1"
NMI = {"inject_nmi": None}
USER = {"name": "alice", "project_id": "demo", "roles": ["admin"]}
ALICE = {"Authorization": "Basic YWxpY2U6c2VjcmV0"}  # alice:secret


def counters(text):
    return {name: int(value) for name, value in
            re.findall(r'^nmid_limit_reached_total\{limit="(\w+)"\} (\d+)$', text, re.M)}


def connections(text):
    return {name: int(value) for name, value in
            re.findall(r'^nmid_connections\{socket="(\w+)"\} (\d+)$', text, re.M)}


class LimitsNet(lab.TestCase):
    def daemon(self, nodes, address=SERVER, **settings):
        """On the network, for alice; and on a UNIX socket, for root."""
        file = self.unique("htpasswd")
        file.touch(mode=0o600)
        subprocess.run([lab.which("htpasswd"), "-i", "-B", "-C", "4", file, "alice"],
                       input=b"secret", check=True, capture_output=True)
        self.socket = self.unique("s")
        auth = {"strategy": "http_basic", "user_file": file, "users": [USER]}
        return self.nmid(nodes, **{"listen": [{"address": address, "port": 0, "auth": auth},
                                              {"socket": self.socket}], **settings})

    def noops(self, count=1):
        return [{"uuid": lab.node_uuid(f"n{i}"), "name": f"n{i}", "status": "ACTIVE",
                 "project_id": "demo", "driver": "noop"} for i in range(count)]

    def connect(self, nmid, address, server=SERVER):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        client = socket.socket(family)
        self.addCleanup(client.close)
        client.settimeout(20)
        client.bind((address, 0))
        client.connect((server, nmid.port))
        return client

    def served(self, client):
        """Is it answered, or closed?"""
        try:
            client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return client.recv(65536).startswith(b"HTTP/1.1 200")
        except OSError:
            return False

    def ask(self, nmid, address, method, path, body=None):
        connection = http.client.HTTPConnection(SERVER, nmid.port, timeout=20,
                                                source_address=(address, 0))
        try:
            connection.request(method, path, body, {**ALICE, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def ask_here(self, method, path, body=None):
        """By the operator on the host."""
        connection = lab.UnixConnection(str(self.socket), 20)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def metrics(self):
        status, text = self.ask_here("GET", "/metrics")
        self.assertEqual(status, 200)
        return text

    # ---- Many ----

    def test_slow_clients(self):
        """1,000 slow clients from 20 addresses want more places than there are. Whoever sends a whole
        request is served, each time on a new connection."""
        nmid = self.daemon(self.noops(), limits={"connections": 500, "request_s": 3600})
        flood = self.start([sys.executable, Path(__file__).with_name("slow_clients.py"), nmid.port,
                            1000, SERVER, *(f"10.77.1.{i}" for i in range(20))])
        lab.wait_for(lambda: "ready" in flood.out(), 60, "the slow clients to come")
        lab.wait_for(lambda: counters(self.metrics())["connections"] >= 500, 60, "the limit")
        times = []
        for i in range(200):
            begun = time.monotonic()
            status, _ = self.ask(nmid, f"10.77.2.{i % 250}", "POST", "/v2.1/servers/n0/action",
                                 b'{"inject_nmi": null}')
            times.append(time.monotonic() - begun)
            self.assertIn(status, (202, 400))  # noop has no NMI to inject
        text = self.metrics()
        self.assertLessEqual(connections(text)["tcp"], 500)
        self.assertGreater(connections(text)["tcp"], 400)
        print(f"served 200 of 200, median {statistics.median(times) * 1000:.1f} ms, longest "
              f"{max(times) * 1000:.1f} ms; {flood.out().splitlines()[-1]}; "
              f"{counters(text)['connections']} cut", file=sys.stderr)
        self.assertEqual(self.ask_here("GET", "/agent/v1/nodes/n0")[0], 200)
        self.assertEqual(flood.poll(), None)
        self.assertEqual(nmid.log().count("warning: limits.connections (500) reached by 10.77."), 1)

    def test_known_address(self):
        """Where somebody was let in, the next connection is no stranger's: a flood from elsewhere
        does not take its place before its request is there."""
        nmid = self.daemon(self.noops(), limits={"connections": 10, "request_s": 3600})
        self.assertEqual(self.ask(nmid, "10.77.5.1", "GET", "/agent/v1/nodes")[0], 200)
        clients = {}
        for address in ("10.77.5.1", "10.77.5.2"):
            clients[address] = self.connect(nmid, address)
            clients[address].sendall(b"GET /healthz HTTP/1.1\r\nHost: ")
        flood = [self.connect(nmid, f"10.77.6.{i}") for i in range(30)]
        lab.wait_for(lambda: counters(self.metrics())["connections"] >= 22, 20, "the flood")
        clients["10.77.5.1"].sendall(b"localhost\r\n\r\n")
        self.assertTrue(clients["10.77.5.1"].recv(4096).startswith(b"HTTP/1.1 200"))
        self.assertEqual(clients["10.77.5.2"].recv(4096), b"")
        self.assertEqual(flood[0].recv(1), b"")

    # ---- One address ----

    def test_per_address(self):
        nmid = self.daemon(self.noops(), address="0.0.0.0",
                           limits={"connections_per_address": 3})
        mine = [self.connect(nmid, "10.77.3.1") for _ in range(3)]
        for client in mine:
            self.assertTrue(self.served(client))
        self.assertFalse(self.served(self.connect(nmid, "10.77.3.1")))
        self.assertTrue(self.served(self.connect(nmid, "10.77.3.2")))
        self.assertEqual(counters(self.metrics())["connections_per_address"], 1)
        self.assertIn("warning: limits.connections_per_address (3) reached by 10.77.3.1\n", nmid.log())
        for client in mine:  # the ones that stand are left alone
            self.assertTrue(self.served(client))
        mine.pop().close()
        lab.wait_for(lambda: self.served(self.connect(nmid, "10.77.3.1")), 20, "the place")
        # Whoever is on this host, a proxy for one, has as many as he wants.
        here = [self.connect(nmid, "127.0.0.5", "127.0.0.1") for _ in range(10)]
        for client in here:
            self.assertTrue(self.served(client))

    def test_per_network(self):
        """Of IPv6, a /64 is one address: whoever has one has all of them."""
        nmid = self.daemon(self.noops(), address="::", limits={"connections_per_address": 2})
        for address in ("fd77::1", "fd77::2"):
            self.assertTrue(self.served(self.connect(nmid, address, "fd77::1")))
        for address in ("fd77::1", "fd77::3"):
            self.assertFalse(self.served(self.connect(nmid, address, "fd77::1")))
        self.assertIn("limits.connections_per_address (2) reached by fd77::1\n", nmid.log())
        self.assertTrue(self.served(self.connect(nmid, "fd77:0:0:1::1", "fd77::1")))
        for _ in range(5):
            self.assertTrue(self.served(self.connect(nmid, "::1", "::1")))

    # ---- Gone ----

    def vanish(self, address):
        """Its host is off: no packet comes from there, and none is refused."""
        subprocess.run([lab.which("ip"), "route", "replace", "table", "local", "blackhole",
                        f"{address}/32"], check=True)

    def test_vanished(self):
        """Without a word, while its answer was pending: it is noticed, and the action goes on."""
        sim = self.bmcsim()
        sim.set("all", "blackhole", "on")
        nmid = self.daemon([lab.node("n1", sim)], limits={"request_s": 1, "idle_s": 2},
                           ipmi={"timeout_ms": 15000, "answer_ms": 5000})
        client = self.connect(nmid, "10.77.4.4")
        body = b'{"inject_nmi": null}'
        client.sendall(b"POST /v2.1/servers/n1/action HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Type: application/json\r\nAuthorization: " +
                       ALICE["Authorization"].encode() +
                       f"\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        lab.wait_for(lambda: sim.counters()["datagrams_in"], 20, "the action to begin")
        self.assertEqual(connections(self.metrics())["tcp"], 1)
        self.vanish("10.77.4.4")
        lab.wait_for(lambda: connections(self.metrics())["tcp"] == 0, 12, "nmid to notice")
        found = self.ask_here("GET", "/agent/v1/actions?node=n1")[1]
        self.assertIn('"state":"accepted"', found)
        lab.wait_for(lambda: '"state":"finished"' in
                     self.ask_here("GET", "/agent/v1/actions?node=n1")[1], 30, "the end")


if __name__ == "__main__":
    netns.enter(("10.77.0.0/16", "fd77::1", "fd77::2", "fd77::3", "fd77:0:0:1::1"))
    lab.main(needs=("htpasswd",))
