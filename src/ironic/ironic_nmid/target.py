# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nmid a node is asked for at, and as whom: from its driver_info, or from ironic.conf.

The credentials of ironic.conf go to the URL of ironic.conf and nowhere else: who may edit a node's
driver_info could otherwise have them sent to a URL of their own.
"""
import base64
import os
from urllib import parse

from keystoneauth1 import exceptions as ks_exceptions
from oslo_config import cfg
from oslo_utils import strutils

from ironic.common import exception
from ironic.common import keystone
from ironic.conf import CONF

PROPERTIES = {
    "nmid_url": "Where nmid is, http or https. Optional; required without the option url in the "
                "section [nmid] of the conductor's ironic.conf. With it the credentials are those "
                "of the driver_info alone.",
    "nmid_username": "The user of nmid's http_basic. Optional.",
    "nmid_password": "The password of nmid_username. Optional.",
    "nmid_token": "A token that nmid takes as X-Auth-Token, instead of a user. Optional.",
    "nmid_verify_ca": "For https: True, False, or the path of a file or directory with the "
                      "certificates of CAs. Optional; True by default.",
}
# Those that say who asks.
CREDENTIALS = ("nmid_username", "nmid_password", "nmid_token")


class Target:
    """url: without a slash at its end. verify: as requests takes it. plugin: of keystoneauth, or
    None; headers are then fixed. timeout_s: how long an outcome is waited for."""

    timeout_s = 50

    def __init__(self, url, verify, headers=None, plugin=None):
        self.url, self.verify, self.plugin = url, verify, plugin
        self._headers, self._session = headers or {}, None

    def headers(self):
        """Who asks; raises ironic.common.exception's."""
        if self.plugin is None:
            return self._headers
        try:
            self._session = self._session or keystone.get_session("nmid", auth=self.plugin)
            return self.plugin.get_headers(self._session) or {}
        except ks_exceptions.ClientException as error:
            raise exception.KeystoneFailure(
                f"the conductor has no token for nmid: {type(error).__name__}") from None

    def forget(self):
        """The headers were refused. True: there may be better ones now."""
        return self.plugin is not None and bool(self.plugin.invalidate())


def _text(node, info, key):
    value = info.get(key)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not value.isprintable():
        raise exception.InvalidParameterValue(
            f"driver_info/{key} of node {node.uuid} is no text")
    return value


def _check_url(url, where):
    """The URL is not shown: it may hold what it must not."""
    try:
        parts = parse.urlsplit(url)
        good = (parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
                and not any(char.isspace() for char in url))
    except ValueError:
        good = False
    if not good:
        raise exception.InvalidParameterValue(
            f"{where} is no URL of nmid: it is like http://10.0.0.5:8623")
    if "@" in parts.netloc:
        raise exception.InvalidParameterValue(
            f"{where} holds a user: that goes to nmid_username and nmid_password, or to "
            "ironic.conf")
    if parts.query or parts.fragment:
        raise exception.InvalidParameterValue(f"{where} has a query or a fragment")
    return url.rstrip("/")


def _verify(value, where):
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value:
        if os.path.exists(value):
            return value
        try:
            return strutils.bool_from_string(value, strict=True)
        except ValueError:
            pass
    raise exception.InvalidParameterValue(
        f"{where} is neither True, False nor a file or directory that is there")


def _of_node(node, info, url):
    user, password, token = (_text(node, info, key) for key in CREDENTIALS)
    if token and (user or password):
        raise exception.InvalidParameterValue(
            f"driver_info of node {node.uuid} has both nmid_token and nmid_username or "
            "nmid_password: which one?")
    if password and not user:
        raise exception.MissingParameterValue(
            f"driver_info of node {node.uuid} has nmid_password but no nmid_username")
    if user and not password:
        raise exception.MissingParameterValue(
            f"driver_info of node {node.uuid} has nmid_username but no nmid_password")
    headers = {}
    if user:
        if ":" in user:
            raise exception.InvalidParameterValue(
                f"driver_info/nmid_username of node {node.uuid} holds a colon")
        pair = base64.b64encode(f"{user}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {pair}"}
    elif token:
        if not token.isascii() or " " in token:
            raise exception.InvalidParameterValue(
                f"driver_info/nmid_token of node {node.uuid} is no token")
        headers = {"X-Auth-Token": token}
    verify = info.get("nmid_verify_ca")
    return Target(_check_url(url, f"driver_info/nmid_url of node {node.uuid}"),
                  True if verify is None else
                  _verify(verify, f"driver_info/nmid_verify_ca of node {node.uuid}"), headers)


_shared = {}  # the plugin of ironic.conf, which keeps its token between injections


def _of_conf(node, info):
    alone = [key for key in PROPERTIES if info.get(key) not in (None, "")]
    if alone:
        raise exception.MissingParameterValue(
            f"driver_info of node {node.uuid} has {', '.join(alone)} but no nmid_url")
    if not CONF.nmid.url:
        raise exception.MissingParameterValue(
            f"where is nmid? Neither has node {node.uuid} a driver_info/nmid_url, nor the section "
            "[nmid] of the conductor's ironic.conf an url")
    url = _check_url(CONF.nmid.url, "[nmid]url of ironic.conf")
    verify = _verify(CONF.nmid.verify_ca, "[nmid]verify_ca of ironic.conf")
    if CONF.nmid.auth_type in (None, "", "none"):
        return Target(url, verify)
    if url not in _shared:
        _shared.clear()
        _shared[url] = keystone.get_auth("nmid")
    return Target(url, verify, plugin=_shared[url])


def of(node):
    """The Target of a node; raises MissingParameterValue and InvalidParameterValue with what is
    wrong, never with a secret."""
    info = node.driver_info or {}
    url = _text(node, info, "nmid_url")
    try:
        where = _of_node(node, info, url) if url else _of_conf(node, info)
        where.timeout_s = CONF.nmid.outcome_timeout
    except cfg.Error as error:  # told when an option is looked at, not when the file is read
        raise exception.InvalidParameterValue(f"[nmid] in ironic.conf: {error}") from None
    return where
