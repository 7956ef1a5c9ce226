# SPDX-License-Identifier: GPL-3.0-or-later
"""state_source = "ironic" with a real Ironic: its states, owners, instances and reservations, by each
way of asking it; and what becomes of requests while it is down."""
import uuid

from case import CloudCase, lab

PASSWORD = "ironic-password"  # of http_basic: see ironic_service.py


class IronicState(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet()

    def serve_by(self, ironic, nodes, **keys):
        """nmid with Keystone for its callers, and this Ironic for the states of nodes."""
        login = {"none": {}, "http_basic": {"username": "nmid", "password": PASSWORD},
                 "keystone": {**self.cloud.nmid_login("sysreader"), "system_scope": "all"}}
        login = dict(login[ironic.auth])
        if "system_scope" in login:
            del login["project_name"], login["project_domain_name"]
        return self.serve(nodes, state_source="ironic",
                          ironic={"url": ironic.url, "auth": ironic.auth, **login, **keys})

    def create(self, ironic, name, **owners):
        """The node at Ironic, and the same in nmid's configuration, which names no owner."""
        projects = {key: self.cloud.projects[project] for key, project in owners.items()}
        ironic.node_create(lab.node_uuid(name), name, **projects)
        return self.node(name, None)

    def walk(self, ironic):
        """A node's life: owners, states, its server, its reservation."""
        server = str(uuid.uuid4())
        nodes = [self.create(ironic, "n1", owner="demo", lessee="lessee"),
                 self.create(ironic, "n2", owner="other")]
        nmid = self.serve_by(ironic, nodes, cache_s=0)
        alice, bob, lea, admin = map(self.token, ("alice", "bob", "lea", "admin"))
        self.inject(nmid, "alice, n1 is enroll", alice, "n1", 409)
        ironic.node_activate("n1", server)
        lab.wait_for(lambda: ironic.node("n1")["reservation"] is None, 30, "the conductor's end")
        self.inject(nmid, "alice, owner's member", alice, "n1", 202)
        self.inject(nmid, "lea, lessee's member", lea, "n1", 202)
        self.inject(nmid, "bob, of another project", bob, "n1", 404)
        self.inject(nmid, "alice, by the server's UUID", alice, server, 202)
        self.inject(nmid, "bob, by the server's UUID", bob, server, 404)
        self.inject(nmid, "alice, by nobody's UUID", alice, str(uuid.uuid4()), 404)
        self.inject(nmid, "alice, by nobody's name", alice, "no-such", 404)
        self.inject(nmid, "alice, n2 is another's", alice, "n2", 404)
        listed = self.ask(nmid, "alice", alice, "GET", "/agent/v1/nodes", status=200)[2]["nodes"]
        self.assertEqual([(n["name"], n["status"], n["status_source"], n["instance_uuid"],
                           n["project_id"]) for n in listed],
                         [("n1", "ACTIVE", "ironic", server, self.cloud.projects["demo"])])
        ironic.node_patch("n1", owner=self.cloud.projects["other"], lessee=None)
        self.inject(nmid, "alice, n1 was given away", alice, "n1", 404)
        self.inject(nmid, "bob, n1 is his now", bob, "n1", 202)
        ironic.node_force("n1", reservation="localhost")
        self.inject(nmid, "bob, n1 is reserved", bob, "n1", 409)
        self.inject(nmid, "admin, n1 is reserved", admin, "n1", 409)
        ironic.node_force("n1", reservation=None)
        for state, status in (("error", 202), ("deploying", 409), ("wait call-back", 409),
                              ("rescue", 409), ("clean wait", 409), ("deploy failed", 202)):
            ironic.node_force("n1", provision_state=state)
            self.inject(nmid, f"bob, n1 is {state}", bob, "n1", status)
        return nmid, ironic, bob, admin

    def test_none(self):
        ironic = self.cloud.ironic("none")
        nmid, ironic, bob, admin = self.walk(ironic)
        ironic.stop()
        for who, token in (("bob", bob), ("admin", admin)):
            for node in ("n1", "n2", "no-such", str(uuid.uuid4())):
                self.inject(nmid, f"{who}, Ironic is down", token, node, 503)
        self.ask(nmid, "bob", bob, "GET", "/agent/v1/nodes", status=503)
        ironic.start().wait_ready()
        self.inject(nmid, "bob, Ironic is back", bob, "n1", 202)
        self.assertEqual(nmid.log().count("Ironic cannot be asked"), 1)
        self.assertEqual(nmid.log().count("Ironic answers again"), 1)

    def test_basic(self):
        ironic = self.cloud.ironic("http_basic")
        self.walk(ironic)
        nmid = self.serve_by(ironic, [self.node("n1", None)], password="another")
        self.inject(nmid, "alice, nmid's password is wrong", self.token("alice"), "n1", 503)

    def test_keystone(self):
        ironic = self.cloud.ironic("keystone")
        nmid, ironic, bob, _ = self.walk(ironic)
        # Without a role on the system nmid sees no node: none is anybody's.
        nmid = self.serve(list(nmid.settings["nodes"]), state_source="ironic", ironic={
            "url": ironic.url, "auth": "keystone", **self.cloud.nmid_login()})
        self.inject(nmid, "bob, nmid may not read nodes", bob, "n1", (404, 503))

    def test_pages(self):
        """More nodes than Ironic gives at once, by a list of all and by a batch."""
        ironic = self.cloud.ironic("none")
        names = [f"p{i}" for i in range(12)]
        nodes = []
        for name in names[:8]:
            nodes.append(self.create(ironic, name, owner="demo"))
            ironic.node_force(name, provision_state="active")
        nodes += [{"uuid": lab.node_uuid(name), "name": name, "driver": "noop"}
                  for name in names[8:]]  # Ironic has no such nodes
        nmid = self.serve_by(ironic, nodes)
        alice, bob = self.token("alice"), self.token("bob")
        listed = self.ask(nmid, "alice", alice, "GET", "/agent/v1/nodes", status=200)[2]["nodes"]
        self.assertEqual([node["name"] for node in listed], names[:8])
        listed = self.ask(nmid, "bob", bob, "GET", "/agent/v1/nodes", status=200)[2]["nodes"]
        self.assertEqual(listed, [])
        self.ask(nmid, "alice", alice, "POST", "/agent/v1/actions",
                 {"action": "inject_nmi", "nodes": names}, status=202, nmis=8)


if __name__ == "__main__":
    lab.main()
