"""The range of partition projection of live data: what CloudFormation gives, what lies outside, and who says so."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from anomalake import doctor
from anomalake.catalog import projection
from anomalake.cli.main import main
from anomalake.cloudformation import PARAMETERS
from anomalake.doctor import partitions
from anomalake.doctor.context import Context, Finding, Stack
from anomalake.domain import intervals, metric_set_yaml, time_patterns
from anomalake.domain.errors import UserError
from anomalake.domain.metric_set import MetricSet
from anomalake.domain.timestamps import EARLIEST_TIMESTAMP
from anomalake.lake import live_data
from anomalake.lake.folder_store import FolderStore
from examples import shop_text
from stack import REGION, TOP, Resource, _Scope, expand, project, read

DAYS = [date(2000, 1, 1) + timedelta(days=number) for number in range(36_525)]
PATHS = (  # of hourly sets
    "shop/live/{{yyyyMMdd}}/{{HHmm}}",
    "shop/live/{{yyyyMMddHH}}",
    "shop/live/{{yyyy}}/{{MM}}/{{dd}}/{{HH}}",
    "shop/live/y={{yyyy}}/m={{MM}}/d={{dd}}/h={{HH}}",
    "shop/live/{{yyyy-MM-dd}}T{{HH}}",
    "shop/live/{{dd}}.{{MM}}.{{yyyy}}/{{HH}}",
    "shop/live/{{HH}}/{{yyyyMMdd}}",
    "shop/live/{{yyyyMMdd}}/_in/{{HHmmss}}/x",
)


def shop(path: str = PATHS[0], zone: str = "UTC", name: str = "shop", **replaced: str) -> MetricSet:
    text = shop_text(zone, name=f"name: {name}", **replaced)
    return metric_set_yaml.parse(text.replace("shop/live/{{yyyyMMdd}}/{{HHmm}}", path), f"{name}.yaml")


SHOP = shop()


def range_of(resources: dict[str, Resource], column: str = "slot") -> set[str]:
    tables = [
        one.properties["TableInput"]["Parameters"] for one in resources.values() if one.type == "AWS::Glue::Table"
    ]
    return {table[f"projection.{column}.range"] for table in tables if f"projection.{column}.range" in table}


# --- what CloudFormation gives


@given(st.sampled_from(PATHS), st.sampled_from(DAYS))
def test_the_range_begins_with_the_folder_of_the_parameter_s_day_in_every_folder_pattern(path: str, day: date):
    pattern = projection.partition_pattern(path).pattern
    made = _Scope({}, {"LiveDataStart": str(day)}).resolve(projection.live_range(pattern))
    assert made == f"{datetime(day.year, day.month, day.day):{time_patterns.to_python_format(pattern)}},NOW+1DAYS"
    assert projection.start_of_range(made, pattern) == day


def test_the_stack_s_parameter_reaches_the_live_tables_and_no_other(tmp_path: Path):
    sets = [SHOP, shop("store/{{yyyy}}/{{MM}}/{{dd}}/{{HH}}", name="store"), shop("flat/{{yyyyMMddHHmm}}", name="flat")]
    template = project(tmp_path, sets)
    assert range_of(expand(template)) == {"20200101,NOW+1DAYS", "2020/01/01,NOW+1DAYS", "202001010000,NOW+1DAYS"}
    made = expand(template, LiveDataStart="2013-02-08")
    assert range_of(made) == {"20130208,NOW+1DAYS", "2013/02/08,NOW+1DAYS", "201302080000,NOW+1DAYS"}
    assert range_of(made, "date") == {"2000-01-01,NOW+1DAYS"}


def test_a_daily_set_begins_with_the_same_day(tmp_path: Path):
    daily = metric_set_yaml.parse(shop_text(frequency="frequency: P1D").replace("/{{HHmm}}", ""), "shop")
    assert range_of(expand(project(tmp_path, [daily]), LiveDataStart="2018-12-31")) == {"20181231,NOW+1DAYS"}


def test_the_parameter_takes_the_days_of_2000_to_2099_and_nothing_that_athena_could_not_read():
    declared = PARAMETERS["LiveDataStart"]
    outer = read(TOP / "template.yaml")["Parameters"]["LiveDataStart"]
    assert (outer["AllowedPattern"], outer["Default"]) == (declared["AllowedPattern"], declared["Default"]) == (
        declared["AllowedPattern"], str(projection.DEFAULT_START))  # fmt: skip
    allowed = re.compile(declared["AllowedPattern"])
    taken = {f"{2000 + year}-{month:02}-{day:02}" for year in range(100) for month in range(14) for day in range(33)
             if allowed.search(f"{2000 + year}-{month:02}-{day:02}")}  # fmt: skip
    assert taken == {str(day) for day in DAYS if (day.month, day.day) != (2, 29)}
    assert [text for text in ("", "2020", "20200101", "2020-1-1", "1999-12-31", "1970-01-01", "2100-01-01", "2020-01-01 ", "x2020-01-01")
            if allowed.search(text)] == []  # fmt: skip


@pytest.mark.parametrize("path", ["shop/live/{{yyyy}},{{MM}},{{dd}}/{{HH}}", "shop/live/{{yyyy,MM,dd}}/{{HH}}"])
def test_a_comma_in_the_date_of_a_path_would_end_the_range_there_and_is_refused(path: str):
    with pytest.raises(UserError, match="has a comma in its date"):
        shop(path)
    assert shop("shop,live/{{yyyyMMdd}}/{{HHmm}},x").source


# --- what lies outside


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
def test_each_interval_is_shown_or_is_outside_for_one_reason(
    some: list[datetime], zone: str, start: date, now: datetime
):
    found = projection.find_out_of_range(some, shop(zone=zone), start, now)
    old = {wall for wall in some if intervals.to_utc(wall, zone) < EARLIEST_TIMESTAMP}
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
def test_with_the_suggested_start_nothing_that_the_tables_can_hold_lies_before_it(some: list[datetime], zone: str):
    item, now = shop(zone=zone), datetime(2026, 7, 14)
    before = projection.find_out_of_range(some, item, projection.DEFAULT_START, now).before_start
    if before is not None:
        value = projection.suggest_start(before)
        assert re.search(PARAMETERS["LiveDataStart"]["AllowedPattern"], str(value))
        assert projection.find_out_of_range(some, item, value, now).before_start is None


def test_the_first_day_of_the_range_is_shown_whole_on_the_set_s_own_clock():
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


def test_the_first_hours_of_2000_east_of_greenwich_lie_before_the_tables_days():
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
def test_the_start_that_a_profile_deploys_is_read_from_samconfig(text: str, starts: dict[str, str]):
    assert {name: str(start) for name, start in projection.configured_starts(text).items()} == starts


def test_this_project_s_samconfig_deploys_the_default():
    assert set(projection.configured_starts((TOP / "samconfig.toml").read_text())) == {"default", "prod"}
    assert set(projection.configured_starts((TOP / "samconfig.toml").read_text()).values()) == {
        projection.DEFAULT_START
    }


# --- the command says so


def csv_of(first: datetime, hours: int = 48) -> str:
    rows = [f"pc,us,{first + timedelta(hours=hour)},{100 + hour % 7},1.5" for hour in range(hours)]
    return "\n".join(["platform,marketplace,timestamp,views,revenue", *rows]) + "\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sets_folder: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANOMALAKE_LAKE", raising=False)
    monkeypatch.delenv("ANOMALAKE_METRIC_SETS", raising=False)
    return tmp_path


def run(*arguments: str, capsys) -> tuple[int, str]:
    status = main(list(arguments))
    return status, capsys.readouterr().err


BACKTEST = ("backtest", "--metric-set", "sets/shop.yaml", "--data", "data.csv")
REBUILD = ("detect", "--rebuild", "--metric-set", "sets/shop.yaml")
TOLD = (
    "anomalake: shop: there is live data from shop/live/20190306/0500 on, but Athena shows it from 2020-01-01 on only"
)


def test_a_back_test_and_a_rebuild_name_the_first_folder_that_athena_does_not_show_and_the_parameter(
    here: Path, capsys
):
    (here / "data.csv").write_text(csv_of(datetime(2019, 3, 6, 5)))
    for command in (BACKTEST, REBUILD):
        status, err = run(*command, capsys=capsys)
        assert status == 0
        assert f"{TOLD} (the default of LiveDataStart); deploy with LiveDataStart=2019-03-01\n" in err
    (here / "samconfig.toml").write_text(
        '[prod.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2019-03-06"]\n'
    )
    assert (
        f"{TOLD} (LiveDataStart of the profile default in samconfig.toml); deploy with"
        in run(*REBUILD, capsys=capsys)[1]
    )
    (here / "samconfig.toml").write_text(
        '[default.deploy.parameters]\nparameter_overrides = ["LiveDataStart=2019-03-06"]\n'
    )
    assert "Athena" not in run(*REBUILD, capsys=capsys)[1]


def test_data_that_athena_shows_is_no_reason_to_warn(here: Path, capsys):
    (here / "data.csv").write_text(csv_of(datetime(2020, 1, 1)))
    status, err = run(*BACKTEST, capsys=capsys)
    assert (status, "Athena" in err) == (0, False)


def test_data_before_2000_is_told_apart_since_no_parameter_shows_it():
    lies = projection.find_out_of_range(
        [datetime(1970, 1, 1), datetime(2019, 3, 6)], SHOP, projection.DEFAULT_START, datetime(2026, 1, 1)
    )
    old, early = projection.range_warnings(SHOP, lies, projection.DEFAULT_START, "x")
    assert "begins with shop/live/19700101/0000; the lake's tables begin in 2000 (UTC)" in old.found
    assert early.remedy == "deploy with LiveDataStart=2019-03-01"


def test_data_of_the_future_is_told_with_the_day_up_to_which_athena_shows_it():
    lies = projection.find_out_of_range(
        [datetime(2026, 1, 1), datetime(2036, 1, 1)], SHOP, projection.DEFAULT_START, datetime(2026, 1, 1)
    )
    (told,) = projection.range_warnings(SHOP, lies, projection.DEFAULT_START, "x")
    assert told.found == "shop: shop/live/20360101/0000 lies in the future; Athena shows live data up to tomorrow"


def render_in(here: Path, capsys, *more: str) -> tuple[int, str]:
    return run("render", "--metric-set", "sets", "--output", str(here), *more, capsys=capsys)


@pytest.mark.parametrize("variable", [None, "elsewhere"])
def test_render_warns_where_the_lake_on_this_machine_holds_data_before_the_start(
    here: Path, capsys, monkeypatch, variable: str | None
):
    if variable:
        monkeypatch.setenv("ANOMALAKE_LAKE", variable)
    assert render_in(here, capsys) == (0, "")
    FolderStore(here / (variable or "lake")).put("shop/live/20190306/0500/a.csv", b"x")
    for more in ((), ("--check",)):
        status, err = render_in(here, capsys, *more)
        assert (status, err.startswith(TOLD)) == (0, True)
    (here / "samconfig.toml").write_text(
        '[default.deploy.parameters]\nparameter_overrides = "LiveDataStart=2019-03-01"\n'
    )
    assert render_in(here, capsys) == (0, "")


def test_render_leaves_a_lake_in_s3_to_the_doctor(here: Path, capsys, monkeypatch):
    monkeypatch.setenv("ANOMALAKE_LAKE", "s3://bucket-that-nobody-asks")
    assert render_in(here, capsys) == (0, "")


# --- the doctor says so

BUCKET = "anomalake-111122223333"
TODAY = datetime.now(UTC).replace(tzinfo=None, hour=0, minute=0, second=0, microsecond=0)


class Cloud:
    """Moto's Glue with what the stack declares of some metric sets, and moto's S3 with some keys; it counts the lists."""

    def __init__(self, folder: Path, sets: tuple[MetricSet, ...], keys: list[str], **parameters: str) -> None:
        given: Any = {"region_name": REGION, "aws_access_key_id": "x", "aws_secret_access_key": "y"}
        self.sets, self.lists, self.of = sets, 0, {name: boto3.client(name, **given) for name in ("glue", "s3")}
        self.of["s3"].meta.events.register("before-call.s3.ListObjectsV2", self._count)
        self.of["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
        for key in keys:
            self.of["s3"].put_object(Bucket=BUCKET, Key=key, Body=b"x")
        for one in expand(project(folder, sets), ExistingBucket=BUCKET, **parameters).values():
            if one.type == "AWS::Glue::Database":
                self.of["glue"].create_database(DatabaseInput=one.properties["DatabaseInput"])
        for one in expand(folder / "template.yaml", ExistingBucket=BUCKET, **parameters).values():
            if one.type == "AWS::Glue::Table":
                self.of["glue"].create_table(
                    DatabaseName=one.properties["DatabaseName"], TableInput=one.properties["TableInput"]
                )

    def _count(self, **_: Any) -> None:
        self.lists += 1

    def findings(self) -> list[Finding]:
        stack = Stack("", "", {}, {"DataBucket": BUCKET})
        settings = doctor.Settings("anomalake", REGION, "", self.sets)
        return list(partitions.check_partitions(Context(lambda service, _: self.of[service], settings, stack=stack)))

    def told(self, status: str) -> list[Finding]:
        return [one for one in self.findings() if one.status == status]


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    with mock_aws():
        yield lambda *keys, sets=(SHOP,), **parameters: Cloud(tmp_path, sets, list(keys), **parameters)


def keys_of(item: MetricSet, *some: datetime) -> list[str]:
    return [f"{live_data.interval_folder(item, wall)}/data.csv" for wall in some]


@pytest.mark.parametrize("path", PATHS)
def test_the_doctor_compares_the_first_folder_with_the_deployed_range_of_every_folder_pattern(cloud, path: str):
    item = shop(path)
    made = cloud(*keys_of(item, datetime(2013, 2, 8, 5), datetime(2026, 1, 1)), sets=(item,))
    (told,) = made.findings()
    assert told.found == (
        f"shop: there is live data from {live_data.interval_folder(item, datetime(2013, 2, 8, 5))} on, but Athena shows it from 2020-01-01 on only "
        "(LiveDataStart of the stack)"
    )
    assert told.remedy == 'deploy with LiveDataStart=2013-02-01 (`make deploy PARAMETERS="LiveDataStart=2013-02-01"`)'
    assert told.status == "warning"
    assert made.lists <= 8


def test_a_stack_that_was_deployed_with_the_value_is_ok(cloud):
    (told,) = cloud(*keys_of(SHOP, datetime(2013, 2, 8, 5)), LiveDataStart="2013-02-01").findings()
    assert told == (
        "ok",
        "shop: Athena shows live data from 2013-02-01 on, and the first lies in shop/live/20130208/0500",
        "",
    )


def test_the_one_parameter_is_given_so_that_it_shows_the_live_data_of_all_sets(cloud):
    other = shop("other/live/{{yyyyMMddHH}}", name="other")
    made = cloud(*keys_of(SHOP, datetime(2013, 2, 8)), *keys_of(other, datetime(2011, 7, 1)), sets=(SHOP, other))
    assert {one.remedy.partition(" (")[0] for one in made.told("warning")} == {"deploy with LiveDataStart=2011-07-01"}
    assert len(made.told("warning")) == 2


def test_a_broken_date_does_not_hide_the_first_folder_that_the_tables_can_hold(cloud):
    made = cloud(*keys_of(SHOP, datetime(1970, 1, 1), datetime(2013, 2, 8), datetime(2021, 1, 1)))
    old, early = made.told("warning")
    assert "begins with shop/live/19700101/0000; the lake's tables begin in 2000 (UTC)" in old.found
    assert "live data from shop/live/20130208/0000 on" in early.found


def test_folders_and_rows_of_the_future_are_reported_and_tomorrow_s_are_not(cloud):
    tomorrow, later = TODAY + timedelta(days=1), TODAY + timedelta(days=3660)
    rows = [
        f"anomalyResults/{table}/shop/v1/date={{0:%Y-%m-%d}}/x.parquet" for table in ("anomalyGroups", "observations")
    ]
    made = cloud(
        *keys_of(SHOP, TODAY, tomorrow, later), *(row.format(day) for row in rows for day in (tomorrow, later))
    )
    assert [one.found for one in made.findings()] == [
        f"shop: anomalyGroups has rows of {later:%Y-%m-%d}, in the future; Athena shows rows up to tomorrow",
        f"shop: observations has rows of {later:%Y-%m-%d}, in the future; Athena shows rows up to tomorrow",
        f"shop: shop/live/{later:%Y%m%d}/0000 lies in the future; Athena shows live data up to tomorrow",
    ]


def test_nothing_of_today_and_tomorrow_is_outside(cloud):
    made = cloud(
        *keys_of(SHOP, TODAY, TODAY + timedelta(days=1, hours=23)),
        f"anomalyResults/observations/shop/v1/date={TODAY:%Y-%m-%d}/x.parquet",
    )
    assert {one.status for one in made.findings()} == {"ok"}


def test_rows_before_2000_are_reported(cloud):
    made = cloud(*keys_of(SHOP, datetime(2021, 1, 1)), "anomalyResults/observations/shop/v1/date=1999-12-31/x.parquet")
    assert [one.found for one in made.told("warning")] == [
        "shop: observations has rows of 1999-12-31; Athena shows them from 2000-01-01 on"
    ]


def test_the_doctor_asks_for_a_few_pages_however_many_objects_lie_there(tmp_path: Path):
    """A list of S3 that never ends: a thousand keys a page that are nobody's, before the first folder."""
    asked = []

    def list_objects_v2(**parameters: Any) -> dict[str, Any]:
        asked.append(parameters["Prefix"])
        start = len(asked) * 1000
        return {
            "Contents": [
                {"Key": f"{parameters['Prefix']}0-{start + number:09}"} for number in range(parameters["MaxKeys"])
            ],
            "IsTruncated": True,
        }

    table = {"Table": {"Name": "live", "Parameters": {"projection.slot.range": "20200101,NOW+1DAYS"}}}
    clients = {"s3": type("S3", (), {"list_objects_v2": staticmethod(list_objects_v2)}),
               "glue": type("Glue", (), {"get_table": staticmethod(lambda **_: table)})}  # fmt: skip
    context = Context(
        lambda service, _: clients[service],
        doctor.Settings("anomalake", REGION, "", (SHOP,)),
        stack=Stack("", "", {}, {"DataBucket": BUCKET}),
    )
    (told,) = partitions.check_partitions(context)
    assert told.found == "shop: none of the first 3,000 objects in shop/live/ lies in the folder of an interval"
    assert len(asked) <= 12


