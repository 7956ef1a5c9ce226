# SPDX-License-Identifier: GPL-3.0-or-later
"""The unmodified bare metal clients with nmid in Ironic's place: `baremetal` (python-ironicclient)
and openstacksdk, by each way of logging in; what they print; and what their repeats do."""
import json
import re
import threading
import time
import uuid

from baremetal_case import PASSWORD, QUICK, REGION, BaremetalCase, lab, short

KINDS = ("none", "http_basic", "keystone")
# what both clients print between the fields that are nmid's own
HIDDEN = r"\*{6}"


class Clients(BaremetalCase):
    def start_as(self, kind, nodes, **settings):
        nmid = self.serve_as(kind, nodes, **settings)
        if kind == "keystone":
            self.catalogued(nmid.url)
        return nmid

    # -- baremetal

    def test_inject(self):
        server = str(uuid.uuid4())
        for kind in KINDS:
            with self.subTest(kind):
                nmid = self.start_as(kind, [self.node(f"{kind}-1", instance_uuid=server),
                                            self.node(f"{kind}-2")])
                self.inject(nmid, "alice", f"{kind}-1")
                self.inject(nmid, "alice", lab.node_uuid(f"{kind}-2"))
                self.assertEqual([a["outcome"] for name in (1, 2)
                                  for a in self.actions(nmid, f"{kind}-{name}")], ["delivered"] * 2)
                self.reads(nmid, kind, server)
                nmid.stop()

    def reads(self, nmid, kind, server):
        def read(*words, **options):
            return self.client(nmid, "alice", "node", *words, **options)

        def rows(*words):
            return json.loads(read(*words, "-f", "json"))

        first, second = f"{kind}-1", f"{kind}-2"
        read("list", says=f"{first}(.|\n)*{second}")
        self.assertEqual([row["Name"] for row in rows("list")], [first, second])
        self.assertEqual([row["Instance UUID"] for row in rows("list")], [server, None])
        fields = ("uuid", "name", "instance_uuid", "provision_state")
        self.assertEqual(rows("list", "--fields", *fields),
                         [{"UUID": lab.node_uuid(first), "Name": first, "Instance UUID": server,
                           "Provisioning State": "active"},
                          {"UUID": lab.node_uuid(second), "Name": second, "Instance UUID": None,
                           "Provisioning State": "active"}])
        long = read("list", "--long", says=HIDDEN)
        self.assertNotIn('"secret"', long)
        one = rows("list", "--limit", "1")
        self.assertEqual(len(one), 1)
        rest = rows("list", "--marker", one[0]["UUID"])
        self.assertEqual({row["Name"] for row in one + rest}, {first, second})
        self.assertEqual(len(rest), 1)
        self.assertEqual(len(rows("list", "--limit", "0")), 2)
        shown = rows("show", first)
        self.assertEqual((shown["uuid"], shown["name"], shown["instance_uuid"], shown["driver"],
                          shown["provision_state"], shown["maintenance"]),
                         (lab.node_uuid(first), first, server, "ipmi", "active", False))
        self.assertEqual(shown["driver_info"]["ipmi_password"], "******")
        self.assertEqual(rows("show", lab.node_uuid(second))["name"], second)
        self.assertEqual(rows("show", "--instance", server)["name"], first)
        self.assertEqual(rows("show", first, "--fields", "name", "driver"),
                         {"name": first, "driver": "ipmi"})
        self.assertIn({"Interface": "management", "Result": True, "Reason": ""},
                      [{**row, "Reason": row["Reason"] or ""} for row in rows("validate", first)])

    def test_versions(self):
        nmid = self.start_as("none", [self.node(f"n{i}") for i in range(4)], hold_off_s=0)
        for i, version in enumerate(("1.29", "1.46", "1.78", "latest")):
            self.client(nmid, "anybody", "--os-baremetal-api-version", version, "node", "inject",
                        "nmi", f"n{i}", nmis=1)
        self.client(nmid, "anybody", "--os-baremetal-api-version", "1.28", "node", "inject", "nmi",
                    "n0", rc=1, says=r"^Resource could not be found. \(HTTP 404\)\n$")

    def test_who_may(self):
        for kind in KINDS[1:]:
            with self.subTest(kind):
                mine, others = f"{kind}-1", f"{kind}-2"
                nmid = self.start_as(kind, [self.node(mine), self.node(others, "other")])
                self.inject(nmid, "alice", others, rc=1,
                            says=rf"^Node {others} could not be found. \(HTTP 404\)\n$")
                self.inject(nmid, "alice", lab.node_uuid(others), rc=1, says=r"could not be found")
                self.inject(nmid, "rita", mine, rc=1, says=r"^Access was denied to the following "
                            r"resource: baremetal:node:inject_nmi \(HTTP 403\)")
                self.client(nmid, "rita", "node", "show", mine, says=mine)
                self.client(nmid, "bob", "node", "show", mine, rc=1,
                            says=rf"^Node {mine} could not be found. \(HTTP 404\)\n$")
                listed = self.client(nmid, "bob", "node", "list", says=others)
                self.assertNotIn(mine, listed)
                self.inject(nmid, "anna", others)
                nmid.stop()

    def test_wrong_credentials(self):
        nmid = self.start_as("http_basic", [self.node("n1")])
        options, env = self.login(nmid, "alice")
        for words, password in ((options, "wrong"), (options[:-1] + ["nobody"], PASSWORD)):
            done = self.run_client([*words, "node", "inject", "nmi", "n1"],
                                   {**env, "OS_PASSWORD": password})
            self.row("http_basic, wrong", "baremetal node inject nmi n1",
                     f"{done.returncode} {short(done.stderr)}", self.nmis())
            self.assertEqual((done.returncode, self.nmis()), (1, 0), done.stderr)
            self.assertRegex(done.stderr, r"HTTP 401|Unauthorized|Authorization")
            self.check_text(done.stderr)
        nmid.stop()
        nmid = self.start_as("keystone", [self.node("n2")])
        token = {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": nmid.url}
        call = ("node", "inject", "nmi", "n2")
        self.client(nmid, "garbage", *call, rc=1, env={**token, "OS_TOKEN": "garbage"},
                    says=r"\(HTTP 401\)")
        good = self.token("alice")
        self.client(nmid, "alice, a token", *call, nmis=1, env={**token, "OS_TOKEN": good})
        self.client(nmid, "vera, a role that counts for nothing", "node", "inject", "nmi", "n2",
                    rc=1, env={**token, "OS_TOKEN": self.token("vera")},
                    says=r"^Access was denied to the following resource.*\(HTTP 403\)")

    def test_errors(self):
        """What a person reads. Nothing is repeated: each is one request."""
        broken = {"power-off": ("power", "off"), "refuses": ("completion", "d5"),
                  "password": ("password", "another"), "silent": ("blackhole", "on"),
                  "vague": ("lose_response", "control:9")}
        nodes = [self.node(name) for name in broken]
        nodes += [self.node("locked", locked=True), self.node("stopped", status="SHUTOFF"),
                  self.node("held"), {"uuid": lab.node_uuid("bare"), "name": "bare",
                                      "driver": "noop",
                                      "project_id": self.cloud.projects["demo"]}]
        for name, (key, value) in broken.items():
            self.sim.set(self.made[name], key, value)
        self.sim.set(self.made["vague"], "sel", "off")
        nmid = self.start_as("http_basic", nodes, hold_off_s=300, ipmi=QUICK)
        cutter = self.cutter(nmid, ["pass"])
        for name, says, status in (
                ("absent", r"^Node absent could not be found. \(HTTP 404\)\n$", 404),
                ("bad name!", r"^Expected UUID or name for node_ident: bad name! \(HTTP 400\)\n$",
                 400),
                ("bare", r"^Driver noop does not support inject_nmi \(disabled or not "
                         r"implemented\). \(HTTP 400\)\n$", 400),
                ("locked", r"(?i)locked.*\(HTTP 400\)", 400),
                ("stopped", r"(?i)shutoff.*\(HTTP 400\)", 400),
                ("power-off", r"(?i)power.*\(HTTP 400\)", 400),
                ("refuses", r"(?i)D5.*\(HTTP 500\)", 500),
                ("password", r"(?i)password.*\(HTTP 500\)", 500),
                ("silent", r"(?i)answer.*\(HTTP 500\)", 500),
                ("vague", r"(?i)unknown.*\(HTTP 500\)", 500)):
            with self.subTest(name):
                seen = len(cutter.rows)
                self.inject(nmid, "alice", name, rc=1, says=says, url=cutter.url,
                            nmis=int(name == "vague"))
                self.assertEqual([row[3] for row in cutter.rows[seen:] if row[0] == "PUT"],
                                 [status])
        self.inject(nmid, "alice", "held", url=cutter.url)
        # another caller, whom the rule of repeats does not know
        self.inject(nmid, "anna", "held", rc=1, url=cutter.url,
                    says=r"(?s)was delivered.*allowed again.*\(HTTP 400\)")
        self.inject(nmid, "anna", "vague", rc=1, url=cutter.url,
                    says=r"(?s)may have been delivered.*\(HTTP 400\)")

    def test_like_ironic(self):
        """The same words to a real Ironic and to nmid: the same lines come back."""
        ironic = self.cloud.ironic("none")
        names, server = ("a1", "b2", "c3"), str(uuid.uuid4())
        for name in names:
            ironic.node_create(lab.node_uuid(name), name)
            ironic.node_force(name, provision_state="active")
        ironic.node_force("b2", instance_uuid=server)
        nodes = [{"uuid": lab.node_uuid(name), "name": name, "driver": "noop",
                  **({"instance_uuid": server} if name == "b2" else {})} for name in names]
        nmid = self.start_as("none", nodes)
        for words in ("list", "list --fields uuid name instance_uuid provision_state",
                      "list --limit 2 --sort name:asc", "list --limit 0 --sort name:desc",
                      f"list --marker {lab.node_uuid('a1')} --sort name:asc",
                      "list --associated --fields name", "list --unassociated --sort name",
                      "list --maintenance", "list --no-maintenance --sort name",
                      "list --provision-state active --sort name --fields name",
                      "list --provision-state enroll", "list --marker nope",
                      f"list --marker {uuid.uuid4()}", "list --sort bogus",
                      "list --owner nobody", "list --driver nothing",
                      "show a1 --fields uuid name instance_uuid provision_state",
                      f"show {lab.node_uuid('b2')} --fields uuid name instance_uuid",
                      f"show --instance {server} --fields uuid name",
                      f"show --instance {uuid.uuid4()}", "show nope", f"show {uuid.uuid4()}",
                      "validate nope", "inject nmi nope", f"inject nmi {uuid.uuid4()}",
                      "inject nmi a1"):
            with self.subTest(words):
                self.same(ironic.url, nmid, ["node", *words.split()])
        for words in (["show", "bad name!"], ["inject", "nmi", "bad name!"],
                      ["validate", "bad name!"]):
            with self.subTest(words):
                self.same(ironic.url, nmid, ["node", *words])
        for version, words in (("1.28", "inject nmi a1"), ("1.1", "list"), ("1.4", "show a1"),
                               ("1.78", "list --fields name")):
            with self.subTest(words):
                self.same(ironic.url, nmid, ["--os-baremetal-api-version", version, "node",
                                             *words.split()])

    def same(self, ironic_url, nmid, words):
        outcomes = []
        for url in (ironic_url, nmid.url):
            done = self.run_client([*self.login(nmid, "", url)[0], *words], {})
            text = done.stdout + done.stderr
            outcomes.append((done.returncode, re.sub("Driver (noop|fake-hardware)", "Driver D",
                                                     self.plain(text))))
        if outcomes[0] != outcomes[1] and "--marker" not in words:
            # Lists without --sort have no order to rely on
            outcomes = [(rc, sorted(text.splitlines())) for rc, text in outcomes]
        self.row("a real Ironic, and nmid", f"baremetal {' '.join(words)}",
                 f"{outcomes[0][0]} {short(outcomes[0][1], 200)}", self.nmis())
        self.assertEqual(outcomes[1], outcomes[0])

    # -- openstacksdk

    def sdk(self, nmid, who, url=None):
        import openstack
        url = url or nmid.url
        keys = {"load_envvars": False, "load_yaml_config": False}
        if nmid.kind == "none":
            return openstack.connect(auth_type="none", auth={"endpoint": url}, **keys)
        if nmid.kind == "http_basic":
            # Here keystoneauth asks for no versions, of any Ironic: it takes the endpoint as it is.
            return openstack.connect(auth_type="http_basic", auth={
                "endpoint": url + "/v1", "username": who, "password": PASSWORD.format(who)}, **keys)
        plugin = self.cloud.plugin(who, "demo")
        return openstack.connection.Connection(session=self.cloud.session(plugin),
                                               region_name=REGION)

    def sdk_inject(self, conn, node):
        """openstacksdk of Debian 12 has no method of its own for it."""
        from openstack import exceptions
        answer = conn.baremetal.put(f"/nodes/{node}/management/inject_nmi", json={},
                                    microversion="1.29")
        exceptions.raise_from_response(answer)
        return answer.status_code

    def ask_sdk(self, nmid, who, call, what, nmis=0):
        """A row; -> what came, or the exception."""
        before = self.nmis()
        try:
            result = what()
            text = str(result)
        except Exception as error:  # whatever the client raises is its answer
            result, text = error, f"{type(error).__name__}: {error}"
        self.row(f"{nmid.kind}, {who}, openstacksdk", call, short(text, 240), self.nmis() - before)
        self.assertEqual(self.nmis() - before, nmis, text)
        return result

    def test_sdk(self):
        from openstack import exceptions
        for kind in KINDS:
            with self.subTest(kind):
                server = str(uuid.uuid4())
                names = [f"{kind}-{i}" for i in range(5)]
                nmid = self.start_as(kind, [
                    *(self.node(name, **({"instance_uuid": server} if i == 0 else {}))
                      for i, name in enumerate(names)), self.node(f"{kind}-other", "other")])
                conn = self.sdk(nmid, "alice")
                visible = set(names) | ({f"{kind}-other"} if kind == "none" else set())

                def ask(call, what, **options):
                    return self.ask_sdk(nmid, "alice", call, what, **options)

                self.assertEqual(set(ask("nodes()", lambda: [
                    node.name for node in conn.baremetal.nodes()])), visible)
                self.assertEqual(set(ask("nodes(limit=2)", lambda: [  # all pages
                    node.name for node in conn.baremetal.nodes(limit=2)])), visible)
                listed = ask("nodes(details=True)", lambda: list(
                    conn.baremetal.nodes(details=True)))
                self.assertEqual({node.name for node in listed}, visible)
                self.assertEqual({node.driver_info["ipmi_password"] for node in listed},
                                 {"******"})
                self.assertEqual(ask("nodes(instance_id=)", lambda: [
                    (node.name, node.provision_state) for node in conn.baremetal.nodes(
                        instance_id=server, fields=["name", "provision_state"])]),
                    [(names[0], "active")])
                self.assertEqual(ask("get_node(uuid)", lambda: conn.baremetal.get_node(
                    lab.node_uuid(names[0])).instance_id), server)
                self.assertEqual(ask("find_node(name)", lambda: conn.baremetal.find_node(
                    names[1]).id), lab.node_uuid(names[1]))
                self.assertIsNone(ask("find_node(absent)",
                                      lambda: conn.baremetal.find_node("absent")))
                error = ask("get_node(absent)", lambda: conn.baremetal.get_node("absent"))
                self.assertIsInstance(error, exceptions.ResourceNotFound)
                self.assertIn("Node absent could not be found.", str(error))
                ask("validate_node", lambda: conn.baremetal.validate_node(
                    names[0], required=("management",)))
                self.assertEqual(ask("PUT inject_nmi", lambda: self.sdk_inject(conn, names[1]),
                                     nmis=1), 204)
                error = ask("PUT inject_nmi, absent", lambda: self.sdk_inject(conn, "absent"))
                self.assertIsInstance(error, exceptions.ResourceNotFound)
                self.assertIn("could not be found", str(error))
                self.sim.set(self.made[names[2]], "completion", "d5")
                error = ask("PUT inject_nmi, D5", lambda: self.sdk_inject(conn, names[2]))
                self.assertIsInstance(error, exceptions.HttpException)
                self.assertRegex(str(error), "(?i)D5")
                self.check_text(str(error))
                self.sdk_repeats(nmid, names[3:5])
                nmid.stop()

    def sdk_repeats(self, nmid, names):
        """It repeats once by itself after a connection that was dropped."""
        if nmid.kind == "keystone":
            return
        for name, plan in zip(names, (["cut", "pass"], ["keep", "pass"])):
            cutter = self.cutter(nmid, plan)
            conn = self.sdk(nmid, "alice", cutter.url)
            answer = self.ask_sdk(nmid, "alice", f"PUT inject_nmi, {' '.join(plan)}",
                                  lambda: self.sdk_inject(conn, name), nmis=1)
            self.assertEqual((answer, len(cutter.injections())), (204, 2))


    def test_endpoints(self):
        """Each form of the endpoint."""
        forms = ("", "/", "/v1", "/v1/")
        nmid = self.start_as("none", [self.node(f"{kind}-{i}") for kind in ("cli", "sdk")
                                      for i in range(len(forms))])
        for i, form in enumerate(forms):
            self.assertEqual(self.ask_sdk(
                nmid, "anybody", f"PUT inject_nmi, endpoint {form}", lambda: self.sdk_inject(
                    self.sdk(nmid, "anybody", nmid.url + form), f"sdk-{i}"), nmis=1), 204)
            self.inject(nmid, "anybody", f"cli-{i}", url=nmid.url + form)


class Repeats(BaremetalCase):
    """baremetal sends an injection up to six times, 2 s apart, after a 409, a 503, and a connection
    that was refused or dropped. hold_off_s = 0 where nothing is said: nothing but the rule of
    repeats stands between them and a second NMI."""

    def one(self, nmid, name, plan, rc, says, failures):
        cutter = self.cutter(nmid, plan)
        options, env = self.login(nmid, "alice", cutter.url)
        began = time.monotonic()
        done = self.run_client([*options, "node", "inject", "nmi", name], env)
        text = done.stdout + done.stderr
        answers = ", ".join(f"{what}:{status or '-'}" for what, status in cutter.injections())
        outcomes = [action["outcome"] for action in self.actions(nmid, name)]
        self.row(f"{nmid.kind}, {answers}", f"baremetal node inject nmi {name}",
                 f"{done.returncode} {short(text, 200)}, {time.monotonic() - began:.0f} s; "
                 f"nmid: {' '.join(outcomes)}".strip(), self.counts(name)[0])
        try:
            self.assertEqual(done.returncode, rc, text)
            self.assertRegex(self.plain(text), says)
            self.check_text(text)
        except AssertionError as error:
            failures.append(f"{name}: {plan}: {error}")
        return cutter

    def together(self, nmid, cases):
        """Each on a node of its own, at the same time: they wait most of it."""
        failures, cutters = [], {}

        def work(name, plan, rc, says):
            try:
                cutters[name] = self.one(nmid, name, plan, rc, says, failures)
            except Exception as error:  # pylint: disable=broad-except
                failures.append(f"{name}: {plan}: {error!r}")

        threads = [threading.Thread(target=work, args=(name, plan.split(), rc, says))
                   for name, (plan, rc, says) in cases.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        return {name: len(cutter.injections()) for name, cutter in cutters.items()}

    LOST = r"(?i)(unable to establish connection|connection (aborted|refused))"

    def test_dropped(self):
        cases = {"cut-1": ("cut pass", 0, "^$"), "cut-3": ("cut cut cut pass", 0, "^$"),
                 "keep-1": ("keep pass", 0, "^$"), "half-1": ("half pass", 0, "^$"),
                 "refuse-2": ("refuse refuse pass", 0, "^$"),
                 "mixed": ("cut keep half refuse 503 pass", 0, "^$"),
                 "cut-all": ("cut", 1, self.LOST), "keep-all": ("keep", 1, self.LOST),
                 "slow-cut": ("cut pass", 0, "^$"), "slow-mixed": ("keep cut cut pass", 0, "^$")}
        nmid = self.serve_as("none", [self.node(name) for name in cases])
        for name in ("slow-cut", "slow-mixed"):  # the repeat comes while it is in flight
            self.sim.set(self.made[name], "control_delay_ms", "5000")
        tries = self.together(nmid, cases)
        self.assertEqual({name: self.counts(name) for name in cases},
                         {name: (1, 1) for name in cases})
        self.assertEqual((tries["cut-3"], tries["cut-all"], tries["keep-all"], tries["mixed"]),
                         (4, 6, 6, 6))

    def test_gateway(self):
        """A proxy's own answers, before and after nmid had the request."""
        gateway = r"\(HTTP 50[24]\)"
        cases = {"409": ("409 409 pass", 0, "^$"), "503": ("503 pass", 0, "^$"),
                 "late-409": ("late-409 late-409 pass", 0, "^$"),
                 "late-503": ("late-503 late-503 pass", 0, "^$"),
                 "late-502": ("late-502 pass", 1, gateway), "504": ("504 pass", 1, gateway),
                 "late-504": ("late-504 pass", 1, gateway),
                 "late-all": ("late-503", 1, r"\(HTTP 503\)")}
        nmid = self.serve_as("http_basic", [self.node(name) for name in cases])
        tries = self.together(nmid, cases)
        self.assertEqual({name: self.counts(name) for name in cases},
                         {name: (0, 0) if name == "504" else (1, 1) for name in cases})
        self.assertEqual((tries["late-502"], tries["late-504"], tries["late-all"]), (1, 1, 6))

    def test_not_delivered(self):
        """A repeat is told what came of the first: it does not try again."""
        cases = {"refused": ("cut cut pass", 1, r"(?i)D5.*\(HTTP 500\)"),
                 "refused-kept": ("keep pass", 1, r"(?i)D5.*\(HTTP 500\)"),
                 "unknown": ("cut cut pass", 1, r"(?i)unknown(.|\n)*\(HTTP 500\)"),
                 "unknown-kept": ("keep pass", 1, r"(?i)unknown(.|\n)*\(HTTP 500\)"),
                 "unknown-late": ("late-503 cut pass", 1, r"(?i)unknown(.|\n)*\(HTTP 500\)")}
        nmid = self.serve_as("none", [self.node(name) for name in cases], ipmi=QUICK)
        for name in cases:
            if name.startswith("refused"):
                self.sim.set(self.made[name], "completion", "d5")
            else:
                self.sim.set(self.made[name], "lose_response", "control:9")
                self.sim.set(self.made[name], "sel", "off")
        self.together(nmid, cases)
        self.assertEqual({name: self.counts(name) for name in cases},
                         {name: (int(name.startswith("unknown")), 1) for name in cases})

    def test_crash(self):
        """nmid is killed with the NMI sent and its answer not there; the client repeats it to the
        next one, which knows of it."""
        nmid = self.serve_as("none", [self.node("n1")])
        self.sim.set(self.made["n1"], "control_delay_ms", "20000")
        cutter = self.cutter(nmid, ["pass"])
        done = []
        thread = threading.Thread(target=lambda: done.append(self.run_client(
            [*self.login(nmid, "", cutter.url)[0], "node", "inject", "nmi", "n1"], {})))
        thread.start()
        lab.wait_for(lambda: self.counts("n1")[0] == 1, 20, "the NMI")
        nmid.crash()
        nmid.start()
        cutter.target = nmid.port
        thread.join()
        text = done[0].stdout + done[0].stderr
        self.row("none, nmid is killed and started", "baremetal node inject nmi n1",
                 f"{done[0].returncode} {short(text, 300)}", self.counts("n1")[0])
        self.assertEqual((done[0].returncode, self.counts("n1")), (1, (1, 1)), text)
        self.assertRegex(text, r"(?i)unknown(.|\n)*\(HTTP 500\)")
        self.assertGreater(len(cutter.injections()), 1)

    def test_conflict(self):
        """Another caller's is under way: 409, which the client repeats until that has ended; then
        the hold-off stands in its way."""
        nmid = self.serve_as("http_basic", [self.node("n1")], hold_off_s=300)
        self.sim.set(self.made["n1"], "control_delay_ms", "5000")
        first = threading.Thread(target=lambda: self.run_client(
            [*self.login(nmid, "alice")[0], "node", "inject", "nmi", "n1"],
            self.login(nmid, "alice")[1]))
        first.start()
        lab.wait_for(lambda: self.counts("n1")[0] == 1, 20, "the NMI")
        cutter = self.cutter(nmid, ["pass"])
        self.inject(nmid, "anna", "n1", rc=1, url=cutter.url,
                    says=r"(?s)was delivered.*allowed again.*\(HTTP 400\)")
        first.join()
        statuses = [status for _, status in cutter.injections()]
        self.assertGreater(statuses.count(409), 0, statuses)
        self.assertEqual((set(statuses[:-1]), statuses[-1]), ({409}, 400))
        self.assertEqual(self.counts("n1"), (1, 1))

    def test_keystone_down(self):
        """Nobody can be known: that is said once, not repeated, and nothing was sent."""
        nmid = self.serve_as("keystone", [self.node("n1")])
        cutter = self.cutter(nmid, ["pass"])
        env = {"OS_AUTH_TYPE": "admin_token", "OS_ENDPOINT": cutter.url,
               "OS_TOKEN": self.token("alice")}
        self.cloud.keystone.stop()
        try:
            self.client(nmid, "alice, Keystone is down", "node", "inject", "nmi", "n1", rc=1,
                        env=env, says=r"^Keystone cannot be asked.*\(HTTP 500\)")
        finally:
            self.cloud.keystone.start().wait_ready()
        self.assertEqual(len(cutter.injections()), 1)
        self.client(nmid, "alice, Keystone is back", "node", "inject", "nmi", "n1", nmis=1, env=env)


if __name__ == "__main__":
    lab.main()
