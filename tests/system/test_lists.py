# SPDX-License-Identifier: GPL-3.0-or-later
"""Many lists, or batches, at once: others are answered among them. Judged by the order of the
answers, not by how long they take."""
import base64
import json
import selectors
import socket
import subprocess

import lab
from fake_ironic import FakeIronic

LISTS = 100
NODES = 1000
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


def head(method, path, body=b"", who=None):
    login = base64.b64encode(f"{who}:{who}".encode()).decode()
    more = f"Authorization: Basic {login}\r\n" if who else ""
    return (f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{more}"
            "X-OpenStack-Ironic-API-Version: 1.65\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode() + body


class Lists(lab.TestCase):
    def start_nmid(self, **settings):
        nodes = [{"uuid": lab.node_uuid(f"n{i}"), "name": f"n{i}", "driver": "noop"}
                 for i in range(NODES)]
        return self.nmid(nodes, **settings)

    def connect(self, nmid):
        client = socket.create_connection(("127.0.0.1", nmid.port))
        self.addCleanup(client.close)
        return client

    def ask(self, nmid, requests):
        """Asks all at once -> {client: what for}. requests: (what for, request)."""
        clients = [(self.connect(nmid), what, request) for what, request in requests]
        for client, _, request in clients:
            client.sendall(request)
        return {client: what for client, what, _ in clients}

    def order(self, nmid, clients, then=lambda: None):
        """Reads all answers, and /healthz over and over -> whose answers began, in that order;
        and the statuses of all but /healthz. then() is called after the tenth list."""
        order, statuses, left = [], set(), set(clients)
        health = self.connect(nmid)
        health.sendall(HEALTHZ)
        with selectors.DefaultSelector() as selector:
            for client in (health, *clients):
                selector.register(client, selectors.EVENT_READ)
            while left:
                ready = selector.select(60)
                self.assertTrue(ready, f"{len(left)} of {len(clients)} were not answered in 60 s")
                for key, _ in ready:
                    client = key.fileobj
                    data = client.recv(1 << 20)
                    if client is health:
                        order.append("healthz")
                        health.sendall(HEALTHZ)
                    elif not data:
                        left.discard(client)
                        selector.unregister(client)
                    elif clients[client]:
                        what, clients[client] = clients[client], None
                        order.append(what)
                        statuses.add(int(data.split(b" ", 2)[1]))
                        if what == "list" and order.count(what) == 10:
                            then()
        return order, statuses

    def check_among(self, order, what, count):
        """Between the first and the last of these answers, others are given, and often."""
        self.assertEqual(order.count(what), count)
        first = order.index(what)
        last = len(order) - 1 - order[::-1].index(what)
        self.assertGreater(order[first:last].count("healthz"), 5, order)

    def check_early(self, order, one, what):
        """Half of the others are answered after this one."""
        self.assertGreater(order[order.index(one):].count(what), LISTS // 2, order)

    def test_ironic(self):
        """All wait for one answer of Ironic's: it is not the end of everything else, and an
        injection that waits for Ironic too waits for none of them."""
        ironic = FakeIronic()
        self.addCleanup(ironic.stop)
        for i in range(NODES):
            ironic.node(lab.node_uuid(f"n{i}"))
        nmid = self.start_nmid(state_source="ironic", limits={"requests_per_principal": LISTS + 1},
                               ironic={"url": ironic.url, "timeout_ms": 60000, "cache_s": 0})
        # In between a reload forgets what Ironic said: it is asked again, and nobody refused.
        for path, then in (("/v1/nodes/detail", lambda: None), ("/agent/v1/nodes", nmid.reload)):
            with self.subTest(path):
                ironic.fault("hold", "/v1/nodes")
                clients = self.ask(nmid, [("list", head("GET", path))] * LISTS)
                clients |= self.ask(nmid, [("order", head("POST", "/v2.1/servers/n7/action",
                                                          b'{"inject_nmi": null}'))])
                lab.wait_for(lambda: self.request(nmid, "GET", "/agent/v1/actions/x")[0] == 429,
                             60, "all to be under way")
                ironic.clear()
                order, statuses = self.order(nmid, clients, then)
                self.assertEqual(statuses, {200, 400})  # noop has no NMI
                self.check_among(order, "list", LISTS)
                self.check_early(order, "order", "list")

    def test_batches(self):
        nmid = self.start_nmid()
        batch = {"action": "inject_nmi", "nodes": [f"x{i}" for i in range(2000)]}
        post = head("POST", "/agent/v1/actions", json.dumps(batch).encode())
        order, statuses = self.order(nmid, self.ask(nmid, [("batch", post)] * 30))
        self.assertEqual(statuses, {202})
        self.check_among(order, "batch", 30)
        made = self.request(nmid, "POST", "/agent/v1/actions", batch)[2]
        self.assertEqual(len(made["actions"]), 2000)
        get = head("GET", f"/agent/v1/batches/{made['id']}")
        order, statuses = self.order(nmid, self.ask(nmid, [("batch", get)] * 50))
        self.assertEqual(statuses, {200})
        self.check_among(order, "batch", 50)

    def test_two_callers(self):
        """One who asks for one list does not wait for all of somebody else's."""
        users = self.unique("htpasswd")
        users.touch(mode=0o600)
        users.write_text("".join(subprocess.run(
            [lab.which("htpasswd"), "-nbB", "-C", "4", name, name], text=True, capture_output=True,
            check=True).stdout.strip() + "\n" for name in ("alice", "bob")))
        nmid = self.start_nmid(auth={
            "strategy": "http_basic", "user_file": str(users),
            "users": [{"name": name, "roles": ["reader"], "system": True}
                      for name in ("alice", "bob")]})
        lists = {who: (who, head("GET", "/agent/v1/nodes", who=who)) for who in ("alice", "bob")}
        self.order(nmid, self.ask(nmid, list(lists.values())))  # they have logged in
        clients = self.ask(nmid, [lists["alice"]] * LISTS + [lists["bob"]])
        order, statuses = self.order(nmid, clients)
        self.assertEqual(statuses, {200})
        self.check_among(order, "alice", LISTS)
        self.check_early(order, "bob", "alice")


if __name__ == "__main__":
    lab.main()
