"""Whom has each rollout reached? Gives the policies of a group's clients what is in shadow for them.

Pure. A percentage is by client: one number from 0 to 99 for each address, the same for every rollout, so that who is
reached at 10 is reached at 25 too, and a group has no more policies than there are different percentages.
"""

from bisect import bisect_right
from dataclasses import replace
from hashlib import blake2b
from typing import Final

from blocker.config import Plan, Rollout, Stage
from blocker.policy import Policy, Staged

BUCKETS: Final = 100
_LAN: Final = 8  # octets of an IPv6 address that count: devices change the rest every day (RFC 8981)


def bucket(address: bytes, salt: str) -> int:
    """Return the number, 0 to 99, of the client at `address` (4 or 16 octets); all of an IPv6 /64 have the same."""
    kept = address if len(address) == 4 else address[:_LAN]
    return int.from_bytes(blake2b(kept, digest_size=8, key=salt.encode()).digest()) % BUCKETS


class Stages:
    """The rollouts of one configuration; immutable but for what it remembers."""

    def __init__(self, rollout: Rollout) -> None:
        """Take the section `rollout`, its stages being those in force."""
        self._salt = rollout.salt
        self._plans = rollout.plans
        self._borders = sorted({plan.percent for plan in rollout.plans if plan.stage is Stage.PERCENT})
        self._made: dict[tuple[int, int], Policy] = {}  # by identity of the policy, which its owner keeps

    @property
    def by_client(self) -> bool:
        """Whether clients of one group may have different policies."""
        return bool(self._borders)

    def bucket(self, address: bytes) -> int:
        """Return the number of the client at `address`: `percent` reaches those below it."""
        return bucket(address, self._salt)

    def common(self, policy: Policy) -> Policy:
        """Return `policy` as it is for those whom no percentage has reached, who are the most."""
        return self._staged(policy, len(self._borders)) if self._plans else policy

    def of_client(self, policy: Policy, address: bytes) -> Policy:
        """Return what `common` has made as it is for the client at `address`."""
        band = bisect_right(self._borders, self.bucket(address))
        if band == len(self._borders):
            return policy
        made = self._made.get((id(policy), band))
        if made is None:
            made = self._made[id(policy), band] = self._staged(policy, band)
        return made

    def _staged(self, policy: Policy, band: int) -> Policy:
        """Return `policy` for clients between the borders around `band`; those below its upper one are reached."""
        apps: dict[str, Staged] = {}
        lists: dict[str, Staged] = {}
        reached = self._borders[band] if band < len(self._borders) else BUCKETS
        for plan in self._plans:
            staged = Staged(plan.name, shadow=not _reaches(plan, policy.group, reached))
            of = apps if plan.app else lists
            about = plan.app or plan.feed or plan.file or ""
            if about not in of or staged.shadow:  # of two about the same thing the one that holds it back
                of[about] = staged
        variant = f"{policy.variant} {reached}".strip() if reached < BUCKETS else policy.variant
        return replace(policy, staged_apps=apps, staged_lists=lists, variant=variant)


def _reaches(plan: Plan, group: str, reached: int) -> bool:
    if plan.stage is Stage.PERCENT and reached <= plan.percent:
        return True
    return plan.stage is Stage.ALL or (plan.stage is not Stage.SHADOW and group in plan.groups)
