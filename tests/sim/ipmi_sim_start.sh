#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs OpenIPMI's ipmi_sim as one BMC, in the foreground, its state in a fresh directory:
#     ipmi_sim_start.sh DIR PORT MODULE [ADDRESS]
# User admin, password "secret", cipher suite 3 and IPMI 1.5, powered on. DIR/nmi.count holds the
# number of diagnostic interrupts. MODULE is ipmi_sim_diag.so with an absolute path.
set -eu
if [ $# -lt 3 ]; then
    echo "usage: $0 DIR PORT MODULE [ADDRESS]" >&2
    exit 2
fi
dir=$1 port=$2 module=$3 address=${4:-127.0.0.1}
case $dir in /*) ;; *) dir=$PWD/$dir ;; esac
case $module in /*) ;; *) module=$PWD/$module ;; esac
mkdir -p "$dir/state"

cat >"$dir/lan.conf" <<CONF
name "lab"
set_working_mc 0x20
  startlan 1
    addr $address $port
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 1 false "" "" user 10 none md2 md5 straight
  user 2 true "admin" "secret" admin 10 none md2 md5 straight
loadlib "$module" "lan:$dir/nmi.count"
CONF
cat >"$dir/lan.emu" <<'EMU'
mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
sel_enable 0x20 1000 0x0a
mc_enable 0x20
EMU
exec ipmi_sim -c "$dir/lan.conf" -f "$dir/lan.emu" -s "$dir/state" -n
