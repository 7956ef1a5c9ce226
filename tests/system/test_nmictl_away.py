#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl and a nmid that takes only so many connections of one address and closes all others, as
limits.connections_per_address has it: at once, or behind the handshake; plain and with TLS."""
import shutil
import socket
import ssl
import struct
import threading
import time
import unittest
from pathlib import Path

from nmictl_case import Case, nmictl
from pki import Pki

HINT = "limits.connections_per_address"


class Gate:
    """Lets `room` connections into a fake's server at a time, idle ones among them."""

    def __init__(self, fake, room, context=None, handshake=False):
        self.fake, self.room, self.context, self.handshake = fake, room, context, handshake
        self.inside, self.most, self.turned_away = set(), 0, 0
        self.lock = threading.Lock()
        server = fake.server
        self.process, self.shut = server.process_request_thread, server.shutdown_request
        server.process_request_thread = self.take
        server.handle_error = lambda *_: None

    def take(self, request, address):
        with self.lock:
            let_in = len(self.inside) < self.room
            if let_in:
                self.inside.add(request)
                self.most = max(self.most, len(self.inside))
            else:
                self.turned_away += 1
        try:
            if not let_in and not self.handshake:
                # Closed with what the client has sent unread: it gets a reset, or an end of file.
                request.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                request.close()
                return
            inner = request
            if self.context is not None:
                inner = self.context.wrap_socket(request, server_side=True)
            if let_in:
                self.process(inner, address)
            inner.close()
        except OSError:
            request.close()
        finally:
            with self.lock:
                self.inside.discard(request)


class Away(Case):
    names = tuple("r%d" % i for i in range(1, 61))

    def setUp(self):
        super().setUp()
        self.pki = Pki(Path(self.temporary()))
        self.ca = self.pki.ca("site")
        server = self.pki.server("good", ["127.0.0.1"], self.ca)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(server.certificate, server.key)

    def gate(self, room, tls, handshake=False):
        self.secure = ["--cacert", self.ca.certificate] if tls else []
        self.url = self.fake.url.replace("http:", "https:") if tls else self.fake.url
        return Gate(self.fake, room, self.context if tls else None, handshake)

    def ask(self, code, *args):
        result = nmictl("-u", self.url, *self.secure, *args)
        self.assertEqual(result.returncode, code,
                         "stdout:\n%s\nstderr:\n%s" % (result.stdout, result.stderr))
        return result

    def assert_all_once(self, result, gate):
        self.assertIn("60 nodes: 60 delivered, 0 failed, 0 unknown", result.stdout)
        self.assertEqual(self.fake.injections, {name: 1 for name in self.names})
        keys = {}
        for name, key, _ in self.fake.posts:
            keys.setdefault(name, set()).add(key)
        self.assertEqual({len(of_node) for of_node in keys.values()}, {1})
        self.assertGreater(gate.turned_away, 0)
        self.assertLessEqual(result.stderr.count("nmid turns connections away; trying again"), 1)

    def test_fleet(self):
        """More nodes at a time than nmid takes connections: each gets its one interrupt."""
        for tls, handshake in ((False, False), (True, False), (True, True)):
            with self.subTest(tls=tls, handshake=handshake):
                self.fake.stop()
                super().setUp()
                gate = self.gate(8, tls, handshake)
                self.assert_all_once(self.ask(0, "inject-nmi", "r[1-60]"), gate)

    def test_unsent_is_sent_once(self):
        """What ended in the handshake was not sent: each node's request is seen once."""
        gate = self.gate(8, True)
        self.assert_all_once(self.ask(0, "--parallel", "48", "inject-nmi", "r[1-60]"), gate)
        self.assertEqual(len(self.fake.posts), 60)

    def test_room_comes(self):
        """All connections are another's, and one gets free after a while: it is told once."""
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.fake.stop()
                super().setUp()
                gate = self.gate(0, tls)
                timer = threading.Timer(2.5, lambda gate=gate: setattr(gate, "room", 4))
                timer.start()
                self.addCleanup(timer.cancel)
                result = self.ask(0, "inject-nmi", "r1")
                self.assertEqual(self.fake.injections, {"r1": 1})
                if tls:
                    self.assertEqual(result.stderr,
                                     "nmictl: nmid turns connections away; trying again\n")

    def test_never(self):
        """It is given up, with a hint, and nothing was sent; not before its time, nor long after."""
        gate = self.gate(0, True)
        for args, least, most in (((), 14, 60), (("--timeout", "2"), 1, 40)):
            begin = time.monotonic()
            result = self.ask(4, *args, "nodes")
            took = time.monotonic() - begin
            self.assertTrue(least <= took <= most, took)
            self.assertIn(HINT, result.stderr)
            self.assertNotIn("gnutls", result.stderr)
        self.assertEqual(self.fake.requests, [])
        self.assertGreater(gate.turned_away, 10)

    def test_shut_in_the_middle(self):
        """nmid shuts the door when it has the request: it is asked for by its key until it is known."""
        for tls in (False, True):
            with self.subTest(tls=tls):
                self.fake.stop()
                super().setUp()
                gate = self.gate(64, tls)
                self.fake.fault("POST", "/actions$", "drop")
                shut = threading.Thread(target=self.shut, args=(gate, 5))
                shut.start()
                result = self.ask(0, "inject-nmi", "r1")
                shut.join()
                self.assertEqual(self.fake.injections, {"r1": 1})
                self.assertEqual(len({key for _, key, _ in self.fake.posts}), 1)
                self.assertGreater(gate.turned_away, 0)
                self.assertIn("1  delivered", result.stdout)

    def shut(self, gate, seconds):
        self.fake.wait_until(lambda: self.fake.posts)
        gate.room = 0
        time.sleep(seconds)  # how long it stays shut; nothing is waited for
        gate.room = 64

    def test_lost_for_good(self):
        """It took the request and shuts the door for good: unknown, and sent once."""
        gate = self.gate(64, False)
        self.fake.fault("POST", "/actions$", "drop")
        closer = threading.Thread(target=lambda: (self.fake.wait_until(lambda: self.fake.posts),
                                                  setattr(gate, "room", 0)))
        closer.start()
        result = self.ask(3, "--timeout", "6", "inject-nmi", "r1")
        closer.join()
        self.assertIn("UNKNOWN", result.stdout)
        self.assertIn(HINT, result.stdout)
        self.assertEqual(self.fake.injections, {"r1": 1})
        self.assertEqual(len(self.fake.posts), 1)


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: not installed: openssl")
        raise SystemExit(77)
    unittest.main(verbosity=2)
