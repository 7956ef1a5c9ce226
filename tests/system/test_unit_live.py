# SPDX-License-Identifier: GPL-3.0-or-later
"""nmid under its own unit: `make install` into a copy-on-write view of this machine, which systemd
then boots in a container with a network of its own, and nmid does its work there in the sandbox that
the unit describes. Nothing of it stays behind. For root, with systemd-nspawn (Debian:
systemd-container).

The same file is the launcher and, as `test_unit_live.py inside`, what runs in the container."""
import base64
import http.client
import http.server
import json
import os
import pwd
import re
import resource
import shutil
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import lab
import pki

UNIT = "check-nmid.service"
OWN, OTHER = 4711, 4712  # users that are in no file; the first gets the group nmid


def made_with(line):
    """-> the match of such a line of the build's Makefile, None where there is none."""
    return re.search("^" + line, (lab.top_builddir / "Makefile").read_text(), re.M)


# ---- The launcher ----

LAUNCH = r"""
set -eu
dir=$1 out=$2 booted=$3
shift 3
# All of it is gone with this mount namespace.
mount -t tmpfs none "$dir"
mkdir "$dir/upper" "$dir/work" "$dir/root"
mount -t overlay none -o "lowerdir=/,upperdir=$dir/upper,workdir=$dir/work" "$dir/root"
[ "$booted" = yes ] || mount -t tmpfs none /run
nspawn() {
    systemd-nspawn --quiet --register=no --link-journal=no --machine="nmid-check-$$" \
        --directory="$dir/root" --private-network --resolv-conf=off --capability=CAP_IPC_LOCK \
        --bind="$out:/check" --bind-ro="$top_srcdir" --bind-ro="$top_builddir" $keep "$@"
}
keep=
[ "$booted" = yes ] || keep=--keep-unit
nspawn /bin/true >"$out/probe" 2>&1 || exit 77
# What has a prefix in which systemd does not look (make distcheck's) goes to one where it does.
case $prefix in /usr|/usr/local) to=$prefix ;; *) to=/usr/local ;; esac
make -s -C "$top_builddir" install COMMIT_ASKED= prefix="$to" DESTDIR="$dir/root" >"$out/install" 2>&1
[ "$to" = "$prefix" ] || sed -i "s|$prefix/|$to/|g" \
    "$dir/root$to/lib/tmpfiles.d/nmid.conf" "$dir/root$to/lib/systemd/system/nmid.service"
own=$dir/root/etc/systemd/system
rm -rf "$own/nmid.service" "$own/nmid.service.d"
cp "$out/$UNIT" "$own/$UNIT"
# What else this machine does at its start is none of the test's business.
for other in timers.target paths.target sockets.target; do ln -sf /dev/null "$own/$other"; done
nspawn --boot "systemd.unit=$UNIT" </dev/null >"$out/boot" 2>&1
"""

SERVICE = """[Unit]
After=basic.target
Requires=basic.target
[Service]
Type=oneshot
Environment=top_srcdir={srcdir} top_builddir={builddir} PYTHONDONTWRITEBYTECODE=1
ExecStart=/bin/sh -c '{python} {script} inside >/check/said 2>&1; systemctl exit $?'
"""


class OwnCgroup:
    """Where no systemd runs, nspawn makes its groups in the one that it is started in. So that it
    leaves nothing there, that is one of its own."""

    def __init__(self):
        self.paths = []
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            number, names, path = line.split(":", 2)
            tops = {"0": ("unified", "."), "name=systemd": ("systemd",)}
            for top in tops.get(number, ()) or tops.get(names, ()):
                base = Path("/sys/fs/cgroup", top)
                if (base / "cgroup.procs").exists():
                    self.paths.append(base / path.lstrip("/") / f"nmid-check-{os.getpid()}")
                    break

    def enter(self):
        for path in self.paths:
            path.mkdir(exist_ok=True)
            (path / "cgroup.procs").write_text(str(os.getpid()))

    def remove(self):
        for path in self.paths:
            for directory, _, _ in os.walk(path, topdown=False):
                os.rmdir(directory)


