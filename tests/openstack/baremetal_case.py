# SPDX-License-Identifier: GPL-3.0-or-later
"""A test case for those who take nmid for an Ironic: nmid with each way to know its callers, the
unmodified client program, and a network between them that can be cut."""
import os
import base64
import re
import subprocess

from case import CloudCase, lab, short
from cloud import PEOPLE
from cutter import Cutter
from service import environment, run

# http_basic: user -> (role, project)
BASIC = {"alice": ("member", "demo"), "rita": ("reader", "demo"), "bob": ("member", "other"),
         "anna": ("admin", None)}
PASSWORD = "basic pass:wörd of {}"
QUICK = {"timeout_ms": 3000, "answer_ms": 500, "retransmit_ms": 200}  # ipmi = { } of tests
REGION = "nmid"  # in the catalogue, beside a real Ironic's


class BaremetalCase(CloudCase):
    time_limit = 600  # many programs, one after the other

    def setUp(self):
        super().setUp()
        self.secrets += [PASSWORD.format(user) for user in BASIC]
        self.home = self.dir / "home"
        self.home.mkdir()
        self.made = {}  # name: address of its BMC
        self.fleet(32)

    def node(self, name, project="demo", **keys):
        self.made[name] = self.sim.address(self.taken)
        return super().node(name, project, **keys)

    # -- nmid, known by its auth: "none", "http_basic", "keystone"

    def serve_as(self, kind, nodes, **settings):
        if kind == "keystone":
            nmid = self.serve(nodes, **settings)
        else:
            auth = {"strategy": "none"} if kind == "none" else self._basic()
            nmid = self.nmid(nodes, auth=auth, **settings)
            self.daemons.append(nmid)
        nmid.kind = kind
        return nmid

    def _basic(self):
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        for user in BASIC:
            run(["/usr/bin/htpasswd", "-bB", "-C", "4", path, user, PASSWORD.format(user)])
        users = [{"name": user, "roles": [role],
                  **({"project_id": self.cloud.projects[project]} if project else {})}
                 for user, (role, project) in BASIC.items()]
        return {"strategy": "http_basic", "user_file": path, "users": users}

    def catalogued(self, url):
        """The bare metal service of a region of its own is at this URL."""
        api = self.cloud.api()
        for entry in api.endpoints.list(service=self.cloud.baremetal):
            if entry.region == REGION:
                api.endpoints.delete(entry)
        api.endpoints.create(self.cloud.baremetal, url, "public", REGION)

    def cutter(self, nmid, plan):
        cutter = Cutter(nmid.port, plan)
        self.addCleanup(cutter.close)
        return cutter

    # -- the client program

    def login(self, nmid, who, url=None):
        """-> (arguments, environment) that make the client somebody. Keystone: by the catalogue,
        see catalogued()."""
        url = url or nmid.url
        if nmid.kind == "none":
            return ["--os-auth-type", "none", "--os-endpoint", url], {}
        if nmid.kind == "http_basic":
            return (["--os-auth-type", "http_basic", "--os-endpoint", url, "--os-username", who],
                    {"OS_PASSWORD": PASSWORD.format(who)})
        grants = PEOPLE.get(who, [("admin", "admin")])
        projects = [project for project, _ in grants if project != "all"][:1]
        return [], {**self.cloud.openrc(who, *projects, system=not projects),
                    "OS_REGION_NAME": REGION}

    def run_client(self, words, env):
        return subprocess.run(["/usr/bin/baremetal", *words],
                              env=environment(HOME=str(self.home), **env),
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=170,
                              check=False)

    def client(self, nmid, who, *words, rc=0, nmis=0, says="^", url=None, env=None):
        """One command of the unmodified program: a row; -> its standard output."""
        before = self.nmis()
        options, variables = self.login(nmid, who, url)
        if env is not None:
            options, variables = [], env
        done = self.run_client([*options, *words], variables)
        count, text = self.nmis() - before, done.stdout + done.stderr
        self.row(f"{nmid.kind}, {who}", f"baremetal {' '.join(words)}",
                 f"{done.returncode} {short(text, 300)}".strip(), count)
        self.assertEqual((done.returncode, count), (rc, nmis), text)
        self.assertRegex(self.plain(text), says)
        self.check_text(text, variables)
        return done.stdout

    @staticmethod
    def plain(text):
        """Without the ids of requests, which the clients append where they are told one."""
        return re.sub(r" \(Request-ID: req-[0-9a-f-]{36}\)", "", text)

    def check_text(self, text, variables=()):
        """Readable, and nothing in it that is secret."""
        for junk in ("Traceback", "faultstring", "\\u", "KeyError", "unexpected keyword"):
            self.assertNotIn(junk, text)
        for secret in (*self.secrets, *(dict(variables).get(key) or "\0" for key in
                                        ("OS_PASSWORD", "OS_TOKEN"))):
            self.assertNotIn(secret, text)

    def inject(self, nmid, who, node, **options):
        """The injection by the client; a good one is one NMI."""
        options.setdefault("nmis", int(options.get("rc", 0) == 0))
        return self.client(nmid, who, "node", "inject", "nmi", node, **options)

    def counts(self, name):
        """(NMIs executed, Chassis Controls that came) of the BMC of a node."""
        counters = self.sim.counters(self.made[name])
        return counters["nmi"], counters["control_4"]

    def actions(self, nmid, name, who="anna"):
        """nmid's own history of a node, the newest first."""
        headers = {}
        if nmid.kind == "keystone":
            headers = {"X-Auth-Token": self.token(who)}
        elif nmid.kind == "http_basic":
            pair = f"{who}:{PASSWORD.format(who)}".encode()
            headers = {"Authorization": "Basic " + base64.b64encode(pair).decode()}
        return self.request(nmid, "GET", f"/agent/v1/actions?node={name}", None,
                            headers)[2]["actions"]
