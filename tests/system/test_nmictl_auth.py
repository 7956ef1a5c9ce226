#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl's credentials: which of them nmid and Keystone get to see, when, and what each refusal
makes of an interrupt."""
import base64
import fcntl
import json
import os
import pty
import shutil
import signal
import ssl
import subprocess
import termios
import unittest

from fake_keystone import FakeKeystone
from fake_nmid import FakeNmid, make_node
import lab
from nmictl_case import Case, NMICTL, SOURCE, closed_port, environment, nmictl

PASSWORD = "correct horse: b\u00e4ttery \"staple\\"


def basic(user, password):
    return "Basic " + base64.b64encode(("%s:%s" % (user, password)).encode()).decode()


class Base(Case):
    def expect(self, code, *args, secrets=(), **env):
        """Runs nmictl in this environment; none of the secrets is in what it says."""
        result = nmictl("-u", self.fake.url, *args, env=environment(**env))
        text = "stdout:\n%s\nstderr:\n%s" % (result.stdout, result.stderr)
        self.assertEqual(result.returncode, code, text)
        for secret in [*secrets, *(env[name] for name in env if "PASS" in name or "SECRET" in name
                                   or "TOKEN" in name)]:
            if secret:
                self.assertNotIn(secret, text)
        return result

    def file(self, text, mode=0o600):
        path = os.path.join(self.temporary(), "token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(path, mode)
        return path

    def statuses(self):
        """What each request to the agent API brought: "none", "basic" or "token"."""
        return ["basic" if pair[0] else "token" if pair[1] else "none"
                for pair, (_, path) in zip(self.fake.credentials, self.fake.requests)
                if path != "/healthz"]

    def healths(self):
        """How often /healthz was asked: with credentials at hand once before all else, and by
        inject-nmi before the first interrupt."""
        return self.fake.requests.count(("GET", "/healthz"))

    def each_nmid(self):
        """One whose /healthz says what it asks for, and one of before."""
        for says_auth in (True, False):
            self.fake.says_auth = says_auth
            for seen in (self.fake.credentials, self.fake.requests, self.fake.injections):
                seen.clear()
            yield says_auth

    def assert_nothing_sent(self, result):
        self.assertEqual(self.fake.posts, [])
        self.assertIn("nothing was sent", result.stderr)


class HttpBasic(Base):
    def setUp(self):
        super().setUp()
        self.fake.users = {"alice": PASSWORD}

    def test_at_once_and_always(self):
        for args, env in ((("--user", "alice"), {}), ((), {"NMID_USER": "alice"})):
            self.fake.credentials.clear()
            result = self.expect(0, *args, "inject-nmi", "n1", NMID_PASSWORD=PASSWORD, **env)
            self.assertEqual((result.stdout, result.stderr), ("n1  delivered\n", ""))
            self.assertEqual(self.fake.credentials[0], (None, None))  # /healthz
            self.assertEqual(set(self.fake.credentials[1:]), {(basic("alice", PASSWORD), None)})

    def test_every_verb(self):
        self.expect(0, "inject-nmi", "n1", "--user", "alice", NMID_PASSWORD=PASSWORD)
        action = list(self.fake.actions)[0]
        for verb in (["nodes"], ["show", "n1"], ["probe", "n1"], ["lock", "n1"], ["unlock", "n1"],
                     ["status", "n1", "ERROR"], ["actions"], ["actions", action], ["version"]):
            self.expect(0, *verb, "--user", "alice", NMID_PASSWORD=PASSWORD)
        self.assertEqual(set(self.statuses()), {"basic"})

    def test_long_and_odd_passwords(self):
        for password in ("x", "xy", "xyz", "p" * 1000, "\u00e9:::"):
            self.fake.users = {"al ice@x": password}
            result = nmictl("-u", self.fake.url, "--user", "al ice@x", "nodes",
                            env=environment(NMID_PASSWORD=password))
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_wrong_password(self):
        self.fake.nodes += [make_node("p%d" % i) for i in range(40)]
        result = self.expect(1, "--user", "alice", "inject-nmi", "p[0-39]", NMID_PASSWORD="guess")
        self.assertIn("nmid refused the user 'alice', or the password", result.stderr)
        self.assert_nothing_sent(result)
        self.assertEqual(self.statuses(), ["basic"])

    def test_wrong_password_in_json(self):
        result = self.expect(1, "-f", "json", "--user", "alice", "inject-nmi", "n1",
                             NMID_PASSWORD="guess")
        item, = json.loads(result.stdout)
        self.assertEqual((item["outcome"], item["code"]), ("failed", "unauthorized"))

    def test_none(self):
        result = self.expect(1, "inject-nmi", "n1")
        self.assertIn("nmid asks for a user and a password: --user NAME and NMID_PASSWORD",
                      result.stderr)
        self.assert_nothing_sent(result)

    def test_an_openrc_is_not_for_it(self):
        with FakeKeystone() as keystone:
            for said in self.each_nmid():
                result = self.expect(1, "inject-nmi", "n1", OS_AUTH_URL=keystone.auth_url,
                                     OS_USERNAME="alice", OS_PASSWORD="alice-password",
                                     OS_TOKEN="gAAAA", OS_PROJECT_NAME="x")
                self.assertIn("asks for a user and a password: --user NAME", result.stderr)
                self.assert_nothing_sent(result)
                self.assertEqual(keystone.requests, [])
                self.assertEqual(set(self.fake.credentials), {(None, None)})
                self.assertEqual(self.statuses(), [] if said else ["none"])

    def test_no_terminal(self):
        result = self.expect(2, "--user", "alice", "nodes")
        self.assertIn("--user wants a password: NMID_PASSWORD is not set, and there is no terminal",
                      result.stderr)
        result = self.expect(2, "nodes", NMID_USER="alice", NMID_PASSWORD="")
        self.assertIn("NMID_USER wants a password: NMID_PASSWORD is empty, and there is no terminal",
                      result.stderr)
        self.assertEqual(self.fake.requests, [])

    def test_names_that_cannot_be(self):
        for name in ("", "a:b", "a\nb", "x" * 256):
            result = self.expect(2, "--user", name, "nodes", NMID_PASSWORD=PASSWORD)
            self.assertIn("--user: a user's name has", result.stderr)
        self.assertIn("exclude each other",
                      self.expect(2, "--user", "a", "--token-file", "b", "nodes").stderr)

    def test_secrets_in_argv(self):
        for args in (["--password=hunter2"], ["--password", "hunter2"], ["--token=hunter2"],
                     ["--token", "hunter2"], ["--os-password=hunter2"], ["--tok=hunter2"],
                     ["--help=hunter2"]):
            result = self.expect(2, *args, "nodes", secrets=["hunter2"])
            self.assertNotEqual(result.stderr, "")
        self.assertIn("NMID_PASSWORD instead", self.expect(2, "--password", "x", "nodes").stderr)
        self.assertIn("--token-file or OS_TOKEN instead",
                      self.expect(2, "--token", "x", "nodes").stderr)

    def test_environment_is_wiped(self):
        self.fake.held.add("n1")
        process = subprocess.Popen(
            [NMICTL, "-u", self.fake.url, "--user", "alice", "inject-nmi", "n1"],
            env=environment(NMID_PASSWORD=PASSWORD, OS_PASSWORD="sesame-1", OS_TOKEN="sesame-2",
                            OS_APPLICATION_CREDENTIAL_SECRET="sesame-3"), stdout=subprocess.PIPE)
        self.assertTrue(self.fake.wait_until(lambda: self.fake.polling == 1))
        try:
            with open("/proc/%d/environ" % process.pid, "rb") as file:
                seen = file.read()
        except PermissionError:  # nmictl is not dumpable: root alone may look
            seen = b"NMID_PASSWORD="
        with open("/proc/%d/cmdline" % process.pid, "rb") as file:
            seen += file.read()
        self.fake.release("n1")
        process.communicate()
        self.assertIn(b"NMID_PASSWORD=", seen)
        for secret in (PASSWORD.encode(), PASSWORD.encode()[4:20], b"sesame"):
            self.assertNotIn(secret, seen)
        self.assertEqual(process.returncode, 0)

    def test_in_the_clear(self):
        url = self.fake.url.replace("127.0.0.1", "0.0.0.0")  # the same machine, but not by its name
        for used, warned in ((url, True), (self.fake.url, False)):
            result = nmictl("-u", used, "--user", "alice", "inject-nmi", "n[1-4]",
                            env=environment(NMID_PASSWORD=PASSWORD))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stderr.count("warning: the password goes to %s in the clear"
                                                 % used), warned)


class Terminal(Base):
    """The password is asked for where there is a terminal, and is not shown there."""

    def setUp(self):
        super().setUp()
        self.fake.users = {"alice": PASSWORD}
        self.leader, self.follower = pty.openpty()
        self.addCleanup(os.close, self.leader)
        self.addCleanup(os.close, self.follower)
        self.seen = b""

    def start(self, *args, session=True):
        process = subprocess.Popen(
            [NMICTL, "-u", self.fake.url, "--user", "alice", *args], env=environment(),
            stdin=self.follower, stdout=subprocess.PIPE, stderr=self.follower,
            start_new_session=session, encoding="utf-8",
            # Without a session of its own, a process group of its own: the kernel stops none whose
            # parents have all gone (make check under nohup).
            preexec_fn=(lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)) if session else os.setpgrp)
        self.addCleanup(process.stdout.close)
        while b"Password of alice: " not in self.seen:
            self.seen += os.read(self.leader, 4096)
        self.assertFalse(self.echo())
        return process

    def echo(self):
        return bool(termios.tcgetattr(self.follower)[3] & termios.ECHO)

    def test_asked(self):
        process = self.start("inject-nmi", "n1")
        os.write(self.leader, PASSWORD.encode() + b"\n")
        self.assertEqual(process.communicate()[0], "n1  delivered\n")
        self.assertEqual(process.returncode, 0)
        self.assertTrue(self.echo())
        os.write(self.follower, b"END")
        while b"END" not in self.seen:
            self.seen += os.read(self.leader, 4096)
        self.assertNotIn(b"horse", self.seen)

    def test_given_up(self):
        for key, number in ((b"\x03", signal.SIGINT), (None, signal.SIGTERM)):
            self.seen = b""
            process = self.start("inject-nmi", "n1")
            if key:
                os.write(self.leader, b"half a pass" + key)
            else:
                process.send_signal(number)
            process.communicate()
            self.assertEqual(process.returncode, -number)
            self.assertTrue(self.echo())
        self.assertEqual(self.statuses(), [])

    def test_stopped_and_resumed(self):
        process = self.start("nodes", "-f", "json", session=False)  # else nothing stops it
        self.seen = b""
        os.kill(process.pid, signal.SIGTSTP)
        pid, status = os.waitpid(process.pid, os.WUNTRACED)
        self.assertTrue(pid == process.pid and os.WIFSTOPPED(status))
        self.assertTrue(self.echo())
        os.kill(process.pid, signal.SIGCONT)
        while b"Password of alice: " not in self.seen:
            self.seen += os.read(self.leader, 4096)
        os.write(self.leader, PASSWORD.encode() + b"\n")
        process.communicate()
        self.assertEqual(process.returncode, 0)

    def test_empty(self):
        process = self.start("nodes")
        os.write(self.leader, b"\n")
        process.communicate()
        self.assertEqual((process.returncode, self.statuses()), (2, []))

    def test_not_asked_for_nothing(self):
        """A nmid that asks for no password: none is typed."""
        self.fake.users = None
        process = subprocess.Popen([NMICTL, "-u", self.fake.url, "--user", "alice", "nodes"],
                                   env=environment(), stdin=self.follower, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, encoding="utf-8")
        error = process.communicate(timeout=60)[1]
        self.assertEqual(process.returncode, 2, error)
        self.assertIn("nmid asks for no password", error)
        self.assertNotIn("Password of", error)


class NotAskedFor(Base):
    """Credentials of the command line that nmid does not want: nothing is done as somebody else."""

    def refused(self, *option, **env):
        for verb in (["inject-nmi", "n1"], ["nodes"], ["show", "n1"], ["probe", "n1"],
                     ["lock", "n1"], ["status", "n1", "ERROR"], ["actions"], ["audit"]):
            self.fake.requests.clear()
            result = self.expect(2, *verb, *option, **env)
            self.assertEqual(result.stdout, "")
            self.assertEqual(self.fake.requests, [("GET", "/healthz")])
            self.assertEqual(set(self.fake.credentials), {(None, None)})
        return result.stderr

    def token(self):
        return "--token-file", self.file("gAAAA")

    def test_by_a_nmid_that_asks_for_none(self):
        user = "--user", "alice"
        words = "nmid asks for no password at %s: leave --user out, whoever reaches it is" \
            % self.fake.url
        self.assertIn(words, self.refused(*user, NMID_PASSWORD=PASSWORD))
        self.assertIn("nmid asks for no token at ", self.refused(*self.token()))
        path = os.path.join(self.temporary(), "socket")
        with FakeNmid([make_node("n1")], path) as self.fake:
            words = "nmid asks for no %%s at unix:%s: without %%s you are known by your local user" \
                % path
            self.assertIn(words % ("password", "--user"),
                          self.refused(*user, NMID_PASSWORD=PASSWORD))
            self.assertIn(words % ("token", "--token-file"), self.refused(*self.token()))

    def test_by_one_with_passwords(self):
        self.fake.users = {"alice": PASSWORD}
        self.assertIn("nmid asks for a user and a password, and not for a token: --user NAME",
                      self.refused(*self.token()))

    def test_by_one_with_keystone(self):
        with FakeKeystone() as self.fake.keystone:
            self.assertIn("leave --user out, and load an openrc",
                          self.refused("--user", "alice", NMID_PASSWORD=PASSWORD))
            self.assertEqual(self.fake.keystone.requests, [])

    def test_those_of_the_environment(self):
        """They may be there for another nmid: they stay unused."""
        result = self.expect(0, "nodes", NMID_USER="alice", NMID_PASSWORD=PASSWORD)
        self.assertIn("warning: nmid asks for no password at %s: NMID_USER is not used"
                      % self.fake.url, result.stderr)
        self.assertEqual(set(self.fake.credentials), {(None, None)})
        result = self.expect(0, "nodes", OS_TOKEN="gAAAA")
        self.assertEqual(result.stderr, "")
        self.assertEqual(set(self.fake.credentials), {(None, None)})

    def test_a_nmid_that_cannot_be_asked(self):
        """What the command's own requests come to is told, as ever."""
        for what in ("status=500", "garbage", "drop", "redirect=http://127.0.0.1:1/"):
            times = 1000 if what == "drop" else 1  # a lost connection is tried again
            rule = self.fake.fault("GET", "/healthz", what, times)
            self.expect(0, "nodes", "--user", "alice", NMID_PASSWORD=PASSWORD)
            rule.times = 0
        for value in ("", "kerberos", "NONE"):
            self.fake.strategy = value
            self.expect(0, "nodes", "--user", "alice", NMID_PASSWORD=PASSWORD)
        holder, url = closed_port()
        with holder:
            result = nmictl("-u", url, "--user", "alice", "nodes",
                            env=environment(NMID_PASSWORD=PASSWORD))
        self.assertEqual(result.returncode, 4)
        self.assertEqual(result.stderr.count("was not reached"), 1)

    def test_version_needs_none(self):
        self.fake.users = {"alice": PASSWORD}
        for env in ({"OS_USERNAME": "alice"}, {"OS_TOKEN": "gAAAA"}):
            result = self.expect(0, "version", **env)
            self.assertIn("nmid 0.1.0", result.stdout)
            self.assertEqual(result.stderr, "")
        self.assertEqual(set(self.fake.credentials), {(None, None)})


