"""The range of partition projection of live data: what CloudFormation computes, and which data is outside of it."""

import json
import re
from datetime import date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anomalake.catalog import projection
from anomalake.cloudformation import PARAMETERS
from anomalake.domain import intervals, metric_set_yaml, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.timestamps import FIRST_PROJECTED_TIMESTAMP
from anomalake.lake import live_data
from anomalake.lake.folder_store import FolderStore
from examples import shop_text
from folder_patterns import PATHS, SHOP, build_live_keys, shop
from stack import TOP, Resource, _Scope, expand, project, read

DAYS = [date(2000, 1, 1) + timedelta(days=number) for number in range(36_525)]


def list_ranges(resources: dict[str, Resource], column: str = "slot") -> set[str]:
    tables = [
        resource.properties["TableInput"]["Parameters"]
        for resource in resources.values()
        if resource.type == "AWS::Glue::Table"
    ]
    return {table[f"projection.{column}.range"] for table in tables if f"projection.{column}.range" in table}


@given(st.sampled_from(PATHS), st.sampled_from(DAYS))
def test_the_range_begins_with_the_day_of_the_parameter_in_every_folder_pattern(path: str, day: date):
    pattern = projection.partition_pattern(path).pattern
    live_range = _Scope({}, {"LiveDataStart": str(day)}).resolve(projection.live_range(pattern))
    assert live_range == f"{datetime(day.year, day.month, day.day):{time_patterns.to_python_format(pattern)}},NOW+1DAYS"
    assert projection.start_of_range(live_range, pattern) == day


def test_the_parameter_of_the_stack_changes_only_the_live_tables(tmp_path: Path):
    sets = [SHOP, shop("store/{{yyyy}}/{{MM}}/{{dd}}/{{HH}}", name="store"), shop("flat/{{yyyyMMddHHmm}}", name="flat")]
    template = project(tmp_path, sets)
    assert list_ranges(expand(template)) == {"20200101,NOW+1DAYS", "2020/01/01,NOW+1DAYS", "202001010000,NOW+1DAYS"}
    resources = expand(template, LiveDataStart="2013-02-08")
    assert list_ranges(resources) == {"20130208,NOW+1DAYS", "2013/02/08,NOW+1DAYS", "201302080000,NOW+1DAYS"}
    assert list_ranges(resources, "date") == {"2000-01-01,NOW+1DAYS"}


def test_the_range_of_a_daily_metric_set_begins_with_the_same_day(tmp_path: Path):
    daily = metric_set_yaml.parse(shop_text(frequency="frequency: P1D").replace("/{{HHmm}}", ""), "shop")
    assert list_ranges(expand(project(tmp_path, [daily]), LiveDataStart="2018-12-31")) == {"20181231,NOW+1DAYS"}


@pytest.mark.parametrize(
    ("frequency", "path", "step", "first"),
    [
        ("PT15M", "{{yyyyMMdd}}/{{HHmm}}", (1, "DAYS"), "20200115"),
        ("PT15M", "{{yyyyMMddHHmm}}", (15, "MINUTES"), "202001150000"),
        ("PT90M", "{{yyyyMMddHHmm}}", (90, "MINUTES"), "202001150000"),
        ("PT2H", "{{yyyyMMddHH}}", (2, "HOURS"), "2020011500"),
        ("PT5M", "{{yyyyMMddHH}}", (1, "HOURS"), "2020011500"),
        ("PT5M", "{{yyyy-MM-dd}}", (1, "DAYS"), "2020-01-15"),
        ("PT1H", "{{yyyy}}/{{MM}}", (1, "MONTHS"), "2020/01"),
        ("P1D", "{{yyyyMMddHHmm}}", (1, "DAYS"), "202001150000"),
        ("P1W", "{{yyyyMMdd}}", (1, "DAYS"), "20200115"),
        ("P1M", "{{yyyyMMdd}}", (1, "DAYS"), "20200115"),
        ("P1M", "{{yyyy-MM}}", (1, "MONTHS"), "2020-01"),
    ],
)
def test_the_step_of_the_projection_reaches_every_folder_from_any_start(tmp_path, frequency, path, step, first):
    item = shop(f"shop/live/{path}", frequency=f"frequency: {frequency}")
    (table,) = (
        resource.properties["TableInput"]["Parameters"]
        for resource in expand(project(tmp_path, [item]), LiveDataStart="2020-01-15").values()
        if resource.type == "AWS::Glue::Table" and resource.properties["TableInput"]["Name"] == "live"
    )
    assert table["projection.slot.range"] == f"{first},NOW+1DAYS"
    assert (int(table["projection.slot.interval"]), table["projection.slot.interval.unit"]) == step
    months = step == (1, "MONTHS")
    before = datetime(2020, 1, 1) if months else datetime(2020, 1, 15)
    wall = intervals.floor_to_interval(before, frequency)
    found = projection.find_out_of_range([wall], item, date(2020, 1, 15), datetime(2026, 1, 1)).before_start
    assert found == (wall if wall < before else None)


