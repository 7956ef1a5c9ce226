#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl over TLS: whom it trusts, the certificate that it shows, and what it says when there is no
connection; against a fake nmid behind TLS, and against nmid itself, whose callers are known by their
certificates."""
import http.client
import json
import os
import re
import shutil
import ssl
import unittest
from pathlib import Path

from fake_nmid import FakeNmid
import lab
from nmictl_case import Case, environment, nmictl
from pki import Pki, openssl


def wrap(server, issued, maximum=ssl.TLSVersion.TLSv1_3, ca=None):
    """TLS for a fake's server; with ca it wants a client certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(issued.certificate, issued.key)
    context.maximum_version = maximum
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(ca.certificate)
    server.handle_error = lambda *_: None  # handshakes that fail are what this is about
    server.socket = context.wrap_socket(server.socket, server_side=True,
                                        do_handshake_on_connect=False)


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.pki = Pki(Path(self.temporary()))
        self.ca = self.pki.ca("site")
        self.other = self.pki.ca("other")
        self.good = self.pki.server("good", ["127.0.0.1"], self.ca)

    def serve(self, issued, **more):
        wrap(self.fake.server, issued, **more)
        self.url = self.fake.url.replace("http:", "https:")

    def run_tls(self, code, *args, env=None):
        result = nmictl("-u", self.url, *args, env=environment(**(env or {})))
        self.assertEqual(result.returncode, code,
                         "stdout:\n%s\nstderr:\n%s" % (result.stdout, result.stderr))
        return result

    def assert_not_reached(self, words, *args, env=None):
        """Exit code 4 for whatever is asked, in these words; nothing came of it."""
        result = self.run_tls(4, *args, "nodes", env=env)
        self.assertIn(words, result.stderr)
        # An alert that a reset has overtaken is no reason yet: nmictl says that it tries again.
        told = [line for line in result.stderr.splitlines() if not line.endswith("trying again")]
        self.assertEqual(len(told), 1, result.stderr)
        result = self.run_tls(4, *args, "-f", "json", "inject-nmi", "n1", env=env)
        self.assertIn(words, result.stdout + result.stderr)
        result = self.run_tls(0, *args, "version", env=env)
        self.assertIn(words, result.stderr)
        self.assertEqual((self.fake.requests, self.fake.posts), ([], []))


