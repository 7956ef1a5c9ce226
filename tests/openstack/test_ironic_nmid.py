# SPDX-License-Identifier: GPL-3.0-or-later
"""ironic_nmid under Ironic's own base classes for tests, against an nmid that answers as it is told:
what may be repeated is repeated under the same key, and what is not known is never told as failed."""
# As Ironic does, and before anything has taken select or threads as they were.
import eventlet
eventlet.monkey_patch(os=False)
import base64  # noqa: E402
import collections  # noqa: E402
import http.server  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import re  # noqa: E402
import shutil  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import threading  # noqa: E402
import unittest  # noqa: E402
from pathlib import Path  # noqa: E402
from unittest import mock  # noqa: E402

top_srcdir = Path(os.environ.get("top_srcdir") or Path(__file__).resolve().parents[2])
source = top_srcdir / "src/ironic"
# What an installation would do: the package, and its entry points.
installed = Path(tempfile.mkdtemp(prefix="nmid-ironic-"))
os.environ["XDG_CACHE_HOME"] = str(installed / "cache")
info = installed / "ironic_nmid-0.dist-info"
info.mkdir()
(info / "METADATA").write_text("Metadata-Version: 2.1\nName: ironic-nmid\nVersion: 0\n")
shutil.copy(source / "entry_points.txt", info)
sys.path[:0] = [str(source), str(installed)]

from keystoneauth1 import exceptions as ks_exceptions  # noqa: E402
from oslo_utils import strutils  # noqa: E402

import ironic_nmid  # noqa: E402
from ironic.common import driver_factory, exception  # noqa: E402
from ironic.conductor import task_manager  # noqa: E402
from ironic.drivers.modules import ipmitool  # noqa: E402
from ironic.tests.unit.db import base as db_base  # noqa: E402
from ironic.tests.unit.objects import utils as obj_utils  # noqa: E402
from ironic_nmid import client, conf, management, target  # noqa: E402

ACTION = "req-3d7f0a52-94dd-4f4b-9c3e-0d9c12ab6f01"
EARLIER = "req-00000000-94dd-4f4b-9c3e-0d9c12ab6f01"
REQUEST = "req-11111111-2222-3333-4444-555555555555"
IPMI = {"ipmi_address": "127.0.0.1", "ipmi_username": "admin", "ipmi_password": "bmc-secret"}
# What a client of Ironic sends again by itself, with a new request id; 401 with a new token.
REPEATED = {401, 409, 503}
DROP = object()


def action(state="finished", outcome=None, **keys):
    return {"id": ACTION, "state": state, "outcome": outcome, "code": None,
            "message": "the words of nmid", **keys}


def error(code, message="the words of nmid", action_id=None):
    return {"error": {"code": code, "message": message, "action_id": action_id}}


DELIVERED = (200, action(outcome="delivered"))
ACCEPTED = (202, action("accepted"))


class FakeNmid:
    """Answers POST, poll and healthz from lists; the last of a list answers for ever. An answer is
    (status, body, headers...) or DROP: the connection is closed."""

    def __init__(self, **answers):
        self.answers = {"health": [(200, {"status": "ok", "instance": "journal-1"})],
                        "post": [ACCEPTED], "poll": [DELIVERED], **answers}
        self.asked = collections.defaultdict(list)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def _handler(fake):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def take(self):
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else None
                kind = ("health" if self.path == "/healthz" else
                        "post" if self.command == "POST" else "poll")
                fake.asked[kind].append((self.path, dict(self.headers), body))
                answers = fake.answers[kind]
                answer = answers.pop(0) if len(answers) > 1 else answers[0]
                if answer is DROP:
                    self.close_connection = True
                    return
                status, data, *headers = answer
                data = data if isinstance(data, bytes) else json.dumps(data).encode()
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = take
        return Handler

    def keys(self):
        return [headers.get("Idempotency-Key") for _, headers, _ in self.asked["post"]]


