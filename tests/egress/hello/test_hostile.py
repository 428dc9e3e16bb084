"""Ten thousand hostile beginnings; `make bench ARGS=parsers` reads a million."""

from hypothesis import HealthCheck, given, settings

from tests.egress.hello import hostile

many = settings(max_examples=5000, deadline=None, database=None, suppress_health_check=list(HealthCheck))


@many
@given(hostile.streams)
def test_no_octets_make_a_reader_raise(data):
    hostile.check_stream(data)


@many
@given(hostile.frames)
def test_no_frames_inside_a_sound_packet_make_it_raise(payload):
    hostile.check_frames(payload)
