# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole path of Nova without an Ironic: nova-compute's own Ironic driver (of python3-nova,
unmodified: nova_driver.py) with nmid as its bare metal service, by each way of logging in."""
import subprocess
import threading
import uuid
from pathlib import Path

from baremetal_case import PASSWORD, QUICK, REGION, BaremetalCase, lab, short
from service import environment, write_conf

PROGRAM = Path(__file__).with_name("nova_driver.py")


class NovaDriver(BaremetalCase):
    def setUp(self):
        super().setUp()
        self.servers = {}

    def node(self, name, project="demo", **keys):
        self.servers[name] = keys.setdefault("instance_uuid", str(uuid.uuid4()))
        return super().node(name, project, **keys)

    def conf(self, nmid, url=None, who="alice", **keys):
        """nova.conf with an [ironic] section as an operator writes it."""
        login = {"auth_type": nmid.kind, "endpoint_override": url or nmid.url}
        if nmid.kind == "http_basic":
            login |= {"username": who, "password": PASSWORD.format(who)}
        if nmid.kind == "keystone":
            login |= {"auth_type": "password", "auth_url": self.cloud.keystone.url,
                      "username": "ironic", "password": self.cloud.password("ironic"),
                      "project_name": "service", "user_domain_name": "Default",
                      "project_domain_name": "Default"}
        path = self.unique("nova.conf")
        write_conf(path, {"DEFAULT": {"state_path": self.home},
                          "ironic": {**{key: value for key, value in login.items()
                                        if key not in keys}, **{k: v for k, v in keys.items()
                                                                if v is not None}}})
        return path

    def run_driver(self, conf, server):
        return subprocess.run(["/usr/bin/python3", str(PROGRAM), str(conf), server],
                              env=environment(HOME=str(self.home)), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=200, check=False)

    def trigger(self, nmid, name, *, rc=0, says="^triggered$", cutter=None, counts=None, **keys):
        """One crash dump by nova-compute's driver; -> what it printed."""
        server = self.servers.get(name, name)
        before = self.nmis()
        done = self.run_driver(self.conf(nmid, cutter and cutter.url, **keys), server)
        text = done.stdout + done.stderr
        via = "" if cutter is None else ", " + " ".join(
            f"{what}:{status or '-'}" for what, status in cutter.injections()[:10])
        self.row(f"{nmid.kind}{via}", f"IronicDriver.trigger_crash_dump({name})",
                 f"{done.returncode} {short(done.stdout, 300)}", self.nmis() - before)
        self.assertEqual(done.returncode, rc, text)
        self.assertRegex(done.stdout.strip(), says)
        self.check_text(text)
        if counts is not None:
            self.assertEqual(self.counts(name), counts)
        else:
            self.assertEqual(self.nmis() - before, 1 - rc)
        return text

    def test_each_login(self):
        nmid = self.serve_as("none", [self.node("none-1"), self.node("none-2")])
        cutter = self.cutter(nmid, ["pass"])
        self.trigger(nmid, "none-1", cutter=cutter)
        for method, path, _, status in cutter.rows:
            print(f"    {method} {path} {status}")
        self.assertEqual([row[1] for row in cutter.rows if row[0] == "PUT"],
                         [f"/v1/nodes/{lab.node_uuid('none-1')}/management/inject_nmi"])
        self.trigger(nmid, "none-2", endpoint_override=nmid.url + "/v1")
        nmid = self.serve_as("http_basic", [self.node("basic-1"), self.node("basic-2", "other")])
        self.trigger(nmid, "basic-1")
        self.trigger(nmid, "basic-2", who="anna")
        nmid = self.serve_as("keystone", [self.node("keystone-1"), self.node("keystone-2")])
        self.trigger(nmid, "keystone-1")
        self.catalogued(nmid.url)
        self.trigger(nmid, "keystone-2", endpoint_override=None, region_name=REGION)
        self.assertEqual([action["contract"] for action in self.actions(nmid, "keystone-2")],
                         ["ironic"])

    def test_refused(self):
        nodes = [self.node("locked", locked=True), self.node("stopped", status="SHUTOFF"),
                 self.node("d5"), self.node("password"), self.node("unknown"),
                 self.node("other", "other")]
        nmid = self.serve_as("http_basic", nodes, ipmi=QUICK, hold_off_s=300)
        self.sim.set(self.made["d5"], "completion", "d5")
        self.sim.set(self.made["password"], "password", "another")
        self.sim.set(self.made["unknown"], "lose_response", "control:9")
        self.sim.set(self.made["unknown"], "sel", "off")
        absent = str(uuid.uuid4())
        for name, says, counts in (
                (absent, rf"^nova\.exception\.InstanceNotFound: .*{absent}", None),
                ("other", r"^nova\.exception\.InstanceNotFound: ", (0, 0)),
                ("locked", r"(?i)BadRequest: .*locked.*\(HTTP 400\)", (0, 0)),
                ("stopped", r"(?i)BadRequest: .*\(HTTP 400\)", (0, 0)),
                ("d5", r"(?i)InternalServerError: .*D5.*\(HTTP 500\)", (0, 1)),
                ("password", r"(?i)InternalServerError: .*password.*\(HTTP 500\)", (0, 0)),
                ("unknown", r"(?i)InternalServerError: (.|\n)*unknown(.|\n)*\(HTTP 500\)", (1, 1))):
            with self.subTest(name):
                cutter = self.cutter(nmid, ["pass"])
                self.trigger(nmid, name, rc=1, says=says, counts=counts, cutter=cutter)
                self.assertEqual(len(cutter.injections()), int(counts is not None
                                                               and name != "other"))
        # the operator tries once more, as another caller and after the 15 s as the same
        self.trigger(nmid, "unknown", rc=1, counts=(1, 1), who="anna",
                     says=r"(?s)BadRequest: .*may have been delivered.*\(HTTP 400\)")
        done = self.run_driver(self.conf(nmid, password="wrong"), self.servers["d5"])
        self.row("http_basic, wrong password", "IronicDriver.trigger_crash_dump(d5)",
                 f"{done.returncode} {short(done.stdout, 300)}", 0)
        self.assertEqual(done.returncode, 1)
        self.assertRegex(done.stdout, "(?i)401|unauthorized|unable to authenticate|unavailable")

    def test_repeats(self):
        """It repeats by default 60 times, 2 s apart: after dropped connections, 409 and 503.
        hold_off_s = 0: nothing but the rule of repeats stands between them and a second NMI."""
        nmid = self.serve_as("none", [self.node(name) for name in (
            "default", "cut", "sixty", "unknown", "d5", "gateway", "slow")], ipmi={
                "timeout_ms": 20000, "answer_ms": 3000, "retransmit_ms": 200})
        self.trigger(nmid, "default", cutter=self.cutter(nmid, ["cut", "keep", "pass"]),
                     counts=(1, 1))
        quick = {"api_max_retries": 6, "api_retry_interval": 1}
        self.trigger(nmid, "cut", cutter=self.cutter(nmid, ["cut", "keep", "half", "pass"]),
                     counts=(1, 1), **quick)
        self.trigger(nmid, "gateway", counts=(1, 1), **quick,
                     cutter=self.cutter(nmid, ["late-503", "late-409", "503", "pass"]))
        cutter = self.cutter(nmid, ["cut"] * 60 + ["pass"])
        self.trigger(nmid, "sixty", cutter=cutter, counts=(1, 1), api_retry_interval=0)
        self.assertEqual(len(cutter.injections()), 61)
        self.sim.set(self.made["slow"], "control_delay_ms", "2500")
        self.trigger(nmid, "slow", counts=(1, 1), **quick,
                     cutter=self.cutter(nmid, ["cut", "cut", "pass"]))
        self.sim.set(self.made["d5"], "completion", "d5")
        self.trigger(nmid, "d5", counts=(0, 1), **quick, rc=1, says=r"(?i)D5.*\(HTTP 500\)",
                     cutter=self.cutter(nmid, ["cut", "keep", "pass"]))
        self.sim.set(self.made["unknown"], "lose_response", "control:9")
        self.sim.set(self.made["unknown"], "sel", "off")
        self.trigger(nmid, "unknown", counts=(1, 1), **quick, rc=1,
                     says=r"(?i)unknown(.|\n)*\(HTTP 500\)",
                     cutter=self.cutter(nmid, ["cut", "keep", "late-503", "pass"]))

    def test_long(self):
        """The network is away for longer than the rule of repeats reaches: the hold-off, at
        least as long as all repeats of nova-compute, takes over."""
        nmid = self.serve_as("none", [self.node("n1")], hold_off_s=150)
        cutter = self.cutter(nmid, ["cut"] * 17 + ["pass"])
        self.trigger(nmid, "n1", cutter=cutter, counts=(1, 1), rc=1, api_retry_interval=1,
                     says=r"(?s)BadRequest: .*was delivered.*\(HTTP 400\)")
        self.assertEqual(len(cutter.injections()), 18)

    def test_crash(self):
        """nmid is killed with the NMI sent, and started again: the repeat is told so."""
        nmid = self.serve_as("none", [self.node("n1")])
        self.sim.set(self.made["n1"], "control_delay_ms", "20000")
        cutter = self.cutter(nmid, ["pass"])
        failures = []

        def work():
            try:
                self.trigger(nmid, "n1", cutter=cutter, counts=(1, 1), rc=1,
                             says=r"(?i)unknown(.|\n)*\(HTTP 500\)")
            except AssertionError as error:
                failures.append(str(error))

        thread = threading.Thread(target=work)
        thread.start()
        lab.wait_for(lambda: self.counts("n1")[0] == 1, 30, "the NMI")
        nmid.crash()
        nmid.start()
        cutter.target = nmid.port
        thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(len(cutter.injections()), 1)

    def test_conflict(self):
        """Another caller's is under way: 409 as long as it is, then the hold-off."""
        nmid = self.serve_as("http_basic", [self.node("n1")], hold_off_s=150,
                             ipmi={"timeout_ms": 60000, "answer_ms": 50000})
        self.sim.set(self.made["n1"], "control_delay_ms", "20000")  # time for a client to start
        first = threading.Thread(target=lambda: self.run_client(
            [*self.login(nmid, "anna")[0], "node", "inject", "nmi", "n1"],
            self.login(nmid, "anna")[1]))
        first.start()
        lab.wait_for(lambda: self.counts("n1")[0] == 1, 20, "the NMI")
        cutter = self.cutter(nmid, ["pass"])
        self.trigger(nmid, "n1", cutter=cutter, counts=(1, 1), rc=1, api_retry_interval=1,
                     says=r"(?s)BadRequest: .*was delivered.*\(HTTP 400\)")
        first.join()
        statuses = [status for _, status in cutter.injections()]
        self.assertGreater(statuses.count(409), 0, statuses)
        self.assertEqual((set(statuses[:-1]), statuses[-1]), ({409}, 400))


if __name__ == "__main__":
    lab.main()
