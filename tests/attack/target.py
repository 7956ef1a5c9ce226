# SPDX-License-Identifier: GPL-3.0-or-later
"""What is attacked: nmid with every kind of listener, its BMCs, a Keystone, and the people. Every
secret of it bears a mark, so that a leak shows (SECRETS)."""
import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import lab
import netns
from pki import Pki

import watch
import wire

ADDRESS = "10.77.0.1"      # nmid's
NETWORK = "10.77.0.0/16"   # the good ones: 10.77.1.x; attackers: 10.77.16.0 and up
BMC_FIRST = "127.1.0.1"
# alice (and anna, over TLS) is the well-behaved client; bob is guessed at too; the others take
# too much, of requests at once, of actions, of what they do not read, and they leave.
PEOPLE = {"alice": ("demo", "member"), "anna": ("demo", "member"), "bob": ("other", "member"),
          "carol": ("hostile", "reader"), "mallory": ("hostile", "member"),
          "oscar": ("hostile", "member"), "walter": ("hostile", "reader"),
          "lea": ("hostile", "member")}
GOOD = ("alice", "anna", "bob")  # whose passwords no attacker has
WORDS = {name: f"MARK-{name}-word" for name in PEOPLE}
BMC_WORD = "MARK-bmc-word"
GUESS = "MARK-guess"       # how every wrong password and token begins
SECRETS = ["MARK-", "nmid-password", "alice-password"]
BLACK_HOLE = "hostile-hole"

# Shares of the rate, of a hundred. The operator at the socket is asked for by nobody's limits.
SHARES = {"basic": 30, "tls": 20, "keystone": 25, "unix": 25}


def keystone(case):
    """fake_keystone.py as a program of its own; its URL."""
    program = lab.top_srcdir / "tests/system/fake_keystone.py"
    process = case.start([sys.executable, program])
    ready = lab.wait_for(process.out, 20, "Keystone to serve")
    return f"http://127.0.0.1:{ready.split('port=')[1].strip()}"


def token(url):
    """alice's, of the project demo, as a client gets it."""
    scope = {"project": {"name": "demo", "domain": {"id": "default"}}}
    user = {"name": "alice", "password": "alice-password", "domain": {"id": "default"}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}},
                     "scope": scope}}
    request = urllib.request.Request(url + "/v3/auth/tokens", json.dumps(body).encode(),
                                     {"Content-Type": "application/json"})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=20) as answer:
        return answer.headers["X-Subject-Token"]


