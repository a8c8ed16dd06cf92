"""filter[field][operator]=value on GET /jobs."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest

from tests.api.conftest import Api
from tests.factory import job_row

pytestmark = pytest.mark.django_db


def found(api: Api, **parameters: str) -> list[int]:
    return listed(api, "&".join(f"{quote(name)}={quote(value)}" for name, value in parameters.items()))


def listed(api: Api, query: str) -> list[int]:
    return [job["id"] for job in api.get(f"/jobs?{query}").data["jobs"]]


def test_a_filter_without_an_operator_finds_equal_values(api: Api) -> None:
    one, two = job_row(function_name="a", comment="x").pk, job_row(function_name="b").pk
    assert listed(api, "filter[function_name]=a") == [one]
    assert listed(api, f"filter[id]={two}") == [two]
    assert listed(api, "filter[comment]=x&filter[function_name]=b") == []
    assert listed(api, "filter%5Bfunction_name%5D=b") == [two]


def test_a_dot_counts_as_an_underscore(api: Api) -> None:
    one = job_row(function_name="sync_devices").pk
    job_row(function_name="other")
    assert listed(api, "filter[function.name][contains]=sync") == [one]


@pytest.mark.parametrize("status", ["RUNNING", "running", "RuNnInG"])
def test_a_status_is_found_in_upper_and_lower_case(api: Api, status: str) -> None:
    one = job_row("RUNNING").pk
    job_row("FINISHED")
    assert listed(api, f"filter[status]={status}") == [one]
    assert listed(api, f"filter[status][in]={status},exception") == [one]
    assert listed(api, f"filter[status][contains]={status[:3]}") == [one]


def test_contains_is_case_insensitive_and_literal(api: Api) -> None:
    percent, other = job_row(comment=r"100% of_it\done").pk, job_row(comment="100 of it done").pk
    for text in ("%", "f_i", r"t\d", "100% OF_IT"):
        assert listed(api, f"filter[comment][contains]={quote(text)}") == [percent], text
    assert listed(api, "filter[comment][contains]=DONE") == [percent, other]
    assert listed(api, "filter[comment][contains]=_%25_") == []


def test_contains_is_case_insensitive_beyond_ascii(api: Api) -> None:
    one = job_row(comment="Åtgärda FELET").pk
    assert listed(api, f"filter[comment][contains]={quote('åtgÄrda fel')}") == [one]


def test_ne_includes_what_is_unset(api: Api) -> None:
    unset, other, same = job_row(comment=None).pk, job_row(comment="b").pk, job_row(comment="a").pk
    assert listed(api, "filter[comment][ne]=a") == [unset, other]
    assert listed(api, f"filter[id][ne]={same}") == [unset, other]
    assert listed(api, "filter[status][ne]=running") == [unset, other, same]


def test_in_finds_any_of_several_values(api: Api) -> None:
    one, _, three = job_row(change_score=1).pk, job_row(change_score=2).pk, job_row(change_score=3).pk
    assert listed(api, "filter[change_score][in]=1,3") == [one, three]
    assert listed(api, f"filter[id][in]={one}") == [one]


def test_gt_gte_lt_and_lte_compare_numbers(api: Api) -> None:
    one, two, three = (job_row(change_score=score).pk for score in (1, 2, 3))
    job_row(change_score=None)
    assert listed(api, "filter[change_score][gt]=2") == [three]
    assert listed(api, "filter[change_score][gte]=2") == [two, three]
    assert listed(api, "filter[change_score][lt]=2") == [one]
    assert listed(api, "filter[change_score][lte]=2") == [one, two]
    assert listed(api, f"filter[id][gt]={two}&filter[id][lt]={three + 1}") == [three]


def test_times_are_compared_in_any_notation(api: Api) -> None:
    times = [datetime(2026, 11, 24, 13, minute, 0, 5, tzinfo=UTC) for minute in (5, 10)]
    one, two = (job_row(finish_time=time).pk for time in times)
    assert listed(api, "filter[finish_time]=2026-11-24T13:05:00.000005") == [one]
    assert listed(api, "filter[finish_time][gt]=2026-11-24 13:06") == [two]
    assert listed(api, "filter[finish_time][lte]=2026-11-24T15:05:00.000005%2B02:00") == [one]
    assert listed(api, "filter[finish_time][gte]=2026-11-24") == [one, two]
    assert listed(api, "filter[finish_time][ne]=2026-11-24T13:05:00.000005Z") == [two]


@pytest.mark.parametrize(
    ("beginning", "matches"),
    [
        ("2026-11", True),
        ("2026-11-24 13:0", True),
        ("2026-11-24T13:0", True),
        ("2026-11-24 13:05:00.00000", True),
        ("2", True),
        ("2026-1", True),
        ("2026-11-2", True),
        ("2026-11-24 1", True),
        ("", True),
        ("2026-11-24 13:05:00.000005", True),
        ("2026-11-24 13:1", False),
        ("2026-12", False),
        ("1", False),
        ("2026-11-24 13:05:00.1", False),
        ("2026-0", False),
    ],
)
def test_contains_on_a_time_takes_its_beginning(api: Api, beginning: str, matches: bool) -> None:
    one = job_row(finish_time=datetime(2026, 11, 24, 13, 5, 0, 5, tzinfo=UTC)).pk
    job_row("RUNNING")
    assert listed(api, f"filter[finish_time][contains]={quote(beginning)}") == ([one] if matches else [])


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("filter[nothing]=1", ["nothing"]),
        ("filter[result]=1", ["result"]),
        ("filter[task_name]=1", ["task_name"]),
        ("filter[outcome__result]=1", ["outcome__result"]),
        ("filter[id__gt]=1", ["id__gt"]),
        ("filter[]=1", ["unknown field"]),
        ("filter=1", ["filter"]),
        ("filter[id=1", ["filter[id"]),
        ("filter[id][gt][lt]=1", ["filter[id][gt][lt]"]),
        ("filter[id][like]=1", ["id", "like"]),
        ("filter[id][]=1", ["id"]),
        ("filter[id][contains]=1", ["id", "contains"]),
        ("filter[status][gt]=RUNNING", ["status", "gt"]),
        ("filter[comment][gte]=a", ["comment", "gte"]),
        ("filter[id]=one", ["id", "one"]),
        ("filter[id]=", ["id"]),
        ("filter[id]=1.0", ["id", "1.0"]),
        ("filter[id]=1_0", ["id", "1_0"]),
        ("filter[id]=%EF%BC%91", ["id"]),
        ("filter[id]=9223372036854775808", ["id", "9223372036854775808"]),
        ("filter[id][in]=1,x", ["id", "1,x"]),
        ("filter[id][in]=1,,2", ["id", "1,,2"]),
        ("filter[id][lt]=-9223372036854775809", ["id", "-9223372036854775809"]),
        ("filter[change_score]=32768", ["change_score", "32768"]),
        ("filter[change_score][in]=1,32768", ["change_score", "32768"]),
        ("filter[next_job_id][gt]=99999999999999999999999999999999", ["next_job_id", "9999"]),
        ("filter[status]=DONE", ["status", "DONE"]),
        ("filter[status][in]=RUNNING,DONE", ["status", "DONE"]),
        ("filter[start_time]=yesterday", ["start_time", "yesterday"]),
        ("filter[start_time]=2026-13-01", ["start_time", "2026-13-01"]),
        ("filter[start_time][gt]=2026", ["start_time", "2026"]),
        ("filter[start_time]=9999-12-31T23:59:59-01:00", ["start_time", "9999"]),
        ("filter[start_time][contains]=2026-13", ["start_time", "2026-13"]),
        ("filter[start_time][contains]=2026-02-30", ["start_time", "2026-02-30"]),
        ("filter[start_time][contains]=2026-11-24 25", ["start_time", "2026-11-24 25"]),
        ("filter[start_time][contains]=0000", ["start_time", "0000"]),
        ("filter[start_time][contains]=%25", ["start_time", "%"]),
        ("filter[comment]=a%00b", ["filter[comment]", "NUL"]),
        ("filter[comment][contains]=%00", ["filter[comment]", "NUL"]),
        ("filter[comment][in]=a,%00", ["NUL"]),
        ("filter[com%00ment]=a", ["NUL"]),
        ("other=%00", ["other", "NUL"]),
        ("filter_jobresult=nothing", ["filter_jobresult", "nothing"]),
        ("filter_jobresult=", ["filter_jobresult"]),
    ],
)
def test_what_is_wrong_is_a_400_that_names_it(api: Api, query: str, named: list[str]) -> None:
    job_row()
    reply = api.get(f"/jobs?{query}")
    assert reply.status == 400
    assert reply.message.startswith("Unable to filter jobs: ")
    for word in named:
        assert word in reply.message


@pytest.mark.parametrize("id_text", ["9223372036854775807", "-9223372036854775808", "0", "-1"])
def test_every_number_that_the_column_holds_can_be_asked_for(api: Api, id_text: str) -> None:
    assert listed(api, f"filter[id]={id_text}") == []


def test_too_much_at_once_is_a_400(api: Api) -> None:
    assert api.get("/jobs?" + "&".join(["filter[id][ne]=1"] * 51)).status == 400
    assert api.get("/jobs?filter[id][in]=" + ",".join(["1"] * 501)).status == 400
    assert api.get("/jobs?filter[comment][contains]=" + "x" * 60_000).status == 400
    assert api.get("/jobs?" + "&".join(f"a{number}=1" for number in range(2000))).status == 400


def test_parameters_that_are_no_filters_are_ignored(api: Api) -> None:
    one = job_row().pk
    assert listed(api, "_=123&format=xml&filters[x]=1") == [one]


def test_the_total_counts_what_matches_on_all_pages(api: Api) -> None:
    for score in (1, 1, 2):
        job_row(change_score=score)
    assert api.get("/jobs?filter[change_score]=1&per_page=1&page=9").headers["X-Total-Count"] == "2"
