from click.testing import CliRunner

from blocker.cli import blocker


def test_the_group_names_its_commands():
    said = CliRunner().invoke(blocker, ["egress", "--help"])
    assert said.exit_code == 0
    assert "watch" in said.output
