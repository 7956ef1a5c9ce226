# SPDX-License-Identifier: GPL-3.0-or-later
"""Which attacks go together in a process of assault.py."""
import greed
import guess
import linger
import litter
import spoof

SQUADS = {
    "guessers": (guess.bad_passwords, guess.bad_tokens),
    "slow": (linger.slow_clients, linger.slow_readers, linger.vanishing, linger.idlers,
             linger.crowd),
    "rubbish": (litter.giants, litter.endless, litter.smuggling, litter.rubbish, litter.churn,
                litter.tls_rubbish, litter.handshakes),
    "flood": (greed.flood,),
    "greedy": (greed.long_polls, greed.too_many_actions, greed.leavers),
    "spoofers": (spoof.spoofed,),
}
