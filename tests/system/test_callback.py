# SPDX-License-Identifier: GPL-3.0-or-later
"""Callbacks (docs/callbacks.md): a running nmid, simulated BMCs, and receivers that are programs of
their own, so that they can be slow, dead, wrong and started again."""
import contextlib
import hashlib
import hmac
import http.client
import json
import re
import sqlite3
import sys
import time

import lab

HERE = lab.top_srcdir / "tests/system"
KEY = "an HMAC key for the tests"
TOKEN = "Bearer a-token-for-one-receiver-only"


class Receiver:
    """A running receiver.py."""

    def __init__(self, case, port=0, tls=False):
        argv = [sys.executable, HERE / "receiver.py", "--port", port]
        if tls:
            argv += ["--cert", HERE / "receiver.crt", "--key", HERE / "receiver.key"]
        self.process = case.start(argv)
        ready = lab.wait_for(lambda: re.match(r"ready port=(\d+)\n", self.process.out()), 30,
                             "the receiver to serve")
        self.port = int(ready.group(1))
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"

    def fault(self, line):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("PUT", "/", line)
        assert connection.getresponse().status == 200
        connection.close()

    def posts(self):
        """What came so far."""
        return [json.loads(line) for line in re.findall(r"(.*)\n", self.process.out())[1:]]

    def wait(self, count, timeout=30):
        """The first `count` posts, at least."""
        lab.wait_for(lambda: len(self.posts()) >= count, timeout, f"{count} posts")
        return self.posts()

    def ids(self):
        return {post["headers"]["idempotency-key"] for post in self.posts()}


