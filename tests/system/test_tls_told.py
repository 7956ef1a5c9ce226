# SPDX-License-Identifier: GPL-3.0-or-later
"""What nmid tells of TLS, and what it is told: subjects as openssl prints them, why a handshake
failed, which certificate is in force and until when."""
import json
import os
import pathlib
import re
import subprocess
import unittest

import lab
import pki
from pki import openssl
from test_tls import HEALTH, NODES, TlsCase, answer, text_of

DAY = 86400
SHIM = "tests/system/clock_shim.so"
METRICS = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Told(TlsCase):
    def setUp(self):
        super().setUp()
        self.bob = self.pki.client("CN=bob,O=example", self.ca)

    def verifying(self, **keys):
        return self.tls(client_ca_file=self.ca.certificate, **keys)

    def metrics(self, client=None):
        text = self.assert_serves(client, METRICS).decode()
        return dict(re.findall(r"^(nmid_tls_[^ ]*) (\S+)$", text, re.M))

    def failed(self, metrics):
        return {cause: int(value) for cause, value in
                (re.fullmatch(r'nmid_tls_handshakes_failed_total\{cause="(\w+)"\}=(\d+)',
                              f"{name}={value}").groups()
                 for name, value in metrics.items() if "failed" in name)}

    def ends(self, issued, form="%Y-%m-%dT%H:%M:%SZ"):
        """When a certificate expires, as the log has it; "+%s": UNIX time."""
        line = openssl("x509", "-in", issued.certificate, "-noout", "-enddate", "-dateopt", "iso_8601")
        text = re.sub(r"notAfter=(\S+) (\S+)Z\n", r"\1T\2Z", line)
        if form != "+%s":
            return text
        done = subprocess.run(["date", "-u", "-d", text, form], capture_output=True, text=True,
                              check=True)
        return done.stdout.strip()


class Subjects(Told):
    """A subject that openssl prints is the subject of nmid.conf."""

    def issue(self, subject):
        """A client's certificate, with a subject as openssl req takes it."""
        base = self.unique("client")
        base.touch()  # taken
        self.pki.key(f"{base}.key")
        pathlib.Path(f"{base}.cnf").write_text(
            f"[req]\ndistinguished_name = dn\n[dn]\n[ext]\n{pki.LEAF}extendedKeyUsage = clientAuth\n")
        openssl("req", "-new", "-key", f"{base}.key", "-out", f"{base}.csr", "-utf8", "-subj",
                subject, "-config", f"{base}.cnf")
        openssl("x509", "-req", "-in", f"{base}.csr", "-out", f"{base}.pem", "-days", "2",
                "-CA", self.ca.certificate, "-CAkey", self.ca.key, "-CAcreateserial",
                "-extfile", f"{base}.cnf", "-extensions", "ext")
        return pki.Issued(f"{base}.pem", f"{base}.key", self.ca)

    def test_what_openssl_prints(self):
        """And what nmid's own 403 prints."""
        rows = ["/O=example/CN=Müller", "/O=example/CN=mu+UID=7", "/O=example/UID=7+CN=mu+OU=ops",
                "/O=example/CN=carol/emailAddress=carol@example.com", "/CN=a, b\\+c/O=\"d\" <e>;\\\\",
                "/CN= x /OU=#1", "/C=DE/ST=Berlin/L=Berlin/street=Weg 1/postalCode=1/GN=a/SN=b/title=t",
                "/DC=net/DC=example/serialNumber=77+CN=x", "/organizationIdentifier=abc/CN=org",
                "/jurisdictionC=DE/businessCategory=x/CN=ev", "/x500UniqueIdentifier=1/CN=u",
                "/CN=\U0001f4a5/dnQualifier=q/pseudonym=p/initials=i/generationQualifier=g"]
        clients = [self.issue(row) for row in rows]
        printed = [openssl("x509", "-in", client.certificate, "-noout", "-subject", "-nameopt",
                           "RFC2253").removeprefix("subject=").rstrip("\n") for client in clients]
        need = {"strategy": "client_certificate",
                "users": [{"subject": "CN=nobody", "roles": ["admin"]}]}
        self.serve(tls=self.verifying(), auth=need)
        refused = []
        for client in clients:
            with self.connect(client) as connection:
                connection.sendall(NODES)
                status, body = answer(connection)
            self.assertEqual(status, 403, body)
            message = json.loads(body)["error"]["message"]
            refused.append(re.fullmatch(r"The client certificate of (.*) is in no entry of "
                                        r"auth.users of nmid.conf\.", message).group(1))
        for form in (printed, refused):
            users = [{"subject": text, "name": f"user{i}", "roles": ["admin"], "system": True}
                     for i, text in enumerate(form)]
            self.daemon.reload(listen=[{
                "address": "127.0.0.1", "port": 0, "tls": self.verifying(),
                "auth": {"strategy": "client_certificate", "users": users}}])
            self.assertNotIn("was not reloaded", self.daemon.log())
            for text, client in zip(form, clients):
                got = self.ask(client, NODES)
                self.assertEqual(got[0], 200, (text, got))


