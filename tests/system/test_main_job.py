# SPDX-License-Identifier: GPL-3.0-or-later
"""The main job from outside: a node's UUID, an HTTP request or nmictl, one interrupt, a true answer.
Against OpenIPMI's ipmi_sim and against bmcsim, with suites 3 and 17, IPMI 1.5, K_g, IPv6, names."""
import json

import lab


class MainJob(lab.TestCase):
    def put(self, nmid, ident, **options):
        return self.request(nmid, "PUT", f"/v2.1/servers/{ident}/action", {"inject_nmi": None},
                            **options)

    def last_action(self, nmid):
        return json.loads(self.nmictl(nmid, "-f", "json", "actions", "--limit", "1").stdout)[
            "actions"][0]

    def test_curl_and_nmictl_against_ipmi_sim(self):
        sim = self.ipmi_sim()
        nmid = self.nmid([lab.node("n1", sim)])
        status, headers, body = self.put(nmid, lab.node_uuid("n1"))
        self.assertEqual((status, body, sim.count()), (202, b"", 1))
        self.assertTrue(headers["X-Openstack-Request-Id"].startswith("req-"))
        done = self.nmictl(nmid, "inject-nmi", "n1")
        self.assertEqual((done.returncode, done.stdout), (0, "n1  delivered\n"))
        self.assertEqual(sim.count(), 2)
        action = self.last_action(nmid)
        self.assertEqual(action["evidence"]["cipher_suite"], 3)  # ipmi_sim refuses 17
        self.assertIs(action["evidence"]["session_closed"], True)

    def test_1_5_against_ipmi_sim(self):
        sim = self.ipmi_sim()
        nmid = self.nmid([lab.node("old", sim, ipmi_protocol_version="1.5")])
        self.assertEqual(self.put(nmid, "old")[0], 202)
        self.assertEqual(sim.count(), 1)
        self.assertEqual(self.last_action(nmid)["evidence"]["protocol"], "1.5")

    def test_every_way_to_speak(self):
        sim = self.bmcsim("--count", "6")
        kg = "00112233445566778899aabbccddeeff00112233"
        ways = {
            "default": {},
            "suite3": {"ipmi_cipher_suite": 3},
            "suite17": {"ipmi_cipher_suite": 17},
            "old": {"ipmi_protocol_version": "1.5"},
            "kg": {"ipmi_hex_kg_key": kg},
            "admin": {"ipmi_priv_level": "ADMINISTRATOR"},
        }
        sim.set(sim.address(4), "k_g", kg)
        nmid = self.nmid([lab.node(name, sim, sim.address(i), **keys)
                          for i, (name, keys) in enumerate(ways.items())])
        for i, name in enumerate(ways):
            with self.subTest(name):
                status, _, body = self.put(nmid, name)
                self.assertEqual((status, body), (202, b""))
                counters = sim.counters(sim.address(i))
                self.assertEqual(counters["nmi"], 1)
                self.assertEqual(counters["control_4"], 1)
                self.assertEqual(counters["sessions_active"], 0)
                self.assertEqual(counters["sessions_closed"], 1)
                evidence = self.last_action(nmid)["evidence"]
                self.assertEqual(evidence.get("cipher_suite"),
                                 {"suite3": 3, "old": None}.get(name, 17))

    def test_ipv6_and_names(self):
        sim = self.bmcsim("--count", "1", "--ipv6")
        nmid = self.nmid([lab.node("six", sim, "::1")])
        self.assertEqual(self.put(nmid, "six")[0], 202)
        self.assertEqual(sim.count("::1"), 1)
        nmid.reload(nodes=[lab.node("name", sim, "bmc.nowhere.invalid")])
        status, _, body = self.put(nmid, "name")
        self.assertEqual(status, 400)
        self.assertIn("bmc.nowhere.invalid could not be resolved", body["badRequest"]["message"])
        # localhost is ::1 or 127.0.0.1, as the host has it: one BMC answers on both.
        both = self.bmcsim("--count", "1", "--ipv6", first="127.0.0.1")
        nmid.reload(nodes=[lab.node("local", both, "localhost")])
        self.assertEqual(self.put(nmid, "local")[0], 202)
        self.assertEqual(both.count("127.0.0.1") + both.count("::1"), 1)

    def test_what_worked_is_remembered(self):
        sim = self.bmcsim("--count", "1", "--set", "suites=3")
        nmid = self.nmid([lab.node("n1", sim)])
        datagrams = []
        for _ in range(2):
            before = sim.counters()["datagrams_in"]
            self.assertEqual(self.put(nmid, "n1")[0], 202)
            datagrams.append(sim.counters()["datagrams_in"] - before)
        # First: capabilities, Open Session with 17 and with 3, RAKP 1 and 3, privilege, status, the last
        # SEL record and, as there is none, the first, control, close.
        self.assertEqual(datagrams, [11, 8])

    def test_nodes_are_found_by_uuid_name_and_instance(self):
        sim = self.bmcsim("--count", "1")
        instance = lab.node_uuid("an instance")
        nmid = self.nmid([lab.node("n1", sim, instance_uuid=instance)])
        for count, ident in enumerate((lab.node_uuid("n1"), lab.node_uuid("n1").upper(), "n1",
                                       instance), 1):
            self.assertEqual(self.put(nmid, ident)[0], 202, ident)
            self.assertEqual(sim.count(), count)
        self.assertEqual(self.put(nmid, "n2")[0], 404)

    def test_reload_is_all_or_nothing_and_actions_keep_their_node(self):
        sim = self.bmcsim("--count", "2", "--set", "delay_ms=100")
        good = [lab.node("n1", sim, sim.address(0))]
        nmid = self.nmid(good)
        # An action is under way while its node disappears.
        status, _, action = self.request(nmid, "POST", "/agent/v1/nodes/n1/actions",
                                         {"action": "inject_nmi"})
        self.assertEqual(status, 202)
        log = nmid.reload(nodes=[lab.node("n2", sim, sim.address(1))])
        self.assertIn("reloaded: 1 node", log)
        _, _, action = self.request(nmid, "GET", f"/agent/v1/actions/{action['id']}?wait=20")
        self.assertEqual((action["outcome"], action["node_name"]), ("delivered", "n1"))
        self.assertEqual(sim.count(sim.address(0)), 1)
        self.assertEqual(self.put(nmid, "n1")[0], 404)
        # One error: nothing changes.
        log = nmid.reload(nodes=[lab.node("n3", sim, sim.address(0)),
                                 lab.node("n4", sim, sim.address(1), ipmi_password="x" * 21)])
        self.assertIn("not reloaded", log)
        self.assertIn("ipmi_password", log)
        self.assertNotIn("x" * 21, log)
        self.assertEqual(self.put(nmid, "n2")[0], 202)
        self.assertEqual(self.put(nmid, "n3")[0], 404)

    def test_a_reload_gives_back_what_the_old_configuration_had(self):
        if lab.sanitized():
            self.skipTest("a sanitizer keeps what was freed")
        sim = self.bmcsim()
        fleet = [lab.node(f"n{number}", sim, f"127.9.{number >> 8}.{number & 255}")
                 for number in range(8000)]
        nmid = self.nmid(fleet[:1])
        before = lab.memory_kb(nmid.process.pid)
        nmid.reload(nodes=fleet)
        self.assertGreater(lab.memory_kb(nmid.process.pid), before + 4000)
        nmid.reload(nodes=fleet[:1])
        self.assertLess(lab.memory_kb(nmid.process.pid), before + 1000)

    def test_sigterm_awaits_what_was_sent_and_fails_what_was_not(self):
        sim = self.bmcsim("--count", "2", "--set", "control_delay_ms=1500")
        sim.set(sim.address(1), "blackhole", "on")
        nmid = self.nmid([lab.node("sent", sim, sim.address(0)),
                          lab.node("dead", sim, sim.address(1))])
        ids = [self.request(nmid, "POST", f"/agent/v1/nodes/{name}/actions",
                            {"action": "inject_nmi"})[2]["id"] for name in ("sent", "dead")]
        lab.wait_for(lambda: self.request(nmid, "GET", f"/agent/v1/actions/{ids[0]}")[2]["state"]
                     == "sent", what="the interrupt to be sent")
        self.assertEqual(nmid.stop(), 0)
        self.assertRegex(nmid.log(), "inject_nmi of sent delivered")
        self.assertRegex(nmid.log(), "inject_nmi of dead failed: nmid was stopped before")
        self.assertEqual(sim.count(sim.address(0)), 1)
        self.assertEqual(sim.count(sim.address(1)), 0)

    def test_a_second_sigterm_says_unknown_of_what_was_sent(self):
        sim = self.bmcsim("--count", "1", "--set", "lose_response=control:1")
        nmid = self.nmid([lab.node("n1", sim)])
        action = self.request(nmid, "POST", "/agent/v1/nodes/n1/actions",
                              {"action": "inject_nmi"})[2]
        lab.wait_for(lambda: sim.count() == 1, what="the interrupt to be executed")
        nmid.process.terminate()
        lab.wait_for(lambda: "stopping: 1 actions" in nmid.log(), what="nmid to drain")
        self.assertEqual(nmid.stop(), 0)
        self.assertRegex(nmid.log(), f"action {action['id']}: inject_nmi of n1 unknown")

    def test_two_names_of_one_bmc_share_its_hold_off(self):
        sim = self.bmcsim("--count", "1", "--ipv6", first="127.0.0.1")
        nmid = self.nmid([lab.node("v4", sim, "127.0.0.1"), lab.node("v6", sim, "::1"),
                          lab.node("named", sim, "localhost")], hold_off_s=300)
        self.assertEqual([self.put(nmid, name)[0] for name in ("v4", "v6")], [202, 202])
        status, _, body = self.put(nmid, "named")
        self.assertEqual(status, 409, body)
        self.assertIn("an NMI was delivered to named", body["conflictingRequest"]["message"])
        self.assertEqual((sim.count("127.0.0.1"), sim.count("::1")), (1, 1))
        # And the other way round: what was reached by its name is held off by its address.
        sim = self.bmcsim("--count", "1", "--ipv6", first="127.0.0.1")
        nmid = self.nmid([lab.node("v4", sim, "127.0.0.1"), lab.node("v6", sim, "::1"),
                          lab.node("named", sim, "localhost")], hold_off_s=300)
        self.assertEqual(self.put(nmid, "named")[0], 202)
        self.assertEqual(sorted(self.put(nmid, name)[0] for name in ("v4", "v6")), [202, 409])
        self.assertEqual((sim.count("127.0.0.1"), sim.count("::1")), (1, 1))
        forced = self.request(nmid, "POST", "/agent/v1/nodes/named/actions",
                              {"action": "inject_nmi", "force": True})[2]
        forced = self.request(nmid, "GET", f"/agent/v1/actions/{forced['id']}?wait=20")[2]
        self.assertEqual((forced["outcome"], forced["force"]), ("delivered", True))
        self.assertRegex(nmid.log(), f"{forced['id']}: inject_nmi of named accepted .*FORCED")
        self.assertRegex(nmid.log(), "inject_nmi of (v4|v6) refused .*an NMI was delivered")

    def test_an_action_that_waited_is_held_off_by_another_name_of_its_bmc(self):
        """Accepted while the other is under way, begun when that has ended."""
        sim = self.bmcsim("--count", "1", "--ipv6", "--set", "delay_ms=100", first="127.0.0.1")
        nmid = self.nmid([lab.node("v4", sim, "127.0.0.1"), lab.node("v6", sim, "::1"),
                          lab.node("named", sim, "localhost")], hold_off_s=300,
                         ipmi={"window": 1})
        ids = [self.request(nmid, "POST", f"/agent/v1/nodes/{name}/actions",
                            {"action": "inject_nmi"})[2]["id"] for name in ("named", "v4", "v6")]
        ended = [self.request(nmid, "GET", f"/agent/v1/actions/{id}?wait=30")[2] for id in ids]
        self.assertEqual(ended[0]["outcome"], "delivered")
        self.assertEqual(sorted(str(action["code"]) for action in ended[1:]), ["None", "hold-off"])
        self.assertEqual((sim.count("127.0.0.1"), sim.count("::1")), (1, 1))

    def test_a_reload_does_not_send_a_queued_action_to_another_machine(self):
        sim = self.bmcsim("--count", "3", "--set", "delay_ms=200")
        first, second, third = (sim.address(i) for i in range(3))
        nmid = self.nmid([lab.node("a", sim, first), lab.node("b", sim, second),
                          lab.node("c", sim, third)], ipmi={"window": 1})
        ids = {name: self.request(nmid, "POST", f"/agent/v1/nodes/{name}/actions",
                                  {"action": "inject_nmi"})[2]["id"] for name in "abc"}
        # b and c wait for a; b's BMC now is another node's.
        nmid.reload(nodes=[lab.node("a", sim, first), lab.node("new", sim, second),
                           lab.node("c", sim, third)])
        ended = {name: self.request(nmid, "GET", f"/agent/v1/actions/{ids[name]}?wait=30")[2]
                 for name in "abc"}
        self.assertEqual([ended[name]["outcome"] for name in "abc"],
                         ["delivered", "failed", "delivered"])
        self.assertIn("nothing was sent", ended["b"]["message"])
        self.assertEqual([sim.count(address) for address in (first, second, third)], [1, 0, 1])

    def test_dead_names_do_not_starve_others(self):
        """Many nodes with a name that cannot be resolved, and one in good health among them."""
        sim = self.bmcsim("--count", "1")
        nmid = self.nmid([lab.node(f"x{i}", sim, f"x{i}.invalid") for i in range(100)]
                         + [lab.node("good", sim)])
        status, _, batch = self.request(nmid, "POST", "/agent/v1/actions", {
            "action": "inject_nmi", "nodes": [f"x{i}" for i in range(100)] + ["good"]})
        self.assertEqual(status, 202)
        good = batch["actions"][-1]["id"]
        good = self.request(nmid, "GET", f"/agent/v1/actions/{good}?wait=20")[2]
        self.assertEqual((good["node_name"], good["outcome"]), ("good", "delivered"))

    def test_the_directory_of_the_socket_is_made(self):
        path = self.dir / "run" / "nmid.sock"
        nmid = self.nmid([], listen=[{"socket": str(path)}])
        self.assertEqual(path.stat().st_mode & 0o777, 0o660)
        self.assertEqual(self.nmictl(nmid, "nodes").returncode, 0)

    def test_driver_without_nmi(self):
        nmid = self.nmid([{"uuid": lab.node_uuid("bare"), "name": "bare", "driver": "noop"}])
        status, _, body = self.put(nmid, "bare")
        self.assertEqual(status, 400)
        self.assertIn("noop", body["badRequest"]["message"])


if __name__ == "__main__":
    lab.main(needs=("ipmi_sim",))