def test_the_parameter_accepts_only_the_days_of_2000_to_2099():
    declared = PARAMETERS["LiveDataStart"]
    outer = read(TOP / "template.yaml")["Parameters"]["LiveDataStart"]
    assert (
        (outer["AllowedPattern"], outer["Default"])
        == (declared["AllowedPattern"], declared["Default"])
        == (declared["AllowedPattern"], str(projection.DEFAULT_START))
    )
    allowed = re.compile(declared["AllowedPattern"])
    accepted = {
        f"{2000 + year}-{month:02}-{day:02}"
        for year in range(100)
        for month in range(14)
        for day in range(33)
        if allowed.search(f"{2000 + year}-{month:02}-{day:02}")
    }
    assert accepted == {str(day) for day in DAYS if (day.month, day.day) != (2, 29)}
    assert [
        text
        for text in (
            "",
            "2020",
            "20200101",
            "2020-1-1",
            "1999-12-31",
            "1970-01-01",
            "2100-01-01",
            "2020-01-01 ",
            "x2020-01-01",
        )
        if allowed.search(text)
    ] == []


@pytest.mark.parametrize("path", ["shop/live/{{yyyy}},{{MM}},{{dd}}/{{HH}}", "shop/live/{{yyyy,MM,dd}}/{{HH}}"])
def test_a_comma_in_the_date_of_a_path_is_rejected_because_it_would_end_the_range(path: str):
    with pytest.raises(UserError, match="has a comma in its date"):
        shop(path)
    assert shop("shop,live/{{yyyyMMdd}}/{{HHmm}},x").source


ZONES = ("UTC", "Pacific/Kiritimati", "America/Los_Angeles", "Europe/Berlin")
walls = st.datetimes(datetime(1969, 1, 1), datetime(2099, 12, 31)).map(
    lambda wall: intervals.floor_to_interval(wall, "PT1H")
)


@given(
    st.lists(walls, max_size=8),
    st.sampled_from(ZONES),
    st.sampled_from(DAYS),
    st.datetimes(datetime(2005, 1, 1), datetime(2090, 1, 1)),
)
def test_each_interval_is_in_the_range_or_outside_it_for_one_reason(
    some: list[datetime], zone: str, start: date, now: datetime
):
    found = projection.find_out_of_range(some, shop(zone=zone), start, now)
    old = {wall for wall in some if min(wall, intervals.to_utc(wall, zone)) < FIRST_PROJECTED_TIMESTAMP}
    first, last = (
        datetime(start.year, start.month, start.day),
        datetime(now.year, now.month, now.day) + timedelta(days=2),
    )
    assert found.before_tables == min(old, default=None)
    assert found.before_start == min((wall for wall in some if wall < first and wall not in old), default=None)
    assert found.after_end == max(
        (wall for wall in some if wall >= last and wall >= first and wall not in old), default=None
    )


@given(st.lists(walls, min_size=1), st.sampled_from(ZONES))
@example([datetime(1999, 12, 31, 16), datetime(2000, 1, 1)], "America/Los_Angeles")
def test_the_suggested_start_includes_all_data_that_the_tables_can_hold(some: list[datetime], zone: str):
    item, now = shop(zone=zone), datetime(2026, 7, 14)
    before = projection.find_out_of_range(some, item, projection.DEFAULT_START, now).before_start
    if before is not None:
        value = projection.suggest_start(before)
        assert re.search(PARAMETERS["LiveDataStart"]["AllowedPattern"], str(value))
        assert projection.find_out_of_range(some, item, value, now).before_start is None


