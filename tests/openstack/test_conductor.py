# SPDX-License-Identifier: GPL-3.0-or-later
"""A real ironic-conductor with ironic_nmid: baremetal -> ironic-api -> ironic-conductor -> nmid -> BMC."""
import json
import shutil
import subprocess
import threading
import time

import conductor
from case import CloudCase, lab, short
from cutter import Cutter
from service import Port, environment

class ConductorCase(CloudCase):
    time_limit = 400
    more = {"ipmi": {"min_command_interval": 1, "command_retry_timeout": 5}}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # nmid comes and goes with each test; its place does not.
        cls.place = Port()
        cls.addClassCleanup(cls.place.holder.close)
        cls.ironic = conductor.start(cls, "ironic", {
            "url": cls.place.url, "outcome_timeout": 30, "auth_type": "password",
            "auth_url": cls.cloud.keystone.url, "username": "ironic",
            "user_domain_name": "Default", "password": cls.cloud.password("ironic"),
            "project_name": "service", "project_domain_name": "Default"}, cls.more)
        cls.addClassCleanup(cls.ironic.rpc.holder.close)

    def setUp(self):
        super().setUp()
        self.fleet(24)
        self.made = []
        self.addCleanup(self._delete_nodes)

    def _delete_nodes(self):
        for name in self.made:
            self.ironic.client().delete(f"/v1/nodes/{name}")

    def create(self, name, driver="nmid", **info):
        """The node at Ironic; -> the same for nmid's configuration."""
        node = self.node(name)
        bmc = {**node["driver_info"], "ipmi_cipher_suite": 3, **info}
        self.ironic.node_create(node["uuid"], name, driver=driver, info=bmc)
        self.made.append(name)
        return node

    def serve_here(self, nodes, **settings):
        """nmid at the place that ironic.conf names."""
        listen = [{"address": "127.0.0.1", "port": self.place.number}]
        return self.serve(nodes, listen=listen, **{"hold_off_s": 150, **settings})

    def bmc(self, name):
        return self.sim.address(self.made.index(name))

    def cli(self, *words, code=0, nmis=0, says=None, url=None):
        """A row: the command, its exit code and output, NMIs; -> (output, seconds)."""
        before, began = self.nmis(), time.monotonic()
        done = self.ironic.cli(*words, url=url)
        took = time.monotonic() - began
        count, text = self.nmis() - before, (done.stdout + done.stderr).strip()
        self.row("baremetal", " ".join(words), f"exit {done.returncode} after {took:.1f} s: "
                 f"{short(text, 400)}", count)
        self.assertEqual((done.returncode, count), (code, nmis), text)
        if says:
            self.assertRegex(text, says)
        return text, took

    def inject(self, name, **options):
        return self.cli("node", "inject", "nmi", name, **options)

    def audit(self, nmid, **query):
        arguments = "&".join(f"{key}={value}" for key, value in query.items())
        return self.request(nmid, "GET", f"/agent/v1/audit?{arguments}", None, {
            "X-Auth-Token": self.token("sysadmin", system=True)})[2]["records"]


