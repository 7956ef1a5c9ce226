# SPDX-License-Identifier: GPL-3.0-or-later
"""New certificates with SIGHUP, as they go wrong: out of date, half written, of another kind, under
load. What is worse than what is in force does not come into force, and nobody is cut off."""
import hashlib
import http.client
import json
import pathlib
import shutil
import ssl
import subprocess
import threading

import lab
import pki
from test_tls import NODES, TlsCase, answer, text_of


class Renewal(TlsCase):
    def serve(self, *args, **settings):
        """With the files at self.web's paths, which put() replaces."""
        self.chain = pathlib.Path(self.web.certificate)
        self.key = pathlib.Path(self.web.key)
        return super().serve(*args, **settings)

    def put(self, issued, chain=None):
        """A renewal, by rename: another certificate and its key under the same names."""
        for path, text in ((self.key, text_of(issued.key)),
                           (self.chain, chain or text_of(issued.certificate))):
            new = path.with_suffix(".new")
            new.touch(mode=0o600)
            new.write_text(text, encoding="ascii")
            new.replace(path)

    def seen(self, port=None):
        """The hash of what a new connection is shown, good or not."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with self.tcp(port) as plain, context.wrap_socket(plain) as client:
            return hashlib.sha256(client.getpeercert(binary_form=True)).hexdigest()

    def tcp(self, port=None):
        before, self.daemon.port = self.daemon.port, port or self.daemon.port
        try:
            return super().tcp()
        finally:
            self.daemon.port = before

    @staticmethod
    def hash_of(issued):
        """Of the first in its file."""
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(
            text_of(issued.certificate).split("-----END")[0] +
            "-----END CERTIFICATE-----\n")).hexdigest()

    def below(self, name, **dates):
        """A server's that is in date, by an intermediate with these dates."""
        made = self.pki.sign("between", self.ca, pki.AUTHORITY, **dates)
        return self.pki.server(name, ["localhost"],
                               self.pki.signs("between", made.certificate, made.key, self.ca))

    def assert_kept(self, log, *patterns):
        """Of a reload that was refused."""
        self.assertIn("error: the configuration was not reloaded: the old one stays in force", log)
        self.assertNotIn("has another certificate now", log)
        for pattern in patterns:
            self.assertRegex(log, pattern)
        self.assertEqual(self.seen(), self.hash_now)
        self.assert_serves()


class OutOfDate(Renewal):
    def bad_ones(self):
        return {"expired": self.pki.expired("old", self.ca, ["localhost"]),
                "future": self.pki.future("early", self.ca, ["localhost"]),
                "expired between": self.below("below-old", start=-10, end=-1),
                "future between": self.below("below-early", start=1, end=9)}

    def check(self):
        """nmid -t."""
        return subprocess.run([lab.built("nmid"), "-t", "-c", self.daemon.conf], check=False,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)

    def test_it_does_not_put_out_a_good_one(self):
        self.serve()
        self.hash_now = self.seen()
        kept = self.connect()
        file, where = self.chain, f"127.0.0.1:{self.daemon.port}"
        date = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
        for kind, issued in self.bad_ones().items():
            with self.subTest(kind):
                self.put(issued)
                name = pathlib.Path(issued.certificate).stem.partition("-")[2].replace("_", "-")
                self.assert_kept(
                    self.daemon.reload(nodes=[]),
                    rf"error: .*nmid\.conf: listen\.tls\.certificate_file: {file}: CN={name} is good "
                    rf"from {date} until {date}, which is not now: {where} keeps CN=web, until {date}\n")
                kept.sendall(NODES)
                status, body = answer(kept)
                self.assertEqual((status, len(json.loads(body)["nodes"])), (200, 1))
                done = self.check()
                self.assertEqual(done.returncode, 0)
                self.assertRegex(done.stderr, f"warning: .*{file}: CN=.* (expired on|is not valid)")
        good = self.pki.server("good", ["localhost"], self.ca)
        self.put(good)
        self.assertIn("has another certificate now: CN=good", self.daemon.reload())
        self.assertEqual(self.seen(), self.hash_of(good))

    def test_what_is_no_worse_is_taken(self):
        """At a start, and where what is in force is out of date itself: with a warning."""
        for first in self.bad_ones().values():
            self.serve(tls=self.tls(first))
            self.assertEqual(self.seen(), self.hash_of(first))
            for issued in self.bad_ones().values():
                log = self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0,
                                                  "tls": self.tls(issued)}])
                self.assertRegex(log, "warning: .*CN=.* (expired on|is not valid before)")
                self.assertRegex(log, "has another certificate now(.*\n)*.*nmid: reloaded")
                self.assertEqual(self.seen(), self.hash_of(issued))
            self.daemon.reload(listen=[{"address": "127.0.0.1", "port": 0, "tls": self.tls()}])
            self.assert_serves()
            self.daemon.stop()

    def test_one_of_two_listeners(self):
        """All or nothing: the other one's good certificate waits too."""
        other = self.pki.server("other", ["localhost"], self.ca)
        listen = [{"address": "127.0.0.1", "port": 0, "tls": self.tls(web)}
                  for web in (self.web, other)]
        self.sim = self.bmcsim("--count", 1)
        self.daemon = self.nmid([lab.node("n0", self.sim, self.sim.address(0))], listen=listen)
        ports = [int(text.rsplit(":", 1)[1]) for text in self.daemon._listening()]
        before = [self.seen(port) for port in ports]
        self.assertEqual(before, [self.hash_of(web) for web in (self.web, other)])
        new = [self.pki.server("new", ["localhost"], self.ca),
               self.pki.expired("old", self.ca, ["localhost"])]
        for place, issued in zip(listen, new):
            place["tls"] = self.tls(issued)
        log = self.daemon.reload(listen=listen)
        self.assertRegex(log, f"CN=old is good from .* 127.0.0.1:{ports[1]} keeps CN=other, until")
        self.assertIn("was not reloaded", log)
        self.assertEqual([self.seen(port) for port in ports], before)


