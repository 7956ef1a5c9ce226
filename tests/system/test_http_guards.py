# SPDX-License-Identifier: GPL-3.0-or-later
"""The HTTP guards, limits and deadlines from outside, against a running nmid: raw bytes on a socket.
tests/unit/test_http_*.c has more rows; here is each kind, through the configuration's own limits,
and the proof that none of it reaches a BMC."""
import re
import socket
import time

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


CHUNKED = b"%x\r\n" % len(BODY) + BODY + b"\r\n0\r\n\r\n"

REFUSED = {
    "two lengths": action(LENGTH, b"Content-Length: 2\r\n"),
    "two equal lengths": action(LENGTH, LENGTH),
    "length and encoding": action(LENGTH, b"Transfer-Encoding: chunked\r\n", body=CHUNKED),
    "blank before the colon": action(b"Content-Length : %d\r\n" % len(BODY)),
    "xchunked": action(b"Transfer-Encoding: xchunked\r\n", body=CHUNKED),
    "gzip, chunked": action(b"Transfer-Encoding: gzip, chunked\r\n", body=CHUNKED),
    "bare CR": action(LENGTH, b"X: a\rb\r\n"),
    "two hosts": action(LENGTH, HOST),
    "no host": action(LENGTH, host=b""),
    "absolute URI": action(LENGTH, path=b"http://localhost/v2.1/servers/n1/action"),
    "star": action(LENGTH, path=b"*"),
    "CONNECT": action(LENGTH, method=b"CONNECT"),
    "space in the path": action(LENGTH, path=b"/v2.1/servers/n1 /action"),
    "raw NUL in the path": action(LENGTH, path=b"/v2.1/servers/n1/action\0x"),
    "raw NUL in Host": action(LENGTH, host=b"Host: localhost\0x\r\n"),
    "obs-fold": action(LENGTH, b"X: a\r\n b\r\n"),
    "bare LF": action(LENGTH, b"X: a\n"),
    "HTTP/1.9": action(LENGTH, version=b"HTTP/1.9"),
    "bad escape": action(LENGTH, path=b"/v2.1/servers/n1%z/action"),
}


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

    def test_refused(self):
        nmid = self.start_nmid()
        for name, data in REFUSED.items():
            with self.subTest(name):
                self.assertEqual(self.status(nmid, data), 400)
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)

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
        nmid = self.start_nmid(limits={"request_s": 1, "idle_s": 3})
        for head in (b"GET /", b"GET /healthz HTTP/1.1\r\nX: ",
                     action(b"Content-Length: 4000\r\n", body=b"")):
            took = self.lasts(nmid, head, b"x")
            self.assertTrue(0.9 <= took < 2.9, took)
        client = self.connect(nmid)
        client.sendall(HEALTH)
        begun = time.monotonic()
        self.read(client)
        self.assertTrue(2.5 <= time.monotonic() - begun < 8)

    def test_waiting_at_the_connection_limit(self):
        nmid = self.start_nmid(limits={"connections": 8})
        first = [self.connect(nmid) for _ in range(8)]
        for client in first:
            client.sendall(HEALTH)
            self.assertIn(b"200", client.recv(65536))
        waiting = [self.connect(nmid) for _ in range(30)]
        for client in waiting:
            client.sendall(HEALTH.replace(HOST, HOST + b"Connection: close\r\n"))
        waiting[0].settimeout(0.2)
        with self.assertRaises(TimeoutError):
            waiting[0].recv(1)
        waiting[0].settimeout(20)
        for client in first:
            client.close()
        for client in waiting:
            self.assertIn(b"200", self.read(client))

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
