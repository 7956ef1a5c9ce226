# SPDX-License-Identifier: GPL-3.0-or-later
"""limits.login_failures_* from outside, in a network namespace: who guesses from an address of the
network waits longer and longer, then is refused unheard; who knows the password is served meanwhile."""
import base64
import datetime
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

import lab
import netns
from fake_keystone import FakeKeystone

SERVER = "10.77.0.1"
HOST = "10.77.1.1"  # where alice works
GUESSER = "10.77.9.9"
NODES = "/agent/v1/nodes"
USERS = [{"name": name, "project_id": "demo", "roles": ["member"]} for name in ("alice", "bob")]


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class Client:
    """A connection that stays, from an address of one's own."""

    def __init__(self, nmid, address):
        self.http = http.client.HTTPConnection(SERVER, nmid.port, timeout=60,
                                               source_address=(address, 0))

    def ask(self, path=NODES, headers=None, method="GET", body=None):
        """-> (status, headers, body, seconds)"""
        since = time.monotonic()
        self.http.request(method, path, body, headers or {})
        answer = self.http.getresponse()
        data = answer.read()
        return answer.status, answer.headers, data, time.monotonic() - since

    def log_in(self, user, password):
        return self.ask(headers=basic(user, password))[0]

    def close(self):
        self.http.close()