def test_the_first_day_of_the_range_is_complete_in_the_time_zone_of_the_metric_set():
    start, now = date(2020, 1, 1), datetime(2026, 7, 14, 12)
    for zone in ZONES:
        item = shop(zone=zone)
        assert projection.find_out_of_range([datetime(2020, 1, 1)], item, start, now) == (None, None, None)
        assert projection.find_out_of_range([datetime(2019, 12, 31, 23)], item, start, now).before_start == datetime(
            2019, 12, 31, 23
        )
        assert projection.find_out_of_range([datetime(2026, 7, 15, 23)], item, start, now) == (None, None, None)
        assert projection.find_out_of_range([datetime(2026, 7, 16)], item, start, now).after_end == datetime(
            2026, 7, 16
        )


def test_the_first_hours_of_2000_east_of_greenwich_are_before_the_first_day_of_the_tables():
    first = [datetime(2000, 1, 1, hour) for hour in range(24)]
    assert (
        projection.find_out_of_range(
            first, shop(zone="Asia/Tokyo"), date(2000, 1, 1), datetime(2026, 1, 1)
        ).before_tables
        == first[0]
    )
    assert (
        projection.find_out_of_range(
            first, shop(zone="America/New_York"), date(2000, 1, 1), datetime(2026, 1, 1)
        ).before_tables
        is None
    )


@pytest.mark.parametrize(
    ("text", "starts"),
    [
        ("", {"default": "2020-01-01"}),
        ('[default.deploy.parameters]\nparameter_overrides = ["Prefix=anomalake"]', {"default": "2020-01-01"}),
        (
            '[default.deploy.parameters]\nparameter_overrides = ["Prefix=a", "LiveDataStart=2013-01-01"]',
            {"default": "2013-01-01"},
        ),
        (
            '[default.deploy.parameters]\nparameter_overrides = \'Prefix="a" LiveDataStart="2013-01-01"\'',
            {"default": "2013-01-01"},
        ),
        (
            '[default.deploy.parameters]\nparameter_overrides = "ParameterKey=LiveDataStart,ParameterValue=2013-01-01"',
            {"default": "2013-01-01"},
        ),
        ('[default.deploy.parameters.parameter_overrides]\nLiveDataStart = "2013-01-01"', {"default": "2013-01-01"}),
        (
            '[prod.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2013-01-01"]',
            {"default": "2020-01-01", "prod": "2013-01-01"},
        ),
        ('[default.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2013-99-01"]', {"default": "2020-01-01"}),
        ("version = 0.1\n[default.build.parameters]\ncached = true", {"default": "2020-01-01"}),
        ("not = [toml", {"default": "2020-01-01"}),
    ],
)
def test_the_start_of_a_profile_is_read_from_samconfig(text: str, starts: dict[str, str]):
    assert {name: str(start) for name, start in projection.configured_starts(text).items()} == starts


def test_the_samconfig_of_the_project_deploys_the_default_start():
    assert set(projection.configured_starts((TOP / "samconfig.toml").read_text())) == {"default", "prod"}
    assert set(projection.configured_starts((TOP / "samconfig.toml").read_text()).values()) == {
        projection.DEFAULT_START
    }


def test_duckdb_and_athena_read_the_same_live_data(tmp_path: Path):
    """For the same keys, the doctor returns the intervals of the backtest."""
    keys = [
        *build_live_keys(SHOP, datetime(2021, 1, 1), datetime(2021, 1, 1, 5)),
        "shop/live/20210102/0000",
        "shop/live/20210102/0030/a",
        "shop/live/20210102/0100/_a",
        "shop/live/20210102/0200x/a",
        "shop/live/x/0200/a",
        "shop/live/20210132/0200/a",
    ]
    for key in keys:
        FolderStore(tmp_path).put(key, json.dumps(key).encode())
    assert list(live_data.list_files_by_interval(FolderStore(tmp_path), SHOP)) == [
        datetime(2021, 1, 1),
        datetime(2021, 1, 1, 5),
    ]
    assert [wall for key in keys if (wall := live_data.wall_time_of_key(SHOP, key))] == [
        datetime(2021, 1, 1),
        datetime(2021, 1, 1, 5),
    ]
