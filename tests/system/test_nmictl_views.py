#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl's other verbs, its options and help, its manual page and its completion."""
import json
import os
import shutil
import subprocess
import unittest
import uuid

from fake_nmid import FakeNmid, make_node
from nmictl_case import Case, NMICTL, SOURCE, closed_port, environment, nmictl

VERBS = ("inject-nmi", "nodes", "show", "probe", "lock", "unlock", "status", "actions",
         "audit", "version")


class Usage(unittest.TestCase):
    def test_errors(self):
        for args in ((), ("frobnicate",), ("inject-nmi",), ("show",), ("show", "a", "b"),
                     ("nodes", "a"), ("nodes", "--force"), ("inject-nmi", "n1", "--limit", "3"),
                     ("--frob", "nodes"), ("-x", "nodes"), ("nodes", "--timeout"),
                     ("nodes", "--timeout", "0"), ("nodes", "--timeout", "1h"),
                     ("nodes", "--timeout", "-5"), ("inject-nmi", "n1", "--parallel", "100000"),
                     ("nodes", "-f", "xml"), ("nodes", "--force=1"), ("inject-nmi", "n[1-"),
                     ("inject-nmi", "n[1-99999]"), ("inject-nmi", "a,,b"), ("inject-nmi", ""),
                     ("show", "n[1-2]"), ("actions", "--state", "gone"),
                     ("actions", "req-1", "--limit", "3"), ("help", "frobnicate"),
                     ("actions", "req-1", "--all"), ("actions", "req-1", "--marker", "req-2"),
                     ("actions", "--all", "--limit", "3"), ("actions", "--marker", "x" * 200),
                     ("lock",), ("unlock",), ("status",), ("status", "ERROR"),
                     ("unlock", "n1", "--default"), ("lock", "n1", "--force"),
                     ("show", "n1", "--callback-url", "http://h/"),
                     ("-u", "ftp://x", "nodes"), ("-u", "localhost:8623", "nodes"),
                     ("-u", "http://u:secret@h/", "nodes"), ("-u", "unix:", "nodes"),
                     ("-u", "unix:/" + "x" * 200, "nodes"), ("-u", "http://h/?x=1", "nodes")):
            with self.subTest(args):
                result = nmictl(*args)
                self.assertEqual(result.returncode, 2)
                self.assertEqual(result.stdout, "")
                self.assertRegex(result.stderr, r"\Anmictl: [^\n]+; try 'nmictl help[^\n]*'\n\Z")
                self.assertNotIn("secret", result.stderr)
        for args in (("--nonsense", "probe", "n1"), ("probe", "n1", "--nonsense")):
            self.assertIn("; try 'nmictl help probe'\n", nmictl(*args).stderr)

    def test_help(self):
        for verb in VERBS:
            by_option, by_verb = nmictl(verb, "--help"), nmictl("help", verb)
            self.assertEqual((by_option.returncode, by_verb.returncode), (0, 0))
            self.assertEqual(by_option.stdout, by_verb.stdout)
            self.assertEqual(by_option.stdout, nmictl("-h", verb).stdout)
            self.assertTrue(by_verb.stdout.startswith("Usage: nmictl [OPTION...] " + verb))
            self.assertRegex(by_verb.stdout, r"(?m)^Example: nmictl .*" + verb)
        for args in (("--help",), ("-h",), ("help",)):
            result = nmictl(*args)
            self.assertEqual((result.returncode, result.stderr), (0, ""))
            for verb in VERBS:
                self.assertRegex(result.stdout, r"(?m)^  %s " % verb)

    def test_version_option(self):
        for option in ("-V", "--version"):
            result = nmictl(option)
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"\Anmictl \d+\.\d+\.\d+\S*"
                                            r"( \(commit [0-9a-f]{12}(-dirty)?\))?\n\Z")
            if not os.path.exists(os.path.join(SOURCE, ".git")):  # a tarball
                self.assertNotIn("commit", result.stdout)

    def test_read_verbs_without_nmid(self):
        holder, url = closed_port()
        with holder:
            for args in (("nodes",), ("show", "n1"), ("probe", "n1"), ("actions",),
                         ("actions", "-f", "json"), ("actions", "req-1"), ("lock", "n1"),
                         ("unlock", "n1"), ("status", "n1", "ERROR")):
                result = nmictl("-u", url, *args)
                self.assertEqual((result.returncode, result.stdout), (4, ""))
                self.assertIn("nmid was not reached", result.stderr)
            result = nmictl("-u", url, "version")
            self.assertEqual(result.returncode, 0)
            self.assertRegex(result.stdout, r"\Anmictl \S+\n\Z")
            self.assertIn("nmid was not reached", result.stderr)


