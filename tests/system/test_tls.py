# SPDX-License-Identifier: GPL-3.0-or-later
"""TLS on a listener, against a running nmid: which certificates, versions and ciphers are taken and
which are not, what a reload changes, what waits and what is large, and what hostile clients get."""
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import warnings

import lab
import pki
from pki import Pki, openssl

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
NODES = b"GET /agent/v1/nodes HTTP/1.1\r\nHost: localhost\r\n\r\n"
INJECT = b"POST /v2.1/servers/n0/action HTTP/1.1\r\nHost: localhost\r\n" \
         b"Content-Type: application/json\r\nContent-Length: 20\r\n\r\n" b'{"inject_nmi": null}'


def text_of(path):
    with open(path, encoding="ascii") as file:
        return file.read()


def answer(client):
    """One answer of a connection: status, body."""
    response = http.client.HTTPResponse(client)
    response.begin()
    return response.status, response.read()


class TlsCase(lab.TestCase):
    def setUp(self):
        self.pki = Pki(self.dir / "pki")
        self.ca = self.pki.ca("site")
        self.web = self.pki.server("web", ["localhost", "127.0.0.1"], self.ca)

    def tls(self, web=None, **keys):
        web = web or self.web
        return {"certificate_file": web.certificate, "key_file": web.key, **keys}

    def serve(self, nodes=(), tls=None, auth=None, **settings):
        listener = {"address": "127.0.0.1", "port": 0, "tls": tls or self.tls()}
        if auth:
            listener["auth"] = auth
        nodes = nodes or ("n0",)
        self.sim = self.bmcsim("--count", len(nodes))
        nodes = [lab.node(name, self.sim, self.sim.address(i)) for i, name in enumerate(nodes)]
        self.daemon = self.nmid(nodes, listen=[listener], **settings)
        return self.daemon

    def context(self, client=None, ca=None):
        context = ssl.create_default_context(cafile=(ca or self.ca).certificate)
        if client is not None:
            context.load_cert_chain(client.certificate, client.key)
        return context

    def tcp(self):
        plain = socket.create_connection(("127.0.0.1", self.daemon.port), 20)
        self.addCleanup(plain.close)
        return plain

    def connect(self, client=None, ca=None, context=None):
        context = context or self.context(client, ca)
        wrapped = context.wrap_socket(self.tcp(), server_hostname="localhost")
        self.addCleanup(wrapped.close)
        return wrapped

    def ask(self, client=None, request=HEALTH, **how):
        """(status, body), or what went wrong, as text. In TLS 1.3 the client learns only with its
        first reading that its certificate was not taken."""
        try:
            with self.connect(client, **how) as connection:
                connection.sendall(request)
                return answer(connection)
        except (OSError, http.client.HTTPException) as error:
            return str(error)

    def ask_version(self, version, client=None):
        context = self.context(client)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
        return self.ask(context=context)

    def assert_serves(self, client=None, request=HEALTH, **how):
        got = self.ask(client, request, **how)
        self.assertEqual(got[0], 200, got)
        return got[1]

    def assert_refused(self, pattern, *args, **how):
        got = self.ask(*args, **how)
        self.assertIsInstance(got, str, got)
        self.assertRegex(got, pattern)

    def until_closed(self, client, limit):
        """Everything until the other side ends it, which it does before the limit."""
        client.settimeout(limit)
        data = b""
        try:
            while True:
                more = client.recv(65536)
                if not more:
                    return data
                data += more
        except ConnectionError:
            return data

    def logged(self, text, count=1):
        lab.wait_for(lambda: self.daemon.log().count(text) == count, 20, text)

    def processor(self):
        """Seconds of a processor that the daemon's own thread has had so far."""
        pid = self.daemon.process.pid
        with open(f"/proc/{pid}/task/{pid}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0]) / 1e9

    def descriptors(self):
        return lab.descriptors(self.daemon.process.pid)


class Server(TlsCase):
    """The listener's own certificate, versions and ciphers."""

    def test_an_answer_and_who_is_trusted(self):
        self.serve(["n0"])
        body = json.loads(self.assert_serves(request=NODES))
        self.assertEqual(len(body["nodes"]), 1)
        self.assert_refused("CERTIFICATE_VERIFY_FAILED", ca=self.pki.ca("other"))
        self.logged("TLS with 127.0.0.1 failed: it broke off when it had seen the certificate")
        versions = self.assert_serves(request=HEALTH.replace(b"/healthz", b"/v1/nodes")).decode()
        self.assertIn('"https://localhost', versions)
        self.assertNotIn('"http://', versions)

    def test_versions(self):
        self.serve()
        for version in (ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1):
            self.assertIsInstance(self.ask_version(version), str)
        self.logged("failed: it offered no version or cipher that is taken here")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            self.assertEqual(self.ask_version(version)[0], 200)
        self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0,
                                    "tls": self.tls(version_min="1.3")}])
        self.assertIsInstance(self.ask_version(ssl.TLSVersion.TLSv1_2), str)
        self.assertEqual(self.ask_version(ssl.TLSVersion.TLSv1_3)[0], 200)

    def test_ciphers(self):
        rsa = self.pki.server("rsa", ["localhost"], self.ca, key="rsa:2048")
        self.serve(tls=self.tls(rsa))
        for cipher, good in (("ECDHE-RSA-AES256-GCM-SHA384", True),
                             ("ECDHE-RSA-AES128-GCM-SHA256", True),
                             ("ECDHE-RSA-CHACHA20-POLY1305", True),
                             ("ECDHE-RSA-AES128-SHA", False), ("ECDHE-RSA-AES256-SHA384", False),
                             ("AES256-GCM-SHA384", False), ("AES128-SHA", False),
                             ("DHE-RSA-AES256-GCM-SHA384", False), ("NULL-SHA256", False),
                             ("AECDH-AES128-SHA", False), ("ADH-AES128-SHA", False)):
            context = self.context()
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(cipher + ":@SECLEVEL=0")
            got = self.ask(context=context)
            self.assertEqual(isinstance(got, tuple), good, (cipher, got))

    def test_alpn(self):
        self.serve()
        for offer, chosen in ((["http/1.1"], "http/1.1"), (["h2", "http/1.1"], "http/1.1"),
                              (["h2"], None)):
            context = self.context()
            context.set_alpn_protocols(offer)
            client = self.connect(context=context)
            self.assertEqual(client.selected_alpn_protocol(), chosen)

    def test_a_chain(self):
        between = self.pki.intermediate("between", self.ca)
        self.serve(tls=self.tls(self.pki.server("web2", ["localhost"], between)))
        self.assert_serves()

    def test_one_file_for_both(self):
        path = self.dir / "both.pem"
        path.touch(mode=0o600)
        for order in ((self.web.key, self.web.certificate), (self.web.certificate, self.web.key)):
            path.write_text("".join(text_of(part) for part in order))
            self.serve(tls={"certificate_file": path, "key_file": path})
            self.assert_serves()
        path.chmod(0o644)
        self.assertIn("readable by others", self.daemon.reload())
        self.assert_serves()

    def test_kinds_of_keys(self):
        for kind in ("rsa:3072", "ec:P-384", "ec:P-521", "ed25519"):
            web = self.pki.server("web", ["localhost"], self.ca, key=kind)
            self.serve(tls=self.tls(web))
            self.assert_serves()
        # as `openssl ecparam -genkey` writes it
        old = self.dir / "old.key"
        old.touch(mode=0o600)
        old.write_text(openssl("ecparam", "-name", "prime256v1") +
                       openssl("ec", "-in", self.web.key))
        self.serve(tls={"certificate_file": self.web.certificate, "key_file": old})
        self.assert_serves()


