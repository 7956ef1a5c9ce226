# SPDX-License-Identifier: GPL-3.0-or-later
libnmid_a_SOURCES += src/drivers/ipmi_info.c src/drivers/ipmi_info.h