class Addresses(Case):
    def test_environment(self):
        self.assertEqual(nmictl("nodes", env=environment(NMID_URL=self.fake.url)).returncode, 0)
        holder, url = closed_port()
        with holder:
            self.expect(0, "nodes", env=environment(NMID_URL=url))

    def test_options_after_the_verb(self):
        result = nmictl("inject-nmi", "n1", "-u", self.fake.url, "-f", "json")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(json.loads(result.stdout)[0]["outcome"], "delivered")

    def test_unix_socket(self):
        path = os.path.join(self.temporary(), "nmid.sock")
        with FakeNmid([make_node("n1")], path) as fake:
            result = nmictl("-u", "unix:" + path, "inject-nmi", "n1")
            self.assertEqual((result.returncode, result.stdout), (0, "n1  delivered\n"))
            self.assertEqual(fake.injections, {"n1": 1})

    def test_proxies_are_not_used(self):
        holder, proxy = closed_port()
        with holder:
            env = environment(http_proxy=proxy, HTTP_PROXY=proxy, ALL_PROXY=proxy, all_proxy=proxy)
            self.expect(0, "nodes", env=env)

    def test_path_and_slash(self):
        self.assertEqual(nmictl("-u", self.fake.url + "/", "nodes").returncode, 0)
        self.assertEqual(nmictl("-u", self.fake.url + "/x/", "nodes").returncode, 1)
        self.assertEqual(self.fake.requests[-1], ("GET", "/x/agent/v1/nodes"))

    def test_names_are_escaped_in_paths(self):
        self.expect(1, "show", "../../v1/a b?c#d%")
        self.assertEqual(self.fake.requests,
                         [("GET", "/agent/v1/nodes/..%2F..%2Fv1%2Fa%20b%3Fc%23d%25")])

    def test_slow(self):
        self.fake.fault("GET", "/nodes$", "hang")
        result = self.expect(4, "--timeout", "1", "nodes")
        self.assertIn("no answer in time", result.stderr)


