"""What the paper says of its toy data set, embeddings and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean as exact

from forecheck.data.synthetic.event_errors import KNOWLEDGE
from forecheck.papers.claim import Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.claims import Tested, claims
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars, heat
from forecheck.papers.rows import distinct, select
from forecheck.papers.settings import estimates, table
from forecheck.papers.why_attention_fails.toy import CODED, EMBEDDED, LINEAR, RECALLED, REFERENCES, RETRAINED, STACKED

SAME = 0.05
"""Of the achievable gain: less counts as no difference."""
CARRIER_VARIANCE = 0.5
"""Of a sine of height 1."""
HARDLY = 0.05
"""Relative growth of the error that counts as hardly any."""
NEEDED = 0.95
"""Of the achievable gain: what reaches it needs no more."""
NO_PREFERENCE = (0.8, 1.25)
"""Weight of an event patch over that of another one that counts as no preference."""


def judge_data(measured: Measured) -> Outcome:
    """The last event alone loses part of what the last two give."""
    rows = measured["references"]
    share = _known_share(rows, "last event")
    means = {name: mean_estimate([row["errors"][name] for row in rows]) for name in KNOWLEDGE}
    return Outcome(
        verdict_of([holds(share, below=NEEDED)]),
        f"Who knows the states has an error of {means['chain'].value:.5f} a step, who sees the last event alone "
        f"{means['last event'].value:.5f}, who forecasts the average event {means['average event'].value:.5f} and "
        f"none {means['no event'].value:.5f}; the last event alone gives {share.value:.2f} of what can be gained.",
        share,
        table("known | mean squared error | from | to", estimates(means)),
        [
            bars(
                "Errors by what is known", "MSE a target step", [*means], [("error", [e.value for e in means.values()])]
            )
        ],
    )


def judge_need(measured: Measured) -> Outcome:
    """A sum of one term for each event, which needs no attention, against the optimum."""
    share = _known_share(measured["references"], "sum over events")
    needed = holds(share, below=NEEDED)
    without = " So feed-forward layers and a head that adds up tokens do: the set cannot show that attention fails "
    return Outcome(
        verdict_of([needed]),
        "A sum of one term for the last event and one for the event before, of which neither looks at the other, "
        f"gives {share.value:.3f} of what can be gained.{f'{without}where it is needed.' if needed is False else ''}",
        share,
    )


def _known_share(rows: Sequence[Row], name: str) -> Estimate:
    """Share of the achievable gain of one who knows this."""
    errors = [row["errors"] for row in rows]
    return mean_estimate(
        [(each["average event"] - each[name]) / (each["average event"] - each["chain"]) for each in errors]
    )


def judge_learnt(measured: Measured) -> Outcome:
    """PatchTST against one who sees the last event alone."""
    shallow, deep = (select(measured[name], arm="raw") for name in ("retrained", "stacked"))
    last = exact(row["share of the last event"] for row in deep)
    share = mean_estimate([row["share"] for row in deep])
    linear = mean_estimate([row["share"] for row in measured["linear"]])
    arms = {"closed-form linear": linear, "last event known": Estimate(last)}
    arms |= {"one layer": mean_estimate([row["share"] for row in shallow]), "three layers": share}
    return Outcome(
        verdict_of([holds(share, below=last)]),
        f"PatchTST of three layers gets {share.value:.2f} of what can be gained over the average event, of one layer "
        f"{arms['one layer'].value:.2f}; who knows the last event alone gets {last:.2f}, a closed-form linear "
        f"forecaster {linear.value:.2f}.",
        share,
        table("forecaster | share of the achievable gain | from | to", estimates(arms)),
        [_bars("Share of the achievable gain", arms)],
    )


def judge_zero(measured: Measured) -> Outcome:
    """Attention to event patches goes to zero."""
    rows = select(measured["stacked"], arm="raw")
    held = [holds(each, below=0.5) for each in _ratios(rows)]
    return _looking(rows, verdict_of(held))


def judge_uniform(measured: Measured) -> Outcome:
    """Attention to event patches is that to all others."""
    rows = select(measured["stacked"], arm="raw")
    low, high = NO_PREFERENCE
    held = [holds(each, above=low, below=high) for each in _ratios(rows)]
    return _looking(rows, verdict_of(held))


def _ratios(rows: Sequence[Row]) -> list[Estimate]:
    """By layer, weight on an event patch over that on another one."""
    return [ratio_estimate(each, [1.0] * len(each)) for each in _by_layer(rows, "looks", "ratio")]


def _by_layer(rows: Sequence[Row], key: str, what: str) -> list[list[float]]:
    """One list of seeds a layer."""
    return [[row[key][layer][what] for row in rows] for layer in range(len(rows[0][key]))]


def _looking(rows: Sequence[Row], verdict: Verdict) -> Outcome:
    """What both claims on patterns show."""
    ratios = _ratios(rows)
    untrained = [exact(each) for each in _by_layer(rows, "looks untrained", "ratio")]
    cells, weights = [], []
    for layer, ratio in enumerate(ratios):
        looks = [row["looks"][layer] for row in rows]
        heads = [head for each in looks for head in each["heads"]]
        means = [exact(each[what] for each in looks) for what in ("from events", "variation", "content")]
        cells.append([layer + 1, ratio.value, ratio.low, ratio.high, min(heads), max(heads), *means, untrained[layer]])
        ranks = [[*each["by rank"], each["others"]] for each in looks]
        weights.append([exact(values) for values in zip(*ranks, strict=True)])
    words = ", ".join(f"{ratio.value:.2f}" for ratio in ratios)
    return Outcome(
        verdict,
        f"A patch with an event gets {words} times the weight of one without, layer by layer; in untrained networks "
        f"{', '.join(f'{each:.2f}' for each in untrained)}. Rows of the last layer are {100 * cells[-1][7]:.0f} % "
        "away from uniform (total variation).",
        ratios[-1],
        Table(
            [
                *("layer", "event over other", "from", "to", "least head", "largest head", "between events"),
                *("total variation", "content share", "untrained"),
            ],
            cells,
        ),
        [
            heat(
                "Weight of a patch, 1 is uniform",
                [f"layer {layer + 1}" for layer in range(len(ratios))],
                [*(f"event {rank + 1} from the end" for rank in range(len(weights[0]) - 1)), "no event"],
                weights,
                "what it holds",
            )
        ],
    )


def judge_retrained(measured: Measured) -> Outcome:
    """Attention replaced before training, in one layer and in three."""
    cells, lost = [], {}
    series: dict[str, list[float]] = {}
    for depth, name in (("one layer", "retrained"), ("three layers", "stacked")):
        for arm in distinct(measured[name], "arm"):
            rows = measured[name]
            share = mean_estimate([row["share"] for row in select(rows, arm=arm)])
            series.setdefault(arm, []).append(share.value)
            if arm != "raw":
                lost[depth, arm] = _lost(rows, arm)
            gone = [*vars(lost[depth, arm]).values()] if arm != "raw" else [None] * 3
            cells.append([depth, arm, share.value, *gone])
    worst = max(lost.values(), key=lambda each: each.value)
    words = ", ".join(f"{each.value:+.3f} ({arm}, {depth})" for (depth, arm), each in lost.items())
    return Outcome(
        verdict_of([holds(each, below=SAME) for each in lost.values()]),
        f"Trained without attention, PatchTST loses of the achievable gain {words}; with it, it gets "
        f"{series['raw'][0]:.2f} in one layer and {series['raw'][1]:.2f} in three.",
        worst,
        table("depth | pattern | share of the achievable gain | lost without attention | from | to", cells),
        [
            bars(
                "Trained with attention and without",
                "share of the achievable gain",
                ["one layer", "three layers"],
                [(arm, [*values, None][:2]) for arm, values in series.items()],
            )
        ],
    )


def _lost(rows: Sequence[Row], arm: str) -> Estimate:
    """Share of the gain that is lost without attention, paired by seed."""
    with_attention = {row["seed"]: row["share"] for row in select(rows, arm="raw")}
    return mean_estimate([with_attention[row["seed"]] - row["share"] for row in select(rows, arm=arm)])


def judge_edited(measured: Measured) -> Outcome:
    """Attention replaced in trained models, of one layer and of three."""
    cells, grown = [], {}
    for depth, name in (("one layer", "retrained"), ("three layers", "stacked")):
        rows = select(measured[name], arm="raw")
        before = [row["error"] for row in rows]
        for mode in rows[0]["edited"]:
            after = [row["edited"][mode] for row in rows]
            grown[depth, mode] = ratio_estimate(after, before)
            cells.append([depth, mode, exact(before), exact(after), *vars(grown[depth, mode]).values()])
    words = ", ".join(f"{each.value:.1f} times ({mode}, {depth})" for (depth, mode), each in grown.items())
    return Outcome(
        verdict_of([holds(each, below=1 + HARDLY) for each in grown.values()]),
        f"With its attention replaced, a trained model's error is {words} what it was.",
        grown["three layers", "mean"],
        table("depth | pattern | error when trained | error when replaced | ratio | from | to", cells),
        [
            bars(
                "Attention replaced after training",
                "error over that of the trained model",
                [f"{mode}, {depth}" for depth, mode in grown],
                [("ratio", [each.value for each in grown.values()])],
            )
        ],
    )


def judge_control(measured: Measured) -> Outcome:
    """The same replacement on a task that needs attention."""
    rows = measured["recalled"]
    raw, without = ({row["seed"]: row["error"] for row in select(rows, arm=arm)} for arm in ("raw", "mean"))
    ratio = mean_estimate([error / raw[seed] for seed, error in without.items()])
    return Outcome(
        verdict_of([holds(ratio, above=1.05)]),
        f"Where the target repeats a patch that only a cue tells, mean attention has {ratio.value:.2f} times the "
        "error of attention, trained alike.",
        ratio,
        table("seed | raw | mean", [[seed, raw[seed], error] for seed, error in without.items()]),
    )


def judge_embeddings(measured: Measured) -> Outcome:
    """What attention is worth under every embedding."""
    rows = [*measured["retrained"], *measured["embedded"]]
    lost = {name: _lost(select(rows, embedding=name), "mean") for name in distinct(rows, "embedding")}
    worst = max(lost, key=lambda name: lost[name].value)
    return Outcome(
        verdict_of([holds(each, below=SAME) for each in lost.values()]),
        "Without attention "
        + ", ".join(f"{each.value:+.2f} of the achievable gain is lost with {name}" for name, each in lost.items())
        + ".",
        lost[worst],
        _pairs(rows, lost),
        [_paired_bars("Embeddings of patches, with attention and without", rows, lost)],
    )


def judge_codes(measured: Measured) -> Outcome:
    """Codes against the linear embedding, and what attention is worth under them."""
    linear = select(measured["retrained"], embedding="linear")
    rows = [*linear, *measured["coded"]]
    names = distinct(rows, "embedding")
    base = {row["seed"]: row["share"] for row in select(linear, arm="raw")}
    gained = {
        name: mean_estimate(
            [row["share"] - base[row["seed"]] for row in select(rows, embedding=name, arm="raw") if row["seed"] in base]
        )
        for name in names[1:]
    }
    lost = {name: _lost(select(rows, embedding=name), "mean") for name in names}
    best = max(gained, key=lambda name: gained[name].value)
    used = select(measured["coded"], arm="raw")
    words = {name: exact(row["codes"]["perplexity"] for row in select(used, embedding=name)) for name in names[1:]}
    blurred = exact(row["codes"]["reconstruction_mse"] for row in used)
    heights = exact(row["references"]["no event"] for row in used)
    events = heights / (CARRIER_VARIANCE + heights)
    held = [holds(each, above=0.0) for each in gained.values()]
    # One kind of code that helps is enough.
    verdict = verdict_of([True if True in held else None if None in held else False])
    return Outcome(
        verdict,
        "Against the linear embedding, the share of the achievable gain changes by "
        + ", ".join(f"{each.value:+.2f} with {name}" for name, each in gained.items())
        + "; what attention is worth goes from "
        + f"{lost['linear'].value:+.2f} to "
        + ", ".join(f"{lost[name].value:+.2f} ({name})" for name in gained)
        + f". Perplexity of the codes: {', '.join(f'{name} {each:.0f}' for name, each in words.items())}; they restore "
        f"patches to {blurred:.3f} of a window's variance, of which events make up {events:.3f}.",
        gained[best],
        _pairs(rows, lost),
        [_paired_bars("Codes of patches, with attention and without", rows, lost)],
    )


def _pairs(rows: Sequence[Row], lost: dict[str, Estimate]) -> Table:
    return table(
        "embedding | share with attention | share with the mean | lost without attention | from | to",
        [
            [name, *(_share(rows, name, arm) for arm in ("raw", "mean")), each.value, each.low, each.high]
            for name, each in lost.items()
        ],
    )


def _share(rows: Sequence[Row], embedding: str, arm: str) -> float:
    return exact(row["share"] for row in select(rows, embedding=embedding, arm=arm))


def _bars(title: str, arms: dict[str, Estimate]) -> dict[str, object]:
    return bars(title, "share of the achievable gain", [*arms], [("share", [each.value for each in arms.values()])])


def _paired_bars(title: str, rows: Sequence[Row], lost: dict[str, Estimate]) -> dict[str, object]:
    series = [(arm, [_share(rows, name, arm) for name in lost]) for arm in ("raw", "mean")]
    return bars(title, "share of the achievable gain", [*lost], series)


CLAIMS = claims(
    __name__,
    {
        "toy-data": Tested(judge_data, (REFERENCES,)),
        "toy-need": Tested(judge_need, (REFERENCES,)),
        "toy-learnt": Tested(judge_learnt, (RETRAINED, STACKED, LINEAR)),
        "toy-zero": Tested(judge_zero, (STACKED,)),
        "toy-uniform": Tested(judge_uniform, (STACKED,)),
        "toy-replaced": Tested(judge_retrained, (RETRAINED, STACKED)),
        "toy-edited": Tested(judge_edited, (RETRAINED, STACKED)),
        "toy-control": Tested(judge_control, (RECALLED,)),
        "toy-embeddings": Tested(judge_embeddings, (RETRAINED, EMBEDDED)),
        "toy-codes": Tested(judge_codes, (RETRAINED, CODED)),
    },
    HARDLY=HARDLY,
    NEEDED=NEEDED,
    SAME=SAME,
)
