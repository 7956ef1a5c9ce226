# SPDX-License-Identifier: GPL-3.0-or-later
"""From outside, as somebody with the wrong credentials or with few: another project's node is told
from one that is not there by nothing, a request gets in by its own credentials and by no others,
and what concerns those who run a machine is not told to those who have it."""
import base64
import http.client
import json
import re
import socket
import subprocess

import lab
from fake_ironic import FakeIronic
from fake_keystone import FakeKeystone

NODES = "/agent/v1/nodes"
NMI = {"action": "inject_nmi"}
PEOPLE = (("alice", "demo", "member"), ("rita", "demo", "reader"), ("otto", "demo", "other-role"),
          ("bob", "other", "member"), ("nora", None, "member"), ("root", "ops", "admin"))


def basic(user, word=None):
    pair = base64.b64encode(f"{user}:{word or user}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class Attacks(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "3")

    def people(self):
        """An auth of PEOPLE; the password is the name."""
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        for name, _, _ in PEOPLE:
            subprocess.run([lab.which("htpasswd"), "-iB", "-C4", path, name], input=name.encode(),
                           check=True, capture_output=True)
        users = [{"name": name, "roles": [role], **({"project_id": project} if project else {})}
                 for name, project, role in PEOPLE]
        return {"strategy": "http_basic", "user_file": path, "users": users}

    def ask(self, user, method, path, body=None, **headers):
        return self.request(self.daemon, method, path, body, {**basic(user), **headers})

    def inject(self, user, node):
        """Injects, and returns the finished action as the user sees it."""
        status, _, action = self.ask(user, "POST", f"{NODES}/{node}/actions", NMI)
        self.assertEqual(status, 202, action)
        return self.ask(user, "GET", f"/agent/v1/actions/{action['id']}?wait=30")[2]

    # ---- What looks absent ----

    def pair(self, connection, user, method, route, body, idents):
        """What came for a node that the user may not see, and for one that is not there."""
        answers = []
        for ident in idents:
            headers = {**basic(user), "Idempotency-Key": "key",
                       "OpenStack-API-Version": "compute 2.17"}
            if body is not None:
                headers["Content-Type"] = "application/json"
            text = None if body is None else json.dumps(body).replace("@", ident)
            connection.request(method, route.replace("@", ident), text, headers)
            answer = connection.getresponse()
            said = answer.read().decode().replace(ident, "@")
            said = re.sub(r"batch-[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[0-9:.]*Z", "-", said)
            kept = sorted((name, value) for name, value in answer.getheaders()
                          if name not in ("Date", "X-Openstack-Request-Id", "Location"))
            answers.append((answer.status, kept, said))
        return answers

    def test_foreign_is_absent(self):
        """In status, headers, length and words, whatever is asked for and by whom."""
        server = "aaaaaaaa-0000-4000-8000-000000000001"
        nobodys = lab.node("n3", self.sim, self.sim.address(2))
        del nobodys["project_id"]
        self.daemon = self.nmid(
            [lab.node("n1", self.sim), nobodys,
             lab.node("n2", self.sim, self.sim.address(1), project_id="other",
                      instance_uuid=server)], auth=self.people(), hold_off_s=300)
        self.inject("bob", "n2")  # from now on there is a hold-off, and a history
        idents = (("n2", "zz"), ("n3", "zz"), (server, server.replace("a", "b")),
                  (lab.node_uuid("n2"), "cccccccc-1111-4111-8111-111111111111"),
                  (lab.node_uuid("n2").upper(), "CCCCCCCC-1111-4111-8111-111111111111"))
        calls = [("GET", route, None) for route in
                 (NODES + "/@", NODES + "/@/", "/agent/v1/actions?node=@",
                  "/agent/v1/actions?node=@&state=sent", "/agent/v1/audit?node=@",
                  "/v2.1/servers/@", "/v2.1/servers/@/action")]
        calls += [(method, f"{NODES}/@/{what}", None) for what in ("lock", "status")
                  for method in ("DELETE", "PUT", "GET", "PATCH")]
        calls += [("POST", NODES + "/@/probe", None), ("PUT", NODES + "/@/status", {"status": None}),
                  ("PUT", NODES + "/@/status", {"status": "ERROR"}),
                  ("PUT", NODES + "/@/lock", {"locked": False})]
        calls += [(method, "/v2.1/servers/@/action", {name: None})
                  for method in ("POST", "PUT") for name in ("inject_nmi", "trigger_crash_dump")]
        calls += [("POST", path, {**NMI, "force": force, **nodes}) for force in (False, True)
                  for path, nodes in ((NODES + "/@/actions", {}),
                                      ("/agent/v1/actions", {"nodes": ["@", "n2", "@"]}))]
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        for user in ("alice", "rita", "otto", "nora"):
            for pair in idents:
                for method, route, body in calls:
                    if pair[0] in ("n2", "n3") and body and "nodes" in body:
                        body = {**body, "nodes": ["@"]}
                    foreign, absent = self.pair(connection, user, method, route, body, pair)
                    self.assertEqual(foreign, absent, (user, method, route, body, pair))
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in range(3)], [0, 1, 0])

    def test_names_cost_the_same(self):
        """Where Ironic has the owners, an absent name is asked for as often as a foreign node: the
        time that the answer takes does not tell them apart."""
        ironic = FakeIronic()
        self.addCleanup(ironic.stop)
        ironic.node(lab.node_uuid("n1"), owner="demo")
        ironic.node(lab.node_uuid("n2"), owner="other")
        self.daemon = self.nmid([lab.node("n1", self.sim),
                                 lab.node("n2", self.sim, self.sim.address(1))],
                                auth=self.people(), state_source="ironic",
                                ironic={"url": ironic.url, "cache_s": 60})
        asked = []
        for name in ("absent", "n2", "neither", "n2", "neither"):
            before = ironic.count()
            self.assertEqual(self.ask("alice", "GET", f"{NODES}/{name}")[0], 404)
            asked.append(ironic.count() - before)
        self.assertEqual(asked, [1, 1, 1, 0, 0])

    # ---- What is not everybody's ----

    def test_health_tells_no_counts(self):
        self.daemon = self.nmid([lab.node("n1", self.sim)], auth=self.people())
        self.inject("alice", "n1")
        self.assertEqual(set(self.request(self.daemon, "GET", "/healthz")[2]),
                         {"status", "version", "instance", "auth"})
        self.assertEqual(self.ask("alice", "GET", "/metrics")[0], 403)

    def test_who_asked_before(self):
        """A node's history goes with it to its next owner, without those who asked."""
        unknown = {"user": None, "project_id": None, "address": None}
        nodes = [lab.node("n1", self.sim)]
        self.daemon = self.nmid(nodes, auth=self.people())
        former, operator = self.inject("alice", "n1"), self.inject("root", "n1")
        self.assertEqual(former["caller"],
                         {"user": "alice", "project_id": "demo", "address": "127.0.0.1"})
        path = "/agent/v1/actions/"
        self.assertEqual(self.ask("rita", "GET", path + former["id"])[2], former)
        self.assertEqual(self.ask("rita", "GET", path + operator["id"])[2],
                         {**operator, "caller": unknown})
        nodes[0]["project_id"] = "other"
        self.daemon.reload(nodes=nodes)
        for action in (former, operator):
            self.assertEqual(self.ask("root", "GET", path + action["id"])[2], action)
            self.assertEqual(self.ask("bob", "GET", path + action["id"])[2],
                             {**action, "caller": unknown})
            self.assertEqual(self.ask("alice", "GET", path + action["id"])[0], 404)
        listed = self.ask("bob", "GET", "/agent/v1/actions")[2]["actions"]
        self.assertEqual([action["caller"] for action in listed], [unknown] * 2)

    def test_a_lessee_sees_no_bmc(self):
        """As in Ironic, whose driver_info is the owner's."""
        ironic = FakeIronic()
        self.addCleanup(ironic.stop)
        ironic.node(lab.node_uuid("n1"), owner="other", lessee="demo")
        self.daemon = self.nmid([lab.node("n1", self.sim)], auth=self.people(),
                                state_source="ironic", ironic={"url": ironic.url, "cache_s": 0})
        for user, whole in (("alice", False), ("bob", True), ("root", True)):
            for path in (NODES + "/n1", NODES):
                status, _, node = self.ask(user, "GET", path)
                self.assertEqual(status, 200)
                node = node["nodes"][0] if "nodes" in node else node
                self.assertEqual(node["bmc"] is not None, whole, (user, node))
                self.assertEqual(node["driver_info"] != {}, whole, (user, node))
        ironic.node(lab.node_uuid("n1"), owner="other", lessee="demo", reservation="host-7")
        lab.wait_for(lambda: self.ask("alice", "POST", NODES + "/n1/actions", NMI)[0] == 409, 20)
        self.assertNotIn("host-7", str(self.ask("alice", "POST", NODES + "/n1/actions", NMI)[2]))
        self.assertIn("host-7", str(self.ask("root", "POST", NODES + "/n1/actions", NMI)[2]))
        ironic.node(lab.node_uuid("n1"), owner="other", lessee="demo", reservation=None)
        self.assertEqual(self.inject("alice", "n1")["outcome"], "delivered")

    def test_noise_does_not_bury_deeds(self):
        """Somebody without any credentials fills the audit with refusals: what was done stays."""
        self.daemon = self.nmid([lab.node("n1", self.sim)], auth=self.people(),
                                audit={"records": 1000, "refusals": 100000})
        action = self.inject("alice", "n1")
        self.assertEqual(self.ask("root", "PUT", NODES + "/n1/lock")[0], 200)
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        self.addCleanup(connection.close)
        for _ in range(2500):
            connection.request("GET", NODES)
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 401)

        def found(query):
            return self.ask("root", "GET", "/agent/v1/audit?" + query)[2]["records"]
        lab.wait_for(lambda: not found("marker=500&decision=refused"), 30, "old refusals to go")
        kept = found(f"action={action['id']}")
        self.assertEqual([(row["caller"]["user"], row["outcome"]) for row in kept],
                         [("alice", "delivered")])
        self.assertEqual([row["operation"] for row in found("user=root&decision=allowed")][-1],
                         "lock")

    def test_batches_of_others_stay(self):
        """Whoever asks for thousands of nodes that are not there drops but what is their own."""
        self.daemon = self.nmid([lab.node("n1", self.sim)], auth=self.people(),
                                limits={"history": 100})
        where = {"alice": [], "otto": [], "nora": []}

        def post(user, nodes):
            status, headers, _ = self.ask(user, "POST", "/agent/v1/actions",
                                          {**NMI, "nodes": nodes})
            self.assertEqual(status, 202)
            where[user].append(headers["Location"])
        post("alice", ["n1"])
        for number in range(4):
            post("nora", [f"absent-{number}-{k}" for k in range(200)])
        post("alice", ["n1", "absent"])
        self.assertEqual([self.ask("root", "GET", path)[0] for path in where["alice"]], [200] * 2)
        self.assertEqual([self.ask("root", "GET", path)[0] for path in where["nora"]], [404] * 4)
        for number in range(99):  # a little of many: then the oldest goes
            post("otto" if number % 2 else "alice", [f"absent-{number}-{k}" for k in range(2)])
        self.assertEqual(self.ask("root", "GET", where["alice"][0])[0], 404)

    # ---- Whose credentials count ----

    def answers(self, stream, count):
        """(status, body) of so many answers that came through one connection."""
        for _ in range(count):
            status, length = int(stream.readline().split()[1]), 0
            while (line := stream.readline()) != b"\r\n":
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            yield status, json.loads(stream.read(length))

    def test_pipelined(self):
        """Many requests at once through one connection, each with another token, while Keystone
        takes its time: each is answered for its own."""
        keystone = FakeKeystone()
        self.addCleanup(keystone.stop)
        word = self.unique("password")
        word.touch(mode=0o600)
        word.write_text("nmid-password")
        self.daemon = self.nmid(
            [lab.node("n1", self.sim, project_id="demo-id"),
             lab.node("n2", self.sim, self.sim.address(1), project_id="other-id")],
            auth={"strategy": "keystone", "auth_url": keystone.auth_url, "username": "nmid",
                  "user_domain_name": "Default", "password_file": word, "project_name": "service",
                  "project_domain_name": "Default", "cache_s": 0})
        tokens = {"n1": keystone.issue("alice", project="demo"),
                  "n2": keystone.issue("bob", project="other"), "bad": "bad-token"}
        keystone.fault("GET", "/auth/tokens", "slow=0.01")
        order = ["n1", "none", "n2", "bad", "n2", "n1", "none", "bad", "n1", "n2"] * 3
        text = ""
        for who in order:
            text += f"GET {NODES} HTTP/1.1\r\nHost: nmid\r\n"
            text += f"X-Auth-Token: {tokens[who]}\r\n\r\n" if who in tokens else "\r\n"
        with socket.create_connection(("127.0.0.1", self.daemon.port), 60) as client:
            client.sendall(text.encode())
            got = list(self.answers(client.makefile("rb"), len(order)))
        for who, (status, body) in zip(order, got):
            seen = [node["name"] for node in body.get("nodes", [])]
            self.assertEqual((status, seen), (200, [who]) if who in ("n1", "n2") else (401, []))

    def test_two_on_any_port(self):
        """Two listeners that the file tells apart by their order alone keep their own auth."""
        self.daemon = self.nmid([lab.node("n1", self.sim)], auth={"strategy": "none"}, listen=[
            {"address": "127.0.0.1", "port": 0},
            {"address": "127.0.0.1", "port": 0, "auth": self.people()}])
        ports = [int(port) for port in re.findall(r"listening on \S*:(\d+)", self.daemon.log())]
        for _ in range(2):
            got = []
            for port in ports:
                self.daemon.port = port
                got.append(self.request(self.daemon, "GET", NODES)[0])
            self.assertEqual(got, [200, 401])
            self.daemon.reload()


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
