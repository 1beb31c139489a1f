"""The retry decision as pure code, and the steps that are made of it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable
from email.utils import formatdate
from typing import Any

import pytest

from airflow_provider_mediax.client.pacing import BURST, Pacing
from airflow_provider_mediax.client.retry import (
    CLOCK_TOLERANCE,
    ONE_TRY,
    PATIENT,
    Again,
    Decision,
    Fail,
    Patience,
    Progress,
    Send,
    TransportFailure,
    Use,
    attempts,
    decide,
    retry_after,
)
from airflow_provider_mediax.exceptions import (
    AnswerTooLarge,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
    Unreachable,
)
from airflow_provider_mediax.protocol.exchange import Call, Flow, Pause, Repeat, Reply

NOW = 1_700_000_000.0
NOT_SENT = TransportFailure("refused", sent=False)
LOST = TransportFailure("reset", sent=True)
UNUSABLE = TransportFailure("garbage", sent=True, readable=False)
TOO_LARGE = TransportFailure("more than 9 bytes", sent=True, readable=False, too_large=True)


def signature(now: float) -> dict[str, str]:
    return {"Date": formatdate(now, usegmt=True), "Authorization": f"signed at {now!r}"}


def call(repeat: Repeat = Repeat.SAFE, **options: Any) -> Call:
    return Call(
        **{"action": "Do", "method": "POST", "url": "https://h.example/job", "sign": signature, **options},
        repeat=repeat,
    )


def answer(status: int, **headers: str) -> Reply:
    return Reply(status, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


def at(seconds: float) -> str:
    return formatdate(NOW + seconds, usegmt=True)


def decision(
    outcome: Reply | TransportFailure,
    repeat: Repeat = Repeat.SAFE,
    progress: Progress | None = None,
    patience: Patience = PATIENT,
    jitter: float = 1.0,
) -> Decision:
    return decide(call(repeat), outcome, progress or Progress(attempts=1), patience, now=NOW, jitter=jitter)


OUTCOMES: dict[str, tuple[Reply | TransportFailure, type[Decision], type[Decision]]] = {
    # outcome, what follows for a call that may be repeated, and for one that may not
    "200": (answer(200), Use, Use),
    "204": (answer(204), Use, Use),
    "302": (answer(302, location="/x"), Use, Use),
    "400": (answer(400), Use, Use),
    "401": (answer(401), Use, Use),
    "401 at the same time": (answer(401, date=at(0)), Use, Use),
    "401 within the tolerance": (answer(401, date=at(CLOCK_TOLERANCE)), Use, Use),
    "401 an hour later": (answer(401, date=at(3600)), Again, Again),
    "403 an hour earlier": (answer(403, date=at(-3600)), Again, Again),
    "403 with an unreadable date": (answer(403, date="yesterday"), Use, Use),
    "400 an hour later": (answer(400, date=at(3600)), Use, Use),
    "200 an hour later": (answer(200, date=at(3600)), Use, Use),
    "404": (answer(404), Use, Use),
    "408": (answer(408), Use, Use),
    "429": (answer(429), Again, Again),
    "429 in a while": (answer(429, retry_after="20"), Again, Again),
    "429 tomorrow": (answer(429, retry_after="86400"), Fail, Fail),
    "500": (answer(500), Again, Use),
    "502": (answer(502), Again, Use),
    "503 in a while": (answer(503, retry_after="20"), Again, Use),
    "503 tomorrow": (answer(503, retry_after="86400"), Again, Use),
    "409": (answer(409), Use, Use),
    "425": (answer(425), Use, Use),
    "499": (answer(499), Use, Use),
    "403 in the year 9999": (answer(403, date="Fri, 31 Dec 9999 23:59:59 GMT"), Use, Use),
    "403 in the year 1": (answer(403, date="Mon, 01 Jan 0001 00:00:00 GMT"), Use, Use),
    "403 a day and a minute later": (answer(403, date=at(86460)), Use, Use),
    "504": (answer(504), Again, Use),
    "no connection": (NOT_SENT, Again, Again),
    "answer lost": (LOST, Again, Fail),
    "answer unusable": (UNUSABLE, Again, Fail),
    "answer too large": (TOO_LARGE, Fail, Fail),
}


@pytest.mark.parametrize("name", OUTCOMES)
def test_what_must_not_be_repeated_goes_again_only_if_surely_not_done(name: str) -> None:
    outcome, safe, never = OUTCOMES[name]
    assert type(decision(outcome, Repeat.SAFE)) is safe
    assert type(decision(outcome, Repeat.NEVER)) is never


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("repeat", Repeat)
def test_after_the_last_attempt_only_clock_and_limit_lead_to_another(name: str, repeat: Repeat) -> None:
    outcome = OUTCOMES[name][0]
    made = decision(outcome, repeat, Progress(attempts=PATIENT.attempts))
    again = name in ("401 an hour later", "403 an hour earlier", "429", "429 in a while")
    assert isinstance(made, Again) is again


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("repeat", Repeat)
def test_one_try_never_waits(name: str, repeat: Repeat) -> None:
    made = decision(OUTCOMES[name][0], repeat, patience=ONE_TRY)
    assert not isinstance(made, Again) or (made.delay == 0 and made.offset is not None)


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize(
    ("failure", "kind", "text"),
    [
        (NOT_SENT, Unreachable, "No connection to h.example for Do: refused"),
        (LOST, Unavailable, "h.example did not answer Do: reset"),
        (UNUSABLE, ProtocolError, "h.example answered Do with something unusable: garbage"),
        (TOO_LARGE, AnswerTooLarge, "h.example answered Do with more than 9 bytes"),
    ],
)
def test_failures_become_errors_that_say_what_was_sent(
    failure: TransportFailure, kind: type[MediaxError], text: str, repeat: Repeat
) -> None:
    made = decision(failure, repeat, patience=ONE_TRY)
    assert isinstance(made, Fail)
    assert type(made.error) is kind
    assert text in made.error.what


def test_error_names_the_host_and_nothing_else_of_the_address() -> None:
    made = decide(call(url="https://h.example/job?key=5e7"), LOST, Progress(attempts=9), ONE_TRY, now=NOW, jitter=0.5)
    assert isinstance(made, Fail)
    assert "5e7" not in made.error.what


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_back_off_grows_is_spread_and_is_bounded(jitter: float) -> None:
    patience = Patience(attempts=100, throttle_wait=0)
    delays = []
    for made in range(1, 99):
        again = decision(LOST, progress=Progress(attempts=made), patience=patience, jitter=jitter)
        assert isinstance(again, Again)
        delays.append(again.delay)
    assert delays == sorted(delays)
    assert delays[:3] == pytest.approx([share * (0.5 + jitter / 2) for share in (0.5, 1.0, 2.0)])
    assert delays[-1] == pytest.approx(30 * (0.5 + jitter / 2))


def test_server_error_waits_at_least_as_long_as_asked() -> None:
    made = decision(answer(503, retry_after="20"), jitter=0.0)
    assert isinstance(made, Again)
    assert made.delay == 20


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("0", None, 0.0),
        ("7", None, 7.0),
        ("1.5", None, 1.5),
        (" 7 ", None, 7.0),
        ("-7", None, 0.0),
        (at(30), None, 30.0),
        (at(-30), None, 0.0),
        (at(3630), at(3600), 30.0),
        (at(30), "garbage", 30.0),
        ("", None, None),
        (None, None, None),
        ("soon", None, None),
        ("nan", None, None),
        ("inf", None, None),
        ("1e300", None, None),
        ("Wed, 99 Foo 2025", None, None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", None, 0.0),
    ],
)
def test_retry_after_is_read_as_seconds_and_as_a_date(
    value: str | None, date: str | None, seconds: float | None
) -> None:
    headers = {name: given for name, given in (("retry-after", value), ("date", date)) if given is not None}
    assert retry_after(Reply(429, headers, b""), NOW) == seconds


@pytest.mark.parametrize("zone", ["GMT", "-0000", "+0000", ""])
def test_date_without_a_zone_is_in_greenwich_wherever_the_worker_is(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Shanghai")
    time.tzset()
    try:
        assert retry_after(answer(429, retry_after=at(30).replace("GMT", zone).strip()), NOW) == 30.0
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("jitter", [0.0, 1.0])
@pytest.mark.parametrize("asked", ["20", at(20)])
def test_a_throttled_call_never_returns_earlier_than_asked(asked: str, jitter: float) -> None:
    made = decision(answer(429, retry_after=asked), jitter=jitter)
    assert isinstance(made, Again)
    assert 20 <= made.delay <= 22
    assert made.throttled


def test_throttling_without_a_time_doubles_up_to_a_minute() -> None:
    patience = Patience(attempts=1, throttle_wait=1e9)
    delays = [
        made.delay
        for throttled in range(10)
        if isinstance(
            made := decision(answer(429), progress=Progress(1, throttled), patience=patience, jitter=0.0), Again
        )
    ]
    assert delays == [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]


@pytest.mark.parametrize(("waited", "kind"), [(0.0, Again), (280.0, Again), (280.5, Fail), (300.0, Fail)])
def test_waits_for_the_limit_are_capped_in_all(waited: float, kind: type[Decision]) -> None:
    progress = Progress(attempts=1, throttled=4, asked_waited=waited)
    made = decision(answer(429, retry_after="20"), progress=progress, jitter=0.0)
    assert type(made) is kind
    if isinstance(made, Fail):
        assert isinstance(made.error, Throttled)
        assert (made.error.retry_after, made.error.status) == (20.0, 429)


@pytest.mark.parametrize("name", OUTCOMES)
@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_delay_is_never_negative(name: str, repeat: Repeat, jitter: float) -> None:
    for progress in (Progress(), Progress(attempts=1), Progress(attempts=3, throttled=5, asked_waited=10.0)):
        made = decide(call(repeat), OUTCOMES[name][0], progress, PATIENT, now=NOW, jitter=jitter)
        assert not isinstance(made, Again) or made.delay >= 0


# What attempts() makes of the decisions.


def one(made: Call) -> Flow[Reply | None]:
    return (yield made)


Steps = Generator[Send | Pause, Reply | None, Any]


class Clock:
    """Monotonic time that passes only where a driver waits."""

    def __init__(self) -> None:
        self.now = 50_000.0

    def __call__(self) -> float:
        return self.now


def carry_out(
    steps: Steps, outcomes: Callable[[int], Reply | TransportFailure], clock: Clock | None = None
) -> tuple[list[Send | Pause], Any]:
    """Play a driver: answer the n-th Send with the n-th outcome, and wait by the clock."""
    made: list[Send | Pause] = []
    sent = 0
    try:
        step = next(steps)
        while True:
            made.append(step)
            assert len(made) < 5000, "it goes on for ever"
            if isinstance(step, Pause):
                assert step.seconds >= 0
                if clock is not None:
                    clock.now += step.seconds
                step = steps.send(None)
                continue
            outcome = outcomes(sent)
            sent += 1
            step = steps.throw(outcome) if isinstance(outcome, TransportFailure) else steps.send(outcome)
    except StopIteration as end:
        return made, end.value
    except MediaxError as error:
        return made, error


def run(
    made: Call, outcomes: Iterable[Reply | TransportFailure], patience: Patience = PATIENT, pacing: Pacing | None = None
) -> tuple[list[Send | Pause], Any]:
    script, clock = list(outcomes), Clock()
    steps = attempts(one(made), pacing or Pacing(1e6), patience, clock)
    return carry_out(steps, lambda sent: script[min(sent, len(script) - 1)], clock)


def sends(steps: list[Send | Pause]) -> list[Send]:
    return [step for step in steps if isinstance(step, Send)]


def pauses(steps: list[Send | Pause]) -> list[float]:
    return [step.seconds for step in steps if isinstance(step, Pause)]


@pytest.mark.parametrize(
    ("repeat", "outcomes", "sent"),
    [
        (Repeat.SAFE, [LOST], 4),
        (Repeat.SAFE, [answer(500)], 4),
        (Repeat.SAFE, [LOST, answer(500), NOT_SENT, answer(200)], 4),
        (Repeat.NEVER, [LOST], 1),
        (Repeat.NEVER, [answer(500)], 1),
        (Repeat.NEVER, [NOT_SENT], 4),
        (Repeat.NEVER, [NOT_SENT, LOST, answer(200)], 2),
        (Repeat.NEVER, [NOT_SENT, answer(429), answer(503), answer(200)], 3),
    ],
)
def test_attempts_are_as_many_as_allowed(repeat: Repeat, outcomes: list[Any], sent: int) -> None:
    assert len(sends(run(call(repeat), outcomes)[0])) == sent


def test_throttling_uses_up_no_attempt() -> None:
    limited = [answer(429, retry_after="1")] * 50
    steps, result = run(call(), [*limited, LOST, LOST, LOST, answer(200)])
    assert result == answer(200)
    assert len(sends(steps)) == 54


@pytest.mark.parametrize("patience", [PATIENT, ONE_TRY, Patience(attempts=1, throttle_wait=2.5)])
@pytest.mark.parametrize("asked", ["0", "-1", at(-5), "20", "0.5", None, "garbage"])
def test_throttling_for_ever_ends_within_the_time_given_for_it(patience: Patience, asked: str | None) -> None:
    reply = answer(429) if asked is None else answer(429, retry_after=asked, date=at(0))
    steps, error = run(call(Repeat.NEVER), [reply], patience)
    assert isinstance(error, Throttled)
    assert sum(pauses(steps)) <= patience.throttle_wait


def test_being_told_to_come_back_at_once_for_ever_does_not_spin() -> None:
    steps, error = run(call(), [answer(429, retry_after="0")])
    assert isinstance(error, Throttled)
    unpaused = 0
    for step in steps:
        unpaused = unpaused + 1 if isinstance(step, Send) else 0
        assert unpaused <= 4
    assert len(sends(steps)) < 310


def test_one_try_pauses_for_nothing_at_all() -> None:
    for outcome, _, _ in OUTCOMES.values():
        assert pauses(run(call(), [outcome], ONE_TRY)[0]) == []


def test_every_attempt_is_signed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(1_700_000_000, 1_700_000_100))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    steps, _ = run(call(headers={"Content-Type": "application/json"}), [LOST, answer(500), answer(429), NOT_SENT])
    signed = [step.headers["Authorization"] for step in sends(steps)]
    assert len(signed) == len(set(signed)) == 5
    assert {step.headers["Content-Type"] for step in sends(steps)} == {"application/json"}
    assert all("signed" not in repr(step) for step in sends(steps))


@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("skew", [7200.0, -7200.0])
def test_clock_is_corrected_once_from_a_refusal(repeat: Repeat, status: int, skew: float) -> None:
    pacing = Pacing(1e6)

    def service(sent: int) -> Reply:
        return answer(status, date=formatdate(time.time() + skew, usegmt=True))

    steps, result = carry_out(attempts(one(call(repeat)), pacing, ONE_TRY), service)
    assert isinstance(result, Reply)
    assert len(sends(steps)) == 2
    assert pacing.clock_offset == pytest.approx(skew, abs=3)
    # The next call is signed by the corrected clock from the start.
    again, _ = run(call(repeat), [answer(200)], pacing=pacing)
    assert sends(again)[0].headers["Date"] == formatdate(time.time() + pacing.clock_offset, usegmt=True)


@pytest.mark.parametrize("repeat", Repeat)
def test_clock_that_runs_away_is_followed_only_once(repeat: Repeat) -> None:
    pacing = Pacing(1e6)

    def service(sent: int) -> Reply:
        return answer(401, date=formatdate(time.time() + (sent + 1) * 7200, usegmt=True))

    steps, result = carry_out(attempts(one(call(repeat)), pacing, PATIENT), service)
    assert isinstance(result, Reply)
    assert len(sends(steps)) == 2
    assert pacing.clock_offset == pytest.approx(7200, abs=3)


def test_two_calls_that_learn_the_same_offset_do_not_add_it_up() -> None:
    pacing = Pacing(1e6)
    refusal = answer(401, date=formatdate(time.time() + 7200, usegmt=True))
    first = attempts(one(call()), pacing, ONE_TRY)
    second = attempts(one(call()), pacing, ONE_TRY)
    next(first)
    next(second)
    for steps in (first, second):
        steps.send(refusal)
    assert pacing.clock_offset == pytest.approx(7200, abs=3)


@pytest.mark.parametrize("repeat", Repeat)
def test_a_call_without_a_signature_is_not_repeated_for_the_clock(repeat: Repeat) -> None:
    plain = Call(action="Register", method="POST", url="https://h.example/register", repeat=repeat)
    pacing = Pacing(1e6)
    refusal = answer(403, date=formatdate(time.time() + 7200, usegmt=True))
    steps, result = run(plain, [refusal], pacing=pacing)
    assert (len(sends(steps)), result) == (1, refusal)


def test_the_rate_limit_counts_every_attempt() -> None:
    steps, _ = run(call(), [answer(429, retry_after="0")], Patience(attempts=1, throttle_wait=10), Pacing(0.001))
    assert len([seconds for seconds in pauses(steps) if seconds > 500]) == len(sends(steps)) - BURST


def test_pause_of_a_flow_is_handed_through() -> None:
    def pausing() -> Flow[str]:
        assert (yield Pause(3.0)) is None
        assert (yield Pause(4.0)) is None
        return "done"

    made, result = carry_out(attempts(pausing(), Pacing(1), PATIENT), lambda sent: answer(200))
    assert (made, result) == ([Pause(3.0), Pause(4.0)], "done")


def test_error_is_raised_inside_the_flow_and_the_next_call_begins_afresh() -> None:
    def careful() -> Flow[str]:
        try:
            yield call(Repeat.NEVER)
        except Unavailable:
            reply = yield call()
            assert isinstance(reply, Reply)
            return f"looked up: {reply.status}"
        return "created"

    outcomes: list[Reply | TransportFailure] = [LOST, LOST, LOST, LOST, answer(200)]
    steps, result = carry_out(attempts(careful(), Pacing(1e6), PATIENT), lambda sent: outcomes[sent])
    assert result == "looked up: 200"
    assert len(sends(steps)) == 5


def test_flow_is_closed_with_its_steps() -> None:
    closed = []

    def watched() -> Flow[None]:
        try:
            yield call()
        finally:
            closed.append(True)

    steps = attempts(watched(), Pacing(1), PATIENT)
    next(steps)
    steps.close()
    assert closed == [True]


def test_driver_must_answer() -> None:
    steps = attempts(one(call()), Pacing(1), PATIENT)
    next(steps)
    with pytest.raises(TypeError, match="must answer Send"):
        steps.send(None)


def test_a_worker_waits_at_most_300_seconds_for_the_limit() -> None:
    assert PATIENT.throttle_wait == 300
    assert (ONE_TRY.attempts, ONE_TRY.throttle_wait) == (1, 0)


# What the service says to one call holds the others.


class Process:
    """Many calls of one process at once: each is a generator of steps, and one clock runs for all."""

    def __init__(self, pacing: Pacing, service: Callable[[float], Reply]) -> None:
        self.clock = Clock()
        self.begun = self.clock.now
        self.sent_at: list[float] = []
        self.ended: list[Any] = []
        self._pacing = pacing
        self._service = service
        self._waking: list[tuple[float, int, Steps]] = []

    def start(self, made: Call, patience: Patience, after: float = 0.0) -> None:
        self._waking.append(
            (self.begun + after, len(self._waking), attempts(one(made), self._pacing, patience, self.clock))
        )

    def pass_time(self, seconds: float) -> None:
        """Carry everything out that is due within ``seconds`` of the start."""
        until = self.begun + seconds
        while self._waking and min(self._waking)[0] <= until:
            at, number, steps = min(self._waking)
            self._waking.remove((at, number, steps))
            self.clock.now = max(self.clock.now, at)
            try:
                step = steps.send(None)
                while isinstance(step, Send):
                    self.sent_at.append(self.clock.now - self.begun)
                    step = steps.send(self._service(self.clock.now - self.begun))
            except StopIteration as end:
                self.ended.append(end.value)
            except MediaxError as error:
                self.ended.append(error)
            else:
                self._waking.append((self.clock.now + step.seconds, number, steps))
        self.clock.now = until


def refuses(now: float) -> Reply:
    return answer(429, retry_after="10")


@pytest.mark.parametrize("patience", [PATIENT, ONE_TRY])
def test_one_refusal_holds_two_hundred_waiting_calls(patience: Patience) -> None:
    process = Process(Pacing(10), refuses)
    for _ in range(200):
        process.start(call(), patience)
    process.pass_time(9.9)
    assert len(process.sent_at) == 1
    # Who cannot wait is told at once how long to stay away; no failure is counted for that.
    assert len(process.ended) == (0 if patience is PATIENT else 200)
    assert all(isinstance(error, Throttled) and 0 < (error.retry_after or 0) <= 10 for error in process.ended)


def test_the_hold_is_renewed_as_often_as_the_service_says_so() -> None:
    process = Process(Pacing(10), refuses)
    for _ in range(200):
        process.start(call(), PATIENT)
    process.pass_time(100)
    assert len(process.sent_at) == 11
    process.pass_time(1000)
    assert len(process.ended) == 200
    assert len(process.sent_at) <= 31  # 300 s, one request in 10 s


def test_after_the_hold_the_rate_counts_from_the_first_request_on() -> None:
    process = Process(Pacing(10), lambda now: refuses(now) if now < 5 else answer(200))
    for _ in range(200):
        process.start(call(), PATIENT)
    process.pass_time(60)
    assert len([ended for ended in process.ended if isinstance(ended, Reply)]) == 200
    after = sorted(process.sent_at)[1:]
    assert after[0] >= 10
    assert all(later - first >= 0.099 for first, later in itertools.pairwise(after))


def test_a_refused_submit_lets_polls_pass() -> None:
    process = Process(Pacing(10), lambda now: refuses(now) if now == 0 else answer(200))
    process.start(call(Repeat.NEVER), PATIENT)
    process.start(call(Repeat.NEVER), PATIENT, after=1)
    process.start(call(), ONE_TRY, after=1)
    process.pass_time(5)
    assert (process.sent_at, process.ended) == ([0.0, 1.0], [answer(200)])
    process.pass_time(30)
    assert process.ended == [answer(200)] * 3


def test_a_refused_poll_holds_submits_too() -> None:
    process = Process(Pacing(10), refuses)
    process.start(call(), ONE_TRY)
    process.start(call(Repeat.NEVER), ONE_TRY, after=1)
    process.pass_time(5)
    assert len(process.sent_at) == 1
    assert [error.retry_after for error in process.ended] == [10.0, 9.0]


@pytest.mark.parametrize("asked", ["301", "86400"])
def test_a_pause_beyond_what_a_worker_waits_is_reported_at_once_and_capped(asked: str) -> None:
    process = Process(Pacing(10), lambda now: answer(429, retry_after=asked))
    process.start(call(), PATIENT)
    process.start(call(), ONE_TRY, after=1)
    process.pass_time(2)
    assert [type(error) for error in process.ended] == [Throttled, Throttled]
    assert [error.retry_after for error in process.ended] == [300.0, 299.0]
    assert len(process.sent_at) == 1


def failing(reply: Reply | None) -> None:
    assert reply is not None
    if reply.status >= 500:
        error = Unavailable("the service is down", status=reply.status)
        error.retry_after = reply.retry_after
        raise error


@pytest.mark.parametrize("status", [500, 503])
@pytest.mark.parametrize("repeat", Repeat)
@pytest.mark.parametrize(("asked", "told"), [("20", 20.0), ("86400", 300.0), (None, None), ("soon", None)])
def test_the_error_of_a_fault_says_how_long_to_leave_the_service_alone(
    repeat: Repeat, asked: str | None, told: float | None, status: int
) -> None:
    def asking() -> Flow[None]:
        failing((yield call(repeat)))

    reply = answer(status) if asked is None else answer(status, retry_after=asked)
    _, error = carry_out(attempts(asking(), Pacing(1e6), ONE_TRY), lambda sent: reply)
    assert isinstance(error, Unavailable)
    assert error.retry_after == told


def test_a_fault_holds_the_call_that_was_told_and_no_other() -> None:
    process = Process(Pacing(10), lambda now: answer(503, retry_after="20") if now == 0 else answer(200))
    process.start(call(), PATIENT)
    process.start(call(), PATIENT, after=1)
    process.pass_time(19.9)
    assert process.sent_at == [0.0, 1.0]
    process.pass_time(60)
    assert process.ended == [answer(200)] * 2


def test_pauses_asked_for_by_faults_end_with_what_a_worker_waits() -> None:
    steps, result = run(call(), [answer(503, retry_after="86400")])
    assert (len(sends(steps)), result.status) == (2, 503)
    assert sum(pauses(steps)) <= 300


# Clocks.


@pytest.mark.parametrize("date", ["Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"])
@pytest.mark.parametrize("status", [401, 403])
def test_an_absurd_date_breaks_no_later_call(date: str, status: int) -> None:
    pacing = Pacing(1e6)
    refused, result = run(call(), [answer(status, date=date)], pacing=pacing)
    assert (len(sends(refused)), result.status) == (1, status)
    later, result = run(call(), [answer(200)], pacing=pacing)
    assert (len(sends(later)), result) == (1, answer(200))
    assert pacing.clock_offset == 0


def test_a_wrong_correction_is_corrected_by_the_next_call() -> None:
    pacing = Pacing(1e6)
    pacing.clock_offset = 80_000.0

    def service(sent: int) -> Reply:
        return answer(403, date=formatdate(time.time(), usegmt=True)) if sent == 0 else answer(200)

    steps, result = carry_out(attempts(one(call()), pacing, ONE_TRY), service)
    assert (len(sends(steps)), result) == (2, answer(200))
    assert pacing.clock_offset == pytest.approx(0, abs=3)


@pytest.mark.parametrize("machine", [-1e12, 0.0, 4e9, 1e12, 1e300])
@pytest.mark.parametrize("offset", [-1e9, 0.0, 1e9])
def test_no_clock_of_this_machine_keeps_a_call_from_being_signed(
    machine: float, offset: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: machine)
    pacing = Pacing(1e6)
    pacing.clock_offset = offset
    steps, _ = run(call(), [answer(403, date=at(0)), answer(503, retry_after="5"), answer(200)], pacing=pacing)
    assert sends(steps)[0].headers["Date"]


def test_each_attempt_is_entitled_after_every_wait() -> None:
    pacing, clock, asked = Pacing(1), Clock(), []
    for _ in range(BURST):
        pacing.reserve(clock())

    def entitle() -> Flow[None]:
        asked.append(clock() - 50_000.0)
        yield Pause(3.0)

    made = call(Repeat.NEVER, entitle=entitle)
    script = [answer(429, retry_after="30"), answer(200)]
    steps, _ = carry_out(attempts(one(made), pacing, PATIENT, clock), lambda sent: script[sent], clock)
    assert len(sends(steps)) == len(asked) == 2
    assert asked[0] == 1
    assert asked[1] >= 31


def test_a_hold_that_begins_while_a_call_is_entitled_is_kept_and_it_is_entitled_anew() -> None:
    pacing, clock, asked = Pacing(1000), Clock(), []

    def entitle() -> Flow[None]:
        asked.append(clock())
        if len(asked) == 1:
            pacing.hold(60.0, clock(), submits_only=False)
        yield Pause(1.0)

    steps, _ = carry_out(
        attempts(one(call(Repeat.NEVER, entitle=entitle)), pacing, PATIENT, clock), lambda _: answer(200), clock
    )
    assert len(sends(steps)) == 1
    assert asked[1] >= asked[0] + 60.0


def test_what_entitles_a_call_may_keep_it_back() -> None:
    def refuse() -> Flow[None]:
        raise Unavailable("the intent could not be written")
        yield

    steps, result = run(call(Repeat.NEVER, entitle=refuse), [answer(200)])
    assert sends(steps) == []
    assert result.what == "the intent could not be written"


def test_what_entitles_a_call_asks_other_services_on_the_same_line() -> None:
    def entitle() -> Flow[object]:
        return (yield call(action="Claim", paced=False))

    steps, _ = run(call(Repeat.NEVER, entitle=entitle), [answer(503), answer(200), answer(200)])
    assert [step.call.action for step in sends(steps)] == ["Claim", "Claim", "Do"]


def carried_out(repeat: Repeat, answers: list[Reply | TransportFailure]) -> tuple[list[float], Reply | MediaxError]:
    """Drive one call on a clock that only its pauses and its sends of 3 s move; return the pauses and the end."""
    now, paused = 100.0, []

    def flow() -> Flow[Reply]:
        reply = yield call(repeat)
        assert reply is not None
        return reply

    steps = attempts(flow(), Pacing(1e6), PATIENT, lambda: now)
    step = next(steps)
    try:
        while True:
            if isinstance(step, Pause):
                paused.append(step.seconds)
                now += step.seconds
                step = steps.send(None)
                continue
            now += 3.0
            outcome = answers.pop(0)
            step = steps.throw(outcome) if isinstance(outcome, TransportFailure) else steps.send(outcome)
    except StopIteration as end:
        return paused, end.value
    except MediaxError as error:
        return paused, error


def test_an_error_says_when_the_request_was_sent_that_it_is_about() -> None:
    paused, lost = carried_out(Repeat.NEVER, [NOT_SENT, LOST])
    assert isinstance(lost, Unavailable)
    assert lost.sent_at == 103.0 + paused[0]


def test_pauses_for_a_rate_limit_that_names_none_double() -> None:
    paused, end = carried_out(Repeat.NEVER, [*[answer(429)] * 4, answer(200)])
    assert isinstance(end, Reply)
    for pause, shortest in zip(paused, (1, 2, 4, 8), strict=True):
        assert shortest <= pause <= 1.1 * shortest


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (503, {"retry_after": "20"}, 20.0),
        (503, {"retry_after": "3600"}, 300.0),
        (503, {}, None),
        (404, {"retry_after": "20"}, None),
        (200, {"retry_after": "20"}, None),
    ],
)
def test_a_flow_hears_for_how_long_an_outage_is_to_last(
    status: int, headers: dict[str, str], told: float | None
) -> None:
    _, end = carried_out(Repeat.NEVER, [answer(status, **headers)])
    assert isinstance(end, Reply)
    assert end.retry_after == told


def test_the_end_of_an_outage_may_be_a_date_of_an_answer_without_one() -> None:
    _, end = carried_out(Repeat.NEVER, [answer(503, retry_after=formatdate(time.time() + 200, usegmt=True))])
    assert isinstance(end, Reply)
    assert end.retry_after is not None
    assert 0 < end.retry_after <= 200


def test_a_call_that_is_no_job_call_takes_no_place_and_holds_nobody() -> None:
    pacing = Pacing(0.001)
    for _ in range(BURST):
        pacing.reserve(0.0)
    pacing.hold(100.0, 0.0, submits_only=False)

    def flow() -> Flow[Reply | None]:
        return (yield call(paced=False))

    steps = attempts(flow(), pacing, PATIENT, lambda: 0.0)
    assert isinstance(next(steps), Send)
    pause = steps.send(answer(429, retry_after="200"))
    assert isinstance(pause, Pause)
    assert pause.seconds >= 200.0
    assert pacing.held(0.0, submit=False) == 100.0