class Base(db_base.DbTestCase):
    def setUp(self):
        super().setUp()
        conf.register()
        self.config(enabled_hardware_types=["nmid", "ipmi", "fake-hardware"],
                    enabled_management_interfaces=["nmid", "ipmitool", "fake"],
                    enabled_power_interfaces=["ipmitool", "fake"],
                    enabled_vendor_interfaces=["no-vendor", "fake"],
                    enabled_console_interfaces=["no-console", "fake"])
        for name in ("_is_option_supported", "_constructor_checks"):
            patch = mock.patch.object(ipmitool, name, autospec=True)
            patch.start()
            self.addCleanup(patch.stop)
        patch = mock.patch.object(client.Injection.__init__, "__defaults__",
                                  (client.time.monotonic, lambda _: None))
        patch.start()
        self.addCleanup(patch.stop)
        target._shared.clear()
        self.context.request_id = REQUEST

    def node(self, driver="nmid", **driver_info):
        return obj_utils.create_test_node(self.context, driver=driver,
                                          driver_info={**IPMI, **driver_info})

    def fake(self, **answers):
        nmid = FakeNmid(**answers)
        self.addCleanup(nmid.stop)
        return nmid

    def call(self, node, name):
        with task_manager.acquire(self.context, node.uuid, shared=False) as task:
            return getattr(task.driver.management, name)(task)

    def inject(self, nmid=None, node=None):
        """-> None, or the exception."""
        node = node or self.node(nmid_url=nmid.url)
        try:
            self.call(node, "validate")
            self.call(node, "inject_nmi")
        except exception.IronicException as caught:
            self.assertTrue(type(caught).__module__.startswith("ironic.common.exception"))
            self.assertNotIn(caught.code, REPEATED)
            return caught
        return None

    def unknown(self, caught, *words):
        self.assertEqual(caught.code, 500)
        for word in ("UNKNOWN", "Do not repeat", *words):
            self.assertIn(word, str(caught))


class Hardware(Base):
    def test_loaded_by_entry_points(self):
        self.assertIn("nmid", driver_factory.hardware_types())
        node = self.node()
        with task_manager.acquire(self.context, node.uuid) as task:
            self.assertIsInstance(task.driver.management, management.NmidManagement)
            self.assertIsInstance(task.driver.power, ipmitool.IPMIPower)

    def test_ipmi_beside_it(self):
        node = self.node("ipmi")
        with task_manager.acquire(self.context, node.uuid) as task:
            self.assertNotIsInstance(task.driver.management, management.NmidManagement)

    def test_back_to_ipmitool(self):
        node = obj_utils.create_test_node(self.context, driver="nmid", driver_info=IPMI,
                                          management_interface="ipmitool")
        with task_manager.acquire(self.context, node.uuid) as task:
            self.assertIs(type(task.driver.management), ipmitool.IPMIManagement)

    def test_properties(self):
        wanted = {*ipmitool.COMMON_PROPERTIES, *target.PROPERTIES}
        self.assertEqual(set(management.NmidManagement().get_properties()), wanted)
        self.assertLessEqual(wanted, set(driver_factory.get_hardware_type("nmid").get_properties()))
        self.assertNotIn("nmid_url", ipmitool.COMMON_PROPERTIES)

    def test_secrets_are_masked(self):
        masked = strutils.mask_dict_password({key: "x" for key in target.PROPERTIES}, "******")
        self.assertEqual({key for key in masked if masked[key] == "******"},
                         {"nmid_password", "nmid_token"})

    def test_version(self):
        text = (top_srcdir / "configure.ac").read_text()
        self.assertIn(f"AC_INIT([nmid], [{ironic_nmid.__version__}])", text)

    def test_sample_options(self):
        names = {option.dest for option in conf.list_opts()[0][1]}
        self.assertLessEqual({"url", "verify_ca", "outcome_timeout", "auth_type", "auth_url",
                              "cafile"}, names)


