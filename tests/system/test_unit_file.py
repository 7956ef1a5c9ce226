# SPDX-License-Identifier: GPL-3.0-or-later
"""The files for systemd as they are: the unit verified and scored, the user and the directories made
in a root of their own. That nmid works under them: test_unit_live.py."""
import os
import re
import stat
import subprocess
import unittest

import lab

# docs/host.md names this figure.
SCORE = 13  # of 100, in tenths of systemd-analyze's 10


def directives():
    """-> {name: [values]} of the unit that was built."""
    found = {}
    for line in (lab.top_builddir / "conf/nmid.service").read_text().splitlines():
        if "=" in line and not line.startswith("#"):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


def run(*argv):
    return subprocess.run([str(word) for word in argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "LC_ALL": "C"})


class UnitFile(lab.TestCase):
    def need(self, program):
        if not lab.which(program):
            self.skipTest(f"{program} is not installed")
        return lab.which(program)

    def unit(self, *changes):
        """A copy of the unit whose programs are there, so that it can be verified."""
        text = (lab.top_builddir / "conf/nmid.service").read_text()
        sbindir = re.search(r"^ExecStart=(\S*)/nmid ", text, re.M).group(1)
        text = text.replace(f"={sbindir}/nmid ", f"={lab.built('nmid')} ")
        for pattern, new in changes:
            text, count = re.subn(pattern, new, text, flags=re.M)
            self.assertGreater(count, 0, pattern)
        path = self.unique("unit") / "nmid.service"
        path.parent.mkdir()
        path.write_text(text)
        return path

    def score(self, *changes):
        done = run(self.need("systemd-analyze"), "security", "--offline=true", "--no-pager",
                   f"--threshold={SCORE}", self.unit(*changes))
        found = re.search(r"exposure level for nmid.service: ([0-9.]+)", done.stdout)
        self.assertTrue(found, done.stdout + done.stderr)
        return float(found.group(1)), done.returncode == 0, done.stdout

    def test_no_placeholder_is_left(self):
        for name in ("nmid.service", "nmid.tmpfiles"):
            text = (lab.top_builddir / "conf" / name).read_text()
            self.assertNotRegex(text, "@[a-z]+@")

    def test_verify(self):
        """systemd knows each directive and each value, and says nothing."""
        analyze = self.need("systemd-analyze")
        done = run(analyze, "verify", "--man=no", "--recursive-errors=no", self.unit())
        said = [line for line in (done.stdout + done.stderr).splitlines() if "nmid.service" in line]
        self.assertEqual(said, [])
        # It would have said so.
        done = run(analyze, "verify", "--man=no", "--recursive-errors=no",
                   self.unit(("^ProtectProc=.*", "ProtectProc=invisble\nProtectPorc=yes")))
        self.assertIn("ProtectPorc", done.stderr)
        self.assertIn("invisble", done.stderr)

    def test_score(self):
        score, passes, table = self.score()
        self.assertTrue(passes, table)
        self.assertLessEqual(score, SCORE / 10)
        # What is not protected is what docs/host.md gives reasons for.
        words = (lab.top_srcdir / "docs/host.md").read_text()
        for line in table.splitlines():
            if line.startswith("✗"):
                name = re.match(r"✗ ([A-Za-z]+)", line).group(1)
                self.assertIn(f"`{name}", words, line)
        if "systemd 252 " in run("systemd-analyze", "--version").stdout:  # others count otherwise
            self.assertIn(f"# {score} of 10", words)
        # And it would notice.
        self.assertFalse(self.score(("^CapabilityBoundingSet=.*", "")) [1])

    def test_each_directive_has_its_reason(self):
        words = (lab.top_srcdir / "docs/host.md").read_text()
        for name in directives():
            self.assertIn(f"`{name}", words, "docs/host.md does not tell why")

    def test_system_calls_that_are_not_allowed(self):
        """The filter as systemd reads it lets none of these through."""
        analyze = self.need("systemd-analyze")
        sets = {}

        def calls(name):
            if not name.startswith("@"):
                return {name}
            if name not in sets:
                lines = run(analyze, "syscall-filter", name).stdout.splitlines()[1:]
                words = [line.strip() for line in lines]
                sets[name] = set().union(*(calls(w) for w in words if w and w[0] != "#"))
                self.assertTrue(sets[name], name)
            return sets[name]

        allowed = set()
        for value in directives()["SystemCallFilter"]:
            words = value.removeprefix("~").split()
            chosen = set().union(*map(calls, words))
            allowed = allowed - chosen if value.startswith("~") else allowed | chosen
        self.assertIn("mlockall", allowed)
        self.assertIn("recvmsg", allowed)
        for name in ("ptrace", "mount", "bpf", "setuid", "setgroups", "chown", "fchown", "chroot",
                     "io_uring_setup", "keyctl", "userfaultfd", "process_vm_readv", "kexec_load",
                     "perf_event_open", "init_module", "pivot_root", "reboot", "swapon",
                     "open_by_handle_at", "sched_setscheduler", "setpriority", "personality"):
            self.assertNotIn(name, allowed)

    def root(self):
        """A root with an empty user database, for sysusers and tmpfiles."""
        root = self.unique("root")
        for name in ("etc", "run", "var/lib", "usr/lib"):
            (root / name).mkdir(parents=True)
        return root

    def test_user(self):
        root = self.root()
        done = run(self.need("systemd-sysusers"), f"--root={root}",
                   lab.top_srcdir / "conf/nmid.sysusers")
        if done.returncode != 0 and os.geteuid() != 0:
            self.skipTest("only root can make users, even elsewhere: " + done.stderr.strip())
        self.assertEqual(done.returncode, 0, done.stderr)
        user = (root / "etc/passwd").read_text()
        self.assertRegex(user, r"(?m)^nmid:x:(\d+):\1:.*:/:.*/nologin$")
        self.assertLess(int(user.split(":")[2]), 1000)
        self.assertRegex((root / "etc/group").read_text(), r"(?m)^nmid:x:\d+:$")
        shadow = root / "etc/shadow"
        shadow.chmod(0o600)  # its mode is 0, which only root does not mind
        self.assertRegex(shadow.read_text(), r"(?m)^nmid:!\*:")

    @unittest.skipUnless(os.geteuid() == 0, "only root gives files to others")
    def test_directories(self):
        tmpfiles, sysusers = self.need("systemd-tmpfiles"), self.need("systemd-sysusers")
        root = self.root()
        self.assertEqual(run(sysusers, f"--root={root}",
                             lab.top_srcdir / "conf/nmid.sysusers").returncode, 0)
        uid = int((root / "etc/passwd").read_text().split("nmid:x:")[1].split(":")[0])
        text = (lab.top_builddir / "conf/nmid.tmpfiles").read_text()
        etc = re.search(r"^d (\S+) ", text, re.M).group(1).lstrip("/")
        # As make install leaves it, and a file that an administrator forgot to close.
        nodes = root / etc / "nodes.d"
        nodes.mkdir(parents=True)
        for path in (root / etc / "nmid.conf", nodes / "rack1.conf", nodes / "other.txt"):
            path.touch()
            path.chmod(0o644)
        done = run(tmpfiles, "--create", f"--root={root}", lab.top_builddir / "conf/nmid.tmpfiles")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        for name, mode, owner in ((etc, 0o750, 0), (f"{etc}/nodes.d", 0o750, 0),
                                  (f"{etc}/nmid.conf", 0o640, 0),
                                  (f"{etc}/nodes.d/rack1.conf", 0o640, 0),
                                  ("var/lib/nmid", 0o700, uid), ("run/nmid", 0o750, uid)):
            found = (root / name).stat()
            self.assertEqual((oct(stat.S_IMODE(found.st_mode)), found.st_uid, found.st_gid),
                             (oct(mode), owner, uid), name)
        self.assertEqual(stat.S_IMODE((nodes / "other.txt").stat().st_mode), 0o644)

    def test_the_unit_and_tmpfiles_agree(self):
        unit = directives()
        text = (lab.top_builddir / "conf/nmid.tmpfiles").read_text()
        self.assertIn(f"d /run/{unit['RuntimeDirectory'][0]} {unit['RuntimeDirectoryMode'][0]} ",
                      text)
        self.assertIn(f"d /var/lib/{unit['StateDirectory'][0]} {unit['StateDirectoryMode'][0]} ",
                      text)
        conf = (lab.top_srcdir / "conf/nmid.conf").read_text()
        self.assertIn('"/run/nmid/nmid.sock"', conf)
        self.assertIn('"/var/lib/nmid"', conf)
        self.assertIn(f"\nu {unit['User'][0]} ",
                      (lab.top_srcdir / "conf/nmid.sysusers").read_text())


if __name__ == "__main__":
    lab.main()