class Target:
    """nmid and all around it, within a lab.TestCase, in a network namespace."""

    def __init__(self, case, options):
        assert netns.inside()
        self.case, self.options = case, options
        self.rates = {name: options.rate * share / 100 for name, share in SHARES.items()}
        if not options.tls:
            self.rates["basic"] += self.rates.pop("tls")
        count = {name: int(rate * options.cycle_s) + 1 for name, rate in self.rates.items()}
        self.sim = case.bmcsim("--count", str(sum(count.values()) + options.hostile_nodes + 1),
                               "--seed", "1", "--set", f"password={BMC_WORD}", first=BMC_FIRST)
        self.next_bmc = 0
        projects = {"basic": "demo", "tls": "demo", "keystone": "demo-id", "unix": "demo"}
        self.nodes = {name: self.fleet(name, n, projects[name]) for name, n in count.items()}
        self.nodes["hostile"] = self.fleet("hostile", options.hostile_nodes, "hostile")
        self.nodes["hole"] = [self.node(BLACK_HOLE, "hostile")]
        self.sim.set(self.nodes["hole"][0]["driver_info"]["ipmi_address"], "blackhole", "on")
        self.keystone_url = keystone(case)
        self.keystone_port = int(self.keystone_url.rsplit(":", 1)[1])
        self.token = token(self.keystone_url)
        self.socket = case.unique("s")
        if options.tls:
            pki = Pki(case.unique("pki"))
            self.ca = pki.ca("site")
            self.webs = [pki.server(f"nmid-{n}", ["nmid", ADDRESS], self.ca) for n in range(3)]
            self.web = self.webs[0]
        self.nmid = case.nmid([node for part in self.nodes.values() for node in part],
                              **self.settings())
        self.ports = self.find_ports()

    # ---- nmid.conf ----

    def node(self, name, project):
        self.next_bmc += 1
        return lab.node(name, self.sim, self.sim.address(self.next_bmc - 1), project_id=project,
                        ipmi_password=BMC_WORD)

    def fleet(self, name, count, project):
        return [self.node(f"{name}-{number}", project) for number in range(count)]

    def passwords(self):
        path = self.case.unique("htpasswd")
        path.touch(mode=0o600)
        for name, word in WORDS.items():
            subprocess.run([lab.which("htpasswd"), "-iB", "-C", str(self.options.cost), path, name],
                           input=word.encode(), check=True, capture_output=True)
        return path

    def settings(self):
        users = [{"name": name, "project_id": project, "roles": [role]}
                 for name, (project, role) in PEOPLE.items()]
        basic = {"strategy": "http_basic", "user_file": self.passwords(), "users": users}
        tokens = {"strategy": "keystone", "auth_url": self.keystone_url, "timeout_ms": 5000,
                  "username": "nmid", "user_domain_name": "Default", "password": "nmid-password",
                  "project_name": "service", "project_domain_id": "default"}
        listen = [{"address": ADDRESS, "port": 0}, {"address": ADDRESS, "port": 0, "auth": tokens},
                  {"socket": self.socket, "auth": {"strategy": "none"}}]
        if self.options.tls:
            listen.append({"address": ADDRESS, "port": 0,
                           "tls": {"certificate_file": self.web.certificate,
                                   "key_file": self.web.key}})
        limits = {"request_s": self.options.request_s, "idle_s": self.options.idle_s,
                  "history": self.options.history, **self.options.limits}
        # A BMC that waits for a processor of this machine is not what is tried here.
        ipmi = {"timeout_ms": 60000, "retransmit_ms": 3000, "answer_ms": 30000}
        return {"listen": listen, "ipmi": ipmi, "auth": basic, "limits": limits,
                "hold_off_s": self.options.hold_off_s, "policy": {"force": "admin_or_owner"},
                "audit": {"records": self.options.audit}}

    def find_ports(self):
        """-> {"basic", "keystone", "tls"}: in the order of the settings."""
        ports = re.findall(rf"listening on \S*{re.escape(ADDRESS)}:(\d+)", self.nmid.log())
        ports = [int(port) for port in ports]
        return dict(zip(("basic", "keystone", "tls"), ports))

    def renew_certificate(self):
        """Another certificate and key in the same files; nmid has them after its next reload."""
        if self.options.tls:
            self.webs = self.webs[:1] + self.webs[:0:-1]
            for name in ("certificate", "key"):
                path = Path(getattr(self.web, name))
                new = path.with_suffix(".new")
                shutil.copy(getattr(self.webs[1], name), new)
                new.replace(path)

    # ---- Who asks ----

    def place(self, name):
        if name == "unix":
            return {"path": str(self.socket)}
        return {"address": ADDRESS, "port": self.ports[name],
                "ca_file": self.ca.certificate if name == "tls" else None}

    def work(self):
        """For client.py: who asks where, how often, for which nodes."""
        header = {"basic": wire.basic("alice", WORDS["alice"]), "unix": None,
                  "tls": wire.basic("anna", WORDS["anna"]),
                  "keystone": f"X-Auth-Token: {self.token}"}
        source = {"basic": "10.77.1.1", "tls": "10.77.1.2", "keystone": "10.77.1.3"}
        return {name: {"place": self.place(name), "rate": rate, "source": source.get(name),
                       "keep_s": self.options.idle_s / 2,
                       "header": [header[name]] if header[name] else [],
                       "contract": "agent" if name in ("unix", "keystone") else "nova",
                       "nodes": [node["uuid"] for node in self.nodes[name]]}
                for name, rate in self.rates.items()}

    def hostile(self):
        """What the attackers know: everything but other people's secrets."""
        return {"address": ADDRESS, "ports": self.ports, "guess": GUESS,
                "words": {name: WORDS[name] for name in PEOPLE if name not in GOOD},
                "ca_file": self.ca.certificate if self.options.tls else None,
                "nodes": [n["name"] for n in self.nodes["hostile"]],
                "hole": BLACK_HOLE, "seen": [n["uuid"] for n in self.nodes["basic"][:50]],
                "bmcs": [n["driver_info"]["ipmi_address"] for n in self.nodes["basic"][:500]],
                "bmc_port": self.sim.port, "udp": self.udp_ports(),
                "request_s": self.options.request_s, "idle_s": self.options.idle_s}

    def udp_ports(self):
        """The ports of nmid's own UDP sockets."""
        pid, inodes = self.nmid.process.pid, set()
        for entry in os.listdir(f"/proc/{pid}/fd"):
            try:
                text = os.readlink(f"/proc/{pid}/fd/{entry}")
            except OSError:
                continue
            if text.startswith("socket:["):
                inodes.add(text[8:-1])
        with open(f"/proc/{pid}/net/udp", encoding="ascii") as lines:
            rows = [line.split() for line in list(lines)[1:]]
        return [int(row[1].split(":")[1], 16) for row in rows if row[9] in inodes]

    def ask(self, method, path, body=None):
        """As the operator at the socket."""
        connection = lab.UnixConnection(str(self.socket), 60)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise AssertionError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def metrics(self):
        return watch.Metrics(self.ask("GET", "/metrics").decode())
