# SPDX-License-Identifier: GPL-3.0-or-later
"""Which listener asks for which credentials, after a reload: each has what the new file says of it,
wherever it stands there; what cannot be used changes nothing; and a listener that the file has no
more, which only a restart closes, is never left more open than it was."""
import base64
import subprocess

import lab

NODES = "/agent/v1/nodes"


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class AuthReload(lab.TestCase):
    def users(self, *names):
        """An auth of these users; the password is the name."""
        path = self.unique("htpasswd")
        path.touch(mode=0o600)
        for name in names:
            subprocess.run([lab.which("htpasswd"), "-iB", "-C4", path, name], input=name.encode(),
                           check=True, capture_output=True)
        return {"strategy": "http_basic", "user_file": path,
                "users": [{"name": name, "roles": ["admin"]} for name in names]}

    def lab_of(self, listen, **settings):
        self.daemon = self.nmid([lab.node("n0", self.bmcsim())], listen=listen, **settings)

    def tcp(self, user=None):
        url, self.daemon.url = self.daemon.url, f"http://127.0.0.1:{self.daemon.port}"
        try:
            return self.request(self.daemon, "GET", NODES,
                                headers=basic(user, user) if user else None)[0]
        finally:
            self.daemon.url = url

    def unix(self, user=None):
        url, self.daemon.url = self.daemon.url, f"unix:{self.socket}"
        try:
            return self.request(self.daemon, "GET", NODES,
                                headers=basic(user, user) if user else None)[0]
        finally:
            self.daemon.url = url

    def setUp(self):
        self.socket = self.unique("nmid.sock")
        self.on_tcp = {"address": "127.0.0.1", "port": 0}
        self.on_unix = {"socket": self.socket}

    def test_places_change(self):
        none = {"strategy": "none"}
        self.lab_of([self.on_tcp, {**self.on_unix, "auth": none}], auth=self.users("alice"))
        self.assertEqual((self.tcp(), self.tcp("alice"), self.unix()), (401, 200, 200))
        log = self.daemon.reload(listen=[{**self.on_unix, "auth": none}, self.on_tcp])
        self.assertNotIn("restart", log)
        self.assertEqual((self.tcp(), self.tcp("alice"), self.unix()), (401, 200, 200))

    def test_one_becomes_two_and_one_again(self):
        alice, bob = self.users("alice"), self.users("bob")
        self.lab_of([self.on_tcp, self.on_unix], auth=alice)
        self.assertEqual((self.tcp("alice"), self.unix("alice")), (200, 200))
        self.daemon.reload(listen=[self.on_tcp, {**self.on_unix, "auth": bob}])
        self.assertEqual((self.tcp("alice"), self.tcp("bob")), (200, 401))
        self.assertEqual((self.unix("alice"), self.unix("bob")), (401, 200))
        self.daemon.reload(listen=[self.on_tcp, self.on_unix], auth=bob)
        self.assertEqual((self.tcp("alice"), self.tcp("bob")), (401, 200))
        self.assertEqual((self.unix("alice"), self.unix("bob")), (401, 200))
        self.daemon.reload(auth={"strategy": "none"})
        self.assertEqual((self.tcp(), self.unix()), (200, 200))

    def test_all_or_nothing(self):
        self.lab_of([self.on_tcp, self.on_unix], auth=self.users("alice"))
        broken = self.users("bob")
        broken["user_file"].write_text("bob:plain\n")
        log = self.daemon.reload(listen=[{**self.on_tcp, "auth": {"strategy": "none"}},
                                         {**self.on_unix, "auth": broken}], nodes=[])
        self.assertIn("was not reloaded", log)
        self.assertNotIn("plain", log)
        self.assertEqual((self.tcp(), self.unix(), self.unix("bob")), (401, 401, 401))
        status, _, answer = self.request(self.daemon, "GET", NODES, headers=basic("alice", "alice"))
        self.assertEqual((status, len(answer["nodes"])), (200, 1))

    def test_a_listener_that_is_gone(self):
        self.lab_of([{**self.on_tcp, "auth": self.users("alice")}, self.on_unix],
                    auth={"strategy": "none"})
        for _ in range(2):
            log = self.daemon.reload(listen=[self.on_unix])
            self.assertIn("listeners change only with a restart", log)
            self.assertEqual((self.tcp(), self.tcp("alice"), self.unix()), (401, 200, 200))
        self.daemon.reload(auth=self.users("bob"))
        self.assertEqual((self.tcp("bob"), self.tcp("alice")), (401, 200))
        self.assertEqual((self.unix("bob"), self.unix()), (200, 401))
        log = self.daemon.reload(listen=[self.on_unix, self.on_tcp])
        self.assertNotIn("restart", log)
        self.assertEqual((self.tcp("bob"), self.tcp("alice")), (200, 401))


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
