import pytest
import yaml

from blocker import config
from blocker.errors import ConfigError


def loaded(tmp_path, egress):
    path = tmp_path / "blocker.yaml"
    path.write_text(yaml.safe_dump({"egress": egress}))
    return config.load(path, {}).egress.watch


def test_nothing_is_looked_at_unless_said(tmp_path):
    watch = loaded(tmp_path, {})
    assert (watch.interfaces, watch.enforce, watch.unresolved) == ((), False, "off")


def test_a_bare_off_is_what_it_was_meant_to_be(tmp_path):
    assert loaded(tmp_path, {"watch": {"unresolved": False}}).unresolved == "off"


def test_a_mirror_port_beside_a_gateway_is_only_looked_at(tmp_path):
    said = {"enabled": True, "interfaces": ["lan0"], "watch": {"interfaces": ["lan0", "span0"]}}
    said |= {"devices": ["192.0.2.0/24"], "dns": "reject"}
    assert not loaded(tmp_path, said).enforce


@pytest.mark.parametrize(("egress", "problem"), [
    ({"watch": {"enforce": True}}, "set egress.enabled to true"),
    ({"watch": {"interfaces": ["lan0", "lan0"]}}, "'lan0' is written twice"),
    ({"watch": {"interfaces": ["not one"]}}, "'not one' is not the name of a network interface"),
    ({"watch": {"unresolved": "enforce"}}, "unresolved"),
    ({"enabled": True, "interfaces": ["lan0"], "watch": {"interfaces": ["lan0", "span0"], "enforce": True}},
     "'span0' is not among egress.interfaces: nothing is cut there"),
])  # fmt: skip
def test_mistakes(tmp_path, egress, problem):
    with pytest.raises(ConfigError, match=problem):
        loaded(tmp_path, egress)