class Socket(Base):
    def test_not_let_in(self):
        """A UNIX socket that this user may not open: with how to get in."""
        folder = self.temporary()
        path, program = os.path.join(folder, "socket"), os.path.join(folder, "nmictl")
        shutil.copy(NMICTL, program)
        os.chmod(folder, 0o755)
        owner = "root" if os.geteuid() == 0 else None
        nobody = {"user": 65534, "group": 65534, "extra_groups": []} if owner else {}
        with FakeNmid([make_node("n1")], path) as fake:
            for group, mode, words in (
                    (2, 0o660, "it is open to its owner and the group 'bin' (adduser USER bin, and "
                     "log in anew)"),
                    (0, 0o660, "it is open to its owner and root alone"),
                    (2, 0o600, "it is open to its owner and root alone")):
                if owner:
                    os.chown(path, 0, group)
                elif group:
                    continue  # only root may give it away
                os.chmod(path, mode if owner else 0)
                result = subprocess.run([program, "-u", fake.url, "nodes"], env=environment(),
                                        capture_output=True, encoding="utf-8", check=False,
                                        cwd="/", **nobody)
                self.assertEqual(result.returncode, 4, result.stderr)
                self.assertIn("nmid was not reached at %s: Permission denied: %s"
                              % (fake.url, words), result.stderr)
            self.assertEqual(fake.requests, [])


