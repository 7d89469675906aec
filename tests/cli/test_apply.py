"""pinrec apply and destroy, against a sandbox: what is asked, what is done, and how it ends."""

import json
import os
import pty
import signal
import socket
import time
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from reconciler.engine.lock import Lock
from tests.cli.conftest import A, B, C, World

REPORT = json.loads((Path(__file__).parents[2] / "schemas/report.schema.json").read_text())


def test_apply_and_then_no_changes(world: World) -> None:
    world.foreign("theirs")
    world.manifest(f"name: website, cid: {A}")
    result = world.run("apply", "--yes")
    assert result.code == 0
    assert "done     add      website" in result.out
    assert "Applied: 1 added" in result.out
    assert world.there() == {"website": A, "theirs": C}
    again = world.run("apply", "--yes")
    assert again.code == 0
    assert again.out.endswith("No changes. The services hold what the manifest says.\n")


def test_quiet_and_sure_shows_the_report_alone(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    first = world.run("apply", "--yes", "--quiet")
    assert "Plan:" not in first.out
    assert "Applied: 1 added" in first.out
    assert (first.err, first.code) == ("", 0)
    again = world.run("apply", "--yes", "--quiet")
    assert again.out.startswith("Nothing was to be done")
    assert again.code == 0
    world.manifest(
        "name: website, cid: " + B, services="  gone: {endpoint: 'http://127.0.0.1:9', key: {env: BOX_KEY}}\n"
    )
    held = world.run("apply", "--yes", "--quiet")
    assert "nothing is known of it" in held.out, "what is not known is shown all the same"


def test_without_a_terminal_it_refuses_before_any_request(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    for command in ("apply", "destroy"):
        result = world.run(command)
        assert result.code == 64
        assert "there is no terminal to ask on" in result.err
        assert "--yes" in result.err
    assert world.sandbox.requests == ()


def test_a_saved_plan_asks_nothing_and_does_exactly_that(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("plan", "--out", "plan.json")
    result = world.run("apply", "plan.json")
    assert result.code == 0
    assert world.there() == {"website": A}


def test_what_came_up_after_a_plan_was_saved_is_listed_and_left(world: World) -> None:
    world.manifest(f"name: a, cid: {A}", f"name: b, cid: {B}")
    world.run("apply", "--yes")
    world.manifest(f"name: a, cid: {C}", f"name: b, cid: {B}")
    world.run("plan", "--out", "plan.json")
    gone = world.api("GET", "/pins?name=b")["results"][0]["requestid"]
    world.api("DELETE", f"/pins/{gone}")
    result = world.run("apply", "plan.json")
    assert result.code == 0
    assert "Not in the saved plan, and left for the next one: 1 newer difference\n  + box b\n" in result.err
    assert world.there() == {"a": C}


def test_a_saved_plan_of_another_owner(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("plan", "--out", "plan.json")
    path = world.place / "pinrec.yaml"
    path.write_text(path.read_text().replace("name: acme", "name: other"))
    result = world.run("apply", "plan.json")
    assert result.code == 64
    assert "the saved plan is of acme, the manifest of other" in result.err


def test_a_saved_plan_of_another_manifest_is_stale(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("plan", "--out", "plan.json")
    world.manifest(f"name: website, cid: {B}")
    result = world.run("apply", "plan.json")
    assert result.code == 5
    assert "pinrec plan --out" in result.err
    assert world.there() == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no plan that can be read"),
        ('{"format": "1.0", "pinr', "no plan that can be read"),
        ('{"format": "9.0"}', "a plan of format 9.0"),
        ("{}", "a plan of format (none)"),
        ("\x00\xff", "no plan that can be read"),
    ],
)
def test_a_file_that_is_no_plan(world: World, content: str, message: str) -> None:
    world.manifest(f"name: website, cid: {A}")
    (world.place / "plan.json").write_text(content)
    result = world.run("apply", "plan.json")
    assert result.code == 64
    assert message in result.err
    assert result.err.count("\n") == 2


def test_a_saved_plan_that_is_not_there(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("apply", "plan.json")
    assert (result.code, "No such file" in result.err) == (64, True)


def test_a_saved_plan_takes_no_other_narrowing(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("plan", "--out", "plan.json")
    for option in (["--target", "x"], ["--no-prune"], ["--allow-deletes", "0"]):
        assert world.run("apply", "plan.json", *option).code == 64


def test_the_report_as_json(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("apply", "--yes", "--format", "json")
    assert result.code == 0
    Draft7Validator(REPORT).validate(result.json)
    assert [o["result"] for o in result.json["outcomes"]] == ["done"]
    assert "+ website" in result.err
    again = world.run("apply", "--yes", "--format", "json", "-q")
    assert again.json["outcomes"] == []
    assert again.err == ""


@pytest.mark.parametrize("form", ["markdown", "github"])
def test_the_report_for_people_elsewhere(world: World, form: str) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("apply", "--yes", "--format", form)
    assert result.code == 0
    assert "Applied: 1 added" in result.out


@pytest.mark.parametrize("delay", [60.0])
def test_a_timeout_leaves_pins_waiting_and_exits_3(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    result = world.run("apply", "--yes", "--timeout", "300ms")
    assert result.code == 3
    assert "waiting  add      website" in result.out
    assert world.run("apply", "--yes", "--wait", "none").code == 0
    assert world.run("plan").out.endswith("is not pinned yet (1 waiting).\n")


def test_a_lock_that_is_held_exits_6_and_names_its_holder(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    with Lock(Path(os.environ["PINREC_STATE_DIR"]), "acme").hold(what="apply"):
        result = world.run("apply", "--yes", "--lock-timeout", "0.1s")
        assert result.code == 6
        assert str(os.getpid()) in result.err
        assert world.run("plan").code == 0
    assert world.run("apply", "--yes").code == 0


def test_guards_hold_under_yes_and_are_lifted_by_number(world: World) -> None:
    world.manifest(*(f"name: n{i}, cid: {A}" for i in range(6)))
    world.run("apply", "--yes")
    world.manifest(f"name: n0, cid: {A}")
    blocked = world.run("apply", "--yes")
    assert blocked.code == 4
    assert "--allow-deletes 5" in blocked.out
    assert len(world.there()) == 6
    assert world.run("apply", "--yes", "--allow-deletes", "5").code == 0
    assert world.there() == {"n0": A}


def test_destroy_takes_what_is_ours_and_nothing_else(world: World) -> None:
    world.foreign("theirs")
    world.manifest(f"name: a, cid: {A}", f"name: b, cid: {B}")
    world.run("apply", "--yes")
    result = world.run("destroy", "--yes")
    assert result.code == 0
    assert "Applied: 2 deleted" in result.out
    assert world.there() == {"theirs": C}
    assert world.run("destroy", "--yes").out.endswith("No changes. The services hold nothing of ours.\n")


# --- on a terminal ----------------------------------------------------------------------------------------------


def on_terminal(
    world: World, *args: str, answer: str | None, interrupt: int | None = None
) -> tuple[int, str]:
    """Run the command on a pseudo-terminal; `answer` its question, or send a signal instead."""
    master, slave = pty.openpty()
    process = world.process(*args, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    seen = b""
    done = False
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # the other side is closed
            break
        if not chunk:
            break
        seen += chunk
        if not done and (b"[y/N]" in seen or b"to go on:" in seen):
            done = True
            if interrupt is not None:
                process.send_signal(interrupt)
            else:
                os.write(master, (answer or "").encode())
    os.close(master)
    return process.wait(timeout=30), seen.decode()


def test_yes_is_an_answer(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    code, seen = on_terminal(world, "apply", answer="y\n")
    assert "Apply this change? [y/N]" in seen
    assert code == 0
    assert world.there() == {"website": A}


@pytest.mark.parametrize("answer", ["n\n", "\n", "\x04"])
def test_anything_else_is_no(world: World, answer: str) -> None:
    world.manifest(f"name: website, cid: {A}")
    code, seen = on_terminal(world, "apply", answer=answer)
    assert code == 1
    assert "Nothing was done." in seen
    assert world.there() == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_at_the_question_ends_it(world: World, number: int, code: int) -> None:
    world.manifest(f"name: website, cid: {A}")
    assert on_terminal(world, "apply", answer=None, interrupt=number)[0] == code
    assert world.there() == {}


def test_destroy_asks_for_the_name_of_the_owner(world: World) -> None:
    world.manifest(f"name: website, cid: {A}")
    world.run("apply", "--yes")
    code, seen = on_terminal(world, "destroy", answer="y\n")
    assert "This deletes 1 name of acme." in seen
    assert (code, world.there()) == (1, {"website": A})
    code, _ = on_terminal(world, "destroy", answer="acme\n")
    assert (code, world.there()) == (0, {})


def test_unlock_asks(world: World) -> None:
    world.manifest()
    lock = Lock(Path(os.environ["PINREC_STATE_DIR"]), "acme")
    with lock.hold(what="apply"):
        code, seen = on_terminal(world, "unlock", answer="n\n")
        assert (code, "Left as it is." in seen) == (1, True)
        assert lock.holder() is not None
        assert on_terminal(world, "unlock", answer="y\n")[0] == 0
        assert lock.holder() is None


# --- signals ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("delay", [60.0])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_an_apply_still_ends_in_a_report(world: World, number: int, code: int) -> None:
    world.manifest(f"name: website, cid: {A}")
    process = world.process("apply", "--yes")
    for _ in range(500):
        if world.there():
            break
        time.sleep(0.02)
    time.sleep(0.3)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Interrupted: 1 accepted and not pinned yet" in out
    assert "Traceback" not in err


def test_a_second_signal_does_not_wait_for_the_request_in_flight(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as front:
        url = f"http://127.0.0.1:{front.getsockname()[1]}"
        world.manifest(f"name: website, cid: {A}")
        path = world.place / "pinrec.yaml"
        path.write_text(path.read_text().replace(world.sandbox.url, url))
        process = world.process("apply", "--yes")
        empty = b'HTTP/1.1 200 OK\r\nContent-Length: 24\r\nConnection: close\r\n\r\n{"count":0,"results":[]}'
        while True:
            connection, _ = front.accept()
            with connection:
                if connection.recv(65536).startswith(b"GET"):
                    connection.sendall(empty)
                    continue
                # The add is sent, and never answered.
                process.send_signal(signal.SIGINT)
                time.sleep(0.2)
                assert process.poll() is None
                process.send_signal(signal.SIGINT)
                _, err = process.communicate(timeout=30)
                break
    assert process.returncode == 130
    assert err.endswith("pinrec: interrupted\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_while_a_service_keeps_us_waiting_ends_at_once(world: World, number: int, code: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        world.manifest(services=f"  mute: {{preset: sandbox, endpoint: '{url}', key: {{env: BOX_KEY}}}}\n")
        process = world.process("plan")
        connection, _ = mute.accept()
        with connection:
            connection.recv(1)
            process.send_signal(number)
            out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert out == ""
    assert err == "pinrec: interrupted\n"
