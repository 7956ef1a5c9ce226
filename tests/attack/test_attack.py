# SPDX-License-Identifier: GPL-3.0-or-later
"""The attack in small, for make check; make check-attack is the long one."""
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import lab  # noqa: E402
import netns  # noqa: E402
import attack  # noqa: E402
import target  # noqa: E402


class Small(lab.TestCase):
    time_limit = 600

    def test_attack(self):
        if lab.sanitized():
            self.skipTest("a sanitizer keeps what is freed, and memory is looked at")
        self.assertEqual(attack.run(self, attack.Options()), [])


if __name__ == "__main__":
    netns.enter((target.NETWORK,))
    lab.main(needs=("htpasswd", "openssl"))
