"""Whatever is done to a chain is found, at the right line; and nothing is found where nothing was done."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocker.config import Rotation
from blocker.evidence import files, keys
from blocker.evidence.chain import End, behind, joined, parse
from blocker.evidence.checkpoint import body, statement
from blocker.evidence.verify import MAX_FINDINGS, Kind, Verifier
from tests.evidence.records import new_key, written


def check(lines, trouble=lambda checkpoint: "", copies=(), since=0):
    """Return the kinds of findings with the line of each."""
    verifier = Verifier(trouble, copies, since)
    verifier.feed("a", lines)
    verifier.finish()
    return [(finding.kind, finding.line) for finding in verifier.findings]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    new_key(folder / "k")
    return written(folder / "a", range(8), key_file=folder / "k.key")  # start, 8 records, checkpoint


def test_nothing_is_found_where_nothing_was_done(whole):
    assert check(whole) == []


AT = range(10)


@pytest.mark.parametrize("at", AT)
def test_a_changed_line_is_found(whole, at):
    line = whole[at].replace(b"2026", b"2025", 1)
    assert (Kind.CHANGED, at + 1) in check([*whole[:at], line, *whole[at + 1 :]])


@pytest.mark.parametrize("at", AT[:-1])
def test_a_line_that_was_sealed_anew_is_found_at_the_next(whole, at):
    before = End(at, parse(whole[at - 1][:-1]).hash if at else b"0" * 64)
    entry = parse(whole[at][:-1])
    text = whole[at][: whole[at].index(b',"node"')].replace(b"2026", b"2025", 1)
    line = joined(before, [text], b"dns1", [entry.place])[0]
    assert check([*whole[:at], line, *whole[at + 1 :]])[0] in [(Kind.CHANGED, at + 2), (Kind.CHECKPOINT, at + 2)]


@pytest.mark.parametrize("at", AT[1:-1])
def test_a_removed_line_is_found(whole, at):
    found = check(whole[:at] + whole[at + 1 :])
    assert found[0] == (Kind.MISSING, at + 1)
    assert found[1:] == ([(Kind.CHECKPOINT, 9)] if at == 8 else [])  # nor does what spoke for it hold any more


@pytest.mark.parametrize("at", AT[:-1])
def test_swapped_lines_are_found(whole, at):
    found = check([*whole[:at], whole[at + 1], whole[at], *whole[at + 2 :]])
    assert (Kind.ORDER if at else Kind.ANEW, at + 2) in found


@pytest.mark.parametrize("at", AT)
def test_a_repeated_line_is_found(whole, at):
    found = check([*whole[: at + 1], whole[at], *whole[at + 1 :]])
    assert found in ([(Kind.ORDER, at + 2)], [(Kind.ANEW, at + 2)])


@pytest.mark.parametrize("at", AT)
@pytest.mark.parametrize(
    "line", [b'{"time":"2026-11-23T20:12:01.000000Z","n":9}\n', b"\n", b"\xff\n", b"x" * 70_000 + b"\n"]
)
def test_an_inserted_line_is_found(whole, at, line):
    assert check([*whole[:at], line, *whole[at:]]) == [(Kind.UNCHAINED, at + 1)]


@pytest.mark.parametrize("at", AT[1:])
def test_a_forged_line_with_the_right_number_is_found(whole, at):
    (line,) = joined(End(at, b"f" * 64), [b'{"time":"2026-11-23T20:12:01.000000Z"'], b"dns1", [None])
    assert check([*whole[:at], line, *whole[at:]])[0] == (Kind.CHANGED, at + 1)


@pytest.mark.parametrize("size", range(1, 10))
def test_a_cut_is_found_by_a_checkpoint_that_left_the_machine(whole, size, tmp_path):
    (tmp_path / "copies").write_bytes(whole[-1])
    copies = list(files.copies(tmp_path / "copies"))
    assert check(whole[:size], copies=copies) == [(Kind.CUT, 0)]
    assert check(whole, copies=copies) == []
    verifier = Verifier(lambda checkpoint: "")
    verifier.feed("a", whole[:size])
    assert not verifier.nodes[b"dns1"].final  # without it, all that can be said is that it was not closed in order


def test_a_cut_in_the_middle_of_a_line_is_found(whole):
    assert check([*whole[:-1], whole[-1][:-20]]) == [(Kind.TORN, 10)]


def test_a_copy_that_says_other_things_is_a_finding(whole, tmp_path):
    other = written(tmp_path / "b", range(100, 108))
    (tmp_path / "copies").write_bytes(other[-1])
    assert check(whole, copies=files.copies(tmp_path / "copies")) == [(Kind.CHECKPOINT, 9)]


def test_a_record_that_was_written_twice_is_found(whole):
    entry = parse(whole[3][:-1])
    said = whole[3][: whole[3].index(b',"node"')]
    at = End(9, parse(whole[8][:-1]).hash)
    assert check([*whole[:9], *joined(at, [said], b"dns1", [entry.place])]) == [(Kind.REPEATED, 10)]


def test_a_chain_that_begins_anew_is_found(whole, tmp_path):
    assert check([*whole, *written(tmp_path / "b", range(3))]) == [(Kind.ANEW, 11)]


def test_two_nodes_in_one_file_are_two_chains(whole, tmp_path):
    other = written(tmp_path / "b", range(8), node="dns2")
    mixed = [line for pair in zip(whole, other, strict=True) for line in pair]
    assert check(mixed) == []


@pytest.mark.parametrize(("since", "expected"), [(0, [(Kind.MISSING, 1)]), (3, [(Kind.MISSING, 1)]), (4, [])])
def test_lines_before_the_first_are_missing_unless_somebody_knows_better(whole, since, expected):
    assert check(whole[4:], since=since) == expected


def test_a_first_line_that_says_nothing_of_the_one_before_it_is_not_sure(whole):
    verifier = Verifier(lambda checkpoint: "", since=4)
    verifier.feed("a", whole[4:])
    verifier.finish()
    (node,) = verifier.nodes.values()
    assert (verifier.count, node.first, node.sure) == (0, 4, False)


def test_every_changed_octet_is_found(whole):
    data = b"".join(whole)
    for at in range(len(data)):
        for octet in {data[at] ^ 1, 10, 32, 48} - {data[at]}:
            assert check((data[:at] + bytes((octet,)) + data[at + 1 :]).splitlines(keepends=True)), (at, octet)


# Checkpoints.


def forged(whole, **changes):
    """Return the chain with a checkpoint that states something else; sealed well, as who holds the file can do."""
    end = End(9, parse(whole[8][:-1]).hash)
    said = statement(changes.get("node", "dns1"), changes.get("end", end), 1.7e9, final=False)
    signature = whole[-1].partition(b'"signature":"')[2].partition(b'"')[0].decode().replace("\\n", "\n")
    return [*whole[:9], *joined(end, [body(said, signature, 1.7e9)], b"dns1", [None])]


@pytest.mark.parametrize("changes", [{}, {"node": "dns2"}, {"end": End(9, b"f" * 64)}, {"end": End(5, b"f" * 64)}])
def test_a_forged_checkpoint_is_found(whole, tmp_path_factory, changes):
    public = keys.read(next(tmp_path_factory.getbasetemp().glob("whole*/k.pub")))
    trouble = lambda found: keys.trouble(found, [public])  # noqa: E731
    assert check(whole, trouble) == []
    assert check(forged(whole, **changes), trouble) == [(Kind.CHECKPOINT, 10)]


def test_a_swapped_key_is_found(whole, tmp_path):
    stranger = keys.read(new_key(tmp_path / "stranger"))
    assert check(whole, lambda found: keys.trouble(found, [stranger])) == [(Kind.CHECKPOINT, 10)]


@pytest.mark.parametrize("end", [behind, None])
def test_a_checkpoint_that_cannot_be_read_is_found(whole, end):
    end = End(9, parse(whole[8][:-1]).hash)
    bad = b'{"time":"2026-11-23T20:12:01.000000Z","event":"checkpoint","statement":7'
    assert check([*whole[:9], *joined(end, [bad], b"dns1", [None])]) == [(Kind.CHECKPOINT, 10)]


# Several files.


@pytest.fixture
def rotated(tmp_path):
    """Return the files of a chain that was rotated twice, in order."""
    path = tmp_path / "log"
    paths = []
    for turn in range(3):
        written(path, range(10 * turn, 10 * turn + 10), rotation=Rotation(size=100))
        paths.append(tmp_path / f"z{turn * 7 % 5}")  # no name tells the order
        path.rename(paths[-1])
    return paths


def over(paths):
    verifier = Verifier(lambda checkpoint: "")
    for path in files.in_order(paths):
        verifier.feed(path.name, files.lines(path))
    return [finding.kind for finding in verifier.findings], [node.records for node in verifier.nodes.values()]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize("packed", [False, True])
def test_files_are_read_in_their_order(rotated, order, packed):
    if packed:
        rotated[0].write_bytes(gzip.compress(rotated[0].read_bytes()))
    assert over([rotated[at] for at in order]) == ([], [30])


def test_a_missing_file_is_found(rotated):
    assert over([rotated[0], rotated[2]]) == ([Kind.MISSING], [20])


def test_the_same_file_twice_is_found(rotated, tmp_path):
    again = tmp_path / "again"
    again.write_bytes(rotated[1].read_bytes())
    assert set(over([*rotated, again])[0]) == {Kind.ORDER}


# Anything.


@given(st.lists(st.binary(max_size=60) | st.builds(lambda x: x + b"\n", st.binary(max_size=60)), max_size=20))
def test_any_octets_are_a_finding_never_an_exception(lines):
    assert len(check(lines)) == len(lines)


@given(
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 500), st.binary(max_size=4)), min_size=1, max_size=5),
    st.permutations(range(10)),
    st.integers(0, 1),
)
def test_any_damage_is_a_finding_never_an_exception(whole, cuts, order, shuffled):
    lines = [whole[at] for at in order] if shuffled else list(whole)
    for at, column, octets in cuts:
        lines[at] = lines[at][:column] + octets + lines[at][column + len(octets) :]
    assert bool(check(lines)) == (lines != whole)


def test_findings_are_bounded():
    verifier = Verifier(lambda checkpoint: "")
    verifier.feed("a", (b"\n" for _ in range(MAX_FINDINGS + 5)))
    assert (len(verifier.findings), verifier.count) == (MAX_FINDINGS, MAX_FINDINGS + 5)
