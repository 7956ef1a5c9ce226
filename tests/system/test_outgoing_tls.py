#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whom nmid trusts where it asks others: Keystone, Ironic and receivers of callbacks, with certificates
that are good, somebody's, another's, too old and too new; and `insecure`. All the while the environment
names a CA that would make each of them good: it must not count."""
import contextlib
import http.server
import os
import re
import shutil
import socket
import ssl
import threading
from unittest import mock

from fake_ironic import FakeIronic
from fake_keystone import FakeKeystone
import lab
from pki import Pki

UNKNOWN = "its certificate is not signed by a CA that is known here"
MISMATCH = "does not match target host name"
WARNING = "insecure: certificates are not verified"


class Tls:
    """TLS for a fake's server, from now on, with whichever certificate it is given."""

    def __init__(self, server, issued):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.connected = []
        self.accept = server.get_request
        server.get_request = self.get_request
        self.give(issued)
        server.socket = self.context.wrap_socket(server.socket, server_side=True,
                                                 do_handshake_on_connect=False)

    def get_request(self):
        request = self.accept()
        self.connected.append(request[0])
        return request

    def give(self, issued):
        """Ends what is connected, which has had its handshake."""
        self.context.load_cert_chain(issued.certificate, issued.key)
        for connection in self.connected:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.connected.clear()


class Case(lab.TestCase):
    def setUp(self):
        pki = Pki(self.dir / "pki")
        self.ca = pki.ca("site")
        here = ["127.0.0.1"]
        self.issued = {
            "good": pki.server("good", here, self.ca),
            "strangers": pki.server("good", here, pki.ca("elsewhere")),
            "names": pki.server("names", ["keystone.example", "127.0.0.2"], self.ca),
            "expired": pki.expired("expired", self.ca, here),
            "future": pki.future("future", self.ca, here),
            "client": pki.client("CN=client", self.ca),
        }
        self.keylog = self.dir / "keylog"
        cadir = self.dir / "cadir"
        cadir.mkdir()
        shutil.copy(self.ca.certificate, cadir)
        environment = {"SSL_CERT_FILE": self.ca.certificate, "SSL_CERT_DIR": str(cadir),
                       "CURL_CA_BUNDLE": self.ca.certificate, "SSLKEYLOGFILE": str(self.keylog)}
        patch = mock.patch.dict(os.environ, environment)
        patch.start()
        self.addCleanup(patch.stop)
        self.port = 0

    def rounds(self):
        """Certificate, what nmid is told of whom to trust, and why it is refused (None: it is not)."""
        ca = {"ca_file": self.ca.certificate}
        yield "good", ca, None
        yield "good", {}, UNKNOWN
        yield "strangers", ca, UNKNOWN
        yield "names", ca, MISMATCH
        yield "expired", ca, "its certificate has expired"
        yield "future", ca, "its certificate is not valid yet"
        yield "good", ca, None
        for name in ("strangers", "names", "expired"):
            yield name, {"insecure": True}, None
        yield "expired", ca, "its certificate has expired"  # nothing of the former is left

    def logged(self, nmid, start, pattern):
        lab.wait_for(lambda: re.search(pattern, nmid.log()[start:]), 30, f"{pattern} in the log")

    def check(self, nmid, group, serve, poke, seen):
        """Each round: serve() has the service come with a certificate, and gives what else changes;
        poke() asks for something that needs the service; its number of requests, seen(), grows or
        not."""
        for number, (name, trust, why) in enumerate(self.rounds()):
            with self.subTest(certificate=name, trust=list(trust), number=number):
                more = serve(self.issued[name])
                before, start = seen(), len(nmid.log())
                base = {key: value for key, value in nmid.settings[group].items()
                        if key not in ("ca_file", "insecure")}
                log = nmid.reload(**{group: {**base, **trust, **(more or {})}})
                self.assertEqual(f"{group}.{WARNING}" in log, "insecure" in trust, log)
                poke(why is None)
                if why is None:
                    self.assertGreater(seen(), before)
                else:
                    self.logged(nmid, start, re.escape(why))
                    self.assertEqual(seen(), before)
        self.assertFalse(self.keylog.exists())


