# SPDX-License-Identifier: GPL-3.0-or-later
"""The unmodified compute clients with nmid in Nova's place: `openstack server`, `nova` and
novaclient, openstacksdk; by each way of logging in; what they print; and what their repeats do."""
import json
import subprocess
import uuid

from baremetal_case import PASSWORD, QUICK, REGION, BaremetalCase, lab, short
from cloud import PEOPLE
from service import environment

KINDS = ("none", "http_basic", "keystone")
DUMP = ("--os-compute-api-version", "2.17", "server", "dump", "create")
CRASH = {"trigger_crash_dump": None}
# What an endpoint in the catalogue looks like, behind nmid's URL.
FORMS = ("/v2.1", "/v2.1/", "/v2.1/%(project_id)s")


class NovaCase(BaremetalCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        api = cls.cloud.api()
        cls.compute = api.services.create("nova", "compute").id
        # `openstack server list` and `show` end at once where the catalogue has no image service;
        # that there is none at its URL is nothing to them.
        image = api.services.create("glance", "image").id
        api.endpoints.create(image, cls.cloud.keystone.url.replace("/v3", "/v2"), "public", REGION)

    def catalogued(self, url):
        """The compute service is at this URL; any entry before is gone."""
        api = self.cloud.api()
        for entry in api.endpoints.list(service=self.compute):
            api.endpoints.delete(entry)
        api.endpoints.create(self.compute, url, "public", REGION)

    def start_as(self, kind, nodes, **settings):
        nmid = self.serve_as(kind, nodes, **settings)
        if kind == "keystone":
            self.catalogued(nmid.url + "/v2.1")
        return nmid

    # -- programs

    def program(self, nmid, who, name, *words, rc=0, nmis=0, says="", url=None):
        """One command of the unmodified program: a row; -> what it printed."""
        before = self.nmis()
        options, variables = self.login(nmid, who, (url or nmid.url) + "/v2.1")
        done = subprocess.run([f"/usr/bin/{name}", *options, *words], stdin=subprocess.DEVNULL,
                              env=environment(HOME=str(self.home), **variables), timeout=170,
                              capture_output=True, text=True, check=False)
        count, text = self.nmis() - before, done.stdout + done.stderr
        self.row(f"{nmid.kind}, {who}", f"{name} {' '.join(words)}",
                 f"{done.returncode} {short(text, 300)}".strip(), count)
        self.assertEqual((done.returncode, count), (rc, nmis), text)
        if says:
            self.assertRegex(text, says)
        self.assertNotIn("Traceback", text)
        for secret in self.secrets:
            self.assertNotIn(secret, text)
        return done.stdout

    def openstack(self, nmid, who, *words, **options):
        return self.program(nmid, who, "openstack", *words, **options)

    def nova(self, nmid, who, *words, **options):
        return self.program(nmid, who, "nova", *words, **options)

    # -- libraries

    def plugin(self, nmid, who, url=None):
        from keystoneauth1 import http_basic, noauth
        endpoint = (url or nmid.url) + "/v2.1"
        if nmid.kind == "none":
            return noauth.NoAuth(endpoint=endpoint)
        if nmid.kind == "http_basic":
            return http_basic.HTTPBasicAuth(endpoint=endpoint, username=who,
                                            password=PASSWORD.format(who))
        project = PEOPLE.get(who, [("admin", "admin")])[0][0]
        return self.cloud.plugin(who, project)

    def sdk(self, nmid, who, url=None):
        import openstack
        session = self.cloud.session(self.plugin(nmid, who, url))
        conn = openstack.connection.Connection(session=session, region_name=REGION,
                                               compute_api_version="2.1",
                                               compute_endpoint_override=url and url + "/v2.1")
        self.addCleanup(conn.close)
        return conn

    def novaclient(self, nmid, who, url=None):
        from novaclient import client
        return client.Client("2.17", session=self.cloud.session(self.plugin(nmid, who, url)),
                             region_name=REGION, endpoint_override=url and url + "/v2.1")

    def library(self, nmid, who, what, call, nmis=0):
        """One call of a library: a row; -> what it returned, or the text of its exception."""
        before = self.nmis()
        try:
            result = call()
        except Exception as error:  # a client's own kinds
            result = f"{type(error).__name__}: {error}"
        count = self.nmis() - before
        self.row(f"{nmid.kind}, {who}", what, short(str(result), 300), count)
        if nmis is not None:
            self.assertEqual(count, nmis, result)
        return result


class Clients(NovaCase):
    time_limit = 400

    # -- openstack

    def test_openstack(self):
        server = str(uuid.uuid4())
        for kind in KINDS:
            with self.subTest(kind):
                names = [f"{kind}-{i}" for i in range(1, 5)]
                nmid = self.start_as(kind, [
                    self.node(names[0], instance_uuid=server), self.node(names[1]),
                    self.node(names[2], status="SHUTOFF", locked=True),
                    self.node(names[3], "other")])
                seen = 4 if kind == "none" else 3
                self.lists(nmid, names[:seen])
                self.shows(nmid, names, server)
                self.dumps(nmid, names, server)
                nmid.stop()

    def listed(self, nmid, who, *words, version="2.1"):
        rows = json.loads(self.openstack(nmid, who, "--os-compute-api-version", version, "server",
                                         "list", *words, "-f", "json"))
        return [row["Name"] for row in rows]

    def lists(self, nmid, names):
        self.openstack(nmid, "alice", "server", "list", says=rf"\b{names[0]}\b(.|\n)*SHUTOFF")
        self.assertEqual(self.listed(nmid, "alice", "--long", version="2.90"), names)
        self.assertEqual(self.listed(nmid, "alice", "--name", f"^{names[1]}$"), [names[1]])
        if nmid.kind != "keystone":
            return
        for version in ("2.1", "2.17", "2.47"):
            self.assertEqual(self.listed(nmid, "alice", "--long", version=version), names)
        self.assertEqual(self.listed(nmid, "alice", "--name", "absent"), [])
        self.assertEqual(self.listed(nmid, "alice", "--status", "SHUTOFF"), [names[2]])
        self.assertEqual(self.listed(nmid, "alice", "--locked", version="2.73"), [names[2]])
        self.assertEqual(self.listed(nmid, "alice", "--limit", "1"), names[:1])
        self.assertEqual(self.listed(nmid, "alice", "--limit", "-1"), names)
        self.assertEqual(self.listed(nmid, "alice", "--marker", names[0]), names[1:])
        # what would otherwise list more than was asked for
        self.openstack(nmid, "alice", "server", "list", "--ip", "10.0.0.1", rc=1,
                       says=r"does not know the ip of a server.*\(HTTP 400\)")
        self.openstack(nmid, "alice", "server", "list", "--all-projects", rc=1,
                       says=r"Policy doesn't allow os_compute_api:servers:detail:get_all_tenants")
        self.assertEqual(len(self.listed(nmid, "anna", "--all-projects")), 4)
        self.assertEqual(len(self.listed(nmid, "bob")), 1)

    def shows(self, nmid, names, server):
        for ident, version in ((names[0], "2.1"), (lab.node_uuid(names[0]), "2.47"),
                               (server, "2.90")):
            shown = json.loads(self.openstack(nmid, "alice", "--os-compute-api-version", version,
                                              "server", "show", ident, "-f", "json"))
            self.assertEqual((shown["id"], shown["name"], shown["status"]),
                             (server, names[0], "ACTIVE"))
        self.assertEqual(shown["locked"], False)
        self.openstack(nmid, "alice", "server", "show", "absent", rc=1,
                       says="^No server with a name or ID of 'absent' exists.\n$")
        if nmid.kind != "none":
            self.openstack(nmid, "alice", "server", "show", names[3], rc=1,
                           says=f"^No server with a name or ID of '{names[3]}' exists.\n$")

    def dumps(self, nmid, names, server):
        for ident in (names[0], lab.node_uuid(names[0]), server):
            self.openstack(nmid, "alice", *DUMP, ident, nmis=1)
        self.openstack(nmid, "alice", *DUMP, *names[:2], nmis=2)
        if nmid.kind == "none":
            self.openstack(nmid, "alice", *DUMP, names[2], rc=1, says="vm_state.*HTTP 409")
            return
        self.openstack(nmid, "alice", *DUMP, names[2], rc=1, says=r"is locked \(HTTP 409\)")
        self.openstack(nmid, "alice", *DUMP, names[3], rc=1, says="No server with a name or ID")
        self.openstack(nmid, "alice", *DUMP, lab.node_uuid(names[3]), rc=1, says="No server with")
        self.openstack(nmid, "rita", *DUMP, names[0], rc=1,
                       says=r"Policy doesn't allow os_compute_api:servers:trigger_crash_dump to be "
                            r"performed. \(HTTP 403\)")

    def test_older_version(self):
        """Before 2.17 the client itself knows no such action."""
        nmid = self.start_as("none", [self.node("n1")])
        self.openstack(nmid, "anybody", "server", "dump", "create", "n1", rc=1,
                       says="2.1.*not supported")
        self.openstack(nmid, "anybody", "--os-compute-api-version", "2.90", "server", "dump",
                       "create", "n1", nmis=1)

    def test_errors(self):
        """What a person reads of a BMC's troubles."""
        broken = {"power-off": ("power", "off"), "refuses": ("completion", "d5"),
                  "silent": ("blackhole", "on"), "vague": ("lose_response", "control:9")}
        nodes = [self.node(name) for name in broken] + [self.node("held")]
        for name, (key, value) in broken.items():
            self.sim.set(self.made[name], key, value)
        self.sim.set(self.made["vague"], "sel", "off")
        nmid = self.start_as("none", nodes, ipmi=QUICK, hold_off_s=300)
        self.openstack(nmid, "anybody", *DUMP, "power-off", rc=1, says=r"off.*\(HTTP 409\)")
        self.openstack(nmid, "anybody", *DUMP, "refuses", rc=1, says=r"\(HTTP 4\d\d\)")
        self.openstack(nmid, "anybody", *DUMP, "silent", rc=1, says=r"\(HTTP 400\)")
        self.openstack(nmid, "anybody", *DUMP, "vague", rc=1, nmis=1,
                       says=r"It is unknown whether(.|\n)*Do not send it again")
        self.openstack(nmid, "anybody", *DUMP, "held", nmis=1)
        self.openstack(nmid, "anybody", *DUMP, "held", rc=1, says=r"ago \(action req-.*HTTP 409")

    # -- nova

    def test_nova(self):
        """The program has no way without Keystone. Each form of the endpoint."""
        server = str(uuid.uuid4())
        nmid = self.serve_as("keystone", [self.node("n1", instance_uuid=server), self.node("n2"),
                                          self.node("n3", "other")])
        for form in FORMS:
            with self.subTest(form):
                self.catalogued(nmid.url + form)
                self.assertEqual([s.name for s in self.library(
                    nmid, "alice", f"sdk servers, endpoint {form}",
                    lambda: list(self.sdk(nmid, "alice").compute.servers(limit=1)))], ["n1", "n2"])
                self.openstack(nmid, "alice", "server", "list", says=server)
                self.openstack(nmid, "alice", *DUMP, "n2", nmis=1)
                self.nova(nmid, "alice", "list", says=rf"{server} \| n1 (.|\n)*n2")
                self.nova(nmid, "alice", "show", "n1", says=server)
                self.nova(nmid, "alice", "show", server, says="n1")
                self.nova(nmid, "alice", "trigger-crash-dump", "n1", nmis=1)
                self.nova(nmid, "alice", "trigger-crash-dump", server, nmis=1)
                self.nova(nmid, "alice", "trigger-crash-dump", "n3", rc=1,
                          says="No server with a name or ID of 'n3' exists")
                self.nova(nmid, "anna", "list", "--all-tenants", says="n3")
        self.nova(nmid, "alice", "version-list", says="2.93")

    # -- libraries

    def test_sdk(self):
        for kind in KINDS:
            with self.subTest(kind):
                server = str(uuid.uuid4())
                nmid = self.start_as(kind, [self.node(f"{kind}-1", instance_uuid=server),
                                            *(self.node(f"{kind}-{i}") for i in range(2, 5))])
                compute = self.sdk(nmid, "alice").compute

                def ask(what, call, nmis=0):
                    return self.library(nmid, "alice", f"sdk {what}", call, nmis)

                def post(ident, body, **keys):
                    answer = compute.post(f"/servers/{ident}/action", json=body, **keys)
                    return f"{answer.status_code} {answer.text}"

                found = ask("servers()", lambda: list(compute.servers()))
                self.assertEqual([s.name for s in found], [f"{kind}-{i}" for i in range(1, 5)])
                for details in (False, True):
                    found = ask(f"servers(details={details}, limit=3)",
                                lambda: list(compute.servers(details=details, limit=3)))
                    self.assertEqual(len(found), 4)
                self.assertEqual(ask("find_server", lambda: compute.find_server(f"{kind}-1").id),
                                 server)
                self.assertEqual(ask("get_server", lambda: compute.get_server(server).name),
                                 f"{kind}-1")
                self.assertEqual(ask("post trigger_crash_dump at 2.17", lambda: post(
                    server, CRASH, microversion="2.17"), 1), "202 ")
                self.assertEqual(ask("post inject_nmi", lambda: post(
                    f"{kind}-2", {"inject_nmi": None}), 1), "202 ")
                self.assertIn("404", ask("post trigger_crash_dump at 2.1",
                                         lambda: post(server, CRASH)))
                nova = self.novaclient(nmid, "alice")
                self.assertEqual([s.name for s in ask("novaclient servers.list",
                                                      lambda: nova.servers.list(limit=-1))],
                                 [f"{kind}-{i}" for i in range(1, 5)])
                ask("novaclient find().trigger_crash_dump", lambda: nova.servers.find(
                    name=f"{kind}-3").trigger_crash_dump(), 1)
                nmid.stop()


class Repeats(NovaCase):
    """A connection that ends, an error of a gateway: how often each client asks, and that the BMC
    has executed one NMI at most. nmid's hold-off is what stands in the way of a second."""

    time_limit = 400
    # plan: what the BMC executes. What comes after the first of a request goes through.
    PLANS = {"refuse": 0, "cut": 1, "keep": 1, "half": 1, "503": 0, "409": 0, "429": 0,
             "late-503": 1, "late-504": 1, "late-409": 1}
    # openstacksdk asks once more where the connection ended without an answer.
    TWICE = {"refuse": "^202 ", "cut": "^409 .*action req-", "keep": "^409 .*was delivered",
             "half": "^409 .*was delivered"}

    def clients(self, nmid, url, name):
        """what -> a call."""
        options = [*self.login(nmid, "anybody", url + "/v2.1")[0], *DUMP]

        def program():
            done = subprocess.run(["/usr/bin/openstack", *options, name], text=True, timeout=170,
                                  env=environment(HOME=str(self.home)), check=False,
                                  stdin=subprocess.DEVNULL, capture_output=True)
            return f"{done.returncode} {done.stdout}{done.stderr}"

        def post():
            answer = self.sdk(nmid, "anybody", url).compute.post(
                f"/servers/{name}/action", json=CRASH, microversion="2.17")
            return f"{answer.status_code} {answer.text}"

        return {"openstack server dump create": program, "sdk compute.post": post,
                "novaclient trigger_crash_dump": lambda: self.novaclient(
                    nmid, "anybody", url).servers.trigger_crash_dump(name)}

    def test_repeats(self):
        for plan, nmis in self.PLANS.items():
            nodes = [self.node(f"n{plan}-{i}") for i in range(3)]
            nmid = self.serve_as("none", nodes, hold_off_s=300)
            for i, what in enumerate(self.clients(nmid, nmid.url, "")):
                with self.subTest(plan=plan, client=what):
                    self.one_repeat(nmid, plan, f"n{plan}-{i}", what, nmis)
            nmid.stop()

    def one_repeat(self, nmid, plan, name, what, nmis):
        cutter = self.cutter(nmid, [plan, "pass"])
        again = self.TWICE.get(plan) if what.startswith("sdk") else None
        call = self.clients(nmid, cutter.url, name)[what]
        answer = self.library(nmid, f"through a proxy: {plan}", what, call, None)
        if nmis:
            lab.wait_for(lambda: self.counts(name)[0], 20, "the NMI that was passed on")
        self.finished(nmid, name)
        sent = cutter.injections()
        self.row("", f"{what}, {plan}", f"it sent {sent}", self.counts(name)[0])
        self.assertEqual(len(sent), 2 if again else 1, sent)
        if again:
            self.assertRegex(answer, again)
        done = nmis or int(again is not None)
        self.assertEqual(self.counts(name), (done, done))
        # by hand, or by a script around it: the hold-off says no, and names the first
        if done:
            answer = self.request(nmid, "POST", f"/v2.1/servers/{name}/action",
                                  {"inject_nmi": None})
            self.assertEqual(answer[0], 409, answer[2])
            self.assertEqual(self.counts(name), (1, 1))

    def finished(self, nmid, name):
        lab.wait_for(lambda: all(action["state"] == "finished"
                                 for action in self.actions(nmid, name)), 20, "the action's end")


if __name__ == "__main__":
    lab.main()
