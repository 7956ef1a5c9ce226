# SPDX-License-Identifier: GPL-3.0-or-later
"""Keystone stopped, hung, started late; nmid's own log-in withdrawn, expired, changed. Nobody new
is let in meanwhile, nothing is injected, and nmid needs no restart."""
import re
import threading
import time

from case import CloudCase, lab, short

DOWN, LOG_IN = "Keystone", "POST /v3/auth/tokens"


class Down(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet(2)
        self.nodes = [self.node("n1"), self.node("n2", "other")]

    def comes_back(self, nmid, token, status=200, timeout=40):
        """Seconds until a read with this token gets this status; until then it is 503."""
        began, seen = time.monotonic(), set()

        def asked():
            seen.add(self.request(nmid, "GET", "/agent/v1/nodes/n1", None,
                                  {"X-Auth-Token": token})[0])
            return status in seen
        lab.wait_for(asked, timeout, f"status {status}")
        self.assertLessEqual(seen, {status, 503})
        return time.monotonic() - began

    def logged(self, nmid, pattern, timeout=10):
        found = lab.wait_for(lambda: re.search(f".*{pattern}.*", nmid.log()), timeout,
                             f"{pattern} in the log")
        self.row("nmid's log", "", short(found.group(0).split(": ", 1)[1], 200), 0)

    def own_user(self, name, role="service"):
        """Another user for nmid, to be changed as the test likes; -> (its id, how nmid logs in)."""
        api = self.cloud.api()
        made = api.users.create(name, domain="default", password=self.cloud.password(name))
        wanted = next(each for each in api.roles.list() if each.name == role)
        api.roles.grant(wanted, user=made, project=self.cloud.projects["service"])
        return made.id, self.cloud.nmid_login(name)

    def test_stopped(self):
        keystone = self.cloud.keystone
        nmid = self.serve(self.nodes, auth={"cache_s": 30, "timeout_ms": 2000})
        uncached = self.serve(self.nodes, auth={"cache_s": 0, "timeout_ms": 2000})
        known, new, bob = self.token("alice"), self.token("alice"), self.token("bob")
        self.inject(nmid, "alice", known, "n1", 202)
        self.inject(uncached, "alice, cache_s 0", known, "n1", 202)
        keystone.stop()
        self.addCleanup(lambda: keystone.process.poll() is None or keystone.start().wait_ready())
        down = "while Keystone is stopped"
        self.inject(nmid, f"alice, known, {down}", known, "n1", 202)
        for who, daemon, token in (("alice, new", nmid, new), ("bob", nmid, bob),
                                   ("garbage", nmid, "garbage"),
                                   ("alice, cache_s 0", uncached, known)):
            for node in ("n1", "n2", "absent"):
                self.inject(daemon, f"{who}, {down}", token, node, 503, says=DOWN)
            for method, path, body in (
                    ("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"}),
                    ("POST", "/agent/v1/actions", {"action": "inject_nmi", "nodes": ["n1"]}),
                    ("GET", "/agent/v1/nodes", None)):
                self.ask(daemon, f"{who}, {down}", token, method, path, body, status=503,
                         says=DOWN)
        answer = self.inject(nmid, f"no token, {down}", None, "n1", 401)
        self.assertIsNotNone(answer[1]["WWW-Authenticate"])
        self.assertIsNone(answer[1]["Retry-After"])
        self.ask(nmid, down, None, "GET", "/healthz", status=200)
        self.logged(nmid, "tokens cannot be validated")
        lines = [line for line in nmid.log().splitlines() if ": error: Keystone" in line]
        self.assertIn(len(lines), (1, 2), "an outage is told now and then, not for each request")
        keystone.start().wait_ready()
        for who, daemon, token in (("alice, new", nmid, new), ("alice", uncached, known)):
            took = self.comes_back(daemon, token)
            self.row(who, "Keystone is back: until it is asked", f"{took:.1f} s", 0)
            self.assertLess(took, 5)
            self.inject(daemon, who, token, "n1", 202)
        self.inject(nmid, "bob", bob, "n1", 404)

    def test_hung(self):
        """It takes connections and says nothing: a 503 after timeout_ms, and nobody else waits."""
        keystone = self.cloud.keystone
        nmid = self.serve(self.nodes, auth={"timeout_ms": 1000})
        known, new = self.token("alice"), self.token("alice")
        self.inject(nmid, "alice", known, "n1", 202)
        keystone.pause()
        self.addCleanup(lambda: keystone.paused and keystone.resume())
        answers, began = [], time.monotonic()
        waiting = threading.Thread(target=lambda: answers.append(self.request(
            nmid, "POST", "/v2.1/servers/n1/action", {"inject_nmi": None},
            {"X-Auth-Token": new})))
        waiting.start()
        self.inject(nmid, "alice, known, while Keystone hangs", known, "n1", 202)
        self.ask(nmid, "while Keystone hangs", None, "GET", "/healthz", status=200)
        self.assertFalse(answers)
        waiting.join()
        self.row("alice, new, while Keystone hangs", "POST /v2.1/servers/n1/action",
                 f"{answers[0][0]} after {time.monotonic() - began:.1f} s", 0)
        self.assertEqual(answers[0][0], 503)
        self.assertLess(time.monotonic() - began, 5)
        keystone.resume()
        self.comes_back(nmid, new)
        self.inject(nmid, "alice, new, once it goes on", new, "n1", 202)

    def test_started_late(self):
        """nmid may be first."""
        keystone = self.cloud.keystone
        token = self.token("alice")
        keystone.stop()
        self.addCleanup(lambda: keystone.process.poll() is None or keystone.start().wait_ready())
        nmid = self.serve(self.nodes)
        self.inject(nmid, "alice, before Keystone is there", token, "n1", 503, says=DOWN)
        keystone.start().wait_ready()
        self.comes_back(nmid, token)
        self.inject(nmid, "alice", token, "n1", 202)

    def test_own_token_revoked(self):
        """Disabling a user takes all its tokens: nmid gets a 401, and logs in anew."""
        api, (own, login) = self.cloud.api(), self.own_user("nmid-disabled")
        nmid = self.serve(self.nodes, login=login)
        self.inject(nmid, "alice", self.token("alice"), "n1", 202)
        api.users.update(own, enabled=False)
        self.inject(nmid, "alice, nmid's user disabled", self.token("alice"), "n1", 503, says=DOWN)
        self.logged(nmid, r"refuses nmid's log-in \(401\)")
        api.users.update(own, enabled=True)
        took = self.comes_back(nmid, self.token("alice"))
        self.row("alice", "nmid's user enabled: until Keystone is asked", f"{took:.1f} s", 0)
        self.inject(nmid, "alice", self.token("alice"), "n1", 202)

    def test_own_role(self):
        """Without the role service nmid may not validate: 503, and its log says which role."""
        _, login = self.own_user("nmid-reader", role="reader")
        nmid = self.serve(self.nodes, login=login)
        self.inject(nmid, "alice, nmid without its role", self.token("alice"), "n1", 503, says=DOWN)
        self.logged(nmid, r"\(403\): it needs the role service")

    def test_keys_rotated(self):
        """With the keys go all tokens, nmid's too."""
        keystone = self.cloud.keystone
        nmid, old = self.serve(self.nodes, auth={"cache_s": 0}), self.token("alice")
        self.inject(nmid, "alice", old, "n1", 202)
        keystone.stop()  # it remembers tokens that it has seen
        for _ in range(4):
            keystone.manage("fernet_rotate", *keystone.mine)
        keystone.start().wait_ready()
        self.inject(nmid, "alice, keys rotated", old, "n1", 401)
        self.inject(nmid, "alice, a new token", self.token("alice"), "n1", 202)

    def test_own_token_expires(self):
        """nmid's own token is renewed before it ends: nobody notices."""
        short = self.cloud.short_keystone(6)
        self.addCleanup(short.stop)
        nmid = self.serve(self.nodes, login={**self.cloud.nmid_login(), "auth_url": short.url},
                          auth={"cache_s": 0})
        token, began, statuses = self.token("alice"), time.monotonic(), []

        def asked():
            statuses.append(self.request(nmid, "GET", "/agent/v1/nodes/n1", None,
                                         {"X-Auth-Token": token})[0])
            return time.monotonic() - began > 14
        lab.wait_for(asked, 30)
        self.row("alice", f"{len(statuses)} reads in 14 s, nmid's own tokens live 6 s",
                 str(sorted(set(statuses))), 0)
        self.assertEqual(set(statuses), {200})
        count = short.asked(LOG_IN)
        self.row("nmid", "log-ins meanwhile", str(count), 0)
        self.assertLess(count, 7)
        self.assertGreater(count, 2)
        self.inject(nmid, "alice", token, "n1", 202)

    def test_own_token_forgotten_while_idle(self):
        """It has expired when it is wanted again."""
        short = self.cloud.short_keystone(2)
        self.addCleanup(short.stop)
        nmid = self.serve(self.nodes, login={**self.cloud.nmid_login(), "auth_url": short.url})
        self.inject(nmid, "alice", self.token("alice"), "n1", 202)
        began = time.monotonic()
        lab.wait_for(lambda: time.monotonic() - began > 3)
        self.inject(nmid, "alice, after 3 s", self.token("alice"), "n1", 202)

    def test_password_changed(self):
        """A clear error in the log; with the new one in nmid.conf, a reload puts it right."""
        api, (own, login) = self.cloud.api(), self.own_user("nmid-changed")
        nmid = self.serve(self.nodes, login=login)
        self.inject(nmid, "alice", self.token("alice"), "n1", 202)
        before = self.cloud.keystone.asked(LOG_IN)
        api.users.update(own, password="a new secret")
        self.inject(nmid, "alice, nmid's password changed", self.token("alice"), "n1", 503,
                    says=DOWN)
        self.logged(nmid, r"refuses nmid's log-in \(401\): the user, the password")
        for _ in range(20):
            self.request(nmid, "GET", "/agent/v1/nodes", None, {"X-Auth-Token": "garbage"})
        self.assertLess(self.cloud.keystone.asked(LOG_IN) - before, 5,
                        "a refused log-in is not tried again at once")
        auth = {**nmid.settings["auth"], "password": "a new secret"}
        self.secrets.append("a new secret")
        self.assertIn("reloaded", nmid.reload(auth=auth))
        took = self.comes_back(nmid, self.token("alice"))
        self.assertLess(took, 3)
        self.inject(nmid, "alice, nmid.conf mended", self.token("alice"), "n1", 202)

    def test_ways_to_log_in(self):
        """By user id, by application credential (by id, by name), with the whole system as scope,
        with the secret in a file; and each wrong one is told."""
        cloud, url = self.cloud, {"auth_url": self.cloud.keystone.url}
        own = cloud.users["nmid"]
        credential = cloud.application_credential("nmid", "service", "nmid's own")
        self.secrets.append(credential.secret)
        path = self.unique("secret")
        path.touch(mode=0o600)
        path.write_text(credential.secret + "\n", encoding="utf-8")
        by_id = {**url, "application_credential_id": credential.id}
        good = (
            ("user_id, project_id", {**url, "user_id": own, "password": cloud.password("nmid"),
                                     "project_id": cloud.projects["service"]}),
            ("application credential", {**by_id,
                                        "application_credential_secret": credential.secret}),
            ("application credential, in a file",
             {**by_id, "application_credential_secret_file": path}),
            ("application credential by name",
             {**url, "application_credential_name": "nmid's own", "username": "nmid",
              "user_domain_name": "Default", "application_credential_secret": credential.secret}),
            ("system scope", {**url, "username": "sysreader", "user_domain_id": "default",
                              "password": cloud.password("sysreader"), "system_scope": "all"}),
        )
        token = self.token("alice")
        for what, login in good:
            with self.subTest(what):
                nmid = self.serve(self.nodes, login=login)
                self.inject(nmid, f"alice, nmid's log-in: {what}", token, "n1", 202)
        password = cloud.nmid_login()
        for what, login in (("wrong password", {**password, "password": "wrong"}),
                            ("unknown user", {**password, "username": "nmit"}),
                            ("unknown project", {**password, "project_name": "servize"}),
                            ("unknown domain", {**password, "user_domain_name": "Default2"}),
                            ("wrong credential", {**by_id, "application_credential_secret": "no"})):
            with self.subTest(what):
                nmid = self.serve(self.nodes, login=login)
                self.inject(nmid, f"alice, nmid's log-in: {what}", token, "n1", 503, says=DOWN)
                self.logged(nmid, r"refuses nmid's log-in \(401\)")
        nowhere = {**password, "auth_url": cloud.keystone.port.url + "/no"}
        nmid = self.serve(self.nodes, login=nowhere)
        self.inject(nmid, "alice, a wrong auth_url", token, "n1", 503, says=DOWN)
        self.logged(nmid, "auth_url")


if __name__ == "__main__":
    lab.main()
