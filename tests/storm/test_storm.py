# SPDX-License-Identifier: GPL-3.0-or-later
"""The storm in small, for make check: 500 BMCs. NMID_TEST_SEED repeats the random choices (not the
times) of a run; make storm is the long one."""
import collections
import os
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "system"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import lab  # noqa: E402
import storm  # noqa: E402


class Small(lab.TestCase):
    time_limit = 600

    def test_storm(self):
        seed = int(os.environ.get("NMID_TEST_SEED") or random.SystemRandom().randrange(2**31))
        print(f"NMID_TEST_SEED={seed}", flush=True)
        record, found = storm.run(self, storm.Options(actions=500, seed=seed, kills=6, window=48))
        self.assertEqual(found, [])
        self.check_that_it_blew(record)

    def check_that_it_blew(self, record):
        """A storm that nobody felt proves nothing."""
        outcomes = collections.Counter(action["outcome"] for action in record.journal)
        codes = collections.Counter(action["code"] for action in record.journal)
        print(dict(outcomes), dict(codes))
        for outcome, least in (("delivered", 50), ("failed", 20), ("unknown", 20)):
            self.assertGreaterEqual(outcomes[outcome], least, outcomes)
        for code in ("daemon-stopped", "stopping", "no-answer"):
            self.assertGreater(codes[code], 0, codes)
        heard = {said.who for said in record.said}
        self.assertLessEqual({*storm.MIX, "watcher"}, heard)


if __name__ == "__main__":
    lab.main()
