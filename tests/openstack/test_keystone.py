# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may, with the tokens of a real Keystone: every principal before every kind of node."""
import re

from case import INJECT, CloudCase, lab

DUMP = {"trigger_crash_dump": None}
V217 = {"OpenStack-API-Version": "compute 2.17"}
ABSENT_NAME, ABSENT_UUID = "dema-node", lab.node_uuid("absent")

# Who -> what comes of an injection into a node of demo, one of other, a locked one of demo, one of
# demo that is off, and one that is absent. 202 is one NMI, all else is none.
NODES = ("demo-node", "othr-node", "demo-lock", "demo-stop", "dema-node")
MATRIX = (
    ("alice", "member of demo", {}, (202, 404, 409, 409, 404)),
    ("rita", "reader of demo", {}, (403, 404, 403, 403, 404)),
    ("vera", "visitor of demo", {}, (403, 404, 403, 403, 404)),
    ("bob", "member of other", {}, (404, 202, 404, 404, 404)),
    ("lea", "member of a third project", {}, (404, 404, 404, 404, 404)),
    ("nmid", "service of service", {}, (404, 404, 404, 404, 404)),
    ("nobody", "without a scope", {"unscoped": True}, (403, 403, 403, 403, 403)),
    ("alice", "without a scope", {"unscoped": True}, (403, 403, 403, 403, 403)),
    ("anna", "admin of demo", {}, (202, 202, 202, 409, 404)),
    ("admin", "admin of admin", {}, (202, 202, 202, 409, 404)),
    ("sysadmin", "admin of the system", {"system": True}, (202, 202, 202, 409, 404)),
    ("sysmember", "member of the system", {"system": True}, (202, 202, 409, 409, 404)),
    ("sysreader", "reader of the system", {"system": True}, (403, 403, 403, 403, 404)),
)
LOCKED = "Instance {} is locked"


def hidden(answer, *idents):
    """An answer with the idents and what must differ taken out."""
    status, headers, body = answer
    kept = sorted((name.lower(), value) for name, value in headers.items()
                  if name.lower() not in ("date", "x-openstack-request-id"))
    text = repr((status, kept, body))
    for ident in idents:
        text = text.replace(ident, "IDENT")
    return text


