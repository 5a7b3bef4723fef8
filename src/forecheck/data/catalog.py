"""The catalogue of named sets: what the field's benchmarks are, where they come from, under which licence."""

from __future__ import annotations

from dataclasses import dataclass

from forecheck.data import fetch

_ETT = "zhouhaoyi/ETDataset", "1d16c8f4f943005d613b5bc962e9eeb06058cf07"
_LAI = "laiguokun/multivariate-time-series-data", "7f402f185cc2435b5e66aed13a3b560ed142e023"
_INFORMER = "Zhou et al., Informer, AAAI 2021"
_LSTNET = "Lai et al., Modeling Long- and Short-Term Temporal Patterns with Deep Neural Networks, arXiv 1703.07015"
_NONE_STATED = "none stated at the origin"


@dataclass(frozen=True)
class Dataset:
    """One named set.

    Attributes:
        name: what users call it; case does not matter.
        about: one line on what is measured.
        rows: rows of the file.
        channels: columns of values.
        every: the step, in words.
        split: the standard split, in the notation of `forecheck.data.splits.parse_split`.
        licence: what the origin states about the data.
        citation: the paper or body to cite.
        remote: where the file can be fetched; None for a set that comes with the package.
        note: what a user must know before trusting a number.
        season: steps of the season where the file's times do not tell it.
        fill: how missing values are filled unless the user says otherwise.
        drop: columns left out unless the user says otherwise.
        header: whether the file's first line holds names.
        aliases: other names in use.
    """

    name: str
    about: str
    rows: int
    channels: int
    every: str
    split: str
    licence: str
    citation: str
    remote: fetch.Remote | None = None
    note: str = ""
    season: int = 0
    fill: str | None = None
    drop: tuple[str, ...] = ()
    header: bool = True
    aliases: tuple[str, ...] = ()

    @property
    def origin(self) -> str:
        """Address of the file, or that it comes with the package."""
        return self.remote.url if self.remote else "comes with forecheck"

    @property
    def here(self) -> bool:
        """Whether the set can be loaded without network."""
        return self.remote is None or fetch.find(self.remote) is not None


def _ett(name: str, every: str, rows: int, split: str, sha256: str = "") -> Dataset:
    return Dataset(
        name,
        "oil temperature and six loads of an electricity transformer, 2016-07 to 2018-06",
        rows,
        7,
        every,
        split,
        "CC BY-ND 4.0",
        _INFORMER,
        fetch.Remote(*_ETT, f"ETT-small/{name}.csv", f"ETT-small/{name}.csv", sha256),
        note="The split uses 20 months of 30 days; the rows after them are not used, as in the papers.",
    )


def _lai(name: str, path: str, sha256: str = "") -> fetch.Remote:
    return fetch.Remote(*_LAI, path, f"{name}/{path.rpartition('/')[2]}", sha256)


