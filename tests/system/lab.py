# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab of the system tests: programs that are started, waited for and ended; simulated BMCs;
nmid with a configuration of its own; HTTP and nmictl against it. Only the standard library.

A test file derives its cases from lab.TestCase and ends with lab.main(needs=("ipmitool", ...)).
"""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import uuid
from pathlib import Path

top_srcdir = Path(os.environ.get("top_srcdir") or Path(__file__).resolve().parents[2])
top_builddir = Path(os.environ.get("top_builddir") or top_srcdir)
SANITIZER = re.compile(r"(Address|Leak|Thread|Memory)Sanitizer|runtime error:")


def built(path):
    """A program of this tree, e.g. built("tests/sim/bmcsim")."""
    program = top_builddir / path
    if not program.exists():
        raise AssertionError(f"{program} is not built")
    return str(program)


def sanitized():
    """Whether nmid is built with a sanitizer, which keeps what was freed, and copies of its own."""
    return b"__asan_init" in Path(built("nmid")).read_bytes()


def which(name):
    """A program of the system, in /usr/sbin too; None if it is missing."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


@contextlib.contextmanager
def looking_into_nmid():
    """Its process is not dumpable: for who may not look into it, the test is skipped."""
    try:
        yield
    except PermissionError:
        raise unittest.SkipTest("only root may look into nmid's process") from None


def memory_kb(pid):
    """What nmid's process has for itself alone, in kB: the pages that it has written to. (Those that it
    only reads from a file become private, too, when the last other process that runs the file ends.)"""
    with looking_into_nmid():
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_Dirty"))


def descriptors(pid):
    """How many nmid's process has."""
    with looking_into_nmid():
        return len(os.listdir(f"/proc/{pid}/fd"))


def wait_for(predicate, timeout=10, what="a condition"):
    """Returns the first true value of predicate()."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.005)


def libconfig(value):
    """A Python value as libconfig writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < 2**31 else f"{value}L"
    if isinstance(value, (str, Path)):
        text = str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'"{text}"'
    if isinstance(value, (list, tuple)):
        return "( " + ",\n  ".join(libconfig(item) for item in value) + " )"
    if isinstance(value, dict):
        return "{ " + " ".join(f"{key} = {libconfig(item)};" for key, item in value.items()) + " }"
    raise TypeError(f"no libconfig for {value!r}")


def node_uuid(name):
    """The UUID that node() gives a name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def node(name, sim, address=None, **keys):
    """A node of nmid.conf on one BMC of a simulator. ipmi_* go to driver_info, others (status,
    project_id, locked, uuid ...) to the node."""
    info = {"ipmi_address": address or sim.first, "ipmi_port": sim.port,
            "ipmi_username": "admin", "ipmi_password": "secret"}
    result = {"uuid": node_uuid(name), "name": name, "project_id": "demo", "status": "ACTIVE",
              "driver": "ipmi"}
    for key, value in keys.items():
        (info if key.startswith("ipmi_") else result)[key] = value
    info = {key: value for key, value in info.items() if value is not None}
    return {**result, "driver_info": info}


# A shell that starts a test in the background has it ignore SIGINT, and so would what the test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# So that what a test started ends with it, whoever ends the test.
signal.signal(signal.SIGTERM, signal.default_int_handler)


class Process(subprocess.Popen):
    """A program with its output in files; `allowed` are the exit codes that pass for a good end."""

    def __init__(self, argv, out, err, **options):
        self.out_path, self.err_path = out, err
        self.allowed = {0, -signal.SIGTERM}
        with open(out, "wb") as out_file, open(err, "wb") as err_file:
            super().__init__(argv, stdin=subprocess.DEVNULL, stdout=out_file, stderr=err_file,
                             **options)

    def out(self):
        return self.out_path.read_text(errors="backslashreplace")

    def err(self):
        return self.err_path.read_text(errors="backslashreplace")

    def stop(self, number=signal.SIGTERM, timeout=30):
        """Ends it, if it still runs; returns its exit code (negative: a signal)."""
        if self.poll() is None:
            self.send_signal(number)
        try:
            return self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            self.wait()
            raise AssertionError(f"{self.args[0]} did not end within {timeout} s") from None

    def crash(self):
        """SIGKILL, as a test of recovery wants it."""
        self.allowed.add(-signal.SIGKILL)
        return self.stop(signal.SIGKILL)

    def complaint(self):
        """What is wrong with how it ended, or None."""
        if self.returncode not in self.allowed:
            return f"{self.args[0]} exited with {self.returncode}"
        if SANITIZER.search(self.err()):
            return f"{self.args[0]}: a sanitizer complained"
        return None


class Sim:
    """A running bmcsim."""

    def __init__(self, process, first, path):
        self.process, self.first = process, first
        ready = wait_for(self._ready, 20, "bmcsim to serve")
        self.port = int(ready.group(1))
        self._lock = threading.Lock()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("r", encoding="utf-8")

    def _ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"bmcsim did not start: {self.process.err()}")
        return re.match(r"ready port=(\d+) control=.*\n", self.process.out())

    def address(self, index):
        """The address of BMC number index, from 0."""
        first = int.from_bytes(socket.inet_aton(self.first), "big")
        return socket.inet_ntoa((first + index).to_bytes(4, "big"))

    def control(self, line):
        """One command of tests/sim/README.md; its answer as a dict."""
        with self._lock:
            self._socket.sendall(line.encode() + b"\n")
            answer = json.loads(self._lines.readline())
        if "error" in answer:
            raise AssertionError(f"bmcsim: {line}: {answer['error']}")
        return answer

    def counters(self, address=None):
        return self.control(f"count {address or self.first}")

    def count(self, address=None):
        """How many NMIs this BMC has executed."""
        return self.counters(address)["nmi"]

    def executions(self, address=None):
        """When this BMC executed its last NMIs, in seconds of the wall clock."""
        return self.control(f"executions {address or self.first}")["at"]

    def sel(self, address=None):
        """The records of this BMC's System Event Log: id, sensor_type, offset, time."""
        return self.control(f"sel_list {address or self.first}")

    def sel_add(self, address, sensor_type, offset):
        """address may be "all"."""
        self.control(f"sel {address} {sensor_type} {offset}")

    def set(self, address, key, value):
        """address may be "all"."""
        self.control(f"set {address} {key} {value}")

    def close(self):
        self._lines.close()
        self._socket.close()