class Keystone(Base):
    def setUp(self):
        super().setUp()
        self.keystone = FakeKeystone()
        self.addCleanup(self.keystone.stop)
        self.fake.keystone = self.keystone

    def openrc(self, **more):
        env = {"OS_AUTH_URL": self.keystone.auth_url, "OS_USERNAME": "alice",
               "OS_PASSWORD": "alice-password", "OS_USER_DOMAIN_NAME": "Default",
               "OS_PROJECT_NAME": "demo", "OS_PROJECT_DOMAIN_NAME": "Default",
               "OS_IDENTITY_API_VERSION": "3"}
        env.update(more)
        return {name: value for name, value in env.items() if value is not None}

    def logins(self):
        return self.keystone.count("POST", "/v3/auth/tokens")


class Token(Keystone):
    def setUp(self):
        super().setUp()
        self.token = self.keystone.issue("alice", project="demo")

    def test_file(self):
        path = self.file(self.token + "\n")
        self.expect(0, "--token-file", path, "inject-nmi", "n1", secrets=[self.token])
        self.assertEqual(set(self.statuses()), {"token"})

    def test_stdin(self):
        result = subprocess.run([NMICTL, "-u", self.fake.url, "--token-file", "-", "nodes"],
                                input=self.token, env=environment(), stdout=subprocess.PIPE,
                                encoding="utf-8", check=False)
        self.assertEqual(result.returncode, 0)
        self.assertEqual(self.statuses(), ["token"])

    def test_files_that_are_none(self):
        for path, words in ((self.file(self.token, 0o644), "readable by others: chmod 600"),
                            (self.file(""), "has no token in it"),
                            (self.file("two words"), "has no token in it"),
                            (self.file("a\r\nX-Evil: 1"), "has no token in it"),
                            (self.file("x" * 8193), "has no token in it"),
                            ("/nowhere/token", "No such file"),
                            ("/", "directory"),
                            (self.token, "takes the name of a file")):
            result = self.expect(2, "--token-file", path, "nodes", secrets=[self.token, "two words"])
            self.assertIn(words, result.stderr)
        self.assertEqual(self.fake.requests, [])

    def test_environment_when_asked(self):
        self.fake.nodes += [make_node("p%d" % i) for i in range(40)]
        for said in self.each_nmid():
            self.expect(0, "inject-nmi", "p[0-39]", OS_TOKEN=self.token)
            self.assertEqual(self.fake.credentials[0], (None, None))
            self.assertEqual(self.statuses().count("none"), 0 if said else 1)
            self.assertEqual(self.statuses()[0], "token" if said else "none")
            self.assertEqual(len(self.fake.injections), 40)
            self.assertEqual(self.keystone.requests, [])

    def test_expired(self):
        self.keystone.revoke(self.token)
        result = self.expect(1, "inject-nmi", "n1", OS_TOKEN=self.token)
        self.assertIn("nmid refused the token of OS_TOKEN; it may have expired", result.stderr)
        self.assert_nothing_sent(result)
        result = self.expect(1, "--token-file", self.file(self.token), "nodes",
                             secrets=[self.token], **self.openrc())
        self.assertIn("nmid refused the token of --token-file", result.stderr)
        self.assertEqual(self.logins(), 0)

    def test_revoked_before_the_interrupt(self):
        """Refused, and nothing was sent: failed, and never unknown."""
        self.fake.fault("GET", "/healthz", "status=200", 2)
        self.revoke_when(lambda: self.healths() == 2)
        result = self.expect(1, "inject-nmi", "n1", OS_TOKEN=self.token)
        self.assertIn("n1  failed  nmid refused the token of OS_TOKEN", result.stdout)
        self.assertEqual(self.fake.injections, {})

    def revoke_when(self, condition):
        challenge = self.fake.challenge

        def revoking(*brought):
            if condition():
                self.keystone.revoke(self.token)
            return challenge(*brought)
        self.fake.challenge = revoking

    def test_revoked_after_the_interrupt(self):
        """The action goes on, and what came of it is not known: never failed."""
        self.fake.tamper = lambda action: self.keystone.revoke(self.token)
        result = self.expect(3, "inject-nmi", "n1", OS_TOKEN=self.token)
        self.assert_unknown(result)
        self.assertIn("what came of the action cannot be asked: nmid refused the token",
                      result.stdout)
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_revoked_while_the_answer_is_lost(self):
        self.fake.fault("POST", "/actions$", "drop")
        self.fake.tamper = lambda action: self.keystone.revoke(self.token)
        result = self.expect(3, "inject-nmi", "n1", OS_TOKEN=self.token)
        self.assert_unknown(result)
        self.assertIn("the answer to the request was lost, and it cannot be asked again",
                      result.stdout)

    def test_it_cannot_be_one(self):
        result = self.expect(1, "nodes", OS_TOKEN="two words")
        self.assertIn("OS_TOKEN has no token in it", result.stderr)
        self.fake.keystone = None
        self.expect(0, "nodes", OS_TOKEN="two words")