_SETS = (
    _ett("ETTh1", "hour", 17420, "8640+2880+2880", "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066"),
    _ett("ETTh2", "hour", 17420, "8640+2880+2880", "a3dc2c597b9218c7ce1cd55eb77b283fd459a1d09d753063f944967dd6b9218b"),
    _ett(
        "ETTm1",
        "15 minutes",
        69680,
        "34560+11520+11520",
        "6ce1759b1a18e3328421d5d75fadcb316c449fcd7cec32820c8dafda71986c9e",
    ),
    _ett("ETTm2", "15 minutes", 69680, "34560+11520+11520"),
    Dataset(
        "weather",
        "21 variables of a weather station (Jena), 2020",
        52696,
        21,
        "10 minutes",
        "70/10/20",
        _NONE_STATED,
        "Max Planck Institute for Biogeochemistry, Jena; as used by Wu et al., Autoformer, NeurIPS 2021",
        fetch.Remote(
            "Kyushu-U-AI/CME-Mamba",
            "5a3c60cede21a6eac73f6c60b7bf347b1c047973",
            "dataset/weather.zip",
            "weather/weather.csv",
            "34ee981d07313e51da2a50bb600072c8ae4a69cb4b0651f4cb93a069d7a2ba63",
            member="weather/weather.csv",
        ),
        note="Holds sentinels -9999 (wv, max. PAR, OT), which papers leave in. Its clock repeats 2020-05-12 06:00 and "
        "skips nine steps on 2020-05-29, so rows count as consecutive steps, as in the papers.",
        season=144,
        drop=("date",),
    ),
    Dataset(
        "exchange_rate",
        "exchange rates of eight countries, 1990 to 2016",
        7588,
        8,
        "day",
        "70/10/20",
        _NONE_STATED,
        _LSTNET,
        _lai(
            "exchange_rate",
            "exchange_rate/exchange_rate.txt.gz",
            "0127465b51e3cd3c360f8eb2be30cfd294689a2a55903eb8245aafc396626c7f",
        ),
        note="No dates and no season: rows are steps. exchange_rate.csv of the Autoformer family swaps the last two "
        "columns.",
        header=False,
        season=1,
        aliases=("exchange",),
    ),
    Dataset(
        "illness",
        "influenza-like illness in the United States, weekly shares and counts",
        966,
        7,
        "week",
        "70/10/20",
        _NONE_STATED,
        "Centers for Disease Control and Prevention; as used by Wu et al., Autoformer, NeurIPS 2021",
        fetch.Remote(
            "junwoopark92/Self-Supervised-Contrastive-Forecsating",
            "e20c108114cf68d451c938712ad28dac5f83ef6e",
            "dataset/illness/national_illness.csv",
            "illness/national_illness.csv",
            "8594cecb98c6f2f9dc014eca11c4d5d1e38ad5ce6ed0592d4abe65b146fce395",
        ),
        note="Short: 193 test rows. At the usual horizons nearly every comparison is undecided.",
        aliases=("ili", "national_illness"),
    ),
    Dataset(
        "electricity",
        "hourly consumption of 321 clients, 2012 to 2014",
        26304,
        321,
        "hour",
        "70/10/20",
        _NONE_STATED,
        _LSTNET,
        _lai("electricity", "electricity/electricity.txt.gz"),
        note="The file has no dates: rows are steps, a season has 24.",
        header=False,
        season=24,
        aliases=("ecl",),
    ),
    Dataset(
        "traffic",
        "hourly occupancy of 862 road sensors, San Francisco Bay, 2015 to 2016",
        17544,
        862,
        "hour",
        "70/10/20",
        _NONE_STATED,
        _LSTNET,
        _lai("traffic", "traffic/traffic.txt.gz"),
        note="The file has no dates: rows are steps, a season has 24.",
        header=False,
        season=24,
    ),
    Dataset(
        "solar",
        "power of 137 solar plants, Alabama, 2006",
        52560,
        137,
        "10 minutes",
        "70/10/20",
        _NONE_STATED,
        _LSTNET,
        _lai("solar", "solar-energy/solar_AL.txt.gz"),
        note="The file has no dates: rows are steps, a season has 144.",
        header=False,
        season=144,
        aliases=("solar_al", "solar-energy"),
    ),
    Dataset(
        "co2",
        "atmospheric CO2 at Mauna Loa, 1958 to 2001",
        2284,
        1,
        "week",
        "70/10/20",
        "public domain",
        "Keeling & Whorf 2004",
        note="59 missing weeks are filled linearly; Panel.fills counts them.",
        fill="linear",
    ),
    Dataset(
        "sunspots", "yearly sunspot activity, 1700 to 2008", 309, 1, "year", "70/10/20", "public domain", "NOAA NGDC"
    ),
    Dataset(
        "elnino",
        "sea surface temperature of the Pacific (Nino 1+2), 1950 to 2010",
        732,
        1,
        "month",
        "70/10/20",
        "public domain",
        "NOAA National Weather Service, ERSST.V3B",
    ),
    Dataset(
        "nile",
        "yearly flow of the Nile at Aswan, 1871 to 1970",
        100,
        1,
        "year",
        "70/10/20",
        "public domain",
        "Cobb 1978",
    ),
    Dataset(
        "macrodata",
        "twelve macroeconomic indicators of the United States, 1959 to 2009",
        203,
        12,
        "quarter",
        "70/10/20",
        "public domain",
        "Federal Reserve Bank of St. Louis (FRED); National Bureau of Labor Statistics",
    ),
    Dataset(
        "elec_equip",
        "turnover of electrical equipment manufacture in the European Union, 1995 to 2016",
        257,
        1,
        "month",
        "70/10/20",
        "public domain",
        "Eurostat",
    ),
)
_BY_NAME = {alias.casefold(): entry for entry in _SETS for alias in (entry.name, *entry.aliases)}


def datasets() -> tuple[Dataset, ...]:
    """Every named set, loadable here or not."""
    return _SETS


def dataset(name: str) -> Dataset | None:
    """The set of that name or alias, in any case; None if there is none."""
    return _BY_NAME.get(name.casefold())


def names() -> list[str]:
    """Names and aliases, in lower case."""
    return list(_BY_NAME)
