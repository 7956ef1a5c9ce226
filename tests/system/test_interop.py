# SPDX-License-Identifier: GPL-3.0-or-later
"""bmcsim is a BMC: unmodified ipmitool and FreeIPMI work against it, in each of their dialects.
Written by others from the same specification, they are what proves the simulator. They also show
why nmid exists: each sends the interrupt again when an answer is late or lost."""
import socket
import subprocess
import time

import lab

KG = "102132435465768798a9bacbdcedfe0f00112233"
TOOLS = ("ipmitool lan", "ipmitool 3", "ipmitool 17", "ipmipower lan", "ipmipower 3",
         "ipmipower 17", "ipmi-chassis lan", "ipmi-chassis 3", "ipmi-chassis 17")


class ToolCase(lab.TestCase):
    def tool(self, *argv):
        """-> CompletedProcess; its output is kept for the log of a failure."""
        done = subprocess.run([lab.which(argv[0]), *map(str, argv[1:])], capture_output=True,
                              text=True, timeout=90, stdin=subprocess.DEVNULL, check=False,
                              env={"HOME": str(self.dir), "PATH": "/usr/bin:/bin"})
        path = self.unique("tool.out")
        path.write_text(f"{argv}\n{done.stdout}{done.stderr}")
        return done

    def ipmitool(self, sim, how, *command, address=None, password="secret", extra=()):
        dialect = ("-I", "lan") if how == "lan" else ("-I", "lanplus", "-C", how)
        return self.tool("ipmitool", *dialect, "-H", address or sim.first, "-p", sim.port, "-U",
                         "admin", "-P", password, *extra, *command)

    def freeipmi(self, program, sim, how, *command, address=None, password="secret", extra=()):
        dialect = ("-D", "LAN") if how == "lan" else ("-D", "LAN_2_0", "-I", how)
        return self.tool(program, *dialect, "-h", f"{address or sim.first}:{sim.port}", "-u",
                         "admin", "-p", password, *extra, *command)

    def inject(self, tool, sim, **keys):
        program, how = tool.split()
        if program == "ipmitool":
            return self.ipmitool(sim, how, "chassis", "power", "diag", **keys)
        if program == "ipmipower":
            return self.freeipmi(program, sim, how, "--pulse", **keys)
        return self.freeipmi(program, sim, how, "--chassis-control=DIAGNOSTIC-INTERRUPT", **keys)