class Openrc(Keystone):
    def test_one_log_in(self):
        self.fake.nodes += [make_node("p%d" % i) for i in range(40)]
        for said in self.each_nmid():
            self.keystone.requests.clear()
            result = self.expect(0, "inject-nmi", "p[0-39]", **self.openrc())
            self.assertEqual(result.stderr, "")
            self.assertEqual(self.logins(), 1)
            self.assertEqual(self.statuses().count("none"), 0 if said else 1)
            self.assertEqual(sorted(self.fake.injections.values()), [1] * 40)

    def scope_of(self, **env):
        """The token's project, system scope, and the user, after this openrc."""
        self.expect(0, "nodes", **env)
        token = self.keystone.tokens[self.fake.credentials[-1][1]][0]
        return (token.get("project", {}).get("name"), "system" in token, token["user"]["name"])

    def test_forms(self):
        alice = ("demo", False, "alice")
        none = {name: None for name in self.openrc() if name != "OS_AUTH_URL"}
        app_id, secret = self.keystone.application_credential("alice", "demo")
        for change, wanted in (
                ({}, alice),
                ({"OS_AUTH_URL": self.keystone.url}, alice),
                ({"OS_AUTH_URL": self.keystone.url + "/"}, alice),
                ({"OS_AUTH_URL": self.keystone.url + "/v3/"}, alice),
                ({"OS_AUTH_URL": self.keystone.url + "/v2.0"}, alice),
                ({"OS_AUTH_TYPE": "password"}, alice),
                ({"OS_AUTH_TYPE": "v3password", "OS_IDENTITY_API_VERSION": None}, alice),
                ({"OS_USER_ID": "alice-id", "OS_USERNAME": None, "OS_USER_DOMAIN_NAME": None},
                 alice),
                ({"OS_PROJECT_ID": "demo-id", "OS_PROJECT_NAME": None}, alice),
                ({"OS_TENANT_NAME": "demo", "OS_PROJECT_NAME": None}, alice),
                ({"OS_USER_DOMAIN_NAME": None, "OS_PROJECT_DOMAIN_NAME": None}, alice),
                ({"OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default"}, alice),
                ({"OS_USERNAME": "admin", "OS_PASSWORD": "admin-password", "OS_PROJECT_NAME": None,
                  "OS_SYSTEM_SCOPE": "all"}, (None, True, "admin")),
                ({**none, "OS_AUTH_TYPE": "v3applicationcredential",
                  "OS_APPLICATION_CREDENTIAL_ID": app_id,
                  "OS_APPLICATION_CREDENTIAL_SECRET": secret}, alice),
                ({**none, "OS_APPLICATION_CREDENTIAL_ID": app_id,
                  "OS_APPLICATION_CREDENTIAL_SECRET": secret}, alice),
                ({**none, "OS_AUTH_TYPE": "v3applicationcredential", "OS_USERNAME": "alice",
                  "OS_USER_DOMAIN_NAME": "Default", "OS_APPLICATION_CREDENTIAL_NAME": "alice-app",
                  "OS_APPLICATION_CREDENTIAL_SECRET": secret}, alice)):
            with self.subTest(change=change):
                self.assertEqual(self.scope_of(**self.openrc(**change)), wanted)

    def test_passwords_are_escaped(self):
        for password in (PASSWORD, "tab\there", "\x01\x7f\u20ac'"):
            self.keystone.add_user("eve", "demo", ["member"], password=password)
            env = self.openrc(OS_USERNAME="eve", OS_PASSWORD=password)
            self.assertEqual(self.scope_of(**env), ("demo", False, "eve"))

    def test_not_asked_for(self):
        """A nmid without Keystone, on TCP or a UNIX socket, sees and causes nothing of an openrc."""
        path = os.path.join(self.temporary(), "socket")
        with FakeNmid([make_node("n1")], path) as local:
            self.fake.keystone = None
            for fake in (self.fake, local):
                result = nmictl("-u", fake.url, "inject-nmi", "n1",
                                env=environment(OS_TOKEN="gAAAA", **self.openrc()))
                self.assertEqual(result.returncode, 0, result.stderr)
                self.assertEqual(set(fake.credentials), {(None, None)})
        self.assertEqual(self.keystone.requests, [])

    def test_asked_for_on_a_socket(self):
        path = os.path.join(self.temporary(), "socket")
        with FakeNmid([make_node("n1")], path) as local:
            local.keystone = self.keystone
            result = nmictl("-u", local.url, "inject-nmi", "n1", env=environment(**self.openrc()))
            self.assertEqual(result.returncode, 0, result.stderr)

    def test_wrong_password(self):
        self.fake.nodes += [make_node("p%d" % i) for i in range(40)]
        result = self.expect(1, "inject-nmi", "p[0-39]", **self.openrc(OS_PASSWORD="guess-work"))
        self.assertIn("Keystone at %s refused the user 'alice' (project 'demo'): wrong password or "
                      "domain, or no such project, or no role in it (The request you have made "
                      "requires authentication.)" % self.keystone.auth_url, result.stderr)
        self.assert_nothing_sent(result)
        self.assertEqual(self.logins(), 1)

    def test_unknown_project_and_credential(self):
        result = self.expect(1, "nodes", **self.openrc(OS_PROJECT_NAME="elsewhere"))
        self.assertIn("refused the user 'alice' (project 'elsewhere')", result.stderr)
        result = self.expect(1, "nodes", OS_AUTH_URL=self.keystone.auth_url,
                             OS_APPLICATION_CREDENTIAL_ID="c0ffee",
                             OS_APPLICATION_CREDENTIAL_SECRET="guess-work")
        self.assertIn("refused the application credential c0ffee: wrong secret, or the credential "
                      "has expired or does not exist", result.stderr)
        env = self.openrc(OS_PROJECT_NAME=None, OS_PROJECT_DOMAIN_NAME=None, OS_SYSTEM_SCOPE="all",
                          OS_PASSWORD="guess-work")
        self.assertIn("(system scope): wrong password or domain, or no role in the system",
                      self.expect(1, "nodes", **env).stderr)

    def test_without_a_project(self):
        """A token for nothing: what is missing in the openrc is named, and nmid not asked."""
        env = self.openrc(OS_PROJECT_NAME=None, OS_PROJECT_DOMAIN_NAME=None)
        result = self.expect(1, "inject-nmi", "n1", **env)
        self.assertIn("gave the user 'alice' (no project) a token that is for nothing: set "
                      "OS_PROJECT_NAME or OS_SYSTEM_SCOPE=all", result.stderr)
        self.assert_nothing_sent(result)
        self.assertEqual(self.statuses(), [])
        # the user's default project
        self.keystone.fault("POST", "/auth/tokens", 'edit={"project": {"id": "demo-id"}}')
        self.expect(0, "nodes", **env)

    def test_keystone_not_reached(self):
        self.fake.nodes += [make_node("p%d" % i) for i in range(40)]
        holder, url = closed_port()
        with holder:
            result = self.expect(4, "inject-nmi", "p[0-39]", **self.openrc(OS_AUTH_URL=url))
        self.assertIn("Keystone was not reached at %s/v3: " % url, result.stderr)
        self.assert_nothing_sent(result)
        self.assertEqual(len(self.fake.requests), 1)

    def test_keystone_not_in_order(self):
        for what, code, words in (("status=503", 1, "answers HTTP 503: An error of the test."),
                                  ("status=500", 1, "answers HTTP 500"),
                                  ("status=403", 1, "refused the user 'alice'"),
                                  ("status=404", 1, "no Keystone at "),
                                  ("redirect=http://127.0.0.1:1/", 1, "no Keystone at "),
                                  ("close", 4, "Keystone was not reached"),
                                  ("hang", 4, "Keystone was not reached"),
                                  ("no-token", 1, "gave no token")):
            with self.subTest(what=what):
                self.keystone.clear()
                self.keystone.fault("POST", "/auth/tokens", what)
                result = self.expect(code, "--timeout", "1", "inject-nmi", "n1", **self.openrc())
                self.assertIn(words, result.stderr)
                self.assert_nothing_sent(result)

    def test_bodies_do_not_matter(self):
        for what in ("garbage", "huge"):
            self.keystone.clear()
            self.keystone.fault("POST", "/auth/tokens", what)
            self.expect(0, "nodes", **self.openrc())

    def test_incomplete(self):
        for change, words in (
                ({"OS_PASSWORD": None}, "OS_PASSWORD is not set"),
                ({"OS_AUTH_URL": None}, "OS_AUTH_URL is not set"),
                ({"OS_USERNAME": None}, "OS_USERNAME is not set"),
                ({"OS_AUTH_URL": "nonsense"}, "OS_AUTH_URL: "),
                ({"OS_AUTH_URL": "http://user:guess@h/"}, "OS_AUTH_URL: "),
                ({"OS_IDENTITY_API_VERSION": "2.0"}, "OS_IDENTITY_API_VERSION is 2.0"),
                ({"OS_AUTH_TYPE": "v3oidcpassword"}, "openstack token issue"),
                ({"OS_AUTH_TYPE": "v3applicationcredential"},
                 "OS_APPLICATION_CREDENTIAL_SECRET is not set"),
                ({"OS_AUTH_TYPE": "v3applicationcredential",
                  "OS_APPLICATION_CREDENTIAL_SECRET": "sesame"},
                 "OS_APPLICATION_CREDENTIAL_ID is not set"),
                ({"OS_SYSTEM_SCOPE": "all"}, "exclude each other"),
                ({"OS_SYSTEM_SCOPE": "some"}, "can only be 'all'")):
            for said in self.each_nmid():
                result = self.expect(1, "inject-nmi", "n1", secrets=["guess"],
                                     **self.openrc(**change))
                self.assertIn("nmid asks for Keystone credentials, and those of the environment "
                              "cannot be used: ", result.stderr)
                self.assertIn(words, result.stderr)
                self.assert_nothing_sent(result)
                self.assertEqual(self.statuses(), [] if said else ["none"], change)
        self.assertEqual(self.keystone.requests, [])

    def test_none(self):
        result = self.expect(1, "inject-nmi", "n1")
        self.assertIn("nmid asks for Keystone credentials: load an openrc, or set OS_TOKEN",
                      result.stderr)
        self.assert_nothing_sent(result)
        self.assertIn("OS_CLOUD", self.expect(1, "nodes", OS_CLOUD="demo").stderr)

    def test_a_user_of_nmid(self):
        """NMID_USER gives way to an openrc when nmid asks for Keystone; --user does not."""
        env = self.openrc(NMID_PASSWORD="sesame")
        for said in self.each_nmid():
            self.keystone.requests.clear()
            self.expect(0, "nodes", NMID_USER="alice", **env)
            self.assertEqual(self.statuses(), ["token"] if said else ["basic", "token"])
            result = self.expect(2 if said else 1, "nodes", "--user", "alice", **env)
            self.assertIn("leave --user out", result.stderr)
            self.assertEqual(self.logins(), 1)

    def test_in_the_clear(self):
        url = self.keystone.auth_url.replace("127.0.0.1", "0.0.0.0")
        result = self.expect(0, "nodes", **self.openrc(OS_AUTH_URL=url))
        self.assertIn("warning: the password goes to Keystone at %s in the clear" % url,
                      result.stderr)

    def test_tls(self):
        """Keystone's certificate is verified, against OS_CACERT."""
        folder = os.path.join(SOURCE, "tests", "system")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder + "/receiver.crt", folder + "/receiver.key")
        self.keystone.server.socket = context.wrap_socket(self.keystone.server.socket, True)
        url = self.keystone.auth_url.replace("http:", "https:")
        result = self.expect(4, "nodes", **self.openrc(OS_AUTH_URL=url))
        self.assertIn("certificate", result.stderr)
        self.assertEqual(self.logins(), 0)
        self.expect(0, "nodes", **self.openrc(OS_AUTH_URL=url, OS_CACERT=folder + "/receiver.crt"))
        result = self.expect(4, "nodes", **self.openrc(OS_AUTH_URL=url, OS_CACERT="/nowhere.pem"))
        self.assertIn("OS_CACERT /nowhere.pem", result.stderr)


