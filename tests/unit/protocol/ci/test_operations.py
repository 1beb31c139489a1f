"""The flows of Cloud Infinite: what they ask, and what they make of the answers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from airflow_provider_mediax.exceptions import (
    AuthenticationFailed,
    BadRequest,
    MediaxError,
    ProtocolError,
    Throttled,
    Unavailable,
)
from airflow_provider_mediax.protocol.ci import operations
from airflow_provider_mediax.protocol.ci.requests import AudioConfig
from airflow_provider_mediax.protocol.cos_signature import CosKeys
from airflow_provider_mediax.protocol.exchange import Call, Repeat, Reply
from tests.unit.protocol.helpers import (
    MARKER,
    TEMPORARY,
    answer,
    ci,
    drive,
    error,
    job_xml,
    published,
    request,
    separations,
    submitted,
    xml,
)

QUEUES = answer(
    "<QueueList><QueueId>p1</QueueId><Name>other</Name></QueueList>",
    "<QueueList><QueueId>p2</QueueId><Name>queue-smart-audio-1</Name></QueueList>",
)


def query(call: Call) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(call.url).query, keep_blank_values=True))


class TestCalls:
    def test_the_host_is_the_buckets(self) -> None:
        _, (call,) = drive(ci().describe(["j1"]), answer())
        assert call.url == "https://music-1250000000.ci.ap-guangzhou.myqcloud.com/jobs/j1"
        assert call.headers["Host"] == "music-1250000000.ci.ap-guangzhou.myqcloud.com"

    def test_an_endpoint_changes_where_it_goes_and_nothing_that_is_signed(self) -> None:
        _, (near,) = drive(ci(endpoint="http://127.0.0.1:8099").describe(["j1"]), answer())
        _, (far,) = drive(ci().describe(["j1"]), answer())
        assert near.url == "http://127.0.0.1:8099/jobs/j1"
        assert (near.headers, near.sign(1.7e9)) == (far.headers, far.sign(1.7e9))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"bucket": "music"},
            {"bucket": "a/b-1"},
            {"bucket": "evil.example/-1"},
            {"region": "ap/guangzhou"},
            {"endpoint": "127.0.0.1:8099"},
            {"endpoint": "ftp://host"},
            {"endpoint": "http://host/path"},
            {"endpoint": "http://user:secret@host"},
            {"endpoint": "http://host:99999"},
        ],
        ids=str,
    )
    def test_what_cannot_be_part_of_a_host_is_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(BadRequest) as refused:
            ci(**wrong)
        ((field, value),) = wrong.items()
        field = "cos_endpoint" if field == "endpoint" else field
        shown = "(an unreadable address)" if value.endswith(":99999") else value.replace("user:secret@", "")
        assert refused.value.what.partition(" is refused: ")[0].endswith(f"{field}={shown!r}")

    def test_every_attempt_is_signed_anew_with_the_services_time(self) -> None:
        _, (call,) = drive(submitted(ci(), request(), MARKER), answer(job_xml("j1")))
        assert "q-sign-time=1699999940;1700000600" in call.sign(1_700_000_000.5)["Authorization"]
        assert "q-sign-time=1700000040;1700000700" in call.sign(1_700_000_100.0)["Authorization"]

    def test_type_and_length_of_a_body_are_signed_and_sent(self) -> None:
        _, (call,) = drive(submitted(ci(), request(), MARKER), answer(job_xml("j1")))
        assert call.headers["Content-Type"] == "application/xml"
        assert call.headers["Content-Length"] == str(len(call.body))
        assert "q-header-list=content-length;content-type;host&" in call.sign(0)["Authorization"]

    def test_a_token_is_sent_and_signed_and_never_shown(self) -> None:
        _, (call,) = drive(ci(keys=TEMPORARY).cancel(["j1"]), Reply(200, {}, b""))
        signed = call.sign(0)
        assert signed["x-ci-security-token"] == TEMPORARY.token
        assert "q-header-list=host;x-ci-security-token&q-url-param-list=cancel&" in signed["Authorization"]
        assert "of-a-user" not in repr(call) + repr(ci(keys=TEMPORARY))

    def test_only_what_buys_or_creates_must_not_be_repeated(self) -> None:
        _, (submit,) = drive(submitted(ci(), request(), MARKER), answer(job_xml("j1")))
        reply = xml(published("template_create_response.xml").decode())
        _, (create,) = drive(ci().create_template("a", "IsAudio", AudioConfig()), reply)
        _, (cancel,) = drive(ci().cancel(["j1"]), Reply(200, {}, b""))
        assert [call.repeat for call in (submit, create)] == [Repeat.NEVER] * 2
        assert [call.repeat for call in (cancel,)] == [Repeat.SAFE]


class TestSubmit:
    @pytest.mark.parametrize("name", ["submit_params_response.xml", "submit_old_params_response.xml"])
    def test_the_job_is_returned(self, name: str) -> None:
        body = re.sub("<UserData>[^<]*</UserData>", f"<UserData>{MARKER} mine</UserData>", published(name).decode())
        job, (call,) = drive(submitted(ci(), request(), MARKER), xml(body))
        assert job.state_name == "Submitted"
        assert (call.method, urlsplit(call.url).path) == ("POST", "/jobs")
        assert b"<QueueId>" not in call.body

    @pytest.mark.parametrize("code", ["QueueNotFound", "InvalidArgument"])
    def test_a_deployment_that_insists_on_a_queue_is_given_its_id(self, code: str) -> None:
        job, calls = drive(submitted(ci(), request(), MARKER), error(code), QUEUES, answer(job_xml("j1")))
        assert job.id == "j1"
        assert [call.action for call in calls] == ["SubmitJob", "ListQueues", "SubmitJob"]
        assert b"<QueueId>p2</QueueId>" in calls[2].body

    def test_without_a_queue_of_that_name_the_first_one_is_taken(self) -> None:
        queues = answer(*(f"<QueueList><QueueId>p{number}</QueueId><Name>x</Name></QueueList>" for number in (7, 8)))
        _, calls = drive(submitted(ci(), request(), MARKER), error("QueueNotFound"), queues, answer(job_xml("j1")))
        assert b"<QueueId>p7</QueueId>" in calls[2].body

    def test_a_queue_that_was_given_is_not_replaced(self) -> None:
        with pytest.raises(BadRequest) as refused:
            drive(submitted(ci(), request(queue_id="p9"), MARKER), error("QueueNotFound"))
        assert "queue_id" in refused.value.advice

    def test_an_answer_about_another_job_leaves_the_outcome_open(self) -> None:
        other = job_xml("j9").replace(MARKER, "mx1-other")
        assert "mx1-other" in other
        with pytest.raises(ProtocolError, match="another job, j9") as raised:
            drive(submitted(ci(), request(), MARKER), answer(other))
        assert not raised.value.nothing_done

    @pytest.mark.parametrize("said", [answer(), error("AccessDenied", 401)])
    def test_the_first_refusal_counts_where_no_queue_can_be_had(self, said: Reply) -> None:
        with pytest.raises(BadRequest) as refused:
            drive(submitted(ci(), request(), MARKER), error("InvalidArgument", message="the first"), said)
        assert "the first" in str(refused.value)

    @pytest.mark.parametrize(
        "reply",
        [
            answer(),
            xml("<Response><JobsDetail><JobId/></JobsDetail></Response>"),
            xml("<html/>"),
            xml("<Resp"),
            xml(""),
        ],
    )
    def test_an_unreadable_success_is_an_unknown_outcome(self, reply: Reply) -> None:
        with pytest.raises(ProtocolError) as unknown:
            drive(submitted(ci(), request(), MARKER), reply)
        assert unknown.value.status == 200

    def test_a_marker_of_two_words_is_refused(self) -> None:
        with pytest.raises(BadRequest):
            drive(submitted(ci(), request(), "two words"))


class TestDescribe:
    def test_ten_jobs_take_one_call_and_are_matched_by_their_ids(self) -> None:
        ids = [f"j{number}" for number in range(10)]
        jobs, (call,) = drive(ci().describe(ids), answer(*(job_xml(job_id) for job_id in reversed(ids))))
        assert urlsplit(call.url).path == "/jobs/" + ",".join(ids)
        assert {job_id: job.id for job_id, job in jobs.items()} == {job_id: job_id for job_id in ids}

    def test_eleven_are_refused_with_the_limit(self) -> None:
        with pytest.raises(BadRequest, match="1 to 10 ids"):
            drive(ci().describe([f"j{number}" for number in range(11)]))

    @pytest.mark.parametrize("job_id", ["", "j/1", "../jobs", "j1?cancel", "j1,j2", "j%31"])
    def test_an_id_that_would_change_the_path_is_refused(self, job_id: str) -> None:
        for flow in (ci().describe([job_id]), ci().cancel([job_id])):
            with pytest.raises(BadRequest):
                drive(flow)

    @pytest.mark.parametrize(
        "missing",
        [
            "<NonExistJobIds>j2</NonExistJobIds><NonExistJobIds>j3</NonExistJobIds>",
            "<NonExistJobIds>j2,j3</NonExistJobIds>",
            "",
        ],
    )
    def test_unknown_ids_are_absent(self, missing: str) -> None:
        jobs, _ = drive(ci().describe(["j1", "j2", "j3"]), answer(job_xml("j1"), missing))
        assert list(jobs) == ["j1"]

    def test_none_known_is_no_error(self) -> None:
        assert drive(ci().describe(["j1"]), answer("<NonExistJobIds>j1</NonExistJobIds>"))[0] == {}

    def test_a_job_that_cannot_be_read_is_not_taken_for_unknown(self) -> None:
        with pytest.raises(ProtocolError):
            drive(ci().describe(["j1", "j2"]), answer(job_xml("j1"), job_xml("")))

    def test_one_that_is_named_as_unknown_is_not_taken_for_the_one_that_cannot_be_read(self) -> None:
        reply = answer(job_xml("j1"), job_xml(""), "<NonExistJobIds>j2</NonExistJobIds>")
        assert set(drive(ci().describe(["j1", "j2"]), reply)[0]) == {"j1"}

    @pytest.mark.parametrize("status", [300, 302, 307])
    def test_a_redirect_proves_that_nothing_was_done(self, status: int) -> None:
        with pytest.raises(MediaxError) as refused:
            drive(ci().describe(["j1"]), Reply(status, {"location": "http://elsewhere/"}, b""))
        assert refused.value.nothing_done

    def test_other_jobs_are_left_out(self) -> None:
        both = answer(job_xml("j1"), job_xml("j9"))
        assert set(drive(ci().describe(["j1"]), both)[0]) == {"j1"}

    def test_an_answer_about_another_job_is_not_taken_for_this_one(self) -> None:
        with pytest.raises(ProtocolError, match="another job, j9"):
            drive(ci().describe(["j1"]), answer(job_xml("j9")))

    def test_a_job_that_the_service_does_not_know_is_absent(self) -> None:
        unknown = answer("<NonExistJobIds>j1</NonExistJobIds>")
        assert drive(ci().describe(["j1"]), unknown)[0] == {}


class TestList:
    def test_the_parameters_are_those_of_the_reference(self) -> None:
        flow = ci().list_jobs(
            queue_id="p1",
            states=["Success", "Failed"],
            start=1_704_038_400,
            end=1_704_042_000,
            input_object="in/a b.mp3",
            size=20,
            next_token="7",
            order="Asc",
        )
        _, (call,) = drive(flow, answer())
        assert query(call) == {
            "queueId": "p1",
            "tag": "VoiceSeparate",
            "orderByTime": "Asc",
            "states": "Success,Failed",
            "startCreationTime": "2024-01-01T00:00:00+0800",
            "endCreationTime": "2024-01-01T01:00:00+0800",
            "inputObject": "in/a b.mp3",
            "size": "20",
            "nextToken": "7",
        }

    def test_the_plus_of_an_offset_is_sent_encoded(self) -> None:
        _, (call,) = drive(ci().list_jobs(start=1_704_038_400), answer())
        assert "startCreationTime=2024-01-01T00%3A00%3A00%2B0800" in call.url

    @pytest.mark.parametrize(
        "wrong",
        [{"size": 0}, {"size": 101}, {"order": "Up"}, {"states": "Done"}, {"queue_id": "a/b"}, {"start": float("nan")}],
        ids=str,
    )
    def test_what_the_service_would_refuse_is_refused(self, wrong: dict[str, Any]) -> None:
        with pytest.raises(BadRequest):
            drive(ci().list_jobs(**wrong))

    def test_a_page_of_the_reference(self) -> None:
        page, _ = drive(ci().list_jobs(), xml(published("list_response.xml").decode()))
        assert (len(page.jobs), page.next_token, page.complete) == (2, "225508", True)

    @pytest.mark.parametrize("token", ["", "<NextToken/>", "<NextToken></NextToken>"])
    def test_no_token_and_an_empty_one_end_the_list(self, token: str) -> None:
        assert drive(ci().list_jobs(), answer(job_xml("j1"), token))[0].next_token is None

    def test_a_page_without_jobs_ends_the_list(self) -> None:
        assert drive(ci().list_jobs(), answer("<NextToken>7</NextToken>"))[0].next_token is None


class TestFind:
    def test_every_page_is_read_and_the_newest_job_comes_first(self) -> None:
        found, calls = drive(
            separations().jobs_of(MARKER, since=1_704_038_400),
            answer(job_xml("j1"), job_xml("j2", "other"), "<NextToken>a</NextToken>"),
            answer(job_xml("j3", created="2026-11-21T12:00:00"), job_xml("j4", f"{MARKER} and more"), job_xml("j1")),
        )
        assert found.jobs[0].id == "j3"
        assert sorted(job.id for job in found.jobs) == ["j1", "j3", "j4"]
        assert found.complete
        assert [query(call).get("nextToken") for call in calls] == [None, "a"]
        assert all(query(call)["states"] == "All" and "queueId" not in query(call) for call in calls)

    def test_a_marker_is_a_whole_word(self) -> None:
        assert (
            drive(separations().jobs_of(MARKER), answer(job_xml("j1", MARKER + "0"), job_xml("j2", "x " + MARKER)))[
                0
            ].jobs
            == []
        )

    def test_the_look_up_begins_earlier_than_the_submit_by_more_than_clocks_differ(self) -> None:
        _, (call,) = drive(separations().jobs_of(MARKER, since=1_704_038_400), answer())
        assert query(call)["startCreationTime"] == "2023-12-31T23:58:00+0800"

    @pytest.mark.parametrize("code", ["QueueNotFound", "InvalidArgument"])
    def test_a_service_that_insists_on_a_queue_is_asked_once_more_with_it(self, code: str) -> None:
        found, calls = drive(
            separations().jobs_of(MARKER),
            error(code),
            QUEUES,
            answer(job_xml("j1"), "<NextToken>a</NextToken>"),
            answer(job_xml("j2")),
        )
        assert len(found.jobs) == 2
        assert found.complete
        assert [query(call).get("queueId") for call in calls] == [None, None, "p2", "p2"]

    def test_it_is_asked_once_only(self) -> None:
        with pytest.raises(BadRequest):
            drive(separations().jobs_of(MARKER), error("QueueNotFound"), QUEUES, error("QueueNotFound"))

    def test_other_refusals_are_not_about_the_queue(self) -> None:
        with pytest.raises(BadRequest) as refused:
            drive(separations().jobs_of(MARKER), error("MediaBucketUnBinded"))
        assert "Smart Audio" in refused.value.advice

    def test_a_list_without_end_is_not_complete(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(operations, "MOST_PAGES", 3)
        pages = [answer(job_xml(f"j{place}"), f"<NextToken>{place}</NextToken>") for place in range(3)]
        found, _ = drive(separations().jobs_of(MARKER), *pages)
        assert (len(found.jobs), found.complete) == (3, False)

    def test_a_list_that_goes_in_circles_is_not_complete(self) -> None:
        page = answer(job_xml("j1"), "<NextToken>a</NextToken>")
        found, _ = drive(separations().jobs_of(MARKER), page, page)
        assert (len(found.jobs), found.complete) == (1, False)

    def test_what_cannot_be_read_proves_no_absence(self) -> None:
        found, _ = drive(separations().jobs_of(MARKER), answer(job_xml("")))
        assert (found.jobs, found.complete) == ([], False)


class TestCancel:
    def test_several_jobs_take_one_call_without_a_body(self) -> None:
        result, (call,) = drive(ci().cancel(["j1", "j2"]), Reply(200, {}, b""))
        assert result is None
        assert (call.method, call.url.partition("/jobs")[2], call.body) == ("PUT", "/j1,j2?cancel", b"")

    def test_a_refusal_is_raised(self) -> None:
        with pytest.raises(BadRequest):
            drive(ci().cancel(["j1"]), error("InvalidArgument"))

    def test_eleven_are_refused(self) -> None:
        with pytest.raises(BadRequest, match="1 to 10"):
            drive(ci().cancel(["j"] * 11))


class TestDone:
    @pytest.mark.parametrize("reply", [Reply(300, {}, b""), Reply(302, {}, b""), xml("<html>")])
    def test_only_a_plain_success_is_one_and_the_error_names_what_was_asked(self, reply: Reply) -> None:
        with pytest.raises(MediaxError, match="CancelJobs"):
            drive(ci().cancel(["j1"]), reply)


class TestTemplates:
    def test_a_template_is_created_as_the_reference_has_it(self) -> None:
        audio = AudioConfig(codec="aac", sample_rate=44100, bitrate=128, channels=4)
        reply = xml(published("template_create_response.xml").decode())
        template, (call,) = drive(ci().create_template("TemplateName", "IsAudio", audio), reply)
        expected = published("template_create_request.xml").decode().partition("?>")[2]
        assert call.body.decode() == "".join(line.strip() for line in expected.splitlines())
        assert (template.id, template.category) == ("t1460606b9752148c4ab182f55163ba7cd", "Custom")

    @pytest.mark.parametrize("name", ["", "a" * 65, "a b", "a/b", "a.b"])
    def test_a_name_outside_the_rules_is_refused(self, name: str) -> None:
        with pytest.raises(BadRequest):
            drive(ci().create_template(name, "IsAudio", AudioConfig()))

    def test_a_chinese_name_passes(self) -> None:
        reply = xml(published("template_create_response.xml").decode())
        _, (call,) = drive(ci().create_template("人声_分离-1*", "IsAudio", AudioConfig()), reply)
        assert "人声_分离-1*" in call.body.decode()

    def listed(self, mode: str = "IsAudio") -> Reply:
        encoding = f"<AudioMode>{mode}</AudioMode><AudioConfig><Codec>mp3</Codec></AudioConfig>"
        template = f"<TemplateId>t1</TemplateId><Name>vs</Name><VoiceSeparate>{encoding}</VoiceSeparate>"
        return answer(f"<TotalCount>1</TotalCount><TemplateList>{template}</TemplateList>")

    def test_one_that_another_task_created_in_between_is_taken(self) -> None:
        ensured, calls = drive(
            ci().ensure_template("vs", "IsAudio", AudioConfig()), answer(), error("TemplateNameRepeat"), self.listed()
        )
        assert ensured.id == "t1"
        assert [call.method for call in calls] == ["GET", "POST", "GET"]

    def test_one_that_could_not_be_created_is_the_first_error(self) -> None:
        with pytest.raises(BadRequest, match="no") as caught:
            drive(ci().ensure_template("vs", "IsAudio", AudioConfig()), answer(), error("InvalidArgument"), answer())
        assert caught.value.code == "InvalidArgument"

    def test_one_of_that_name_that_does_something_else_is_refused(self) -> None:
        with pytest.raises(BadRequest, match="t1 has this name"):
            drive(ci().ensure_template("vs", "IsAudio", AudioConfig()), self.listed("MusicMode"))

    def test_unknown_ids_and_other_tags_are_absent(self) -> None:
        reply = xml(published("template_list_by_ids_response.xml").decode())
        assert drive(ci().get_templates(ids=["a", "b", "C"]), reply)[0] == []

    def test_every_page_is_read_although_the_service_has_smaller_ones(self) -> None:
        def page(*ids: str) -> Reply:
            listed = (f"<TemplateList><TemplateId>{one}</TemplateId></TemplateList>" for one in ids)
            return answer("<TotalCount>3</TotalCount><PageSize>2</PageSize>", *listed)

        found, calls = drive(ci().get_templates(name="vs-"), page("t1", "t2"), page("t3"))
        assert [template.id for template in found] == ["t1", "t2", "t3"]
        assert [query(call)["pageNumber"] for call in calls] == ["1", "2"]
        assert query(calls[0])["name"] == "vs-"

    def test_a_service_that_ignores_paging_is_asked_twice(self) -> None:
        page = answer("<TemplateList><TemplateId>t1</TemplateId></TemplateList>")
        assert len(drive(ci().get_templates(), page, page)[0]) == 1

    def test_a_list_without_end_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(operations, "MOST_PAGES", 2)
        pages = [answer(f"<TemplateList><TemplateId>t{place}</TemplateId></TemplateList>") for place in range(2)]
        with pytest.raises(ProtocolError):
            drive(ci().get_templates(), *pages)


class TestService:
    def test_the_queue_is_the_smart_audio_one(self) -> None:
        queues, (call,) = drive(ci().queues(), xml(published("asrqueue_list_response.xml").decode()))
        assert urlsplit(call.url).path == "/asrqueue"
        assert [queue.id for queue in queues] == ["p4a17eeea29334bf499b7e20e2fbfd99d"]

    @pytest.mark.parametrize(
        ("listed", "active"), [("music-1250000000", True), ("music-12500000001", False), ("", False)]
    )
    def test_activation_is_asked_of_the_region(self, listed: str, active: bool) -> None:
        reply = answer(f"<AsrBucketList><BucketId>{listed}</BucketId></AsrBucketList>" if listed else "")
        found, (call,) = drive(ci().activation(), reply)
        assert found is active
        assert call.headers["Host"] == "ci.ap-guangzhou.myqcloud.com"
        assert query(call)["bucketNames"] == "music-1250000000"

    @pytest.mark.parametrize("member", ["BucketId", "Name"])
    def test_activation_is_known_by_either_name_of_a_bucket(self, member: str) -> None:
        reply = answer(f"<AsrBucketList><{member}>music-1250000000</{member}></AsrBucketList>")
        assert drive(ci().activation(), reply)[0] is True


class TestErrors:
    @pytest.mark.parametrize(
        ("reply", "kind"),
        [
            *((error(code, 401), AuthenticationFailed) for code in ("MissingAuthorization", "InvalidAuthorization")),
            *((error(code, 401), AuthenticationFailed) for code in ("SecretidNotExist", "SignatureExpired")),
            (error("AccessDenied", 401), AuthenticationFailed),
            (error("AccessDenied", 403), AuthenticationFailed),
            (xml("", 401), AuthenticationFailed),
            (xml("<html>no</html>", 403), AuthenticationFailed),
            *((error(code), BadRequest) for code in ("MediaBucketUnBinded", "CIRoleNotExist", "ResourceNotFound")),
            (error("MediaBucketUnBinded", 403), BadRequest),
            (error("NoSuchBucket", 404), BadRequest),
            (error("TemplateNotFound"), BadRequest),
            (error("TemplateNameDuplicate"), BadRequest),
            (error("SomethingNew"), BadRequest),
            (xml("", 404), BadRequest),
            (error("PermanentRedirect", 301), BadRequest),
            (error("InvalidArgument", 200), BadRequest),
            (error("SlowDown", 503), Throttled),
            (error("SlowDown", 400), Throttled),
            (error("SlowDown", 200), Throttled),
            (error("SomethingNew", 429), Throttled),
            (xml("", 429), Throttled),
            (error("InternalError", 500), Unavailable),
            (error("InvalidArgument", 500), Unavailable),
            (xml("<html>", 502), Unavailable),
            (error("InternalError", 200), Unavailable),
            (error("RequestTimeout", 400), Unavailable),
            (xml("", 408), Unavailable),
            (error("TemporaryRedirect", 307), Unavailable),
            (error("SomethingNew", 200), ProtocolError),
            (xml("", 302), BadRequest),
            *((error("SomethingNew", status), Unavailable) for status in (409, 425, 499)),
            (xml("{}", 200), ProtocolError),
        ],
        ids=lambda value: f"{value.status} {value.body[:40]!r}" if isinstance(value, Reply) else value.__name__,
    )
    def test_the_class_follows_code_and_status(self, reply: Reply, kind: type[Any]) -> None:
        with pytest.raises(kind) as raised:
            drive(ci().describe(["j1"]), reply)
        assert type(raised.value) is kind
        assert raised.value.status == reply.status

    def test_an_envelope_without_a_resource_is_read_in_full(self) -> None:
        with pytest.raises(BadRequest) as raised:
            drive(ci().describe(["j1"]), xml(published("error_envelope.xml").decode(), 400))
        assert (raised.value.code, raised.value.request_id) == ("string", "string")

    def test_the_request_id_may_come_in_a_header_only(self) -> None:
        with pytest.raises(ProtocolError) as unreadable:
            drive(ci().describe(["j1"]), xml("<html/>", 200, x_ci_request_id="r-7"))
        assert unreadable.value.request_id == "r-7"
        with pytest.raises(Unavailable) as unavailable:
            drive(ci().describe(["j1"]), xml("", 502, x_ci_request_id="r-7"))
        assert unavailable.value.request_id == "r-7"

    def test_a_code_comes_with_advice(self) -> None:
        with pytest.raises(BadRequest) as refused:
            drive(submitted(ci(), request(), MARKER), error("CIRoleNotExist"))
        assert "CI_QCSRole" in refused.value.advice
        with pytest.raises(AuthenticationFailed) as denied:
            drive(submitted(ci(), request(), MARKER), error("AccessDenied", 403))
        assert "ci:CreateMediaJobs and cam:PassRole" in denied.value.advice

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_proves_a_refusal_and_names_the_host_it_leads_to(self, status: int) -> None:
        portal = Reply(status, {"location": "https://portal.example.com/login?session=1"}, b"<html></html>")
        with pytest.raises(BadRequest, match=r"leads to portal\.example\.com") as raised:
            drive(submitted(ci(), request(), MARKER), portal)
        assert raised.value.nothing_done
        assert "session" not in raised.value.reason

    def test_a_redirect_names_its_target_also_if_it_has_words(self) -> None:
        said = b"<Error><Code>PermanentRedirect</Code><Message>wrong endpoint</Message></Error>"
        with pytest.raises(BadRequest) as raised:
            drive(ci().describe(["j1"]), Reply(301, {"location": "https://login.example.com/x?y=1"}, said))
        assert raised.value.what.endswith("the answer leads to login.example.com (wrong endpoint)")
        assert raised.value.code == "PermanentRedirect"

    def test_what_it_says_is_one_line_of_a_log(self) -> None:
        said = b"<Error><Code>Odd&#10;Code</Code><Message>no&#10;ERROR all is lost</Message></Error>"
        with pytest.raises(BadRequest) as raised:
            drive(ci().describe(["j1"]), Reply(400, {}, said))
        assert raised.value.what.endswith("with: no ERROR all is lost")
        assert raised.value.reason.isprintable()

    def test_an_error_page_keeps_its_words_and_the_advice_names_fields_of_cos(self) -> None:
        page = Reply(403, {}, b"<html><head><title>Blocked by policy 7</title></head><body>x</body></html>")
        with pytest.raises(AuthenticationFailed, match="Blocked by policy 7") as raised:
            drive(ci().describe(["j1"]), page)
        assert "cos_secret_id" in raised.value.advice
        with pytest.raises(BadRequest, match="no such page") as missing:
            drive(ci().describe(["j1"]), Reply(404, {}, b"no such page"))
        assert "job_path" not in missing.value.advice
        assert "cos_endpoint" in missing.value.advice

    def test_an_error_repeats_no_secret(self) -> None:
        keys = CosKeys(secret_id="AKIDexample", secret_key="keyexample", token="tokenexample")
        said = "AKIDexample keyexample tokenexample https://h/p?q-signature=abc"
        with pytest.raises(BadRequest) as raised:
            drive(ci(keys=keys).describe(["j1"]), error("InvalidArgument", message=said))
        assert "*** *** *** https://h/p" in str(raised.value)
        assert "example" not in str(raised.value)
        assert "abc" not in str(raised.value)
