#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl inject-nmi: every exit code, and that no trouble of the network makes a second NMI."""
import json
import os
import pty
import re
import signal
import subprocess
import unittest
import uuid

from fake_nmid import FakeNmid, make_node
from nmictl_case import Case, LOST_ADVICE, NMICTL, closed_port, environment, nmictl


class Outcomes(Case):
    def test_delivered(self):
        result = self.expect(0, "inject-nmi", "n1")
        self.assertEqual(result.stdout, "n1  delivered\n")
        self.assertEqual(result.stderr, "")
        (name, key, body), = self.fake.posts
        self.assertEqual((name, body), ("n1", {"action": "inject_nmi", "force": False}))
        self.assertEqual(str(uuid.UUID(key)), key)
        self.assertIn(("POST", "/agent/v1/nodes/%s/actions" % self.fake.nodes[0]["uuid"]),
                      self.fake.requests)

    def test_force(self):
        self.expect(0, "inject-nmi", "n1", "--force")
        self.assertEqual(self.fake.posts[0][2], {"action": "inject_nmi", "force": True})

    def test_callback_url(self):
        self.fake.fault("POST", "/actions$", "drop")
        self.expect(0, "inject-nmi", "n1", "--callback-url", "https://h/done?x=\u00e9\"")
        body = {"action": "inject_nmi", "force": False, "callback_url": "https://h/done?x=\u00e9\""}
        self.assertEqual([post[2] for post in self.fake.posts], [body, body])
        self.assert_one_key(2)

    def test_evidence(self):
        self.fake.outcomes["n1"] = ("unknown", "no-answer", "silence")
        for evidence, words in (
                ({"sends": 1, "probes": 2, "probes_answered": 1, "sequence": "no-answer-seen",
                  "sequence_gap": 1, "sel": "nothing-new", "session_closed": True},
                 "sent once, not answered by its sequence numbers, SEL: nothing new, "
                 "session closed"),
                ({"sends": 2, "sequence": "answered-but-lost", "sel": "os-stopped",
                  "session_closed": False, "power": "on"},
                 "sent 2 times, answered, the answer was lost, SEL: the system stopped, "
                 "session not closed"),
                ({"sends": 1, "completion_code": "C3", "sel": "none"},
                 "sent once, completion code C3"),
                ({"sequence": "new \x1bword"}, r"sequence: new \x1bword")):
            self.fake.evidence["n1"] = evidence
            line = self.expect(3, "inject-nmi", "n1").stdout
            self.assertTrue(line.startswith("n1  UNKNOWN  silence [%s]; %s" % (words, LOST_ADVICE)),
                            line)

    def test_failed(self):
        self.fake.outcomes["n2"] = ("failed", "user", "the BMC does not know the user")
        result = self.expect(1, "inject-nmi", "n[1-3]")
        lines = result.stdout.splitlines()
        self.assertEqual(sorted(lines[:3]), ["n1  delivered",
                                             "n2  failed  the BMC does not know the user",
                                             "n3  delivered"])
        self.assertEqual(lines[3], "3 nodes: 2 delivered, 1 failed, 0 unknown")

    def test_unknown_wins(self):
        self.fake.outcomes["n1"] = ("failed", "user", "the BMC does not know the user")
        self.fake.outcomes["n2"] = ("unknown", "no-answer", "silence after the interrupt")
        result = self.expect(3, "inject-nmi", "n1,n2")
        ident = [a["id"] for a in self.fake.actions.values() if a["node_name"] == "n2"][0]
        self.assertIn("n2  UNKNOWN  silence after the interrupt; %s (nmictl actions %s)\n"
                      % (LOST_ADVICE, ident), result.stdout)

    def test_refused(self):
        earlier = "req-" + str(uuid.uuid4())
        self.fake.refusals["n1"] = [(409, "hold-off", "an NMI was delivered 20 s ago", earlier)]
        result = self.expect(1, "inject-nmi", "n1")
        self.assertEqual(result.stdout, "n1  failed  an NMI was delivered 20 s ago "
                                        "(nmictl actions %s)\n" % earlier)
        self.assertEqual(len(self.fake.posts), 1)

    def test_refusal_that_is_unknown(self):
        self.fake.refusals["n1"] = [(502, "no-answer", "silence", None)]
        self.assert_unknown(self.expect(3, "inject-nmi", "n1"))

    def test_odd_outcome_is_unknown(self):
        self.fake.outcomes["n1"] = ("splendid", None, "")
        self.assert_unknown(self.expect(3, "inject-nmi", "n1"))

    def test_not_reached(self):
        holder, url = closed_port()
        with holder:
            result = nmictl("-u", url, "inject-nmi", "n1")
        self.assertEqual(result.returncode, 4)
        self.assertIn("nmid was not reached", result.stderr)
        self.assertIn("nothing was sent", result.stderr)
        self.assertEqual(nmictl("-u", "unix:" + self.temporary() + "/none", "inject-nmi",
                                "n1").returncode, 4)

    def test_unknown_node_sends_nothing(self):
        result = self.expect(1, "inject-nmi", "n1", "nowhere", "n2", "elsewhere")
        self.assertIn("no node 'nowhere'", result.stderr)
        self.assertIn("no node 'elsewhere'", result.stderr)
        self.assertIn("nothing was sent", result.stderr)
        self.assertEqual((result.stdout, self.fake.posts), ("", []))
        items = self.expect_json(1, "inject-nmi", "n1", "nowhere")
        self.assertEqual([(i["node_name"], i["outcome"], i["code"]) for i in items],
                         [("n1", "failed", "not-sent"), ("nowhere", "failed", "node-not-found")])
        self.assertEqual(self.fake.posts, [])

    def test_duplicates(self):
        node = self.fake.nodes[0]
        result = self.expect(0, "inject-nmi", "n1", "n1", "n[1-2,1]", node["uuid"],
                             node["uuid"].upper(), node["instance_uuid"])
        self.assertEqual(self.fake.injections, {"n1": 1, "n2": 1})
        self.assertEqual(len(self.fake.posts), 2)
        self.assertIn("2 nodes: 2 delivered", result.stdout)
        self.assertIn("the same node", result.stderr)

    def test_json(self):
        self.fake.outcomes["n1"] = ("unknown", "no-answer", "silence")
        self.fake.refusals["n2"] = [(409, "locked", "the node is locked", None)]
        items = self.expect_json(3, "inject-nmi", "n3", "n2", "n1")
        self.assertEqual([(i["node_name"], i["outcome"], i["code"]) for i in items],
                         [("n3", "delivered", None), ("n2", "failed", "locked"),
                          ("n1", "unknown", "no-answer")])
        self.assertEqual(items[0], self.fake.actions[items[0]["id"]])
        self.assertEqual(items[1]["message"], "the node is locked")
        self.assertEqual(items[1]["node_uuid"], self.fake.nodes[1]["uuid"])

    def test_parallel(self):
        names = ["p%d" % i for i in range(60)]
        self.fake.nodes += [make_node(name) for name in names]
        self.fake.held.update(names)
        process = subprocess.Popen([NMICTL, "-u", self.fake.url, "--parallel", "8", "inject-nmi",
                                    "p[0-59]"], env=environment(), stdout=subprocess.PIPE,
                                   encoding="utf-8")
        self.assertTrue(self.fake.wait_until(lambda: self.fake.polling == 8))
        self.assertEqual(len(self.fake.posts), 8)
        with self.fake.changed:
            self.fake.held.clear()
            self.fake.changed.notify_all()
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0)
        self.assertIn("60 nodes: 60 delivered", output)
        self.assertEqual(self.fake.injections, {name: 1 for name in names})
        self.assertLessEqual(self.fake.polling_most, 8)