class Live(lab.TestCase):
    def test_under_systemd(self):
        booted = Path("/run/systemd/system").is_dir()
        out = self.dir / "out"
        out.mkdir()
        (self.dir / "host").mkdir()
        (out / UNIT).write_text(SERVICE.format(
            srcdir=lab.top_srcdir, builddir=lab.top_builddir, python=sys.executable,
            script=lab.top_srcdir / "tests/system/test_unit_live.py"))
        environment = {key: value for key, value in os.environ.items()
                       if not key.startswith(("MAKE", "MFLAGS"))}
        prefix = made_with("prefix = (.*)").group(1)
        environment |= {"UNIT": UNIT, "prefix": prefix, "top_srcdir": str(lab.top_srcdir),
                        "top_builddir": str(lab.top_builddir), "SYSTEMD_COLORS": "0"}
        group = None if booted else OwnCgroup()
        try:
            done = subprocess.run(
                ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", LAUNCH, "sh",
                 self.dir / "host", out, "yes" if booted else "no"], env=environment,
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                preexec_fn=group and group.enter, timeout=self.time_limit)
        finally:
            if group:
                group.remove()
        texts = {name: (out / name).read_text(errors="replace")
                 for name in ("probe", "install", "boot", "said") if (out / name).exists()}
        if done.returncode == 77 or "install" not in texts:
            self.skipTest("no container here: " + (texts.get("probe", "") + done.stderr).strip())
        if "said" not in texts:
            print(texts["install"], texts.get("boot"), file=sys.stderr)
        print(texts.get("said"), done.stderr, file=sys.stderr)
        self.assertEqual(done.returncode, 0)
        self.assertRegex(texts["said"], r"\nOK\n$")


# ---- In the container ----