class Validate(Base):
    def check(self, wanted, words, **driver_info):
        node = self.node(**driver_info)
        caught = self.assertRaises(wanted, self.call, node, "validate")
        self.assertEqual(caught.code, 400)
        self.assertIn(words, str(caught))
        self.assertNotIn("s3cret", str(caught))
        node.destroy()

    def test_what_is_wrong(self):
        url, missing, invalid = ("http://127.0.0.1:8623", exception.MissingParameterValue,
                                 exception.InvalidParameterValue)
        self.check(missing, "where is nmid?")
        self.check(missing, "nmid_username but no nmid_url", nmid_username="me")
        self.check(missing, "no nmid_username", nmid_url=url, nmid_password="s3cret")
        self.check(missing, "no nmid_password", nmid_url=url, nmid_username="me")
        self.check(invalid, "both nmid_token and", nmid_url=url, nmid_username="me",
                   nmid_password="s3cret", nmid_token="s3cret")
        self.check(invalid, "holds a colon", nmid_url=url, nmid_username="m:e",
                   nmid_password="s3cret")
        self.check(invalid, "is no token", nmid_url=url, nmid_token="s3cret s3cret")
        self.check(invalid, "is no text", nmid_url=url, nmid_token="s3cret\r\nX: y")
        self.check(invalid, "is no text", nmid_url=17)
        for bad in ("127.0.0.1:8623", "ftp://h/s3cret", "http://", "http:///x", "http://h:99999",
                    "http://h h/", "unix:/run/nmid/s3cret", "http://[::1"):
            self.check(invalid, "is no URL of nmid", nmid_url=bad)
        self.check(invalid, "holds a user", nmid_url="http://me:s3cret@h")
        self.check(invalid, "a query", nmid_url="http://h/?x=s3cret")
        for bad in ("/no/such/file", "perhaps", 3, ""):
            self.check(invalid, "nmid_verify_ca", nmid_url=url, nmid_verify_ca=bad)
        self.check(missing, "ipmi_address", nmid_url=url, ipmi_address="")

    def test_good(self):
        for keys in ({"nmid_url": "http://[::1]:8623"}, {"nmid_url": "https://h/prefix/"},
                     {"nmid_url": "https://h", "nmid_verify_ca": "/"},
                     {"nmid_url": "https://h", "nmid_verify_ca": False},
                     {"nmid_url": "http://h", "nmid_token": "s3cret"}):
            node = self.node(**keys)
            self.call(node, "validate")
            self.assertEqual(target.of(node).url, keys["nmid_url"].rstrip("/"))
            node.destroy()

    def test_bad_conf(self):
        self.config(group="nmid", url="nowhere")
        self.check(exception.InvalidParameterValue, "[nmid]url of ironic.conf")
        self.config(group="nmid", url="http://h", verify_ca="/no/such/file")
        self.check(exception.InvalidParameterValue, "[nmid]verify_ca of ironic.conf")

    def test_wrong_type_in_conf(self):
        """oslo.config tells it when the option is looked at; that is no exception of Ironic's."""
        with mock.patch.object(target, "CONF") as config:
            type(config.nmid).url = mock.PropertyMock(
                side_effect=target.cfg.ConfigFileValueError("outcome_timeout: 1"))
            self.check(exception.InvalidParameterValue, "outcome_timeout: 1")


