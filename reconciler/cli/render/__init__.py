"""Renderers: pure functions from a `Plan` or a `Report` to text. They see nothing else."""

from typing import Literal

from reconciler.cli.render.style import PLAIN, Style
from reconciler.core.plan import Plan
from reconciler.core.report import Report

Format = Literal["text", "json", "markdown", "github"]
FORMATS: tuple[Format, ...] = ("text", "json", "markdown", "github")


def render_plan(
    plan: Plan,
    form: Format = "text",
    *,
    style: Style = PLAIN,
    full: bool = True,
    verbose: bool = False,
    budget: int | None = None,
) -> str:
    """`plan` in one of the formats. `budget` is for Markdown, in bytes; `full` and `verbose` for text."""
    if form == "json":
        from reconciler.cli.render.machine import render_json

        return render_json(plan)
    if form == "markdown":
        from reconciler.cli.render.markdown import DEFAULT_BUDGET, render_markdown

        return render_markdown(plan, budget=budget or DEFAULT_BUDGET)
    from reconciler.cli.render.text import render_text

    text = render_text(plan, style=style, full=full, verbose=verbose)
    if form == "github":
        from reconciler.cli.render.github import annotations

        return text + "".join(f"{line}\n" for line in annotations(plan))
    return text


def render_report(
    report: Report,
    form: Format = "text",
    *,
    style: Style = PLAIN,
    full: bool = True,
    verbose: bool = False,
    budget: int | None = None,
) -> str:
    """`report` in one of the formats, as `render_plan`."""
    if form == "json":
        from reconciler.cli.render.machine import render_json

        return render_json(report)
    if form == "markdown":
        from reconciler.cli.render.markdown import DEFAULT_BUDGET, render_report_markdown

        return render_report_markdown(report, budget=budget or DEFAULT_BUDGET)
    from reconciler.cli.render.report_text import render_report_text

    text = render_report_text(report, style=style, full=full, verbose=verbose)
    if form == "github":
        from reconciler.cli.render.github import report_annotations

        return text + "".join(f"{line}\n" for line in report_annotations(report))
    return text
