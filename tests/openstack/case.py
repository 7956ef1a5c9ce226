# SPDX-License-Identifier: GPL-3.0-or-later
"""A test case with a cloud: nmid in front of a real Keystone, a counting BMC simulator behind it.

One cloud for a class. Each question asked of nmid is a row of the log: who, what, the answer in
short, and how many NMIs the simulated BMCs have executed meanwhile. No token or password may ever
be in nmid's log or on its disk: that is looked for after each test.
"""
import atexit
import json
import re
import shutil
import signal
import tempfile
import time
from pathlib import Path

from cloud import Cloud
from service import lab

# A test that is told to end ends what it started.
signal.signal(signal.SIGTERM, signal.default_int_handler)

INJECT = {"inject_nmi": None}
MEMBER_OF = {"alice": "demo", "rita": "demo", "anna": "demo", "vera": "demo", "bob": "other",
             "lea": "lessee", "admin": "admin", "nmid": "service"}


def short(value, length=100):
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"\s+", " ", text).replace("|", "/")
    return text if len(text) <= length else text[:length - 3] + "..."


class CloudCase(lab.TestCase):
    expiration_s = 3600

    @classmethod
    def setUpClass(cls):
        cls.cloud_dir = Path(tempfile.mkdtemp(prefix="nmid-cloud-")) / "cloud"
        cls.cloud = Cloud(cls.cloud_dir, expiration_s=cls.expiration_s)
        atexit.register(cls._close)
        cls.addClassCleanup(cls._close)
        began = time.monotonic()
        cls.cloud.__enter__()
        print(f"the cloud was ready after {time.monotonic() - began:.1f} s", flush=True)

    @classmethod
    def _close(cls):
        cls.cloud.close()
        shutil.rmtree(cls.cloud_dir.parent, ignore_errors=True)

    def run(self, result=None):
        try:
            return super().run(result)
        except KeyboardInterrupt:
            self._stop_all()
            raise

    def setUp(self):
        self.secrets, self.daemons = [], []
        self.addCleanup(self._look_for_secrets)
        print(f"\n{self.id()}", flush=True)

    def _print_logs(self):
        super()._print_logs()
        self.cloud.print_logs()

    def _look_for_secrets(self):
        """Nor may they be told to the wrong one: what is kept is looked through, too."""
        passwords = [self.cloud.password(user) for user in ("nmid", "alice")]
        for nmid in self.daemons:
            nmid.stop()
            places = [nmid.process.out_path, nmid.process.err_path,
                      *(path for path in nmid.state_dir.rglob("*") if path.is_file())]
            for path in places:
                data = path.read_bytes()
                for secret in (*self.secrets, *passwords):
                    self.assertNotIn(secret.encode(), data, f"a secret is in {path}")

    # -- what is there

    def fleet(self, count=8):
        """The simulator of this test; node(name, project) then takes its next BMC."""
        self.sim = self.bmcsim("--count", str(count))
        self.taken = 0

    def node(self, name, project="demo", **keys):
        address = self.sim.address(self.taken)
        self.taken += 1
        project_id = self.cloud.projects.get(project, project)
        if project_id is not None:
            keys["project_id"] = project_id
        return lab.node(name, self.sim, address, **keys)

    def serve(self, nodes, auth=None, login=None, **settings):
        """nmid with Keystone; auth are more keys of auth = { }."""
        login = login or self.cloud.nmid_login()
        nmid = self.nmid(nodes, auth={"strategy": "keystone", **login, **(auth or {})},
                         **settings)
        self.daemons.append(nmid)
        return nmid

    def token(self, user, project=None, **options):
        """A new one; of the user's own project unless a scope is given."""
        if project is None and not options.keys() & {"system", "unscoped"}:
            project = MEMBER_OF.get(user)
        options.pop("unscoped", None)
        token = self.cloud.token(user, project, **options)
        self.secrets.append(token)
        return token

    # -- rows

    def nmis(self):
        return self.sim.control("total")["sum"]["nmi"]

    def row(self, who, call, answer, nmis):
        print(f"| {who} | {call} | {answer} | NMIs {nmis} |", flush=True)

    def ask(self, nmid, who, token, method, path, body=None, *, status, nmis=0, headers=None,
            says=None):
        """One request and what must come of it; -> (status, headers, body)."""
        before = self.nmis()
        headers = {**({} if token is None else {"X-Auth-Token": token}), **(headers or {})}
        answer = self.request(nmid, method, path, body, headers)
        if answer[0] == 202 and isinstance(answer[2], dict):
            self._finish(nmid, answer, headers)
        count = self.nmis() - before
        call = f"{method} {path}" + ("" if body is None else f" {short(body, 60)}")
        text = answer[2] if isinstance(answer[2], (dict, list)) else answer[2].decode(
            errors="backslashreplace")
        self.row(who, call, f"{answer[0]} {short(text) if text else ''}".strip(), count)
        wanted = status if isinstance(status, tuple) else (status,)
        self.assertIn(answer[0], wanted, f"{who}: {call}: {text}")
        self.assertEqual(count, nmis, f"{who}: {call}: {text}")
        if says is not None:
            self.assertIn(says, json.dumps(text))
        return answer

    def _finish(self, nmid, answer, headers):
        """Awaits the end of an action, or of all actions of a batch."""
        ids = [action["id"] for action in answer[2].get("actions", [answer[2]]) if action.get("id")]
        for identity in ids:
            action = self.request(nmid, "GET", f"/agent/v1/actions/{identity}?wait=30", None,
                                  headers)[2]
            self.assertEqual(action.get("state"), "finished", action)

    def inject(self, nmid, who, token, node, status, nmis=None, **options):
        """By contract 1."""
        return self.ask(nmid, who, token, "POST", f"/v2.1/servers/{node}/action", INJECT,
                        status=status, nmis=(status == 202) if nmis is None else nmis, **options)
