# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP guards, limits and deadlines from outside, against a running nmid: raw bytes on a socket.
docs/http-shapes.md has the rows: each is sent as it stands there, and the BMC counts."""
import re
import socket
import time

import http_shapes
import lab

HOST = b"Host: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
BODY = b'{"inject_nmi": null}'
JSON = b"Content-Type: application/json\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)


def action(*headers, method=b"POST", path=b"/v2.1/servers/n1/action", version=b"HTTP/1.1",
           host=HOST, body=BODY):
    """An injection that a lenient server would carry out."""
    return (method + b" " + path + b" " + version + b"\r\n" + host + JSON + b"".join(headers) +
            b"\r\n" + body)


SHAPES = http_shapes.read()


class Guards(lab.TestCase):
    def connect(self, nmid):
        client = socket.create_connection(("127.0.0.1", nmid.port), 20)
        self.addCleanup(client.close)
        return client

    @staticmethod
    def read(client):
        """Everything until the other side closes."""
        data = b""
        try:
            while True:
                piece = client.recv(65536)
                if not piece:
                    return data
                data += piece
        except ConnectionResetError:
            return data

    def status(self, nmid, data):
        """Sends data and a good request behind it; the first answer's status, when it is the only
        one and the connection closed after it."""
        client = self.connect(nmid)
        client.sendall(data + HEALTH)
        answer = self.read(client)
        self.assertEqual(len(re.findall(rb"HTTP/1\.1 \d+", answer)), 1, answer)
        self.assertIn(b"\r\nConnection: close\r\n", answer)
        return int(answer.split()[1])

    def setUp(self):
        self.sim = self.bmcsim("--count", "1")

    def start_nmid(self, **settings):
        return self.nmid([lab.node("n1", self.sim)], **settings)

    def wait_for_rest(self, nmid):
        def rests():
            health = self.request(nmid, "GET", "/healthz")[2]
            return health["queued"] == health["in_flight"] == 0
        lab.wait_for(rests, what="nmid to rest")

    def check_shape(self, nmid, shape):
        """Sends it with a good request behind it, and reads what comes."""
        wire = http_shapes.Wire(nmid.port)
        self.addCleanup(wire.close)
        wire.send(shape.sent + HEALTH)
        answers = []
        for status in shape.statuses:
            answer = wire.answer(head=shape.sent.startswith(b"HEAD "))
            if answer is not None and answer[0] == 100:
                answer = wire.answer()
            self.assertIsNotNone(answer, f"the connection ended after {answers}")
            answers.append(answer)
        self.assertEqual([answer[0] for answer in answers], shape.statuses, answers)
        if not shape.closed:
            following = wire.answer()
            self.assertEqual((following or [None])[0], 200, "the request behind it")
            self.assertIn(b'"status"', following[2])
            self.assertNotIn(b"\r\nConnection: close", answers[-1][1])
        else:
            self.assertTrue(wire.ended(), "the connection goes on")
            if answers:
                self.assertIn(b"\r\nConnection: close", answers[-1][1])
        wire.close()

    def test_every_shape(self):
        nmid = self.start_nmid(hold_off_s=0)
        executed = 0
        self.assertGreater(len(SHAPES), 150)
        for shape in SHAPES:
            with self.subTest(section=shape.section, what=shape.what):
                self.check_shape(nmid, shape)
            # Not what the answers say counts, but what the BMC has done.
            executed += shape.statuses.count(202)
            with self.subTest(section=shape.section, what=shape.what, of="the BMC"):
                self.wait_for_rest(nmid)
                count = self.sim.count()
                self.assertEqual(count, executed)
            executed = count
        self.assertGreater(executed, 10)

    def test_in_single_bytes(self):
        """The same, each byte in a segment of its own: for what is not long."""
        nmid = self.start_nmid(hold_off_s=0)
        for shape in SHAPES:
            if len(shape.sent) > 400:
                continue
            wire = http_shapes.Wire(nmid.port)
            wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.subTest(section=shape.section, what=shape.what):
                for i in range(len(shape.sent)):
                    wire.send(shape.sent[i:i + 1])
                wire.send(HEALTH)
                statuses = []
                for _ in shape.statuses:
                    answer = wire.answer(head=shape.sent.startswith(b"HEAD "))
                    while answer is not None and answer[0] == 100:
                        answer = wire.answer()
                    statuses.append(answer and answer[0])
                self.assertEqual(statuses, shape.statuses)
            wire.close()
        wanted = sum(s.statuses.count(202) for s in SHAPES if len(s.sent) <= 400)
        self.wait_for_rest(nmid)
        self.assertEqual(self.sim.count(), wanted)

    def test_nothing_of_one_request_is_seen_by_the_next(self):
        """Marks in every part of a first request; the second one asks for the same without them."""
        nmid = self.start_nmid(hold_off_s=0)
        marked = action(b"Idempotency-Key: zebra-key\r\n", b"X-Auth-Token: zebra-token\r\n",
                        b"Authorization: Basic emVicmE6emVicmE=\r\n",
                        b"OpenStack-API-Version: compute 2.42\r\n",
                        b"X-Forwarded-Proto: https\r\n", b"X-Forwarded-For: zebra\r\n",
                        b"Content-Length: 48\r\n", path=b"/v2.1/servers/n1/action?zebra=zebra",
                        host=b"Host: localhost:4242\r\n",
                        body=b'{"inject_nmi": null, "zebra": "zebra" }         ')
        refused = marked.replace(b"Host:", b"Host: zebra\r\nHost:")
        lists = [b"GET " + path + b" HTTP/1.1\r\n" + HOST + b"\r\n"
                 for path in (b"/v2.1", b"/v2.1/servers", b"/agent/v1/nodes", b"/healthz")]
        for first in (marked, marked.replace(b', "zebra": "zebra" ', b" " * 19)):
            for second in lists:
                plain = http_shapes.Wire(nmid.port)
                plain.send(second)
                want = plain.answer()
                plain.close()
                wire = http_shapes.Wire(nmid.port)
                wire.send(first + second)
                self.assertIsNotNone(wire.answer())
                got = wire.answer()
                wire.close()
                self.assertNotIn(b"zebra", got[1] + got[2])
                self.assertNotIn(b"4242", got[1] + got[2])
                self.assertNotIn(b"https:", got[1] + got[2])
                if second != HEALTH:
                    self.assertEqual(got[2], want[2])
                strip = re.compile(rb"req-[0-9a-f-]{36}|Date: [^\r]+|Content-Length: \d+")
                self.assertEqual(strip.sub(b"", got[1]), strip.sub(b"", want[1]))
        # A key of the first is not one of the second: that would be its repeat, and no NMI.
        begun = self.sim.count()
        wire = http_shapes.Wire(nmid.port)
        wire.send(action(b"Idempotency-Key: k\r\n", LENGTH) + action(LENGTH) +
                  action(b"Content-Length: 0\r\n", body=b""))
        self.assertEqual([wire.answer()[0] for _ in range(3)], [202, 202, 400])
        wire.close()
        self.assertEqual(self.sim.count(), begun + 2)
        # And one that is refused leaves nothing to who comes after it, on the same descriptor.
        for _ in range(20):
            wire = http_shapes.Wire(nmid.port)
            wire.send(refused)
            self.assertEqual(wire.answer()[0], 400)
            wire.close()
            answer = self.request(nmid, "GET", "/agent/v1/actions")
            self.assertNotIn("zebra-", str(answer))

    def test_escapes_and_odd_paths_find_nothing(self):
        nmid = self.start_nmid()
        for path in ("/v2.1/servers/n1%00/action", "/v2.1/servers/n1%2faction",
                     "/v2.1/servers/x%2fn1/action", "//v2.1/servers/n1/action",
                     "/v2.1/../v2.1/servers/n1/action", "/v2.1/servers/n1/action/",
                     "/v2.1/s%65rvers/n1/action", "/v2.1/servers/%0a/action"):
            with self.subTest(path):
                status, _, body = self.request(nmid, "POST", path, {"inject_nmi": None})
                # "n1/action" is no action of n1 but the name of a server, which is there to be read
                self.assertEqual(status, 405 if path.endswith("n1%2faction") else 404)
                # in the words of the contract that owns the path
                self.assertTrue(body.keys() <= {"itemNotFound", "badMethod", "error"}, body)
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)
        # %6e is n: decoded after the split, it is a name as any other.
        status, _, _ = self.request(nmid, "POST", "/v2.1/servers/%6e1/action", {"inject_nmi": None})
        self.assertEqual((status, self.sim.count()), (202, 1))

    def test_unknown_method(self):
        nmid = self.start_nmid()
        for method in ("FOO", "GET", "DELETE", "OPTIONS", "PATCH", "TRACE"):
            status, headers, body = self.request(nmid, method, "/v2.1/servers/n1/action")
            self.assertEqual((status, headers["Allow"]), (405, "POST, PUT"))
            self.assertEqual(body["badMethod"]["code"], 405)
        self.assertEqual(self.request(nmid, "POST", "/healthz")[1]["Allow"], "GET, HEAD")

    def test_a_page_of_another_site(self):
        nmid = self.start_nmid()
        for host in (b"evil.example", b"127.0.0.1.evil.example:8623", b"192.0.2.1", b""):
            with self.subTest(host):
                self.assertEqual(self.status(nmid, action(LENGTH, host=b"Host: %s\r\n" % host)), 421)
        self.assertEqual(self.status(nmid, action(LENGTH, b"Origin: https://evil.example\r\n")), 403)
        # What a form or a script can send without asking first is no application/json.
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            status, _, _ = self.request(nmid, "POST", "/v2.1/servers/n1/action", BODY,
                                        {"Content-Type": kind})
            self.assertEqual(status, 400)
        status, _, _ = self.request(nmid, "POST", "/v2.1/servers/n1/action", BODY)
        self.assertEqual(status, 400)
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)
        for host in ("localhost", f"127.9.9.9:{nmid.port}", "[::1]:1"):
            self.assertEqual(self.request(nmid, "GET", "/healthz", headers={"Host": host})[0], 200)

    def test_sizes(self):
        nmid = self.start_nmid(limits={"body_bytes": 4096, "header_bytes": 4096})
        self.assertEqual(self.status(nmid, action(b"Content-Length: 4097\r\n", body=b"")), 413)
        self.assertEqual(self.status(nmid, action(LENGTH, b"X: " + b"x" * 4096 + b"\r\n")), 431)
        self.assertEqual(self.status(nmid, action(LENGTH, path=b"/" + b"x" * 3000)), 414)
        head = action(b"Transfer-Encoding: chunked\r\n", body=b"")
        chunk = b"400\r\n" + b" " * 1024 + b"\r\n"
        self.assertEqual(self.status(nmid, head + chunk * 5 + b"0\r\n\r\n"), 413)
        # One without an end is not read to its end.
        client = self.connect(nmid)
        with self.assertRaises(OSError):
            client.sendall(head)
            for _ in range(100000):
                client.sendall(chunk)
        status, _, _ = self.request(nmid, "POST", "/v2.1/servers/n1/action",
                                    " " * (4096 - len(BODY)) + BODY.decode(),
                                    {"Content-Type": "application/json"})
        self.assertEqual((status, self.sim.count()), (202, 1))

    def lasts(self, nmid, head, drip):
        """How long a connection lasts that gets a byte every 0.1 s after head."""
        client = self.connect(nmid)
        client.sendall(head)
        client.settimeout(0.1)
        begun = time.monotonic()
        while time.monotonic() < begun + 15:
            try:
                client.sendall(drip)
                if client.recv(65536) == b"":
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        return time.monotonic() - begun

    def test_slow_and_idle(self):
        nmid = self.start_nmid(limits={"request_s": 1, "idle_s": 6})
        for head in (b"GET /", b"GET /healthz HTTP/1.1\r\nX: ",
                     action(b"Content-Length: 4000\r\n", body=b"")):
            took = self.lasts(nmid, head, b"x")
            self.assertTrue(0.9 <= took < 5.9, took)
        client = self.connect(nmid)
        client.sendall(HEALTH)
        begun = time.monotonic()
        self.read(client)
        self.assertTrue(5.5 <= time.monotonic() - begun < 19)

    def test_newcomers_at_the_connection_limit(self):
        nmid = self.start_nmid(limits={"connections": 8})
        idle = [self.connect(nmid) for _ in range(8)]
        for client in idle:
            client.sendall(HEALTH)
            self.assertIn(b"200", client.recv(65536))
        for _ in range(30):  # the idle ones have to give way
            client = self.connect(nmid)
            client.sendall(HEALTH)
            self.assertIn(b"200", client.recv(65536))
        for client in idle:
            self.assertEqual(self.read(client), b"")

    def test_answers_that_come_late_on_two_connections(self):
        self.sim.set("all", "control_delay_ms", "300")
        nmid = self.nmid([lab.node("n1", self.sim)])
        for count in range(1, 6):
            one, two = self.connect(nmid), self.connect(nmid)
            one.sendall(action(LENGTH))
            lab.wait_for(lambda: self.request(nmid, "GET", "/healthz")[2]["in_flight"] == 1)
            two.sendall(action(LENGTH))  # a conflict: at once
            self.assertIn(b" 409 ", two.recv(65536))
            self.assertIn(b" 202 ", one.recv(65536))
            self.assertEqual(self.sim.count(), count)

    def test_a_client_that_leaves_changes_nothing(self):
        self.sim.set("all", "control_delay_ms", "300")
        nmid = self.start_nmid()
        client = self.connect(nmid)
        client.sendall(action(LENGTH))
        lab.wait_for(lambda: self.request(nmid, "GET", "/healthz")[2]["in_flight"] == 1)
        client.close()
        lab.wait_for(lambda: self.request(nmid, "GET", "/healthz")[2]["delivered"] == 1)
        self.assertEqual(self.sim.count(), 1)

    def test_unix_socket(self):
        path = self.dir / "s"
        nmid = self.start_nmid(listen=[{"socket": str(path)}])
        self.assertEqual(path.stat().st_mode & 0o7777, 0o660)
        status, _, _ = self.request(nmid, "POST", "/v2.1/servers/n1/action", {"inject_nmi": None})
        self.assertEqual(status, 202)
        listing = self.request(nmid, "GET", "/agent/v1/actions")[2]["actions"]
        self.assertEqual(listing[0]["caller"]["address"], "unix")
        nmid.crash()
        self.assertTrue(path.exists())  # stale: nobody answers on it
        nmid.start()
        self.assertEqual(self.request(nmid, "GET", "/healthz")[0], 200)
        nmid.stop()
        self.assertFalse(path.exists())

    def test_nothing_of_the_network_goes_raw_into_the_log(self):
        nmid = self.start_nmid()
        self.request(nmid, "POST", "/v2.1/servers/%1b%5b31m%0aaction%20forged/action",
                     {"inject_nmi": None})
        self.request(nmid, "POST", "/v2.1/servers/n1/action", {"inject_nmi": None},
                     {"Idempotency-Key": "a\\x0aforged"})
        self.assertNotIn("forged", nmid.log())
        self.assertNotIn("\x1b", nmid.log())


if __name__ == "__main__":
    lab.main()
