"""Rules in a kernel: whole or not at all, what was learned stays, and nothing of others is touched."""

import dataclasses
import json

import pytest

from blocker.egress import apply
from blocker.errors import KernelError
from tests.egress.namespace import Namespace
from tests.egress.rules import CONFIG, rendered


@pytest.fixture
def namespace():
    with Namespace() as made:
        yield made


def test_the_same_rules_twice_are_the_same_rules(tmp_path, namespace):
    rules = rendered(tmp_path)
    assert namespace.run(apply.table) is None
    namespace.run(lambda: apply.apply(rules))
    once = namespace.run(apply.listing)
    namespace.run(lambda: apply.apply(rules))
    assert namespace.run(apply.listing) == once
    held = namespace.run(apply.table)
    assert (held.digest, held.counters["refuse_staff_address_chat"]) == (rules.digest, 0)


def test_what_was_learned_outlives_new_rules_and_what_is_gone_goes(tmp_path, namespace):
    namespace.run(lambda: apply.apply(rendered(tmp_path)))
    namespace.nft("add element inet blocker learned_chat_4 { 192.0.2.77 timeout 1h }")
    namespace.nft("add element inet blocker gate_4 { 10.0.0.2 . 192.0.2.78 timeout 1h }")
    other = CONFIG.replace("interfaces: [lan]", "mode: node")
    namespace.run(lambda: apply.apply(rendered(tmp_path, other, {"chat": ["203.0.113.0/28"]})))
    assert "192.0.2.77" in namespace.listed("set inet blocker learned_chat_4")
    assert "10.0.0.2 . 192.0.2.78" in namespace.listed("set inet blocker gate_4")
    table = namespace.listed("table inet blocker")
    assert "203.0.113.0/28" in table
    assert "\t\t203.0.113.0/28" in namespace.run(apply.listing)  # a line for each element
    assert "staff" not in table
    assert "chain forward" not in table


def test_what_the_kernel_refuses_leaves_the_former_rules(tmp_path, namespace):
    rules = rendered(tmp_path)
    namespace.run(lambda: apply.apply(rules))
    before = namespace.run(apply.listing)
    broken = dataclasses.replace(rules, rules=(*rules.rules, ("refuse", "goto nowhere")))
    with pytest.raises(KernelError, match="The former rules stay in force"):
        namespace.run(lambda: apply.apply(broken))
    assert namespace.run(apply.listing) == before
    assert namespace.run(apply.table).digest == rules.digest


def test_sets_of_another_shape_are_made_anew(tmp_path, namespace):
    rules = rendered(tmp_path)
    former = dataclasses.replace(rules, kept=rules.kept | {"gate_4": "type ipv4_addr; flags timeout;"})
    rest = tuple(rule for rule in rules.rules if "@gate_4" not in rule[1])
    namespace.run(lambda: apply.apply(dataclasses.replace(former, rules=rest)))
    namespace.run(lambda: apply.apply(rules))
    assert "type ipv4_addr . ipv4_addr" in namespace.listed("set inet blocker gate_4")


def test_hooks_of_another_shape_are_made_anew(tmp_path, namespace):
    namespace.nft("add table inet blocker\nadd chain inet blocker forward { type filter hook input priority 5; }")
    rules = rendered(tmp_path)
    namespace.run(lambda: apply.apply(rules))
    assert "hook forward" in namespace.listed("chain inet blocker forward")
    assert namespace.run(apply.table).digest == rules.digest


def test_what_render_prints_can_be_loaded_again_and_again(tmp_path, namespace):
    rules = rendered(tmp_path)
    namespace.run(lambda: apply.apply(rules))
    wanted = namespace.run(apply.listing)
    for _ in range(2):
        namespace.nft(apply.whole(rules))
        assert namespace.run(apply.listing) == wanted
        assert namespace.run(apply.table).digest == rules.digest


def test_tables_of_others_are_nobodys_business(tmp_path, namespace):
    namespace.nft("add table inet theirs\nadd set inet theirs s { type ipv4_addr; elements = { 192.0.2.1 }; }")
    namespace.nft("add chain inet theirs c\nadd rule inet theirs c ip daddr @s drop")
    theirs = namespace.listed("table inet theirs")
    namespace.run(lambda: apply.apply(rendered(tmp_path)))
    assert namespace.run(apply.remove) is True
    assert namespace.run(apply.remove) is False
    assert namespace.listed("tables").split() == ["table", "inet", "theirs"]
    assert namespace.listed("table inet theirs") == theirs


def test_a_listing_tells_nothing_that_was_learned(tmp_path, namespace):
    namespace.run(lambda: apply.apply(rendered(tmp_path)))
    before = namespace.run(apply.listing)
    elements = ", ".join(f"192.0.2.{last} timeout 1h" for last in range(1, 60))
    namespace.nft(f"add element inet blocker learned_chat_4 {{ {elements} }}")
    assert namespace.run(apply.listing) == before


def test_without_nft_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(apply, "_PATH", "/nowhere")
    with pytest.raises(KernelError, match="Install nftables"):
        apply.nft("list tables")


def test_flowtables_of_anybody_are_found(monkeypatch, namespace):
    assert namespace.run(apply.flowtables) == []
    one = {"flowtable": {"family": "inet", "name": "fast", "table": "fw4", "handle": 2, "dev": ["lan", "wan"]}}
    said = json.dumps({"nftables": [{"metainfo": {"json_schema_version": 1}}, one]})
    monkeypatch.setattr(apply, "nft", lambda *_: said)
    assert apply.flowtables() == ["inet fw4 fast"]
