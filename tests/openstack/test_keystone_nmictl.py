# SPDX-License-Identifier: GPL-3.0-or-later
"""nmictl with an openrc of a real Keystone, and with OpenStack's own command line beside it."""
import os
import subprocess

from case import CloudCase, lab, short
from service import environment, run


class Nmictl(CloudCase):
    def setUp(self):
        super().setUp()
        self.fleet(6)
        self.nodes = [self.node("demo-1"), self.node("demo-2"), self.node("demo-3", locked=True),
                      self.node("other-1", "other"), self.node("demo-4", status="SHUTOFF")]
        self.daemon = self.serve(self.nodes)

    def ctl(self, who, *words, rc, out="", err=".*", nmis=0, env=None, url=None):
        """One command; -> CompletedProcess."""
        before = self.nmis()
        variables = self.cloud.openrc(who, *({"alice": ["demo"], "rita": ["demo"], "bob": ["other"],
                                              "admin": ["admin"]}.get(who, []))) \
            if env is None else env
        kept = {key: os.environ[key] for key in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
                if key in os.environ}
        done = subprocess.run([lab.built("nmictl"), "-u", url or self.daemon.url, *words],
                              env=environment(**kept, **variables), stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=100, check=False)
        count, text = self.nmis() - before, done.stdout + done.stderr
        self.row(who, f"nmictl {' '.join(words)}", f"{done.returncode} {short(text, 160)}", count)
        self.assertNotRegex(done.stderr, lab.SANITIZER)
        self.assertEqual((done.returncode, count), (rc, nmis), text)
        self.assertIn(out, done.stdout)
        self.assertRegex(text, err)
        for secret in (*self.secrets, *(value for key, value in variables.items()
                                        if key.endswith(("PASSWORD", "SECRET", "TOKEN")))):
            self.assertNotIn(secret, text)
        return done

    def test_password(self):
        self.ctl("alice", "inject-nmi", "demo-1", rc=0, out="delivered", nmis=1)
        self.ctl("alice", "inject-nmi", "demo-[1-2]", rc=0, out="delivered", nmis=2)
        # one name that is none (or a typing error): nobody is hit before it is mended
        self.ctl("alice", "inject-nmi", "demo-[1-2]", "other-1", rc=1, err="other-1")
        self.ctl("alice", "inject-nmi", "demo-3", rc=1, err="locked")
        self.ctl("alice", "inject-nmi", "demo-4", rc=1, err="(?i)shutoff|stopped|status")
        here = self.ctl("bob", "inject-nmi", "demo-1", rc=1, err="(?i)no (such )?node")
        there = self.ctl("bob", "inject-nmi", "absent", rc=1, err="(?i)no (such )?node")
        self.assertEqual((here.stdout, here.stderr.replace("demo-1", "absent")),
                         (there.stdout, there.stderr))
        self.ctl("rita", "inject-nmi", "demo-1", rc=1, err="inject_nmi")
        self.ctl("rita", "show", "demo-1", rc=0, out="demo-1")
        self.ctl("bob", "show", "demo-1", rc=1, err="(?i)no (such )?node")
        done = self.ctl("bob", "nodes", rc=0, out="other-1")
        self.assertNotIn("demo", done.stdout)
        self.ctl("alice", "lock", "demo-1", rc=1, err="lock")
        self.ctl("admin", "lock", "demo-1", rc=0)
        self.ctl("alice", "inject-nmi", "demo-1", rc=1, err="locked")
        self.ctl("admin", "inject-nmi", "demo-1", rc=0, out="delivered", nmis=1)
        self.ctl("admin", "unlock", "demo-1", rc=0)
        self.ctl("alice", "inject-nmi", "demo-1", rc=0, out="delivered", nmis=1)
        self.ctl("alice", "probe", "demo-1", rc=0)
        self.ctl("rita", "probe", "demo-1", rc=1, err="probe")

    def test_other_credentials(self):
        cloud = self.cloud
        credential = cloud.application_credential("alice", "demo", "nmictl")
        self.secrets.append(credential.secret)
        env = cloud.credential_openrc(credential)
        self.ctl("alice, application credential", "inject-nmi", "demo-1", rc=0, nmis=1, env=env)
        self.ctl("alice, application credential", "inject-nmi", "other-1", rc=1, env=env)
        self.ctl("alice, OS_TOKEN", "inject-nmi", "demo-1", rc=0, nmis=1,
                 env={"OS_TOKEN": self.token("alice")})
        self.ctl("sysadmin", "inject-nmi", "demo-3", rc=0, nmis=1,
                 env=cloud.openrc("sysadmin", system=True))
        issued = run(["/usr/bin/openstack", "token", "issue", "-f", "value", "-c", "id"],
                     env=cloud.openrc("alice", "demo")).strip()
        self.secrets.append(issued)
        self.ctl("alice, openstack token issue", "inject-nmi", "demo-2", rc=0, nmis=1,
                 env={"OS_TOKEN": issued})
        run(["/usr/bin/openstack", "token", "revoke", issued], env=cloud.openrc("admin", "admin"))
        other = self.serve(self.nodes)
        self.ctl("alice, openstack token revoke", "inject-nmi", "demo-2", rc=1, url=other.url,
                 env={"OS_TOKEN": issued}, err="(?i)token|authentication")

    def test_refused(self):
        """Before anything was sent: never exit code 3."""
        cloud, call = self.cloud, ("inject-nmi", "demo-1")
        alice = cloud.openrc("alice", "demo")
        self.ctl("nobody at all", *call, rc=1, env={}, err="(?i)keystone|openrc|OS_")
        self.ctl("alice, wrong password", *call, rc=1, env={**alice, "OS_PASSWORD": "wrong-one"},
                 err="(?i)refused")
        self.ctl("alice, of another project", *call, rc=1, err="(?i)refused",
                 env={**alice, "OS_PROJECT_NAME": "other"})
        self.ctl("alice, no such project", *call, rc=1, err="(?i)refused",
                 env={**alice, "OS_PROJECT_NAME": "nothing"})
        self.ctl("alice, without a project", *call, rc=1, env=cloud.openrc("alice"),
                 err="a token that is for nothing: set OS_PROJECT_NAME")
        self.ctl("garbage", *call, rc=1, env={"OS_TOKEN": "garbage"}, err="(?i)token")
        holder = lab.socket.socket()
        self.addCleanup(holder.close)
        holder.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{holder.getsockname()[1]}/v3"
        self.ctl("alice, no Keystone there", *call, rc=4, err="(?i)keystone",
                 env={**alice, "OS_AUTH_URL": nowhere})


if __name__ == "__main__":
    lab.main()