class Who(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet()
        self.nodes = [self.node("demo-node", instance_uuid=lab.node_uuid("instance")),
                      self.node("othr-node", "other"), self.node("demo-lock", locked=True),
                      self.node("demo-stop", status="SHUTOFF")]

    def test_matrix(self):
        """Contract 1 and contract 4, one after the other."""
        nmid = self.serve(self.nodes)
        for user, what, scope, statuses in MATRIX:
            token = self.token(user, **scope)
            for node, status in zip(NODES, statuses):
                with self.subTest(user=user, what=what, node=node):
                    who = f"{user}, {what}"
                    answer = self.inject(nmid, who, token, node, status)
                    if status == 409 and node == "demo-lock":
                        self.assertEqual(answer[2]["conflictingRequest"]["message"],
                                         LOCKED.format(lab.node_uuid(node)))
                    if status == 403:
                        self.assertIn("neither for a project" if scope.get("unscoped") else
                                      "inject_nmi", answer[2]["forbidden"]["message"])
                    self.ask(nmid, who, token, "POST", f"/agent/v1/nodes/{node}/actions",
                             {"action": "inject_nmi"}, status=status, nmis=status == 202)

    def test_other_ways(self):
        """PUT, the other action, a batch, force, probe, lock: who may not inject gets nowhere."""
        nmid = self.serve(self.nodes)
        alice, rita, bob, admin = map(self.token, ("alice", "rita", "bob", "admin"))
        agent, uuid = "/agent/v1/nodes/demo-node", lab.node_uuid("demo-node")
        for ident in (uuid, lab.node_uuid("instance"), "demo-node"):
            self.ask(nmid, "alice", alice, "PUT", f"/v2.1/servers/{ident}/action", INJECT,
                     status=202, nmis=1)
        path = f"/v2.1/servers/{uuid}/action"
        for who, token, status in (("alice", alice, 202), ("rita", rita, 403), ("bob", bob, 404),
                                   ("admin", admin, 202)):
            self.ask(nmid, who, token, "POST", path, DUMP, headers=V217, status=status,
                     nmis=status == 202)
        for who, token, status in (("alice", alice, 403), ("rita", rita, 403), ("bob", bob, 404)):
            self.ask(nmid, who, token, "POST", f"{agent}/actions",
                     {"action": "inject_nmi", "force": True}, status=status)
            for method, what, body in (("PUT", "lock", None), ("DELETE", "lock", None),
                                       ("PUT", "status", {"status": "ERROR"}),
                                       ("DELETE", "status", None)):
                self.ask(nmid, who, token, method, f"{agent}/{what}", body, status=status)
        for who, token, status in (("alice", alice, 200), ("rita", rita, 403), ("bob", bob, 404)):
            self.ask(nmid, who, token, "POST", f"{agent}/probe", status=status)
        self.ask(nmid, "admin", admin, "POST", "/agent/v1/nodes/demo-stop/actions",
                 {"action": "inject_nmi", "force": True}, status=202, nmis=1)
        nodes = ["demo-node", "othr-node", "dema-node"]
        answer = self.ask(nmid, "alice", alice, "POST", "/agent/v1/actions",
                          {"action": "inject_nmi", "nodes": nodes}, status=202, nmis=1)
        mine, foreign, absent = answer[2]["actions"]
        self.assertEqual(mine["node_name"], "demo-node")
        for action, name in ((foreign, "othr-node"), (absent, "dema-node")):
            self.assertEqual(action.pop("node_name"), name)
            action["message"] = action["message"].replace(name, "")
            del action["created_at"], action["finished_at"]
        self.assertEqual(foreign, absent)
        self.assertEqual((foreign["id"], foreign["node_uuid"]), (None, None))

    def test_lock_at_run_time(self):
        nmid = self.serve(self.nodes)
        alice, admin = self.token("alice"), self.token("admin")
        lock = "/agent/v1/nodes/demo-node/lock"
        self.inject(nmid, "alice", alice, "demo-node", 202)
        self.ask(nmid, "admin", admin, "PUT", lock, status=200)
        self.inject(nmid, "alice", alice, "demo-node", 409, says="is locked")
        self.inject(nmid, "admin", admin, "demo-node", 202)
        self.ask(nmid, "admin", admin, "DELETE", lock, status=200)
        self.inject(nmid, "alice", alice, "demo-node", 202)
        self.ask(nmid, "admin", admin, "PUT", "/agent/v1/nodes/demo-node/status",
                 {"status": "PAUSED"}, status=200)
        self.inject(nmid, "alice", alice, "demo-node", 409, says="vm_state paused")

    def routes(self, ident):
        """Everything that can be asked about one node. The last is no error with a UUID that nmid
        does not know: a node may have gone from the configuration, and its history is there."""
        agent = f"/agent/v1/nodes/{ident}"
        return (("POST", f"/v2.1/servers/{ident}/action", INJECT),
                ("PUT", f"/v2.1/servers/{ident}/action", INJECT),
                ("POST", f"{agent}/actions", {"action": "inject_nmi"}),
                ("POST", f"{agent}/actions", {"action": "inject_nmi", "force": True}),
                ("GET", agent, None), ("POST", f"{agent}/probe", None),
                ("PUT", f"{agent}/lock", None), ("DELETE", f"{agent}/lock", None),
                ("PUT", f"{agent}/status", {"status": "ERROR"}),
                ("DELETE", f"{agent}/status", None),
                ("GET", f"/agent/v1/actions?node={ident}", None))

    def test_foreign_node_looks_absent(self):
        """The same status, headers and body as for a node that nobody has, on every route; also
        when it is locked or off."""
        nmid = self.serve(self.nodes)
        alice, bob = self.token("alice"), self.token("bob")
        self.inject(nmid, "alice", alice, "demo-node", 202)  # so that there is a history to tell
        absent = {}
        for name in (ABSENT_NAME, ABSENT_UUID):
            absent[name] = [self.ask(nmid, "bob", bob, *route, status=(404, 200))
                            for route in self.routes(name)]
            for answer in absent[name][:-1]:
                self.assertEqual(answer[0], 404)
        for name in ("demo-node", "demo-lock", "demo-stop"):
            self.assertEqual(len(name), len(ABSENT_NAME))
            for ident, model in ((name, ABSENT_NAME), (lab.node_uuid(name), ABSENT_UUID)):
                for route, expected in zip(self.routes(ident), absent[model]):
                    answer = self.ask(nmid, "bob", bob, *route, status=expected[0])
                    self.assertEqual(hidden(answer, ident), hidden(expected, model), route)
        ident = lab.node_uuid("instance")
        for route, expected in zip(self.routes(ident), absent[ABSENT_UUID]):
            answer = self.ask(nmid, "bob, by the instance", bob, *route, status=expected[0])
            self.assertEqual(hidden(answer, ident), hidden(expected, ABSENT_UUID), route)

    def test_foreign_actions_look_absent(self):
        nmid = self.serve(self.nodes)
        alice, bob, reader = self.token("alice"), self.token("bob"), self.token(
            "sysreader", system=True)
        action = self.inject(nmid, "alice", alice, "demo-node", 202)[1]["X-Openstack-Request-Id"]
        batch = self.ask(nmid, "alice", alice, "POST", "/agent/v1/actions", {
            "action": "inject_nmi", "nodes": ["demo-node"]}, status=202, nmis=1)[2]["id"]
        for kind, ident in (("actions", action), ("batches", batch)):
            other = re.sub(r"[0-9a-f]{12}$", "0" * 12, ident)
            self.assertNotEqual(other, ident)
            for suffix in ("", "?wait=1") if kind == "actions" else ("",):
                path = f"/agent/v1/{kind}/"
                self.ask(nmid, "alice", alice, "GET", path + ident + suffix, status=200)
                here = self.ask(nmid, "bob", bob, "GET", path + ident + suffix, status=404)
                there = self.ask(nmid, "bob", bob, "GET", path + other + suffix, status=404)
                self.assertEqual(hidden(here, ident), hidden(there, other))
        self.ask(nmid, "sysreader", reader, "GET", f"/agent/v1/actions/{action}", status=200)
        pages = self.ask(nmid, "bob", bob, "GET", "/agent/v1/actions?limit=1", status=200)[2]
        self.assertEqual(pages, {"actions": [], "next": None})
        # another's action is no marker either
        here = self.ask(nmid, "bob", bob, "GET", f"/agent/v1/actions?marker={action}",
                        status=(200, 400, 404))
        other = re.sub(r"[0-9a-f]{12}$", "0" * 12, action)
        there = self.ask(nmid, "bob", bob, "GET", f"/agent/v1/actions?marker={other}",
                         status=(200, 400, 404))
        self.assertEqual(hidden(here, action), hidden(there, other))

    def test_lists(self):
        nmid = self.serve([*self.nodes, self.node("free-node", None)])
        demo, everything = {"demo-node", "demo-lock", "demo-stop"}, {
            "demo-node", "demo-lock", "demo-stop", "othr-node", "free-node"}
        for user, scope, expected in (
                ("alice", {}, demo), ("rita", {}, demo), ("bob", {}, {"othr-node"}),
                ("lea", {}, set()), ("admin", {}, everything),
                ("sysreader", {"system": True}, everything)):
            answer = self.ask(nmid, user, self.token(user, **scope), "GET", "/agent/v1/nodes",
                              status=200)
            self.assertEqual({node["name"] for node in answer[2]["nodes"]}, expected)
        text = str(self.request(nmid, "GET", "/agent/v1/nodes", None,
                                {"X-Auth-Token": self.token("bob")})[2])
        self.assertNotIn(self.cloud.projects["demo"], text)

    def test_system_admin_only(self):
        """system_admin_only: the role admin of a project is a member's."""
        nmid = self.serve(self.nodes, policy={"system_admin_only": True})
        for user, scope, statuses in (("anna", {}, (202, 404, 409, 409)),
                                      ("admin", {}, (404, 404, 404, 404)),
                                      ("sysadmin", {"system": True}, (202, 202, 202, 409))):
            token = self.token(user, **scope)
            for node, status in zip(NODES, statuses):
                self.inject(nmid, user, token, node, status)

    def test_audit(self):
        """What was decided, as an administrator reads it; nobody else does."""
        nmid = self.serve(self.nodes)
        alice, bob, admin = map(self.token, ("alice", "bob", "admin"))
        self.inject(nmid, "alice", alice, "demo-node", 202)
        self.inject(nmid, "bob", bob, "demo-node", 404)
        self.inject(nmid, "nobody", "garbage", "demo-node", 401)
        for who, token in (("alice", alice), ("bob", bob)):
            self.ask(nmid, who, token, "GET", "/agent/v1/audit", status=403)
        records = self.ask(nmid, "admin", admin, "GET", "/agent/v1/audit", status=200)[2]["records"]
        text = str(records)
        for word in ("alice", "bob", self.cloud.projects["other"], lab.node_uuid("demo-node"),
                     "inject_nmi:admin_or_owner"):
            self.assertIn(word, text)


if __name__ == "__main__":
    lab.main()
