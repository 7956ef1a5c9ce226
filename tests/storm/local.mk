# SPDX-License-Identifier: GPL-3.0-or-later
# nmid in a storm: 500 BMCs in make check; make storm N=10000 SEED=1 STORM="--tools 20" is the long run.
TESTS += tests/storm/test_verdict.py tests/storm/test_storm.py
EXTRA_DIST += tests/storm/test_verdict.py tests/storm/test_storm.py tests/storm/storm.py \
	tests/storm/callers.py tests/storm/fleet.py tests/storm/verdict.py tests/storm/table.py \
	tests/storm/tools.py
storm: nmid nmictl tests/sim/bmcsim
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		N='$(N)' SEED='$(SEED)' $(PYTHON3) $(srcdir)/tests/storm/storm.py $(STORM)
