"""Commands as a user types them: their output, and the line of an error."""

from click.testing import CliRunner, Result

from boursomatic_assets.cli.main import main

SECRET = "s3cret-p4ss"

DAY = "2024-02-28"
"""The last session but one of the filled platform, of both markets."""


def boursomatic(*words: str) -> Result:
    """Run a command in this process."""
    return CliRunner().invoke(main, list(words))


def error_line(result: Result) -> str:
    """The one line on stderr of a command that failed."""
    assert result.exit_code != 0
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    lines = [line for line in result.stderr.splitlines() if not line.startswith(("Usage:", "Try ")) and line]
    assert len(lines) == 1, result.stderr
    assert lines[0].lower().startswith("error: ")
    assert "Traceback" not in result.output
    return lines[0]
