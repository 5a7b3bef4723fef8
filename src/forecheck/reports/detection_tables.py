"""The tables and sentences of a detection."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from forecheck.reports import numbers
from forecheck.reports.tables import Column, Group, Table

Json = Mapping[str, Any]

_STREAMS = 12
"""Lines of streams that a terminal is given."""


def sentence(data: Json) -> str:
    """Alarms and segments over all streams, and how many alarms are to be expected if nothing is anomalous."""
    streams = data["streams"]
    alarms, scored = (sum(each[key] for each in streams) for key in ("alarms", "scored"))
    segments = data["segments"]["count"]
    said = f"{_count(alarms, 'alarm')} in {_count(segments, 'segment')}, {scored:,} scores"
    if len(streams) > 1:
        said += f" of {len(streams)} streams"
    rate = data["settings"]["false_alarms"]
    return f"{said}; {rate * scored / 1000:.3g} false alarms are allowed ({rate:.3g} per 1000 steps)"


def remarks(data: Json) -> Iterator[str]:
    """What a user should know beside the numbers."""
    model = data["model"]
    settings = data["settings"]
    parts = ", ".join(f"{each['rows']:,} rows: {each['part']}" for each in data["parts"] or ())
    yield f"{model['model']} ({model['rule']}), lookback {settings['lookback']}, horizon {settings['horizon']}" + (
        f"; {parts}" if parts else "; calibrated before"
    )
    if data["attention"]:
        yield data["attention"]["sentence"]
    labelled = data["labelled"]
    if labelled:
        yield (
            f"labels: {_count(labelled['anomalies'], 'anomaly', 'anomalies')} in {labelled['rows']:,} rows "
            f"({100 * labelled['anomalous']:.1f} %), judged on {labelled['stream']}"
        )
    for note in data["notes"]:
        yield f"note: {note}"


def tables_of(data: Json, verbose: bool = False) -> Iterator[Table]:
    """All tables, in the order in which they are read."""
    yield detectors_table(data)
    yield labelled_table(data)
    yield streams_table(data, None if verbose else _STREAMS)
    yield segments_table(data)


def streams_table(data: Json, most: int | None = None) -> Table:
    """Alarms of every stream, and how many in 1000 steps chance raises in 95 of 100 cases."""
    streams = data["streams"][:most]
    rows = [
        [
            str(each["unique_id"]),
            numbers.count(each["scored"]),
            numbers.count(each["alarms"]),
            numbers.count(each["segments"]),
            _rate(each["alarms_per_1000"]),
            "{} to {}".format(*map(_rate, each["expected_per_1000"])),
            numbers.short(each["threshold"]),
            numbers.count(each["calibration"]),
        ]
        for each in streams
    ]
    columns = [Column("unique_id"), Column("scored", True), Column("alarms", True), Column("segments", True)]
    columns += [Column("per 1000", True), Column("if nothing is anomalous", True)]
    columns += [Column("threshold", True, wide=True), Column("calibrated by", True, wide=True)]
    more = len(data["streams"]) - len(streams)
    return Table("Streams", columns, [Group("", rows)], f"and {more:,} streams more" if more > 0 else "")


def detectors_table(data: Json) -> Table:
    """Detectors on the same rows: alarms, and planted anomalies that they found."""
    rows = []
    kinds = list(next((each["planted"]["kinds"] for each in data["detectors"] if each["planted"]), {}))
    for each in data["detectors"]:
        planted = each["planted"]
        found, delay, by_kind = numbers.NOTHING, numbers.NOTHING, [numbers.NOTHING] * len(kinds)
        if planted:
            found = share(planted["found"])
            delay = numbers.NOTHING if planted["median_delay"] is None else f"{planted['median_delay']:g}"
            by_kind = ["{}/{}".format(*planted["kinds"][kind]) for kind in kinds]
        rows.append([each["detector"], each["role"], _rate(each["alarms_per_1000"]), found, *by_kind, delay])
    columns = [Column("detector"), Column("is"), Column("alarms per 1000", True), Column("planted found", True)]
    columns += [*(Column(kind, True, wide=True) for kind in kinds), Column("delay", True, wide=True)]
    note = (
        "Anomalies were planted into a copy of the scored rows; each detector has the threshold of its own calibration."
    )
    return Table("Detectors side by side", columns, [Group("", rows)], note if kinds else "")


def labelled_table(data: Json) -> Table:
    """Metrics by labels with intervals over anomalies."""
    labelled = data["labelled"]
    if not labelled:
        return Table("By the labels", [Column("detector")], [])
    names = labelled["metrics"]
    rows = [
        [detector, *(estimate(values[metric]) for metric in names)]
        for detector, values in labelled["detectors"].items()
    ]
    columns = [Column("detector"), *(Column(label, True, wide=place > 2) for place, label in enumerate(names.values()))]
    note = (
        "Intervals of 95 %: bootstrap over anomalies."
        if labelled["anomalies"] >= 3
        else ("No intervals: fewer than three anomalies.")
    )
    difference = labelled.get("difference")
    if difference:
        note += (
            f" Net event score, {difference['model']} less {difference['against']} on the same anomalies: "
            f"{estimate(difference['net_event'])}."
        )
    return Table("By the labels", columns, [Group("", rows)], note)


def segments_table(data: Json) -> Table:
    """The worst segments."""
    worst = data["segments"]["worst"]
    rows = [
        [
            str(each["unique_id"]),
            numbers.instant(each["first"]),
            numbers.instant(each["last"]),
            numbers.count(each["alarms"]),
            numbers.short(each["score"]),
            f"{each['p_value']:.3g}",
        ]
        for each in worst
    ]
    columns = [Column("unique_id"), Column("first alarm"), Column("last alarm"), Column("alarms", True)]
    columns += [Column("highest score", True), Column("p-value", True)]
    more = data["segments"]["count"] - len(worst)
    return Table("Worst segments", columns, [Group("", rows)], f"and {more:,} segments more" if more > 0 else "")


def share(given: Any) -> str:
    """`81 % [72, 88]`."""
    value, low, high = given
    return f"{100 * value:.0f} % [{100 * low:.0f}, {100 * high:.0f}]"


def estimate(given: Any) -> str:
    """A number of any unit with its interval, if there is one."""
    value, low, high = given
    if value is None:
        return numbers.NOTHING
    if low is None or high is None:
        return f"{value:.3g}"
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def _rate(value: Any) -> str:
    return numbers.NOTHING if value is None else f"{value:.1f}"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