class Outcomes(Base):
    def test_delivered(self):
        nmid = self.fake(poll=[(200, action("sent")), DELIVERED])
        self.assertIsNone(self.inject(nmid))
        (path, headers, body), = nmid.asked["post"]
        self.assertRegex(path, r"^/agent/v1/nodes/[0-9a-f-]{36}/actions$")
        self.assertEqual(body, {"action": "inject_nmi"})
        self.assertEqual(headers["Idempotency-Key"], REQUEST)
        self.assertNotIn("Authorization", headers)
        self.assertEqual(len(nmid.asked["poll"]), 2)

    def test_at_once(self):
        nmid = self.fake(post=[(202, action(outcome="delivered"))])
        self.assertIsNone(self.inject(nmid))
        self.assertEqual(nmid.asked["poll"], [])

    def test_failed(self):
        caught = self.inject(self.fake(poll=[(200, action(outcome="failed", code="password"))]))
        self.assertEqual((type(caught), caught.code), (exception.DriverOperationError, 500))
        self.assertRegex(str(caught), "not delivered.*the words of nmid.*password.*" + ACTION)
        self.assertNotIn("UNKNOWN", str(caught))

    def test_unknown(self):
        self.unknown(self.inject(self.fake(poll=[(200, action(outcome="unknown"))])), ACTION,
                     "the words of nmid")

    def test_refusals(self):
        for status, code, wanted in (
                (400, "unsupported", 400), (401, "unauthorized", 500), (403, "forbidden", 500),
                (404, "node-not-found", 400), (409, "in-flight", 400), (409, "hold-off", 400),
                (409, "locked", 400), (409, "status", 400), (409, "powered-off", 400),
                (422, "idempotency-key", 400), (503, "journal", 500), (503, "stopping", 500),
                (503, "overloaded", 500), (503, "identity-service", 500),
                (503, "state-source", 500), (500, "memory", 500)):
            nmid = self.fake(post=[(status, error(code, action_id=EARLIER))])
            node = self.node(nmid_url=nmid.url)
            caught = self.inject(node=node)
            self.assertEqual(caught.code, wanted, code)
            for words in ("nothing was sent", "the words of nmid", code, EARLIER):
                self.assertIn(words, str(caught))
            self.assertEqual(len(nmid.asked["post"]), 1)
            node.destroy()

    def test_not_reached(self):
        nmid = FakeNmid()
        nmid.stop()
        caught = self.inject(nmid)
        self.assertEqual(caught.code, 500)
        self.assertRegex(str(caught), "not reached at http.*no NMI was sent.*refused")

    def test_something_else_is_there(self):
        for answer in ((200, b"<html>"), (404, {"error": "?"}), (200, {"status": "ok"}), DROP,
                       (302, b"", ("Location", "/healthz"))):
            nmid = self.fake(health=[answer])
            node = self.node(nmid_url=nmid.url)
            self.assertIn("no NMI was sent", str(self.inject(node=node)))
            self.assertEqual(nmid.asked["post"], [])
            node.destroy()

    def test_key_is_one(self):
        """Whatever the context holds: what goes out is a key."""
        for held in (None, "", "two words", "ä", "x" * 256, "a\r\nb", 5):
            self.context.request_id = held
            nmid = self.fake()
            node = self.node(nmid_url=nmid.url)
            self.assertIsNone(self.inject(node=node))
            self.assertRegex(nmid.keys()[0], r"^req-[0-9a-f-]{36}$")
            node.destroy()