def test_folders_that_do_not_sort_by_date_are_compared_as_far_as_they_were_looked_at(cloud, monkeypatch):
    item = shop("shop/live/{{dd}}.{{MM}}.{{yyyy}}/{{HH}}")
    made = cloud(*keys_of(item, datetime(2021, 1, 1), datetime(2021, 1, 2)), sets=(item,))
    assert [one.status for one in made.findings()] == ["ok"]
    monkeypatch.setattr(partitions, "_MAX_PAGES", 1)
    asked = partitions._list_keys
    monkeypatch.setattr(
        partitions,
        "_list_keys",
        lambda context, prefix, after="", most=1000: asked(context, prefix, after, min(most, 1)),
    )
    (told,) = made.findings()
    assert (told.status, "do not sort by date" in told.found) == ("skipped", True)


def test_a_lake_without_live_data_and_a_set_without_a_source_have_nothing_to_compare(cloud):
    outside = metric_set_yaml.parse(shop_text(name="name: alone").partition("source:")[0], "alone.yaml")
    (told,) = cloud(sets=(SHOP, outside)).findings()
    assert (told.status, told.found) == (
        "skipped",
        "shop: there is no live data to compare with the range of its partitions",
    )


def test_a_deployed_range_that_is_not_this_checkout_s_is_a_problem_in_words(cloud):
    made = cloud(*keys_of(SHOP, datetime(2021, 1, 1)))
    database, moved = "anomalake_shop", shop("shop/live/{{yyyy}}-{{MM}}-{{dd}}/{{HHmm}}")
    made.sets = (moved,)
    (told,) = made.told("problem")
    assert (
        "range over 20200101,NOW+1DAYS, which begins with no folder of shop/live/{{yyyy}}-{{MM}}-{{dd}}/{{HHmm}}"
        in told.found
    )
    made.of["glue"].update_table(DatabaseName=database, TableInput={"Name": "live"})
    assert "range over nothing" in made.told("problem")[0].found
    made.of["glue"].delete_table(DatabaseName=database, Name="live")
    assert made.findings() == []  # `catalog` reports it


def test_what_laptop_and_athena_call_live_data_is_one(tmp_path: Path):
    """Of the same keys, the doctor's intervals are those of the back-test."""
    keys = [*keys_of(SHOP, datetime(2021, 1, 1), datetime(2021, 1, 1, 5)), "shop/live/20210102/0000", "shop/live/20210102/0030/a",
            "shop/live/20210102/0100/_a", "shop/live/20210102/0200x/a", "shop/live/x/0200/a", "shop/live/20210132/0200/a"]  # fmt: skip
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