class Server(Tls):
    """nmid's certificate."""

    def test_trusted(self):
        self.serve(self.good)
        folder = os.path.join(self.temporary(), "cas")
        os.mkdir(folder)
        shutil.copy(self.other.certificate, folder)
        shutil.copy(self.ca.certificate, folder)
        for args, env in ((("--cacert", self.ca.certificate), {}), (("--cacert", folder), {}),
                          # that of nmid itself stands for a CA
                          (("--cacert", self.good.certificate), {}),
                          ((), {"NMID_CACERT": self.ca.certificate}),
                          (("--cacert", self.ca.certificate), {"NMID_CACERT": "/nowhere"})):
            result = self.run_tls(0, *args, "nodes", env=env)
            self.assertIn("n1", result.stdout)
            self.assertEqual(result.stderr, "")
        result = self.run_tls(0, "--cacert", self.ca.certificate, "inject-nmi", "n[1-4]")
        self.assertEqual(self.fake.injections, {f"n{i}": 1 for i in range(1, 5)})
        self.assertIn("4 delivered", result.stdout)

    def test_not_trusted(self):
        self.serve(self.good)
        unknown = f"the certificate of {self.url} is not signed by a CA that is known here; "
        self.assert_not_reached(unknown + "--cacert FILE names one")
        # Neither libcurl's command nor OpenSSL's variables count, nor Keystone's.
        self.assert_not_reached(unknown + "--cacert FILE names one", env={
            "SSL_CERT_FILE": self.ca.certificate, "CURL_CA_BUNDLE": self.ca.certificate,
            "SSL_CERT_DIR": os.path.dirname(self.ca.certificate),
            "OS_CACERT": self.ca.certificate})
        self.assert_not_reached(unknown + "nor is that CA in --cacert", "--cacert",
                                self.other.certificate)

    def test_bad_certificates(self):
        here = ["127.0.0.1"]
        for issued, words in (
                (self.pki.server("names", ["nmid.example"], self.ca), " is for other names: "),
                (self.pki.expired("expired", self.ca, here), " has expired"),
                (self.pki.future("future", self.ca, here), " is not valid yet"),
                (self.pki.server("good", here, self.other), " is not signed by a CA that is known")):
            with self.subTest(words):
                self.fake = FakeNmid([])
                self.fake.__enter__()
                self.addCleanup(self.fake.stop)
                self.serve(issued)
                self.assert_not_reached(f"the certificate of {self.url}{words}", "--cacert",
                                        self.ca.certificate)

    def test_old_versions(self):
        self.serve(self.good, maximum=ssl.TLSVersion.TLSv1_2)
        self.run_tls(0, "--cacert", self.ca.certificate, "nodes")

    def test_no_tls_there(self):
        self.url = self.fake.url.replace("http:", "https:")
        self.assert_not_reached(f"what listens at {self.url} does not speak TLS; is it http:?")

    def test_tls_unawares(self):
        self.serve(self.good)
        result = self.expect(4, "nodes")
        self.assertIn(f"what listens at {self.fake.url} gives no answer in HTTP; is it https:?",
                      result.stderr)

    def test_no_keys_are_told(self):
        """Whoever has a session's keys reads the password in it."""
        self.serve(self.good)
        path = os.path.join(self.temporary(), "keys")
        self.run_tls(0, "--cacert", self.ca.certificate, "nodes", env={"SSLKEYLOGFILE": path})
        self.assertFalse(os.path.exists(path))

    def test_secrets(self):
        """A password does not go in the clear, and goes to nobody else."""
        self.fake.users = {"alice": "a-password"}
        env = {"NMID_USER": "alice", "NMID_PASSWORD": "a-password"}
        self.serve(self.good)
        result = self.run_tls(0, "--cacert", self.ca.certificate, "nodes", env=env)
        self.assertEqual(result.stderr, "")
        self.fake.requests.clear()
        self.assert_not_reached("is not signed by", env=env)

    def test_an_answer_is_lost(self):
        """What has left is asked for again by its key, and the loss is not laid on a certificate."""
        self.serve(self.good)
        self.fake.fault("POST", "/actions$", "drop")
        result = self.run_tls(0, "--cacert", self.ca.certificate, "inject-nmi", "n1")
        self.assertEqual((result.stdout, result.stderr), ("n1  delivered\n", ""))
        self.assert_one_key(2)
        self.assertEqual(self.fake.injections, {"n1": 1})
        self.fake.fault("POST", "/actions$", "forget")
        result = self.run_tls(3, "--cacert", self.ca.certificate, "inject-nmi", "n2")
        self.assertIn("UNKNOWN", result.stdout)
        self.fake.fault("POST", "/actions$", "drop", 1000)
        result = self.run_tls(3, "--cacert", self.ca.certificate, "--timeout", "2", "inject-nmi", "n3")
        self.assertIn("UNKNOWN", result.stdout)
        self.assertIn(f"the connection to nmid at {self.url} was lost", result.stdout)
        self.assertNotIn("--cert", result.stdout + result.stderr)
        self.assertEqual(self.fake.injections["n3"], 1)


