#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The manual pages are clean under mandoc's lint, and each is there.
set -eu
cd "$top_srcdir/docs"
for page in nmid.8 nmictl.1 nmid.conf.5; do
    complaints=$(mandoc -T lint -W warning "$page") || true
    if [ -n "$complaints" ]; then
        echo "$complaints"
        exit 1
    fi
done
