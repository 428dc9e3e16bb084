"""DuckDB, started for one piece of work: bounded memory, what does not fit goes to a scratch folder, no network.

Knows nothing of logs and lists. DuckDB comes with the extra `simulate`, and is imported only here.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final, Self, TextIO

from blocker.errors import EngineError

if TYPE_CHECKING:
    import duckdb

_ROWS: Final = 8192  # fetched at once
_POLL: Final = 0.1  # seconds between two looks at how far a statement is
_LEAST_MEMORY: Final = 64  # MiB

Progress = Callable[[str, float], None]
"""Hears what is being done and how far it is, 0 to 1."""


def silent(_what: str, _share: float) -> None:
    """Hear nothing."""


class Engine:
    """A database in the folder `scratch`, which goes away with it."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", scratch: Path, progress: Progress) -> None:
        self.scratch = scratch
        self.progress = progress
        self._connection = connection
        self._files = 0

    @classmethod
    @contextmanager
    def opened(cls, *, memory: int, threads: int | None = None, progress: Progress = silent) -> "Iterator[Self]":
        """Give an engine that takes `memory` MiB and `threads` cores (None: all we may use). Raises EngineError."""
        try:
            import duckdb
        except ImportError as error:
            raise EngineError(
                "this command needs DuckDB, which is not installed. Install it: pip install 'blocker[simulate]'"
            ) from error
        with TemporaryDirectory(prefix="blocker-simulate-") as folder:
            connection = duckdb.connect(str(Path(folder) / "scratch.db"))
            try:
                connection.execute(f"SET memory_limit = '{max(memory, _LEAST_MEMORY)}MiB'")
                connection.execute(f"SET temp_directory = {text(folder + '/spill')}")
                connection.execute("SET enable_progress_bar = true")  # else nobody hears how far a statement is, ...
                connection.execute("SET enable_progress_bar_print = false")  # ... and DuckDB writes it to our output
                connection.execute("SET preserve_insertion_order = false")
                connection.execute("SET autoinstall_known_extensions = false")
                connection.execute("SET autoload_known_extensions = false")
                # DuckDB counts the machine's cores, and two threads on one core are slower than one.
                connection.execute(f"SET threads = {threads or len(os.sched_getaffinity(0))}")
                yield cls(connection, Path(folder), progress)
            except duckdb.Error as error:
                why = str(error).partition("\n")[0]
                raise EngineError(
                    f"DuckDB gave up: {why}. Give it more memory (--memory), or more space than {Path(folder).parent}"
                    " has (set TMPDIR); else look into the logs."
                ) from error
            finally:
                connection.close()

    def run(self, sql: str, what: str) -> None:
        """Run a long statement, telling how far it is; an interrupt stops it."""
        self._executed(sql, (), what)
        self.progress(what, 1.0)

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> Iterator[tuple[Any, ...]]:
        """Yield the rows of a SELECT, a bounded number at a time; nothing else may run meanwhile."""
        found = self._executed(sql, parameters)
        while some := found.fetchmany(_ROWS):
            yield from some

    def row(self, sql: str, parameters: Sequence[object] = ()) -> tuple[Any, ...]:
        """Return the only row of a SELECT."""
        (found,) = self._executed(sql, parameters).fetchall()
        return found

    def _executed(self, sql: str, parameters: Sequence[object], what: str = "") -> "duckdb.DuckDBPyConnection":
        """Execute a statement in a thread of its own: in ours DuckDB would make an error of its own of a signal."""
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(self._connection.execute, sql, list(parameters))
            try:
                while True:
                    try:
                        return running.result(_POLL)
                    except NotYet:
                        if running.done():
                            raise
                        if what:
                            self.progress(what, max(self._connection.query_progress(), 0.0) / 100)
            except BaseException:
                self._connection.interrupt()
                raise

    def linked(self, path: Path, suffix: str) -> str:
        """Return, as an SQL text, a plain name for the file at `path`: its own could hold a pattern or a quote."""
        link = self.new_file(suffix)
        link.symlink_to(path.absolute())
        return text(str(link))

    def new_file(self, suffix: str) -> Path:
        """Return the path of a new file in the scratch folder."""
        self._files += 1
        return self.scratch / f"{self._files}{suffix}"

    def load(self, table: str, columns: Sequence[tuple[str, str]], path: Path) -> None:
        """Make a table of a file that a Spool wrote; `columns` are names and types."""
        self._connection.execute(f"CREATE TEMP TABLE {table} AS {spooled(columns, [text(str(path))])}")


class Spool:
    """Rows on their way into the engine, through a file: that is where it is fast. Use as a context.

    Values must be printable and hold no tab: whoever writes has checked them.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        self._file: TextIO = self.path.open("w", encoding="utf-8", newline="\n", buffering=1 << 20)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, *values: object) -> None:
        """Add a row."""
        self._file.write("\t".join(map(str, values)) + "\n")


def spooled(columns: Sequence[tuple[str, str]], files: Sequence[str]) -> str:
    """Return the SELECT of what Spools wrote to `files`, SQL texts."""
    kept = ", ".join(text(name) for name, _ in columns)  # an empty text stays one
    types = ", ".join(f"'{name}': '{kind}'" for name, kind in columns)
    return (
        f"SELECT * FROM read_csv([{', '.join(files)}], delim = '\t', quote = '', escape = '', header = false,"  # noqa: S608
        f" auto_detect = false, null_padding = false, force_not_null = [{kept}],"
        f" columns = {{{types}}})"
    )


def text(value: str) -> str:
    """Return `value` as a text in SQL."""
    return "'" + value.replace("'", "''") + "'"
