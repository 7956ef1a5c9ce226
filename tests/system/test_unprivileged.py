# SPDX-License-Identifier: GPL-3.0-or-later
"""nmid as a container runs it: process 1 of its own process namespace, a user id that is in no file,
no capability, no new privileges, a root that is read-only but for the state and the socket. Made by
root, with unshare and setpriv."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

import lab

UID = 65530  # of nobody, and of no passwd entry

CONTAINER = r"""
set -eu
state=$1 run=$2 uid=$3
shift 3
mount -t tmpfs -o mode=0755 none "$run"
mount -t tmpfs -o mode=0700 none "$state"
chown "$uid:$uid" "$run" "$state"
# Recursively, and not only what is one mount: nothing is left to write to but those two.
awk '{print $5}' /proc/self/mountinfo | sort -r | while read -r path; do
    case $path in "$run"|"$state"|/proc*|/sys*|/dev*) continue ;; esac
    mount -o remount,bind,ro "$path" 2>/dev/null || true
done
mount -t proc none /proc
ip link set lo up
exec setpriv --reuid "$uid" --regid "$uid" --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all "$@"
"""


def unshare(*argv):
    return ["unshare", "--mount", "--pid", "--fork", "--net", "--kill-child", "--propagation",
            "private", *argv]


class Container(lab.TestCase):
    def setUp(self):
        self.state, self.run_dir = self.unique("state"), self.unique("run")
        self.state.mkdir()
        self.run_dir.mkdir()
        os.chmod(self.dir, 0o711)
        # The build may be where this user cannot go.
        self.nmid_path, self.nmictl_path = (shutil.copy(lab.built(name), self.dir)
                                            for name in ("nmid", "nmictl"))

    def contained(self, *argv, script=CONTAINER):
        return unshare("/bin/sh", "-c", script, "sh", self.state, self.run_dir, UID, *argv)

    def conf(self, **settings):
        path = self.unique("nmid.conf")
        settings = {"listen": [{"socket": str(self.run_dir / "nmid.sock")}],
                    "state_dir": str(self.state), "auth": {"strategy": "none"},
                    "nodes": [{"uuid": lab.node_uuid("n"), "name": "n", "driver": "noop"}],
                    **settings}
        path.write_text("".join(f"{key} = {lab.libconfig(value)};\n"
                                for key, value in settings.items()))
        path.chmod(0o600)
        os.chown(path, UID, UID)
        return path

    def test_it_runs(self):
        """It starts, serves, reloads, and ends at the signal that a container runtime sends."""
        probe = self.unique("probe.sh")
        probe.write_text(f"""
            {self.nmid_path} -c {self.conf()} & pid=$!
            until grep -qs 'is ready' {self.dir}/log; do
                kill -0 $pid || exit 1
            done
            grep -E '^(Uid|CapEff|CapBnd|NoNewPrivs):' /proc/$pid/status
            touch {self.dir}/written /usr/written /etc/written && exit 1
            {self.nmictl_path} -u unix:{self.run_dir}/nmid.sock nodes || exit 1
            kill -TERM $pid; wait $pid
        """)
        log = self.dir / "log"
        log.touch()
        with open(log, "wb") as err:
            done = subprocess.run(list(map(str, self.contained("/bin/sh", probe))), stderr=err,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True,
                                  check=False, timeout=60)
        self.assertEqual(done.returncode, 0, (done.stdout, log.read_text()))
        self.assertRegex(done.stdout, rf"Uid:\s+{UID}\s+{UID}\s")
        self.assertRegex(done.stdout, r"CapEff:\s+0+\n")
        self.assertRegex(done.stdout, r"CapBnd:\s+0+\n")
        self.assertRegex(done.stdout, r"NoNewPrivs:\s+1\n")
        self.assertIn("noop", done.stdout)
        self.assertEqual(log.read_text().count("Read-only file system"), 3, log.read_text())
        self.assertNotIn("running as root", log.read_text())

    def test_as_process_1(self):
        """The kernel gives process 1 no signal that it has no handler for: SIGTERM and SIGHUP have."""
        process = self.start(self.contained(self.nmid_path, "-c", self.conf()))
        lab.wait_for(lambda: "is ready" in process.err() or process.poll() is not None,
                     what="nmid to start")
        first = [int(pid) for pid in Path(
            f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
        self.assertEqual(len(first), 1, process.err())
        self.assertRegex(Path(f"/proc/{first[0]}/status").read_text(), r"\nNSpid:.*\s1\n")
        os.kill(first[0], 1)
        lab.wait_for(lambda: "reloaded: 1 node" in process.err(), what="the reload")
        os.kill(first[0], 15)
        self.assertEqual(process.wait(20), 0, process.err())
        self.assertIn("stopped", process.err())

    def test_a_state_that_cannot_be_written(self):
        """No journal, no service: it says so, and which directory."""
        for state in ("/proc/nmid", "/usr/nmid-state"):
            process = self.start(self.contained(self.nmid_path, "-c",
                                                self.conf(state_dir=state)))
            process.allowed.add(1)
            self.assertEqual(process.wait(20), 1)
            self.assertIn(state, process.err())


def possible():
    done = subprocess.run(unshare("/bin/sh", "-c", "mount -t tmpfs none /mnt && ip link set lo up"),
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stderr.strip()


if __name__ == "__main__":
    if os.geteuid() != 0:
        print("skipped: only root can become a user without a name", file=sys.stderr)
        sys.exit(77)
    if lab.which("unshare") and lab.which("setpriv") and lab.which("ip"):
        works, complaint = possible()
        if not works:
            print("skipped: no namespaces here:", complaint, file=sys.stderr)
            sys.exit(77)
    lab.main(needs=("unshare", "setpriv", "ip", "awk"))
