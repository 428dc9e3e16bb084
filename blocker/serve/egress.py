"""The process that changes the kernel's rules, and the only one that may; DNS goes on without it, and so do its rules.

    generation -> ruleset -> nft -> table inet blocker
    workers    -> what clients are about to be told -> sets

Started by its keeper by fork, and again when it dies. Reads nothing that a device sent.
"""

import signal
import socket
import threading
from functools import partial
from typing import Final

import setproctitle

from blocker import config as configuration
from blocker.bundle import current as bundles
from blocker.config import Config
from blocker.egress.cutter import Cutter
from blocker.egress.gatekeeper import Gatekeeper
from blocker.egress.known import Known
from blocker.egress.learner import Learner
from blocker.egress.netlink import Netlink
from blocker.egress.precedence import Precedence, YieldingNetlink
from blocker.egress.rtnetlink import Rtnetlink
from blocker.errors import BlockerError
from blocker.lists import gather
from blocker.serve import priority
from blocker.serve.excepted import Standing
from blocker.serve.generation import Generation
from blocker.serve.link import Link
from blocker.serve.rules import Rules
from blocker.sinks import capture, companions, oplog
from blocker.sinks.region import Region

_BEAT: Final = 1.0  # seconds between signs of life


def run(
    config: Config, supervisor: socket.socket, asked: socket.socket, region: Region, cuts: socket.socket | None = None
) -> int:
    """Be the egress process: the body of a forked child. Returns its exit status.

    `asked` is the listening socket (packets) at which workers ask for changes of sets; on `cuts` come connections that
    were found out.
    """
    setproctitle.setproctitle("blocker: egress")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the supervisor says when
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    precedence = Precedence()
    if cuts is not None:
        cutter = Cutter(cuts, YieldingNetlink(precedence), oplog.get("egress").error, partial(capture.uncut, region))
        threading.Thread(target=cutter.run, name="cutter", daemon=True).start()
    return Egress(config, Link(supervisor), asked, region, precedence).serve()


class Egress:
    """Everything the egress process does, tied together."""

    def __init__(
        self, config: Config, link: Link, asked: socket.socket, region: Region, precedence: Precedence
    ) -> None:
        """Talk with the supervisor over `link`, and show signs of life in `region`."""
        self._config = config
        self._link = link
        folder = configuration.state_dir(config)
        self._gate = Gatekeeper(
            asked,
            YieldingNetlink(precedence),
            Netlink(),
            Rtnetlink(),
            config.egress.gating,
            region,
            lambda said, reply: self._learner.hear(said, reply),
        )
        self._learner = Learner(YieldingNetlink(precedence), self._gate.look_up, self._gate.announce, folder)
        self._region = region
        self._rules = Rules(folder, self._made, precedence)

    def serve(self) -> int:
        """Serve until the supervisor says stop, or is gone; the rules stay."""
        companions.begin(self._region)
        priority.be_prompt()  # answers wait for us
        threading.Thread(target=self._beat, name="beat", daemon=True).start()
        self._gate.start()
        self._learner.start()
        self._rules.start()
        self._link.inquire()
        for event in self._link.events():
            if event["event"] == "stop":
                break
            if event["event"] == "generation":
                self._rules.adopt(Standing.of(event["standing"]))
        self._learner.stop()
        self._gate.stop()
        return 0

    def _made(self, generation: Generation) -> None:
        """Go on with rules and sets that were just made: those who fill the sets look at them anew."""
        config = generation.config
        self._gate.adopt(config.egress.gating)
        known: Known | None = None
        if config.egress.learned:
            try:
                lists = bundles.in_force(config).lists
                needed = [each.name for each in gather.required(lists).needed.values()]
                known = Known(config, generation.index, generation.servers, needed, gather.shared_parents(lists))
            except BlockerError as error:
                oplog.get("egress").error("addresses are learned by the former lists", why=str(error))
                return
        self._learner.adopt(known, config.egress.learning)

    def _beat(self) -> None:
        stop = threading.Event()
        while not stop.wait(_BEAT):
            companions.beat(self._region)
