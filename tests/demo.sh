#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# One NMI from end to end, on this machine alone: OpenIPMI's ipmi_sim as the BMC, nmid, nmictl.
#     demo.sh BUILD SOURCE
# Everything runs on free ports of 127.0.0.1, keeps its state in a temporary directory, and is
# stopped at the end, whatever happens.
set -eu
build=$1 source=$2
dir=$(mktemp -d "${TMPDIR:-/tmp}/nmid-demo.XXXXXX")
sim= nmid=
finish() {
    status=$?
    trap - EXIT INT TERM
    for pid in $nmid $sim; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    [ $status -eq 0 ] || { echo "demo: failed; the logs:" >&2; tail -n 20 "$dir"/*.log >&2; }
    rm -rf "$dir"
    exit $status
}
trap finish EXIT
trap 'exit 130' INT TERM

# await SECONDS COMMAND...: until the command succeeds.
await() {
    tries=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || { echo "demo: gave up waiting for: $*" >&2; exit 1; }
        sleep 0.05
    done
}
run() {
    printf '\n$ %s\n' "$*"
    "$@"
}

port=$(python3 -c 'import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$source/tests/sim/ipmi_sim_start.sh" "$dir" "$port" "$build/tests/sim/ipmi_sim_diag.so" \
    >"$dir/ipmi_sim.log" 2>&1 &
sim=$!
await 10 ipmitool -I lanplus -C 3 -H 127.0.0.1 -p "$port" -U admin -P secret -R 1 -N 1 \
    chassis power status
echo "A simulated BMC (OpenIPMI's ipmi_sim) answers on UDP port $port. Its configuration in nmid:"

cat >"$dir/nmid.conf" <<CONF
listen = ( { address = "127.0.0.1"; port = 0; } );
state_dir = "$dir/state";
nodes = (
  { uuid = "1be26c0b-03f2-4d2e-ae87-c02d7f33c781"; name = "rack1-n1";
    driver_info = { ipmi_address = "127.0.0.1"; ipmi_port = $port;
                    ipmi_username = "admin"; ipmi_password = "secret"; }; }
);
CONF
chmod 600 "$dir/nmid.conf"
sed 's/^/    /; s/"secret"/"******"/' "$dir/nmid.conf"
run "$build/nmid" -t -c "$dir/nmid.conf" 2>/dev/null
"$build/nmid" -c "$dir/nmid.conf" 2>"$dir/nmid.log" &
nmid=$!
await 10 grep -q 'is ready' "$dir/nmid.log"
NMID_URL=http://127.0.0.1:$(sed -n 's/.*listening on 127.0.0.1://p' "$dir/nmid.log")
export NMID_URL

run "$build/nmictl" nodes
run "$build/nmictl" probe rack1-n1
run "$build/nmictl" inject-nmi rack1-n1
run "$build/nmictl" actions
printf '\nThe same as Nova would ask, again at once: the first dump must not be destroyed.\n'
run curl -sS -X PUT --json '{"inject_nmi": null}' -w '\nHTTP status %{http_code}\n' \
    "$NMID_URL/v2.1/servers/rack1-n1/action"

count=$(cat "$dir/nmi.count")
printf '\nThe BMC itself counted %s diagnostic interrupt(s).\n' "$count"
[ "$count" = 1 ] || { echo "demo: expected exactly 1" >&2; exit 1; }
