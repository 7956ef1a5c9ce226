# SPDX-License-Identifier: GPL-3.0-or-later
"""The audit from outside: who did what and what came of it, also after a kill; what is refused, one
by one and in a flood; who may read it; and that no secret is in it."""
import base64
import http.client
import json
import re
import sqlite3
import subprocess

import lab

NMI = {"action": "inject_nmi"}
USERS = [{"name": "alice", "project_id": "demo", "roles": ["member"]},
         {"name": "bob", "project_id": "other", "roles": ["member"]},
         {"name": "root", "roles": ["admin"]}]
FLOOD = 20000


def basic(name, word=None):
    pair = f"{name}:{word or name + '-word'}".encode()
    return {"Authorization": "Basic " + base64.b64encode(pair).decode()}


class Audit(lab.TestCase):
    def lab_of(self, **settings):
        self.sim = self.bmcsim("--count", "2")
        file = self.unique("htpasswd")
        file.touch(mode=0o600)
        for user in USERS:
            subprocess.run([lab.which("htpasswd"), "-i", "-B", "-C", "4", file, user["name"]],
                           input=f"{user['name']}-word".encode(), check=True, capture_output=True)
        self.daemon = self.nmid(
            [lab.node("n1", self.sim), lab.node("n2", self.sim, self.sim.address(1),
                                                project_id="other")],
            auth={"strategy": "http_basic", "user_file": str(file), "users": USERS}, **settings)

    def ask(self, user, method, path, body=None, headers=None):
        """-> (status, answer)"""
        headers = {**(basic(user) if user else {}), **(headers or {})}
        status, _, answer = self.request(self.daemon, method, path, body, headers)
        return status, answer

    def inject(self, user, node="n1", **body):
        return self.ask(user, "POST", f"/agent/v1/nodes/{node}/actions", {**NMI, **body})

    def finished(self, user, identity):
        status, action = self.ask(user, "GET", f"/agent/v1/actions/{identity}?wait=60")
        self.assertEqual((status, action["state"]), (200, "finished"))
        return action

    def records(self, query=""):
        """Without those of the reading itself, oldest first."""
        status, page = self.ask("root", "GET", "/agent/v1/audit?limit=1000" + query)
        self.assertEqual(status, 200, page)
        return [record for record in reversed(page["records"]) if record["operation"] != "audit"]

    def sql(self, text):
        with sqlite3.connect(f"file:{self.daemon.state_dir}/nmid.db?mode=ro", uri=True) as database:
            return database.execute(text).fetchone()[0]

    # ---- Who, what, and what came of it ----

    def test_who_did_what(self):
        self.lab_of()
        status, action = self.inject("alice")
        self.assertEqual(status, 202, action)
        self.assertEqual(self.finished("alice", action["id"])["outcome"], "delivered")
        self.assertEqual(self.inject("bob")[0], 404)
        self.assertEqual(self.inject("bob", "nowhere")[0], 404)
        self.assertEqual(self.inject("alice", force=True)[0], 403)
        self.assertEqual(self.ask("root", "PUT", "/agent/v1/nodes/n1/lock")[0], 200)
        self.assertEqual(self.inject("alice")[0], 409)
        self.assertEqual(self.ask(None, "GET", "/agent/v1/nodes")[0], 401)
        self.assertEqual(self.ask("alice", "GET", "/agent/v1/nodes/n1")[0], 200)  # a read: not in it
        self.assertEqual(self.ask("root", "POST", "/agent/v1/nodes/n1/probe")[0], 200)
        uuid = lab.node_uuid("n1")
        lab.wait_for(lambda: len(self.records()) == 8, what="8 records")  # they follow the answers
        self.assertEqual(
            [(r["caller"]["user"], r["operation"], r["node_uuid"], r["decision"], r["rule"],
              r["code"], r["outcome"]) for r in self.records()],
            [("alice", "inject_nmi", uuid, "allowed", "inject_nmi:admin_or_owner", None,
              "delivered"),
             ("bob", "inject_nmi", uuid, "refused", "owner", "node-not-found", None),
             ("bob", "inject_nmi", None, "refused", "node", "node-not-found", None),
             ("alice", "inject_nmi", uuid, "refused", "force:admin", "forbidden", None),
             ("root", "lock", uuid, "allowed", "lock:admin", None, None),
             ("alice", "inject_nmi", uuid, "refused", "lock", "locked", None),
             (None, "authenticate", None, "refused", "credentials", "unauthorized", None),
             ("root", "probe", uuid, "allowed", "probe:admin_or_owner", None, None)])
        first = self.records()[0]
        self.assertEqual((first["action_id"], first["contract"], first["ident"], first["node_name"]),
                         (action["id"], "agent", "n1", "n1"))
        self.assertEqual(first["caller"], {
            "user": "alice", "user_id": None, "project_id": "demo", "role": "member",
            "administrator": False, "method": "http_basic", "address": "127.0.0.1"})
        self.assertRegex(first["at"], r"^\d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z$")
        self.assertGreater(first["finished_at"], first["at"])
        self.check_search(action["id"], first["at"])
        self.check_log(action["id"])

    def test_by_key(self):
        """What was asked under an Idempotency-Key is found by it: the action, its repeat, and a
        refusal."""
        self.lab_of()
        for status in (202, 202, 422):
            self.assertEqual(self.ask("alice", "POST", "/agent/v1/nodes/n1/actions", {
                "action": "inject_nmi" if status == 202 else "trigger_crash_dump"},
                {"Idempotency-Key": "req-of-ironic"})[0], status)
        self.inject("alice")
        found = lab.wait_for(lambda: len(self.records("&key=req-of-ironic")) == 3
                             and self.records("&key=req-of-ironic"), what="the records")
        self.assertEqual([(r["decision"], r["repeat"], r["rule"], r["idempotency_key"])
                          for r in found],
                         [("allowed", False, "inject_nmi:admin_or_owner", "req-of-ironic"),
                          ("allowed", True, "inject_nmi:admin_or_owner", "req-of-ironic"),
                          ("refused", False, "key", "req-of-ironic")])
        self.assertEqual({record["action_id"] for record in found}, {found[0]["action_id"]})
        self.assertEqual(self.records("&key=another"), [])

    def check_search(self, identity, at):
        def count(query):
            return len(self.records(query))
        self.assertEqual(count("&user=alice"), 3)
        self.assertEqual(count("&project=other"), 2)
        self.assertEqual(count(f"&action={identity}"), 1)
        self.assertEqual(count("&decision=refused"), 5)
        self.assertEqual(count("&node=n1"), 6)
        self.assertEqual(count("&node=" + lab.node_uuid("n1")), 6)
        self.assertEqual(count("&node=nowhere"), 1)
        self.assertEqual(count(f"&since={at}"), 8)
        self.assertEqual(count(f"&until={at}"), 0)
        self.assertEqual(count(f"&user=alice&decision=refused&since={at}"), 2)
        self.assertEqual(count("&user=%27%20OR%201%3D1%20--"), 0)

    def check_log(self, identity):
        """Each decision is one line, and no more."""
        log = self.daemon.log()
        for words in (f"action {identity}: inject_nmi of n1 accepted (agent, user alice from 127",
                      f"action {identity}: inject_nmi of n1 delivered: ",
                      "inject_nmi of n1 refused (agent, user bob from 127.0.0.1): no node n1",
                      "inject_nmi of nowhere refused (agent, user bob from ",
                      "lock of n1 allowed (agent, user root from ",
                      "authenticate of GET /agent/v1/nodes refused (agent, user - from 127.0.0.1)"):
            self.assertEqual(log.count(words), 1, f"{words}\n{log}")

    def test_what_was_set(self):
        """Of each change its value, also where it gives back the configuration's."""
        self.lab_of()
        changes = (
            ("PUT", "status", {"status": "PAUSED"}, "status", "status PAUSED (run-time)"),
            ("PUT", "status", {"status": None}, "status", "the status of the configuration again"),
            ("DELETE", "status", None, "status", "the status of the configuration again"),
            ("PUT", "lock", None, "lock", "locked"),
            ("DELETE", "lock", None, "unlock", "unlocked"),
            ("PUT", "lock", {"locked": None}, "lock",
             "the lock of the configuration again (unlocked)"))
        for method, what, body, _, _ in changes:
            self.assertEqual(self.ask("root", method, "/agent/v1/nodes/n1/" + what, body)[0], 200)
        self.assertEqual(self.ask("alice", "PUT", "/agent/v1/nodes/n1/lock")[0], 403)
        lab.wait_for(lambda: len(self.records()) == 7, what="7 records")
        records = self.records()
        self.assertEqual([(r["operation"], r["decision"], r["message"]) for r in records[:6]],
                         [(operation, "allowed", text) for *_, operation, text in changes])
        self.assertEqual((records[6]["decision"], records[6]["message"]),
                         ("refused", "Policy doesn't allow lock to be performed: it takes the role "
                                     "admin, and you have member."))
        self.assertIn("status of n1 allowed (agent, user root from 127.0.0.1): status PAUSED "
                      "(run-time)\n", self.daemon.log())

    def test_wrong_password(self):
        """Whose name it was is found, when nmid knows the name; another name is not said."""
        self.lab_of()
        for user in ("alice", "secret-typed-as-a-name"):
            status, _, _ = self.request(self.daemon, "GET", "/agent/v1/nodes",
                                        headers=basic(user, "wrong"))
            self.assertEqual(status, 401)
        lab.wait_for(lambda: len(self.records()) == 2, what="2 records")
        self.assertEqual([r["caller"]["user"] for r in self.records()], ["alice", None])
        found, = self.records("&user=alice&decision=refused")
        self.assertEqual((found["rule"], found["code"], found["caller"]["role"],
                          found["caller"]["method"], found["caller"]["administrator"]),
                         ("credentials", "unauthorized", None, None, False))
        self.assertNotIn("secret-typed", self.daemon.log())

    def test_who_may_read(self):
        self.lab_of()
        self.inject("bob")
        for user, status in (("alice", 403), (None, 401), ("root", 200)):
            self.assertEqual(self.ask(user, "GET", "/agent/v1/audit")[0], status)
            self.assertEqual(self.ask(user, "GET", "/metrics")[0], status)

        def reads():
            page = self.ask("root", "GET", "/agent/v1/audit")[1]["records"]
            return [(r["caller"]["user"], r["decision"]) for r in reversed(page)
                    if r["operation"] == "audit"]
        lab.wait_for(lambda: reads()[:2] == [("alice", "refused"), ("root", "allowed")],
                     what="the records of the reading")
        # Where the rule lets owners read, they read of their own project, and cannot tell from it
        # whether another project's node is there.
        self.daemon.reload(policy={"audit": "admin_or_owner"})
        self.inject("alice")
        self.inject("bob", "nowhere")
        for user, project in (("alice", "demo"), ("bob", "other")):
            lab.wait_for(lambda name=user: self.ask(name, "GET", "/agent/v1/audit")[1]["records"],
                         what="what the project did")
            status, page = self.ask(user, "GET", "/agent/v1/audit")
            self.assertEqual(status, 200)
            self.assertEqual({r["caller"]["project_id"] for r in page["records"]}, {project})
            self.assertFalse([r for r in page["records"] if r["rule"] in ("node", "owner")])
        self.assertEqual(self.ask("bob", "GET", "/agent/v1/audit?project=demo"),
                         (200, {"records": [], "next": None}))

    def test_bad_queries(self):
        self.lab_of()
        for query, word in (("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"),
                            ("marker=-1", "marker"), ("marker=0", "marker"), ("since=1h", "since"),
                            ("until=2026-02-30", "until"), ("decision=no", "decision"),
                            ("who=me", "who"), ("user=a&user=b", "user")):
            status, answer = self.ask("root", "GET", "/agent/v1/audit?" + query)
            self.assertEqual((status, answer["error"]["code"]), (400, "malformed"))
            self.assertIn(word, answer["error"]["message"])

    # ---- After a kill ----

    def test_killed(self):
        self.lab_of(ipmi={"timeout_ms": 20000, "answer_ms": 10000, "retransmit_ms": 200})
        self.sim.set(self.sim.first, "control_delay_ms", "60000")
        self.sim.set(self.sim.address(1), "blackhole", "on")
        sent = self.inject("alice")[1]["id"]
        accepted = self.inject("bob", "n2")[1]["id"]
        lab.wait_for(lambda: self.sim.counters()["control_4"] == 1, what="the Chassis Control")
        self.assertEqual([r["outcome"] for r in self.records()], [None, None])
        self.daemon.crash()
        self.daemon.start()
        lab.wait_for(lambda: self.records()[-1]["outcome"], what="the outcomes")
        self.assertEqual(
            [(r["action_id"], r["decision"], r["outcome"], r["outcome_code"])
             for r in self.records()],
            [(sent, "allowed", "unknown", "daemon-stopped"),
             (accepted, "allowed", "failed", "stopping")])
        self.assertIn(f"action {sent}: inject_nmi of n1 unknown: ", self.daemon.log())

    # ---- Floods and secrets ----

    def test_flood(self):
        """20,000 requests without credentials: a few records, and true numbers."""
        self.lab_of()
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        for _ in range(FLOOD):
            connection.request("GET", "/agent/v1/nodes")
            answer = connection.getresponse()
            answer.read()
            self.assertEqual(answer.status, 401)
        connection.close()

        def total():
            return self.sql("SELECT sum(CASE decision WHEN 'refused' THEN 1 ELSE suppressed END)"
                            " FROM audit")
        lab.wait_for(lambda: total() == FLOOD, 10, f"{FLOOD} in {total()}")
        rows = self.sql("SELECT count(*) FROM audit")
        self.assertLess(rows, FLOOD / 2)
        size = sum(path.stat().st_size for path in self.daemon.state_dir.iterdir())
        self.assertLess(size, 16 << 20)
        self.assertLess(self.daemon.log().count("authenticate"), rows + 1)
        metrics = self.ask("root", "GET", "/metrics")[1].decode()
        self.assertIn(f'nmid_decisions_total{{decision="refused"}} {FLOOD}\n', metrics)
        suppressed = self.sql("SELECT sum(suppressed) FROM audit")
        self.assertIn(f"nmid_audit_suppressed_total {suppressed}\n", metrics)
        # What is allowed is recorded as ever.
        identity = self.inject("alice")[1]["id"]
        self.finished("alice", identity)
        self.assertEqual([r["outcome"] for r in self.records(f"&action={identity}")], ["delivered"])

    def test_secrets(self):
        self.lab_of()
        marks = ("word-Tr0ub4dor", "gAAAAAtoken-mark", "alice-word", "secret-of-bmc")
        self.ask("alice", "GET", "/agent/v1/nodes", headers=basic("alice", marks[0]))
        self.ask(None, "GET", "/agent/v1/nodes", headers=basic(marks[0], marks[0]))
        self.ask(None, "GET", "/v2.1/servers", headers={"X-Auth-Token": marks[1]})
        self.ask("alice", "GET", "/agent/v1/nodes", headers={"X-Auth-Token": marks[1]})
        self.ask(None, "GET", "/agent/v1/nodes", headers={"Authorization": "Bearer " + marks[1]})
        self.finished("alice", self.inject("alice")[1]["id"])
        records = self.records()
        self.assertGreater(len(records), 3)
        self.daemon.stop()
        places = {path.name: path.read_bytes() for path in self.daemon.state_dir.iterdir()}
        places["log"] = self.daemon.log().encode()
        places["answer"] = json.dumps(records).encode()
        for name, data in places.items():
            for mark in marks:
                for form in (mark, base64.b64encode(f"alice:{mark}".encode()).decode()):
                    self.assertNotIn(form.encode(), data, f"{form} is in {name}")

    # ---- How much is kept ----

    def test_kept(self):
        self.lab_of(audit={"records": 1000, "refusals": 100000})
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        for _ in range(2500):
            connection.request("GET", "/agent/v1/nodes")
            connection.getresponse().read()
        connection.close()
        lab.wait_for(lambda: self.sql("SELECT max(serial) FROM audit") == 2500, what="2500 records")
        lab.wait_for(lambda: self.sql("SELECT count(*) FROM audit") <= 1064, what="pruning")
        self.assertEqual(self.sql("SELECT max(serial) FROM audit"), 2500)
        self.assertGreaterEqual(self.sql("SELECT count(*) FROM audit"), 1000)

    # ---- nmictl, and what a monitor reads ----

    def nmictl_as(self, user, *args):
        return self.nmictl(self.daemon, *args, env={"NMID_USER": user,
                                                    "NMID_PASSWORD": user + "-word"})

    def test_nmictl(self):
        self.lab_of(audit={"refusals": 100000})
        self.assertEqual(self.nmictl_as("alice", "inject-nmi", "n1").returncode, 0)
        done = self.nmictl_as("root", "audit", "--by", "alice", "--node", "n1")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], r"^AT +DECISION +USER +PROJECT +FROM +OPERATION +NODE +RULE")
        self.assertEqual(len(lines), 2, done.stdout)
        self.assertRegex(lines[1], r"Z +allowed +alice +demo +127.0.0.1 +inject_nmi +n1 +"
                                   r"inject_nmi:admin_or_owner +delivered +req-")
        done = self.nmictl_as("alice", "audit")
        self.assertEqual(done.returncode, 1)
        self.assertIn("audit", done.stderr)
        connection = http.client.HTTPConnection("127.0.0.1", self.daemon.port, timeout=60)
        for _ in range(2200):  # more than two pages
            connection.request("GET", "/agent/v1/nodes")
            connection.getresponse().read()
        connection.close()
        refused = "SELECT count(*) FROM audit WHERE decision = 'refused'"
        lab.wait_for(lambda: self.sql(refused) == 2201, what="2201 records")
        done = self.nmictl_as("root", "-f", "json", "audit", "--all", "--refused", "--since", "1h")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        listed = json.loads(done.stdout)
        self.assertEqual((len(listed["records"]), listed["next"]), (2201, None))
        serials = [record["serial"] for record in listed["records"]]
        self.assertEqual(serials, sorted(set(serials), reverse=True))
        done = self.nmictl_as("root", "audit", "--refused", "--limit", "3")
        self.assertEqual(len(done.stdout.splitlines()), 4)
        marker = re.search(r"--marker (\d+)", done.stderr)[1]
        done = self.nmictl_as("root", "-f", "json", "audit", "--refused", "--limit", "1",
                              "--marker", marker)
        self.assertLess(json.loads(done.stdout)["records"][0]["serial"], int(marker))
        for args in (["--since", "soon"], ["--until", "2026-02-30"], ["--marker", "x"],
                     ["--all", "--limit", "3"], ["n1"]):
            self.assertEqual(self.nmictl_as("root", "audit", *args).returncode, 2, args)

    def test_metrics(self):
        self.lab_of()
        self.finished("alice", self.inject("alice")[1]["id"])
        status, headers, body = self.request(self.daemon, "GET", "/metrics", headers=basic("root"))
        self.assertEqual((status, headers["Content-Type"]),
                         (200, "text/plain; version=0.0.4; charset=utf-8"))
        text = body.decode()
        self.assertTrue(text.endswith("\n"))
        values = {}
        for line in text.splitlines():
            if line.startswith("#"):
                self.assertRegex(line, r"^# (HELP nmid_\w+ .*\.|TYPE nmid_\w+ (gauge|counter))$")
            else:
                name, value = re.fullmatch(r'(nmid_\w+(?:\{\w+="[^"]*"\})?) (\d+)', line).groups()
                values[name] = int(value)
        for name, value in (("nmid_ready", 1), ("nmid_nodes", 2), ("nmid_actions_queued", 0),
                            ("nmid_actions_in_flight", 0),
                            ('nmid_actions_finished_total{outcome="delivered"}', 1),
                            ('nmid_actions_finished_total{outcome="unknown"}', 0),
                            ('nmid_decisions_total{decision="refused"}', 0),
                            ("nmid_audit_suppressed_total", 0)):
            self.assertEqual(values[name], value, name)


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