class Clients(TlsCase):
    """Clients' certificates."""

    def setUp(self):
        super().setUp()
        self.bob = self.pki.client("CN=bob,O=example", self.ca)

    def verifying(self, **keys):
        return self.tls(client_ca_file=self.ca.certificate, **keys)

    def bad_ones(self):
        """(its alert, a word of the log, the certificate)"""
        other = self.pki.ca("other")
        return [("certificate expired", "expired", self.pki.expired("CN=carol", self.ca)),
                ("certificate expired", "not yet", self.pki.future("CN=dave", self.ca)),
                ("unknown ca", "issuer is unknown", self.pki.client("CN=eve", other)),
                ("bad certificate", "purpose", self.web),
                ("unknown ca|bad certificate", "not a CA",
                 self.pki.client("CN=mallory", self.bob_as_ca())),
                ("bad certificate", "insecure",
                 self.pki.client("CN=short", self.ca, key="rsa:1024"))]

    def bob_as_ca(self):
        """Bob signs, though nobody said that he may."""
        return self.pki.signs("bob", self.bob.certificate, self.bob.key, self.ca)

    def test_required(self):
        self.serve(tls=self.verifying())
        self.assert_serves(self.bob)
        self.assert_refused("certificate required|reset|closed")
        self.logged("TLS with 127.0.0.1 failed: the client has no certificate")

    def test_each_bad_one(self):
        for choice in ("required", "optional"):
            for alert, word, client in self.bad_ones():
                self.serve(tls=self.verifying(verify_client=choice))
                context = self.context()
                context.set_ciphers("ALL:@SECLEVEL=0")
                context.load_cert_chain(client.certificate, client.key)
                for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                    context.minimum_version = context.maximum_version = version
                    self.assert_refused(f"alert ({alert})|reset|closed", context=context)
                lab.wait_for(lambda: "TLS with 127.0.0.1 failed" in self.daemon.log())
                self.assertIn(word, self.daemon.log())
                self.assertEqual(self.daemon.log().count("TLS with"), 1)  # and no more in a minute
                self.daemon.stop()

    def test_the_alert_arrives(self):
        """A refusal that a client cannot tell from a broken network is no answer."""
        self.serve(tls=self.verifying())
        carol = self.pki.expired("CN=carol", self.ca)
        alerts = 0
        for _ in range(20):
            try:
                client = self.connect(carol)
                client.recv(1)
            except OSError as error:
                alerts += "alert certificate expired" in str(error)
        self.assertEqual(alerts, 20)

    def test_the_end_is_no_reset(self):
        """Its request behind it, which nobody reads: a client that writes on must not lose the alert
        over that."""
        self.serve(tls=self.verifying())
        idle = self.descriptors()
        for _ in range(5):
            plain = self.tcp()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            session = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            while True:
                try:
                    session.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    plain.sendall(outgoing.read())
                    incoming.write(plain.recv(65536))
            session.write(HEALTH)
            plain.sendall(outgoing.read())  # the end of the handshake and the request, in one
            lab.wait_for(lambda: self.descriptors() <= idle, 20, "the end")
            self.assertEqual(plain.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
            while data := plain.recv(65536):
                incoming.write(data)
            with self.assertRaisesRegex(ssl.SSLError, "alert certificate required"):
                session.read(1)

    def test_optional(self):
        self.serve(tls=self.verifying(verify_client="optional"))
        self.assert_serves(self.bob)
        self.assert_serves()

    def test_not_asked(self):
        self.serve()
        self.assert_serves(self.pki.client("CN=eve", self.pki.ca("other")))

    def test_key_that_is_not_its_own(self):
        """Whoever has only the certificate, which is no secret, does not get in."""
        self.serve(tls=self.verifying())
        openssl("req", "-x509", "-new", "-key", self.web.key, "-out", self.dir / "self.pem",
                "-subj", "/O=example/CN=bob", "-days", "2")
        alone = ssl.create_default_context(cafile=self.ca.certificate)
        with self.assertRaises(ssl.SSLError):  # OpenSSL would not even try
            alone.load_cert_chain(self.bob.certificate, self.web.key)
        alone.load_cert_chain(self.dir / "self.pem", self.web.key)  # the same name, signed by itself
        self.assert_refused("alert unknown ca|reset|closed", context=alone)

    def test_revoked(self):
        carol = self.pki.client("CN=carol", self.ca)
        crl = self.pki.crl(self.ca, [carol])
        self.serve(tls=self.verifying(client_crl_file=crl))
        self.assert_serves(self.bob)
        self.assert_refused("certificate revoked|reset|closed", carol)
        self.logged("chain is revoked")

    def test_intermediates(self):
        between = self.pki.intermediate("between", self.ca)
        frank = self.pki.client("CN=frank", between)
        self.serve(tls=self.verifying())
        self.assert_serves(frank)

    def test_a_reload_revokes(self):
        """A connection that stands is held against the new list with its next request."""
        self.serve(tls=self.verifying(client_crl_file=self.pki.crl(self.ca)))
        carol = self.pki.client("CN=carol", self.ca)
        standing = {"bob": self.connect(self.bob), "carol": self.connect(carol)}
        for client in standing.values():
            client.sendall(NODES)
            self.assertEqual(answer(client)[0], 200)
        tls = self.verifying(client_crl_file=self.pki.crl(self.ca, [carol]))
        self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0, "tls": tls}])
        for _ in range(2):
            standing["bob"].sendall(NODES)
            self.assertEqual(answer(standing["bob"])[0], 200)
        standing["carol"].sendall(NODES)
        self.assertEqual(answer(standing["carol"])[0], 401)
        self.assertEqual(self.until_closed(standing["carol"], 20), b"")
        self.assertIn("its connection ends", self.daemon.log())
        self.assert_refused("certificate revoked|reset|closed", carol)
        self.assert_serves(self.bob)

    def test_a_reload_that_begins_to_require(self):
        self.serve()
        standing = self.connect(self.bob)
        standing.sendall(NODES)
        self.assertEqual(answer(standing)[0], 200)
        self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0, "tls": self.verifying()}])
        standing.sendall(NODES)  # it was never asked for a certificate
        self.assertEqual(answer(standing)[0], 401)
        self.assert_serves(self.bob)
        self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0, "tls": self.tls()}])
        self.assert_serves()


