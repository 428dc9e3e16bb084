"""The section on what is looked at on the wire."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from blocker.config.section import Section
from blocker.config.values import Interface, off


class Watching(Section):
    """Find banned apps by what their connections say: server names, hosts, protocols of their own."""

    interfaces: tuple[Interface, ...] = Field(default=(), max_length=16)
    """Where packets are looked at, on the devices' side; none: nowhere. Changes need a restart."""
    enforce: bool = False
    """Cut what is found out, which takes `egress.enabled`; else it is only noted."""
    promiscuous: bool = True
    """See packets for other machines too, as on a mirror port."""
    unresolved: Annotated[Literal["off", "monitor"], BeforeValidator(off)] = "off"
    """Note connections to addresses that no answer seen on the wire led to."""