class LostAnswers(Base):
    def setUp(self):
        super().setUp()
        self.config(group="nmid", outcome_timeout=5)

    def hurry(self):
        """The time that is left goes by with each question."""
        now = iter(range(10 ** 6))
        patch = mock.patch.object(client.Injection.__init__, "__defaults__",
                                  (lambda: next(now) / 10, lambda _: None))
        patch.start()
        self.addCleanup(patch.stop)

    def test_asked_again_under_the_same_key(self):
        for lost in (DROP, (502, b"<html>Bad Gateway"), (504, {"message": "late"}),
                     (202, b'{"id": "req-'), (202, {"id": "x"}), (200, b""),
                     (302, b"", ("Location", "http://127.0.0.1:1/"))):
            nmid = self.fake(post=[lost, lost, ACCEPTED])
            node = self.node(nmid_url=nmid.url)
            self.assertIsNone(self.inject(node=node), lost)
            self.assertEqual(nmid.keys(), [REQUEST] * 3)
            node.destroy()

    def test_another_journal(self):
        """Its keys are gone, so that a repeat would be a second injection."""
        nmid = self.fake(post=[DROP], health=[(200, {"instance": "journal-1"}),
                                              (200, {"instance": "journal-2"})])
        self.unknown(self.inject(nmid), "a new journal", REQUEST)
        self.assertEqual(len(nmid.keys()), 1)

    def test_refused_afterwards(self):
        """What was asked before may have been done all the same."""
        for status, code in ((503, "stopping"), (409, "hold-off"), (403, "forbidden"),
                             (404, "node-not-found"), (401, "unauthorized")):
            self.hurry()
            nmid = self.fake(post=[DROP, (status, error(code))])
            node = self.node(nmid_url=nmid.url)
            self.unknown(self.inject(node=node), "lost", "the words of nmid", REQUEST)
            self.assertEqual(set(nmid.keys()), {REQUEST})
            node.destroy()

    def test_gone_after_the_request(self):
        self.hurry()
        nmid = self.fake(post=[DROP], health=[(200, {"instance": "journal-1"}), DROP])
        self.unknown(self.inject(nmid), "lost", REQUEST)
        self.assertEqual(len(nmid.keys()), 1)

    def test_never_ends(self):
        self.hurry()
        nmid = self.fake(poll=[(200, action("sent"))])
        self.unknown(self.inject(nmid), "not told in time", ACTION)
        self.assertEqual(len(nmid.keys()), 1)

    def test_poll_lost(self):
        for lost in (DROP, (503, error("stopping")), (502, b"<html>"), (200, {"id": ACTION}),
                     (200, action(outcome="perhaps")), (200, action("sent", "delivered")),
                     (200, {**DELIVERED[1], "id": EARLIER})):
            nmid = self.fake(poll=[lost, DELIVERED])
            node = self.node(nmid_url=nmid.url)
            self.assertIsNone(self.inject(node=node), lost)
            self.assertEqual((len(nmid.keys()), len(nmid.asked["poll"])), (1, 2))
            node.destroy()

    def test_action_forgotten(self):
        nmid = self.fake(poll=[(404, error("not-found"))])
        self.unknown(self.inject(nmid), "does not tell", ACTION)
        self.assertEqual(len(nmid.keys()), 1)

    def test_endless_body(self):
        self.hurry()
        nmid = self.fake(poll=[(200, b" " * (2 << 20))])
        self.unknown(self.inject(nmid), ACTION)


