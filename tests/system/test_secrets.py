# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets stay where they belong. Each secret that nmid and nmictl get is a mark, random and its
own; they then do everything they can do, well and badly; and then nobody finds a mark in a log, an
answer, the system's journal, the state directory, an environment, an argument, or a core. What
nmid still needs lies in memory that is locked and that no core has.

The search itself is searched: a mark that is planted in a node's name is found everywhere."""
import base64
import contextlib
import http.client
import os
import re
import secrets
import signal
import socket
import ssl
import string
import subprocess
import sys
import threading

import lab
from fake_ironic import FakeIronic
from fake_keystone import FakeKeystone
from pki import Pki

INSIDE = "NMID_TEST_SECRETS_INSIDE"
RUN = lab.Path("/run/systemd/journal")
# JOURNAL_STREAM as systemd sets it, of the stderr that it gives.
AS_A_SERVICE = 'JOURNAL_STREAM=$(stat -L -c %d:%i /dev/stderr) exec "$@"'
LETTERS = string.ascii_letters + string.digits


def mark(length=28):
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def base64_cores(data):
    """What of data's base64 is the same wherever data begins in the bytes that are encoded."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data)
        yield text[4 if shift else 0:(len(data) + shift) // 3 * 4]


def pieces(look):
    """Its start and its end: what is freed is often overwritten from one side, and what is copied is
    often cut."""
    return {look[:16], look[-12:]}


def forms(text):
    """The looks of a secret: {name: bytes}."""
    data = bytes.fromhex(text[4:]) if text.startswith("hex:") else text.encode()
    found = {"plain": data, "hex": data.hex().encode(), "HEX": data.hex().upper().encode(),
             "UTF-16": text.encode("utf-16-le"), "UTF-16 big": text.encode("utf-16-be")}
    found |= {f"base64 {i}": core for i, core in enumerate(base64_cores(data))}
    return {name: pieces(look) for name, look in found.items() if len(look) >= 16}


class Searched:
    """All that was said where anybody may read it: [(where, bytes)]."""

    def __init__(self, marks):
        self.looks = [(name, form, piece) for name, text in marks.items()
                      for form, looks in forms(text).items() for piece in looks]

    def hits(self, data):
        """-> [(mark, form, offset)]; the first one of each."""
        found = [(name, form, data.find(look)) for name, form, look in self.looks]
        return [(name, form, at) for name, form, at in found if at >= 0]


def without_zeros(data):
    """Data less its runs of pages of zeros, which are most of a process."""
    pages = (data[at:at + 4096] for at in range(0, len(data), 4096))
    return b"".join(page for page in pages if page.strip(b"\0"))


def mappings(pid):
    """-> [(first, last, name, flags)] of what can be read and written."""
    found = []
    for line in lab.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ \S+ \S+\s*(.*)", line)
        if head:
            found.append([int(head[1], 16), int(head[2], 16), head[4], head[3], set()])
        elif line.startswith("VmFlags:"):
            found[-1][4] = set(line.split()[1:])
    return [(first, last, name, flags) for first, last, name, mode, flags in found
            if mode.startswith("rw")]


class Secrets(lab.TestCase):
    time_limit = 300

    def setUp(self):
        self.marks, self.said = {}, []
        self.journal = None
        if INSIDE in os.environ:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
            RUN.mkdir(parents=True)
            self.journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.addCleanup(self.journal.close)
            self.journal.bind(str(RUN / "socket"))
            self.entries = bytearray()
            threading.Thread(target=self.take_entries, args=(self.journal,), daemon=True).start()

    def take_entries(self, journal):
        with contextlib.suppress(OSError):
            while True:
                self.entries += journal.recv(65536) + b"\n"

    def secret(self, name, length=28):
        """A new mark."""
        self.marks[name] = mark(length)
        return self.marks[name]

    def secret_file(self, name, text):
        path = self.dir / name
        path.touch(mode=0o600)
        path.write_text(text + "\n")
        return str(path)

    # ---- What is said ----

    def ask(self, port, method, path, body=None, tls=None, timeout=60, **headers):
        """-> (status, answer); all of it is kept."""
        headers = {name.replace("_", "-"): text for name, text in headers.items()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = (http.client.HTTPSConnection("127.0.0.1", port, timeout=timeout, context=tls)
                      if tls else http.client.HTTPConnection("127.0.0.1", port, timeout=timeout))
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        head = "".join(f"{name}: {text}\n" for name, text in answer.headers.items()).encode()
        self.said.append((f"{method} {path}: {answer.status}", head + b"\n" + data))
        return answer.status, data

    def ask_in_vain(self, *args, **headers):
        with contextlib.suppress(OSError, http.client.HTTPException):
            self.ask(*args, **headers)

    @staticmethod
    def basic(user, password):
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def nmictl_run(self, what, args, **env):
        """-> (exit code, output)"""
        done = subprocess.run([lab.built("nmictl"), *map(str, args)], capture_output=True,
                              env={**os.environ, **env}, stdin=subprocess.DEVNULL, timeout=60,
                              check=False)
        self.said.append((f"nmictl {what}", done.stdout + done.stderr))
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    # ---- The search ----

    def everything_said(self):
        """Answers, output of all programs, journal, files of the state directories."""
        yield from self.said
        for process in self.processes:
            name = lab.Path(process.args[4 if "sh" in process.args else 0]).name
            if name in ("nmid", "nmictl"):
                yield f"stdout of {name}", process.out_path.read_bytes()
                yield f"stderr of {name}", process.err_path.read_bytes()
        if self.journal is not None:
            yield "the system's journal", bytes(self.entries)
        for path in self.dir.glob("*state*/**/*"):
            if path.is_file():
                yield str(path), path.read_bytes()

    def check_said(self, searched, planted):
        places = set()
        for where, data in self.everything_said():
            for name, form, at in searched.hits(data):
                self.fail(f"{name} ({form}) in {where}: ...{data[max(0, at - 60):at + 60]!r}")
            if planted.encode() in data:
                places.add(where.split(":")[0].split(" ")[0].rsplit("/", 1)[-1])
        self.assertLessEqual({"GET", "stderr", "nmictl"}, places)  # the search sees
        self.assertTrue(places & {"nmid.db", "nmid.db-wal"}, places)
        if self.journal is not None:
            self.assertIn("the", places)

    def check_proc(self, searched, pid):
        for what in ("environ", "cmdline", "comm", "status", "maps"):
            try:
                data = lab.Path(f"/proc/{pid}/{what}").read_bytes()
            except PermissionError:
                print(f"{what} is not looked into: only root may, for the process is not dumpable")
                continue
            self.assertEqual(searched.hits(data), [], what)

    def check_memory(self, searched, pid, needed, planted):
        """All that a core would have, and besides it what is locked."""
        found, plants, safe = [], 0, set()
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
            for first, last, name, flags in mappings(pid):
                try:
                    memory.seek(first)
                    data = without_zeros(memory.read(last - first) or b"")
                except OSError:
                    continue  # e.g. [vvar]
                hits = searched.hits(data)
                if "dd" in flags:
                    self.assertIn("lo", flags, "left out of cores, but not locked")
                    safe |= {secret for secret, _, _ in hits}
                    continue
                plants += data.count(planted.encode())
                for secret, form, at in hits:
                    around = re.sub(rb"[^ -~]", b".", data[max(0, at - 100):at + 60])
                    found.append(f"{secret} ({form}) in {name or 'memory'} from {first:#x} on: "
                                 f"{around.decode()}")
        self.assertEqual(found, [], "\n".join(found))
        self.assertGreater(plants, 0)  # it was this process's memory
        self.assertLessEqual(set(needed), safe)  # and what it still needs is where it belongs

    def check_core(self, searched, pid, planted):
        core = self.unique("core")
        done = subprocess.run([lab.which("gcore"), "-o", core, str(pid)], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, timeout=120, check=False)
        core = core.with_name(f"{core.name}.{pid}")
        if not core.exists():
            self.fail(f"gcore: {done.stdout}{done.stderr}")
        data = without_zeros(core.read_bytes())
        core.unlink()
        self.assertIn(planted.encode(), data)
        for name, form, at in searched.hits(data):
            self.fail(f"{name} ({form}) in a core: ...{data[max(0, at - 100):at + 60]!r}")

    def check_process(self, searched, pid, needed, planted, with_core):
        self.check_proc(searched, pid)
        if lab.sanitized():
            return  # a sanitizer keeps what was freed
        try:
            open(f"/proc/{pid}/mem", "rb").close()
        except PermissionError:
            print("memory and core are not looked into: only root may, for nmid is not dumpable")
            return
        self.check_memory(searched, pid, needed, planted)
        if with_core:
            self.check_core(searched, pid, planted)

    # ---- The daemon that has them all ----

    def nodes(self):
        """Every kind of BMC credential, with a BMC that knows it."""
        kinds = {
            self.planted: {"ipmi_cipher_suite": 17, "length": 20},
            "suite3": {"ipmi_cipher_suite": 3, "length": 20},
            "md5": {"ipmi_protocol_version": "1.5", "length": 16},
            "plain": {"ipmi_protocol_version": "1.5", "ipmi_plain_password": True, "length": 16},
            "kg": {"kg": True, "length": 20}, "file": {"file": True, "length": 20},
            "credential": {"credential": True, "length": 20}, "wrong": {"length": 20},
            "refuses": {"length": 20}, "silent": {"length": 20}, "busy": {"length": 20},
            "blackhole": {"length": 20},
        }
        self.sim = self.bmcsim("--count", str(len(kinds)), first="127.9.0.1")
        self.address = {name: self.sim.address(i) for i, name in enumerate(kinds)}
        return [self.node(name, dict(kind)) for name, kind in kinds.items()]

    def node(self, name, kind):
        address = self.address[name]
        short = "planted" if name == self.planted else name
        password = self.secret(f"BMC password of {short}", kind.pop("length"))
        self.sim.set(address, "password", password)
        info = {"ipmi_password": password}
        if kind.pop("kg", False):
            key = secrets.token_hex(20)
            self.marks["K_g"] = "hex:" + key
            self.marks["K_g as it is written"] = key
            self.sim.set(address, "k_g", key)
            info["ipmi_hex_kg_key"] = key
        if kind.pop("file", False):
            info = {"ipmi_password": None, "ipmi_password_file":
                    self.secret_file("bmc-password", password)}
        if kind.pop("credential", False):
            (self.dir / "credentials").mkdir(mode=0o700)
            path = self.secret_file("credentials/bmc.password", password)
            os.chmod(path, 0o440)  # systemd's
            info = {"ipmi_password": None,
                    "ipmi_password_file": "$CREDENTIALS_DIRECTORY/bmc.password"}
        if name == "plain":
            self.sim.set(address, "auth_types", "password")
        if name == "wrong":
            self.sim.set(address, "password", "something else")
        self.ironic.node(lab.node_uuid(name), owner="demo")
        return lab.node(name, self.sim, address, **{**info, **kind})

    def users(self):
        """-> the path of an htpasswd file; alice may, eve is in it and may nothing."""
        lines = [subprocess.run([lab.which("htpasswd"), "-niB", "-C", "4", name], text=True,
                                input=self.secret(f"password of {name}"), capture_output=True,
                                check=True).stdout.strip() for name in ("alice", "eve")]
        return self.secret_file("htpasswd", "\n".join(lines))

    def listeners(self):
        self.pki = Pki(self.dir / "pki")
        self.ca = self.pki.ca("site")
        web = self.pki.server("web", ["127.0.0.1"], self.ca)
        self.tls = ssl.create_default_context(cafile=self.ca.certificate)
        # The file's text. The key itself is GnuTLS's, on the heap for as long as it is in use: locked
        # where RLIMIT_MEMLOCK has no limit, and in no core because there is none.
        pem = lab.Path(web.key).read_text()
        lines = [line for line in pem.splitlines() if "-----" not in line]
        for i, line in enumerate(lines):
            if len(line) >= 40 and i > 0:  # the first is the same for every key of this kind
                self.marks[f"TLS key, line {i}"] = line
        basic = {"strategy": "http_basic", "user_file": self.users(), "cache_s": 0,
                 "users": [{"name": "alice", "project_id": "demo", "roles": ["admin"]}]}
        self.keystone = FakeKeystone()
        self.addCleanup(self.keystone.stop)
        self.keystone.add_user("daemon", "service", ["service"], ["reader"],
                               password=self.secret("nmid's password at Keystone"))
        tokens = {"strategy": "keystone", "auth_url": self.keystone.url, "timeout_ms": 1000,
                  "username": "daemon", "user_domain_name": "Default",
                  "password": self.marks["nmid's password at Keystone"],
                  "project_name": "service", "project_domain_id": "default"}
        here = {"address": "127.0.0.1", "port": 0}
        return [{**here, "auth": basic}, {**here, "auth": tokens},
                {**here, "auth": basic,
                 "tls": {"certificate_file": web.certificate, "key_file": web.key}}]

    def application_credential(self):
        """nmid's log-in for Ironic."""
        identity, secret = self.keystone.application_credential("daemon", "service")
        self.marks["application credential of nmid"] = secret
        return {"auth": "keystone", "auth_url": self.keystone.url,
                "application_credential_id": identity,
                "application_credential_secret_file": self.secret_file("app-credential", secret)}

    def daemon(self):
        self.planted = "planted" + mark(20)
        self.ironic = FakeIronic()
        self.addCleanup(self.ironic.stop)
        self.receiver = self.start([sys.executable, lab.top_srcdir / "tests/system/receiver.py"])
        ready = lab.wait_for(lambda: re.search(r"ready port=(\d+)", self.receiver.out()),
                             what="the receiver")
        self.receiver_url = f"http://127.0.0.1:{ready[1]}"
        nodes, listeners = self.nodes(), self.listeners()
        state = self.dir / "state"
        state.mkdir(mode=0o700)
        self.settings = {
            "listen": listeners, "state_dir": str(state), "hold_off_s": 0,
            "state_source": "ironic",
            "ironic": {"url": self.ironic.url, "timeout_ms": 1000, "cache_s": 0,
                       **self.application_credential()},
            "callback": {"url": self.receiver_url + "/done", "ironic": True,
                         "hmac_key": self.secret("hmac_key"),
                         "headers": [{"name": "X-Site", "value": self.secret("callback header")},
                                     {"name": "X-File", "value_file": self.secret_file(
                                         "header-value", self.secret("callback header file"))}]},
            "ipmi": {"timeout_ms": 1500, "answer_ms": 300, "retransmit_ms": 100,
                     "auth_pause_s": 0},
        }
        return self.start_nmid(nodes)

    def start_nmid(self, nodes):
        self.conf = self.dir / "nmid.conf"
        text = "".join(f"{key} = {lab.libconfig(value)};\n"
                       for key, value in {**self.settings, "nodes": nodes}.items())
        self.secret_file("nmid.conf", text)
        environment = {"CREDENTIALS_DIRECTORY": self.dir / "credentials"}
        done = subprocess.run([lab.built("nmid"), "-t", "-c", self.conf], capture_output=True,
                              env={**os.environ, **environment}, check=False)
        self.said.append(("nmid -t", done.stdout + done.stderr))
        self.assertEqual(done.returncode, 0, done.stderr)
        argv = [lab.built("nmid"), "-v", "-c", self.conf]
        if self.journal is not None:
            argv = ["/bin/sh", "-c", AS_A_SERVICE, "sh", *argv]
        nmid = self.start(argv, **environment)
        lab.wait_for(lambda: self.ports(nmid), 30, "nmid to listen")
        self.basic_port, self.token_port, self.tls_port = self.ports(nmid)
        return nmid

    def ports(self, nmid):
        if nmid.poll() is not None:
            raise AssertionError(f"nmid did not start: {nmid.err()}")
        found = [int(text) for text in re.findall(r"listening on 127\.0\.0\.1:(\d+)", nmid.err())]
        return found if len(found) == 3 and " is ready" in nmid.err() else None

    # ---- Everything ----

    def test_everything(self):
        nmid = self.daemon()
        me = {"Authorization": self.basic("alice", self.marks["password of alice"])}
        self.inject_all(me)
        self.wrong_log_ins()
        self.tokens()
        self.read_all(me)
        self.reloads(nmid)
        self.inject_all(me)
        self.over_tls(me)
        self.command_line()
        searched = Searched(self.marks)
        needed = ["BMC password of file", "BMC password of credential", "BMC password of md5",
                  "K_g", "hmac_key", "callback header", "nmid's password at Keystone",
                  "application credential of nmid"]
        self.check_process(searched, nmid.pid, needed, self.planted, with_core=False)
        nmictl = self.under_way(me, nmid)  # sessions are open, and clients wait
        self.check_process(searched, nmid.pid, needed, self.planted, with_core=True)
        self.check_proc(searched, nmictl.pid)
        self.assertIsNone(nmictl.poll(), "it was to wait all the time")
        nmid.send_signal(signal.SIGTERM)
        lab.wait_for(lambda: "stopping: 5 actions" in nmid.err(), what="the first SIGTERM")
        self.assertEqual(nmid.stop(), 0)
        nmictl.send_signal(signal.SIGINT)  # else it asks for a minute what came of its action
        nmictl.wait(60)
        self.check_said(searched, self.planted)

    def inject_all(self, me):
        """Every outcome; a probe each; and what the contracts refuse."""
        a = self.address
        self.sim.set(a["refuses"], "completion", "D5")
        self.sim.set(a["silent"], "lose_response", "control:9")
        self.sim.set(a["silent"], "sel", "off")
        self.sim.set(a["busy"], "session_limit", "0")
        self.sim.set(a["blackhole"], "blackhole", "on")
        outcomes = set()
        body = '{"action": "inject_nmi", "nodes": ["%s"]}' % '", "'.join(a)
        status, data = self.ask(self.basic_port, "POST", "/agent/v1/actions", body, **me)
        self.assertEqual(status, 202, data)
        for identity in re.findall(rb'"id":"([^"]*)"', data):
            path = f"/agent/v1/actions/{identity.decode()}?wait=60"
            _, data = self.ask(self.basic_port, "GET", path, **me)
            outcomes |= set(re.findall(rb'"outcome":"(\w+)"', data))
        self.assertEqual(outcomes, {b"delivered", b"failed", b"unknown"})
        for name in a:
            self.ask(self.basic_port, "POST", f"/agent/v1/nodes/{name}/probe", **me)
        self.ask(self.basic_port, "POST", "/agent/v1/nodes/nowhere/actions",
                 '{"action": "inject_nmi"}', **me)
        self.ask(self.basic_port, "POST", "/agent/v1/nodes/md5/actions", '{"action": ', **me)

    def wrong_log_ins(self):
        rows = [("alice", self.secret("a wrong password of alice")),
                ("eve", self.marks["password of eve"]),
                ("nobody", self.secret("a password of nobody")),
                (self.secret("a password where the name stands"), "x")]
        for user, password in rows:
            status, _ = self.ask(self.basic_port, "GET", "/agent/v1/nodes",
                                 Authorization=self.basic(user, password))
            self.assertIn(status, (401, 403, 429), user)
        for header in ("Basic " + self.secret("what is no base64") + "!",
                       "Bearer " + self.secret("a bearer token")):
            self.ask(self.basic_port, "GET", "/agent/v1/nodes", Authorization=header)
        secret = self.secret("a password in the query")
        self.ask(self.basic_port, "GET", f"/agent/v1/nodes?password={secret}",
                 X_Password=self.secret("a header of nobody's"))

    def tokens(self):
        self.keystone.fault("GET", "/auth/tokens", "status=503", times=1)
        for user, scope in (("admin", {"system": True}), ("alice", {"project": "demo"}),
                            ("rita", {"project": "demo"}), ("bob", {}),
                            ("admin", {"project": "admin", "expires_s": -5})):
            token = self.keystone.issue(user, **scope)
            self.marks[f"token {len(self.marks)} of {user}"] = token
            self.ask(self.token_port, "GET", "/agent/v1/nodes", X_Auth_Token=token)
            self.ask(self.token_port, "POST", "/v2.1/servers/md5/action", '{"inject_nmi": null}',
                     X_Auth_Token=token)
        self.admin_token = self.keystone.issue("admin", system=True)
        self.marks["token of admin"] = self.admin_token
        self.assertEqual(self.ask(self.token_port, "GET", "/agent/v1/nodes",
                                  X_Auth_Token=self.admin_token)[0], 200)
        self.ask(self.token_port, "GET", "/agent/v1/nodes",
                 X_Auth_Token=self.secret("what is no token"))
        self.ask(self.token_port, "GET", "/agent/v1/nodes",
                 X_Auth_Token=self.secret("a token of 6000 bytes", 6000))

    def read_all(self, me):
        for path in ("/", "/healthz", "/metrics", "/agent/v1", "/agent/v1/nodes",
                     f"/agent/v1/nodes/{self.planted}", "/agent/v1/nodes/kg", "/agent/v1/actions",
                     "/agent/v1/audit", "/v1/nodes/detail", "/v1/nodes/" + lab.node_uuid("kg"),
                     "/v2.1/servers/detail"):
            self.ask(self.basic_port, "GET", path, **me)
            self.ask(self.basic_port, "GET", path)

    def reloads(self, nmid):
        """Good ones and broken ones, where the mistake stands beside a secret or in it."""
        good = self.conf.read_text()
        mistakes = [
            f"{self.planted} = 1;\n",  # which is said
            f'password = "{self.secret("a secret at the top")}";\n',
            f'auth = {{ strategy = "{self.secret("a secret as a strategy")}"; }};\n',
            f'callback2 = {{ hmac_key = "{self.secret("a secret in an unknown group")}" }}\n',
            f'"{self.secret("a secret without a key")}"\n',
            f'x = "{self.secret("a secret that never ends")}\n',
            f'{self.secret("a secret without quotes")}\n',
            f'hold_off_s = "{self.secret("a secret as a number")}";\n',
        ]
        for text in mistakes:
            self.conf.write_text(good + text)
            self.hang_up(nmid, "was not reloaded")
        self.assertIn(f"{self.planted}: unknown key", nmid.err())
        where = good.index("ipmi_password_file = ")
        for value in (self.secret("a password where its file stands"),
                      self.secret("another") + "/" + self.secret("a third"),
                      "$CREDENTIALS_DIRECTORY/" + mark(), "$CREDENTIALS_DIRECTORY"):
            self.conf.write_text(good[:where] + f'ipmi_password_file = "{value}"; #'
                                 + good[where:].replace(";", ";\n", 1))
            self.hang_up(nmid, "was not reloaded")
        password = self.secret("a BMC password that is too long", 60)
        where = good.index("ipmi_password = ")
        self.conf.write_text(good[:where] + f'ipmi_password = "{password}"; #'
                             + good[where:].replace(";", ";\n", 1))
        self.hang_up(nmid, "was not reloaded")
        self.conf.write_text(good)
        os.chmod(self.conf, 0o644)
        self.hang_up(nmid, "was not reloaded")
        os.chmod(self.conf, 0o600)
        self.hang_up(nmid, "reloaded: ")

    def hang_up(self, nmid, expected):
        before = len(nmid.err())
        nmid.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: re.search("reloaded.*\n", nmid.err()[before:]), 20, "a reload")
        self.assertIn(expected, nmid.err()[before:])

    def over_tls(self, me):
        for _ in range(3):
            status, _ = self.ask(self.tls_port, "GET", "/agent/v1/nodes", tls=self.tls, **me)
            self.assertEqual(status, 200)
        self.ask(self.tls_port, "GET", "/agent/v1/nodes", tls=self.tls,
                 Authorization=self.basic("alice", self.secret("a wrong password over TLS")))

    def command_line(self):
        url = ["-u", f"http://127.0.0.1:{self.basic_port}", "--user", "alice"]
        password = self.marks["password of alice"]
        self.assertEqual(self.nmictl_run("nodes", [*url, "nodes"], NMID_PASSWORD=password)[0], 0)
        self.nmictl_run("wrong", [*url, "nodes"], NMID_PASSWORD=self.secret("nmictl's mistake"))
        self.nmictl_run("audit", [*url, "audit"], NMID_PASSWORD=password)
        tokens = ["-u", f"http://127.0.0.1:{self.token_port}"]
        path = self.secret_file("token", self.admin_token)
        code, said = self.nmictl_run("token", [*tokens, "--token-file", path, "nodes"])
        self.assertEqual(code, 0, said)
        self.keystone.add_user("carl", "demo", ["member"], password=self.secret("carl's password"))
        openrc = {"OS_AUTH_URL": self.keystone.auth_url, "OS_USERNAME": "carl",
                  "OS_PASSWORD": self.marks["carl's password"], "OS_PROJECT_NAME": "demo",
                  "OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
        code, said = self.nmictl_run("openrc", [*tokens, "nodes"], **openrc)
        self.assertEqual(code, 0, said)
        self.nmictl_run("openrc, wrong", [*tokens, "nodes"],
                        **{**openrc, "OS_PASSWORD": self.secret("not carl's password")})
        for request in self.keystone.requests:  # the tokens that it gave
            if request.method == "GET" and "X-Subject-Token" in request.headers:
                self.marks[f"token {len(self.marks)}"] = request.headers["X-Subject-Token"]
                self.marks[f"token {len(self.marks)}"] = request.headers["X-Auth-Token"]

    def under_way(self, me, nmid):
        """Five injections whose answers do not come, and who waits for them; one of them is nmictl,
        which is returned. And callbacks that are not answered."""
        for name in self.address:
            self.sim.control(f"reset {self.address[name]}")
        for name in ("md5", "plain", "suite3", "kg", self.planted):
            short = "planted" if name == self.planted else name
            self.sim.set(self.address[name], "password", self.marks[f"BMC password of {short}"])
            self.sim.set(self.address[name], "control_delay_ms", "600000")
        self.sim.set(self.address["plain"], "auth_types", "password")
        self.sim.set(self.address["kg"], "k_g", self.marks["K_g as it is written"])
        self.conf.write_text(self.conf.read_text().replace("answer_ms = 300", "answer_ms = 600000")
                             .replace("timeout_ms = 1500", "timeout_ms = 600000"))
        self.hang_up(nmid, "reloaded: ")
        connection = http.client.HTTPConnection("127.0.0.1", self.receiver_port())
        connection.request("PUT", "/", "hang")
        connection.getresponse().read()
        connection.close()
        waiting = [threading.Thread(target=self.ask_in_vain, daemon=True, args=(
            self.basic_port, "POST", f"/v2.1/servers/{lab.node_uuid(name)}/action",
            '{"inject_nmi": null}'), kwargs=me) for name in ("md5", "plain", "suite3", "kg")]
        for thread in waiting:
            thread.start()
        lab.wait_for(lambda: sum(self.sim.counters(self.address[name])["control_4"] for name in
                                 ("md5", "plain", "suite3", "kg")) == 4, 20, "four Chassis Control")
        nmictl = self.start([lab.built("nmictl"), "-u", f"http://127.0.0.1:{self.basic_port}",
                             "--user", "alice", "inject-nmi", self.planted],
                            NMID_PASSWORD=self.marks["password of alice"])
        nmictl.allowed |= set(range(256))
        lab.wait_for(lambda: self.sim.counters(self.address[self.planted])["control_4"] == 1
                     or nmictl.poll() is not None, 20, "nmictl's injection")
        self.assertIsNone(nmictl.poll(), nmictl.err())
        return nmictl

    def receiver_port(self):
        return int(self.receiver_url.rsplit(":", 1)[1])


def enter():
    """Goes on in a mount namespace of its own, where the test can be the system's journal; or
    without that."""
    unshare = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    with contextlib.suppress(FileNotFoundError):
        tried = subprocess.run([*unshare, "mount", "-t", "tmpfs", "tmpfs", "/run"],
                               capture_output=True, check=False)
        if tried.returncode == 0:
            os.environ[INSIDE] = "1"
            os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
    print("no mount namespace here: what goes to the system's journal is not looked into")


if __name__ == "__main__":
    if INSIDE not in os.environ:
        enter()
    lab.main(needs=("htpasswd", "gcore", "openssl"))
