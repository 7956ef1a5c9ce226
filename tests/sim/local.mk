# SPDX-License-Identifier: GPL-3.0-or-later
check_PROGRAMS += tests/sim/bmcsim
tests_sim_bmcsim_SOURCES = \
	tests/sim/answer.c \
	tests/sim/bmc.h \
	tests/sim/bmc15.c \
	tests/sim/bmc20.c \
	tests/sim/bmcsim.c \
	tests/sim/command.c tests/sim/command.h \
	tests/sim/control.c \
	tests/sim/crypt.c tests/sim/crypt.h \
	tests/sim/faults.c \
	tests/sim/flow.h \
	tests/sim/jobs.c \
	tests/sim/net.c \
	tests/sim/order.c \
	tests/sim/sel.c tests/sim/sel.h \
	tests/sim/session.c \
	tests/sim/settings.c tests/sim/settings.h \
	tests/sim/setup20.c \
	tests/sim/sim.h \
	tests/sim/wire.h
tests_sim_bmcsim_CPPFLAGS = -D_GNU_SOURCE
tests_sim_bmcsim_CFLAGS = $(AM_CFLAGS) $(GCRYPT_CFLAGS)
tests_sim_bmcsim_LDADD = $(GCRYPT_LIBS)

# Forged answers by the thousand.
check_PROGRAMS += tests/sim/flood
tests_sim_flood_SOURCES = tests/sim/flood.c
tests_sim_flood_CPPFLAGS = -D_GNU_SOURCE

# A module for ipmi_sim, which loads it: no libtool for one file, and no sanitizer in a stranger.
check_DATA += tests/sim/ipmi_sim_diag.so
CLEANFILES += tests/sim/ipmi_sim_diag.so
EXTRA_DIST += tests/sim/ipmi_sim_diag.c tests/sim/ipmi_sim_start.sh tests/sim/README.md
tests/sim/ipmi_sim_diag.so: $(srcdir)/tests/sim/ipmi_sim_diag.c
	$(AM_V_at)$(MKDIR_P) tests/sim
	$(AM_V_CC)$(CC) $(OPENIPMI_CFLAGS) $(CPPFLAGS) $(NMID_CPPFLAGS) $(NMID_CFLAGS) $(CFLAGS) \
		-D_GNU_SOURCE -fPIC -fvisibility=default -fno-sanitize=all -shared \
		-o $@ $(srcdir)/tests/sim/ipmi_sim_diag.c