class Clients(Renewal):
    """What clients are verified by."""

    def setUp(self):
        super().setUp()
        self.other = self.pki.ca("other")
        self.bob, self.eve = (self.pki.client(f"CN={name}", ca) for name, ca in
                              (("bob", self.ca), ("eve", self.other)))
        self.authorities = self.dir / "ca.pem"
        self.lists = self.dir / "crl.pem"
        self.authorities.write_text(text_of(self.ca.certificate) + text_of(self.other.certificate))
        self.bob_goes = text_of(self.pki.crl(self.ca, [self.bob]))
        self.eve_goes = text_of(self.pki.crl(self.other, [self.eve]))
        self.lists.write_text(self.bob_goes + self.eve_goes)
        self.carol = self.pki.client("CN=carol", self.ca)
        self.serve(tls=self.tls(client_ca_file=self.authorities, client_crl_file=self.lists))
        self.hash_now = self.seen_by(self.carol)

    def seen_by(self, client):
        with self.connect(client) as connection:
            return hashlib.sha256(connection.getpeercert(binary_form=True)).hexdigest()

    def assert_kept(self, log, *patterns):
        self.assertIn("was not reloaded: the old one stays in force", log)
        for pattern in patterns:
            self.assertRegex(log, pattern)
        self.assertEqual(self.seen_by(self.carol), self.hash_now)
        self.assert_serves(self.carol)
        self.assert_refused("certificate revoked|reset|closed", self.bob)

    def test_authorities_that_are_gone(self):
        kept = self.connect(self.carol)
        whole = self.authorities.read_text(encoding="ascii")
        old = self.pki.sign("old", self.ca, pki.AUTHORITY, start=-10, end=-1)
        early = self.pki.sign("early", self.ca, pki.AUTHORITY, start=1, end=9)
        for text, words in (("", r"holds no certificate \(PEM\)"),
                            (whole[:700], r"holds no certificate \(PEM\)"),
                            (text_of(self.pki.ca("new").certificate), "are not signed by a CA of"),):
            self.authorities.write_text(text)
            self.assert_kept(self.daemon.reload(), words)
        for issued in (old, early):  # without lists: it is not these that are refused
            self.authorities.write_text(text_of(issued.certificate))
            listen = [{"address": "127.0.0.1", "port": 0,
                       "tls": self.tls(client_ca_file=self.authorities)}]
            self.assert_kept(self.daemon.reload(listen=listen),
                             rf"error: .*client_ca_file: {self.authorities}: it has no CA that is valid "
                             rf"now.* 127.0.0.1:{self.daemon.port} keeps those before")
        self.authorities.write_text(text_of(old.certificate) + whole)  # one of three is no matter
        self.assertNotIn("not reloaded", self.daemon.reload())
        self.assert_serves(self.carol)
        kept.sendall(NODES)
        self.assertEqual(answer(kept)[0], 200)

    def test_lists(self):
        for text, words in (("", r"holds no CRL \(PEM\)"),
                            (self.bob_goes + self.eve_goes[:200], r"holds no CRL \(PEM\)"),
                            (text_of(self.pki.crl(self.pki.ca("new"))), "are not signed by a CA of")):
            self.lists.write_text(text)
            self.assert_kept(self.daemon.reload(), words)
        self.lists.write_text(text_of(self.pki.crl(self.ca, days=-1)) + self.eve_goes)
        self.assertRegex(self.daemon.reload(), "warning: .*the list was to be renewed by 20")
        for client in (self.bob, self.eve):  # it counts on
            self.assert_refused("certificate revoked|reset|closed", client)
        self.lists.write_text(self.bob_goes)  # half of `cat a b`
        log = self.daemon.reload()
        self.assertRegex(log, "warning: .*client_crl_file: .*: it has no list of CN=other, which "
                              "revokes nothing")
        self.assertNotIn("CN=site, which", log)
        self.assert_serves(self.eve)


