# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may: every cell of the tables in docs/policy.md, from outside, with the count of the BMC.

Each case that names a node has a node and a BMC of its own. Where the table says 404, the same is
asked of a node that does not exist, by name and by UUID: the answers must not differ.
"""
import base64
import http.client
import json
import re
import subprocess
import sys
import uuid

import lab
import policy_table

TABLE = policy_table.read()
CODES = {"node-not-found": 404, "forbidden": 403, "locked": 409, "status": 409}
NOVA_KEYS = {401: "unauthorized", 403: "forbidden", 404: "itemNotFound", 409: "conflictingRequest"}
PROJECTS = {"of demo": "demo", "of other": "other", "of nobody": None}
# What differs between any two answers.
VARIES = re.compile(r"(req|batch)-[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[0-9:.]+Z")


class Client:
    """One who asks, on one connection."""

    def __init__(self, person, tcp_port, socket_path):
        self.person, self.port, self.path = person, tcp_port, socket_path
        self.connection = None
        self.headers = {}
        if person.password is not None:
            pair = f"{person.login}:{person.password}".encode()
            self.headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()

    def _connect(self):
        if self.person.local:
            return lab.UnixConnection(self.path, 60)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method, path, body=None):
        """-> (status, headers, JSON or bytes)."""
        headers = dict(self.headers)
        text = None
        if path.startswith("/v2.1"):
            headers["OpenStack-API-Version"] = "compute 2.17"
        if path.startswith("/v1/"):
            headers["X-OpenStack-Ironic-API-Version"] = "1.82"
        if body is not None:
            text = json.dumps(body)
            headers["Content-Type"] = "application/json"
        if self.connection is None:
            self.connection = self._connect()
        self.connection.request(method, path, text, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if data and "json" in (answer.headers.get("Content-Type") or ""):
            data = json.loads(data)
        if answer.will_close:
            self.close()
        return answer.status, answer.headers, data

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None


class Table(lab.TestCase):
    time_limit = 600

    # ---- The house ----

    def htpasswd(self):
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        for person in TABLE.people.values():
            if person.local or person.password is None:
                continue
            word = "another" if person.password == "wrong" else person.password
            subprocess.run([lab.which("htpasswd"), "-iB", "-C", "4", path, person.login],
                           input=word, text=True, check=True, capture_output=True)
        return path

    def start_nmid(self, section):
        """A node for each case that has one, and one of each project to read about."""
        self.cases = section.cases
        self.sim = self.bmcsim("--count", str(len(self.cases) + 3))
        nodes = [self.node(f"c{i}", i, *case.node, case.status)
                 for i, case in enumerate(self.cases) if case.node is not None]
        for i, (column, project) in enumerate(PROJECTS.items()):
            nodes.append(self.node(self.read_name(column), len(self.cases) + i, project, False,
                                   "ACTIVE"))
        users = [person.entry for person in TABLE.people.values() if person.entry is not None]
        self.socket = self.unique("s")
        settings = {"policy": section.policy} if section.policy else {}
        self.daemon = self.nmid(nodes, **settings, auth={
            "strategy": "http_basic", "user_file": self.htpasswd(), "users": users,
        }, listen=[{"address": "127.0.0.1", "port": 0},
                   {"socket": self.socket, "auth": {"strategy": "none"}}])
        self.clients = {name: Client(person, self.daemon.port, str(self.socket))
                        for name, person in TABLE.people.items()}
        for client in self.clients.values():
            self.addCleanup(client.close)
        self.observer = self.clients["system administrator"]  # reads all, whatever the policy

    def node(self, name, index, project, locked, status):
        keys = {"locked": locked, "status": status}
        if project is not None:
            keys["project_id"] = project
        node = lab.node(name, self.sim, self.sim.address(index), **keys)
        if project is None:
            del node["project_id"]
        return node

    @staticmethod
    def read_name(column):
        return "read-" + column.rsplit(" ", 1)[1]

    def prepare_reading(self):
        """An action on one node of each project, and two batches."""
        self.actions, self.batches = {}, {}
        for column in PROJECTS:
            status, _, action = self.observer.ask(
                "POST", f"/agent/v1/nodes/{self.read_name(column)}/actions",
                {"action": "inject_nmi"})
            if status == 202:
                self.finished(action["id"])
                self.actions[column] = action["id"]
        for column, who in (("of demo", "member"), ("of other", "outsider")):
            status, _, batch = self.clients[who].ask(
                "POST", "/agent/v1/actions",
                {"action": "inject_nmi", "nodes": [self.read_name(column)]})
            self.assertEqual(status, 202)
            self.batches[column] = batch["id"]
            for action in batch["actions"]:
                self.finished(action["id"])

    def finished(self, identity):
        if identity is None:
            return None
        status, _, action = self.observer.ask("GET", f"/agent/v1/actions/{identity}?wait=60")
        self.assertEqual((status, action.get("state")), (200, "finished"), action)
        return action

    # ---- One case ----

    def fill(self, case, ident):
        """The request of a case: method, path, body."""
        column, unknown = case.column, str(uuid.uuid4())
        path = case.call.path.replace("{node}", ident)
        if "{action}" in path:
            path = path.replace("{action}", self.actions.get(column, f"req-{unknown}"))
        if "{batch}" in path:
            path = path.replace("{batch}", self.batches.get(column, f"batch-{unknown}"))
        body = json.dumps(case.call.body).replace("{node}", ident)
        return case.call.method, path, json.loads(body)

    def judge(self, case, ident):
        """-> (what came, as a cell has it, the answer)."""
        client = self.clients[case.who.name]
        answer = client.ask(*self.fill(case, ident))
        if case.call.name.startswith("list ") and answer[0] == 200:
            return self.listed(case, client, answer[2]), answer
        cell = str(answer[0])
        if case.call.name.startswith("batch ") and answer[0] == 202:
            cell = self.judge_batch(answer[2])
        elif answer[0] == 202 and case.call.contract == "agent":
            outcome = self.finished(answer[2]["id"])["outcome"]
            cell = "202" if outcome == "delivered" else f"202 but {outcome}"
        elif answer[0] == 204:
            cell = "202"
        elif answer[0] == 409 or (answer[0] == 400 and case.call.contract == "ironic"):
            cell = f"409 {self.reason(case, answer[2])}"
        return cell, answer

    def judge_batch(self, batch):
        action = batch["actions"][0]
        if action["state"] != "finished":
            action = self.finished(action["id"])
        if action["outcome"] == "delivered":
            return "202"
        status = CODES.get(action["code"], action["code"])
        return f"409 {action['code']}" if status == 409 else str(status)

    @staticmethod
    def reason(case, body):
        if case.call.contract == "agent":
            return body["error"]["code"]
        message = (body["error_message"] if case.call.contract == "ironic" else
                   body["conflictingRequest"]["message"])
        return ("locked" if "is locked" in message else
                "status" if "vm_state" in message else message)

    def listed(self, case, client, page):
        kind = re.match(r"list (\w+)", case.call.name).group(1)
        name = self.read_name(case.column)
        while True:
            names = [item.get("node_name") or item.get("name") for item in page[kind]]
            if name in names:
                return "listed"
            links = page.get("servers_links")
            if page.get("next") is None and not links:
                return "not listed"
            path = f"{case.call.path}&marker={page.get('next')}"
            if links:
                path = re.sub(r"^http://[^/]*", "", links[0]["href"])
            if case.call.contract == "ironic":
                path = re.sub(r"^http://[^/]*", "", page["next"])
            _, _, page = client.ask(case.call.method, path)

    def check_body(self, case, answer):
        """The error is in the words of its contract."""
        status, headers, body = answer
        if status == 401:
            self.assertRegex(headers["WWW-Authenticate"], r'^Basic realm="')
        if status < 400 or isinstance(body, bytes):
            return
        if case.call.contract == "nova":
            self.assertEqual(list(body), [NOVA_KEYS[status]])
            self.assertEqual(body[NOVA_KEYS[status]]["code"], status)
            return
        if case.call.contract == "ironic" and status != 401:
            self.assertEqual(list(body), ["error_message"])
            self.assertEqual(json.loads(body["error_message"])["faultcode"], "Client")
            return
        if case.call.contract == "ironic":
            self.assertEqual(body["error"]["code"], status)
            return
        self.assertEqual(list(body), ["error"])
        code = body["error"]["code"]
        expected = {401: {"unauthorized"}, 403: {"forbidden"},
                    404: {"node-not-found", "not-found"}, 409: {"locked", "status"}}[status]
        self.assertIn(code, expected)

    @staticmethod
    def comparable(answer, ident):
        status, headers, body = answer
        text = json.dumps(body) if not isinstance(body, bytes) else body.decode()
        fields = sorted(f"{key}: {value}" for key, value in headers.items()
                        if key not in ("Date", "X-Openstack-Request-Id"))
        return status, [VARIES.sub("", line).replace(ident, "X")
                        for line in [*fields, text]]

    def check_absent(self, index, case, answer):
        """Of another project, and not there at all: the same, by name and by UUID."""
        client = self.clients[case.who.name]
        pairs = [(f"c{index}", f"x{index}", answer)]
        by_uuid = lab.node_uuid(f"c{index}")
        pairs.append((by_uuid, str(uuid.uuid4()), client.ask(*self.fill(case, by_uuid))))
        for foreign, absent, told in pairs:
            other = client.ask(*self.fill(case, absent))
            self.assertEqual(self.comparable(told, foreign), self.comparable(other, absent))

    def run_case(self, index, case):
        ident = f"c{index}" if case.node is not None else f"x{index}"
        cell, answer = self.judge(case, ident)
        self.assertEqual(cell, case.expected, answer[2])
        self.check_body(case, answer)
        if case.node is not None:
            nmis = 1 if case.expected == "202" and case.call.action is not None else 0
            self.assertEqual(self.sim.count(self.sim.address(index)), nmis, "NMIs")
            if case.expected == "404" and "{node}" in case.call.path + str(case.call.body):
                self.check_absent(index, case, answer)

    def run_section(self, section):
        self.start_nmid(section)
        self.prepare_reading()
        wrong, expected = [], self.sim.control("total")["sum"]["nmi"]
        for index, case in enumerate(self.cases):
            try:
                self.run_case(index, case)
            except AssertionError as error:
                wrong.append(f"{case}: {str(error).strip()}")
            expected += case.expected == "202" and case.call.action is not None
        print(f"{section.name}: {len(self.cases)} cases, {len(wrong)} wrong", file=sys.stderr)
        self.assertEqual(wrong, [], "\n".join([*wrong[:200], ""]))
        self.assertEqual(self.sim.control("total")["sum"]["nmi"], expected)


def add_tests():
    for section in TABLE.sections.values():
        name = "test_" + re.sub(r"\W+", "_", section.name.lower())
        setattr(Table, name, lambda self, section=section: self.run_section(section))


class TheTableItself(lab.TestCase):
    def test_everything_is_asked(self):
        """No person, no call, no status of nmid.conf(5) is without a row."""
        cases = [case for section in TABLE.sections.values() for case in section.cases]
        self.assertEqual({case.who.name for case in cases}, set(TABLE.people))
        self.assertEqual({case.call.name for case in cases}, set(TABLE.calls))
        source = (lab.top_srcdir / "src/core/node.c").read_text(encoding="utf-8")
        names = re.findall(r'\[NODE_\w+\] = "(\w+)"', source)
        self.assertGreater(len(names), 10)
        self.assertEqual({case.status for case in cases}, set(names))

    def test_what_is_wrong_is_found(self):
        """A cell that cannot be understood stops everything."""
        text = policy_table.PATH.read_text(encoding="utf-8")
        for good, bad in (("| member | 202 | 409 locked", "| member | maybe | 409 locked"),
                          ("| who | of demo | of demo, locked", "| who | of me | of demo, locked"),
                          ("| SHUTOFF | 409 status", "| SHUTOFF | 409 status | 409 status"),
                          ("| status | inject_nmi |", "| status | injection |")):
            self.assertIn(good, text)
            with self.assertRaises((AssertionError, KeyError)):
                policy_table.Reader(text.replace(good, bad))


if __name__ == "__main__":
    add_tests()
    lab.main(needs=("htpasswd",))