class Reload(TlsCase):
    def seen(self):
        """The certificate that a new connection sees."""
        return self.connect().getpeercert()["serialNumber"]

    def test_new_certificates_drop_nothing(self):
        self.serve()
        self.sim.set("all", "blackhole", "on")
        kept, waiting = self.connect(), self.connect()
        kept.sendall(HEALTH)
        self.assertEqual(answer(kept)[0], 200)
        waiting.sendall(INJECT)
        lab.wait_for(lambda: json.loads(self.assert_serves())["in_flight"] == 1)
        before = self.seen()
        new = self.pki.server("new", ["localhost"], self.ca)
        shutil.copy(new.certificate, self.web.certificate)  # the same paths, as certbot has it
        shutil.copy(new.key, self.web.key)
        self.assertEqual(self.seen(), before)
        log = self.daemon.reload()
        self.assertNotIn("restart", log)
        after = self.seen()
        self.assertNotEqual(after, before)
        kept.sendall(HEALTH)
        self.assertEqual(answer(kept)[0], 200)
        self.assertEqual(kept.getpeercert()["serialNumber"], before)
        self.sim.set("all", "blackhole", "off")
        self.assertEqual(answer(waiting)[0], 202)
        self.assertEqual(self.sim.count(), 1)
        for _ in range(20):  # again and again: nothing piles up, the old ones go with their users
            self.daemon.reload()
        kept.sendall(HEALTH)
        self.assertEqual(answer(kept)[0], 200)
        self.assertEqual(self.seen(), after)

    def broken(self):
        """(what is done to the files, what the log says of it)"""
        def write(path, text):
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
        other = self.pki.server("other", ["localhost"], self.ca)
        locked = self.pki.key(self.dir / "locked.key", passphrase="hunter2-swordfish")
        cert, key = self.web.certificate, self.web.key
        return [
            (lambda: write(cert, "nonsense"), r"certificate_file: .*: it holds no certificate \(PEM\)"),
            (lambda: write(cert, ""), r"certificate_file: .*: it holds no certificate \(PEM\)"),
            (lambda: write(cert, text_of(key)),
             "certificate_file: .*holds a private key and is readable by others"),
            (lambda: os.unlink(cert), "certificate_file: .*cannot open: No such file"),
            (lambda: write(key, "nonsense"), "key_file: .*holds no private key"),
            (lambda: write(key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
             "key_file: .*"),
            (lambda: shutil.copy(other.key, key), "key_file: .* is not the key of the certificate"),
            (lambda: shutil.copy(locked, key), "key_file: .* has a passphrase"),
            (lambda: os.chmod(key, 0o644), "key_file: .* readable by others: chmod o-r"),
            (lambda: os.truncate(key, 1 << 20), "key_file: .*larger than 65536 bytes"),
        ]

    def test_a_broken_one_changes_nothing(self):
        saved = [(path, text_of(path)) for path in (self.web.certificate, self.web.key)]
        self.serve()
        before = self.seen()
        for spoil, words in self.broken():
            spoil()
            log = self.daemon.reload()
            self.assertIn("was not reloaded", log)
            self.assertRegex(log, rf"nmid\.conf:\d+: listen\.tls\.{words}")
            self.assertNotIn("hunter2", log)
            self.assertEqual(self.seen(), before)
            for path, data in saved:
                with open(path, "w", encoding="ascii") as file:
                    file.write(data)
                os.chmod(path, 0o600 if path == self.web.key else 0o644)
            self.assertNotIn("not reloaded", self.daemon.reload())

    def test_on_and_off_need_a_restart(self):
        self.serve()
        plain = {"address": "127.0.0.1", "port": 0}
        log = self.daemon.reload(listen=[plain])
        self.assertIn(f"TLS of 127.0.0.1:{self.daemon.port} is switched on and off only with a restart",
                      log)
        self.assert_serves()
        self.daemon.stop()
        self.daemon.start()
        self.assertEqual(self.request(self.daemon, "GET", "/healthz")[0], 200)
        log = self.daemon.reload(listen=[{**plain, "tls": self.tls()}])
        self.assertIn("only with a restart", log)
        self.assertEqual(self.request(self.daemon, "GET", "/healthz")[0], 200)


class Check(TlsCase):
    """What `nmid -t` says of the keys and files."""

    def check(self, tls, address="127.0.0.1", **listener):
        path = self.unique("nmid.conf")
        path.touch(mode=0o600)
        listener = {"address": address, "tls": tls, **listener}
        path.write_text(f"listen = {lab.libconfig([listener])};\nnodes = ();\n"
                        f'state_dir = "{self.dir}";\n')
        done = subprocess.run([lab.built("nmid"), "-t", "-c", path], capture_output=True,
                              text=True, stdin=subprocess.DEVNULL, check=False)
        lines = done.stderr.splitlines()
        self.assertEqual(done.returncode != 0,
                         any(not line.startswith("warning: ") and ": good, " not in line
                             for line in lines), done)
        return [re.sub(r"^.*nmid\.conf:\d+: listen\.", "", line) for line in lines
                if "nodes: there are none" not in line and "every user of this host" not in line]

    def assert_says(self, tls, *patterns, **how):
        lines = self.check(tls, **how)
        self.assertEqual(len(lines), len(patterns), lines)
        for line, pattern in zip(lines, patterns):
            self.assertRegex(line, f"^{pattern}")

    def test_keys(self):
        ca = self.ca.certificate
        self.assert_says(self.tls())
        self.assert_says(self.tls(client_ca_file=ca, verify_client="required", version_min="1.3"))
        self.assert_says({}, "tls.certificate_file: missing", "tls.key_file: missing")
        self.assert_says(self.tls(version_min="1.1"), 'tls.version_min: expected "1.2" or "1.3"')
        self.assert_says(self.tls(version_min=12), "tls.version_min: expected a string")
        self.assert_says(self.tls(verify_client="required"), "tls.verify_client: there is no client_ca")
        self.assert_says(self.tls(client_ca_file=ca, verify_client="none"),
                         'tls.verify_client: expected "required" or "optional"')
        self.assert_says(self.tls(client_crl_file=ca), "tls.client_crl_file: there is no client_ca")
        self.assert_says(self.tls(surprise=1), "tls.surprise: ")
        self.assert_says(7, "tls: expected a group")

    def test_places(self):
        path = self.dir / "s"
        lines = self.check(self.tls(), address="192.0.2.1")
        self.assertRegex(lines[0], "auth \"none\" lets every caller inject") if lines else None
        users = self.dir / "users"
        users.touch(mode=0o600)
        users.write_text("a:$2y$12$abcdefghijklmnopqrstuuIUn1RPRFVQxwJt5KNxZ5pFrgFd1CuW6\n")
        basic = {"strategy": "http_basic", "user_file": users,
                 "users": [{"name": "a", "roles": ["admin"]}]}
        self.assert_says(self.tls(), address="192.0.2.1", auth=basic)  # no warning of plain http
        conf = self.unique("nmid.conf")
        conf.touch(mode=0o600)
        conf.write_text(f"listen = {lab.libconfig([{'socket': path, 'tls': self.tls()}])};\n")
        done = subprocess.run([lab.built("nmid"), "-t", "-c", conf], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, check=False)
        self.assertRegex(done.stderr, "listen.tls: a socket has none")
        need = {"strategy": "client_certificate",
                "users": [{"subject": "CN=bob", "roles": ["admin"]}]}
        self.assert_says(self.tls(), 'tls: auth "client_certificate" needs tls .* client_ca_file',
                         auth=need)
        self.assert_says(self.tls(client_ca_file=self.ca.certificate), auth=need)

    def test_what_is_unwise(self):
        pki, ca = self.pki, self.ca
        file = "tls.certificate_file: .*: "
        soon = pki.server("soon", ["localhost"], ca, end=20)
        self.assert_says(self.tls(soon), file + r"CN=soon expires on 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assert_says(self.tls(pki.expired("old", ca, ["localhost"])), file + "CN=old expired on")
        self.assert_says(self.tls(pki.future("new", ca, ["localhost"])),
                         file + "CN=new is not valid before")
        self.assert_says(self.tls(pki.server("short", ["localhost"], ca, key="rsa:1024")),
                         file + "CN=short: an RSA key of 1024 bits is short: expected 2048")
        weak = pki.ca("weak", key="rsa:2048", digest="sha1")
        self.assert_says(self.tls(pki.server("w", ["localhost"], weak)),
                         file + "CN=w is signed with RSA-SHA1, which clients do not trust")
        self.assert_says(self.tls(pki.client("CN=c", ca)), file + "it has no subjectAltName",
                         file + "its extendedKeyUsage does not name servers")
        authority = f"tls.client_ca_file: {self.web.certificate}: CN=web is no CA"
        self.assert_says(self.tls(client_ca_file=self.web.certificate), authority)
        old = pki.crl(ca, days=-1)
        self.assert_says(self.tls(client_ca_file=ca.certificate, client_crl_file=old),
                         "tls.client_crl_file: .*: the list was to be renewed by 20")

    def test_what_is_wrong(self):
        pki, ca = self.pki, self.ca
        other = pki.ca("other")
        with open(self.dir / "chain.pem", "w", encoding="ascii") as chain:
            for part in (self.web, other):
                chain.write(text_of(part.certificate))
        web = {"certificate_file": chain.name, "key_file": self.web.key}
        self.assert_says(web, "tls.certificate_file: .*must be followed by the one that signed it")
        self.assert_says(self.tls(client_ca_file=self.web.key), r"tls.client_ca_file: .*holds no certificate \(PEM\)$")
        self.assert_says(self.tls(client_ca_file="/nonexistent"), "tls.client_ca_file: .*cannot open")
        self.assert_says(self.tls(client_ca_file=self.dir), "tls.client_ca_file: .*not a regular")
        self.assert_says(self.tls(client_ca_file=ca.certificate, client_crl_file=pki.crl(other)),
                         "tls.client_crl_file: .*1 of its 1 lists are not signed by a CA")
        self.assert_says(self.tls(client_ca_file=ca.certificate, client_crl_file=ca.certificate),
                         "tls.client_crl_file: ")


class Traffic(TlsCase):
    """What waits, what is large, and who leaves."""

    def test_injections_that_wait(self):
        self.serve(["n0", "n1"])
        self.sim.set("all", "control_delay_ms", "300")
        one, two = self.connect(), self.connect()
        one.sendall(INJECT)
        two.sendall(INJECT.replace(b"n0", b"n1"))
        self.assertEqual([answer(one)[0], answer(two)[0]], [202, 202])
        self.assertEqual([self.sim.count(self.sim.address(i)) for i in (0, 1)], [1, 1])

    def test_pipelining(self):
        """Also of what came while the first waited, in the same record and in another."""
        self.serve()
        self.sim.set("all", "control_delay_ms", "300")
        client = self.connect()
        client.sendall(INJECT + HEALTH)
        client.sendall(HEALTH + HEALTH)
        with client.makefile("rb") as stream:
            got = [self.read_one(stream) for _ in range(4)]
        self.assertEqual(got, [202, 200, 200, 200])

    @staticmethod
    def read_one(stream):
        status = int(stream.readline().split()[1])
        length = 0
        while (line := stream.readline()) != b"\r\n":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        stream.read(length)
        return status

    def test_a_client_that_leaves_while_it_waits(self):
        self.serve()
        self.sim.set("all", "blackhole", "on")
        idle = self.descriptors()
        self.assert_serves()
        lab.wait_for(lambda: self.descriptors() <= idle, 20, "an end that is noticed")
        for leave in ("close_notify", "fin", "reset"):
            waiting = self.connect()
            waiting.sendall(INJECT)
            lab.wait_for(lambda: json.loads(self.assert_serves())["in_flight"] == 1)
            with self.leaving(waiting, leave):
                lab.wait_for(lambda: self.descriptors() <= idle, 20, f"{leave} to be noticed")
            self.assertEqual(json.loads(self.assert_serves())["in_flight"], 1)
            self.sim.set("all", "blackhole", "off")
            lab.wait_for(lambda: json.loads(self.assert_serves())["in_flight"] == 0, 30)
            self.sim.set("all", "blackhole", "on")
        self.assertEqual(self.sim.count(), 3)  # the actions went on

    def leaving(self, client, how):
        """Leaves; a context, at whose end nothing of it is left here."""
        class Gone:
            def __enter__(self):
                if how == "close_notify":
                    client.setblocking(False)
                    try:
                        client.unwrap()  # sends it, and would wait for the answer to it
                    except (ssl.SSLError, OSError):
                        pass
                    client.shutdown(socket.SHUT_WR) if client.fileno() >= 0 else None
                elif how == "reset":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                      b"\1\0\0\0\0\0\0\0")
                    client.close()
                else:
                    client.shutdown(socket.SHUT_RDWR)

            def __exit__(self, *_):
                client.close()
        return Gone()

    def test_large_answers_to_slow_readers(self):
        nodes = [f"n{i}" for i in range(1000)]
        self.serve(nodes, limits={"idle_s": 2, "request_s": 2})
        idle = self.descriptors()
        whole = self.assert_serves(request=NODES)
        self.assertGreater(len(whole), 150000)
        slow = self.tcp()
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow = self.context().wrap_socket(slow, server_hostname="localhost")
        self.addCleanup(slow.close)
        slow.sendall(NODES)
        quick = [self.assert_serves() for _ in range(5)]  # nobody waits for it
        self.assertEqual(len(quick), 5)
        self.assertEqual(answer(slow)[1], whole)
        slow.close()
        stuck = self.tcp()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stuck = self.context().wrap_socket(stuck, server_hostname="localhost")
        self.addCleanup(stuck.close)
        stuck.sendall(NODES)
        stuck.recv(1)
        before, begun = self.processor(), time.monotonic()
        lab.wait_for(lambda: self.descriptors() <= idle, 30, "it to be cut")
        self.assertLess(time.monotonic() - begun, 20)
        self.assertLess(self.processor() - before, 0.5)  # it does not try again and again


    def test_cut_before_its_first_bytes_are_read(self):
        """libmicrohttpd hears of the bytes and of the end with one event, reads the bytes, and
        forgets the event. It takes eleven connections at a time, of which seven are cut again."""
        self.serve(limits={"request_s": 1, "connections": 4})
        self.assert_serves()
        idle = self.descriptors()
        self.daemon.process.send_signal(signal.SIGSTOP)
        clients = [self.tcp() for _ in range(60)]
        for client in clients:
            client.sendall(b"\x16\x03\x01")
            client.shutdown(socket.SHUT_WR)
        self.daemon.process.send_signal(signal.SIGCONT)
        for client in clients:
            self.until_closed(client, 20)
        self.assert_serves()
        lab.wait_for(lambda: self.descriptors() <= idle, 20, "all of them to be closed")


class Hostile(TlsCase):
    time_limit = 400

    def setUp(self):
        super().setUp()
        self.serve(limits={"request_s": 1, "connections": 200})

    def client_hello(self):
        """The first bytes of a handshake, as OpenSSL writes them."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        session = self.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            session.do_handshake()
        return outgoing.read()

    def test_no_tls(self):
        for words in (HEALTH, b"\0" * 5, b"\x16\x03\x01\xff\xff" + b"\0" * 70000,
                      b"\x80\x2e\x01\x00\x02", b"\x15\x03\x03\0\2\2\x28"):
            client = self.tcp()
            client.sendall(words)
            self.assertNotIn(b"200", self.until_closed(client, 20))
            self.assert_serves()
        self.logged("TLS with 127.0.0.1 failed: what it sent was not TLS")

    def test_megabytes_of_garbage(self):
        for seed in range(8):
            client = self.tcp()
            data = os.urandom(1 << 20)
            try:
                client.sendall((b"\x16\x03\x03" if seed % 2 else b"") + data)
            except OSError:
                pass
            self.until_closed(client, 20)
        self.assert_serves()

    def test_who_stops_in_the_handshake_costs_nothing(self):
        """Wherever it stops, the daemon waits for it: it does not look again and again."""
        hello = self.client_hello()
        idle = self.descriptors()
        for count in (0, 1, len(hello) // 2, len(hello)):
            before = self.processor()
            clients = [self.tcp() for _ in range(10)]
            for client in clients:
                client.sendall(hello[:count])
            for client in clients:
                self.until_closed(client, 20)
                client.close()
            lab.wait_for(lambda: self.descriptors() <= idle)
            used = self.processor() - before
            self.assertLess(used, 0.5, f"{used} s of a processor for {count} bytes")

    def test_stopping_with_half_a_hello(self):
        hello = self.client_hello()
        clients = [self.tcp() for _ in range(9)]
        for number, client in enumerate(clients):
            client.sendall(hello[:len(hello) * (number % 3) // 2])
        self.assert_serves()
        self.assertEqual(self.daemon.stop(), 0)
        for client in clients:
            self.until_closed(client, 20)

    def test_half_a_hello(self):
        hello = self.client_hello()
        for count in (0, 1, 5, len(hello) // 2, len(hello) - 1, len(hello)):
            client = self.tcp()
            client.sendall(hello[:count])
            begun = time.monotonic()
            self.until_closed(client, 20)
            self.assertTrue(0.5 < time.monotonic() - begun < 10)
        self.assert_serves()

    def test_urgent_bytes(self):
        """libmicrohttpd takes them for an error: nothing hangs."""
        hello = self.client_hello()
        idle = self.descriptors()
        for count in (0, 3, len(hello)):
            client = self.tcp()
            client.send(b"!", socket.MSG_OOB)
            client.sendall(hello[:count])
            self.until_closed(client, 20)
            client.close()
        self.assert_serves()
        lab.wait_for(lambda: self.descriptors() <= idle, 20, "their end")

    def test_every_byte_of_a_hello(self):
        """Turned over, one at a time: no crash, no endless wait."""
        hello = self.client_hello()
        for at in range(0, len(hello), 3):
            client = self.tcp()
            client.sendall(hello[:at] + bytes([hello[at] ^ 0xff]) + hello[at + 1:])
            client.shutdown(socket.SHUT_WR)
            self.until_closed(client, 20)
            client.close()
        self.assert_serves()

    def test_who_only_looks_is_not_in_the_log(self):
        for _ in range(10):
            self.tcp().close()
        self.assert_serves()
        self.assertNotIn("TLS with", self.daemon.log())

    def test_leaving_in_the_handshake(self):
        hello = self.client_hello()
        for _ in range(50):
            client = self.tcp()
            client.sendall(hello)
            client.close()
        self.assert_serves()
        client = self.tcp()
        client.sendall(hello)
        self.assertTrue(client.recv(1))
        client.close()
        self.logged("TLS with 127.0.0.1 failed: it broke off when it had seen the certificate")

    def test_renegotiation(self):
        process = subprocess.Popen(
            ["openssl", "s_client", "-connect", f"127.0.0.1:{self.daemon.port}", "-tls1_2",
             "-legacy_renegotiation", "-CAfile", self.ca.certificate],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        try:
            os.set_blocking(process.stdout.fileno(), False)
            seen = []
            lab.wait_for(lambda: b"Verify return code: 0" in self.gather(process, seen), 20)
            process.stdin.write(b"R\n")
            process.stdin.flush()
            lab.wait_for(lambda: process.poll() is not None, 20, "the connection to end")
            self.assertIn(b"RENEGOTIATING", self.gather(process, seen))
        finally:
            process.kill()
            process.communicate()
        self.assert_serves()

    @staticmethod
    def gather(process, seen):
        seen.append(process.stdout.read() or b"")
        return b"".join(seen)

    def test_twenty_at_once(self):
        results = []

        def one():
            for _ in range(5):
                results.append(self.ask())
        threads = [threading.Thread(target=one) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([result[0] for result in results], [200] * 100)

    def test_memory_is_flat(self):
        if lab.sanitized():
            self.skipTest("a sanitizer keeps what is freed")
        self.handshakes(300)
        before = lab.memory_kb(self.daemon.process.pid)
        self.handshakes(1200)
        grown = lab.memory_kb(self.daemon.process.pid) - before
        self.assertLess(grown, 200, f"grew by {grown} KiB in 1200 handshakes")

    def handshakes(self, count):
        """A third of them fails, in one way or another."""
        context, other = self.context(), self.context(ca=self.pki.ca("other"))
        for number in range(count):
            with socket.create_connection(("127.0.0.1", self.daemon.port), 20) as plain:
                try:
                    if number % 6 == 5:
                        plain.sendall(HEALTH)
                        continue
                    which = other if number % 6 == 4 else context
                    with which.wrap_socket(plain, server_hostname="localhost") as client:
                        client.sendall(HEALTH)
                        self.assertEqual(answer(client)[0], 200)
                except ssl.SSLError:
                    self.assertEqual(number % 6, 4)


if __name__ == "__main__":
    pki.require_tls()
    lab.main(needs=("openssl",))
