# SPDX-License-Identifier: GPL-3.0-or-later
"""callback = { ironic = true; } with a real Ironic: what stands in a node's extra/last_nmi after an
injection, by each way of asking Ironic; while the node is locked, while Ironic is down, hangs or
does not let nmid, and after nmid was killed."""
import contextlib
import json
import re
import sqlite3
import subprocess

from case import CloudCase, lab
from service import environment

PASSWORD = "ironic-password"  # of http_basic: see ironic_service.py
KEYS = {"id", "outcome", "code", "message", "created_at", "sent_at", "finished_at"}


class IronicCallback(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet()

    def create(self, ironic, name, **owners):
        projects = {key: self.cloud.projects[project] for key, project in owners.items()}
        ironic.node_create(lab.node_uuid(name), name, **projects)
        ironic.node_patch(name, **{"extra/rack": name})
        return self.node(name)

    def serve_by(self, ironic, nodes, login="sysmember", **settings):
        """nmid with Keystone for its callers, and this Ironic told of the end of each action."""
        keys = {"none": {}, "http_basic": {"username": "nmid", "password": PASSWORD},
                "keystone": self.cloud.nmid_login(login)}[ironic.auth]
        if ironic.auth == "keystone" and login.startswith("sys"):
            keys["system_scope"] = "all"
            del keys["project_name"], keys["project_domain_name"]
        if ironic.auth == "keystone":
            self.secrets.append(keys["password"])
        callback = {"ironic": True, "timeout_ms": 10000, **settings.pop("callback", {})}
        return self.serve(nodes, callback=callback,
                          ironic={"url": ironic.url, "auth": ironic.auth, **keys}, **settings)

    def last(self, ironic, name):
        return ironic.node(name)["extra"].get("last_nmi")

    def told(self, nmid, ironic, name, outcome="delivered", timeout=60):
        """Waits until Ironic has the node's last action as nmid has it."""
        admin = {"X-Auth-Token": self.token("admin")}
        action = self.request(nmid, "GET", f"/agent/v1/actions?node={name}&limit=1", None,
                              admin)[2]["actions"][0]
        lab.wait_for(lambda: (self.last(ironic, name) or {}).get("id") == action["id"], timeout,
                     f"{action['id']} at Ironic")
        extra = ironic.node(name)["extra"]
        self.row("nmid", f"PATCH /v1/nodes/{name}", json.dumps(extra)[:120], 0)
        self.assertEqual(extra, {"rack": name, "last_nmi": {key: action[key] for key in KEYS}})
        self.assertEqual(extra["last_nmi"]["outcome"], outcome)
        return action

    def logged(self, nmid, pattern, timeout=60):
        return lab.wait_for(lambda: re.search(pattern, nmid.log()), timeout, f"{pattern} in the log")

    def outbox(self, nmid):
        with contextlib.closing(sqlite3.connect(nmid.state_dir / "nmid.db", timeout=10)) as base:
            return base.execute("SELECT url, tries FROM outbox").fetchall()

    def lifecycle(self, ironic):
        """Delivered, failed; locked by a conductor; Ironic down, hung; nmid killed."""
        nmid = self.serve_by(ironic, [self.create(ironic, "n1", owner="demo"),
                                      self.create(ironic, "n2", owner="demo"), self.node("n3")])
        alice = self.token("alice")
        self.inject(nmid, "alice", alice, "n1", 202)
        first = self.told(nmid, ironic, "n1")
        self.sim.set(self.sim.address(1), "completion", "d5")
        self.inject(nmid, "alice, the BMC answers D5", alice, "n2", 400)
        self.told(nmid, ironic, "n2", "failed")
        # As while its own conductor asks nmid, and holds the node.
        ironic.node_force("n1", reservation="localhost")
        self.inject(nmid, "alice, the node is locked", alice, "n1", 202)
        lab.wait_for(lambda: any(" 409 " in path.read_text(errors="replace")
                                 for path in ironic.logs()), 60, "Ironic's 409")
        self.assertEqual(self.last(ironic, "n1")["id"], first["id"])
        ironic.node_force("n1", reservation=None)
        self.told(nmid, ironic, "n1")
        self.inject(nmid, "alice, Ironic has no such node", alice, "n3", 202)
        self.logged(nmid, r"no node of this UUID, or none that nmid may see \(404\)")
        # Down, and nmid is killed meanwhile; of two actions the newer counts.
        ironic.stop()
        for _ in range(2):
            self.inject(nmid, "alice, Ironic is down", alice, "n1", 202)
        nmid.crash()
        nmid.start()
        self.logged(nmid, "posts were left by an earlier nmid")
        ironic.start().wait_ready()
        self.told(nmid, ironic, "n1")
        # Hung: the tries of the first lie in its queue, and the second's are later.
        nmid.reload(callback={"ironic": True, "timeout_ms": 1000})
        ironic.pause()
        self.inject(nmid, "alice, Ironic hangs", alice, "n1", 202)
        lab.wait_for(lambda: any(tries > 0 for url, tries in self.outbox(nmid)), 60,
                     "a try without an answer")
        self.inject(nmid, "alice, Ironic hangs", alice, "n1", 202)
        ironic.resume()
        nmid.reload(callback={"ironic": True, "timeout_ms": 10000})
        self.told(nmid, ironic, "n1")
        return nmid, alice

    def test_none(self):
        ironic = self.cloud.ironic("none")
        nmid, _ = self.lifecycle(ironic)
        # Whatever lay in Ironic's queue: in the end it has the newest.
        newest = self.told(nmid, ironic, "n1")
        lab.wait_for(lambda: not self.outbox(nmid), 150, "an empty outbox")
        self.assertEqual(self.last(ironic, "n1")["id"], newest["id"])
        self.assertEqual(self.sim.count(self.sim.address(0)), 6)

    def test_basic(self):
        ironic = self.cloud.ironic("http_basic")
        nmid, alice = self.lifecycle(ironic)
        settings = {"url": ironic.url, "auth": "http_basic", "username": "nmid"}
        nmid.reload(ironic={**settings, "password": "another"})
        before = self.last(ironic, "n1")
        self.inject(nmid, "alice, nmid's password at Ironic is wrong", alice, "n1", 202)
        lab.wait_for(lambda: any(tries > 0 for url, tries in self.outbox(nmid)), 60, "a 401")
        self.assertEqual(self.last(ironic, "n1"), before)
        nmid.reload(ironic={**settings, "password": PASSWORD})
        self.told(nmid, ironic, "n1")

    def test_keystone(self):
        ironic = self.cloud.ironic("keystone")
        nmid, alice = self.lifecycle(ironic)
        # A reader may read the node, and not change it; of another project it sees nothing.
        for login, why in (("sysreader", r"may not change the node's \"extra\" \(403\)"),
                           ("nmid", r"\((404|403)\); .* is given up")):
            before = self.last(ironic, "n1")
            nmid = self.serve_by(ironic, [node for node in nmid.settings["nodes"]], login)
            self.inject(nmid, f"alice, nmid is {login} at Ironic", alice, "n1", 202)
            self.logged(nmid, why)
            self.row("nmid", "log", re.search(r"callback: Ironic: .*", nmid.log()).group(0), 0)
            self.assertEqual(self.last(ironic, "n1"), before)

    def test_client_shows_it(self):
        """What an operator sees with the unmodified client."""
        ironic = self.cloud.ironic("none")
        nmid = self.serve_by(ironic, [self.create(ironic, "n1", owner="demo")])
        self.inject(nmid, "alice", self.token("alice"), "n1", 202)
        action = self.told(nmid, ironic, "n1")
        argv = ["/usr/bin/baremetal", "--os-auth-type", "none", "--os-endpoint", ironic.url, "node",
                "show", "n1", "--fields", "extra", "-f", "json"]
        done = subprocess.run(argv, env=environment(), capture_output=True, text=True, timeout=120,
                              check=False)
        self.row("operator", " ".join(argv[5:]),
                 f"{done.returncode} {' '.join(done.stdout.split())}", 0)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(json.loads(done.stdout)["extra"]["last_nmi"]["id"], action["id"])


if __name__ == "__main__":
    lab.main()
