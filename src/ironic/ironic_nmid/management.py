# SPDX-License-Identifier: GPL-3.0-or-later
"""The management interface nmid.

Only exceptions of ironic.common.exception leave it: json-rpc makes another's text "Unexpected error
raised by RPC". Their codes are such that no client of Ironic repeats the request by itself: those
repeat 409 and 503 (and keystoneauth 401, with a new token), and each repeat would be a new request
with a key of its own.
"""
import re
import uuid

from ironic_lib import metrics_utils
from oslo_log import log

from ironic.common import exception
from ironic.conductor import task_manager
from ironic.drivers.modules import ipmitool
from ironic_nmid import client
from ironic_nmid import conf  # noqa: F401  its options
from ironic_nmid import target

LOG = log.getLogger(__name__)
METRICS = metrics_utils.get_metrics_logger(__name__)

KEY = re.compile(r"[!-~]{1,255}\Z")
DO_NOT_REPEAT = ("Do not repeat it before you have looked at the machine: a second NMI would "
                 "destroy the crash dump that it may be writing.")
# Of a refusal: what there is to do about it.
ADVICE = {
    "unauthorized": "it does not take the conductor's credentials (driver_info nmid_*, or [nmid] "
                    "in ironic.conf)",
    "forbidden": "its policy does not let the conductor's user inject",
    "node-not-found": "it has no such node, or does not show it to the conductor's user",
    "in-flight": "another request is at work on the node, or it is reserved; where nmid asks "
                 "Ironic for states it needs ignore_reservation = true",
}


def _key(task):
    """Ironic's id of the request, so that nmid's audit is found by it."""
    key = getattr(task.context, "request_id", None)
    return key if isinstance(key, str) and KEY.match(key) else f"req-{uuid.uuid4()}"


def _refused(task, refusal):
    """nmid's no as Ironic's exception: 400 where the node is in the way, 500 where nmid is."""
    text = (f"nmid did not inject an NMI into node {task.node.uuid}, nothing was sent: "
            f"{ADVICE.get(refusal.code, '')}{': ' if refusal.code in ADVICE else ''}"
            f"{refusal.message} ({refusal.code})")
    if refusal.action_id:
        text += f" [action {refusal.action_id}]"
    if refusal.status in (400, 404, 409, 422):
        return exception.Invalid(text)
    return exception.DriverOperationError(text)


class NmidManagement(ipmitool.IPMIManagement):
    """As ipmitool, but for inject_nmi."""

    def get_properties(self):
        return {**super().get_properties(), **target.PROPERTIES}

    @METRICS.timer("NmidManagement.validate")
    def validate(self, task):
        """nmid is not asked: this is done before everything that the interface does."""
        super().validate(task)
        target.of(task.node)

    @METRICS.timer("NmidManagement.inject_nmi")
    @task_manager.require_exclusive_lock
    def inject_nmi(self, task):
        """Returns when the BMC has taken the interrupt.

        :raises: Invalid when nmid refuses, because of the node
        :raises: DriverOperationError when the BMC did not take it, nmid is not there, or the
            outcome is unknown (its text says so)
        """
        node, key = task.node.uuid, _key(task)
        where = target.of(task.node)
        try:
            action = client.Injection(where, node, key).run()
        except client.Refused as refusal:
            LOG.error("nmid refused to inject an NMI into node %s (request %s): %s", node, key,
                      refusal.message)
            if refusal.status == 0:
                raise exception.DriverOperationError(
                    f"nmid is not reached at {where.url}, and no NMI was sent to node {node}: "
                    f"{refusal.message}") from None
            raise _refused(task, refusal) from None
        except client.Unknown as unknown:
            raise self._unknown(node, key, unknown.action_id, unknown.message) from None
        identity, message = action["id"], str(action.get("message") or action.get("code"))[:1000]
        if action["outcome"] == "unknown":
            raise self._unknown(node, key, identity, message)
        if action["outcome"] == "failed":
            LOG.error("nmid did not inject an NMI into node %s (request %s, action %s): %s", node,
                      key, identity, message)
            raise exception.DriverOperationError(
                f"The NMI was not delivered to node {node}: {message} ({action.get('code')}) "
                f"[nmid action {identity}]")
        LOG.info("nmid injected an NMI into node %s (request %s, action %s): %s", node, key,
                 identity, message)

    @staticmethod
    def _unknown(node, key, identity, why):
        LOG.error("Whether an NMI was injected into node %s is not known (request %s, action %s): "
                  "%s", node, key, identity, why)
        which = f"nmid action {identity}" if identity else f"Idempotency-Key {key}"
        return exception.DriverOperationError(
            f"The outcome is UNKNOWN: node {node} may have got the NMI, or may get it yet. "
            f"{DO_NOT_REPEAT} {why} [{which}]")
