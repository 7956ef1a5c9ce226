#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Makes the recordings of this folder anew:
#     make.sh BUILD [DIR]
# BUILD is a built tree (make check TESTS=), DIR where they go (this folder). It starts ipmi_sim and
# bmcsim on free ports of loopback and ends them. The times differ from run to run.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd)
into=${2:-$here}
work=$(mktemp -d)
sims=
trap 'for pid in $sims; do kill "$pid" 2>/dev/null || :; done; wait; rm -rf "$work"' EXIT

# A UDP port that nobody has now.
free_port() {
    python3 -c 'import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# record FILE PORT NAME=VALUE ...
record() {
    file=$1 to=$2
    shift 2
    printf '%s: ' "$file"
    "$build/tests/replay/record" 127.0.0.1 "$to" "$@" 2>&1 >"$into/$file"
}

# A command for bmcsim.
bmcsim() {
    python3 -c 'import socket, sys; s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])
s.sendall((sys.argv[2] + "\n").encode()); print(s.makefile().readline(), end="")' \
        "$work/control" "$1" | grep -v '"ok"' || :
}

# ---- OpenIPMI's ipmi_sim ----
port=$(free_port)
"$here/../sim/ipmi_sim_start.sh" "$work/ipmi_sim" "$port" "$build/tests/sim/ipmi_sim_diag.so" \
    </dev/null >"$work/ipmi_sim.log" 2>&1 &
sims="$sims $!"
until ipmitool -I lanplus -C 3 -H 127.0.0.1 -p "$port" -U admin -P secret chassis power status \
    >/dev/null 2>&1; do :; done
sim="note=OpenIPMI ipmi_sim 2.0.33"
record sim_suite_3.txt "$port" "$sim" suites=3 seed=1
record sim_1_5.txt "$port" "$sim" version=1.5 seed=2
record sim_17_then_3.txt "$port" "$sim" suites=17,3 seed=3
record sim_probe.txt "$port" "$sim" suites=3 probe=1 seed=4
record sim_wrong_password.txt "$port" "$sim" suites=3 password=wrong seed=5
record sim_wrong_password_1_5.txt "$port" "$sim" version=1.5 password=wrong seed=6 \
    retransmit=100000
record sim_unknown_user.txt "$port" "$sim" suites=3 user=nobody seed=7
record sim_unknown_user_1_5.txt "$port" "$sim" version=1.5 user=nobody seed=8
record sim_sel.txt "$port" "$sim" suites=3 seed=22 sel=1
record sim_sel_1_5.txt "$port" "$sim" version=1.5 seed=23 sel=1
ipmitool -I lanplus -C 3 -H 127.0.0.1 -p "$port" -U admin -P secret chassis power off >/dev/null
record sim_powered_off.txt "$port" "$sim" suites=3 seed=9
record sim_powered_off_1_5.txt "$port" "$sim" version=1.5 seed=10

# ---- bmcsim ----
"$build/tests/sim/bmcsim" --first 127.0.0.1 --count 1 --port 0 --control "$work/control" --seed 1 \
    >"$work/bmcsim.log" &
sims="$sims $!"
until grep -q '^ready' "$work/bmcsim.log"; do :; done
port=$(sed -n 's/^ready port=\([0-9]*\) .*/\1/p' "$work/bmcsim.log")
sim="note=bmcsim"
record bmc_suite_17.txt "$port" "$sim" suites=17,3 seed=11
record bmc_suite_3.txt "$port" "$sim" suites=3 seed=12
record bmc_1_5.txt "$port" "$sim" version=1.5 seed=13
record bmc_wrong_password.txt "$port" "$sim" suites=17 password=wrong seed=14
record bmc_unknown_user.txt "$port" "$sim" suites=17 user=nobody seed=15
bmcsim "set all suites 3"
record bmc_17_refused.txt "$port" "$sim, suites 3" suites=17 seed=16
record bmc_17_then_3.txt "$port" "$sim, suites 3" suites=17,3 seed=17
bmcsim "set all suites 3,17"
bmcsim "set all completion d5"
record bmc_d5.txt "$port" "$sim, completion d5" suites=17 seed=18
bmcsim "reset all"
bmcsim "set all lose_response control:1"
record bmc_answer_lost.txt "$port" "$sim, lose_response control:1" suites=17 seed=19 answer=300000
bmcsim "reset all"
bmcsim "set all lose_response any:3"
record bmc_answers_lost.txt "$port" "$sim, lose_response any:3" suites=17 seed=20 \
    retransmit=100000
bmcsim "reset all"
# The silence: what is recorded is the probe, the SEL, the second interrupt.
bmcsim "set all sel off"
silent() { # FILE KIND_OF_LOSS NAME=VALUE ...
    file=$1 loss=$2
    shift 2
    bmcsim "set all $loss control:1"
    record "$file" "$port" "$sim, $loss control:1" answer=300000 retransmit=100000 "$@"
}
silent bmc_request_lost.txt lose_request suites=17 seed=24
silent bmc_request_lost_1_5.txt lose_request version=1.5 seed=25
silent bmc_no_sel.txt lose_response suites=17 seed=26 sel=1
silent bmc_resent.txt lose_request suites=17 seed=27 sel=1 resend=1
bmcsim "set all sel on"
bmcsim "sel all 4 1"
silent bmc_sel.txt lose_response suites=17 seed=29 sel=1
silent bmc_sel_1_5.txt lose_response version=1.5 seed=30 sel=1
silent bmc_sel_nothing.txt lose_request suites=3 seed=31 sel=1
bmcsim "set all lose_probe_request 1"
silent bmc_probe_lost.txt lose_response suites=17 seed=32
bmcsim "reset all"
bmcsim "set all control_delay_ms 350"
bmcsim "set all control_blocks on"
record bmc_late.txt "$port" "$sim, control_delay_ms 350, blocks" suites=17 seed=33 answer=300000 \
    retransmit=100000
bmcsim "reset all"
bmcsim "set all completion c0"
record bmc_busy.txt "$port" "$sim, completion c0" suites=17 seed=34 timeout=3000000 retry_busy=1
bmcsim "reset all"
bmcsim "set all power off"
record bmc_powered_off.txt "$port" "$sim, power off" suites=17 seed=21
bmcsim quit
