# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose addresses are whose."""
import enum


class Block(enum.IntEnum):
    """An attack of block B has 10.77.B.x, and those behind."""
    BASIC = 16
    TOKENS = 20
    SLOW = 24
    READERS = 28
    CHURN = 32
    RUBBISH = 36
    TLS = 40
    FLOOD = 44
    POLLS = 48
    FORCE = 52
    LEAVERS = 56
    CROWD = 60
    IDLERS = 64
