#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Runs each harness tests/fuzz/fuzz_X over its corpus tests/fuzz/corpus/X. Every corpus has its
# harness and every harness its corpus, or it fails.
# usage: replay.sh (from make check, which sets top_srcdir, top_builddir and FUZZ_HARNESSES)
set -u
failures=0
names=0

for name in ${FUZZ_HARNESSES:?}; do
    names=$((names + 1))
    corpus=$top_srcdir/tests/fuzz/corpus/$name
    set -- "$corpus"/*
    if [ ! -e "$1" ]; then
        echo "$name: no corpus in $corpus"
        failures=$((failures + 1))
    elif ! "$top_builddir/tests/fuzz/fuzz_$name" -runs=0 "$corpus"; then
        echo "$name: failed"
        failures=$((failures + 1))
    else
        echo "$name: $# inputs passed"
    fi
done
for corpus in "$top_srcdir"/tests/fuzz/corpus/*/; do
    name=$(basename "$corpus")
    case " $FUZZ_HARNESSES " in
    *" $name "*) ;;
    *)
        echo "$name: a corpus without a harness"
        failures=$((failures + 1))
        ;;
    esac
done
[ "$names" -gt 0 ] && [ "$failures" -eq 0 ]
