"""What an account without privileges may read, though Python and pytest's folders lie where only root can look."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.e2e.conftest import need
from tests.e2e.daemon import product


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Yield a folder that others may walk through, unlike pytest's own."""
    made = Path(tempfile.mkdtemp(prefix="blocker-test-"))
    made.chmod(0o755)
    yield made
    assert not [path for path in made.iterdir() if path.is_mount()]  # what is mounted here belongs to others
    shutil.rmtree(made)


def readable(folder: Path) -> tuple[str, ...]:
    """Return the command that shows a child process an installation that everybody can read, where ours is root's.

    It has a mount table of its own; nothing changes for others.
    """
    needed = [Path(os.__file__).parents[2], Path(sys.prefix), product()]
    closed = {top for path in needed for top in path.parents if not top.stat().st_mode & 0o001}
    tops = [top for top in closed if not closed & set(top.parents)]
    lines = ["set -e"]
    for number, top in enumerate(sorted(tops)):
        hidden = folder / f"hidden{number}"
        lines += [
            f"mkdir -p {hidden}",
            f"mount --bind {top} {hidden}",
            f"mount -t tmpfs -o mode=755 blocker-test {top}",
        ]
        for path in filter(lambda path, top=top: top in path.parents, needed):
            lines += [f"mkdir -p {path}", f"mount --bind {hidden / path.relative_to(top)} {path}"]
    script = "; ".join([*lines, 'exec "$@"'])
    if tops:
        works = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode == 0
        need(works, "Python lies where only root can read, and this machine allows no mount table of our own")
    return ("unshare", "--mount", "sh", "-c", script, "sh") if tops else ()