class Check(Told):
    """What `nmid -t` says."""

    def check(self, *listeners):
        path = self.unique("nmid.conf")
        path.touch(mode=0o600)
        path.write_text(f"listen = {lab.libconfig(list(listeners))};\nnodes = ();\n"
                        f'state_dir = "{self.dir}";\n')
        done = subprocess.run([lab.built("nmid"), "-t", "-c", path], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        return [re.sub(r"^.*nmid\.conf:\d+: ", "", line) for line in done.stderr.splitlines()
                if "nodes: there are none" not in line and "every user of this host" not in line]

    def tcp_listener(self, port=0, **tls):
        return {"address": "127.0.0.1", "port": port, "tls": self.tls(**tls)}

    def test_files_that_hold_something_else(self):
        """Each kind of file that is no certificate, no key, no list, in the same words."""
        others = {"empty": b"", "garbage": bytes(range(256)) * 9, "words": b"nonsense\n",
                  "damaged": b"-----BEGIN %s-----\n!!!!\n-----END %s-----\n"}
        others["der"] = subprocess.run(["openssl", "x509", "-in", self.web.certificate, "-outform",
                                        "DER"], capture_output=True, check=True).stdout
        crl = self.pki.crl(self.ca)
        for what, key, tls in (("CERTIFICATE", "certificate_file", {}),
                               ("PRIVATE KEY", "key_file", {}), ("CERTIFICATE", "client_ca_file", {}),
                               ("X509 CRL", "client_crl_file",
                                {"client_ca_file": self.ca.certificate})):
            name = {"PRIVATE KEY": "private key", "X509 CRL": "CRL"}.get(what, "certificate")
            here = dict(others, key=text_of(self.web.key).encode(), crl=text_of(crl).encode(),
                        certificate=text_of(self.web.certificate).encode())
            for own in {"private key": ["key"], "CRL": ["crl"], "certificate": ["certificate"]}[name]:
                del here[own]
            for kind, data in here.items():
                path = self.unique(f"{key}-{kind}")
                path.touch(mode=0o600)
                path.write_bytes(data.replace(b"%s", what.encode()))
                lines = self.check(self.tcp_listener(**tls, **{key: path}))
                self.assertEqual(lines, [f"listen.tls.{key}: {path}: it holds no {name} (PEM)"],
                                 (kind, key))

    def test_two_mistakes_at_once(self):
        lines = self.check(self.tcp_listener(client_ca_file=self.ca.certificate, version_min="1.1",
                                             verify_client="perhaps"))
        self.assertEqual(lines, ['listen.tls.version_min: expected "1.2" or "1.3"',
                                 'listen.tls.verify_client: expected "required" or "optional"'])
        lines = self.check(self.tcp_listener(client_ca_file=7, verify_client="perhaps",
                                             client_crl_file="/x"))
        self.assertEqual(lines, ["listen.tls.client_ca_file: expected a string (in double quotes)"])

    def test_without_an_address(self):
        listener = self.tcp_listener()
        del listener["address"]
        self.assertEqual(self.check(listener),
                         ["listen.address: missing: expected address or socket"])
        self.assertEqual(self.check({**listener, "address": 7}),
                         ["listen.address: expected a string (in double quotes)"])
        self.assertEqual(self.check({**listener, "address": "127.0.0.1", "socket": "/s"}),
                         ["listen.socket: stands beside address: expected one of them"])
        self.assertIn("listen.surprise: unknown key", self.check({**listener, "surprise": 1}))

    def test_a_list_for_one_of_two(self):
        ca, crl = self.ca.certificate, self.pki.crl(self.ca)
        whole, bare = ({"client_ca_file": ca, "client_crl_file": crl}, {"client_ca_file": ca})
        other = {"client_ca_file": self.pki.ca("other").certificate}
        for first, second, without in ((whole, bare, 7002), (bare, whole, 7001)):
            lines = self.check(self.tcp_listener(7001, **first), self.tcp_listener(7002, **second))
            self.assertEqual(lines, [
                f"listen.tls: 127.0.0.1 port {without} has no client_crl_file, and lets in whom that "
                f"of 127.0.0.1 port {14003 - without} revokes: their client_ca_file is the same"])
        for first, second in ((whole, whole), (bare, bare), (whole, other), (other, bare), (whole, {})):
            self.assertEqual(self.check(self.tcp_listener(7001, **first),
                                        self.tcp_listener(7002, **second)), [])


class Failures(Told):
    def test_subject_reason_and_date(self):
        carol = self.pki.expired("CN=carol,O=example", self.ca)
        dave = self.pki.client("CN=dave", self.ca)
        crl = self.pki.crl(self.ca, [dave])
        told = []
        for client, words in (
                (carol, "CN=carol,O=example: the certificate chain uses expired certificate "
                        f"(it expired on {self.ends(carol)})"),
                (self.pki.future("CN=erin", self.ca), "CN=erin: the certificate chain uses not yet "
                                                      "valid certificate (it is not valid before 20"),
                (dave, "CN=dave: the certificate chain is revoked"),
                (self.pki.client("CN=eve", self.pki.ca("other")),
                 "CN=eve: the certificate issuer is unknown")):
            self.serve(tls=self.verifying(client_crl_file=crl))
            context = self.context()
            context.load_cert_chain(client.certificate, client.key)
            for _ in range(3):
                self.assertIsInstance(self.ask(context=context), str)
            self.logged(f"TLS with 127.0.0.1 failed: {words}")
            self.assertEqual(self.daemon.log().count("TLS with"), 1)
            told.append(words)
            self.assertIsInstance(self.ask(), str)  # another cause, behind it
            self.logged("TLS with 127.0.0.1 failed: the client has no certificate")
            self.assertEqual(self.failed(self.metrics(self.bob)),
                             {"client_certificate": 3, "no_certificate": 1, "no_tls": 0,
                              "nothing_in_common": 0, "broken_off": 0})
            self.daemon.stop()
        self.assertEqual(len(told), 4)

    def test_each_has_its_line(self):
        """From one address, within a minute: why each was refused is told, and how often is said only
        of itself."""
        alice = self.pki.client("CN=alice,O=example", self.ca)
        other = self.pki.ca("other")
        refused = [(self.pki.client("CN=mallory", other), "CN=mallory: the certificate issuer is unknown"),
                   (self.pki.client("CN=alice,O=example", other),
                    "CN=alice,O=example: the certificate issuer is unknown"),
                   (self.pki.expired("CN=alice,O=example", self.ca), "CN=alice,O=example: the "
                    "certificate chain uses expired certificate"),
                   (self.pki.future("CN=alice,O=example", self.ca), "CN=alice,O=example: the "
                    "certificate chain uses not yet valid certificate"),
                   (self.pki.sign("CN=alice,O=example", self.ca, f"{pki.LEAF}extendedKeyUsage = "
                                  "serverAuth\n"), "CN=alice,O=example: the certificate chain does "
                                                   "not match the intended purpose"),
                   (alice, "CN=alice,O=example: the certificate chain is revoked")]
        self.serve(tls=self.verifying(client_crl_file=self.pki.crl(self.ca, [alice])))
        for _ in range(3):
            for client, _ in refused:
                context = self.context()
                context.load_cert_chain(client.certificate, client.key)
                self.assertIsInstance(self.ask(context=context), str)
        lab.wait_for(lambda: self.failed(self.metrics(self.bob))["client_certificate"] == 18, 20, "all")
        for _, words in refused:
            self.assertEqual(self.daemon.log().count(f"TLS with 127.0.0.1 failed: {words}"), 1, words)
        self.assertEqual(self.daemon.log().count("TLS with"), len(refused))
        self.assertNotIn("more since", self.daemon.log())

    def test_a_hostile_subject(self):
        """It is the client's own words, from an authority of its own."""
        other = self.pki.ca("other")
        long = self.pki.client("CN=" + "x" * 60 + ",OU=" + "y" * 60 + ",O=" + "ü" * 60, other)
        self.serve(tls=self.verifying())
        context = self.context()
        context.load_cert_chain(long.certificate, long.key)
        self.assertIsInstance(self.ask(context=context), str)
        lab.wait_for(lambda: "TLS with" in self.daemon.log())
        line = re.search(r"TLS with 127.0.0.1 failed: (CN=x{60},OU=y{60},O=ü+)\.\.\.: the certificate "
                         r"issuer is unknown", self.daemon.log())
        self.assertLessEqual(len(line.group(1).encode()), 200)

    def test_the_count_outlives_a_reload(self):
        self.serve()
        self.assertEqual(self.failed(self.metrics())["no_tls"], 0)
        with self.tcp() as plain:
            plain.sendall(HEALTH)
            self.until_closed(plain, 20)
        self.daemon.reload()
        self.assertEqual(self.failed(self.metrics())["no_tls"], 1)


class InForce(Told):
    def start(self, argv, cwd=None, **env):
        if argv[0] == lab.built("nmid"):
            self.clock = self.dir / "clock"
            if not self.clock.exists():
                self.shift(0)
            env.update(LD_PRELOAD=lab.built(SHIM), CLOCK_SHIM=self.clock,
                       ASAN_OPTIONS=":".join(filter(None, [os.environ.get("ASAN_OPTIONS"),
                                                           "verify_asan_link_order=0"])))
        return super().start(argv, cwd, **env)

    def shift(self, days):
        with open(self.clock, "r+b" if self.clock.exists() else "wb", buffering=0) as file:
            file.write(f"{days * DAY:20d} {days * DAY:20d}\n".encode())

    def test_at_the_start_and_when_it_changes(self):
        self.serve()
        where = f"127.0.0.1:{self.daemon.port}"
        self.assertIn(f"listening on {where} with TLS: CN=web, until {self.ends(self.web)}\n",
                      self.daemon.log())
        gauge = f'nmid_tls_certificate_expires_seconds{{listener="{where}"}}'
        self.assertEqual(self.metrics()[gauge], self.ends(self.web, "+%s"))
        self.assertNotIn("TLS of", self.daemon.reload())  # nothing new
        new = self.pki.server("new", ["localhost"], self.ca, end=80)
        log = self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0, "tls": self.tls(new)}])
        self.assertIn(f"TLS of {where} has another certificate now: CN=new, until {self.ends(new)}\n",
                      log)
        self.assertEqual(self.metrics()[gauge], self.ends(new, "+%s"))
        self.assertNotIn("TLS of", self.daemon.reload())

    def test_the_first_of_the_chain_counts(self):
        between = self.pki.intermediate("between", self.ca)  # 60 days
        web = self.pki.server("web", ["localhost"], between, end=300)
        self.serve(tls=self.tls(web))
        own, above = self.ends(web), self.ends(between)
        self.assertLess(above, own)
        self.assertIn(f"CN=web, until {above}\n", self.daemon.log())

    def test_once_a_day(self):
        self.serve()
        if lab.sanitized():
            raise unittest.SkipTest("a sanitizer's clock_gettime() comes before the shim's")
        ends = self.ends(self.web)  # in 60 days
        words = f"TLS of 127.0.0.1:{self.daemon.port}: the certificate of CN=web expire"

        def day(number, count):
            self.shift(number)
            def passed():
                with self.tcp() as plain:  # nothing else wakes it
                    plain.sendall(b"?")
                return self.daemon.log().count(words) == count
            lab.wait_for(passed, 20, f"day {number}")
        day(2, 0)
        day(29, 0)
        day(31, 1)
        self.assertIn(f"{words}s on {ends}\n", self.daemon.log())
        day(31, 1)
        day(33, 2)
        day(70, 3)
        self.assertIn(f"{words}d on {ends}\n", self.daemon.log())


if __name__ == "__main__":
    pki.require_tls()
    lab.main(needs=("openssl",))
