"""A question on a terminal."""

import sys

import click


def ask(question: str) -> str:
    """The answer, stripped; "" at the end of input. The question goes to stderr: stdout is for results."""
    click.echo(question, nl=False, err=True)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        click.echo(err=True)
    return answer.strip()