class Callback(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "16")
        self.nodes = [lab.node(f"n{i}", self.sim, self.sim.address(i)) for i in range(16)]

    def inject(self, nmid, ident, status=202, **keys):
        answer = self.request(nmid, "POST", f"/agent/v1/nodes/{ident}/actions",
                              {"action": "inject_nmi", **keys})
        self.assertEqual(answer[0], status, answer[2])
        return answer[2]

    def finished(self, nmid, identity):
        status, _, action = self.request(nmid, "GET", f"/agent/v1/actions/{identity}?wait=60")
        self.assertEqual((status, action["state"]), (200, "finished"), action)
        return action

    def logged(self, nmid, pattern, timeout=30):
        return lab.wait_for(lambda: re.search(pattern, nmid.log()), timeout, f"{pattern} in the log")

    def check_secrets(self, nmid):
        for secret in (KEY, TOKEN, "a-token"):
            self.assertNotIn(secret, nmid.log())

    def test_delivered_once(self):
        receiver = Receiver(self)
        nmid = self.nmid(self.nodes, callback={
            "url": receiver.url + "/all", "hmac_key": KEY,
            "headers": [{"name": "Authorization", "value": TOKEN}]})
        identity = self.inject(nmid, "n0")["id"]
        post = receiver.wait(1)[0]
        headers = post["headers"]
        self.assertEqual(json.loads(post["body"]), self.finished(nmid, identity))
        self.assertEqual(json.loads(post["body"])["outcome"], "delivered")
        self.assertEqual(post["path"], "/all")
        self.assertEqual(headers["idempotency-key"], identity)
        self.assertEqual(headers["content-type"], "application/json")
        self.assertEqual(headers["authorization"], TOKEN)
        self.assertRegex(headers["user-agent"], r"^nmid/\d")
        signature = hmac.new(KEY.encode(), post["body"].encode(), hashlib.sha256).hexdigest()
        self.assertEqual(headers["x-nmid-signature"], "sha256=" + signature)
        # Other contracts' actions too, and each only once, across a restart.
        self.request(nmid, "POST", f"/v2.1/servers/{lab.node_uuid('n1')}/action",
                     {"inject_nmi": None})
        self.assertEqual(json.loads(receiver.wait(2)[1]["body"])["contract"], "nova")
        nmid.stop()
        nmid.start()
        self.assertNotIn("left by an earlier nmid", nmid.log())
        self.inject(nmid, "n2")
        self.assertEqual([json.loads(post["body"])["node_name"] for post in receiver.wait(3)],
                         ["n0", "n1", "n2"])
        self.check_secrets(nmid)

    def test_own_url(self):
        ours, own = Receiver(self), Receiver(self)
        nmid = self.nmid(self.nodes, callback={
            "url": ours.url + "/all", "hmac_key": KEY, "allow": [own.url + "/nmid/"],
            "headers": [{"name": "Authorization", "value": TOKEN}]})
        identity = self.inject(nmid, "n0", callback_url=own.url + "/nmid/x?y=z")["id"]
        for receiver, path in ((ours, "/all"), (own, "/nmid/x?y=z")):
            post = receiver.wait(1)[0]
            self.assertEqual((post["path"], post["headers"]["idempotency-key"]), (path, identity))
            self.assertIn("x-nmid-signature", post["headers"])
        self.assertEqual(ours.posts()[0]["headers"]["authorization"], TOKEN)
        self.assertNotIn("authorization", own.posts()[0]["headers"])
        self.assertEqual(ours.posts()[0]["body"], own.posts()[0]["body"])
        # A batch gives each of its actions the URL.
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions", {
            "action": "inject_nmi", "nodes": ["n1", "n2"], "callback_url": own.url + "/nmid/b"})
        self.assertEqual(status, 202)
        own.wait(3)
        self.assertEqual(own.ids(), {identity} | {action["id"] for action in batch["actions"]})
        self.assertEqual(len(own.posts()), 3)
        # The URL is a part of the request: with another one, the key is taken.
        key = {"Idempotency-Key": "k"}
        for url, expected in (("/nmid/1", 202), ("/nmid/1", 202), ("/nmid/2", 422)):
            status, _, _ = self.request(nmid, "POST", "/agent/v1/nodes/n3/actions", {
                "action": "inject_nmi", "callback_url": own.url + url}, key)
            self.assertEqual(status, expected)
        own.wait(4)
        self.assertEqual(self.sim.count(self.sim.address(3)), 1)
        self.check_secrets(nmid)

    def test_url_refused(self):
        receiver = Receiver(self)
        nmid = self.nmid(self.nodes, callback={"allow": [receiver.url + "/nmid/"]})
        for url in (receiver.url + "/", receiver.url + "/nmid", receiver.url + "/nmidx/",
                    receiver.url.replace("http:", "https:") + "/nmid/", "http://127.0.0.1/nmid/",
                    receiver.url.replace("127.0.0.1", "localhost") + "/nmid/",
                    "http://127.0.0.1:1/nmid/", "http://169.254.169.254/latest/meta-data/"):
            with self.subTest(url):
                error = self.inject(nmid, "n0", 403, callback_url=url)["error"]
                self.assertEqual(error["code"], "forbidden")
                self.assertIn("callback_url", error["message"])
        for url in ("", "x", "file:///etc/passwd", receiver.url + "/nmid/../x",
                    receiver.url + "/nmid/%2e%2e/x", receiver.url + "/nmid/\r\nX: y",
                    receiver.url.replace("//", "//u:p@") + "/nmid/", receiver.url + "@evil/nmid/",
                    receiver.url + "/nmid/" + "x" * 2048, receiver.url + "/nmid/#x", 1, None, [],
                    receiver.url + "\\@evil/nmid/", receiver.url + "/nmid/\u00fc"):
            with self.subTest(url):
                error = self.inject(nmid, "n0", 400, callback_url=url)["error"]
                self.assertEqual(error["code"], "malformed")
        self.assertEqual(self.sim.counters()["datagrams_in"], 0)
        nmid.reload(callback={"allow": []})
        self.assertIn("callback.allow", self.inject(
            nmid, "n0", 403, callback_url=receiver.url + "/nmid/")["error"]["message"])
        self.assertEqual(receiver.posts(), [])

    def test_down_then_up(self):
        receiver = Receiver(self)
        port = receiver.port
        receiver.process.stop()
        nmid = self.nmid(self.nodes, callback={"url": f"http://127.0.0.1:{port}/"})
        identities = {self.inject(nmid, f"n{i}")["id"] for i in range(3)}
        self.logged(nmid, rf"http://127\.0\.0\.1:{port}: .*action req-")
        for identity in identities:
            self.finished(nmid, identity)
        receiver = Receiver(self, port)
        receiver.wait(3)
        self.assertEqual(receiver.ids(), identities)
        self.logged(nmid, "takes posts again")
        self.assertEqual(len(receiver.posts()), 3)

    def test_errors_then_taken(self):
        receiver = Receiver(self)
        nmid = self.nmid(self.nodes, callback={"url": receiver.url + "/", "timeout_ms": 500})
        for fault in ("status 500", "status 410", "status 302", "close", "hang"):
            with self.subTest(fault):
                receiver.fault(fault)
                before = len(receiver.posts())
                self.inject(nmid, f"n{before}")
                first = receiver.wait(before + 1)[before]
                receiver.fault("status 204")
                posts = lab.wait_for(lambda: [post for post in receiver.posts()[before:]
                                              if post["fault"] == "status 204"], 30, "another try")
                self.assertEqual(first["fault"], fault)
                self.assertEqual(posts[0]["body"], first["body"])
                self.assertEqual(posts[0]["headers"]["idempotency-key"],
                                 first["headers"]["idempotency-key"])
                self.logged(nmid, "takes posts again|answered 410|answered 302")
        # What never ends after its 200 has been taken.
        receiver.fault("endless")
        before = len(receiver.posts())
        self.inject(nmid, "n14")
        receiver.wait(before + 1)
        receiver.fault("status 200")
        self.inject(nmid, "n15")
        posts = receiver.wait(before + 2)
        self.assertEqual(json.loads(posts[before + 1]["body"])["node_name"], "n15")
        nmid.stop()
        nmid.start()
        self.assertNotIn("left by an earlier nmid", nmid.log())

    def test_redirect_is_not_followed(self):
        receiver, other = Receiver(self), Receiver(self)
        nmid = self.nmid(self.nodes, callback={
            "url": receiver.url + "/", "headers": [{"name": "Authorization", "value": TOKEN}]})
        receiver.fault(f"redirect {other.url}/stolen")
        self.inject(nmid, "n0")
        self.logged(nmid, "answered 302")
        receiver.wait(2)
        self.assertEqual(other.posts(), [])
        receiver.fault("status 200")
        before = len(receiver.posts())
        receiver.wait(before + 1)
        self.assertEqual(other.posts(), [])

    def test_one_hangs(self):
        """A receiver that hangs delays neither another one nor injections nor the end."""
        hung, good = Receiver(self), Receiver(self)
        hung.fault("hang")
        nmid = self.nmid(self.nodes, callback={"url": hung.url + "/", "allow": [good.url + "/"],
                                               "timeout_ms": 60000})
        slowest = 0
        for i in range(16):
            start = time.monotonic()
            identity = self.inject(nmid, f"n{i}", callback_url=good.url + "/x")["id"]
            self.assertEqual(self.finished(nmid, identity)["outcome"], "delivered")
            slowest = max(slowest, time.monotonic() - start)
        self.assertEqual(len(good.wait(16)), 16)
        self.assertLess(slowest, 5)
        self.assertEqual(len(hung.wait(4)), 4)  # one origin has four tries at a time, no more
        start = time.monotonic()
        nmid.stop()
        self.assertLess(time.monotonic() - start, 10)
        self.assertEqual(len(hung.posts()), 4)
        # What it did not take is still there.
        hung.fault("status 200")
        nmid.start()
        self.logged(nmid, "16 posts were left by an earlier nmid")
        hung.wait(4 + 16)
        self.assertEqual(len(hung.ids()), 16)
        self.assertEqual(len(good.posts()), 16)

    def outbox_empty(self, nmid):
        """Waits until nmid has it on disk that all posts were taken."""
        def none_left():
            with contextlib.closing(sqlite3.connect(nmid.state_dir / "nmid.db", timeout=10)) as base:
                return base.execute("SELECT count(*) FROM outbox").fetchone()[0] == 0
        lab.wait_for(none_left, what="an empty outbox")

    def test_killed(self):
        """kill -9 while posts are under way: each comes again, to both kinds of URL."""
        ours, own = Receiver(self), Receiver(self)
        nmid = self.nmid(self.nodes, callback={
            "url": ours.url + "/", "allow": [own.url + "/"],
            "headers": [{"name": "Authorization", "value": TOKEN}]})
        for receiver in (ours, own):
            receiver.fault("hang")
        identity = self.inject(nmid, "n0", callback_url=own.url + "/x")["id"]
        action = self.finished(nmid, identity)  # *finished*, and with it the posts, is on disk
        first = ours.wait(1) + own.wait(1)
        nmid.crash()
        for receiver in (ours, own):
            receiver.fault("status 200")
        nmid.start()
        again = [ours.wait(2)[1], own.wait(2)[1]]
        for one, two in zip(first, again):
            self.assertEqual(one["body"], two["body"])
            self.assertEqual(one["headers"], two["headers"])
            self.assertEqual(json.loads(two["body"]), action)
        self.assertNotIn("authorization", again[1]["headers"])
        self.outbox_empty(nmid)  # else a second crash would make these come a third time
        self.inject(nmid, "n1")
        ours.wait(3)
        nmid.crash()
        nmid.start()
        self.inject(nmid, "n2")
        ours.wait(4)
        self.assertEqual(ours.ids(), {post["headers"]["idempotency-key"] for post in ours.posts()})
        self.assertLessEqual(len(ours.posts()), 5)  # n1's may have come twice, n0's not again
        self.assertEqual(len(own.posts()), 2)
        self.assertEqual(self.sim.count(), 1)

    def test_https(self):
        receiver = Receiver(self, tls=True)
        settings = {"url": receiver.url + "/", "ca_file": str(HERE / "receiver.crt"),
                    "timeout_ms": 5000}
        nmid = self.nmid(self.nodes, callback=settings)
        self.inject(nmid, "n0")
        receiver.wait(1)
        # Neither an authority that is not ours, nor another name, nor no encryption.
        nmid.reload(callback={key: settings[key] for key in ("url", "timeout_ms")})
        self.inject(nmid, "n1")
        self.logged(nmid, r"(?i)certificate")
        for node, url, why in (("n2", receiver.url.replace("127.0.0.1", "localhost"), "localhost"),
                               ("n3", receiver.url.replace("https", "http"), "")):
            log = nmid.reload(callback={**settings, "url": url + "/"})
            self.assertIn("reloaded:", log)
            self.inject(nmid, node)
            self.logged(nmid, re.escape(url) + f": .*{why}.*action ")
        self.assertEqual(len(receiver.posts()), 1)
        # With the right settings back, what was kept for it comes.
        nmid.reload(callback=settings)
        self.assertEqual(json.loads(receiver.wait(2)[1]["body"])["node_name"], "n1")


if __name__ == "__main__":
    lab.main()