class Package(CloudCase):
    @classmethod
    def setUpClass(cls):
        """No cloud."""

    def _look_for_secrets(self):
        pass

    def _print_logs(self):
        lab.TestCase._print_logs(self)

    def test_pip(self):
        """pip install leaves what make install leaves."""
        source, places = self.dir / "source", []
        shutil.copytree(lab.top_srcdir / "src/ironic", source)
        places.append(self.dir / "pip")
        done = subprocess.run(
            ["/usr/bin/python3", "-m", "pip", "install", "--quiet", "--no-deps", "--no-index",
             "--no-build-isolation", "--target", places[0], source], stdin=subprocess.DEVNULL,
            env=environment(HOME=str(self.dir)), capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        (self.dir / "make").mkdir()
        places.append(conductor.install(self.dir / "make"))
        found = []
        for place in places:
            files = sorted(path.name for path in (place / "ironic_nmid").glob("*.py"))
            text = subprocess.run(
                ["/usr/bin/python3", "-c", "import importlib.metadata as m\n"
                 "print(m.version('ironic-nmid'))\n"
                 "for e in m.distribution('ironic-nmid').entry_points:\n"
                 "  print(e.group, e.name, e.value, bool(e.load()))"], check=True, text=True,
                env=environment(PYTHONPATH=str(place), HOME=str(self.dir)),
                stdout=subprocess.PIPE).stdout
            found.append((files, sorted(text.split("\n"))))
        self.row("pip", "install ./src/ironic", f"exit {done.returncode}: {found[0][0]}", 0)
        self.assertEqual(found[0], found[1])
        self.assertEqual(len(found[0][1]), 5, found[0])


class Whole(ConductorCase):
    """What the operator of an Ironic sees."""

    def test_delivered_and_found_again(self):
        nmid = self.serve_here([self.create("n1")])
        self.inject("n1", nmis=1)
        # By Ironic's own id of the request, too.
        node = self.create("n2")
        nmid.reload(nodes=[*nmid.settings["nodes"], node])
        answer = self.ironic.client().adapter.request("/v1/nodes/n2/management/inject_nmi", "PUT",
                                                      json={})
        self.assertEqual((answer.status_code, self.sim.count(self.bmc("n2"))), (204, 1))
        identity = answer.headers["Openstack-Request-Id"]
        record, = self.audit(nmid, key=identity)
        self.assertEqual((record["node_name"], record["decision"], record["outcome"],
                          record["caller"]["user"], record["idempotency_key"]),
                         ("n2", "allowed", "delivered", "ironic", identity))
        done = self.nmictl(nmid, "-f", "json", "audit", "--idempotency-key", identity,
                           env={"OS_TOKEN": self.token("admin")})
        found, = json.loads(done.stdout)["records"]
        self.assertEqual(found["action_id"], record["action_id"])
        self.row("nmictl", f"audit --idempotency-key {identity}",
                 f"exit {done.returncode}: {found['node_name']} {found['outcome']}", 0)
        lab.wait_for(lambda: identity in self.ironic.log(), 10, "the conductor's own log")
        self.assertNotIn(self.cloud.password("ironic"), self.ironic.log())

    def test_type_properties_validate(self):
        self.serve_here([self.create("n1", nmid_url=self.place.url, nmid_username="me",
                                     nmid_password="my-nmid-password"), self.create("n2")])
        text, _ = self.cli("driver", "property", "list", "nmid", "-f", "json")
        names = {row["Property"] for row in json.loads(text)}
        self.assertLessEqual({"ipmi_address", "nmid_url", "nmid_username", "nmid_password",
                              "nmid_token", "nmid_verify_ca"}, names)
        text, _ = self.cli("node", "show", "n1", "--fields", "driver_info", "management_interface",
                           "-f", "json")
        shown = json.loads(text)
        self.assertEqual(shown["management_interface"], "nmid")
        self.assertEqual(shown["driver_info"]["nmid_password"], "******")
        self.assertNotIn("my-nmid-password", text)
        self.cli("node", "validate", "n1", says=r"management\s*\|\s*True")
        self.cli("node", "unset", "n1", "--driver-info", "nmid_url")
        self.cli("node", "validate", "n1", says=r"management\s*\|\s*False.*nmid_username")
        self.inject("n1", code=1, says="no nmid_url.*HTTP 400")

    def test_moved_and_back(self):
        """As docs/openstack.md tells it, with a machine that is in use."""
        nmid = self.serve_here([self.create("n1", "ipmi")])
        self.ironic.node_force("n1", provision_state="active")
        to = ("--driver", "nmid", "--management-interface", "nmid")
        self.cli("node", "set", "n1", *to, code=1, says="maintenance")
        self.cli("node", "maintenance", "set", "n1")
        self.cli("node", "set", "n1", *to)
        self.cli("node", "maintenance", "unset", "n1")
        self.cli("node", "validate", "n1", says=r"management\s*\|\s*True")
        self.inject("n1", nmis=1)
        self.cli("node", "maintenance", "set", "n1")
        self.cli("node", "set", "n1", "--driver", "ipmi", "--management-interface", "ipmitool")
        self.cli("node", "maintenance", "unset", "n1")
        self.inject("n1", nmis=1)
        self.assertEqual(len(self.audit(nmid, node="n1")), 1)
        self.ironic.node_force("n1", provision_state="enroll")

    def test_refusals(self):
        """Each is told once, at once, and nothing is sent."""
        nodes = [self.create(name) for name in ("n1", "n2", "n3", "n4", "n5")]
        nodes[1]["locked"], nodes[2]["status"] = True, "BUILD"
        # Not as an administrator, who passes the lock: as the member of the nodes' project.
        for node in nodes:
            node["project_id"] = self.cloud.projects["service"]
        nmid = self.serve_here(nodes[:4], policy={"system_admin_only": True,
                                                  "member_roles": ["service"]})
        for name, says in (("n5", "no such node"), ("n2", "locked"), ("n3", "vm_state build")):
            before = len(self.audit(nmid, decision="refused"))
            _, took = self.inject(name, code=1, says=f"(?i)nothing was sent.*{says}.*HTTP 400")
            self.assertLess(took, 9)
            self.assertEqual(len(self.audit(nmid, decision="refused")), before + 1)

    def test_hold_off(self):
        nmid = self.serve_here([self.create("n1")])
        self.inject("n1", nmis=1)
        self.inject("n1", code=1, says="(?i)nothing was sent.*hold-off.*req-.*HTTP 400")
        self.assertEqual(len(self.audit(nmid, node="n1", decision="refused")), 1)

    def test_credentials(self):
        """Those of a node's driver_info; and those that are not good."""
        token = self.token("ironic", "service")
        nodes = [self.create("n1", nmid_url=self.place.url, nmid_token=token),
                 self.create("n2", nmid_url=self.place.url, nmid_token="no-such-token"),
                 self.create("n3", nmid_url=self.place.url)]
        self.serve_here(nodes)
        self.inject("n1", nmis=1)
        for name in ("n2", "n3"):
            self.inject(name, code=1, says="nothing was sent.*credentials.*HTTP 500")
        self.assertNotIn(token, self.ironic.log())

    def test_nmid_is_down(self):
        nodes = [self.create("n1")]
        _, took = self.inject("n1", code=1, says="not reached.*no NMI was sent.*HTTP 500")
        self.assertLess(took, 9)
        self.serve_here(nodes)
        self.inject("n1", nmis=1)

    def test_unknown(self):
        """The client hears it once, and so does not send it again."""
        nmid = self.serve_here([self.create("n1")], ipmi={"answer_ms": 1500, "timeout_ms": 6000})
        self.sim.set(self.bmc("n1"), "lose_response", "control:1")
        self.sim.set(self.bmc("n1"), "sel", "off")
        self.sim.set(self.bmc("n1"), "lose_probe_response", "all")
        self.inject("n1", code=1, nmis=1, says="UNKNOWN.*Do not repeat.*HTTP 500")
        self.assertEqual(len(self.audit(nmid, node="n1")), 1)

    def test_nmid_killed(self):
        """After the datagram: what it had sent is unknown when it comes back."""
        nmid = self.serve_here([self.create("n1")], ipmi={"answer_ms": 8000, "timeout_ms": 20000})
        self.sim.set(self.bmc("n1"), "lose_response", "control:1")
        before = time.monotonic()
        answer = []
        thread = threading.Thread(target=lambda: answer.append(self.ironic.cli(
            "node", "inject", "nmi", "n1")))
        thread.start()
        lab.wait_for(lambda: self.sim.count(self.bmc("n1")) == 1, 30, "the NMI")
        nmid.crash()
        nmid.start()
        thread.join(100)
        text = answer[0].stdout + answer[0].stderr
        self.row("baremetal", "node inject nmi n1, nmid killed after the datagram",
                 f"exit {answer[0].returncode} after {time.monotonic() - before:.1f} s: "
                 f"{short(text, 300)}", self.sim.count(self.bmc("n1")))
        self.assertEqual((answer[0].returncode, self.sim.count(self.bmc("n1"))), (1, 1))
        self.assertRegex(text, "UNKNOWN.*Do not repeat.*HTTP 500")


class Network(ConductorCase):
    """A bad network between conductor and nmid, and between client and Ironic."""

    def test_between_conductor_and_nmid(self):
        nodes, cutters = [], []
        plans = {"cut": ["cut", "pass"], "twice": ["cut", "cut", "pass"], "keep": ["keep", "pass"],
                 "half": ["half", "pass"], "refuse": ["refuse", "pass"], "502": ["502", "pass"],
                 "late": ["late-504", "pass"], "html": ["503", "pass"]}
        nmid = self.serve_here([])
        for name, plan in plans.items():
            cutters.append(Cutter(self.place.number, plan))
            self.addCleanup(cutters[-1].close)
            nodes.append(self.create(name, nmid_url=cutters[-1].url,
                                     nmid_token=self.token("ironic", "service")))
        nmid.reload(nodes=nodes)
        for name, cutter in zip(plans, cutters):
            self.inject(name, nmis=1)
            self.assertGreater(len([row for row in cutter.rows if row[0] == "POST"]), 1)
            keys = {record["idempotency_key"] for record in self.audit(nmid, node=name)}
            self.assertEqual(len(keys), 1)

    def test_between_client_and_ironic(self):
        """baremetal sends its PUT again, which is a new request to Ironic: ipmi injects again."""
        self.serve_here([self.create("by-nmid")])
        self.create("by-ipmi", "ipmi")
        for name in ("by-nmid", "by-ipmi"):
            cutter = Cutter(self.ironic.port.number, ["keep", "keep", "keep", "pass"])
            self.addCleanup(cutter.close)
            done = self.ironic.cli("node", "inject", "nmi", name, url=cutter.url)
            count = self.sim.count(self.bmc(name))
            sent = len([row for row in cutter.rows if row[0] == "PUT"])
            self.row("baremetal", f"node inject nmi {name}, three answers of Ironic lost",
                     f"exit {done.returncode}, {sent} PUTs: {short(done.stdout + done.stderr, 300)}",
                     count)
            self.assertGreater(sent, 1)
            if name == "by-nmid":
                self.assertEqual(count, 1)
                self.assertRegex(done.stderr, "hold-off")


if __name__ == "__main__":
    lab.main()
