# SPDX-License-Identifier: GPL-3.0-or-later
sbin_PROGRAMS += nmid
nmid_SOURCES = src/main.c
nmid_LDADD = $(NMID_LIBS)
# It holds paths of the configuration, which make cannot see change.
src/main.$(OBJEXT): Makefile