class Credentials(Base):
    def sent(self, nmid):
        return [{key: value for key, value in headers.items()
                 if key in ("Authorization", "X-Auth-Token", "Cookie")}
                for kind in ("health", "post", "poll") for _, headers, _ in nmid.asked[kind]]

    def test_basic(self):
        nmid = self.fake()
        self.assertIsNone(self.inject(node=self.node(
            nmid_url=nmid.url, nmid_username="me", nmid_password="pass:wörd")))
        pair = base64.b64encode("me:pass:wörd".encode()).decode()
        self.assertEqual(self.sent(nmid), [{}] + [{"Authorization": f"Basic {pair}"}] * 2)

    def test_token(self):
        nmid = self.fake()
        self.assertIsNone(self.inject(node=self.node(nmid_url=nmid.url, nmid_token="tok")))
        self.assertEqual(self.sent(nmid), [{}] + [{"X-Auth-Token": "tok"}] * 2)

    def plugin(self, *tokens, invalidates=True):
        plugin = mock.Mock()
        plugin.get_headers.side_effect = [
            token if isinstance(token, Exception) else {"X-Auth-Token": token} for token in tokens]
        plugin.invalidate.return_value = invalidates
        for name, value in (("get_auth", plugin), ("get_session", mock.Mock())):
            patch = mock.patch.object(target.keystone, name, return_value=value)
            patch.start()
            self.addCleanup(patch.stop)
        self.config(group="nmid", auth_type="password")
        return plugin

    def test_conf(self):
        nmid, _ = self.fake(), self.plugin("a", "a")
        self.config(group="nmid", url=nmid.url + "/")
        self.assertIsNone(self.inject(node=self.node()))
        self.assertEqual(self.sent(nmid), [{}] + [{"X-Auth-Token": "a"}] * 2)

    def test_conf_is_not_for_a_nodes_url(self):
        """Who may edit a node would be sent the conductor's token otherwise."""
        nmid, plugin = self.fake(), self.plugin("a")
        self.config(group="nmid", url="http://127.0.0.1:1")
        self.assertIsNone(self.inject(nmid))
        self.assertEqual(self.sent(nmid), [{}] * 3)
        plugin.get_headers.assert_not_called()

    def test_new_token(self):
        nmid = self.fake(post=[(401, error("unauthorized")), ACCEPTED])
        plugin = self.plugin("old", "new", "new")
        self.config(group="nmid", url=nmid.url)
        self.assertIsNone(self.inject(node=self.node()))
        plugin.invalidate.assert_called_once_with()
        self.assertEqual(nmid.keys(), [REQUEST] * 2)
        self.assertEqual([sent.get("X-Auth-Token") for sent in self.sent(nmid)],
                         [None, "old", "new", "new"])

    def test_still_refused(self):
        nmid = self.fake(post=[(401, error("unauthorized"))])
        self.plugin("old", "new")
        self.config(group="nmid", url=nmid.url)
        caught = self.inject(node=self.node())
        self.assertEqual(caught.code, 500)
        self.assertIn("credentials", str(caught))
        self.assertEqual(len(nmid.keys()), 2)

    def test_no_token(self):
        nmid, _ = self.fake(), self.plugin(ks_exceptions.ConnectFailure("down"))
        self.config(group="nmid", url=nmid.url)
        caught = self.inject(node=self.node())
        self.assertEqual((type(caught), caught.code), (exception.KeystoneFailure, 500))
        self.assertEqual(nmid.keys(), [])

    def test_no_token_afterwards(self):
        """Keystone goes while the answer is lost: it is unknown, not failed."""
        nmid = self.fake(post=[DROP])
        self.plugin("a", *[ks_exceptions.ConnectFailure("down")] * 10 ** 4)
        self.config(group="nmid", url=nmid.url, outcome_timeout=5)
        now = iter(range(10 ** 6))
        with mock.patch.object(client.Injection.__init__, "__defaults__",
                               (lambda: next(now) / 10, lambda _: None)):
            self.unknown(self.inject(node=self.node()), "no token", REQUEST)
        self.assertEqual(nmid.keys(), [REQUEST])

    def test_environment_is_not_looked_at(self):
        """Neither a proxy nor a .netrc gets in between."""
        nmid = self.fake()
        home = Path(tempfile.mkdtemp(dir=installed))
        (home / ".netrc").write_text("machine 127.0.0.1 login x password y\n")
        with mock.patch.dict(os.environ, {"http_proxy": "http://127.0.0.1:1", "HOME": str(home)}):
            self.assertIsNone(self.inject(nmid))
        self.assertEqual(self.sent(nmid), [{}] * 3)


class NoSecretInTheLog(Base):
    def test_log(self):
        nmid = self.fake(post=[DROP, ACCEPTED], poll=[(200, action(outcome="unknown"))])
        for name in ("ironic_nmid.client", "ironic_nmid.management"):
            logging.getLogger(name).disabled = False  # alembic does that to all
        with self.assertLogs(level="DEBUG") as logs:
            self.unknown(self.inject(node=self.node(
                nmid_url=nmid.url, nmid_username="me", nmid_password="s3cret")))
        text = "\n".join(logs.output)
        self.assertIn(REQUEST, text)
        self.assertIn(ACTION, text)
        self.assertFalse(re.search("s3cret|bWU6", text), text)


if __name__ == "__main__":
    try:
        unittest.main(verbosity=2)
    finally:
        shutil.rmtree(installed)
