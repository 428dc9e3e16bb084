"""The egress process's end of a worker's line, held by a test, and a loop to play in."""

import asyncio
import socket

from blocker.egress import talk

PATIENCE = 5.0  # seconds


class End:
    """A listening socket in `folder`, and the line that somebody has made to it."""

    def __init__(self, folder):
        self.loop = asyncio.get_running_loop()
        self.path = folder / "egress.sock"
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen()
        self.egress = None

    async def begin(self):
        """Take the line, once it is there."""
        await self.turn()
        self.accept()

    def accept(self):
        """Be the egress process, or the one that takes its place."""
        if self.egress is not None:
            self.egress.close()
        self.egress, _ = self.listener.accept()
        self.egress.setblocking(False)

    async def asked(self):
        """Return the next message."""
        async with asyncio.timeout(PATIENCE):
            return talk.read(await self.loop.sock_recv(self.egress, talk.MAX_MESSAGE))

    async def turn(self):
        """Let the loop do what is due."""
        for _ in range(3):
            await asyncio.sleep(0)

    async def until(self, true):
        """Wait until something is true."""
        async with asyncio.timeout(PATIENCE):
            while not true():
                await asyncio.sleep(0.002)

    def close(self):
        if self.egress is not None:
            self.egress.close()
        self.listener.close()


def play(make, script):
    """Run a script with the rig that `make` makes in a loop of its own."""

    async def whole():
        rig = make()
        try:
            await rig.begin()
            await script(rig)
        finally:
            rig.close()

    asyncio.run(whole())
