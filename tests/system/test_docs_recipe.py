#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of docs/auth.md on client certificates, as it stands there: its recipe makes the files that
its configuration names, with which nmid knows its caller; and takes one back. In namespaces of the
test's own, for the address and the name that the page uses."""
import os
import re
import signal
import subprocess

import lab
import netns

ADDRESS = "192.0.2.10"
PAGE = lab.top_srcdir / "docs/auth.md"


def blocks():
    """The indented parts of the section, in their order."""
    section = PAGE.read_text().split("\n## Client certificates\n")[1].split("\n## ")[0]
    found = re.findall(r"(?m)((?:^    .*\n)+)", section)
    return [re.sub(r"(?m)^    ", "", block) for block in found]


class Recipe(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim()
        self.conf_text, self.use, self.server, self.client, self.revoke = blocks()
        hosts = self.unique("hosts")
        hosts.write_text(f"127.0.0.1 localhost\n{ADDRESS} nmid.example\n")
        subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
        self.addCleanup(subprocess.run, ["umount", "/etc/hosts"], check=True)

    def sh(self, script):
        env = {**os.environ, "PATH": f"{lab.top_builddir}:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-ec", script], cwd=self.dir, env=env, text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)

    def run_all(self, script):
        done = self.sh(script)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout

    def write_conf(self, text):
        """The page's, with the files where the recipe made them."""
        path = self.dir / "nmid.conf"
        path.touch(mode=0o600)
        state = self.dir / "state"
        state.mkdir(mode=0o700, exist_ok=True)
        path.write_text(text.replace("/etc/nmid/", f"{self.dir}/") +
                        f"state_dir = {lab.libconfig(state)};\n"
                        f"nodes = {lab.libconfig([lab.node('rack1-n1', self.sim)])};\n")
        return path

    def test_as_it_stands(self):
        self.run_all(self.server + self.client)
        conf = self.write_conf(self.conf_text)
        nmid = self.start([lab.built("nmid"), "-c", conf])
        lab.wait_for(lambda: " is ready" in nmid.err() or nmid.poll() is not None, what="nmid")
        self.assertIsNone(nmid.poll(), nmid.err())
        told = self.run_all(self.use)
        self.assertIn("rack1-n1  delivered\n", told)      # nmictl
        self.assertIn('"name":"rack1-n1"', told)         # curl
        self.assertIn("subject=CN=alice,OU=operators,O=example\n", told)
        self.assertEqual(self.sim.count(), 1)
        self.run_all(self.revoke)
        named = "clients-ca.pem\";"
        self.assertIn(named, self.conf_text)
        self.write_conf(self.conf_text.replace(named, f'{named} client_crl_file = "/etc/nmid/crl.pem";'))
        nmid.send_signal(signal.SIGHUP)
        lab.wait_for(lambda: re.search(r"reloaded.*\n", nmid.err()), 20, "the reload")
        self.assertIn("reloaded: 1 node", nmid.err())
        done = self.sh(self.use.splitlines()[0])
        self.assertEqual(done.returncode, 4, done.stderr)
        self.assertIn("revoked", nmid.err())
        self.assertEqual(self.sim.count(), 1)

    def test_one_without_the_other(self):
        """The CA of nmid's certificate lets no client in."""
        self.run_all(self.server + self.client)
        self.assertNotEqual((self.dir / "ca.pem").read_text(),
                            (self.dir / "clients-ca.pem").read_text())
        for ca, code in (("ca.pem", 2), ("clients-ca.pem", 0)):
            done = self.sh(f"openssl verify -CAfile {ca} alice.pem")
            self.assertEqual(done.returncode, code, done.stderr)


if __name__ == "__main__":
    netns.enter((ADDRESS,), mounts=True)
    lab.main(needs=("openssl", "curl"))
