# SPDX-License-Identifier: GPL-3.0-or-later
sbin_PROGRAMS += nmid
nmid_SOURCES = src/main.c
nmid_LDADD = $(NMID_LIBS)
