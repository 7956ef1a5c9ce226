# SPDX-License-Identifier: GPL-3.0-or-later
"""state_source = "ironic" from outside: a running nmid, simulated BMCs, an Ironic that misbehaves.
What it does with a real one is in tests/openstack/test_ironic_state.py."""
import base64
import re
import subprocess
import threading
import uuid

import lab
from fake_ironic import FakeIronic
from fake_keystone import FakeKeystone

INJECT = {"inject_nmi": None}
UNAVAILABLE = "cannot be asked"


class StateSource(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "12")
        self.ironic = FakeIronic()
        self.addCleanup(self.ironic.stop)

    def nodes(self, *names, **keys):
        return [lab.node(name, self.sim, self.sim.address(i), **keys)
                for i, name in enumerate(names)]

    def start_nmid(self, nodes, users=False, **ironic):
        settings = {"state_source": "ironic",
                    "ironic": {"url": self.ironic.url, "timeout_ms": 10000, **ironic}}
        if users:
            settings["auth"] = {"strategy": "http_basic", "user_file": str(self.user_file()),
                                "users": [{"name": name, "project_id": project, "roles": [role]}
                                          for name, project, role in self.people]}
        return self.nmid(nodes, **settings)

    people = (("admin", "admin", "admin"), ("alice", "demo", "member"), ("bob", "other", "member"),
              ("tina", "tenant", "member"))

    def user_file(self):
        path = self.unique("htpasswd")
        lines = [subprocess.run([lab.which("htpasswd"), "-nbB", "-C", "4", name, name], text=True,
                                capture_output=True, check=True).stdout.strip()
                 for name, _, _ in self.people]
        path.touch(mode=0o600)
        path.write_text("\n".join(lines) + "\n")
        return path

    def ask(self, nmid, method, path, body=None, who=None, **options):
        headers = {}
        if who:
            pair = base64.b64encode(f"{who}:{who}".encode()).decode()
            headers["Authorization"] = f"Basic {pair}"
        return self.request(nmid, method, path, body, headers, **options)

    def inject(self, nmid, ident, who=None, **options):
        return self.ask(nmid, "POST", f"/v2.1/servers/{ident}/action", INJECT, who, **options)

    def show(self, nmid, ident, who=None):
        return self.ask(nmid, "GET", f"/agent/v1/nodes/{ident}", who=who)

    # ---- what counts ----

    def test_states(self):
        """Ironic's state counts, and not the configuration's; no node is injected into but those
        that are active or in error."""
        nmid = self.start_nmid(self.nodes("n1", status="ACTIVE"), cache_s=0)
        rows = {"active": (202, "ACTIVE"), "error": (202, "ERROR"), "deploy failed": (202, "ERROR"),
                "rescue": (409, "RESCUED"), "deploying": (409, "BUILD"),
                "wait call-back": (409, "BUILD"), "available": (409, "DELETED"),
                "clean wait": (409, "DELETED"), "manageable": (409, "DELETED"),
                "rescuing": (409, "BUILD"), "something new": (409, "UNKNOWN"),
                None: (409, "UNKNOWN")}
        count = 0
        for state, (status, word) in rows.items():
            with self.subTest(state):
                self.ironic.node(lab.node_uuid("n1"), provision_state=state)
                answer = self.inject(nmid, "n1")
                self.assertEqual(answer[0], status, answer[2])
                count += status == 202
                self.assertEqual(self.sim.count(), count)
                node = self.show(nmid, "n1")[2]
                self.assertEqual((node["status"], node["status_source"]), (word, "ironic"))

    def test_reservation(self):
        self.ironic.node(lab.node_uuid("n1"), reservation="conductor-1")
        nmid = self.start_nmid(self.nodes("n1"), cache_s=0)
        answer = self.inject(nmid, "n1")
        self.assertEqual(answer[0], 409)
        self.assertIn("conductor-1", answer[2]["conflictingRequest"]["message"])
        self.assertEqual(self.sim.count(), 0)
        nmid.reload(ironic={"url": self.ironic.url, "ignore_reservation": True})
        self.assertEqual((self.inject(nmid, "n1")[0], self.sim.count()), (202, 1))

    def test_run_time_wins(self):
        self.ironic.node(lab.node_uuid("n1"))
        nmid = self.start_nmid(self.nodes("n1"), cache_s=0)
        self.assertEqual(self.nmictl(nmid, "status", "n1", "SHUTOFF").returncode, 0)
        self.assertEqual((self.inject(nmid, "n1")[0], self.sim.count()), (409, 0))
        self.assertEqual(self.show(nmid, "n1")[2]["status_source"], "run-time")

    def test_owners(self):
        """Owner and lessee may, nobody else; and the configuration's project_id is nobody."""
        self.ironic.node(lab.node_uuid("n1"), owner="other", lessee="tenant")
        nmid = self.start_nmid(self.nodes("n1", project_id="demo"), users=True)
        count = 0
        for who, status in (("alice", 404), ("bob", 202), ("tina", 202), ("admin", 202)):
            with self.subTest(who):
                self.assertEqual(self.inject(nmid, "n1", who)[0], status)
                count += status == 202
                self.assertEqual(self.sim.count(), count)
                self.assertEqual(self.show(nmid, "n1", who)[0], 200 if status == 202 else 404)
                shown = self.ask(nmid, "GET", "/agent/v1/nodes", who=who)[2]["nodes"]
                self.assertEqual(len(shown), 1 if status == 202 else 0)
        self.assertRegex(nmid.log(), r"project_id: not used, here and in other nodes")

    def test_instances(self):
        """A server's UUID is Ironic's instance_uuid, wherever it has moved to."""
        server, old = str(uuid.uuid4()), str(uuid.uuid4())
        self.ironic.node(lab.node_uuid("n1"), instance_uuid=server)
        self.ironic.node(lab.node_uuid("n2"))
        nodes = self.nodes("n1", "n2")
        nodes[0]["instance_uuid"] = old  # the configuration's: out of date
        nmid = self.start_nmid(nodes, cache_s=0)
        self.assertEqual(self.inject(nmid, server.upper())[0], 202)
        self.assertEqual(self.sim.count(self.sim.address(0)), 1)
        self.ironic.node(lab.node_uuid("n1"), instance_uuid=None)
        self.assertEqual(self.inject(nmid, server)[0], 404)
        self.ironic.node(lab.node_uuid("n2"), instance_uuid=server)
        self.assertEqual(self.inject(nmid, server)[0], 202)
        self.assertEqual(self.inject(nmid, old)[0], 404)
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in (0, 1)], [1, 1])
        self.assertEqual(self.show(nmid, server)[2]["name"], "n2")

    def test_unknown_to_ironic(self):
        nmid = self.start_nmid(self.nodes("n1"), users=True)
        self.assertEqual(self.inject(nmid, "n1", "alice")[0], 404)
        self.assertEqual(self.inject(nmid, "n1", "admin")[0], 409)
        self.assertEqual(self.show(nmid, "n1", "admin")[2]["status"], "UNKNOWN")
        self.assertEqual(self.sim.count(), 0)
        self.assertIn("Ironic has no such node", nmid.log())

    # ---- when it is asked ----

    def test_cache(self):
        self.ironic.node(lab.node_uuid("n1"))
        nmid = self.start_nmid(self.nodes("n1"), cache_s=3600)
        for _ in range(5):
            self.assertEqual(self.inject(nmid, "n1")[0], 202)
        self.assertEqual(self.ironic.count(), 1)
        self.ironic.node(lab.node_uuid("n1"), provision_state="deploying")
        nmid.reload()
        self.assertEqual(self.inject(nmid, "n1")[0], 409)
        nmid.reload(ironic={"url": self.ironic.url, "cache_s": 0})
        before = self.ironic.count()
        for _ in range(5):
            self.inject(nmid, "n1")
        self.assertEqual(self.ironic.count(), before + 5)

    def test_together(self):
        """Many who ask for one node at once are one request."""
        self.ironic.node(lab.node_uuid("n1"))
        nmid = self.start_nmid(self.nodes("n1"), cache_s=3600, timeout_ms=20000)
        self.ironic.fault("hang")
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(self.show(nmid, "n1")[0]))
                   for _ in range(20)]
        for thread in threads:
            thread.start()
        lab.wait_for(lambda: self.ironic.count() == 1, what="the request")
        self.ironic.clear()  # the connection ends without an answer
        for thread in threads:
            thread.join()
        self.assertEqual(set(answers), {503})
        self.assertLess(self.ironic.count(), 4)

    def test_pages(self):
        """A list of more nodes than a page holds; those of Ironic that nmid has not are passed."""
        self.ironic.max_limit = 50
        names = [f"n{i}" for i in range(12)]
        for i in range(200):
            self.ironic.node(str(uuid.uuid4()), owner="other")
            if i % 17 == 0:
                self.ironic.node(lab.node_uuid(f"n{i // 17}"), owner="demo")
        nmid = self.start_nmid(self.nodes(*names), users=True)
        nodes = self.ask(nmid, "GET", "/agent/v1/nodes", who="alice")[2]["nodes"]
        self.assertEqual(sorted(node["name"] for node in nodes), sorted(names))
        self.assertEqual(self.ironic.count(), 5)
        self.assertEqual(self.ask(nmid, "GET", "/agent/v1/nodes", who="bob")[2]["nodes"], [])
        self.assertEqual(self.inject(nmid, "n3", "alice")[0], 202)
        self.assertEqual(self.ironic.count(), 5)  # all is known now

    def test_batch(self):
        names = [f"n{i}" for i in range(12)]
        for name in names[:10]:
            self.ironic.node(lab.node_uuid(name), owner="demo" if name != "n3" else "other")
        self.ironic.node(lab.node_uuid("n4"), provision_state="deploying")
        nmid = self.start_nmid(self.nodes(*names), users=True)
        status, _, batch = self.ask(nmid, "POST", "/agent/v1/actions",
                                    {"action": "inject_nmi", "nodes": names}, "alice")
        self.assertEqual(status, 202, batch)
        lab.wait_for(lambda: self.sim.control("total")["sum"]["nmi"] == 8, what="eight interrupts")
        self.assertEqual(self.ironic.count(), 1)

    # ---- when it does not answer ----

    def test_silent(self):
        """503 for everything and everybody, in the same words; no interrupt; one line in the log."""
        self.ironic.node(lab.node_uuid("n1"), owner="demo")
        nmid = self.start_nmid(self.nodes("n1"), users=True, cache_s=0, timeout_ms=1000)
        self.assertEqual(self.inject(nmid, "n1", "alice")[0], 202)
        faults = ("status=500", "status=503", "status=401", "status=403", "hang", "close",
                  "garbage", "html", "huge", "redirect", "old", "down")
        for fault in faults:
            with self.subTest(fault):
                self.ironic.down() if fault == "down" else self.ironic.fault(fault)
                words = set()
                for who in ("alice", "bob", "admin"):
                    for ident in ("n1", lab.node_uuid("n1"), "no-such", str(uuid.uuid4())):
                        answer = self.inject(nmid, ident, who)
                        self.assertEqual(answer[0], 503, answer[2])
                        words.add(answer[2]["serviceUnavailable"]["message"])
                        self.assertEqual(self.show(nmid, ident, who)[0], 503)
                    self.assertEqual(self.ask(nmid, "GET", "/agent/v1/nodes", who=who)[0], 503)
                self.assertEqual(len(words), 1, words)
                self.assertIn(UNAVAILABLE, words.pop())
                self.ironic.up() if fault == "down" else self.ironic.clear()
                lab.wait_for(lambda: self.show(nmid, "n1", "alice")[0] == 200, what="its return")
        self.assertEqual(self.sim.count(), 1)
        self.assertEqual(self.inject(nmid, "n1", "alice")[0], 202)
        self.assertEqual(nmid.log().count("Ironic cannot be asked"), len(faults))
        self.assertEqual(nmid.log().count("Ironic answers again"), len(faults))
        self.assertNotIn(str(self.ironic.port), "".join(words))

    def test_endless_list(self):
        for i in range(12):
            self.ironic.node(lab.node_uuid(f"n{i}"))
        nmid = self.start_nmid(self.nodes(*[f"n{i}" for i in range(12)]))
        self.ironic.fault("endless")
        self.assertEqual(self.ask(nmid, "GET", "/agent/v1/nodes")[0], 503)
        self.assertLess(self.ironic.count(), 4)

    def test_fail_open(self):
        self.ironic.node(lab.node_uuid("n1"), owner="other", provision_state="deploying")
        nmid = self.start_nmid(self.nodes("n1", project_id="demo"), users=True, cache_s=0,
                               fail_open=True)
        self.assertEqual(self.inject(nmid, "n1", "alice")[0], 404)
        self.assertEqual(self.inject(nmid, "n1", "bob")[0], 409)
        self.ironic.down()
        self.assertEqual(self.inject(nmid, "n1", "bob")[0], 404)
        self.assertEqual(self.inject(nmid, "n1", "alice")[0], 202)
        self.assertEqual(self.show(nmid, "n1", "alice")[2]["status_source"], "configuration")
        self.ironic.up()
        lab.wait_for(lambda: self.show(nmid, "n1", "alice")[0] == 404, what="its return")
        self.assertEqual((self.inject(nmid, "n1", "alice")[0], self.sim.count()), (404, 1))
        self.assertRegex(nmid.log(), "fail_open: while Ironic is down")
        self.assertEqual(nmid.log().count("the configuration's status and owner count"), 1)

    # ---- clients that leave, daemons that end ----

    def test_client_leaves(self):
        self.ironic.node(lab.node_uuid("n1"))
        nmid = self.start_nmid(self.nodes("n1"), timeout_ms=60000, cache_s=0)
        self.ironic.fault("hang")
        with self.assertRaises(TimeoutError):
            self.inject(nmid, "n1", timeout=0.3)
        self.assertEqual(self.ironic.count(), 1)
        self.ironic.clear()
        lab.wait_for(lambda: self.inject(nmid, "n1")[0] == 202, what="an injection")
        self.assertEqual(self.sim.count(), 1)  # the one that left was not injected

    def test_stop_while_waiting(self):
        self.ironic.node(lab.node_uuid("n1"))
        nmid = self.start_nmid(self.nodes("n1"), timeout_ms=500)  # a stop waits 2 s for answers
        self.ironic.fault("hang")
        answers = []
        thread = threading.Thread(target=lambda: answers.append(self.inject(nmid, "n1")[0]))
        thread.start()
        lab.wait_for(lambda: self.ironic.count() == 1, what="the request")
        nmid.stop()
        thread.join()
        self.assertEqual((answers, self.sim.count()), ([503], 0))

    def test_reload_while_waiting(self):
        """To another Ironic; and away from it."""
        other = FakeIronic()
        self.addCleanup(other.stop)
        other.node(lab.node_uuid("n1"))
        for settings in ({"ironic": {"url": other.url}}, {"state_source": "configuration"}):
            nmid = self.start_nmid(self.nodes("n1"), timeout_ms=60000)
            self.ironic.fault("hang")
            before, answers = self.ironic.count(), []
            thread = threading.Thread(target=lambda: answers.append(self.inject(nmid, "n1")[0]))
            thread.start()
            lab.wait_for(lambda: self.ironic.count() > before, what="the request")
            nmid.reload(**settings)
            thread.join()
            self.assertEqual(answers, [202], settings)
            nmid.stop()

    # ---- credentials ----

    def test_basic(self):
        self.ironic.node(lab.node_uuid("n1"))
        self.ironic.require_basic("nmid", "hunter2-swordfish")
        nmid = self.start_nmid(self.nodes("n1"), auth="http_basic", username="nmid",
                               password="hunter2-swordfish")
        self.assertEqual(self.inject(nmid, "n1")[0], 202)
        self.ironic.require_basic("nmid", "another")
        nmid.reload()
        self.assertEqual(self.inject(nmid, "n1")[0], 503)
        self.assertNotIn("hunter2", nmid.log())
        self.assertRegex(nmid.log(), "401: it does not take nmid's credentials")

    def test_keystone(self):
        keystone = FakeKeystone()
        self.addCleanup(keystone.stop)
        tokens = []

        def is_good(token):
            if token and token not in tokens:
                tokens.append(token)
            return bool(token) and token not in revoked

        revoked = set()
        self.ironic.node(lab.node_uuid("n1"))
        self.ironic.require_token(is_good)
        nmid = self.start_nmid(self.nodes("n1"), auth="keystone", auth_url=keystone.url,
                               username="nmid", password="nmid-password",
                               user_domain_name="Default", project_name="service",
                               project_domain_name="Default", cache_s=0)
        for _ in range(3):
            self.assertEqual(self.inject(nmid, "n1")[0], 202)
        self.assertEqual(len(tokens), 1)
        revoked.update(tokens)
        self.assertEqual(self.inject(nmid, "n1")[0], 202)  # with a new one
        self.assertEqual(len(tokens), 2)
        keystone.down()
        self.assertEqual(self.inject(nmid, "n1")[0], 202)  # the token is still good
        revoked.update(tokens)
        self.assertEqual(self.inject(nmid, "n1")[0], 503)
        keystone.up()
        lab.wait_for(lambda: self.inject(nmid, "n1")[0] == 202, 40, "Keystone's return")
        self.assertEqual(self.sim.count(), 6)
        for token in tokens:
            self.assertNotIn(token, nmid.log())
        self.assertIsNone(re.search("nmid-password", nmid.log()))


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