def systemctl(*args, check=True):
    done = subprocess.run(["systemctl", *map(str, args)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        journal = subprocess.run(["journalctl", "--no-pager", "-n", "50", "-u", "nmid"],
                                 capture_output=True, text=True, check=False).stdout
        raise AssertionError(f"systemctl {args}: {done.stderr}{journal}")
    return done


def show(name):
    return systemctl("show", "--value", "-p", name, "nmid").stdout.strip()


def journal():
    return subprocess.run(["journalctl", "--no-pager", "-o", "cat", "-u", "nmid"],
                          capture_output=True, text=True, check=True).stdout


class Receiver(http.server.BaseHTTPRequestHandler):
    came = []

    def do_POST(self):
        self.came.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


class Inside(lab.TestCase):
    def setUp(self):
        self.conf = Path(re.search("-c ([^ ;]*)", show("ExecStart")).group(1))
        self.pki = pki.Pki(self.unique("pki"))
        self.ca = self.pki.ca("site")
        web = self.pki.server("web", ["localhost", "127.0.0.1"], self.ca)
        self.secrets = self.unique("secrets")
        self.secrets.mkdir(mode=0o700)  # root's alone: nmid gets them from systemd
        (self.secrets / "bmc").write_text("secret\n")
        shutil.copy(web.key, self.secrets / "key")
        shutil.copy(web.certificate, self.conf.parent / "web.pem")
        subprocess.run(["htpasswd", "-iBc", "-C", "4", self.conf.parent / "htpasswd", "alice"],
                       input=b"secret-a", check=True, capture_output=True)
        for name in ("web.pem", "htpasswd"):
            shutil.chown(self.conf.parent / name, "root", "nmid")
            (self.conf.parent / name).chmod(0o640)
        Path("/etc/hosts").write_text("127.0.0.1 localhost\n127.1.0.1 bmc.rack1.test\n")
        Path("/etc/nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n")
        self.sim = self.bmcsim()

    def started(self, **changes):
        """Starts nmid as an administrator would, with these lines in a drop-in."""
        callback = http.server.HTTPServer(("127.0.0.1", 0), Receiver)
        threading.Thread(target=callback.serve_forever, daemon=True).start()
        self.addCleanup(callback.server_close)
        self.addCleanup(callback.shutdown)
        Receiver.came.clear()
        self.url = f"http://localhost:{callback.server_port}/done"
        self.settings = {
            "listen": [{"socket": "/run/nmid/nmid.sock"},
                       {"address": "127.0.0.1", "port": 8623,
                        "auth": {"strategy": "http_basic", "user_file": "htpasswd",
                                 "users": [{"name": "alice", "roles": ["admin"]}]},
                        "tls": {"certificate_file": "web.pem",
                                "key_file": "$CREDENTIALS_DIRECTORY/key"}}],
            "auth": {"strategy": "none", "users": [{"group": "nmid", "roles": ["admin"]}]},
            "state_dir": "/var/lib/nmid", "hold_off_s": 0,
            "callback": {"url": self.url},
            "ipmi": {"answer_ms": 3000},
            "nodes": [lab.node("n1", self.sim, "bmc.rack1.test", ipmi_password=None,
                               ipmi_password_file="$CREDENTIALS_DIRECTORY/bmc")]}
        self.write_conf()
        drop = Path("/etc/systemd/system/nmid.service.d/check.conf")
        drop.parent.mkdir(exist_ok=True)
        lines = [f"LoadCredential={name}:{self.secrets / name}" for name in ("bmc", "key")]
        drop.write_text("\n".join(["[Service]", *lines, *(f"{k}={v}" for k, v in changes.items()),
                                   ""]))
        systemctl("daemon-reload")
        systemctl("start", "nmid")
        self.addCleanup(lambda: systemctl("stop", "nmid") and systemctl("reset-failed", "nmid",
                                                                        check=False))
        return int(show("MainPID"))

    def write_conf(self):
        self.conf.write_text("".join(f"{key} = {lab.libconfig(value)};\n"
                                     for key, value in self.settings.items()))
        shutil.chown(self.conf, "root", "nmid")
        self.conf.chmod(0o640)

    @staticmethod
    def nmictl(*args, user=None):
        become = [] if user is None else [
            "setpriv", f"--reuid={user}", f"--regid={user}",
            "--groups=nmid" if user == OWN else "--clear-groups", "--inh-caps=-all"]
        return subprocess.run([*become, lab.built("nmictl"), "-u", "unix:/run/nmid/nmid.sock", *args],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              check=False)

    def https(self, method, path, body=None):
        connection = http.client.HTTPSConnection(
            "localhost", 8623, timeout=20, context=ssl.create_default_context(cafile=str(
                self.ca.certificate)))
        word = base64.b64encode(b"alice:secret-a").decode()
        connection.request(method, path, body and json.dumps(body),
                           {"Authorization": "Basic " + word, "Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data) if data else None

    def test_it_does_its_work(self):
        """Each library, in the sandbox: names, IPMI, SQLite, TLS, bcrypt, a callback, a reload."""
        self.started()
        self.assertRegex(show("StatusText"), "^1 node; actions: 0 under way, 0 waiting$")
        done = self.nmictl("inject-nmi", "n1")
        self.assertEqual((done.returncode, done.stdout), (0, "n1  delivered\n"), done.stderr)
        status, action = self.https("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"})
        self.assertEqual(status, 202, action)
        status, action = self.https("GET", f"/agent/v1/actions/{action['id']}?wait=20")
        self.assertEqual((status, action["outcome"]), (200, "delivered"))
        self.assertEqual(self.sim.count("127.1.0.1"), 2)
        lab.wait_for(lambda: len(Receiver.came) == 2, what="the callbacks")
        systemctl("reload", "nmid")
        lab.wait_for(lambda: "reloaded: 1 node" in journal(), what="the reload")
        systemctl("stop", "nmid")
        self.assertEqual((show("Result"), show("ExecMainStatus")), ("success", "0"))
        self.assertNotRegex(journal(), "(?i)not permitted|denied|could not all be locked")

    def test_what_it_may(self):
        pid = self.started()
        lines = dict(line.split(":\t", 1) for line in
                     Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
        uid = pwd.getpwnam("nmid").pw_uid
        self.assertGreater(uid, 0)
        self.assertEqual(lines["Uid"].split(), [str(uid)] * 4)
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            self.assertEqual(int(lines[name], 16), 0, name)
        self.assertEqual((lines["NoNewPrivs"], lines["Seccomp"]), ("1", "2"))
        self.assertEqual(lines["CoreDumping"], "0")
        limits = Path(f"/proc/{pid}/limits").read_text()
        self.assertRegex(limits, r"Max core file size +1 +1 ")
        # systemd gives as much as the container has.
        files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
        self.assertRegex(limits, rf"Max open files +{files} ")
        kib = {name: int(lines[name].split()[0]) for name in ("VmLck", "VmRSS")}
        if re.search("Max locked memory +unlimited", limits):  # all it has, not the secrets alone
            self.assertGreater(kib["VmLck"], kib["VmRSS"])
        self.assertGreater(kib["VmLck"], 0)
        self.assertEqual(os.stat("/run/nmid/nmid.sock").st_mode & 0o7777, 0o660)
        self.assertEqual((os.stat("/run/nmid").st_mode & 0o7777,
                          os.stat("/var/lib/nmid").st_mode & 0o7777), (0o750, 0o700))

        # By root with all it may, but among nmid's mounts.
        there_files = f"/proc/{pid}/root"
        for path in ("/etc/nmid-was-here", "/usr/nmid-was-here", "/var/nmid-was-here",
                     "/run/nmid-was-here", "/home/nmid-was-here", "/dev/shm/../nmid-was-here"):
            with self.assertRaises(OSError, msg=path):
                Path(there_files + path).write_text("")
        self.assertEqual(os.listdir(there_files + "/home"), [])
        self.assertNotIn("kmsg", os.listdir(there_files + "/dev"))
        mounts = Path(f"/proc/{pid}/mountinfo").read_text()
        for path in ("/var/lib/nmid", "/tmp", "/var/tmp", "/dev/shm"):
            self.assertRegex(mounts, rf"(?m) {path} rw\S*,noexec[ ,]")
        Path(there_files + "/var/lib/nmid/may").write_text("")
        Path("/var/lib/nmid/may").unlink()

    def test_who_may_use_the_socket(self):
        """The group nmid, by the group that the kernel tells; nobody else comes as far as that."""
        self.started()
        self.assertEqual(self.nmictl("nodes", user=OWN).returncode, 0)
        self.assertEqual(self.nmictl("inject-nmi", "n1", user=OWN).stdout, "n1  delivered\n")
        done = self.nmictl("nodes", user=OTHER)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("ermission denied", done.stderr)
        self.assertEqual(self.sim.count("127.1.0.1"), 1)

    def test_a_mistake_changes_nothing(self):
        pid = self.started()
        self.settings["nodes"] = [{"name": "no uuid"}]
        self.write_conf()
        systemctl("reload", "nmid")
        lab.wait_for(lambda: "configuration has mistakes" in show("StatusText"), what="the status")
        self.assertEqual((int(show("MainPID")), show("ActiveState")), (pid, "active"))
        self.assertEqual(self.nmictl("inject-nmi", "n1").stdout, "n1  delivered\n")

    def test_a_loop_that_hangs(self):
        """It is killed and started again, and what was sent is unknown, and not sent again."""
        pid = self.started(WatchdogSec="1", RestartSec="100ms")
        self.sim.set("all", "control_delay_ms", 60000)
        action = self.https("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"})[1]
        lab.wait_for(lambda: self.sim.count("127.1.0.1") == 1, what="the interrupt")
        os.kill(pid, signal.SIGSTOP)
        lab.wait_for(lambda: show("NRestarts") == "1" and show("ActiveState") == "active", 20,
                     "systemd to start it again")
        self.assertNotEqual(int(show("MainPID")), pid)
        self.assertRegex(journal(), "(?i)watchdog")
        status, action = self.https("GET", f"/agent/v1/actions/{action['id']}")
        self.assertEqual((status, action["outcome"], action["code"]),
                         (200, "unknown", "daemon-stopped"))
        self.assertEqual(self.sim.count("127.1.0.1"), 1)
        self.assertEqual(list(Path("/").glob("core*")), [])
        self.assertEqual(list(Path("/var/lib/nmid").glob("core*")), [])

    def test_a_stop_awaits_what_was_sent(self):
        """For longer than TimeoutStopSec= says."""
        self.started(TimeoutStopSec="1")
        self.sim.set("all", "control_delay_ms", 2500)
        action = self.https("POST", "/agent/v1/nodes/n1/actions", {"action": "inject_nmi"})[1]
        lab.wait_for(lambda: self.sim.count("127.1.0.1") == 1, what="the interrupt")
        systemctl("stop", "nmid")
        self.assertEqual(show("Result"), "success")
        systemctl("start", "nmid")
        action = self.https("GET", f"/agent/v1/actions/{action['id']}")[1]
        self.assertEqual(action["outcome"], "delivered")


def skip(reason):
    print("skipped:", reason, file=sys.stderr)
    sys.exit(77)


if __name__ == "__main__":
    if sys.argv[1:] == ["inside"]:
        del sys.argv[1:]
        del Live
        lab.main()
    elif os.geteuid() != 0:
        skip("only root can start a container with all of systemd in it")
    elif made_with("NMID_CFLAGS = .*-fsanitize"):
        skip("the sanitizers want more than the sandbox allows")
    elif made_with("HAVE_SYSTEMD_TRUE = #"):
        skip("no unit is installed (--without-systemd)")
    del Inside
    lab.main(needs=("systemd-nspawn", "unshare", "make", "htpasswd", "openssl", "setpriv"))