class InTheMiddle(Keystone):
    """nmid's 401 to what went well before: the token is no longer good."""

    def revoke_once(self, *_):
        self.fake.tamper = None
        self.keystone.revoke_all("alice")

    def test_the_outcome_is_asked_for_with_a_new_token(self):
        self.fake.tamper = self.revoke_once
        result = self.expect(0, "inject-nmi", "n1", **self.openrc())
        self.assertEqual((result.stdout, self.logins()), ("n1  delivered\n", 2))
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_each_time(self):
        """Not once a run, but once for each token that was good."""
        revoked = []

        def revoke(action):
            if len(revoked) < 6:
                revoked.append(action)
                self.keystone.revoke_all("alice")
        self.fake.tamper = revoke
        result = self.expect(0, "--parallel", "1", "inject-nmi", "n[1-4]", **self.openrc())
        self.assertEqual((result.stdout.count("delivered"), self.logins()), (5, 7))
        self.assertEqual(sorted(self.fake.injections.values()), [1] * 4)

    def test_an_interrupt_is_asked_for_again(self):
        """A 401 means that nothing was done: the same key goes again, and counts once."""
        challenge, revoked = self.fake.challenge, []

        def revoking(*brought):
            if not revoked and self.healths() == 2:
                revoked.append(brought)
                self.keystone.revoke_all("alice")
            return challenge(*brought)
        self.fake.challenge = revoking
        result = self.expect(0, "inject-nmi", "n[1-4]", **self.openrc())
        self.assertEqual(result.stdout.count("  delivered\n"), 4)
        self.assertEqual((len(revoked), self.logins()), (1, 2))
        self.assertEqual(self.fake.injections, {"n%d" % i: 1 for i in range(1, 5)})
        self.assertEqual(len(self.fake.posts), 4)

    def test_keystone_is_gone(self):
        """The action was sent: it is unknown, never failed, until it can be asked again."""
        def gone(action):
            self.revoke_once()
            self.keystone.down()
        self.fake.tamper = gone
        result = self.expect(3, "--timeout", "3", "inject-nmi", "n1", **self.openrc())
        self.assert_unknown(result)
        self.assertIn("Keystone was not reached", result.stdout)
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_keystone_comes_back(self):
        def gone(action):
            self.revoke_once()
            self.keystone.fault("POST", "/auth/tokens", "status=503", 2)
        self.fake.tamper = gone
        result = self.expect(0, "inject-nmi", "n1", **self.openrc())
        self.assertEqual((result.stdout, self.logins()), ("n1  delivered\n", 4))

    def test_refused_before_anything_was_sent(self):
        challenge = self.fake.challenge

        def revoking(*brought):
            if self.healths() == 2:
                self.keystone.revoke_all("alice")
                self.keystone.fault("POST", "/auth/tokens", "status=401")
            return challenge(*brought)
        self.fake.challenge = revoking
        result = self.expect(1, "inject-nmi", "n1", "n2", **self.openrc())
        self.assertEqual(result.stdout.count("failed  Keystone at "), 2)
        self.assertEqual((self.fake.injections, self.logins()), ({}, 2))

    def test_the_caller_stays_the_same(self):
        """Whoever was asked as nobody is not asked again as somebody: that would be a new key."""
        self.fake.keystone = None
        self.fake.fault("POST", "/actions$", "drop")

        def ask_from_now_on(action):
            self.fake.keystone = self.keystone
        self.fake.tamper = ask_from_now_on
        result = self.expect(3, "inject-nmi", "n1", **self.openrc())
        self.assert_unknown(result)
        self.assertIn("asks for other credentials", result.stdout)
        self.assertEqual((self.fake.injections, self.logins()), ({"n1": 1}, 0))

    def test_never_good(self):
        """A Keystone whose tokens nmid does not know is not asked for ever more of them."""
        with FakeKeystone() as other:
            result = self.expect(1, "inject-nmi", "n1", **self.openrc(OS_AUTH_URL=other.auth_url))
            self.assertEqual(other.count("POST", "/v3/auth/tokens"), 1)
        self.assertIn("nmid refused the token that Keystone at %s gave the user 'alice'"
                      % other.auth_url, result.stderr)
        self.assert_nothing_sent(result)

    def test_a_401_that_is_not_nmids(self):
        """Perhaps it was passed on: it is asked again by its key, and not called failed."""
        self.fake.fault("POST", "/actions$", "status=401")
        self.expect(0, "inject-nmi", "n1", **self.openrc())
        self.assertEqual(self.fake.injections, {"n1": 1})
        self.assertEqual(self.logins(), 1)


