"""pinrec run"""

import click

from reconciler.cli.options import DURATION, Options, common, pass_options

_EPILOG = """\b
Examples:
  pinrec run                              keeps the services as the manifest says
  pinrec run --interval 1m                looks more often than every five minutes
  pinrec run --cron "0 3 * * *"           looks at three in the morning
  pinrec run --plan-only                  changes nothing, and tells of drift
  pinrec run --once                       one round, for cron
"""


@click.command("run", epilog=_EPILOG)
@click.option(
    "--interval", type=DURATION, metavar="TIME", help="How often every service is looked at. [default: 5m]"
)
@click.option("--cron", metavar="EXPR", help="When every service is looked at, in place of --interval.")
@click.option("--once", is_flag=True, help="One round, without waiting until pins are pinned, then end.")
@click.option("--plan-only", is_flag=True, help="Change nothing: plan, log, and tell the webhook of drift.")
@click.option(
    "--log-format",
    type=click.Choice(("text", "json")),
    default="text",
    show_default=True,
    help="How lines of the log are written, on stderr.",
)
@common
@pass_options
def command(
    options: Options, interval: float | None, cron: str | None, once: bool, plan_only: bool, log_format: str
) -> int:
    """Keep the services as the manifest says, until stopped.

    Watches the node for new roots and the manifest for changes, follows pins until they are pinned, and looks at every
    service at intervals. What a guard holds back waits for `pinrec apply --allow-…`, which works beside a running
    loop. SIGTERM and SIGINT let requests in flight end (exit 143, 130); SIGHUP looks at everything now. Settings of
    the manifest are under `loop:`; options win over them. A second loop of the same manifest exits 6.
    """
    from reconciler.cli.looping import run_loop

    if cron is not None and interval is not None:
        raise click.UsageError("--interval and --cron are two ways to say the same")
    if interval is not None and interval < 1:
        raise click.UsageError("--interval is at least 1s")
    if cron == "":
        raise click.UsageError("--cron '' is no expression: an unset variable?")
    return run_loop(
        options,
        interval=interval,
        cron=cron,
        once=once,
        plan_only=plan_only,
        log_format="json" if log_format == "json" else "text",
    )