class Keystone(Case):
    def test_each(self):
        keystone = FakeKeystone()
        self.addCleanup(keystone.stop)
        tls = Tls(keystone.server, self.issued["good"])
        nodes = [{"uuid": lab.node_uuid("a"), "name": "a", "driver": "noop", "project_id": "demo-id"}]
        nmid = self.nmid(nodes, auth={
            "strategy": "keystone", "auth_url": keystone.url.replace("http:", "https:"),
            "username": "nmid", "user_domain_name": "Default", "password": "nmid-password",
            "project_name": "service", "project_domain_name": "Default", "cache_s": 0,
            "ca_file": self.ca.certificate})
        token = keystone.issue("alice", project="demo")

        def poke(good):
            status, _, body = self.request(nmid, "GET", "/agent/v1/nodes",
                                           headers={"X-Auth-Token": token})
            self.assertEqual(status, 200 if good else 503, body)
            self.assertNotIn("certificate", str(body))  # the operator's business, and in the log
        self.check(nmid, "auth", tls.give, poke, lambda: len(keystone.requests))
        for secret in ("nmid-password", token):
            self.assertNotIn(secret, nmid.log())


class Ironic(Case):
    def test_each(self):
        ironic = FakeIronic()
        self.addCleanup(ironic.stop)
        tls = Tls(ironic.server, self.issued["good"])
        ironic.require_basic("nmid", "ironic-password")
        ironic.node(lab.node_uuid("a"), owner="demo")
        nodes = [{"uuid": lab.node_uuid("a"), "name": "a", "driver": "noop"}]
        nmid = self.nmid(nodes, state_source="ironic", ironic={
            "url": ironic.url.replace("http:", "https:"), "auth": "http_basic", "username": "nmid",
            "password": "ironic-password", "cache_s": 0, "ca_file": self.ca.certificate})

        def poke(good):
            status, _, body = self.request(nmid, "POST", "/agent/v1/nodes/a/actions",
                                           {"action": "inject_nmi"})
            # With Ironic's word it is the driver that says no.
            self.assertEqual((status, body["error"]["code"]),
                             (400, "unsupported") if good else (503, "state-source"), body)
        self.check(nmid, "ironic", tls.give, poke, lambda: len(ironic.requests))
        self.assertNotIn("ironic-password", nmid.log())


class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append(self.headers["Authorization"])
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Handshakes that fail are what this is about."""


class Callback(Case):
    posts = ()

    def receiver(self, issued):
        """Another one each time: of one that is known to be out of order, the log says no more."""
        server = Server(("127.0.0.1", 0), Receiver)
        server.posts = self.posts
        Tls(server, issued)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return {"url": f"https://127.0.0.1:{server.server_port}/x"}

    def test_each(self):
        self.posts = []
        sim = self.bmcsim("--count", "16")
        nodes = [lab.node(f"n{i}", sim, sim.address(i)) for i in range(16)]
        nmid = self.nmid(nodes, callback={
            **self.receiver(self.issued["good"]),
            "headers": [{"name": "Authorization", "value": "Bearer callback-token"}]})
        left = iter(range(16))

        def poke(good):
            before = len(self.posts)
            status, _, body = self.request(nmid, "POST", f"/agent/v1/nodes/n{next(left)}/actions",
                                           {"action": "inject_nmi"})
            self.assertEqual(status, 202, body)
            if good:
                lab.wait_for(lambda: len(self.posts) > before, 60, "the callback")
        self.check(nmid, "callback", self.receiver, poke, lambda: len(self.posts))
        self.assertEqual(set(self.posts), {"Bearer callback-token"})
        self.assertNotIn("callback-token", nmid.log())


class Start(Case):
    def test_warned_at_start_and_contradicted(self):
        auth = {"strategy": "keystone", "auth_url": "https://127.0.0.1:1", "username": "nmid",
                "user_domain_name": "Default", "password": "x", "project_name": "service",
                "project_domain_name": "Default", "insecure": True}
        nmid = self.nmid([], auth=auth)
        self.assertIn(f"auth.{WARNING}", nmid.log())
        log = nmid.reload(auth={**auth, "ca_file": self.ca.certificate})
        self.assertIn("auth.insecure: stands beside ca_file", log)
        self.assertIn("was not reloaded", log)


if __name__ == "__main__":
    lab.main(needs=("openssl",))
