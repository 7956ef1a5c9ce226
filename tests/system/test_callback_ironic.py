# SPDX-License-Identifier: GPL-3.0-or-later
"""callback = { ironic = true } from outside: a running nmid, simulated BMCs, an Ironic that
misbehaves. What it does with a real one is in tests/openstack/test_ironic_callback.py."""
import contextlib
import re
import sqlite3
import time

import lab
from fake_ironic import FakeIronic
from fake_keystone import FakeKeystone

PASSWORD = "nmid's password at Ironic"
PATH = "/extra/last_nmi"
KEYS = {"id", "outcome", "code", "message", "created_at", "sent_at", "finished_at"}


class CallbackIronic(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "8")
        self.ironic = FakeIronic()
        self.addCleanup(self.ironic.stop)
        self.nodes = [lab.node(f"n{i}", self.sim, self.sim.address(i)) for i in range(8)]
        for i in range(7):  # n7 is not known to Ironic
            self.ironic.node(lab.node_uuid(f"n{i}"), extra={"rack": i})

    def start_nmid(self, callback=None, **ironic):
        return self.nmid(self.nodes, callback={"ironic": True, "timeout_ms": 1000,
                                               **(callback or {})},
                         ironic={"url": self.ironic.url, **ironic})

    def inject(self, nmid, ident):
        """-> the finished action."""
        status, _, action = self.request(nmid, "POST", f"/agent/v1/nodes/{ident}/actions",
                                         {"action": "inject_nmi"})
        self.assertEqual(status, 202, action)
        return self.request(nmid, "GET", f"/agent/v1/actions/{action['id']}?wait=60")[2]

    def last(self, ident):
        return self.ironic.nodes[lab.node_uuid(ident)]["extra"].get("last_nmi")

    def told(self, ident, action, timeout=30):
        """Waits until Ironic has this action, and nothing else of the node was changed."""
        lab.wait_for(lambda: (self.last(ident) or {}).get("id") == action["id"], timeout,
                     f"{action['id']} at Ironic")
        self.assertEqual(self.last(ident), {key: action[key] for key in KEYS})
        self.assertEqual(self.ironic.nodes[lab.node_uuid(ident)]["extra"]["rack"], int(ident[1:]))

    def logged(self, nmid, pattern, timeout=30):
        return lab.wait_for(lambda: re.search(pattern, nmid.log()), timeout, f"{pattern} in the log")

    def outbox(self, nmid):
        with contextlib.closing(sqlite3.connect(nmid.state_dir / "nmid.db", timeout=10)) as base:
            return base.execute("SELECT url, body, tries FROM outbox").fetchall()

    def outbox_empty(self, nmid):
        lab.wait_for(lambda: not self.outbox(nmid), what="an empty outbox")

    def test_told(self):
        nmid = self.start_nmid()
        self.assertNotIn("warning", "".join(line for line in nmid.log().splitlines()
                                            if "ronic" in line))
        for ident in ("n0", "n1"):
            action = self.inject(nmid, ident)
            self.assertEqual(action["outcome"], "delivered")
            self.told(ident, action)
        self.sim.set(self.sim.address(2), "completion", "d5")
        action = self.inject(nmid, "n2")
        self.assertEqual((action["outcome"], action["code"]), ("failed", "refused"))
        self.told("n2", action)
        # Nova's contract, too; and what was refused is no action of the node.
        status, _, _ = self.request(nmid, "POST", f"/v2.1/servers/{lab.node_uuid('n1')}/action",
                                    {"inject_nmi": None})
        self.assertEqual(status, 202)
        lab.wait_for(lambda: len(self.ironic.patches) == 4, what="the fourth")
        self.request(nmid, "PUT", "/agent/v1/nodes/n0/status", {"status": "SHUTOFF"})
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions",
                                        {"action": "inject_nmi", "nodes": ["n0", "n3"]})
        self.assertEqual(status, 202, batch)
        lab.wait_for(lambda: self.last("n3"), what="the other node of the batch")
        self.outbox_empty(nmid)
        self.assertEqual(self.last("n0")["outcome"], "delivered")
        self.assertEqual(len(self.ironic.patches), 5)
        self.assertEqual({patch.path for patch in self.ironic.patches}, {PATH})
        for request in self.ironic.requests:
            self.assertNotIn("X-Nmid-Signature", request.headers)
            self.assertEqual(request.headers["X-OpenStack-Ironic-API-Version"], "1.65")

    def test_basic(self):
        self.ironic.require_basic("nmid", PASSWORD)
        login = {"auth": "http_basic", "username": "nmid"}
        nmid = self.start_nmid(password="another", **login)
        action = self.inject(nmid, "n0")
        self.logged(nmid, r"callback: Ironic: answered 401 \(action req-")
        self.assertEqual(self.ironic.patches, [])
        nmid.reload(ironic={"url": self.ironic.url, "password": PASSWORD, **login})
        self.told("n0", action)
        self.logged(nmid, "callback: Ironic takes posts again")
        nmid.stop()
        for path in (nmid.process.err_path, *nmid.state_dir.iterdir()):
            self.assertNotIn(PASSWORD.encode(), path.read_bytes())

    def test_keystone(self):
        keystone = FakeKeystone()
        self.addCleanup(keystone.stop)
        self.ironic.require_token(lambda token: token in keystone.tokens)
        nmid = self.start_nmid(auth="keystone", auth_url=keystone.url, username="nmid",
                               password="nmid-password", user_domain_name="Default",
                               project_name="service", project_domain_name="Default")
        self.told("n0", self.inject(nmid, "n0"))
        self.told("n1", self.inject(nmid, "n1"))
        self.assertEqual(keystone.count("POST", "/v3/auth/tokens"), 1)
        keystone.revoke_all("nmid")
        self.told("n0", self.inject(nmid, "n0"))
        self.assertEqual(keystone.count("POST", "/v3/auth/tokens"), 2)
        self.assertNotIn("warning: callback", nmid.log())
        keystone.revoke_all("nmid")
        keystone.down()
        action = self.inject(nmid, "n2")
        self.logged(nmid, r"error: Keystone .* does not answer")
        self.assertIsNone(self.last("n2"))
        keystone.up()
        self.told("n2", action)
        nmid.stop()
        data = b"".join(path.read_bytes()
                        for path in (nmid.process.err_path, *nmid.state_dir.iterdir()))
        for secret in ("nmid-password", *keystone.tokens):
            self.assertNotIn(secret.encode(), data)

    def test_locked(self):
        """As its conductor holds it, while this is what asks nmid."""
        self.ironic.node(lab.node_uuid("n0"), reservation="conductor-1")
        nmid = self.start_nmid()
        action = self.inject(nmid, "n0")
        lab.wait_for(lambda: self.ironic.count() >= 2, what="a second try")
        self.assertIsNone(self.last("n0"))
        self.told("n1", self.inject(nmid, "n1"))  # it keeps nobody else waiting
        self.ironic.node(lab.node_uuid("n0"), reservation=None)
        self.told("n0", action)
        self.assertNotIn("warning: callback", nmid.log())
        self.assertEqual(self.sim.count(self.sim.address(0)), 1)

    def test_given_up(self):
        nmid = self.start_nmid()
        action = self.inject(nmid, "n7")
        self.logged(nmid, rf"callback: Ironic: no node of this UUID, or none that nmid may see "
                          rf"\(404\); the post of {action['id']} is given up")
        self.ironic.fault("status=403")
        action = self.inject(nmid, "n0")
        self.logged(nmid, rf"may not change .*\(403\); the post of {action['id']} is given up")
        self.outbox_empty(nmid)
        self.assertEqual(self.ironic.count(), 2)
        # A proxy's 404 says nothing of the node.
        self.ironic.clear()
        self.ironic.fault("html")
        action = self.inject(nmid, "n0")
        self.logged(nmid, "callback: Ironic: answered 404")
        self.ironic.clear()
        self.told("n0", action)

    def test_killed(self):
        """Ironic is away, nmid is killed: what was not told is told, and nothing is sent twice."""
        self.ironic.down()
        nmid = self.start_nmid()
        action = self.inject(nmid, "n0")
        self.logged(nmid, r"callback: Ironic: .*try 1")
        [(url, body, _)] = self.outbox(nmid)
        self.assertEqual(url, f"ironic:{lab.node_uuid('n0')}")
        self.assertIn(action["id"], body)
        nmid.crash()
        nmid.start()
        self.logged(nmid, "1 posts were left by an earlier nmid")
        self.ironic.up()
        self.told("n0", action)
        self.assertEqual(self.sim.count(), 1)

    def test_answer_lost(self):
        """It was done, and nmid does not know: the same once more, and no second interrupt."""
        nmid = self.start_nmid()
        self.ironic.fault("lost")
        action = self.inject(nmid, "n0")
        lab.wait_for(lambda: len(self.ironic.patches) >= 2, what="a second try")
        self.ironic.clear()
        lab.wait_for(lambda: any(request.status == 200 for request in self.ironic.requests), 30,
                     "a try that is answered")
        self.assertEqual({patch.value["id"] for patch in self.ironic.patches}, {action["id"]})
        self.assertEqual(self.sim.count(), 1)

    def test_newest(self):
        """Many actions on one node while Ironic is away, hangs, fails: the last is what it has."""
        nmid = self.start_nmid()
        for fault in ("down", "hang", "status=503", "status=409"):
            with self.subTest(fault):
                if fault == "down":
                    self.ironic.down()
                else:
                    self.ironic.fault(fault)
                before = len(self.ironic.patches)
                actions = [self.inject(nmid, "n0") for _ in range(4)]
                other = self.inject(nmid, "n1")
                if fault == "down":
                    self.ironic.up()
                self.ironic.clear()
                self.told("n0", actions[-1])
                self.told("n1", other)
                values = [patch.value["id"] for patch in self.ironic.patches[before:]
                          if patch.uuid == lab.node_uuid("n0")]
                order = [action["id"] for action in actions]
                self.assertEqual(values, sorted(values, key=order.index))
        self.assertEqual(self.sim.count(self.sim.address(0)), 16)

    def test_hung(self):
        """An Ironic that hangs delays neither injections nor the end."""
        self.ironic.fault("hang")
        nmid = self.start_nmid({"timeout_ms": 60000})
        for i in range(7):
            began = time.monotonic()
            self.assertEqual(self.inject(nmid, f"n{i}")["outcome"], "delivered")
            self.assertLess(time.monotonic() - began, 5)
        lab.wait_for(lambda: self.ironic.count() == 4, what="four tries at a time")
        began = time.monotonic()
        nmid.stop()
        self.assertLess(time.monotonic() - began, 10)
        self.ironic.clear()
        nmid.start()
        for i in range(7):
            lab.wait_for(lambda i=i: self.last(f"n{i}"), 30, f"n{i} at Ironic")

    def test_off_and_on(self):
        self.ironic.down()
        nmid = self.start_nmid()
        action = self.inject(nmid, "n0")
        self.assertIn("reloaded:", nmid.reload(callback={"ironic": False}))
        self.ironic.up()
        self.assertEqual(self.inject(nmid, "n1")["outcome"], "delivered")
        before = self.ironic.count()
        lab.wait_for(lambda: [row[2] > 1 for row in self.outbox(nmid)] == [True], 30,
                     "a try that fails, and no other post")
        self.assertEqual(self.ironic.count(), before)
        self.assertIn("reloaded:", nmid.reload(callback={"ironic": True}))
        self.told("n0", action)
        self.assertIsNone(self.last("n1"))


if __name__ == "__main__":
    lab.main()
