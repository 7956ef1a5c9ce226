# SPDX-License-Identifier: GPL-3.0-or-later
"""auth = { strategy = "http_basic" } from outside: files that the htpasswd program makes, what
changes while nmid runs, what a password costs, and that none is told to anybody."""
import base64
import os
import select
import socket
import subprocess
import threading

import lab

NODES = "/agent/v1/nodes"
USERS = [{"name": "alice", "project_id": "demo", "roles": ["member"]},
         {"name": "bob", "project_id": "other", "roles": ["member"]},
         {"name": "root", "roles": ["admin"]}]
NMI = {"action": "inject_nmi"}


def basic(user, password):
    pair = password if user is None else user + b":" + password if isinstance(
        password, bytes) else f"{user}:{password}"
    raw = pair if isinstance(pair, bytes) else pair.encode()
    return {"Authorization": "Basic " + base64.b64encode(raw).decode()}


def htpasswd(*args, word):
    """Runs the htpasswd program; the password goes to its standard input."""
    return subprocess.run([lab.which("htpasswd"), "-i", *map(str, args)], input=word.encode(),
                          check=True, capture_output=True).stdout.decode()


def cpu_s(nmid):
    """Processor time that all its threads have used."""
    fields = (lab.Path("/proc") / str(nmid.process.pid) / "stat").read_text().rsplit(")", 1)[1]
    user, system = fields.split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class Basic(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "2")
        self.file = self.unique("htpasswd")

    def user(self, name, word, cost=4, file=None):
        file = file or self.file
        if not file.exists():
            file.touch(mode=0o600)
        htpasswd("-B", "-C", cost, file, name, word=word)

    def daemon(self, users=None, nodes=None, **auth):
        if not self.file.exists():
            self.user("alice", "secret-a")
        nodes = nodes or [lab.node("n1", self.sim), lab.node("n2", self.sim, self.sim.address(1),
                                                             project_id="other")]
        return self.nmid(nodes, auth={"strategy": "http_basic", "user_file": self.file,
                                      "users": USERS if users is None else users, **auth})

    def status(self, nmid, user, word):
        return self.request(nmid, "GET", NODES, headers=basic(user, word))[0]

    def check(self, argv_conf, expected):
        """nmid -t on a configuration: it fails, with this in what it says."""
        process = self.start([lab.built("nmid"), "-t", "-c", argv_conf])
        process.allowed = {1}
        self.assertEqual(process.wait(30), 1, process.err())
        self.assertRegex(process.err(), expected)
        return process.err()

    def conf(self, **auth):
        path = self.unique("check.conf")
        path.touch(mode=0o600)
        auth = {"strategy": "http_basic", "user_file": self.file, "users": USERS, **auth}
        path.write_text(f"state_dir = \"{self.dir}\";\nauth = {lab.libconfig(auth)};\n",
                        encoding="utf-8")
        return path

    # ---- Who gets in ----

    def test_the_right_password_and_no_other(self):
        self.user("alice", "secret-a")
        self.user("bob", "secret-b")
        self.user("mallory", "secret-m")
        nmid = self.daemon()
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        self.assertEqual(self.status(nmid, "bob", "secret-b"), 200)
        for user, word in (("alice", "secret-b"), ("alice", ""), ("alice", "secret-a "),
                           ("Alice", "secret-a"), ("alice ", "secret-a"), ("nobody", "secret-a"),
                           ("", "secret-a"), ("alice", "secret-a\0"), ("root", "")):
            self.assertEqual(self.status(nmid, user, word), 401, (user, word))
        # In the file, and in no entry of users: known, and without any right.
        status, headers, body = self.request(nmid, "GET", NODES, headers=basic("mallory", "secret-m"))
        self.assertEqual((status, body["error"]["code"]), (403, "forbidden"))
        self.assertIsNone(headers["WWW-Authenticate"])
        # In users, and not in the file: nobody.
        self.assertEqual(self.status(nmid, "root", "secret-a"), 401)

    def test_what_a_401_says(self):
        nmid = self.daemon()
        good = basic("alice", "secret-a")["Authorization"]
        bad = [None, "", "Basic", "Basic ", "Basic !", "Basic " + good[6:-1], good + "A",
               good.replace("Basic", "Bearer"), "Digest username=\"alice\"",
               basic(None, b"alice")["Authorization"],
               basic(None, b"\xff\xfe:secret-a")["Authorization"],
               basic("a" * 256, "secret-a")["Authorization"],
               basic("alice", "x" * 5000)["Authorization"]]
        for value in bad:
            headers = {} if value is None else {"Authorization": value}
            status, answer, body = self.request(nmid, "GET", NODES, headers=headers)
            self.assertEqual((status, body["error"]["code"]), (401, "unauthorized"), value)
            self.assertEqual(answer["WWW-Authenticate"], 'Basic realm="Baremetal API"', value)
        status, answer, body = self.request(nmid, "POST", "/v2.1/servers/n1/action",
                                            {"inject_nmi": None})
        self.assertEqual((status, body["unauthorized"]["code"]), (401, 401))
        self.assertEqual(answer["WWW-Authenticate"], 'Basic realm="Baremetal API"')
        self.assertEqual(self.sim.count(), 0)
        # The scheme's case does not matter, nor a token beside it.
        for headers in ({"Authorization": good.replace("Basic", "bASIC")},
                        {"Authorization": good, "X-Auth-Token": "anything"}):
            self.assertEqual(self.request(nmid, "GET", NODES, headers=headers)[0], 200)
        self.assertEqual(self.request(nmid, "GET", NODES, headers={"X-Auth-Token": "x"})[0], 401)
        self.assertEqual(self.request(nmid, "GET", "/healthz")[0], 200)

    def test_unusual_passwords(self):
        words = {"colon": "a:b:c:", "umlaut": "grün-☃-パスワード", "blank": " a b ", "one": "x",
                 "long": "x" * 72, "umlauts": "ü" * 36}
        for name, word in words.items():
            self.user(name, word)
        nmid = self.daemon([{"name": name, "project_id": "demo", "roles": ["reader"]}
                            for name in words])
        for name, word in words.items():
            self.assertEqual(self.status(nmid, name, word), 200, name)
            self.assertEqual(self.status(nmid, name, word[:-1]), 401, name)
        # bcrypt reads 72 bytes. What is longer is refused rather than cut.
        for name, word in (("long", "x" * 73), ("umlauts", "ü" * 37)):
            self.assertEqual(self.status(nmid, name, word), 401, name)

    def test_unusual_names(self):
        names = ["jürgen", "a.b-c_d@example.com", "with blank", "u" * 190]
        for name in names:
            self.user(name, "secret")
        nmid = self.daemon([{"name": name, "project_id": "demo", "roles": ["member"]}
                            for name in names])
        for name in names:
            self.assertEqual(self.status(nmid, name, "secret"), 200, name)
        status, _, action = self.request(nmid, "POST", f"{NODES}/n1/actions", NMI,
                                         headers=basic("jürgen", "secret"))
        self.assertEqual((status, action["caller"]["user"], action["caller"]["project_id"]),
                         (202, "jürgen", "demo"))

    # ---- The file ----

    def test_other_hashes_are_refused(self):
        for flag in ("-m", "-s", "-d", "-5", "-2"):
            self.file = self.unique("htpasswd")
            self.user("alice", "secret-a")
            self.file.write_text("# one\n" + self.file.read_text() +
                                 htpasswd("-n", flag, "bob", word="secret-b"))
            line = self.file.read_text().splitlines()[2]
            said = self.check(self.conf(), rf"{self.file}:3: .*bcrypt")
            self.assertNotIn(line.split(":", 1)[1], said)

    def test_files_that_are_no_good(self):
        self.user("alice", "secret-a")
        self.file.chmod(0o644)
        self.check(self.conf(), rf"{self.file}.*readable by others")
        self.check(self.conf(user_file=self.dir / "none"), f"{self.dir}/none")
        self.check(self.conf(user_file=self.dir), str(self.dir))
        self.file.chmod(0o600)
        self.user("bob", "secret-b")
        text = self.file.read_text()
        self.file.write_text(text + text.splitlines()[0] + "\nno colon\n:\n\n")
        said = self.check(self.conf(), rf"{self.file}:3: ")
        self.assertIn(f"{self.file}:4: ", said)
        self.assertIn(f"{self.file}:5: ", said)
        self.assertNotIn("$2y$", said)

    def test_the_file_changes(self):
        self.user("alice", "secret-a")
        nmid = self.daemon(cache_s=3600)
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        self.assertEqual(self.status(nmid, "bob", "secret-b"), 401)

        self.user("bob", "secret-b")  # added
        lab.wait_for(lambda: self.status(nmid, "bob", "secret-b") == 200, 20, "the new user")
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)

        self.user("alice", "changed")  # whose old password is remembered for an hour
        lab.wait_for(lambda: self.status(nmid, "alice", "changed") == 200, 20, "the new password")
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 401)

        subprocess.run([lab.which("htpasswd"), "-D", self.file, "bob"], check=True,
                       capture_output=True)
        lab.wait_for(lambda: self.status(nmid, "bob", "secret-b") == 401, 20, "the removal")
        self.assertEqual(self.status(nmid, "alice", "changed"), 200)

        good = self.file.read_text()  # broken: those of before stay, and the log says so
        self.file.write_text(good + "rubbish-of-the-file\n")
        lab.wait_for(lambda: self.status(nmid, "alice", "changed") == 200 and
                     f"{self.file}:2" in nmid.log(), 20, "a complaint")
        self.assertNotIn("rubbish-of-the-file", nmid.log())
        self.file.write_text(good)
        self.user("alice", "again")
        lab.wait_for(lambda: self.status(nmid, "alice", "again") == 200, 20, "the mended file")
        self.assertEqual(self.status(nmid, "alice", "changed"), 401)

        self.file.unlink()
        lab.wait_for(lambda: self.status(nmid, "alice", "again") == 200 and
                     nmid.log().count("the users of before stay") == 2, 20, "a second complaint")

    def test_reload(self):
        self.user("alice", "secret-a")
        nmid = self.daemon()
        post = lambda: self.request(nmid, "POST", "/v2.1/servers/n1/action", {"inject_nmi": None},
                                    headers=basic("alice", "secret-a"))[0]
        self.assertEqual(post(), 202)
        auth = nmid.settings["auth"]
        nmid.reload(auth={**auth, "users": [{**USERS[0], "roles": ["reader"]}]})
        self.assertEqual(post(), 403)
        nmid.reload(auth={**auth, "users": [{**USERS[0], "project_id": "other"}]})
        self.assertEqual(post(), 404)
        nmid.reload(auth={**auth, "users": USERS[1:]})
        self.assertEqual(post(), 403)
        nmid.reload(auth={**auth, "users": [{**USERS[0], "project_id": "other",
                                             "roles": ["admin"]}]})
        self.assertEqual(post(), 202)
        self.assertEqual(self.sim.count(), 2)
        # A file that cannot be read: nothing of the new configuration counts.
        said = nmid.reload(auth={**auth, "user_file": self.dir / "none", "users": USERS})
        self.assertIn("not reloaded", said)
        self.assertEqual(post(), 202)
        nmid.reload(auth={"strategy": "none"})
        self.assertEqual(self.request(nmid, "GET", NODES)[0], 200)
        nmid.reload(auth={**auth, "users": USERS})
        self.assertEqual(self.request(nmid, "GET", NODES)[0], 401)

    def test_listeners(self):
        """Each may have its own."""
        self.user("alice", "secret-a")
        path = self.unique("s")
        auth = {"strategy": "http_basic", "user_file": self.file, "users": USERS}
        nmid = self.nmid([lab.node("n1", self.sim)],
                         listen=[{"address": "127.0.0.1", "port": 0, "auth": auth},
                                 {"socket": path}])
        self.assertEqual(self.request(nmid, "GET", NODES)[0], 401)
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        nmid.url = f"unix:{path}"
        self.assertEqual(self.request(nmid, "GET", NODES)[0], 200)

    # ---- What it costs ----

    def test_a_busy_client_costs_one_bcrypt(self):
        self.user("alice", "secret-a", cost=12)
        nmid = self.daemon()
        before = cpu_s(nmid)
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        one = cpu_s(nmid) - before
        self.assertGreater(one, 0.02, "no bcrypt at all")
        before = cpu_s(nmid)
        for _ in range(200):
            self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        self.assertLess(cpu_s(nmid) - before, 20 * one, "a bcrypt for each request")

    def test_all_at_once_cost_one_bcrypt(self):
        self.user("alice", "secret-a", cost=12)
        nmid = self.daemon()
        before = cpu_s(nmid)
        self.assertEqual(self.status(nmid, "alice", "wrong"), 401)
        one = cpu_s(nmid) - before
        results = []
        threads = [threading.Thread(target=lambda: results.append(
            self.status(nmid, "alice", "secret-a"))) for _ in range(40)]
        before = cpu_s(nmid)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(results, [200] * 40)
        self.assertLess(cpu_s(nmid) - before, 10 * one, "a bcrypt for each request")

    def test_without_a_cache(self):
        self.user("alice", "secret-a", cost=10)
        nmid = self.daemon(cache_s=0)
        self.status(nmid, "alice", "secret-a")
        before = cpu_s(nmid)
        self.status(nmid, "alice", "wrong")
        one = max(cpu_s(nmid) - before, 0.01)
        before = cpu_s(nmid)
        for _ in range(20):
            self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        self.assertGreater(cpu_s(nmid) - before, 5 * one)

    def test_an_unknown_user_costs_the_same(self):
        self.user("alice", "secret-a", cost=12)
        nmid = self.daemon()
        costs = []
        for user in ("alice", "nobody-of-the-file"):
            before = cpu_s(nmid)
            for number in range(4):
                self.assertEqual(self.status(nmid, user, f"wrong-{number}"), 401)
            costs.append(cpu_s(nmid) - before)
        self.assertGreater(costs[1], costs[0] / 2)
        self.assertLess(costs[1], costs[0] * 2)

    def test_a_flood_does_not_stop_the_others(self):
        """Who is known is answered while wrong passwords wait for their check."""
        self.user("alice", "secret-a", cost=10)
        nmid = self.daemon()
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        flood = []
        for number in range(60):
            flood.append(socket.create_connection(("127.0.0.1", nmid.port),
                                                  source_address=("127.0.0.2", 0)))
            value = basic("alice" if number < 10 else f"user-{number}",
                          f"wrong-{number}")["Authorization"]
            flood[-1].sendall(f"GET {NODES} HTTP/1.1\r\nHost: localhost\r\n"
                              f"Authorization: {value}\r\nConnection: close\r\n\r\n".encode())
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)
        self.assertEqual(self.request(nmid, "GET", "/healthz")[0], 200)
        waiting = len(flood) - len(select.select(flood, [], [], 0)[0])
        self.assertGreater(waiting, 0, "all were checked before: no flood")
        for number, client in enumerate(flood):
            if number % 2 == 0:  # half of them leave, the others are told
                data = client.makefile("rb").readline()
                self.assertIn(data.split()[1], (b"401", b"429", b"503"))
            client.close()
        self.assertEqual(self.status(nmid, "alice", "secret-a"), 200)

    def test_it_ends_while_checks_wait(self):
        self.user("alice", "secret-a", cost=10)
        nmid = self.daemon()
        clients = []
        for number in range(20):
            clients.append(socket.create_connection(("127.0.0.1", nmid.port)))
            value = basic("alice", f"wrong-{number}")["Authorization"]
            clients[-1].sendall(f"GET {NODES} HTTP/1.1\r\nHost: localhost\r\n"
                                f"Authorization: {value}\r\n\r\n".encode())
        nmid.reload(auth={**nmid.settings["auth"], "cache_s": 5})
        self.assertEqual(nmid.stop(), 0)
        for client in clients:
            client.close()

    # ---- And no word of it ----

    def test_no_password_is_told(self):
        mark = "Kennwort-7f3a91"
        self.user("alice", f"{mark}-right")
        nmid = self.daemon()
        sent = [("alice", f"{mark}-right"), ("alice", f"{mark}-wrong"), (f"{mark}-as-user", "x"),
                ("alice", f"{mark}-long-" + "x" * 100), ("alice", f"{mark}-\N{SNOWMAN}")]
        for user, word in sent:
            self.status(nmid, user, word)
            self.request(nmid, "POST", "/v2.1/servers/n1/action", {"inject_nmi": None},
                         headers=basic(user, word))
        self.request(nmid, "GET", NODES, headers={"X-Auth-Token": f"{mark}-token"})
        self.request(nmid, "GET", NODES, headers={"Authorization": f"Bearer {mark}-bearer"})
        nmid.reload()
        self.assertEqual(nmid.stop(), 0)
        needles = [mark.encode(), self.file.read_text().split(":")[1].strip().encode()]
        needles += [base64.b64encode(f"{user}:{word}".encode())[:24] for user, word in sent]
        for path in [nmid.process.err_path, nmid.process.out_path, *nmid.state_dir.iterdir()]:
            data = path.read_bytes()
            for needle in needles:
                self.assertNotIn(needle, data, path)


if __name__ == "__main__":
    lab.main(needs=("htpasswd",))