class Refusals(Base):
    """nmid's own no, in its words."""

    def test_words(self):
        for status, code, words in (
                (403, "forbidden", "Policy doesn't allow inject_nmi to be performed"),
                (404, "node-not-found", "no node n1"),
                (409, "locked", "Instance is locked"),
                (409, "status", "it is in vm_state shutoff"),
                (503, "identity-service", "Keystone cannot be asked who you are"),
                (503, "state-source", "Ironic cannot be asked for the node's status")):
            self.fake.refusals["n1"] = [(status, code, words, None)]
            result = self.expect(1, "inject-nmi", "n1")
            self.assertEqual(result.stdout, "n1  failed  %s\n" % words)
            for verb in (["lock", "n1"], ["status", "n1", "ERROR"]):
                self.fake.refusals["n1"] = [(status, code, words, None)]
                self.assertIn(words, self.expect(1, *verb).stdout)

    def test_a_node_that_one_may_not_see(self):
        self.fake.users = {"alice": PASSWORD}
        for verb in (["inject-nmi", "other"], ["show", "other"], ["lock", "other"],
                     ["actions", "--node", "other"]):
            result = self.expect(1, *verb, "--user", "alice", NMID_PASSWORD=PASSWORD)
            self.assertIn("no node 'other' that you may see", result.stderr)
        self.fake.users = None
        self.assertNotIn("may see", self.expect(1, "inject-nmi", "other").stderr)

    def test_state_of_ironic(self):
        self.fake.nodes[0].update(status="RESCUED", status_source="ironic")
        self.assertIn("RESCUED (ironic)", self.expect(0, "nodes").stdout)
        self.assertIn("ironic", self.expect(0, "show", "n1").stdout)


