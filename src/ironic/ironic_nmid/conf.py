# SPDX-License-Identifier: GPL-3.0-or-later
"""The section [nmid] of ironic.conf."""
from keystoneauth1 import loading
from oslo_config import cfg

from ironic.conf import CONF

GROUP = cfg.OptGroup("nmid", title="nmid, the daemon that injects non-maskable interrupts")

OPTIONS = [
    cfg.StrOpt("url",
               help="Where nmid is, e.g. http://127.0.0.1:8623. A node's driver_info/nmid_url goes "
                    "before it, with the credentials of the driver_info."),
    cfg.StrOpt("verify_ca", default="True",
               help="For https: True, False, or the path of a file or directory with the "
                    "certificates of the CAs that nmid's certificate may be from."),
    cfg.IntOpt("outcome_timeout", default=50, min=5, max=600,
               help="How many seconds inject_nmi waits for the outcome at most; the node is "
                    "reserved meanwhile. What has no outcome then is told to be unknown. Keep it "
                    "above nmid's ipmi.timeout_ms, and below [DEFAULT]rpc_response_timeout or "
                    "[json_rpc]timeout."),
]


def register(conf=CONF):
    """Our options, and those by which keystoneauth logs in (auth_type and what it needs)."""
    conf.register_group(GROUP)
    conf.register_opts(OPTIONS, group=GROUP)
    loading.register_auth_conf_options(conf, GROUP.name)
    loading.register_session_conf_options(conf, GROUP.name)
    conf.set_default("timeout", 20, group=GROUP.name)  # of a log-in: else it has none


def list_opts():
    """For oslo-config-generator."""
    plugins = [option for name in ("password", "v3applicationcredential", "http_basic")
               for option in loading.get_auth_plugin_conf_options(name)]
    more = (loading.get_auth_common_conf_options() + loading.get_session_conf_options() + plugins)
    return [(GROUP, OPTIONS + list({option.dest: option for option in more}.values()))]


register()