class IpmiSim:
    """A running ipmi_sim with the diagnostic interrupt module: suite 3 and IPMI 1.5."""

    def __init__(self, process, address, port, count_path):
        self.process, self.first, self.port, self.count_path = process, address, port, count_path

    def count(self, address=None):
        return int(self.count_path.read_text())


class Nmid:
    """A running nmid."""

    def __init__(self, case, settings):
        self.case, self.settings = case, settings
        self.conf = case.unique("nmid.conf")
        self.state_dir = Path(settings["state_dir"])
        self.process = None
        self.port = self.url = None
        self.start()

    def write_conf(self):
        text = "".join(f"{key} = {libconfig(value)};\n" for key, value in self.settings.items())
        new = self.conf.with_suffix(".new")
        new.touch(mode=0o600)
        new.write_text(text, encoding="utf-8")
        new.replace(self.conf)

    def start(self):
        """Starts it, again after stop() or crash(), on the same state; on a new port."""
        self.write_conf()
        self.process = self.case.start([built("nmid"), "-c", self.conf])
        count = len(self.settings["listen"])
        wait_for(lambda: self._is_ready() and len(self._listening()) == count, 30, "nmid to be ready")
        where = self._listening()
        tcp = [text for text in where if re.search(r":\d+$", text)]
        self.port = int(tcp[0].rsplit(":", 1)[1]) if tcp else None
        self.url = f"http://{tcp[0]}" if tcp else "unix:" + where[0].removeprefix("unix:")

    def _is_ready(self):
        """It says where it listens before it has all of its descriptors."""
        if self.process.poll() is not None:
            raise AssertionError(f"nmid did not start: {self.log()}")
        return re.search(r"nmid \S+ is ready: .*\n", self.log())

    def _listening(self):
        return re.findall(r"listening on (\S*[^\s,;.])", self.log())

    def log(self):
        return self.process.err()

    def reload(self, **settings):
        """SIGHUP, after changing settings (nodes=[...] too); returns the new part of the log, which
        ends in "reloaded: N nodes" or tells what "was not reloaded"."""
        before = len(self.log())
        self.settings.update(settings)
        self.write_conf()
        self.process.send_signal(signal.SIGHUP)
        wait_for(lambda: re.search("reloaded.*\n", self.log()[before:]), 20, "nmid to reload")
        return self.log()[before:]

    def stop(self):
        return self.process.stop()

    def crash(self):
        return self.process.crash()


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class TestCase(unittest.TestCase):
    """A directory of its own, and programs that end with the test."""

    time_limit = 180

    def run(self, result=None):
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        # whose it is shows in its name; short, for UNIX sockets live in it
        self.dir = Path(tempfile.mkdtemp(prefix=f"nmid-{self._testMethodName[:24]}-{os.getpid()}-"))
        self.processes = []
        signal.signal(signal.SIGALRM, self._too_long)
        signal.alarm(self.time_limit)
        self.addCleanup(self._stop_all)
        try:
            super().run(result)
        except KeyboardInterrupt:  # unittest then leaves the clean-up undone
            self.doCleanups()
            shutil.rmtree(self.dir, ignore_errors=True)
            raise
        signal.alarm(0)
        if len(result.failures) + len(result.errors) == before:
            shutil.rmtree(self.dir)
        else:
            self._print_logs()
        return result

    def _too_long(self, *_):
        raise AssertionError(f"{self.id()} took longer than {self.time_limit} s")

    def _print_logs(self):
        print(f"{self.id()} failed; its files are in {self.dir}", file=sys.stderr)
        for process in self.processes:
            for path in (process.out_path, process.err_path):
                text = path.read_text(errors="backslashreplace")
                if text:
                    print(f"--- {path.name}\n{text[-20000:]}", file=sys.stderr)

    def _stop_all(self):
        complaints = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except AssertionError as error:
                complaints.append(str(error))
                continue
            complaints.append(process.complaint())
        complaints = [text for text in complaints if text]
        if complaints:
            self.fail("; ".join(complaints))

    def unique(self, name):
        """A path in self.dir that no one has had yet."""
        for number in range(1, 10000):
            path = self.dir / (name if number == 1 else f"{number}-{name}")
            if not path.exists():
                return path
        raise AssertionError("too many files")

    def start(self, argv, cwd=None, **env):
        """Starts a program. Keywords are environment variables; one of None is unset."""
        environment = {**os.environ, **env}
        environment = {key: str(v) for key, v in environment.items() if v is not None}
        name = Path(argv[0]).name
        process = Process([str(word) for word in argv], self.unique(name + ".out"),
                          self.unique(name + ".err"), env=environment, cwd=cwd or self.dir)
        self.processes.append(process)
        return process

    def bmcsim(self, *args, first="127.1.0.1"):
        path = self.unique("control")
        process = self.start([built("tests/sim/bmcsim"), "--first", first, "--control", path,
                              *args])
        sim = Sim(process, first, path)
        self.addCleanup(sim.close)
        return sim

    def ipmi_sim(self):
        """On an address of this process's own, so that no other test's port is in its way."""
        pid = os.getpid()
        address = f"127.{64 + (pid >> 16 & 63)}.{pid >> 8 & 255}.{pid & 255}"
        directory = self.unique("ipmi_sim")
        directory.mkdir()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
            port = probe.getsockname()[1]
        script = top_srcdir / "tests/sim/ipmi_sim_start.sh"
        process = self.start(["/bin/sh", script, directory, port,
                              built("tests/sim/ipmi_sim_diag.so"), address])
        wait_for(lambda: self._pong(process, address, port), 20, "ipmi_sim to answer")
        return IpmiSim(process, address, port, directory / "nmi.count")

    @staticmethod
    def _pong(process, address, port):
        if process.poll() is not None:
            raise AssertionError(f"ipmi_sim did not start: {process.out()}{process.err()}")
        return ping(address, port, 0.1)

    def nmid(self, nodes, **settings):
        """Starts nmid on a free port; settings are those of nmid.conf."""
        state = self.unique("state")
        defaults = {"listen": [{"address": "127.0.0.1", "port": 0}], "hold_off_s": 0}
        if "state_dir" not in settings:
            state.mkdir(mode=0o700)
            defaults["state_dir"] = str(state)
        return Nmid(self, {**defaults, **settings, "nodes": nodes})

    def request(self, nmid, method, path, body=None, headers=None, timeout=60):
        """-> (status, headers, what came: JSON decoded, else bytes). A body of bytes or str goes as
        it is, any other as JSON."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if nmid.url.startswith("unix:"):
            connection = UnixConnection(nmid.url[len("unix:"):], timeout)
        else:
            connection = http.client.HTTPConnection("127.0.0.1", nmid.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if data and "json" in (answer.headers.get("Content-Type") or ""):
            data = json.loads(data)
        return answer.status, answer.headers, data

    def nmictl(self, nmid, *args, input=None, env=None, timeout=120):
        """-> CompletedProcess with text."""
        environment = {**os.environ, **(env or {})}
        done = subprocess.run([built("nmictl"), "-u", nmid.url, *map(str, args)], input=input,
                              env=environment, capture_output=True, text=True, timeout=timeout,
                              stdin=None if input is not None else subprocess.DEVNULL, check=False)
        self.assertNotRegex(done.stderr, SANITIZER)
        self.assertGreaterEqual(done.returncode, 0, done.stderr)
        return done


def ping(address, port, timeout):
    """An RMCP presence ping; the pong's bytes, or None."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.settimeout(timeout)
        try:
            probe.connect((address, port))
            probe.send(bytes.fromhex("0600ff06000011be80010000"))
            return probe.recv(65536)
        except OSError:
            return None


def main(needs=()):
    """Runs the file's tests. Exit code 77 (automake: skipped) only when a program is missing."""
    missing = [name for name in needs if not which(name)]
    if missing:
        print("skipped: not installed:", ", ".join(missing), file=sys.stderr)
        sys.exit(77)
    unittest.main(module="__main__", verbosity=2)
