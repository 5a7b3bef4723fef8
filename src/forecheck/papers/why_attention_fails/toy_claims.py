"""What the paper says of its toy data set, embeddings and tokens."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

from forecheck.data.synthetic.event_errors import KNOWLEDGE
from forecheck.papers.claim import Claim, Estimate, Measured, Outcome, Table, Verdict
from forecheck.papers.experiment import Row
from forecheck.papers.judging import holds, mean_estimate, ratio_estimate, verdict_of
from forecheck.papers.plots import bars, heat
from forecheck.papers.rows import distinct, select
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
        f"{means['last event'].value:.5f}, who forecasts the average event {means['average event'].value:.5f} and none "
        f"{means['no event'].value:.5f}; the last event alone gives {share.value:.2f} of what can be gained.",
        share,
        Table(["known", "mean squared error", "from", "to"], _rows(means)),
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
        "A sum of one term for the last event and one for the event before, of which neither looks at the other, gives "
        f"{share.value:.3f} of what can be gained.{f'{without}where it is needed.' if needed is False else ''}",
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
    last = mean(row["share of the last event"] for row in deep)
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
        Table(["forecaster", "share of the achievable gain", "from", "to"], _rows(arms)),
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
    untrained = [mean(each) for each in _by_layer(rows, "looks untrained", "ratio")]
    cells, weights = [], []
    for layer, ratio in enumerate(ratios):
        looks = [row["looks"][layer] for row in rows]
        heads = [head for each in looks for head in each["heads"]]
        means = [mean(each[what] for each in looks) for what in ("from events", "variation", "content")]
        cells.append([layer + 1, ratio.value, ratio.low, ratio.high, min(heads), max(heads), *means, untrained[layer]])
        ranks = [[*each["by rank"], each["others"]] for each in looks]
        weights.append([mean(values) for values in zip(*ranks, strict=True)])
    told = ", ".join(f"{ratio.value:.2f}" for ratio in ratios)
    return Outcome(
        verdict,
        f"A patch with an event gets {told} times the weight of one without, layer by layer; in untrained networks "
        f"{', '.join(f'{each:.2f}' for each in untrained)}. Rows of the last layer are {100 * cells[-1][7]:.0f} % away "
        "from uniform (total variation).",
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
    told = ", ".join(f"{each.value:+.3f} ({arm}, {depth})" for (depth, arm), each in lost.items())
    return Outcome(
        verdict_of([holds(each, below=SAME) for each in lost.values()]),
        f"Trained without attention, PatchTST loses of the achievable gain {told}; with it, it gets "
        f"{series['raw'][0]:.2f} in one layer and {series['raw'][1]:.2f} in three.",
        worst,
        Table(["depth", "pattern", "share of the achievable gain", "lost without attention", "from", "to"], cells),
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
            cells.append([depth, mode, mean(before), mean(after), *vars(grown[depth, mode]).values()])
    told = ", ".join(f"{each.value:.1f} times ({mode}, {depth})" for (depth, mode), each in grown.items())
    return Outcome(
        verdict_of([holds(each, below=1 + HARDLY) for each in grown.values()]),
        f"With its attention replaced, a trained model's error is {told} what it was.",
        grown["three layers", "mean"],
        Table(["depth", "pattern", "error when trained", "error when replaced", "ratio", "from", "to"], cells),
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
        f"Where the target repeats a patch that only a cue tells, mean attention has {ratio.value:.2f} times the error "
        "of attention, trained alike.",
        ratio,
        Table(["seed", "raw", "mean"], [[seed, raw[seed], error] for seed, error in without.items()]),
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
    told = {name: mean(row["codes"]["perplexity"] for row in select(used, embedding=name)) for name in names[1:]}
    blurred = mean(row["codes"]["reconstruction_mse"] for row in used)
    heights = mean(row["references"]["no event"] for row in used)
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
        + f". Perplexity of the codes: {', '.join(f'{name} {each:.0f}' for name, each in told.items())}; they restore "
        f"patches to {blurred:.3f} of a window's variance, of which events make up {events:.3f}.",
        gained[best],
        _pairs(rows, lost),
        [_paired_bars("Codes of patches, with attention and without", rows, lost)],
    )


def _pairs(rows: Sequence[Row], lost: dict[str, Estimate]) -> Table:
    return Table(
        ["embedding", "share with attention", "share with the mean", "lost without attention", "from", "to"],
        [
            [name, *(_share(rows, name, arm) for arm in ("raw", "mean")), each.value, each.low, each.high]
            for name, each in lost.items()
        ],
    )


def _share(rows: Sequence[Row], embedding: str, arm: str) -> float:
    return mean(row["share"] for row in select(rows, embedding=embedding, arm=arm))


def _rows(estimates: dict[str, Estimate]) -> list[list[str | float | None]]:
    return [[name, each.value, each.low, each.high] for name, each in estimates.items()]


def _bars(title: str, arms: dict[str, Estimate]) -> dict[str, object]:
    return bars(title, "share of the achievable gain", [*arms], [("share", [each.value for each in arms.values()])])


def _paired_bars(title: str, rows: Sequence[Row], lost: dict[str, Estimate]) -> dict[str, object]:
    series = [(arm, [_share(rows, name, arm) for name in lost]) for arm in ("raw", "mean")]
    return bars(title, "share of the achievable gain", [*lost], series)


_WHERE = "the toy data set"
_GAIN = (
    "The achievable gain is that from the average event's error to the optimum's, on the same test windows; intervals "
    "are over seeds of data and fits."
)
CLAIMS: tuple[Claim, ...] = (
    Claim(
        id="toy-data",
        title="In the toy data set the event to come depends on the last two: the last one alone does not tell it.",
        where=f"{_WHERE}; the reference errors are ours, the paper gives none",
        rule=f"Confirmed if one who sees the last event alone gets less than {NEEDED:.0%} of the achievable gain, "
        f"refuted if more. {_GAIN}",
        experiments=(REFERENCES,),
        judge=judge_data,
        quantity="share of the achievable gain of the last event alone",
    ),
    Claim(
        id="toy-need",
        title="Forecasting the toy data set needs attention between the patches with events.",
        where=f"{_WHERE}, the purpose that the paper gives it; the test is ours",
        rule="Refuted if a sum of one term for the last event and one for the event before, of which neither looks at "
        f"the other, gets more than {NEEDED:.0%} of the achievable gain; confirmed if it gets less.",
        experiments=(REFERENCES,),
        judge=judge_need,
        quantity="share of the achievable gain of a sum over events",
    ),
    Claim(
        id="toy-learnt",
        title="PatchTST does not learn from the toy data set which event comes next.",
        where=f"{_WHERE}, figures: forecast events are shrunk, and some of the wrong sign",
        rule="Confirmed if with three layers, as the paper has them, its share of the achievable gain is below that of "
        f"one who sees the last event alone, refuted if above. {_GAIN}",
        experiments=(RETRAINED, STACKED, LINEAR),
        judge=judge_learnt,
        quantity="share of the achievable gain",
    ),
    Claim(
        id="toy-zero",
        title="Attention to the patches that hold events goes to zero.",
        where=f"slides on {_WHERE}",
        rule="Confirmed if in every layer of three a patch with a visible event gets less than half the weight of a "
        "patch without any event, refuted if it gets more in every one; with intervals over seeds.",
        experiments=(STACKED,),
        judge=judge_zero,
        quantity="weight of a patch with an event over that of one without, last layer",
    ),
    Claim(
        id="toy-uniform",
        title="Attention has no preference for the patches that hold events: it is nearly uniform.",
        where=f"README and histograms on {_WHERE}",
        rule="Confirmed if in every layer of three a patch with a visible event gets 0.8 to 1.25 times the weight of a "
        "patch without any event, refuted if it does in none; with intervals over seeds.",
        experiments=(STACKED,),
        judge=judge_uniform,
        quantity="weight of a patch with an event over that of one without, last layer",
    ),
    Claim(
        id="toy-replaced",
        title="On the toy data set too, PatchTST trained without attention forecasts as well.",
        where=f"section 3.1 applied to {_WHERE}; the test is ours",
        rule=f"Confirmed if in one layer and in three, for every pattern in place of attention, less than {SAME} of "
        "the achievable gain is lost, refuted if more is lost in every case; with intervals over seeds, paired.",
        experiments=(RETRAINED, STACKED),
        judge=judge_retrained,
        quantity="share of the achievable gain that is lost, largest of all patterns",
    ),
    Claim(
        id="toy-edited",
        title="On the toy data set, disturbing the attention of a trained PatchTST hardly changes its error.",
        where="perturbation experiment, which lists the toy data set; here as far as it goes, to the mean or identity",
        rule=f"Confirmed if the error of trained models of one and of three layers grows by less than {HARDLY:.0%} by "
        "either, refuted if it grows more in every case; with intervals over seeds, of logarithms.",
        experiments=(RETRAINED, STACKED),
        judge=judge_edited,
        quantity="error with mean attention over that of the trained model, three layers",
    ),
    Claim(
        id="toy-control",
        title="Where a task needs attention, training without it shows.",
        where="our positive control: recall of a patch that a cue names",
        rule="Confirmed if mean attention has more than 1.05 times the error of attention, refuted if less; with an "
        "interval over seeds.",
        experiments=(RECALLED,),
        judge=judge_control,
        quantity="error with mean attention over that with attention",
    ),
    Claim(
        id="toy-embeddings",
        title="Attention degenerates with every embedding of patches, linear or not.",
        where="multi-embedding experiment, there on weather; a reviewer asked for the toy data set. Ours are `mlp`, "
        "which has a linear skip and so is the paper's residual block, and with the full budget `conv`, a stack of "
        "convolutions",
        rule=f"Confirmed if with every embedding the mean in place of attention loses less than {SAME} of the "
        "achievable gain, refuted if it loses more with every one; with intervals over seeds, paired.",
        experiments=(RETRAINED, EMBEDDED),
        judge=judge_embeddings,
        quantity="share of the achievable gain that is lost without attention, largest of all embeddings",
    ),
    Claim(
        id="toy-codes",
        title="Discrete tokens from a learnt codebook would let attention work.",
        where="appendix, a proposal that the paper does not test",
        rule="Confirmed if forecasts from codes of any kind gain more than those from the linear embedding, refuted if "
        "from codes of every kind they gain less; with intervals over seeds, paired. The quick budget has one kind "
        "(frozen codes), the full one also codes with what they leave of the patch, and forecasts of codes by codes.",
        experiments=(RETRAINED, CODED),
        judge=judge_codes,
        quantity="what codes add to the share of the achievable gain, best kind",
    ),
)
