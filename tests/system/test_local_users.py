# SPDX-License-Identifier: GPL-3.0-or-later
"""auth = { strategy = "none"; users = ... } on a UNIX socket: what the kernel says of who is at the
other end. Asking as somebody else takes root; where the test is not root it says what it skips."""
import json
import os
import shutil
import unittest

import lab

AS_ROOT = unittest.skipUnless(os.geteuid() == 0, "to ask as other users this test must be root")
NOBODY, DAEMON, GAMES = 65534, 1, 60  # users and groups of Debian's base-passwd
USERS = [{"user": "nobody", "roles": ["member"], "project_id": "demo"},
         {"group": "games", "roles": ["reader"], "project_id": "other"}]
INJECT = ("POST", "/v2.1/servers/n1/action", {"inject_nmi": None})
SHOW = ("GET", "/agent/v1/nodes/n1", None)


class Local(lab.TestCase):
    def setUp(self):
        self.uid = self.gid = None  # of nmid; None: the test's own
        self.dir.chmod(0o755)  # others must get to the socket
        self.sim = self.bmcsim("--count", "3")
        self.path = self.unique("s")

    def start(self, argv, **options):
        if self.uid is not None and str(argv[0]).endswith("/nmid"):
            copy = self.dir / "bin"  # the build may lie where only the test's user gets to
            copy.mkdir(exist_ok=True)
            argv = [lab.which("setpriv"), f"--reuid={self.uid}", f"--regid={self.gid}",
                    "--clear-groups", shutil.copy(argv[0], copy), *argv[1:]]
        return super().start(argv, **options)

    def daemon(self, users=None, **settings):
        auth = {"strategy": "none"}
        if users is not None:
            auth["users"] = users
        nodes = [lab.node("n1", self.sim),
                 lab.node("n2", self.sim, self.sim.address(1), project_id="other"),
                 lab.node("n3", self.sim, self.sim.address(2), locked=True)]
        nmid = self.nmid(nodes, listen=[{"socket": self.path}], auth=auth, **settings)
        self.path.chmod(0o666)  # to see what nmid says, and not the file
        return nmid

    def ask(self, method, path, body=None, uid=None, gid=None, groups=()):
        """-> (status, JSON), asked by a child with this user and these groups."""
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            answer = [0, "no answer"]
            try:
                if uid is not None:
                    os.setgroups(list(groups))
                    os.setgid(uid if gid is None else gid)
                    os.setuid(uid)
                connection = lab.UnixConnection(str(self.path), 60)
                headers = {"Content-Type": "application/json"} if body is not None else {}
                connection.request(method, path, None if body is None else json.dumps(body),
                                   headers)
                got = connection.getresponse()
                answer = [got.status, got.read().decode()]
            except Exception as error:  # pylint: disable=broad-except
                answer = [0, repr(error)]
            finally:
                os.write(writer, json.dumps(answer).encode())
                os._exit(0)
        os.close(writer)
        with os.fdopen(reader) as lines:
            status, text = json.loads(lines.read())
        os.waitpid(child, 0)
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def test_who_runs_nmid_is_administrator(self):
        self.daemon(USERS)
        self.assertEqual(self.ask(*INJECT)[0], 202)
        self.assertEqual(self.ask("POST", "/v2.1/servers/n3/action", {"inject_nmi": None})[0], 202)
        self.assertEqual((self.sim.count(), self.sim.count(self.sim.address(2))), (1, 1))

    def test_mistakes(self):
        for users, listen, expected in (
                ([{"user": "no-such-user-x"}], {"socket": self.path}, "no-such-user-x"),
                ([{"group": "no-such-group-x"}], {"socket": self.path}, "no-such-group-x"),
                (USERS, {"address": "127.0.0.1", "port": 0}, "users")):
            conf = self.unique("check.conf")
            users = [{"roles": ["member"], **user} for user in users]
            settings = {"listen": [listen], "state_dir": self.dir,
                        "auth": {"strategy": "none", "users": users}}
            conf.write_text("".join(f"{key} = {lab.libconfig(value)};\n"
                                    for key, value in settings.items()), encoding="utf-8")
            process = self.start([lab.built("nmid"), "-t", "-c", conf])
            process.allowed = {1}
            self.assertEqual(process.wait(30), 1, (expected, process.err()))
            self.assertRegex(process.err(), rf"{conf}:\d+: .*{expected}")

    @AS_ROOT
    def test_users(self):
        self.daemon(USERS)
        # A member of demo.
        self.assertEqual(self.ask(*INJECT, uid=NOBODY)[0], 202)
        self.assertEqual(self.ask("POST", "/v2.1/servers/n2/action", {"inject_nmi": None},
                                  uid=NOBODY)[0], 404)
        self.assertEqual(self.ask("POST", "/v2.1/servers/n3/action", {"inject_nmi": None},
                                  uid=NOBODY)[0], 409)
        self.assertEqual(self.ask("PUT", "/agent/v1/nodes/n1/lock", uid=NOBODY)[0], 403)
        status, body = self.ask("GET", "/agent/v1/nodes", uid=NOBODY)
        self.assertEqual((status, [node["name"] for node in body["nodes"]]), (200, ["n1", "n3"]))
        status, action = self.ask("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"},
                                  uid=NOBODY)
        self.assertEqual((status, action["caller"]["user"], action["caller"]["project_id"]),
                         (202, "nobody", "demo"))
        # Who is in no entry.
        status, body = self.ask(*SHOW, uid=DAEMON)
        self.assertEqual((status, body["error"]["code"]), (403, "forbidden"))
        self.assertEqual(self.ask(*INJECT, uid=DAEMON)[0], 403)
        self.assertEqual(self.ask("GET", "/healthz", uid=DAEMON)[0], 200)
        # Root is always an administrator.
        self.assertEqual(self.ask(*INJECT, uid=0)[0], 202)
        self.assertEqual(self.sim.control("total")["sum"]["nmi"], 3)

    @AS_ROOT
    def test_groups(self):
        self.daemon(USERS)
        show_other = ("GET", "/agent/v1/nodes/n2", None)
        self.assertEqual(self.ask(*show_other, uid=DAEMON, groups=[GAMES])[0], 200)
        self.assertEqual(self.ask(*show_other, uid=DAEMON, gid=GAMES)[0], 200)
        self.assertEqual(self.ask(*show_other, uid=DAEMON, groups=[100, GAMES, 4])[0], 200)
        self.assertEqual(self.ask(*show_other, uid=DAEMON, groups=[100, 4])[0], 403)
        many = [*range(2000, 2200), GAMES]
        self.assertEqual(self.ask(*show_other, uid=DAEMON, groups=many)[0], 200)
        # A reader, and of that project alone.
        self.assertEqual(self.ask("POST", "/v2.1/servers/n2/action", {"inject_nmi": None},
                                  uid=DAEMON, groups=[GAMES])[0], 403)
        self.assertEqual(self.ask(*SHOW, uid=DAEMON, groups=[GAMES])[0], 404)
        # In two entries: the first one's project.
        self.assertEqual(self.ask(*INJECT, uid=NOBODY, groups=[GAMES])[0], 202)
        self.assertEqual(self.ask(*show_other, uid=NOBODY, groups=[GAMES])[0], 404)

    @AS_ROOT
    def test_a_role_in_one_project_is_none_in_another(self):
        """Reader of other by the group, member of demo by name: not a member of other."""
        nmid = self.daemon(USERS[::-1])
        inject_other = ("POST", "/v2.1/servers/n2/action", {"inject_nmi": None})
        self.assertEqual(self.ask(*inject_other, uid=NOBODY, groups=[GAMES])[0], 403)
        self.assertEqual(self.ask(*INJECT, uid=NOBODY, groups=[GAMES])[0], 404)
        self.assertEqual(self.ask(*INJECT, uid=NOBODY)[0], 202)
        nmid.reload(auth={"strategy": "none", "users": [*USERS[::-1], {
            "group": "users", "roles": ["member"]}]})  # in no project of its own: it counts
        self.assertEqual(self.ask(*inject_other, uid=NOBODY, groups=[GAMES, 100])[0], 202)

    @AS_ROOT
    def test_without_users_everybody_is_administrator(self):
        self.daemon()
        self.assertEqual(self.ask("POST", "/v2.1/servers/n3/action", {"inject_nmi": None},
                                  uid=NOBODY)[0], 202)
        self.assertEqual(self.sim.count(self.sim.address(2)), 1)

    @AS_ROOT
    def test_the_socket_is_for_its_group(self):
        """As nmid makes it, before this test opens it to all."""
        nmid = self.daemon()
        nmid.stop()
        nmid.start()
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o660)
        self.assertEqual(self.ask(*SHOW, uid=NOBODY)[0], 0)

    @AS_ROOT
    def test_reload(self):
        nmid = self.daemon(USERS)
        self.assertEqual(self.ask(*INJECT, uid=NOBODY)[0], 202)
        nmid.reload(auth={"strategy": "none", "users": USERS[1:]})
        self.assertEqual(self.ask(*INJECT, uid=NOBODY)[0], 403)
        nmid.reload(auth={"strategy": "none",
                          "users": [{"user": "65534", "roles": ["admin"]}]})
        self.assertEqual(self.ask("POST", "/v2.1/servers/n3/action", {"inject_nmi": None},
                                  uid=NOBODY)[0], 202)
        said = nmid.reload(auth={"strategy": "none",
                                 "users": [{"user": "no-such-user-x", "roles": ["admin"]}]})
        self.assertIn("not reloaded", said)
        self.assertEqual(self.ask(*SHOW, uid=NOBODY)[0], 200)

    @AS_ROOT
    def test_nmid_of_another_user(self):
        """Its own user is an administrator, and so is root; others are what users says."""
        self.uid = self.gid = DAEMON
        state = self.unique("state")
        state.mkdir(mode=0o700)
        for path in (self.dir, state):
            os.chown(path, DAEMON, DAEMON)
        self.process_conf_readable()
        self.daemon(USERS, state_dir=str(state))
        self.assertEqual(self.ask(*INJECT, uid=DAEMON)[0], 202)
        self.assertEqual(self.ask(*INJECT, uid=0)[0], 202)
        self.assertEqual(self.ask(*INJECT, uid=NOBODY)[0], 202)
        self.assertEqual(self.ask(*INJECT, uid=2)[0], 403)

    def process_conf_readable(self):
        """The configuration is nmid's user's, who must read the BMC's password in it."""
        write = lab.Nmid.write_conf

        def write_and_give(nmid):
            write(nmid)
            os.chown(nmid.conf, DAEMON, DAEMON)
        lab.Nmid.write_conf = write_and_give
        self.addCleanup(setattr, lab.Nmid, "write_conf", write)


if __name__ == "__main__":
    lab.main()