class RealBasic(lab.TestCase):
    """nmid itself, and what the BMCs felt. (With Keystone itself: tests/openstack.)"""

    # "NAME's password", by htpasswd -nbB -C 4
    HTPASSWD = """\
alice:$2y$04$V2GpAFA2XftWARgY/2/usOXQqZerWFZJLHOigD/BX5nHZ09olK8OK
rita:$2y$04$/6LGFkkER01SLKctLCgaoe8uU5d605pJHBzT7HAH.AghXbDwKZeK6
root:$2y$04$z1kBcKtz4Gk42GCbBvyOL.Q1Vt.h1WODCNO2aklHXPval9GCaOgyy
"""
    USERS = [{"name": "alice", "project_id": "demo", "roles": ["member"]},
             {"name": "rita", "project_id": "demo", "roles": ["reader"]},
             {"name": "root", "roles": ["admin"]}]

    def setUp(self):
        self.sim = self.bmcsim("--count", "3")
        file = self.unique("htpasswd")
        file.touch(mode=0o600)
        file.write_text(self.HTPASSWD, encoding="utf-8")
        nodes = [lab.node("mine", self.sim, project_id="demo"),
                 lab.node("locked", self.sim, self.sim.address(1), project_id="demo", locked=True),
                 lab.node("theirs", self.sim, self.sim.address(2), project_id="other")]
        self.daemon = self.nmid(nodes, auth={"strategy": "http_basic", "user_file": file,
                                             "users": self.USERS})

    def ask(self, code, user, *args, password=None):
        env = {"NMID_USER": user, "NMID_PASSWORD": password or user + "'s password"} if user else {}
        done = self.nmictl(self.daemon, *args, env=env)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        self.assertNotIn("'s password", done.stdout + done.stderr + self.daemon.log())
        return done.stdout + done.stderr

    def counts(self):
        return [self.sim.count(self.sim.address(i)) for i in range(3)]

    def test_who_may(self):
        nmi = "inject-nmi"
        self.assertIn("no node 'theirs' that you may see", self.ask(1, "alice", nmi, "theirs"))
        self.assertIn("no node 'theirs' that you may see", self.ask(1, "alice", "show", "theirs"))
        self.assertIn("is locked", self.ask(1, "alice", nmi, "locked"))
        self.assertIn("Policy doesn't allow inject_nmi", self.ask(1, "rita", nmi, "mine"))
        self.assertIn("Policy doesn't allow lock", self.ask(1, "alice", "lock", "mine"))
        self.assertIn("refused the user 'alice', or the password",
                      self.ask(1, "alice", nmi, "mine", password="guess"))
        self.assertIn("asks for a user and a password", self.ask(1, None, nmi, "mine"))
        self.assertEqual(self.counts(), [0, 0, 0])
        self.assertEqual(self.ask(0, "alice", nmi, "mine"), "mine  delivered\n")
        self.assertEqual(self.ask(0, "root", nmi, "locked"), "locked  delivered\n")
        self.assertEqual(self.counts(), [1, 1, 0])
        self.assertEqual(self.ask(0, "rita", "nodes").count("ACTIVE"), 2)
        self.assertIn("delivered", self.ask(0, "rita", "actions", "--node", "mine"))
        self.assertEqual(self.ask(0, "root", "lock", "mine"), "mine  locked (run-time)\n")

    def test_no_password_on_a_socket(self):
        """Nobody becomes the administrator of a local socket by a name that is not asked for."""
        path = self.unique("s")
        self.daemon.stop()
        self.daemon = self.nmid([lab.node("mine", self.sim)], listen=[{"socket": path}],
                                auth={"strategy": "none"})
        done = self.nmictl(self.daemon, "inject-nmi", "mine", "--user", "alice",
                           env={"NMID_PASSWORD": "alice's password"})
        self.assertEqual((done.returncode, done.stdout, self.counts()), (2, "", [0, 0, 0]))
        self.assertIn("nmid asks for no password at unix:%s: without --user" % path, done.stderr)
        self.assertEqual(self.ask(0, None, "inject-nmi", "mine"), "mine  delivered\n")
        self.assertEqual(self.counts(), [1, 0, 0])


