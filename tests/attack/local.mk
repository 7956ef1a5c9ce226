# SPDX-License-Identifier: GPL-3.0-or-later
# nmid under attack: the short form in make check; make check-attack ATTACK="--minutes 10 ..." is the
# long one, and fails where there can be no network namespace.
TESTS += tests/attack/test_attack.py
EXTRA_DIST += tests/attack/test_attack.py tests/attack/attack.py tests/attack/target.py \
	tests/attack/client.py tests/attack/assault.py tests/attack/squads.py tests/attack/blocks.py \
	tests/attack/guess.py tests/attack/linger.py tests/attack/litter.py tests/attack/greed.py \
	tests/attack/spoof.py tests/attack/shapes.py tests/attack/wire.py tests/attack/watch.py \
	tests/attack/verdict.py
check-attack: nmid tests/sim/bmcsim
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON3) $(srcdir)/tests/attack/attack.py $(ATTACK)