class Client(Tls):
    """The certificate that nmictl shows."""

    def setUp(self):
        super().setUp()
        self.mine = self.pki.client("CN=conductor,O=example", self.ca)
        self.trust = ("--cacert", self.ca.certificate)

    def shown(self, issued):
        return (*self.trust, "--cert", issued.certificate, "--key", issued.key)

    def test_wanted(self):
        for maximum in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2):
            with self.subTest(maximum):
                self.fake = FakeNmid([{**node} for node in self.fake.nodes])
                self.fake.__enter__()
                self.addCleanup(self.fake.stop)
                self.serve(self.good, maximum=maximum, ca=self.ca)
                both = self.temporary() + "/both.pem"
                with open(both, "wb") as file:
                    os.chmod(both, 0o600)
                    for path in (self.mine.certificate, self.mine.key):
                        file.write(Path(path).read_bytes())
                env = {"NMID_CACERT": self.ca.certificate, "NMID_CERT": self.mine.certificate,
                       "NMID_KEY": self.mine.key}
                self.run_tls(0, *self.shown(self.mine), "nodes")
                self.run_tls(0, *self.trust, "--cert", both, "nodes")
                self.run_tls(0, "inject-nmi", "n1", env=env)
                # The key of another certificate is not taken for this one's.
                self.run_tls(0, "--cert", both, "nodes", env={**env, "NMID_CERT": "/nowhere"})
                self.fake.requests.clear()
                self.fake.posts.clear()
                self.assert_not_reached("perhaps it wants a client certificate: --cert FILE",
                                        *self.trust)
                for issued in (self.pki.client("CN=conductor,O=example", self.other),
                               self.pki.expired("CN=late", self.ca)):
                    self.assert_not_reached("perhaps it does not trust --cert " + issued.certificate,
                                            *self.shown(issued))

    def test_strategy(self):
        """A nmid that lets everybody connect, and knows callers by their certificates."""
        self.serve(self.good)
        self.fake.strategy = "client_certificate"
        self.fake.users = {}
        result = self.run_tls(4, *self.trust, "nodes")
        self.assertIn(f"nmid at {self.url} wants a client certificate: --cert FILE (and --key FILE)",
                      result.stderr)
        result = self.run_tls(4, *self.trust, "inject-nmi", "n1")
        self.assertIn("nothing was sent", result.stderr)
        result = self.run_tls(2, *self.trust, "--user", "alice", "nodes",
                              env={"NMID_PASSWORD": "a-password"})
        self.assertIn("asks for a client certificate (--cert), and not for a user and a password: "
                      "leave --user out", result.stderr)
        # Nothing was asked for that nmid would have refused and recorded.
        self.assertEqual(set(self.fake.requests), {("GET", "/healthz")})
        self.fake.users = None
        result = self.run_tls(0, *self.shown(self.mine), "nodes",
                              env={"NMID_USER": "alice", "NMID_PASSWORD": "a-password",
                                   "OS_TOKEN": "a-token"})
        self.assertIn("warning: nmid asks for no password", result.stderr)
        self.assertEqual({pair for pair in self.fake.credentials}, {(None, None)})

    def usage(self, words, *args, env=None):
        result = self.run_tls(2, *self.trust, *args, "nodes", env=env)
        self.assertIn(words, result.stderr)
        self.assertEqual(self.fake.requests, [])

    def test_files(self):
        self.serve(self.good)
        folder = self.temporary()
        text = Path(folder, "text")
        text.write_text("no certificate\n")
        text.chmod(0o600)
        open_key = shutil.copy(self.mine.key, folder + "/open.key")
        os.chmod(open_key, 0o604)
        locked = self.pki.key(folder + "/locked.key", passphrase="a-passphrase")
        old = folder + "/old.key"
        openssl("ec", "-in", self.mine.key, "-aes128", "-passout", "pass:a-passphrase", "-out", old)
        os.chmod(old, 0o600)
        os.mkfifo(folder + "/fifo")
        cert, key = self.mine.certificate, self.mine.key
        self.usage("--cert /nowhere: No such file", "--cert", "/nowhere")
        self.usage(f"--cert {text} holds no certificate, as PEM", "--cert", text, "--key", key)
        self.usage(f"--key {text} holds no private key, as PEM", "--cert", cert, "--key", text)
        self.usage(f"--key is not given, and --cert {cert} holds no private key, as PEM", "--cert",
                   cert)
        self.usage(f"--key {open_key} is readable by others: chmod 600 it", "--cert", cert, "--key",
                   open_key)
        for path in (locked, old):
            self.usage(f"--key {path} has a passphrase", "--cert", cert, "--key", path)
        self.usage(f"--cert {folder} is no file", "--cert", folder, "--key", key)
        self.usage(f"--cert {folder}/fifo is no file", "--cert", folder + "/fifo", "--key", key)
        self.usage("--key, or NMID_KEY, wants a --cert", "--key", key)
        self.usage("--cacert /nowhere: No such file", "--cacert", "/nowhere")
        for path in (text, key):
            self.usage(f"--cacert {path} holds no certificate, as PEM", "--cacert", path)
        self.usage("--cert /nowhere: No such file", env={"NMID_CERT": "/nowhere"})
        another = self.pki.client("CN=another", self.ca)
        self.assert_not_reached("is it its key?", *self.trust, "--cert", cert, "--key", another.key)

    def test_other_urls(self):
        """An option that has no meaning is a mistake; what stands in the environment is left out."""
        env = {"NMID_CACERT": "/nowhere", "NMID_CERT": "/nowhere", "NMID_KEY": "/nowhere"}
        self.url = self.fake.url
        self.run_tls(0, "nodes", env=env)
        for url in (self.fake.url, "unix:/nowhere"):
            for option in ("--cacert", "--cert", "--key"):
                result = nmictl("-u", url, option, self.ca.certificate, "nodes")
                self.assertEqual(result.returncode, 2)
                self.assertIn(f"{option} is for a nmid with TLS, at https:, and not for {url}",
                              result.stderr)

    def test_no_way_around(self):
        for option in ("--insecure", "-k", "--no-verify"):
            self.assertEqual(nmictl("-u", "https://127.0.0.1:1", option, "nodes").returncode, 2)


