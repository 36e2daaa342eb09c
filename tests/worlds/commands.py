"""Commands as a person types them: what they answer, and how they refuse."""

from click.testing import CliRunner, Result

from boursomatic_assets.cli.main import main

SECRET = "s3cret-p4ss"


def boursomatic(*words: str) -> Result:
    return CliRunner().invoke(main, list(words))


def refusal(result: Result) -> str:
    """The one line on stderr of a command that refused."""
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try ")) and line]
    assert len(lines) == 1, result.stderr
    assert lines[0].lower().startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]
