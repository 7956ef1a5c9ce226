#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documents as `make install` leaves them: every page of docs/ is there, every link leads to
something that was installed, and so does every page that the manual names."""
import os
import re
import subprocess
from pathlib import Path

import lab

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
PAGES = ("nmid.8", "nmictl.1", "nmid.conf.5")


def prose(text):
    """Without code, in which brackets are no links."""
    return re.sub(r"(?ms)^```.*?^```$|`[^`\n]*`", "", text)


def anchors(text):
    """Those that a page's headings make, as the usual hosts and viewers name them."""
    titles = re.findall(r"(?m)^#+ +(.*)$", text)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


class Docs(lab.TestCase):
    def setUp(self):
        # Not as a part of the make that runs this: it would wait for that one's jobs.
        env = {name: value for name, value in os.environ.items()
               if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
        done = subprocess.run(["make", "-s", "-C", lab.top_builddir, "docdir=/doc", f"DESTDIR={self.dir}",
                               "install-nobase_dist_docDATA"], env=env, stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.top = self.dir / "doc"

    def test_all_are_there(self):
        pages = {page.name for page in (lab.top_srcdir / "docs").glob("*.md")}
        self.assertEqual({page.name for page in (self.top / "docs").iterdir()}, pages)
        self.assertTrue((self.top / "README.md").is_file())

    def test_links(self):
        seen = 0
        for page in sorted(self.top.rglob("*.md")):
            for link in LINK.findall(prose(page.read_text())):
                with self.subTest(page=page.name, link=link):
                    path, _, anchor = link.partition("#")
                    target = Path(os.path.normpath(page.parent / path)) if path else page
                    self.assertTrue(target.is_relative_to(self.top))
                    self.assertTrue(target.is_file())
                    if anchor:
                        self.assertIn(anchor, anchors(target.read_text()))
                seen += 1
        self.assertGreater(seen, 40)  # they are still found

    def test_the_manual(self):
        for name in PAGES:
            named = re.findall(r"\S+\.md\b", (lab.top_srcdir / "docs" / name).read_text())
            self.assertTrue(named, name)
            for path in named:
                with self.subTest(page=name, path=path):
                    self.assertTrue((self.top / path).is_file())


if __name__ == "__main__":
    lab.main(needs=("make",))
