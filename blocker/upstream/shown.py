"""What is counted of each upstream, shown in the worker's region; what a former worker of the slot counted stays."""

from collections.abc import Sequence
from typing import Final

from blocker.sinks.region import MAX_UPSTREAMS, Region, UpstreamWord, Word
from blocker.upstream.pool import Server

_COUNTERS: Final = tuple(
    (word, word.name.lower())
    for word in (
        UpstreamWord.QUERIES,
        UpstreamWord.RESPONSES,
        UpstreamWord.TIMEOUTS,
        UpstreamWord.TCP_QUERIES,
        UpstreamWord.ERRORS,
        UpstreamWord.REFUSALS,
    )
)


class Shown:
    """The words of one worker's upstreams."""

    def __init__(self, region: Region, servers: Sequence[Server]) -> None:
        self._region = region
        self._servers = servers
        self._words = [region.upstream(number, str(each.endpoint)) for number, each in enumerate(servers)]
        for number in range(len(servers), MAX_UPSTREAMS):
            region.upstream(number, "")  # one that is asked no longer must not be shown as it once was
        self._bases = [list(words) for words in self._words]

    def publish(self, in_flight: int) -> None:
        """Show what was counted, and how many questions are on their way."""
        for server, words, base in zip(self._servers, self._words, self._bases, strict=True):
            for word, counter in _COUNTERS:
                words[word] = base[word] + getattr(server, counter)
            words[UpstreamWord.TIME_NS] = base[UpstreamWord.TIME_NS] + int(server.time * 1e9)
            words[UpstreamWord.HEALTHY] = not server.down
            words[UpstreamWord.SRTT_NS] = int(server.srtt * 1e9)
        self._region.words[Word.IN_FLIGHT] = in_flight
