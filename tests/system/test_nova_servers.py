# SPDX-License-Identifier: GPL-3.0-or-later
"""Contract 1's read side from outside (docs/contract-nova.md): discovery, lists, one server, and
that what a list calls a server is what an action takes."""
import json
import urllib.parse
import uuid

import lab

PAGE = 1000


class Servers(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "6")

    def node(self, name, index, **keys):
        return lab.node(name, self.sim, self.sim.address(index), **keys)

    def get(self, nmid, path, version=None, status=200, **options):
        headers = {"OpenStack-API-Version": f"compute {version}"} if version else {}
        answer = self.request(nmid, "GET", path, None, headers, **options)
        self.assertEqual(answer[0], status, answer[2])
        self.assertEqual(answer[1]["Content-Type"], "application/json")
        return answer[2]

    def names(self, nmid, query="", **options):
        return [server["name"] for server in
                self.get(nmid, f"/v2.1/servers{query}", **options)["servers"]]

    def test_discovery(self):
        """One document for Nova's clients and for Ironic's; each finds its own version."""
        nmid = self.nmid([self.node("n1", 0)])
        root = self.get(nmid, "/")
        self.assertEqual([(v["id"], v["status"], v["min_version"], v["version"])
                          for v in root["versions"]],
                         [("v1", "CURRENT", "1.1", "1.82"), ("v2.1", "EXPERIMENTAL", "2.1", "2.93")])
        self.assertEqual(root["default_version"], root["versions"][0])
        for version in root["versions"]:
            where = urllib.parse.urljoin("/", version["links"][0]["href"])
            for path in (where, where.rstrip("/")):
                told = self.get(nmid, path)
                told = told.get("version") or told
                self.assertEqual(told["id"], version["id"])

    def test_discovery_is_for_all(self):
        """Nobody has logged in when a client looks for the version; a list is another matter."""
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        nmid = self.nmid([self.node("n1", 0)], auth={
            "strategy": "http_basic", "user_file": path,
            "users": [{"name": "nobody", "roles": ["reader"]}]})
        for path in ("/", "/v2.1", "/v2.1/"):
            self.get(nmid, path)
        for path in ("/v2.1/servers", "/v2.1/servers/detail", "/v2.1/servers/n1",
                     "/v2.1/demo/servers"):
            body = self.get(nmid, path, status=401)
            self.assertEqual(list(body), ["unauthorized"])

    def test_ids(self):
        """A server is what runs on the node, where something does; an action takes what is told."""
        guest = str(uuid.uuid4())
        nmid = self.nmid([self.node("n1", 0, instance_uuid=guest), self.node("n2", 1)])
        servers = self.get(nmid, "/v2.1/servers")["servers"]
        self.assertEqual([(s["id"], s["name"]) for s in servers],
                         [(guest, "n1"), (lab.node_uuid("n2"), "n2")])
        self.assertEqual(set(servers[0]), {"id", "name", "links"})
        for index, server in enumerate(servers):
            path = f"/v2.1/servers/{server['id']}"
            self.assertEqual(server["links"][0], {"rel": "self", "href": path})
            self.assertEqual(self.get(nmid, path)["server"]["name"], server["name"])
            answer = self.request(nmid, "POST", path + "/action", {"inject_nmi": None})
            self.assertEqual(answer[0], 202)
            self.assertEqual(self.sim.count(self.sim.address(index)), 1)
        for ident in ("n1", lab.node_uuid("n1"), guest.upper()):
            self.assertEqual(self.get(nmid, f"/v2.1/servers/{ident}")["server"]["id"], guest)
        head = self.request(nmid, "HEAD", "/v2.1/servers/n1")
        self.assertEqual((head[0], head[2]), (200, b""))

    def test_states(self):
        """What is set at run time is what is shown; secrets are not."""
        nmid = self.nmid([self.node("n1", 0), self.node("n2", 1, status="RESIZED")])
        self.assertEqual(self.names(nmid, "?status=VERIFY_RESIZE"), ["n2"])
        self.request(nmid, "PUT", "/agent/v1/nodes/n1/lock")
        self.request(nmid, "PUT", "/agent/v1/nodes/n1/status", {"status": "RESCUED"})
        shown = self.get(nmid, "/v2.1/servers/n1", version="2.9")["server"]
        self.assertEqual((shown["status"], shown["OS-EXT-STS:vm_state"], shown["locked"]),
                         ("RESCUE", "rescued", True))
        self.assertNotIn("locked", self.get(nmid, "/v2.1/servers/n1", version="2.8")["server"])
        self.assertEqual(self.names(nmid, "?locked=1", version="2.73"), ["n1"])
        text = json.dumps(self.get(nmid, "/v2.1/servers/detail", version="2.93"))
        for secret in ("secret", "ipmi", self.sim.first):
            self.assertNotIn(secret, text)

    def test_methods(self):
        nmid = self.nmid([self.node("n1", 0)])
        for path in ("/", "/v2.1", "/v2.1/servers", "/v2.1/servers/detail", "/v2.1/servers/n1"):
            for method in ("POST", "PUT", "DELETE", "PATCH"):
                with self.subTest(path=path, method=method):
                    status, headers, body = self.request(nmid, method, path, {"server": {}})
                    self.assertEqual((status, list(body), headers["Allow"]),
                                     (405, ["badMethod"], "GET, HEAD"))
        self.assertEqual(self.sim.count(), 0)

    def test_many(self):
        """A page has a thousand at most, and says where the next one is."""
        count = 2 * PAGE + 1
        nodes = [{"uuid": lab.node_uuid(f"m{i}"), "name": f"m{i}", "driver": "noop"}
                 for i in range(count)]
        nmid = self.nmid(nodes)
        seen, path = [], "/v2.1/servers/detail?name=%5Em"
        while path is not None:
            page = self.get(nmid, path)
            seen += [server["name"] for server in page["servers"]]
            links = page.get("servers_links")
            path = links[0]["href"].removeprefix(nmid.url) if links else None
        self.assertEqual(seen, [f"m{i}" for i in range(count)])

    def test_ironic_as_the_source(self):
        """With Ironic as the source of states, and Ironic down: no list without telling."""
        nmid = self.nmid([self.node("n1", 0)], state_source="ironic", ironic={
            "url": "http://127.0.0.1:9", "auth": "none", "timeout_ms": 500})
        for path in ("/v2.1/servers", "/v2.1/servers/detail", "/v2.1/servers/n1"):
            body = self.get(nmid, path, status=503)
            self.assertEqual(list(body), ["serviceUnavailable"])


if __name__ == "__main__":
    lab.main()