class Daemon(lab.TestCase):
    """nmid itself, whose callers are known by their certificates."""

    USERS = [{"subject": "CN=conductor,OU=cloud,O=example", "name": "ironic", "roles": ["member"],
              "project_id": "demo"},
             {"subject": "CN=root,O=example", "roles": ["admin"], "system": True}]

    def setUp(self):
        self.pki = Pki(self.dir / "pki")
        self.ca = self.pki.ca("site")
        self.server = self.pki.server("nmid", ["127.0.0.1", "localhost"], self.ca)
        self.conductor = self.pki.client("CN=conductor,OU=cloud,O=example", self.ca)
        self.root = self.pki.client("CN=root,O=example", self.ca)
        self.stranger = self.pki.client("CN=stranger,O=example", self.ca)
        self.sim = self.bmcsim("--count", "4")

    def daemon(self, verify, **settings):
        nodes = [lab.node("n1", self.sim, self.sim.address(0)),
                 lab.node("n2", self.sim, self.sim.address(1), project_id="another")]
        nmid = self.nmid(nodes, listen=[{"address": "127.0.0.1", "port": 0, "tls": {
            "certificate_file": self.server.certificate, "key_file": self.server.key,
            "client_ca_file": self.ca.certificate, "verify_client": verify}}],
            auth={"strategy": "client_certificate", "users": self.USERS}, **settings)
        nmid.url = f"https://127.0.0.1:{nmid.port}"
        return nmid

    def ctl(self, nmid, issued, code, *args, **env):
        shown = ["--cert", issued.certificate, "--key", issued.key] if issued else []
        done = self.nmictl(nmid, "--cacert", self.ca.certificate, *shown, *args, env=env)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def ask(self, nmid, issued, method, path, body=None, headers=None):
        context = ssl.create_default_context(cafile=self.ca.certificate)
        if issued is not None:
            context.load_cert_chain(issued.certificate, issued.key)
        connection = http.client.HTTPSConnection("127.0.0.1", nmid.port, context=context, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read())
        finally:
            connection.close()

    def records(self, nmid, query):
        return json.loads(self.ctl(nmid, self.root, 0, "-f", "json", "audit", *query).stdout)["records"]

    def test_known_by_the_certificate(self):
        for verify in ("required", "optional"):
            with self.subTest(verify):
                nmid = self.daemon(verify)
                health = self.ask(nmid, self.root, "GET", "/healthz")[2]
                self.assertEqual(health["auth"], "client_certificate")
                nodes = self.ctl(nmid, self.conductor, 0, "nodes").stdout
                self.assertIn("n1", nodes)
                self.assertNotIn("n2", nodes)  # another project's
                self.assertIn("n2", self.ctl(nmid, self.root, 0, "nodes").stdout)
                before = self.sim.count(self.sim.address(0))
                self.ctl(nmid, self.conductor, 0, "inject-nmi", "n1")
                self.assertEqual(self.sim.count(self.sim.address(0)), before + 1)
                done = self.ctl(nmid, self.conductor, 1, "lock", "n1")
                self.assertIn("Policy doesn't allow", done.stdout + done.stderr)
                # Its name is good, but nmid.conf does not have it; and that is in the audit.
                done = self.ctl(nmid, self.stranger, 1, "nodes")
                self.assertIn("The client certificate of CN=stranger,O=example is in no entry of "
                              "auth.users of nmid.conf.", done.stderr)
                lab.wait_for(lambda nmid=nmid: self.records(nmid, ["--by", "CN=stranger,O=example"]),
                             what="the refusal")
                found = self.records(nmid, ["--by", "CN=stranger,O=example"])[0]
                self.assertEqual((found["decision"], found["operation"], found["code"]),
                                 ("refused", "authenticate", "forbidden"))
                self.assertTrue(self.records(nmid, ["--by", "ironic", "--node", "n1"]))
                nmid.stop()

    def test_none(self):
        nmid = self.daemon("optional")
        done = self.ctl(nmid, None, 4, "nodes")
        self.assertIn("wants a client certificate: --cert FILE", done.stderr)
        done = self.ctl(nmid, None, 4, "inject-nmi", "n1")
        done = self.ctl(nmid, None, 2, "--user", "alice", "nodes", NMID_PASSWORD="x")
        self.assertIn("leave --user out", done.stderr)
        self.assertEqual(self.records(nmid, ["--refused"]), [])
        # In each contract's words. Nothing else gets in here.
        for path, body in (
                ("/agent/v1/nodes", {"error": {"code": "unauthorized", "action_id": None,
                                               "message": "A client certificate is required."}}),
                ("/v2.1/servers", {"unauthorized": {"code": 401, "message":
                                                    "A client certificate is required."}}),
                ("/v1/nodes", {"error": {"code": 401, "message":
                                         "A client certificate is required."}})):
            for headers in ({}, {"Authorization": "Basic cm9vdDp4"}, {"X-Auth-Token": "x"}):
                status, answered, got = self.ask(nmid, None, "GET", path, None, headers)
                self.assertEqual((status, got), (401, body), path)
                self.assertIsNone(answered["WWW-Authenticate"])
        self.assertEqual(self.sim.count(self.sim.address(0)), 0)

    def test_refused_by_the_handshake(self):
        other = self.pki.ca("site")  # the same name, another key
        bad = (self.pki.client("CN=root,O=example", other),
               self.pki.expired("CN=root,O=example", self.ca),
               self.pki.future("CN=root,O=example", self.ca),
               self.server)
        for verify in ("required", "optional"):
            with self.subTest(verify):
                nmid = self.daemon(verify)
                for issued in bad:
                    done = self.ctl(nmid, issued, 4, "inject-nmi", "n1")
                    self.assertIn("perhaps it does not trust --cert", done.stdout + done.stderr)
                if verify == "required":
                    done = self.ctl(nmid, None, 4, "nodes")
                    self.assertIn("perhaps it wants a client certificate: --cert FILE", done.stderr)
                self.assertEqual(self.records(nmid, ["--refused"]), [])
                nmid.stop()
        self.assertEqual(self.sim.count(self.sim.address(0)), 0)

    def test_reload(self):
        """Who is taken out of nmid.conf is out; a name may be given to another subject."""
        nmid = self.daemon("optional")
        self.ctl(nmid, self.conductor, 0, "nodes")
        context = ssl.create_default_context(cafile=self.ca.certificate)
        context.load_cert_chain(self.conductor.certificate, self.conductor.key)
        kept = http.client.HTTPSConnection("127.0.0.1", nmid.port, context=context, timeout=60)
        self.addCleanup(kept.close)

        def status():
            kept.request("GET", "/agent/v1/nodes")
            answer = kept.getresponse()
            answer.read()
            return answer.status
        self.assertEqual(status(), 200)
        socket = kept.sock
        nmid.reload(auth={"strategy": "client_certificate", "users": [
            {**self.USERS[0], "subject": "CN=nobody,O=example"}, self.USERS[1]]})
        self.assertEqual(status(), 403)  # on the same connection
        self.assertIs(kept.sock, socket)
        self.ctl(nmid, self.conductor, 1, "nodes")
        log = nmid.reload(auth={"strategy": "client_certificate", "users": [
            self.USERS[1], {**self.USERS[1], "subject": "cn=root, o=example"}]})
        self.assertIn("auth.users.subject: CN=root,O=example is listed twice", log)
        self.ctl(nmid, self.root, 0, "nodes")

    def test_needs_tls(self):
        nmid = self.daemon("optional")
        tls = dict(nmid.settings["listen"][0]["tls"])
        for listener in ({"address": "127.0.0.1", "port": nmid.port},
                         {"socket": str(self.dir / "s")},
                         {"address": "127.0.0.1", "port": nmid.port, "tls": {
                             key: tls[key] for key in ("certificate_file", "key_file")}}):
            log = nmid.reload(listen=[listener])
            self.assertRegex(log, r'auth "client_certificate" needs tls = .*client_ca_file')
            self.assertIn("was not reloaded", log)
        self.ctl(nmid, self.root, 0, "nodes")


if __name__ == "__main__":
    if shutil.which("openssl") is None:
        print("skipped: not installed: openssl")
        raise SystemExit(77)
    unittest.main(verbosity=2)