class LoginLimits(lab.TestCase):
    def setUp(self):
        self.sim = self.bmcsim("--count", "1")
        self.file = self.unique("htpasswd")
        self.file.touch(mode=0o600)

    def user(self, name, word, cost=4):
        subprocess.run([lab.which("htpasswd"), "-i", "-B", "-C", str(cost), self.file, name],
                       input=word.encode(), check=True, capture_output=True)

    def daemon(self, cost=4, limits=None, **settings):
        for name in ("alice", "bob"):
            self.user(name, f"secret-of-{name}", cost)
        auth = {"strategy": "http_basic", "user_file": self.file, "users": USERS}
        more = {} if limits is None else {"limits": limits}
        return self.nmid([lab.node("n1", self.sim)],
                         **{"listen": [{"address": SERVER, "port": 0}], "auth": auth, **more,
                            **settings})

    def client(self, nmid, address):
        client = Client(nmid, address)
        self.addCleanup(client.close)
        return client

    def block(self, nmid, address, user="alice", count=10):
        """So many wrong passwords, one after the other, in the time that they take."""
        client = self.client(nmid, address)
        for number in range(count):
            self.assertEqual(client.log_in(user, f"wrong-{number}"), 401)

    def admin_socket(self):
        return {"socket": str(self.unique("admin.sock")), "auth": {"strategy": "none"}}

    # ---- Guessing ----

    def test_later_and_later_then_refused(self):
        nmid = self.daemon()
        guesser = self.client(nmid, GUESSER)
        waits = []
        for number in range(10):
            status, headers, _, seconds = guesser.ask(headers=basic("alice", f"wrong-{number}"))
            self.assertEqual(status, 401)
            self.assertEqual(headers["WWW-Authenticate"], 'Basic realm="Baremetal API"')
            waits.append(seconds)
        for wait, least in zip(waits, (0, 0, 0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5)):
            self.assertGreaterEqual(wait, least)
        self.assertLess(max(waits[:3]), 4)
        # In the words of each contract, at once, and the right one too.
        right = basic("alice", "secret-of-alice")
        status, headers, data, seconds = guesser.ask(headers=right)
        self.assertEqual(status, 429)
        self.assertLess(seconds, 4)
        error = json.loads(data)["error"]
        self.assertEqual(error["code"], "too-many-requests")
        self.assertRegex(error["message"], r"^Too many failed log-ins: try again in 2\d\d s\.$")
        self.assertIsNone(headers["WWW-Authenticate"])
        status, headers, data, _ = guesser.ask("/v1/nodes", right)
        self.assertEqual((status, headers["Retry-After"]), (429, None))
        status, headers, data, _ = guesser.ask("/v2.1/servers", right)
        self.assertEqual(status, 429, data)
        # Who is not named is told what is wanted.
        self.assertEqual(guesser.ask()[0], 401)
        self.assertEqual(guesser.ask("/healthz")[0], 200)
        self.assertIn("log-ins as alice are refused for 300 s: 10 have failed", nmid.log())
        self.assertNotIn("wrong-", nmid.log())

    def test_an_address(self):
        nmid = self.daemon(limits={"login_failures_per_address": 3, "login_failures_s": 2})
        guesser = self.client(nmid, GUESSER)
        for user in ("alice", "nobody", "secret-in-the-wrong-field"):
            self.assertEqual(guesser.log_in(user, "x"), 401)
        self.assertEqual(guesser.log_in("bob", "secret-of-bob"), 429)
        self.assertEqual(self.client(nmid, HOST).log_in("bob", "secret-of-bob"), 200)
        self.assertIn(f"log-ins from {GUESSER} are refused for 2 s: 3 have failed", nmid.log())
        self.assertNotIn("secret-in", nmid.log())
        # After the pause it begins anew: being refused has not prolonged it.
        since = time.monotonic()
        lab.wait_for(lambda: guesser.log_in("bob", "secret-of-bob") == 200, 20, "the pause's end")
        self.assertLess(time.monotonic() - since, 10)

    def test_ipv6_counts_by_the_64(self):
        nmid = self.daemon(limits={"login_failures_per_address": 3},
                           listen=[{"address": "fd77::1", "port": 0}])
        clients = {}
        for address in ("fd77::2", "fd77::3", "fd77::4", "fd77::5", "fd77:0:0:1::5"):
            clients[address] = http.client.HTTPConnection("fd77::1", nmid.port, timeout=60,
                                                          source_address=(address, 0))
            self.addCleanup(clients[address].close)

        def log_in(address, user, word):
            clients[address].request("GET", NODES, headers=basic(user, word))
            answer = clients[address].getresponse()
            answer.read()
            return answer.status
        for number in range(2, 5):
            self.assertEqual(log_in(f"fd77::{number}", f"user-{number}", "x"), 401)
        self.assertEqual(log_in("fd77::5", "alice", "secret-of-alice"), 429)
        self.assertEqual(log_in("fd77:0:0:1::5", "alice", "secret-of-alice"), 200)

    # ---- And those who know theirs ----

    def test_who_has_logged_in_is_not_shut_out(self):
        nmid = self.daemon(limits={"login_failures_per_user": 3, "login_failures_per_address": 5})
        alice = self.client(nmid, HOST)
        self.assertEqual(alice.log_in("alice", "secret-of-alice"), 200)
        self.block(nmid, GUESSER, count=3)
        self.assertEqual(self.client(nmid, GUESSER).log_in("alice", "secret-of-alice"), 429)
        self.assertEqual(self.client(nmid, "10.77.1.2").log_in("alice", "secret-of-alice"), 429)
        # A misconfigured job on the same host: its failures are not alice's.
        self.block(nmid, HOST, "cron", 3)
        self.block(nmid, HOST, "bob", 2)
        self.assertEqual(self.client(nmid, HOST).log_in("bob", "secret-of-bob"), 429)
        status, _, action, _ = alice.ask(
            f"{NODES}/n1/actions", {**basic("alice", "secret-of-alice"),
                                    "Content-Type": "application/json"},
            "POST", json.dumps({"action": "inject_nmi"}))
        self.assertEqual(status, 202, action)
        # It stays so over a reload, after which the password is checked again.
        nmid.reload(hold_off_s=0)
        self.assertEqual(alice.log_in("alice", "secret-of-alice"), 200)
        self.assertEqual(self.client(nmid, "10.77.1.2").log_in("alice", "secret-of-alice"), 429)

    def test_the_same_wrong_one_again_is_no_guess(self):
        nmid = self.daemon(limits={"login_failures_per_user": 3, "login_failures_per_address": 3})
        cron = self.client(nmid, HOST)
        for _ in range(50):
            self.assertEqual(cron.log_in("alice", "the-old-one"), 401)
        self.assertEqual(cron.log_in("alice", "secret-of-alice"), 200)

    # ---- What comes in between ----

    def held(self, nmid):
        """Answers that are held back for seconds: connections, and sent requests on them."""
        self.block(nmid, GUESSER, count=8)
        client = self.client(nmid, GUESSER)
        client.http.request("GET", NODES, headers=basic("alice", "wrong-8"))
        lab.wait_for(lambda: self.refused(nmid) >= 9, 20, "its check")
        return client

    def refused(self, nmid):
        """Refusals so far, by the audit's lines in the log."""
        return len(re.findall(r"authenticate .*refused", nmid.log()))

    def test_a_reload_and_the_end_wait_for_nobody(self):
        nmid = self.daemon()
        first = self.held(nmid)
        nmid.reload(hold_off_s=0)  # which does not wait for it; nor is it told sooner for that
        first.http.sock.setblocking(False)
        with self.assertRaises(BlockingIOError):
            first.http.sock.recv(1, socket.MSG_PEEK)
        first.http.sock.settimeout(20)
        self.assertEqual(first.http.getresponse().status, 401)
        # The client leaves; nmid ends; another hears what it is.
        second = self.client(nmid, GUESSER)
        second.http.request("GET", NODES, headers=basic("alice", "wrong-8"))
        third = self.client(nmid, GUESSER)
        third.http.request("GET", NODES, headers=basic("alice", "wrong-8"))
        lab.wait_for(lambda: self.refused(nmid) >= 11, 20, "their checks")
        second.close()
        nmid.process.send_signal(signal.SIGTERM)
        self.assertEqual(third.http.getresponse().status, 401)
        self.assertEqual(nmid.process.wait(20), 0)
        begun, ended = (datetime.datetime.fromisoformat(re.search(rf"(\S+)Z nmid: {word}", nmid.log())[1])
                        for word in ("stopping", "stopped"))
        self.assertLess((ended - begun).total_seconds(), 1.9)  # a drain gives up after 2 s

    def test_audit(self):
        nmid = self.daemon(limits={"login_failures_per_user": 3},
                           listen=[{"address": SERVER, "port": 0}, self.admin_socket()])
        self.block(nmid, GUESSER, count=3)
        self.assertEqual(self.client(nmid, GUESSER).log_in("alice", "x"), 429)
        nmid.url = "unix:" + nmid.settings["listen"][1]["socket"]
        records = json.loads(self.nmictl(nmid, "-f", "json", "audit", "--refused").stdout)
        records = records["records"] if isinstance(records, dict) else records
        seen = [(r["rule"], r["code"], r["caller"]["user"], r["caller"]["address"])
                for r in records]
        self.assertEqual(seen[0], ("limit", "too-many-requests", "alice", GUESSER))
        self.assertEqual(seen[1:], [("credentials", "unauthorized", "alice", GUESSER)] * 3)

    # ---- Many ----

    def test_a_flood_of_guesses(self):
        """10,000 wrong passwords from 8 addresses, and users who come for the first time, or have
        been here before."""
        count = int(os.environ.get("NMID_TEST_GUESSES", "10000"))
        nmid = self.daemon(cost=10, limits={"login_failures_per_address": 10},
                           auth={"strategy": "http_basic", "user_file": self.file, "users": USERS,
                                 "cache_s": 0})
        alice, bob = self.client(nmid, HOST), self.client(nmid, "10.77.1.2")
        self.assertEqual(alice.log_in("alice", "secret-of-alice"), 200)
        statuses, lock, over = {}, threading.Lock(), threading.Event()

        def guess(place):
            client, own = Client(nmid, f"10.77.9.{place % 8}"), {}
            for number in range(count // 32):
                # Hard to tell from people: everybody guesses at users of their own.
                status = client.log_in(f"user-{place}", f"guess-{place}-{number}")
                own[status] = own.get(status, 0) + 1
            client.close()
            with lock:
                for status, times in own.items():
                    statuses[status] = statuses.get(status, 0) + times
        threads = [threading.Thread(target=guess, args=(place,)) for place in range(32)]
        since = time.monotonic()
        for thread in threads:
            thread.start()
        waits = {"alice": [], "bob": []}
        while any(thread.is_alive() for thread in threads):
            for name, client in (("alice", alice), ("bob", bob)):
                status, _, data, seconds = client.ask(headers=basic(name, f"secret-of-{name}"))
                self.assertEqual(status, 200, (name, data))
                waits[name].append(seconds)
            over.wait(0.02)
        for thread in threads:
            thread.join()
        took = time.monotonic() - since
        report = ", ".join(f"{name} {len(w)} times, at most {1000 * max(w):.0f} ms"
                           for name, w in waits.items())
        print(f"{sum(statuses.values())} guesses in {took:.1f} s: {statuses}; {report}")
        self.assertEqual(set(statuses) - {401, 429}, set())
        self.assertLessEqual(statuses[401], 8 * 10)
        self.assertGreater(statuses[429], count * 9 // 10)
        self.assertLess(max(waits["alice"] + waits["bob"]), 10)

    # ---- Tokens ----

    def test_tokens(self):
        keystone = FakeKeystone()
        self.addCleanup(keystone.stop)
        nmid = self.daemon(auth={
            "strategy": "keystone", "auth_url": keystone.url, "timeout_ms": 5000,
            "username": "nmid", "user_domain_name": "Default", "password": "nmid-password",
            "project_name": "service", "project_domain_id": "default"},
            limits={"login_failures_per_address": 5})

        def ask(client, token):
            return client.ask(headers={"X-Auth-Token": token})[0]
        good, expired = (keystone.issue("alice", project="demo") for _ in range(2))
        keystone.revoke(expired)
        host, guesser = self.client(nmid, HOST), self.client(nmid, GUESSER)
        self.assertEqual(ask(guesser, good), 200)
        # A fleet with one bad token between them.
        for _ in range(20):
            self.assertEqual(ask(self.client(nmid, HOST), expired), 401)
        self.assertEqual(ask(host, good), 200)
        # One that knows good ones may bring ten times as many bad ones.
        other = self.client(nmid, "10.77.9.1")
        for number in range(4):
            self.assertEqual(ask(other, f"garbage-{number}"), 401)
        self.assertEqual(ask(other, "not/a token"), 401)
        asked = keystone.count("GET", "/v3/auth/tokens")
        for number in range(50):
            self.assertEqual(ask(other, f"more-{number}"), 429)
        self.assertEqual(keystone.count("GET", "/v3/auth/tokens"), asked)
        self.assertEqual(ask(other, good), 200)  # remembered
        fresh = keystone.issue("alice", project="demo")
        self.assertEqual(ask(host, fresh), 200)
        for number in range(8):
            self.assertEqual(ask(guesser, f"stale-{number}"), 401)
        self.assertEqual(ask(guesser, keystone.issue("alice", project="demo")), 200)
        self.assertIn("log-ins from 10.77.9.1 are refused for 300 s: 5 have failed", nmid.log())
        self.assertNotIn("garbage-", nmid.log())


if __name__ == "__main__":
    netns.enter(("10.77.0.0/16", "fd77::1", "fd77::2", "fd77::3", "fd77::4", "fd77::5",
                 "fd77:0:0:1::5"))
    lab.main(needs=("htpasswd",))
