# SPDX-License-Identifier: GPL-3.0-or-later
"""auth = { strategy = "keystone" } from outside, against a Keystone that misbehaves on demand
(fake_keystone.py). What a real one says and does is in tests/openstack."""
import threading
import time

import lab
from fake_keystone import FakeKeystone

NODES = "/agent/v1/nodes"
NMI = {"action": "inject_nmi"}
TOKENS = "/v3/auth/tokens"


def memory_of(nmid):
    """What is in its memory (but for a sanitizer's own, which is terabytes of nothing)."""
    proc, found = lab.Path("/proc") / str(nmid.process.pid), []
    with lab.looking_into_nmid(), open(proc / "mem", "rb", buffering=0) as memory:
        for line in (proc / "maps").read_text().splitlines():
            span, mode = line.split()[:2]
            first, last = (int(text, 16) for text in span.split("-"))
            if mode.startswith("rw") and last - first < 2**26:
                try:
                    memory.seek(first)
                    found.append(memory.read(last - first) or b"")
                except OSError:
                    pass  # a page that is not there
    return b"".join(found)


class Keystone(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "2")
        self.nodes = [lab.node("n1", self.sim, project_id="demo-id"),
                      lab.node("n2", self.sim, self.sim.address(1), project_id="other-id")]

    def keystone(self, **options):
        keystone = FakeKeystone(**options)
        self.addCleanup(keystone.stop)
        return keystone

    def daemon(self, keystone, **auth):
        login = {"username": "nmid", "user_domain_name": "Default", "password": "nmid-password",
                 "project_name": "service", "project_domain_id": "default"}
        if "application_credential_id" in auth:
            login = {}
        return self.nmid(self.nodes, auth={"strategy": "keystone", "auth_url": keystone.url,
                                           "timeout_ms": 10000, **login, **auth})

    def get(self, nmid, token, path=NODES):
        return self.request(nmid, "GET", path, headers={"X-Auth-Token": token} if token else {})

    def status(self, nmid, token, path=NODES):
        return self.get(nmid, token, path)[0]

    def inject(self, nmid, token, node="n1"):
        """As Nova's clients do; the outcome is awaited."""
        return self.request(nmid, "POST", f"/v2.1/servers/{lab.node_uuid(node)}/action",
                            {"inject_nmi": None}, {"X-Auth-Token": token})

    def check_log(self, nmid):
        """Neither tokens nor passwords."""
        self.assertNotIn("gAAAA", nmid.log())
        self.assertNotIn("-password", nmid.log())

    def test_who(self):
        keystone = self.keystone()
        nmid = self.daemon(keystone)
        rows = [("alice", {"project": "demo"}, 202, 404), ("rita", {"project": "demo"}, 403, 404),
                ("bob", {"project": "other"}, 404, 202), ("auditor", {"system": True}, 403, 403),
                ("admin", {"project": "admin"}, 202, 202), ("admin", {"system": True}, 202, 202),
                ("alice", {}, 403, 403),  # a token without a scope
                ("admin", {"domain": True, "roles": ["admin"]}, 403, 403)]
        counts = [0, 0]
        for user, scope, *statuses in rows:
            token = keystone.issue(user, **scope)
            for i, expected in enumerate(statuses):
                answer = self.inject(nmid, token, f"n{i + 1}")
                self.assertEqual(answer[0], expected, (user, scope, answer))
                counts[i] += expected == 202
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in (0, 1)], counts)
        self.check_log(nmid)

    def test_no_token(self):
        keystone = self.keystone()
        nmid = self.daemon(keystone, www_authenticate_uri="https://keystone.example")
        for token in (None, "garbage", "x" * 8192, keystone.issue("alice", "demo", expires_s=-1)):
            status, headers, _ = self.get(nmid, token)
            self.assertEqual((status, headers["WWW-Authenticate"]),
                             (401, 'Keystone uri="https://keystone.example"'))
        before = keystone.count("GET", TOKENS)
        # What cannot be a token is not sent on; what was none a moment ago is not asked for again.
        for token in ("a b", "\xe4", "garbage", "x" * 8192):
            self.assertEqual(self.status(nmid, token), 401)
        self.assertEqual(keystone.count("GET", TOKENS), before)

    def test_troubles(self):
        """Whatever Keystone does, nobody is let in by it, and nothing is injected."""
        keystone = self.keystone()
        nmid = self.daemon(keystone, timeout_ms=2000)
        self.assertEqual(self.status(nmid, keystone.issue("alice", "demo")), 200)
        for what in ("status=500", "status=403", "status=503", "status=204", "close", "garbage",
                     "huge", "json={}", 'json={"token":{}}', "slow=4", "hang", 'edit={"user":null}',
                     'edit={"expires_at":"tomorrow"}', 'edit={"roles":"admin"}',
                     'edit={"system":{"all":true}}', "redirect=" + keystone.auth_url):
            token = keystone.issue("alice", "demo")
            keystone.fault("GET", TOKENS, what)
            self.assertEqual(self.inject(nmid, token)[0], 503, what)
            self.assertEqual(self.status(nmid, token), 503, what)
            keystone.clear()
            self.assertEqual(self.status(nmid, token), 200, what)  # nothing of it is remembered
        keystone.fault("GET", TOKENS, "expired")
        self.assertEqual(self.inject(nmid, keystone.issue("alice", "demo"))[0], 401)
        self.assertIn("do the two clocks differ", nmid.log())
        self.assertEqual(self.sim.count(), 0)
        self.check_log(nmid)

    def test_down(self):
        keystone = self.keystone()
        keystone.down()
        nmid = self.daemon(keystone, cache_s=2)
        token = keystone.issue("alice", "demo")
        self.assertEqual(self.inject(nmid, token)[0], 503)
        self.assertEqual(self.inject(nmid, token)[0], 503)
        keystone.up()
        lab.wait_for(lambda: self.status(nmid, token) == 200, 30, "nmid to log in")
        keystone.down()
        lab.wait_for(lambda: self.status(nmid, token) == 503, 30, "the cache to forget")
        self.assertEqual(self.inject(nmid, token)[0], 503)
        keystone.up()
        self.assertEqual(self.inject(nmid, token)[0], 202)  # at once: nmid's own token is good
        self.assertEqual(self.sim.count(), 1)
        self.assertIn("does not answer", nmid.log())
        self.assertIn("tokens are validated again", nmid.log())

    def test_own_token(self):
        keystone = self.keystone()
        nmid = self.daemon(keystone, cache_s=0)
        token = keystone.issue("alice", "demo")
        self.assertEqual(self.status(nmid, token), 200)
        self.assertEqual(keystone.count("POST", TOKENS), 1)
        keystone.revoke_all("nmid")
        self.assertEqual(self.status(nmid, token), 200)
        self.assertEqual(keystone.count("POST", TOKENS), 2)
        keystone.fault("GET", TOKENS, "reject")  # it takes no token at all
        self.assertEqual(self.status(nmid, token), 503)
        self.assertLessEqual(keystone.count("POST", TOKENS), 3)
        keystone.clear()
        lab.wait_for(lambda: self.status(nmid, token) == 200, 30, "another log-in")
        self.check_log(nmid)

    def test_own_token_expires(self):
        keystone = self.keystone(expiration_s=2)
        nmid = self.daemon(keystone, cache_s=0)
        token = keystone.issue("alice", "demo", expires_s=3600)
        until = time.monotonic() + 5
        while time.monotonic() < until:
            self.assertEqual(self.status(nmid, token), 200)
        # Renewed in time: Keystone has never refused nmid's own.
        self.assertGreaterEqual(keystone.count("POST", TOKENS), 3)
        self.assertEqual({r.status for r in keystone.requests if r.method == "GET"}, {200})

    def test_wrong_password(self):
        keystone = self.keystone()
        nmid = self.daemon(keystone, cache_s=0)
        token = keystone.issue("alice", "demo")
        self.assertEqual(self.status(nmid, token), 200)
        keystone.users["nmid"]["password"] = "another-password"
        keystone.revoke_all("nmid")
        for _ in range(5):
            status, _, body = self.get(nmid, token)
            self.assertEqual(status, 503)
            self.assertNotIn("log-in", str(body))  # what is wrong is for the log
        self.assertLessEqual(keystone.count("POST", TOKENS), 3)  # and not one for each request
        self.assertEqual(nmid.log().count("refuses nmid's log-in (401)"), 1)
        nmid.reload(auth={**nmid.settings["auth"], "password": "another-password"})
        self.assertEqual(self.status(nmid, token), 200)
        self.check_log(nmid)

    def test_expires(self):
        keystone = self.keystone()
        nmid = self.daemon(keystone)
        expires = time.time() + 2
        token = keystone.issue("alice", "demo", expires_s=2)
        self.assertEqual(self.status(nmid, token), 200)
        lab.wait_for(lambda: self.status(nmid, token) == 401, 30, "the token to expire")
        self.assertLess(time.time() - expires, 10)
        self.assertGreaterEqual(time.time(), expires)

    def test_revoked(self):
        keystone = self.keystone()
        for cache_s in (0, 2):
            nmid = self.daemon(keystone, cache_s=cache_s)
            token = keystone.issue("alice", "demo")
            self.assertEqual(self.status(nmid, token), 200)
            began = time.monotonic()
            keystone.revoke(token)
            if cache_s == 0:
                self.assertEqual(self.inject(nmid, token)[0], 401)
            else:
                lab.wait_for(lambda: self.status(nmid, token) == 401, 30, "the cache to forget")
                self.assertLess(time.monotonic() - began, cache_s + 10)
        self.assertEqual(self.sim.count(), 0)

    def test_together(self):
        """One question for all who bring the same token at once, and for those who come later."""
        keystone = self.keystone()
        nmid = self.daemon(keystone, timeout_ms=20000)
        token = keystone.issue("alice", "demo")
        self.assertEqual(self.status(nmid, keystone.issue("bob", "other")), 200)
        keystone.fault("GET", TOKENS, "slow=1")
        results = []
        threads = [threading.Thread(target=lambda: results.append(self.status(nmid, token)))
                   for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [200] * 8)
        self.assertEqual(self.status(nmid, token), 200)
        self.assertEqual(keystone.count("GET", TOKENS), 2)

    def test_application_credentials(self):
        keystone = self.keystone()
        identity, secret = keystone.application_credential("nmid", "service")
        nmid = self.daemon(keystone, application_credential_id=identity,
                           application_credential_secret=secret)
        _, ruled = keystone.application_credential(
            "alice", "demo", access_rules=[{"path": "/v2.1/servers", "method": "GET",
                                            "service": "compute"}])
        credential = next(c for c in keystone.credentials.values() if c["secret"] == ruled)
        token = keystone.issue("alice", "demo", credential=credential)
        self.assertEqual(self.inject(nmid, token)[0], 401)  # Keystone does not show it
        keystone.fault("GET", TOKENS, 'edit={"application_credential":{"access_rules":[]}}')
        token = keystone.issue("alice", "demo")
        self.assertEqual(self.inject(nmid, token)[0], 403)  # a Keystone that did
        keystone.clear()
        self.assertEqual(self.inject(nmid, keystone.issue("alice", "demo"))[0], 202)
        self.assertEqual(self.sim.count(), 1)
        self.assertNotIn(secret, nmid.log())

    def test_reload(self):
        """Who waits for Keystone at a reload is told to ask again; nothing is injected."""
        keystone = self.keystone()
        nmid = self.daemon(keystone, timeout_ms=60000)
        self.assertEqual(self.status(nmid, keystone.issue("bob", "other")), 200)
        token, answers = keystone.issue("alice", "demo"), []
        keystone.fault("GET", TOKENS, "hang")
        thread = threading.Thread(target=lambda: answers.append(self.inject(nmid, token)[0]))
        thread.start()
        lab.wait_for(lambda: keystone.count("GET", TOKENS) == 2, 30, "the question")
        nmid.reload()
        thread.join()
        self.assertEqual(answers, [503])
        keystone.clear()
        self.assertEqual(self.inject(nmid, token)[0], 202)
        self.assertEqual(self.sim.count(), 1)

    def test_gone(self):
        """A client that leaves while Keystone is asked; and nmid that ends then."""
        keystone = self.keystone()
        nmid = self.daemon(keystone, timeout_ms=60000)
        self.assertEqual(self.status(nmid, keystone.issue("bob", "other")), 200)
        keystone.fault("GET", TOKENS, "hang")
        with self.assertRaises(OSError):
            self.request(nmid, "GET", NODES, timeout=0.5,
                         headers={"X-Auth-Token": keystone.issue("alice", "demo")})
        self.assertEqual(keystone.count("GET", TOKENS), 2)
        self.assertEqual(nmid.stop(), 0)

    def test_memory(self):
        """Of what nmid sent to Keystone nothing is left in its memory, when the answer is there."""
        if lab.sanitized():
            self.skipTest("the sanitizer keeps what was freed, and copies of its own")
        keystone = self.keystone()
        nmid = self.daemon(keystone)
        tokens = [keystone.issue("alice", "demo") for _ in range(5)]
        for token in tokens:
            self.assertEqual(self.status(nmid, token), 200)
        found = memory_of(nmid)
        self.assertIn(keystone.url.encode(), found)  # it is its memory
        for words in (b"Token: gAAAA", b'"password":"nmid-password"'):
            self.assertEqual(found.count(words), 0, words)


if __name__ == "__main__":
    lab.main()