class RealKeystone(lab.TestCase):
    """nmid itself: whoever brings good credentials leaves no refusal in the audit."""

    def setUp(self):
        self.sim = self.bmcsim()
        self.keystone = FakeKeystone()
        self.addCleanup(self.keystone.stop)
        self.daemon = self.nmid([lab.node("n1", self.sim, project_id="demo-id")], auth={
            "strategy": "keystone", "auth_url": self.keystone.url, "username": "nmid",
            "user_domain_name": "Default", "password": "nmid-password", "project_name": "service",
            "project_domain_id": "default"})
        self.root = self.keystone.issue("admin", system=True)

    def ask(self, code, *args, **env):
        done = self.nmictl(self.daemon, *args, env=env)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def refused(self):
        page = json.loads(self.ask(0, "-f", "json", "audit", "--refused", OS_TOKEN=self.root))
        return page["records"]

    def test_the_audit_stays_clean(self):
        token = self.keystone.issue("alice", project="demo")
        self.ask(0, "inject-nmi", "n1", OS_TOKEN=token)
        self.ask(0, "nodes", OS_TOKEN=token)
        openrc = {"OS_AUTH_URL": self.keystone.auth_url, "OS_USERNAME": "alice",
                  "OS_PASSWORD": "alice-password", "OS_PROJECT_NAME": "demo"}
        self.ask(0, "inject-nmi", "n1", **openrc)
        del openrc["OS_PASSWORD"]
        self.ask(1, "nodes", **openrc)
        self.ask(2, "nodes", "--user", "alice", NMID_PASSWORD="guess")
        self.assertEqual(self.refused(), [])
        self.ask(1, "nodes")  # whoever has none is refused, and recorded
        lab.wait_for(self.refused, what="the refusal in the audit")
        self.assertEqual(len(self.refused()), 1)


if __name__ == "__main__":
    unittest.main()