class Interop(ToolCase):
    def test_each_tool_injects_once(self):
        sim = self.bmcsim("--count", len(TOOLS))
        for index, tool in enumerate(TOOLS):
            with self.subTest(tool):
                address = sim.address(index)
                done = self.inject(tool, sim, address=address)
                self.assertEqual(done.returncode, 0, done.stderr)
                counters = sim.counters(address)
                self.assertEqual((counters["nmi"], counters["control_4"]), (1, 1))
                self.assertEqual(counters["sessions_opened"], counters["sessions_closed"])
                self.assertEqual(counters["sessions_active"], 0)
                self.assertEqual(counters["auth_failures"] + counters["dropped"], 0)

    def test_chassis_status_and_power(self):
        sim = self.bmcsim()
        for how in ("lan", "3", "17"):
            with self.subTest(how):
                status = self.ipmitool(sim, how, "chassis", "status").stdout
                self.assertRegex(status, r"System Power +: on")
                self.ipmitool(sim, how, "chassis", "power", "off")
                status = self.freeipmi("ipmi-chassis", sim, how, "--get-chassis-status").stdout
                self.assertRegex(status, r"System Power +: off")
                self.assertFalse(sim.counters()["power"])
                self.ipmitool(sim, how, "chassis", "power", "on")
                self.assertTrue(sim.counters()["power"])

    def test_power_off_refuses_the_interrupt(self):
        sim = self.bmcsim("--set", "power=off")
        done = self.inject("ipmitool 17", sim)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("not supported in present state", done.stderr)
        self.assertEqual(sim.count(), 0)

    def test_wrong_password(self):
        sim = self.bmcsim("--count", len(TOOLS))
        for index, tool in enumerate(TOOLS):
            if tool == "ipmitool lan":  # tries for 20 s
                extra = ("-N", "1", "-R", "1")
            elif tool.endswith("lan"):
                extra = ("--session-timeout=1500", "--retransmission-timeout=500")
            else:
                extra = ()
            with self.subTest(tool):
                address = sim.address(index)
                done = self.inject(tool, sim, address=address, password="wrong", extra=extra)
                if "ipmipower" not in tool:  # it exits 0 whatever comes of it
                    self.assertNotEqual(done.returncode, 0)
                self.assertNotIn(": ok", done.stdout)
                counters = sim.counters(address)
                self.assertEqual((counters["nmi"], counters["control_4"]), (0, 0))
                # in 2.0 the client sees by RAKP 2 that the passwords differ, and says no more
                if tool.endswith("lan"):
                    self.assertGreater(counters["auth_failures"], 0)

    def test_wrong_user(self):
        sim = self.bmcsim("--set", "user=root")
        for tool in ("ipmitool 3", "ipmi-chassis 17"):
            self.assertNotEqual(self.inject(tool, sim).returncode, 0)
        self.assertGreater(sim.counters()["auth_failures"], 0)
        self.assertEqual(sim.count(), 0)

    def test_k_g(self):
        sim = self.bmcsim("--set", f"k_g={KG}", "--count", 4)
        cases = (("ipmitool 3", ("-y", KG)), ("ipmitool 17", ("-y", KG)),
                 ("ipmi-chassis 3", ("-k", "0x" + KG)), ("ipmi-chassis 17", ("-k", "0x" + KG)))
        for index, (tool, key) in enumerate(cases):
            with self.subTest(tool):
                address = sim.address(index)
                self.assertNotEqual(self.inject(tool, sim, address=address).returncode, 0)
                self.assertEqual(sim.count(address), 0)
                done = self.inject(tool, sim, address=address, extra=key)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(sim.count(address), 1)

    def test_suites(self):
        sim = self.bmcsim("--set", "suites=3", "--count", 2)
        sim.set(sim.address(1), "suites", "17")
        self.assertNotEqual(self.inject("ipmitool 17", sim).returncode, 0)
        self.assertNotEqual(self.inject("ipmi-chassis 17", sim).returncode, 0)
        self.assertEqual(sim.count(), 0)
        # without -C ipmitool asks which suites there are
        for index in (0, 1):
            address = sim.address(index)
            done = self.tool("ipmitool", "-I", "lanplus", "-H", address, "-p", sim.port, "-U",
                             "admin", "-P", "secret", "chassis", "power", "diag")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(sim.count(address), 1)
        for suite in ("0", "1", "2", "15", "16"):
            sim.set("all", "suites", suite)
            done = self.inject(f"ipmi-chassis {suite}", sim)
            if suite not in ("15", "16"):  # which FreeIPMI speaks only with a workaround flag
                self.assertEqual(done.returncode, 0, f"{suite}: {done.stderr}")

    def test_privilege(self):
        sim = self.bmcsim("--count", 2)
        done = self.inject("ipmitool 17", sim, extra=("-L", "USER"))
        self.assertIn("Insufficient privilege level", done.stderr)
        limited = sim.address(1)
        sim.set(limited, "privilege", "user")
        for tool in ("ipmitool 17", "ipmitool lan"):
            self.assertNotEqual(self.inject(tool, sim, address=limited).returncode, 0)
        self.assertEqual(sim.count() + sim.count(limited), 0)

    def test_versions(self):
        sim = self.bmcsim("--count", 2, "--set", "version=1.5")
        self.assertEqual(self.inject("ipmitool lan", sim).returncode, 0)
        done = self.inject("ipmitool 3", sim, extra=("-N", "1", "-R", "1"))
        self.assertNotEqual(done.returncode, 0)
        self.assertEqual(sim.count(), 1)
        new = sim.address(1)
        sim.set(new, "version", "2.0")
        self.assertNotEqual(self.inject("ipmitool lan", sim, address=new).returncode, 0)
        self.assertEqual(self.inject("ipmitool 17", sim, address=new).returncode, 0)
        self.assertEqual(sim.count(new), 1)

    def test_authentication_types_of_15(self):
        sim = self.bmcsim()
        for index, kind in enumerate(("none", "md5", "password"), 1):
            sim.set("all", "auth_types", kind)
            done = self.inject("ipmitool lan", sim, extra=("-A", kind.upper()))
            self.assertEqual(done.returncode, 0, f"{kind}: {done.stderr}")
            self.assertEqual(sim.count(), index)

    def test_ipv6(self):
        sim = self.bmcsim("--ipv6")
        done = self.inject("ipmitool 17", sim, address="::1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual((sim.count("::1"), sim.count()), (1, 0))

    def test_the_event_log(self):
        """The record of the interrupt, as ipmitool and FreeIPMI read it."""
        sim = self.bmcsim("--set", "sel_records=both")
        for how in ("lan", "17"):
            with self.subTest(how):
                self.assertIn("no entries", self.ipmitool(sim, how, "sel", "list").stderr)
                self.inject(f"ipmitool {how}", sim)
                for command in ("list", "elist"):
                    lines = self.ipmitool(sim, how, "sel", command).stdout.splitlines()
                    self.assertEqual(len(lines), 2, lines)
                    self.assertRegex(lines[0], "1 .*Critical Interrupt.*NMI/Diag Interrupt.*Assert")
                    self.assertRegex(lines[1], "2 .*OS Critical Stop.*Run-time critical stop")
                sim.sel_add("all", 0x1D, 7)
                done = self.freeipmi("ipmi-sel", sim, how, "--ignore-sdr-cache")
                self.assertRegex(done.stdout, "1 .*Critical Interrupt.*Diagnostic Interrupt")
                self.assertRegex(done.stdout, "3 .*System Boot Initiated.*System Restart")
                self.ipmitool(sim, how, "sel", "clear")
        sim.set("all", "sel_records", "none")
        self.inject("ipmitool 17", sim)
        self.assertIn("no entries", self.ipmitool(sim, "17", "sel", "list").stderr)
        sim.set("all", "sel", "off")
        self.assertIn("Invalid command", self.ipmitool(sim, "17", "sel", "info").stderr)

    def test_the_event_log_keeps_the_newest_and_reads_in_parts(self):
        sim = self.bmcsim()
        for number in range(20):
            sim.sel_add("all", *((0x13, 0) if number == 19 else (4, 2)))
        kept = sim.sel()
        self.assertEqual([record["id"] for record in kept], list(range(5, 21)))
        self.assertEqual([record["sensor_type"] for record in kept], [4] * 15 + [0x13])
        def entry(*request):
            done = self.ipmitool(sim, "17", "raw", "0x0a", "0x43", *map(str, request))
            return bytes.fromhex(done.stdout) if done.stdout.strip() else done.stderr
        self.assertEqual(entry(0, 0, 0, 0, 0, 2), bytes([6, 0, 5, 0]))
        self.assertEqual(entry(0, 0, 255, 255, 0, 2), bytes([255, 255, 20, 0]))
        self.assertIn("not found", entry(0, 0, 4, 0, 0, 255))
        self.assertIn("rsp=0xc5", entry(0, 0, 5, 0, 10, 4))
        reserve = self.ipmitool(sim, "17", "raw", "0x0a", "0x42").stdout.split()
        reserved = ["0x" + byte for byte in reserve]
        self.assertEqual(entry(*reserved, 255, 255, 10, 4), bytes([255, 255, 0x13, 0x13, 0x6f, 0]))
        sim.sel_add("all", 0x20, 1)  # cancels the reservation
        self.assertIn("rsp=0xc5", entry(*reserved, 255, 255, 10, 4))
        sim.control("sel_clear all")
        self.assertIn("not found", entry(0, 0, 255, 255, 0, 255))

    def test_session_limit(self):
        sim = self.bmcsim("--set", "session_limit=0")
        for tool in ("ipmitool 17", "ipmi-chassis 3", "ipmi-chassis lan"):
            self.assertNotEqual(self.inject(tool, sim).returncode, 0)
        self.assertEqual(sim.counters()["sessions_opened"], 0)
        sim.set("all", "session_limit", 1)
        self.assertEqual(self.inject("ipmitool lan", sim).returncode, 0)
        self.assertEqual(self.inject("ipmitool 17", sim).returncode, 0)


class WhyNmid(ToolCase):
    """The lab reproduces what the existing clients do to a machine."""

    def test_each_tool_injects_twice_after_a_lost_answer_and_reports_success(self):
        """The first row of docs/ipmi.md, and the reason why nmid exists."""
        sim = self.bmcsim("--set", "lose_response=control:1")
        for tool in ("ipmitool lan", "ipmitool 17", "ipmipower lan", "ipmipower 17",
                     "ipmi-chassis lan", "ipmi-chassis 17"):
            with self.subTest(tool):
                sim.control("reset all")
                self.assertEqual(self.inject(tool, sim).returncode, 0)
                self.assertEqual(sim.count(), 2, tool)

    def test_ipmipower_injects_again_when_the_answer_is_late(self):
        sim = self.bmcsim("--set", "control_delay_ms=1200")
        self.inject("ipmipower 17", sim,
                    extra=("--session-timeout=4000", "--retransmission-timeout=500"))
        self.assertGreater(sim.count(), 1)

    def test_a_lost_request_is_executed_once(self):
        sim = self.bmcsim("--set", "lose_request=control:1")
        self.assertEqual(self.inject("ipmitool 17", sim).returncode, 0)
        self.assertEqual((sim.count(), sim.counters()["control_4"]), (1, 2))


class Switches(ToolCase):
    """What the switches do to datagrams."""

    def ask(self, sim, timeout=2.0, more=0.0):
        """A presence ping -> every datagram that comes: (seconds after the ping, source, bytes)."""
        came = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 0))
            start = time.monotonic()
            client.sendto(bytes.fromhex("0600ff06000011be80070000"), (sim.first, sim.port))
            client.settimeout(timeout)
            try:
                while True:
                    data, source = client.recvfrom(65536)
                    came.append((time.monotonic() - start, source[0], data))
                    client.settimeout(more or 0.1)
            except TimeoutError:
                return came

    def answers(self, *settings):
        sim = self.bmcsim(*(word for text in settings for word in ("--set", text)))
        return sim, self.ask(sim, timeout=0.3)

    def test_pong(self):
        sim, came = self.answers()
        self.assertEqual(len(came), 1)
        self.assertEqual(came[0][1], sim.first)
        self.assertEqual(came[0][2].hex(), "0600ff06000011be40070010000011be00000000810000000000"
                                           "0000")

    def test_silence(self):
        for setting in ("blackhole=on", "loss_in=100", "loss_out=100", "lose_request=ping:1",
                        "lose_request=any:1", "lose_response=ping:1"):
            with self.subTest(setting):
                sim, came = self.answers(setting)
                self.assertEqual(came, [])
                self.assertEqual(len(self.ask(sim, 0.3)), 1 if "lose" in setting else 0)

    def test_copies_and_forgeries(self):
        _, came = self.answers("duplicate_out=on")
        self.assertEqual([data for _, _, data in came], [came[0][2]] * 2)
        sim, came = self.answers("stray=on")
        self.assertEqual([source for _, source, _ in came], ["127.129.0.1", sim.first])
        self.assertEqual(came[0][2], came[1][2])
        _, came = self.answers("garbage=on")
        self.assertEqual(len(came), 2)
        self.assertNotEqual(came[0][2], came[1][2])
        _, came = self.answers("oversize=on")
        self.assertEqual([len(data) for _, _, data in came], [60000, 28])
        _, came = self.answers("truncate=7")
        self.assertEqual([len(data) for _, _, data in came], [7])
        _, right = self.answers()
        _, came = self.answers("mutate=on")
        self.assertEqual(len(came[0][2]), len(right[0][2]))
        self.assertNotEqual(came[0][2], right[0][2])

    def test_delay(self):
        sim = self.bmcsim("--set", "delay_ms=50")
        late = sorted(self.ask(sim, more=0.01)[0][0] for _ in range(21))
        self.assertGreaterEqual(late[0], 0.050)
        self.assertLess(late[0], 0.075)  # the best of them: this machine may be busy

    def test_loss_is_a_fraction_and_repeats(self):
        results = []
        for seed in ("7", "7"):
            sim = self.bmcsim("--seed", seed, "--set", "loss_in=30")
            for _ in range(40):
                self.ask(sim, timeout=0.02, more=0.001)
            results.append(sim.counters()["datagrams_out"])
        self.assertEqual(results[0], results[1])
        self.assertTrue(15 < results[0] < 40, results)

    def test_ipmitool_sees_the_forgeries(self):
        sim = self.bmcsim("--set", "bad_authcode=on")
        self.assertIn("invalid authcode", self.inject("ipmitool 3", sim).stderr)
        sim.control("reset all")
        sim.set("all", "bad_authcode", "off")
        sim.set("all", "wrong_session", "on")
        self.assertIn("session ID is not what we requested", self.inject("ipmitool 3", sim).stderr)

    def test_completion_codes(self):
        sim = self.bmcsim("--set", "completion=cc")
        done = self.inject("ipmitool 17", sim)
        self.assertIn("Invalid data field in request", done.stderr)
        self.assertEqual((sim.count(), sim.counters()["control_4"]), (0, 1))
        sim.set("all", "completion_executes", "on")
        self.assertIn("Invalid data field in request", self.inject("ipmitool 17", sim).stderr)
        self.assertEqual(sim.count(), 1)
        sim.set("all", "status_completion", "c1")
        self.assertIn("Invalid command", self.ipmitool(sim, "17", "chassis", "status").stderr)
        sim.set("all", "privilege_completion", "80")
        self.assertNotEqual(self.inject("ipmitool 17", sim).returncode, 0)
        self.assertEqual(sim.count(), 1)

    def test_late_execution_outlives_the_session(self):
        sim = self.bmcsim("--set", "execute_delay_ms=2500")
        self.inject("ipmitool 17", sim, extra=("-N", "1", "-R", "0"))
        sent = sim.counters()["control_4"]
        self.assertGreater(sent, 0)
        lab.wait_for(lambda: sim.count() == sent, 10, "the late execution")

        at = sim.executions()
        self.assertEqual(len(at), sent)
        self.assertEqual(at, sorted(at))
        log = sim.sel()
        self.assertEqual([record["sensor_type"] for record in log], [0x13] * sent)

    def test_the_event_log_gets_its_record_late(self):
        sim = self.bmcsim("--set", "sel_delay_ms=300")
        self.inject("ipmitool 17", sim)
        executed = sim.executions()[0]
        lab.wait_for(lambda: sim.sel(), 10, "the record")
        self.assertGreaterEqual(time.time() - executed, 0.3)

    def test_lost_probes(self):
        """In one session: status, interrupt, status, status. ipmitool asks again after 1 s."""
        commands = self.unique("commands")
        commands.write_text("chassis status\nchassis power diag\n" + "chassis status\n" * 2)
        for key, value, asked in (("lose_probe_request", "1", 4), ("lose_probe_response", "2", 4),
                                  ("lose_probe_request", "1,3", 5)):
            with self.subTest(key, value=value):
                sim = self.bmcsim("--set", f"{key}={value}", "--trace")
                done = self.ipmitool(sim, "17", "exec", str(commands), extra=("-N", "1"))
                self.assertEqual(done.stdout.count("System Power"), 3, done.stderr)
                log = sim.process.err()
                self.assertEqual(log.count("in status"), asked, log)
                self.assertEqual(log.count("in status, lost") + log.count("answer to status lost"),
                                 asked - 3, log)
                self.assertEqual(sim.count(), 1)

    def test_a_control_that_ends_its_session(self):
        sim = self.bmcsim("--set", "control_drops_session=on")
        self.inject("ipmitool 17", sim, extra=("-N", "1", "-R", "1"))
        counters = sim.counters()
        self.assertGreaterEqual(counters["nmi"], 1)
        self.assertEqual(counters["sessions_closed"] + counters["sessions_active"], 0)

    def test_jitter(self):
        sim = self.bmcsim("--set", "jitter_ms=20")
        late = [self.ask(sim, more=0.001)[0][0] for _ in range(40)]
        self.assertGreater(max(late), 0.015)
        self.assertLess(min(late), 0.015)

    def ping_tags(self, sim, count):
        """That many pings at once -> the tags of the pongs, as they come."""
        tags = []
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.bind(("127.0.0.1", 0))
            client.settimeout(0.3)
            for tag in range(count):
                client.sendto(bytes.fromhex(f"0600ff06000011be80{tag:02x}0000"),
                              (sim.first, sim.port))
            try:
                while True:
                    tags.append(client.recv(100)[9])
            except TimeoutError:
                return tags

    def test_reorder(self):
        """It repeats with the seed; nothing is lost but what waits for a next datagram."""
        runs = []
        for seed in (7, 7, 8):
            sim = self.bmcsim("--seed", seed, "--set", "reorder=30", "--set", "reorder_ms=0")
            runs.append(self.ping_tags(sim, 60))
        self.assertEqual(runs[0], runs[1])
        self.assertNotEqual(runs[0], runs[2])
        for tags in runs:
            self.assertNotEqual(tags, sorted(tags))
            self.assertEqual(len(set(tags)), len(tags))
            self.assertGreaterEqual(len(tags), 58)  # one may be held each way
            self.assertLessEqual(max(abs(place - tag) for place, tag in enumerate(tags)), 5, tags)

    def test_a_datagram_that_nothing_overtakes_comes_late(self):
        sim = self.bmcsim("--set", "reorder=100", "--set", "reorder_ms=100")
        came = self.ask(sim)
        self.assertEqual(len(came), 1)
        self.assertGreaterEqual(came[0][0], 0.2)  # held 100 ms each way

    def test_control_socket(self):
        sim = self.bmcsim("--count", 3)
        self.assertEqual(set(sim.control("counts")), {sim.address(i) for i in range(3)})
        self.inject("ipmitool 17", sim)
        total = sim.control("total")
        self.assertEqual((total["none"], total["once"], total["more"]), (2, 1, 0))
        sim.control("zero all")
        self.assertEqual(sim.count(), 0)
        for line in ("count 127.1.0.9", "set all power maybe", "set all nonsense 1", "nonsense", "",
                     "set 10.0.0.1 power on", "set all suites 3,99", "set all lose_request x:1",
                     "set all lose_probe_request 0", "set all sel_records all", "sel all 1",
                     "sel all 1 256", "sel all x 1", "sel_list all", "executions 127.1.0.9"):
            with self.subTest(line), self.assertRaises(AssertionError):
                sim.control(line)
        self.assertTrue(sim.control("quit")["ok"])
        self.assertEqual(sim.process.wait(10), 0)


if __name__ == "__main__":
    lab.main(needs=("ipmitool", "ipmipower", "ipmi-chassis"))
