"""Makes a bundle from the lists that a publisher's configuration names, built-in ones first, in gather's order."""

import re
from collections.abc import Sequence
from pathlib import Path

from blocker.bundle import archive, granted, manifest
from blocker.bundle.manifest import EXCEPTIONS, FORMAT, KEYS, LISTS, KeyRecord, Listed, Manifest
from blocker.config import Lists
from blocker.errors import BundleError, ListError
from blocker.exceptions.entry import Entry
from blocker.lists import check, gather, marked
from blocker.lists.gather import Sources


def make(
    lists: Lists,
    *,
    serial: int,
    created: int,
    expires: int,
    publisher: str,
    record: KeyRecord | None = None,
    entries: Sequence[Entry] = (),
) -> tuple[Manifest, bytes]:
    """Return the manifest and the octets of a bundle; times are unix time. The same input gives the same octets.

    Of `entries`, exceptions, the approved ones go along.

    Raises ListError for lists that no node would load, BundleError for what a bundle cannot hold.
    """
    sources = gather.gather(lists)
    if problems := check.problems(sources):
        raise ListError(problems)
    names = _names(lists)
    files: dict[str, bytes] = {}
    for path, name in names.items():
        try:
            files[name] = path.read_bytes()
        except OSError as error:
            raise BundleError([f"{path}: cannot be read: {error.strerror}. Check its permissions."]) from error
    if record is not None:
        files[KEYS] = record.octets()
    if content := granted.octets(entries):
        files[EXCEPTIONS] = content
    try:
        said = Manifest(
            format=FORMAT,
            serial=serial,
            created=manifest.written(created),
            expires=manifest.written(expires),
            publisher=publisher,
            files=tuple(manifest.described(name, files[name]) for name in sorted(files)),
            lists=tuple(_listed(sources, {str(path): name for path, name in names.items()})),
        )
    except ValueError as error:
        raise BundleError([f"this makes no manifest: {error}"]) from error
    return said, archive.build(said, files)


def read_record(path: Path) -> KeyRecord:
    """Return the set of keys that a person wrote in the file at `path`, YAML or JSON. Raises BundleError."""
    try:
        document = marked.read(path)
    except ListError as error:
        raise BundleError(error.problems) from error
    said = document.data if isinstance(document.data, dict) else {}
    try:
        return KeyRecord.model_validate({key: tuple(v) if isinstance(v, list) else v for key, v in said.items()})
    except ValueError as error:
        raise BundleError([f"{path}: not a set of keys: {error}"]) from error


def _names(lists: Lists) -> dict[Path, str]:
    """Return the name in the archive of each file that makes up the lists."""
    found: dict[Path, str] = {}
    last: Path | None = None
    number = -1
    for path, built_in in gather.files(lists):
        if path.parent != last:
            last, number = path.parent, number + 1
        slug = "built-in" if built_in else re.sub(r"[^a-z0-9]+", "-", last.name.lower()).strip("-")[:32]
        name = f"{LISTS}/{number:02}-{slug or 'lists'}/{path.name}"
        if manifest.part_of(name) is None:
            raise BundleError([f"{path}: a bundle cannot hold a file of this name. Use letters, digits, '-' and '.'."])
        found[path] = name
    return found


def _listed(sources: Sources, names: dict[str, str]) -> list[Listed]:
    """Describe the lists; built-in ones show their bare name, which is unique among those."""
    bare = {Path(path).name: name for path, name in names.items() if Path(path).parent == gather.BUILT_IN}
    found = [
        Listed(
            name=names.get(each.file) or bare[each.file],
            app=each.app,
            title=each.title,
            entries=len(each.entries),
            reviewed=each.reviewed,
            review_by=each.review_by,
        )
        for each in sources.lists
    ]
    found += [
        Listed(name=names[file.file], app=file.app, title=file.app, entries=len(file.keys)) for file in sources.files
    ]
    return sorted(found, key=lambda each: each.name)