class Trouble(Case):
    """The connection is lost, nmid misbehaves. One node, one key, one injection."""

    def test_lost_after_the_request(self):
        self.fake.fault("POST", "/actions$", "drop")
        result = self.expect(0, "inject-nmi", "n1")
        self.assertEqual(result.stdout, "n1  delivered\n")
        self.assert_one_key(2)
        self.assertEqual(self.fake.injections, {"n1": 1})
        self.assertEqual(len(self.fake.actions), 1)

    def test_lost_before_the_work(self):
        self.fake.fault("POST", "/actions$", "drop-before", 3)
        self.expect(0, "inject-nmi", "n1")
        self.assert_one_key(1)
        self.assertEqual(self.fake.requests.count(
            ("POST", "/agent/v1/nodes/%s/actions" % self.fake.nodes[0]["uuid"])), 4)

    def test_each_node_has_its_own_key(self):
        self.fake.fault("POST", "/actions$", "drop", 2)
        self.expect(0, "inject-nmi", "n[1-4]")
        self.assertEqual(len(self.fake.posts), 6)
        self.assertEqual(len(set(self.keys())), 4)
        self.assertEqual(self.fake.injections, {name: 1 for name in self.names})

    def test_bad_answers_are_asked_again(self):
        for what in ("status=502", "garbage", "hang"):
            with self.subTest(what):
                self.fake.posts.clear()
                self.fake.injections.clear()
                self.fake.fault("POST", "/actions$", what)
                self.expect(0, "inject-nmi", "n1")
                self.assertEqual(len(set(self.keys())), 1)
                self.assertEqual(self.fake.injections, {"n1": 1})

    def test_too_large_an_answer(self):
        self.fake.fault("POST", "/actions$", "huge")
        self.expect(0, "inject-nmi", "n1")
        self.assert_one_key(2)

    def test_never_cleared_up(self):
        self.fake.fault("POST", "/actions$", "drop", 1000)
        result = self.expect(3, "--timeout", "2", "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn("(nmictl actions --node n1)", result.stdout)
        self.assertGreater(len(self.fake.posts), 2)
        self.assertEqual(len(set(self.keys())), 1)
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_the_last_try_is_cut_short(self):
        """By the end of nmictl's own time: what is told is what went wrong before."""
        self.fake.fault("POST", "/actions$", "drop")
        self.fake.fault("POST", "/actions$", "hang")
        result = self.expect(3, "--timeout", "2", "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn(f"the connection to nmid at {self.fake.url} was lost", result.stdout)
        self.assert_one_key(2)

    def test_never_cleared_up_json(self):
        self.fake.fault("POST", "/actions$", "drop", 1000)
        item, = self.expect_json(3, "--timeout", "1", "inject-nmi", "n1")
        self.assertEqual((item["outcome"], item["code"], item["id"]),
                         ("unknown", "connection-lost", None))
        self.assertEqual(item["idempotency_key"], self.keys()[0])

    def test_nmid_dies(self):
        self.fake.held.add("n1")
        process = subprocess.Popen([NMICTL, "-u", self.fake.url, "--timeout", "3", "inject-nmi",
                                    "n1"], env=environment(), stdout=subprocess.PIPE,
                                   encoding="utf-8")
        self.assertTrue(self.fake.wait_until(lambda: self.fake.polling == 1))
        self.fake.fault("GET", "/actions/", "drop", 1000)
        self.fake.stop()
        output, _ = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 3)
        self.assertIn("UNKNOWN", output)
        self.assertIn("nmictl actions " + list(self.fake.actions)[0], output)

    def test_nmid_that_forgot_is_not_asked_again(self):
        self.fake.fault("POST", "/actions$", "forget")
        result = self.expect(3, "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn("another journal", result.stdout)
        self.assert_one_key(1)
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_a_nmid_that_is_started_anew_is_asked_again(self):
        """Its journal has the key: the outcome is that of the first request."""
        for outcome, code, exit_code in (("delivered", None, 0), ("failed", "stopping", 1),
                                         ("unknown", "daemon-stopped", 3)):
            with self.subTest(outcome):
                self.fake.posts.clear()
                self.fake.injections.clear()
                self.fake.outcomes["n1"] = (outcome, code, "as the journal has it")
                self.fake.fault("POST", "/actions$", "restart=1")
                items = self.expect_json(exit_code, "inject-nmi", "n1")
                self.assertEqual([(i["outcome"], i["code"]) for i in items], [(outcome, code)])
                self.assert_one_key(2)
                self.assertEqual(self.fake.injections, {"n1": 1})
        self.assertEqual(self.fake.restarts, 3)

    def test_started_anew_while_the_outcome_is_awaited(self):
        self.fake.fault("GET", r"/actions/req-.*\?wait", "restart=1")
        self.assertEqual(self.expect(0, "inject-nmi", "n1").stdout, "n1  delivered\n")
        self.assertEqual(self.fake.restarts, 1)
        self.assert_one_key(1)

    def test_started_anew_too_late(self):
        self.fake.fault("POST", "/actions$", "restart=600")
        result = self.expect(3, "--timeout", "2", "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn("nmid was not reached", result.stdout)
        self.assert_one_key(1)

    def test_started_anew_with_another_journal(self):
        self.fake.fault("POST", "/actions$", "restart=1")
        first, come_again = self.fake.instance, self.fake.come_again

        def come_with_another(address):
            self.fake.forget()
            come_again(address)
        self.fake.come_again = come_with_another
        result = self.expect(3, "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn("another journal", result.stdout)
        self.assertNotEqual(self.fake.instance, first)
        self.assert_one_key(1)

    def test_not_recorded(self):
        """A full disk refuses: nothing was sent. After a loss nmid is asked until it can tell."""
        self.fake.refusals["n1"] = [(503, "journal", "the action could not be recorded", None)]
        self.assertIn("n1  failed  the action could not be recorded",
                      self.expect(1, "inject-nmi", "n1").stdout)
        self.fake.posts.clear()
        self.fake.fault("POST", "/actions$", "drop-before")
        self.fake.refusals["n1"] = [(503, "journal", "the action could not be recorded", None)] * 2
        self.expect(0, "inject-nmi", "n1")
        self.assert_one_key(3)

    def test_refused_after_a_loss(self):
        for code, status, exit_code in (("hold-off", 409, 3), ("in-flight", 409, 3),
                                        ("node-not-found", 404, 3), ("locked", 409, 1),
                                        ("powered-off", 409, 1)):
            with self.subTest(code):
                self.fake.posts.clear()
                self.fake.fault("POST", "/actions$", "drop-before")
                self.fake.refusals["n1"] = [(status, code, "no: " + code, None)]
                result = self.expect(exit_code, "inject-nmi", "n1")
                self.assertIn("no: " + code, result.stdout)
                self.assert_one_key(1)

    def test_stopping_after_a_loss_is_asked_again(self):
        self.fake.fault("POST", "/actions$", "drop-before")
        self.fake.refusals["n1"] = [(503, "stopping", "nmid is shutting down", None)]
        self.expect(0, "inject-nmi", "n1")
        self.assert_one_key(2)

    def test_overloaded_at_once_is_failed(self):
        self.fake.refusals["n1"] = [(503, "overloaded", "the queue is full", None)]
        self.assertIn("n1  failed  the queue is full",
                      self.expect(1, "inject-nmi", "n1").stdout)
        self.assert_one_key(1)

    def test_poll_recovers(self):
        for what in ("drop", "drop-before", "status=500", "garbage", "huge"):
            with self.subTest(what):
                self.fake.posts.clear()
                self.fake.fault("GET", r"/actions/req-.*\?wait", what)
                self.expect(0, "inject-nmi", "n1")
                self.assert_one_key(1)

    def test_poll_not_found(self):
        self.fake.tamper = lambda action: self.fake.actions.clear()
        result = self.expect(3, "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assert_one_key(1)

    def test_no_outcome_in_time(self):
        self.fake.held.add("n1")
        result = self.expect(3, "--timeout", "1", "inject-nmi", "n1")
        self.assert_unknown(result)
        self.assertIn("no outcome within 1 s; the action goes on", result.stdout)
        item, = self.expect_json(3, "--timeout", "1", "inject-nmi", "n1")
        self.assertEqual((item["outcome"], item["code"], item["state"]),
                         ("unknown", "timeout", "accepted"))
        self.assertIn(item["id"], self.fake.actions)

    def test_action_of_another_node_is_not_believed(self):
        def tamper(action):
            action["node_uuid"] = str(uuid.uuid4())
        self.fake.tamper = tamper
        self.assert_unknown(self.expect(3, "--timeout", "1", "inject-nmi", "n1"))
        self.assertEqual(self.fake.injections, {"n1": 1})

    def test_trouble_before_anything_was_sent(self):
        for what, code in (("garbage", 1), ("status=500", 1), ("huge", 1), ("drop", 4),
                           ("redirect=http://127.0.0.1:1/", 1)):
            with self.subTest(what):
                # What only reads is asked again when its connection is lost.
                times = 1000 if what == "drop" else 1
                rule = self.fake.fault("GET", "/nodes/", what, times)
                result = self.expect(code, "inject-nmi", "n1", "n2")
                self.assertIn("nothing was sent", result.stderr)
                self.assertEqual((result.stdout, self.fake.posts), ("", []))
                # A program gets its array all the same, with the reason for each node.
                rule.times = times
                actions = json.loads(self.expect(code, "-f", "json", "inject-nmi", "n1", "n2").stdout)
                self.assertEqual([action["outcome"] for action in actions], ["failed", "failed"])
                self.assertTrue(all(action["code"] and action["message"] for action in actions))
                rule.times = 0

    def test_a_nmid_that_was_not_introduced_is_not_asked_again(self):
        """It may have another journal since, and know nothing of the key."""
        self.fake.fault("GET", "/healthz", "status=500")
        self.fake.fault("POST", "/actions", "drop")
        result = self.expect(3, "inject-nmi", "n1")
        self.assertIn("UNKNOWN", result.stdout)
        self.assertIn("had not said which journal it has", result.stdout)
        self.assertEqual(len(self.fake.posts), 1)

    def test_a_path_that_is_no_socket(self):
        result = nmictl("-u", f"unix:{os.path.dirname(os.path.abspath(__file__))}", "nodes")
        self.assertEqual(result.returncode, 2)
        self.assertIn("is not a socket", result.stderr)

    def test_redirect_is_not_followed(self):
        with FakeNmid(self.fake.nodes) as other:
            self.fake.fault("POST", "/actions$", "redirect=" + other.url + "/x")
            self.expect(0, "inject-nmi", "n1")
            self.assertEqual(other.requests, [])
        self.assert_one_key(1)

    def test_answer_of_something_between(self):
        """A proxy's own no may come after it has passed the request on: asked again by its key."""
        for what in ("status=302", "status=403", "status=404", "status=429", "status=499"):
            with self.subTest(what):
                self.fake.posts.clear()
                self.fake.injections.clear()
                self.fake.fault("POST", "/actions$", what)
                self.expect(0, "inject-nmi", "n1")
                self.assert_one_key(1)


class Interrupted(Case):
    def start(self, *args):
        # Under nohup SIGHUP would be ignored, as it should be.
        return subprocess.Popen([NMICTL, "-u", self.fake.url, "inject-nmi", *args],
                                env=environment(), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, encoding="utf-8",
                                preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL))

    def test_what_goes_on_is_told(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                self.fake.posts.clear()
                self.fake.held.add("n1")
                process = self.start("--parallel", "1", "n1", "n2")
                self.assertTrue(self.fake.wait_until(lambda: self.fake.polling == 1))
                process.send_signal(number)
                output, _ = process.communicate(timeout=30)
                self.assertEqual(process.returncode, 3)
                ident = list(self.fake.actions)[-1]
                self.assertIn("n1  UNKNOWN  interrupted: the action goes on without nmictl; %s "
                              "(nmictl actions %s)\n" % (LOST_ADVICE, ident), output)
                self.assertIn("n2  failed  interrupted: nothing was sent\n", output)
                self.assertEqual(len(self.fake.posts), 1)
                self.fake.release("n1")
                self.assertTrue(self.fake.wait_until(lambda: self.fake.polling == 0))

    def test_nothing_left_open(self):
        """The signal comes while nmid is still asked what it is: nothing has been sent."""
        hang = self.fake.fault("GET", "/healthz", "hang")
        process = self.start("n1", "n2")
        self.assertTrue(self.fake.wait_until(lambda: ("GET", "/healthz") in self.fake.requests))
        process.send_signal(signal.SIGINT)
        self.fake.let_go(hang)
        output, _ = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 128 + signal.SIGINT)
        self.assertEqual(output.count("interrupted: nothing was sent"), 2)
        self.assertEqual(self.fake.posts, [])


class Terminal(Case):
    names = ("n1", "n2")

    def on_terminal(self, *args, **env):
        master, slave = pty.openpty()
        process = subprocess.Popen([NMICTL, "-u", self.fake.url, *args], stdin=slave, stdout=slave,
                                   stderr=slave, env=environment(TERM="xterm", **env))
        os.close(slave)
        output = b""
        while True:
            try:
                chunk = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            output += chunk
        os.close(master)
        process.wait(timeout=30)
        return output.decode()

    def test_colour_and_progress(self):
        self.fake.outcomes["n2"] = ("unknown", "no-answer", "silence")
        output = self.on_terminal("inject-nmi", "n1", "n2")
        self.assertIn("n1  \x1b[32mdelivered\x1b[0m", output)
        self.assertIn("n2  \x1b[1;33mUNKNOWN\x1b[0m", output)
        self.assertIn("0 of 2 nodes finished, 2 under way", output)

    def test_no_color(self):
        output = self.on_terminal("inject-nmi", "n1", NO_COLOR="1")
        self.assertEqual(output, "n1  delivered\r\n")

    def test_escapes(self):
        evil = "\x1b[2J\x9b31m\u202e\x7f\r\nn1  delivered\x00"[:-1]
        self.fake.outcomes["n1"] = ("failed", "user", "no" + evil)
        self.fake.nodes[1]["name"] = "x" + evil
        result = self.expect(1, "inject-nmi", "n1", self.fake.nodes[1]["uuid"])
        lists = [self.expect(0, *args) for args in (("nodes",), ("show", "n1"), ("actions",),
                                                    ("-f", "json", "actions"),
                                                    ("-f", "json", "nodes"))]
        lists.append(self.expect(1, "show", "n\x1bc"))
        for output in [result] + lists:
            for text in (output.stdout, output.stderr):
                self.assertIsNone(re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text), text)
        self.assertIn(r"no\x1b[2J\xc2\x9b31m\xe2\x80\xae\x7f\x0d\x0an1  delivered",
                      result.stdout)
        self.assertEqual(len(result.stdout.splitlines()), 3)


if __name__ == "__main__":
    unittest.main()