class Views(Case):
    def test_nodes(self):
        self.fake.nodes[1].update(locked=True, name=None)
        lines = self.expect(0, "nodes").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "UUID", "STATUS", "LOCKED", "DRIVER", "BMC"])
        self.assertEqual(lines[1].split(), ["n1", self.fake.nodes[0]["uuid"], "ACTIVE", "no",
                                            "ipmi", "10.0.0.1:623"])
        self.assertEqual(lines[2].split()[0:4:3], ["-", "yes"])
        self.fake.nodes[2].update(status="ERROR", status_source="run-time", locked=True,
                                  lock_source="run-time")
        self.assertIn("  ERROR (run-time)  yes (run-time)  ipmi  ", self.expect(0, "nodes").stdout)
        self.assertEqual(len({line.index(word) for line, word in
                              zip(lines[1:], ("ACTIVE",) * 4)} | {lines[0].index("STATUS")}), 1)
        self.assertEqual(self.expect_json(0, "nodes"), {"nodes": self.fake.nodes})

    def test_show(self):
        node = self.fake.nodes[0]
        for ident in ("n1", node["uuid"], node["instance_uuid"], "n[1]"):
            output = self.expect(0, "show", ident).stdout
            self.assertIn("uuid: %s\nname: n1\n" % node["uuid"], output)
            self.assertIn("locked: false\n", output)
            self.assertIn("driver_info.ipmi_password: ******\n", output)
        self.assertEqual(self.expect_json(0, "show", "n1"), node)
        result = self.expect(1, "show", "nowhere")
        self.assertEqual(result.stderr, "nmictl: no node 'nowhere'\n")

    def test_probe(self):
        self.fake.probes["n2"] = (502, "password", "the BMC and nmid do not share the password")
        lines = self.expect(1, "probe", "n[1-3]").stdout.splitlines()
        self.assertEqual(lines[0].split(), ["NODE", "POWER", "PROTOCOL", "SUITE", "MS", "ERROR"])
        self.assertEqual(lines[1].split(), ["n1", "on", "2.0", "17", "12", "-"])
        self.assertRegex(lines[2], r"^n2 +- .* the BMC and nmid do not share the password$")
        items = self.expect_json(1, "probe", "n[1-3]")
        self.assertEqual([item.get("power") for item in items], ["on", None, "on"])
        self.assertEqual(items[1]["error"]["code"], "password")
        self.expect(0, "probe", "n1", "n1")
        self.assertEqual(self.fake.posts, [])
        self.assertEqual(len([r for r in self.fake.requests if r[0] == "POST"]), 7)
        self.expect(1, "probe", "n1", "nowhere")
        self.assertEqual(len([r for r in self.fake.requests if r[0] == "POST"]), 7)

    def test_actions(self):
        for i in range(250):
            self.fake.finish(self.fake.make_action(self.fake.nodes[i % 2]))
        newest = [a["id"] for a in reversed(self.fake.actions.values())]
        result = self.expect(0, "actions")
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()],
                         ["ID"] + newest[:100])
        self.assertEqual(result.stderr, "nmictl: there are older ones: --marker %s, or --all\n"
                         % newest[99])
        self.assertEqual(len(self.fake.requests), 1)
        result = self.expect(0, "actions", "--all")
        self.assertEqual([line.split()[0] for line in result.stdout.splitlines()], ["ID"] + newest)
        self.assertEqual((result.stderr, len(self.fake.requests)), ("", 4))
        document = self.expect_json(0, "actions", "--limit", "120")
        self.assertEqual([a["id"] for a in document["actions"]], newest[:120])
        self.assertEqual(document["next"], newest[119])
        document = self.expect_json(0, "actions", "--marker", document["next"], "--limit", "130")
        self.assertEqual([a["id"] for a in document["actions"]], newest[120:])
        self.assertIsNone(document["next"])
        self.assertEqual(self.expect_json(0, "actions", "--all"),
                         {"actions": list(reversed(self.fake.actions.values())), "next": None})
        document = self.expect_json(0, "actions", "--node", "n2", "--state", "finished", "--all")
        self.assertEqual({a["node_name"] for a in document["actions"]}, {"n2"})
        self.assertEqual(len(document["actions"]), 125)
        self.assertEqual(self.expect_json(0, "actions", "--state", "sent"),
                         {"actions": [], "next": None})

    def test_actions_that_break_off(self):
        """What has come is a document all the same, and says where to go on."""
        for _ in range(250):
            self.fake.finish(self.fake.make_action(self.fake.nodes[0]))
        newest = [a["id"] for a in reversed(self.fake.actions.values())]
        self.fake.fault("GET", "marker=", "drop", 1000)  # it is tried again, until its time is over
        document = self.expect_json(4, "actions", "--all", "--timeout", "2")
        self.assertEqual([a["id"] for a in document["actions"]], newest[:100])
        self.assertEqual(document["next"], newest[99])
        self.fake.fault("GET", "/actions", "status=500")
        self.assertEqual(self.expect(1, "-f", "json", "actions").stdout, "")

    def test_actions_of_a_node_that_is_gone(self):
        gone = str(uuid.uuid4())
        self.assertEqual(self.expect_json(0, "actions", "--node", gone)["actions"], [])
        self.assertIn("node=" + gone, self.fake.requests[-1][1])
        for verb in (["actions", "--node", "nowhere"], ["show", "nowhere"]):
            self.assertEqual(self.expect(1, *verb).stderr, "nmictl: no node 'nowhere'\n")

    def test_action(self):
        action = self.fake.make_action(self.fake.nodes[0])
        action["evidence"] = {"sel": ["a", 1]}
        output = self.expect(0, "actions", action["id"]).stdout
        self.assertTrue(output.startswith('accepted: it has no outcome yet\n  sel: ["a",1]\n\n'))
        self.assertIn("\nid: %s\n" % action["id"], output)
        self.assertIn("\noutcome: -\n", output)
        self.assertEqual(self.expect_json(0, "actions", action["id"]), action)
        self.expect(1, "actions", "req-" + str(uuid.uuid4()))

    def test_action_in_words(self):
        self.fake.outcomes["n1"] = ("unknown", "no-answer", "the BMC did not answer")
        self.fake.evidence["n1"] = {
            "protocol": "2.0", "cipher_suite": 17, "power": "on", "sends": 1, "probes": 3,
            "probes_answered": 2, "sequence": "no-answer-seen", "sequence_gap": 1,
            "sel": "os-stopped", "session_closed": True, "retransmissions": 1,
            "ignored_datagrams": 2, "colour": {"of": "moon\x1b"},
            "sel_records": [{"id": "0012", "sensor_type": 32, "offset": 1, "text": "OS Stop"}]}
        action = self.fake.make_action(self.fake.nodes[0])
        self.fake.finish(action)
        lines = self.expect(0, "actions", action["id"]).stdout.splitlines()
        self.assertEqual(lines[0], "UNKNOWN (no-answer): the BMC did not answer")
        end = lines.index("")
        self.assertEqual([line[:2] for line in lines[1:end]], ["  "] * (end - 1))
        for number, words in enumerate((
                "IPMI 2.0, cipher suite 17", "switched on before", "sent once",
                "asked for its status 3 times in the same session, and answered 2.",
                "(no-answer-seen)",
                "a trace of the interrupt, and no proof",
                "record 0012: OS Stop (sensor type 20h, offset 1)", "the BMC confirmed it",
                "1 other request, never the interrupt",
                "2 datagrams that were no authentic answer of the BMC's were ignored",
                'colour: {"of":"moon\\u001B"}'), 1):
            self.assertIn(words, lines[number])
        self.assertIn("sent_at: %s" % action["sent_at"], lines[end:])
        self.assertNotIn("evidence", "".join(lines[end:]))
        self.assertEqual(self.expect_json(0, "actions", action["id"]), action)
        del action["evidence"]
        action.update(outcome="delivered", code=None, message=None)
        self.assertTrue(self.expect(0, "actions", action["id"]).stdout.startswith("delivered\n\n"))

    def test_every_word_has_a_sentence(self):
        """None of the values that docs/ipmi.md knows comes out as a mere key."""
        action = self.fake.make_action(self.fake.nodes[0])
        for key, values in (("power", ("on", "off", "unchecked")), ("answer", ("on-time", "late")),
                            ("sequence", ("no-answer-seen", "answered-but-lost", "ambiguous",
                                          "session-dead")),
                            ("sel", ("interrupt-recorded", "os-stopped", "nothing-new",
                                     "unreadable", "none", "unchecked"))):
            for value in values:
                action["evidence"] = {key: value}
                line = self.expect(0, "actions", action["id"]).stdout.splitlines()[1]
                self.assertRegex(line, r"^  [A-Z].*\.$")

    def test_lock(self):
        n1 = self.fake.nodes[0]
        self.assertEqual(self.expect(0, "lock", "n1").stdout, "n1  locked (run-time)\n")
        self.assertEqual((n1["locked"], n1["lock_source"]), (True, "run-time"))
        self.assertEqual(self.expect(0, "unlock", "n[1-2]").stdout,
                         "n1  unlocked (run-time)\nn2  unlocked (run-time)\n")
        self.assertEqual(self.expect(0, "lock", "--default", n1["uuid"]).stdout,
                         "n1  unlocked (configuration)\n")
        first, both, last = (self.fake.settings[:1], self.fake.settings[1:3],
                             self.fake.settings[3:])
        self.assertEqual(first, [("PUT", "n1", "lock", {"locked": True})])
        self.assertCountEqual(both, [("DELETE", "n1", "lock", {}), ("DELETE", "n2", "lock", {})])
        self.assertEqual(last, [("PUT", "n1", "lock", {"locked": None})])
        self.assertEqual(self.expect_json(0, "lock", "n2"), [self.fake.nodes[1]])
        self.assertIn("lock_source: run-time\n", self.expect(0, "show", "n2").stdout)

    def test_status(self):
        self.assertEqual(self.expect(0, "status", "n1", "n3", "error").stdout,
                         "n1  ERROR (run-time)\nn3  ERROR (run-time)\n")
        self.assertEqual(self.expect(0, "status", "n1", "default").stdout,
                         "n1  ACTIVE (configuration)\n")
        both, last = self.fake.settings[:2], self.fake.settings[2:]
        self.assertCountEqual(both, [("PUT", "n1", "status", {"status": "ERROR"}),
                                     ("PUT", "n3", "status", {"status": "ERROR"})])
        self.assertEqual(last, [("PUT", "n1", "status", {"status": None})])
        self.assertEqual(self.expect_json(0, "status", "n1", "PAUSED")[0]["status"], "PAUSED")

    def test_lock_refused(self):
        self.fake.refusals["n2"] = [(503, "journal", "the change could not be recorded", None)]
        self.assertEqual(self.expect(1, "lock", "n[1-2]").stdout,
                         "n1  locked (run-time)\n"
                         "n2  failed  the change could not be recorded\n")
        self.fake.refusals["n2"] = [(403, "forbidden", "administrators only", None)]
        items = self.expect_json(1, "status", "n[1-2]", "ERROR")
        self.assertEqual(items[0]["status"], "ERROR")
        self.assertEqual(items[1]["error"], {"code": "forbidden", "message": "administrators only"})
        self.fake.settings.clear()
        result = self.expect(1, "lock", "n1", "nowhere")
        self.assertIn("no node 'nowhere'\nnmictl: nothing was changed\n", result.stderr)
        self.assertEqual((self.fake.settings, result.stdout), ([], ""))

    def test_a_list_without_end(self):
        self.fake.make_action(self.fake.nodes[0])
        self.fake.endless = True
        self.assertIn("never ends", self.expect(1, "actions", "--all").stderr)

    def test_version(self):
        self.assertRegex(self.expect(0, "version").stdout, r"\Anmictl \S+\nnmid 0\.1\.0\n\Z")
        self.assertEqual(self.expect_json(0, "version")["nmid"], "0.1.0")

    def test_hostile_documents(self):
        for what in ("garbage", "status=500", "status=204", "redirect=/x"):
            for args in (("nodes",), ("show", "n1"), ("actions",), ("probe", "n1")):
                with self.subTest((what, args)):
                    self.fake.fault("GET", "", what)
                    result = self.expect(1, *args)
                    self.assertIn("this is no answer of nmid", result.stderr)
                    self.assertNotIn("\x1b", result.stderr)
        for nodes in (None, {}, "x", [1, "x"], [[]]):
            self.fake.nodes = nodes
            self.assertIn("this is no answer of nmid", self.expect(1, "nodes").stderr)

    def test_wrong_types(self):
        self.fake.nodes[0].update(name=["x"], status=7, locked="yes", bmc=None, driver={})
        line = self.expect(0, "nodes").stdout.splitlines()[1]
        self.assertEqual(line.split(), ["-", self.fake.nodes[0]["uuid"], "-", "no", "-", "-"])
        self.fake.nodes[1]["uuid"] = "n2"
        self.assertIn("without a UUID", self.expect(1, "inject-nmi", "n2").stderr)

    def test_full_disk(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = self.run_nmictl("nodes", stdout=full)
            self.assertEqual(result.returncode, 1)
            self.assertIn("stdout", result.stderr)
            self.assertEqual(self.run_nmictl("inject-nmi", "n1", stdout=full).returncode, 1)
        self.assertEqual(self.fake.injections, {"n1": 1})


@unittest.skipUnless(shutil.which("bash"), "no bash")
class Completion(Case):
    names = ("rack1-n1", "rack1-n2", "other", "$(touch owned)", "a b")

    def complete(self, *words, password=""):
        folder = self.temporary()
        os.symlink(os.path.abspath(NMICTL), os.path.join(folder, "nmictl"))
        script = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
                  'COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}; _nmictl; '
                  'printf "%s\\n" "${COMPREPLY[@]}"')
        result = subprocess.run(
            ["bash", "-c", script, "bash", os.path.join(SOURCE, "conf", "nmictl.bash"), "nmictl",
             *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=True,
            timeout=60, encoding="utf-8",
            env=environment(NMID_URL=self.fake.url, NMID_PASSWORD=password,
                            PATH=folder + ":" + os.environ.get("PATH", "/usr/bin:/bin")))
        self.assertEqual(result.stderr, "")
        self.assertEqual(os.listdir(folder), ["nmictl"])
        return sorted(result.stdout.split("\n")[:-1])

    def test_credentials(self):
        """Nodes are asked for as the command will ask; nobody is asked for a password."""
        self.fake.users = {"alice": "sesame"}
        self.assertEqual(self.complete("show", "oth"), [""])
        self.assertEqual(self.complete("--user", "alice", "show", "oth"), [""])
        for words in (("--user", "alice"), ("--user=alice",)):
            self.assertEqual(self.complete(*words, "show", "oth", password="sesame"), ["other"])
        self.assertEqual(self.complete("--user", ""), [""])
        self.assertEqual(self.complete("--token-file", "nmi"), ["nmictl"])

    def test_verbs_and_options(self):
        self.assertEqual(self.complete(""), sorted(VERBS + ("help",)))
        self.assertEqual(self.complete("in"), ["inject-nmi"])
        self.assertEqual(self.complete("-f", "json", "sh"), ["show"])
        self.assertEqual(self.complete("help", "no"), ["nodes"])
        self.assertEqual(self.complete("nodes", "-f", "j"), ["json"])
        self.assertEqual(self.complete("actions", "--state", ""), ["accepted", "finished", "sent"])
        self.assertEqual(self.complete("inject-nmi", "--fo"), ["--force", "--format"])
        self.assertEqual(self.complete("status", "other", "E"), ["ERROR"])
        self.assertEqual(self.complete("status", "other", "def"), ["default"])
        self.assertEqual(self.complete("lock", "--d"), ["--default"])
        self.assertEqual(self.complete("nodes", "--fo"), ["--format"])

    def test_nodes(self):
        self.assertEqual(self.complete("inject-nmi", "rack"), ["rack1-n1", "rack1-n2"])
        self.assertEqual(self.complete("show", ""), ["other", "rack1-n1", "rack1-n2"])
        self.assertEqual(self.complete("probe", "rack1-n1", "o"), ["other"])
        for verb in ("lock", "unlock", "status"):
            self.assertEqual(self.complete(verb, "o"), ["other"])
        self.assertEqual(self.complete("actions", "--node", "o"), ["other"])

    def test_options_of_a_verb_are_all_there(self):
        for verb in VERBS:
            offered = set(self.complete(verb, "--"))
            said = {word for line in nmictl("help", verb).stdout.splitlines() if line[:3] == "  -"
                    for word in line.replace(",", " ").split() if word.startswith("--")}
            self.assertEqual(offered, said)


class Manual(unittest.TestCase):
    page = os.path.join(SOURCE, "docs", "nmictl.1")

    @unittest.skipUnless(shutil.which("mandoc"), "no mandoc")
    def test_lint(self):
        result = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", self.page],
                                stdout=subprocess.PIPE, encoding="utf-8", check=False)
        self.assertEqual((result.returncode, result.stdout), (0, ""))

    def test_everything_is_in_it(self):
        with open(self.page, encoding="utf-8") as file:
            page = file.read()
        for verb in VERBS:
            self.assertIn("\n.It Ic %s" % verb, page)
            for line in nmictl("help", verb).stdout.splitlines():
                for word in line.replace(",", " ").split() if line[:3] == "  -" else ():
                    if word.startswith("--"):
                        self.assertIn("Fl \\-%s" % word[2:], page)


if __name__ == "__main__":
    unittest.main()