class AnyOther(Renewal):
    """Other keys, names and chains, in whole and in parts."""

    def others(self):
        between = self.pki.intermediate("between", self.ca)
        return [self.pki.server(name, ["localhost"], ca, key=key) for name, ca, key in (
            ("rsa", self.ca, "rsa:2048"), ("other-name", between, "ec:P-384"),
            ("ed", between, "ed25519"), ("web", self.ca, "ec:P-256"))]

    def test_in_parts(self):
        """Key and certificate that do not belong together, and a chain that is none."""
        self.serve()
        self.hash_now = self.seen()
        kept = self.connect()
        others = self.others()
        chain = text_of(others[1].certificate)
        parts = [part + "-----END CERTIFICATE-----\n"
                 for part in chain.split("-----END CERTIFICATE-----\n")[:-1]]
        root = text_of(self.ca.certificate)
        self.assertEqual(len(parts), 2)
        shutil.copy(others[0].certificate, self.chain)  # and not yet the key
        self.assert_kept(self.daemon.reload(), "key_file: .* is not the key of the certificate in")
        self.put(others[1])
        for bad in (parts[1] + parts[0], parts[0] + root + parts[1], parts[0] + parts[0] + parts[1],
                    root + parts[0] + parts[1]):
            self.chain.write_text(bad)
            self.assert_kept(self.daemon.reload(), "must be followed by the one that signed it")
        for size in (0, 20, len(parts[0]) - 30, len(parts[0]) + 40, len(chain) - 30):
            self.chain.write_text(chain[:size])
            self.assert_kept(self.daemon.reload(), r"certificate_file: .*holds no certificate \(PEM\)")
        self.put(others[1])
        self.assertIn("has another certificate now: CN=other-name", self.daemon.reload())
        self.assert_serves()
        kept.sendall(NODES)
        self.assertEqual(answer(kept)[0], 200)

    def test_keys_that_nobody_can_use(self):
        """No handshake could be done with them."""
        self.serve()
        self.hash_now = self.seen()
        for kind, words in (("ec:P-224", "EC/ECDSA, 224 bits"), ("rsa:512", "RSA, 512 bits")):
            self.put(self.pki.server("small", ["localhost"], self.ca, key=kind))
            self.assert_kept(self.daemon.reload(),
                             rf"key_file: {self.key}: no client can use this key \({words}\): expected")

    def stand(self, version, over, counts, errors):
        """A client that asks again and again on one connection, until it is over."""
        context = self.context()
        context.maximum_version = version
        try:
            with self.connect(context=context) as client:
                while not over.is_set():
                    client.sendall(NODES)
                    if answer(client)[0] != 200:
                        raise OSError("no 200")
                    counts.append(1)
        except (OSError, http.client.HTTPException) as error:
            errors.append(repr(error))

    def test_under_load(self):
        self.serve()
        others = self.others()
        bad = [self.pki.expired("old", self.ca, ["localhost"]), others[0]]
        idle = self.descriptors()
        over, errors, counts = threading.Event(), [], [[] for _ in range(6)]
        threads = [threading.Thread(target=self.stand, args=(version, over, count, errors))
                   for count, version in zip(counts, [ssl.TLSVersion.TLSv1_2,
                                                      ssl.TLSVersion.TLSv1_3] * 3)]
        for thread in threads:
            thread.start()
        try:
            for number in range(24):
                issued = others[number % 4]
                self.put(issued)
                self.assertIn("nmid: reloaded", self.daemon.reload())
                self.assertEqual(self.seen(), self.hash_of(issued))
                self.put(bad[number % 2], text_of(bad[0].certificate))
                self.assertIn("was not reloaded", self.daemon.reload())
                self.assert_serves()
                before = [len(count) for count in counts]
                lab.wait_for(lambda before=before: errors or all(
                    len(count) > n for count, n in zip(counts, before)), 20, "all to be served")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(errors, [])
        lab.wait_for(lambda: self.descriptors() <= idle, 20, "all to be closed")


if __name__ == "__main__":
    pki.require_tls()
    lab.main(needs=("openssl",))
