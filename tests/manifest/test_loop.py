"""`loop:` of a manifest: what is wrong with it is told when it is read, with its place."""

import pytest

HEAD = "version: 1\nname: acme\nservices: {}\npins: []\nloop:\n"


@pytest.mark.parametrize(
    "cron",
    [
        "* * * * *",
        "*/10 * * * *",
        "0 3 * * mon-fri",
        "0  3 * * MON,Wed,sun",
        "59 23 31 12 7",
        "0 0 1 1 0",
        "0,30 8-18/2 1-5,20-25/2 jan-mar,DEC */2",
        "5/15 * * * *",
        "0 0 * * 0-7",
        "0 0 * * mon-sun",
        "0 0 * * 1-5/2",
        "05 08 09 08 *",
        "0 0 last * *",
    ],
)
def test_cron_expressions(folder, cron: str) -> None:
    assert folder.load(f'{HEAD}  cron: "{cron}"\n').loop.cron == cron


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("a b c d e", '"a" is no minute'),
        ("99 * * * *", "the minute goes from 0 to 59, and this is 99"),
        ("* 24 * * *", "the hour goes from 0 to 23, and this is 24"),
        ("* * 0 * *", "the day of the month goes from 1 to 31, and this is 0"),
        ("* * * 13 *", "the month goes from 1 to 12, and this is 13"),
        ("* * * mon *", '"mon" is no month'),
        ("* * * * 8", "the day of the week goes from 0 to 7, and this is 8"),
        ("* * * * monday", '"monday" is no day of the week'),
        ("mon * * * *", '"mon" is no minute'),
        ("30-10 * * * *", '"30-10" goes from a later minute to an earlier one'),
        ("* * * * fri-mon", '"fri-mon" goes from a later day of the week to an earlier one'),
        ("*/0 * * * *", '"*/0" has steps of 0'),
        ("*/-5 * * * *", '"*/-5" is no minute'),
        ("1,,2 * * * *", '"" is no minute'),
        ("1- * * * *", '"1-" is no minute'),
        ("*-5 * * * *", '"*-5" is no minute'),
        ("** * * * *", '"**" is no minute'),
        ("\u0663 * * * *", '"\u0663" is no minute'),
    ],
)
def test_what_is_no_cron_expression(folder, cron: str, why: str) -> None:
    [problem] = folder.problems(f'{HEAD}  cron: "{cron}"\n')
    assert problem.startswith(f"pinrec.yaml:6:9: {why} (minute, hour, day of the month, month,")


@pytest.mark.parametrize("cron", ["@daily", "* * * *", "* * * * * *", "' '"])
def test_other_than_five_fields(folder, cron: str) -> None:
    [problem] = folder.problems(f'{HEAD}  cron: "{cron}"\n')
    assert problem.startswith("pinrec.yaml:6:9: `cron` must be a cron expression of five fields")
