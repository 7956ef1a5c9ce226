# SPDX-License-Identifier: GPL-3.0-or-later
"""New certificates with SIGHUP, as they go wrong: out of date, half written, of another kind, under
load. What is worse than what is in force does not come into force, and nobody is cut off."""
import hashlib
import json
import pathlib
import ssl
import subprocess

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


if __name__ == "__main__":
    pki.require_tls()
    lab.main(needs=("openssl",))
