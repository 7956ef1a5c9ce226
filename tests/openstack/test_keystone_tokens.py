# SPDX-License-Identifier: GPL-3.0-or-later
"""Tokens of a real Keystone that are good, bad, withdrawn, bounded, or about to end."""
import threading
import time

from keystoneauth1.identity import v3

from case import CloudCase, lab

UNAUTHORIZED = {"error": {"code": 401, "title": "Unauthorized", "message":
                          "The request you have made requires authentication."}}


class Tokens(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet(2)
        self.nodes = [self.node("n1"), self.node("n2", "other")]

    def validations(self):
        return self.cloud.keystone.asked("GET /v3/auth/tokens")

    def refused(self, nmid, who, token, **options):
        answer = self.inject(nmid, who, token, "n1", 401, **options)
        self.assertEqual(answer[1]["WWW-Authenticate"], f'Keystone uri="{self.uri}"')
        self.assertEqual(answer[2], UNAUTHORIZED)

    def test_bad_tokens(self):
        nmid = self.serve(self.nodes)
        self.uri = self.cloud.keystone.url
        good = self.token("alice")
        asked = self.validations()
        self.refused(nmid, "no token", None)
        self.refused(nmid, "empty", "")
        self.refused(nmid, "with a blank", good[:20] + " " + good[20:])
        self.inject(nmid, "too long", "a" * 8193, "n1", 431)  # limits.token_bytes
        self.refused(nmid, "a password", None, headers={"Authorization": "Basic YWxpY2U6YWxpY2U="})
        self.refused(nmid, "a bearer", None, headers={"Authorization": f"Bearer {good}"})
        self.assertEqual(self.validations(), asked, "these need not be shown to Keystone")
        self.refused(nmid, "garbage", "garbage")
        self.refused(nmid, "a fernet token of nobody", good[:-8] + "AAAAAAA=")
        self.refused(nmid, "cut", good[:-1])
        self.refused(nmid, "path", "../../v3/users")
        self.refused(nmid, "percent", "%00%0d%0aX-Subject-Token:" + good)
        self.inject(nmid, "alice", good, "n1", 202)
        self.inject(nmid, "bob of demo", self.token("bob"), "n1", 404)

    def test_every_route_needs_one(self):
        nmid = self.serve(self.nodes, auth={"www_authenticate_uri": "https://keystone.example/v3"})
        for method, path, body in (
                ("GET", "/agent/v1/nodes", None), ("GET", "/agent/v1/nodes/n1", None),
                ("GET", "/agent/v1/actions", None), ("GET", "/agent/v1/actions/req-1", None),
                ("GET", "/agent/v1/batches/batch-1", None), ("GET", "/agent/v1/audit", None),
                ("POST", "/agent/v1/actions", {"action": "inject_nmi", "nodes": ["n1"]}),
                ("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"}),
                ("POST", "/agent/v1/nodes/n1/probe", None),
                ("PUT", "/agent/v1/nodes/n1/lock", None),
                ("PUT", "/agent/v1/nodes/n1/status", {"status": "ERROR"}),
                ("PUT", "/v2.1/servers/n1/action", {"inject_nmi": None}),
                ("GET", "/agent/v1/nothing", None), ("GET", "/v2.1/nothing", None),
                ("PATCH", "/agent/v1/nodes/n1", None)):
            for who, token in (("no token", None), ("garbage", "garbage")):
                answer = self.ask(nmid, who, token, method, path, body, status=401)
                self.assertEqual(answer[1]["WWW-Authenticate"],
                                 'Keystone uri="https://keystone.example/v3"')
        self.ask(nmid, "no token", None, "GET", "/healthz", status=200)
        self.ask(nmid, "no token", None, "GET", "/readyz", status=200)

    def test_one_validation(self):
        """A token is asked about once, however many come with it at a time."""
        nmid = self.serve(self.nodes)
        token, asked, answers = self.token("alice"), self.validations(), []
        threads = [threading.Thread(target=lambda: answers.append(self.request(
            nmid, "GET", "/agent/v1/nodes/n1", None, {"X-Auth-Token": token})[0]))
            for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for _ in range(20):
            self.ask(nmid, "alice", token, "GET", "/agent/v1/nodes/n1", status=200)
        self.assertEqual(answers, [200] * 32)
        self.assertEqual(self.validations() - asked, 1)
        uncached = self.serve(self.nodes, auth={"cache_s": 0})
        asked = self.validations()
        for _ in range(3):
            self.ask(uncached, "alice, cache_s 0", token, "GET", "/agent/v1/nodes/n1", status=200)
        self.assertEqual(self.validations() - asked, 3)

    def test_revoked(self):
        """How long a revoked token is still accepted: up to cache_s, not at all with 0."""
        self.uri = self.cloud.keystone.url
        nmid = self.serve(self.nodes, auth={"cache_s": 0})
        token = self.token("alice")
        self.inject(nmid, "alice", token, "n1", 202)
        self.cloud.revoke(token)
        self.refused(nmid, "alice, revoked, cache_s 0", token)

        nmid, token = self.serve(self.nodes, auth={"cache_s": 4}), self.token("alice")
        self.inject(nmid, "alice", token, "n1", 202)
        first = time.monotonic()
        self.cloud.revoke(token)
        self.inject(nmid, "alice, revoked, cache_s 4", token, "n1", 202)
        lab.wait_for(lambda: self.status(nmid, token) == 401, 10, "the token to be refused")
        took = time.monotonic() - first
        self.row("alice, revoked, cache_s 4", "until it is refused", f"{took:.1f} s", 0)
        self.assertGreater(took, 2)
        self.assertLess(took, 5.5)
        self.refused(nmid, "alice, revoked, cache_s 4", token)

    def status(self, nmid, token):
        return self.request(nmid, "GET", "/agent/v1/nodes/n1", None, {"X-Auth-Token": token})[0]

    def test_expired(self):
        """A cached token ends when it expires, not when the cache would have it."""
        self.uri = self.cloud.keystone.url
        short = self.cloud.short_keystone(8)
        self.addCleanup(short.stop)
        nmid = self.serve(self.nodes, auth={"cache_s": 3600})
        access = self.cloud.access("alice", "demo", auth_url=short.url)
        self.secrets.append(access.auth_token)
        expires = access.expires.timestamp()
        self.inject(nmid, "alice, token of 8 s", access.auth_token, "n1", 202)
        accepted = lab.wait_for(lambda: self.expired_at(nmid, access.auth_token), 20,
                                "the token to expire")
        late = accepted - expires
        self.row("alice, token of 8 s", "refused after its expiry", f"{late:.2f} s", 0)
        self.assertGreater(late, -1)  # Keystone tells whole seconds
        self.assertLess(late, 1.5)
        self.refused(nmid, "alice, expired", access.auth_token)
        self.refused(self.serve(self.nodes), "alice, expired before it came", access.auth_token)

    def expired_at(self, nmid, token):
        return time.time() if self.status(nmid, token) == 401 else None

    def new_token(self):
        """To Keystone, a token of the second in which the password was changed is older."""
        token = self.token("temporary", "demo", password="another")
        return token if self.cloud.is_valid(token) else None

    def test_withdrawn(self):
        """A role, a user, a password, an application credential that is gone takes its tokens
        along."""
        self.uri = self.cloud.keystone.url
        nmid, api = self.serve(self.nodes, auth={"cache_s": 0}), self.cloud.api()
        member = next(role for role in api.roles.list() if role.name == "member")
        user = api.users.create("temporary", domain="default",
                                password=self.cloud.password("temporary"))
        self.cloud.users["temporary"] = user.id
        demo = self.cloud.projects["demo"]

        api.roles.grant(member, user=user, project=demo)
        token = self.token("temporary", "demo")
        self.inject(nmid, "temporary", token, "n1", 202)
        api.roles.revoke(member, user=user, project=demo)
        self.refused(nmid, "its role revoked", token)

        api.roles.grant(member, user=user, project=demo)
        credential = self.cloud.application_credential("temporary", "demo", "withdrawn")
        token = self.cloud.credential_token(credential)
        self.inject(nmid, "temporary, application credential", token, "n1", 202)
        self.cloud.api("temporary", "demo").application_credentials.delete(
            credential, user=user.id)
        self.refused(nmid, "its application credential deleted", token)

        token = self.token("temporary", "demo")
        self.inject(nmid, "temporary", token, "n1", 202)
        api.users.update(user, password="another")
        self.refused(nmid, "its password changed", token)

        token = lab.wait_for(self.new_token, 5, "a token that Keystone takes")
        self.inject(nmid, "temporary", token, "n1", 202)
        api.users.update(user, enabled=False)
        self.refused(nmid, "disabled", token)
        api.users.delete(user)
        self.refused(nmid, "deleted", token)

    def test_application_credentials(self):
        """They may what their roles may; one with access rules is for services that know them."""
        self.uri = self.cloud.keystone.url
        nmid, make = self.serve(self.nodes), self.cloud.application_credential
        token = self.cloud.credential_token(make("alice", "demo", "whole"))
        self.inject(nmid, "alice, application credential", token, "n1", 202)
        self.inject(nmid, "alice, application credential", token, "n2", 404)
        roles = [role.id for role in self.cloud.api().roles.list() if role.name == "reader"]
        token = self.cloud.credential_token(make("alice", "demo", "read", roles=roles))
        self.inject(nmid, "alice, application credential of a reader", token, "n1", 403)
        self.ask(nmid, "alice, application credential of a reader", token, "GET",
                 "/agent/v1/nodes/n1", status=200)
        rule = {"service": "compute", "method": "GET", "path": "/v2.1/servers"}
        token = self.cloud.credential_token(make("alice", "demo", "ruled", access_rules=[rule]))
        self.refused(nmid, "alice, application credential with access rules", token)

    def test_trust(self):
        """A trust is its trustor's, in the trustor's project, with the roles that it hands on."""
        nmid, api = self.serve(self.nodes), self.cloud.api("alice", "demo")
        for role, status in (("member", 202), ("reader", 403)):
            trust = api.trusts.create(self.cloud.users["bob"], self.cloud.users["alice"],
                                      project=self.cloud.projects["demo"], role_names=[role],
                                      impersonation=False)
            token = self.cloud.session(v3.Password(
                self.cloud.keystone.url, username="bob", user_domain_id="default",
                password=self.cloud.password("bob"), trust_id=trust.id)).get_token()
            self.secrets.append(token)
            self.inject(nmid, f"bob, trusted as {role} of demo", token, "n1", status)
            self.inject(nmid, f"bob, trusted as {role} of demo", token, "n2", 404)

    def test_domain_scope(self):
        """An administrator of a domain has a scope that nmid has no nodes in."""
        nmid, api = self.serve(self.nodes), self.cloud.api()
        admin = next(role for role in api.roles.list() if role.name == "admin")
        api.roles.grant(admin, user=self.cloud.users["lea"], domain="default")
        plugin = v3.Password(self.cloud.keystone.url, username="lea", user_domain_id="default",
                             password=self.cloud.password("lea"), domain_id="default")
        token = self.cloud.session(plugin).get_token()
        self.secrets.append(token)
        for node in ("n1", "n2"):
            self.inject(nmid, "lea, admin of a domain", token, node, (401, 403, 404))


if __name__ == "__main__":
    lab.main()
