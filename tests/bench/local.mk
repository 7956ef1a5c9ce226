# SPDX-License-Identifier: GPL-3.0-or-later
# Speed is measured here and asserted nowhere. BENCH="--nodes 1000 --delay 20" changes what runs.
EXTRA_DIST += tests/bench/bench.py
bench: nmid nmictl tests/sim/bmcsim
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON3) $(srcdir)/tests/bench/bench.py $(BENCH)

# What resend and retry_busy win and risk: the table of the manual. RESEND="--nodes 1000" changes it.
EXTRA_DIST += tests/bench/resend.py
bench-resend: nmid tests/sim/bmcsim
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHONDONTWRITEBYTECODE=1 \
		$(PYTHON3) $(srcdir)/tests/bench/resend.py $(RESEND)
