"""Metrics by their definitions, point by point, to compare with."""

import math
from itertools import pairwise


def runs(y):
    """Runs as lists of points."""
    found = []
    for t, marked in enumerate(y):
        if marked and t and y[t - 1]:
            found[-1].append(t)
        elif marked:
            found.append([t])
    return found


def f1(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision > 0 and recall > 0 else 0.0


def points(y, p):
    """F of points."""
    tp = sum(a and b for a, b in zip(y, p, strict=True))
    return f1(tp / sum(p) if sum(p) else 0.0, tp / sum(y))


def changed(y, p, anomaly_of):
    """F of points after the alarms of each anomaly were replaced."""
    new = list(p)
    for a in runs(y):
        for t, value in zip(a, anomaly_of(a, [p[t] for t in a]), strict=True):
            new[t] = value
    return points(y, new)


def pa(y, p):
    return changed(y, p, lambda a, hits: [any(hits)] * len(a))


def pa_k(y, p, k):
    return changed(y, p, lambda a, hits: [True] * len(a) if sum(hits) and 100 * sum(hits) >= k * len(a) else hits)


def pa_k_area(y, p):
    values = [pa_k(y, p, k) for k in range(101)]
    return sum((low + high) / 200 for low, high in pairwise(values))


def dtpa(y, p, delay):
    return changed(y, p, lambda a, hits: [any(hits[: delay + 1])] * len(a))


def pa_k_tolerance(y, p, k, tolerance):
    def replaced(a, hits):
        if not sum(hits) or 100 * sum(hits) < k * len(a):
            return hits
        at = [i for i, hit in enumerate(hits) if hit]
        return [any(abs(i - u) <= tolerance for u in at) for i in range(len(a))]

    return changed(y, p, replaced)


def balanced_pa(y, p, width):
    false = [t for t in range(len(y)) if p[t] and not y[t]]
    found = [t for a in runs(y) if any(p[t] for t in a) for t in a]
    wide = {u for u in range(len(y)) if not y[u] and any(abs(t - u) <= width // 2 for t in false)}
    return f1(len(found) / (len(found) + len(wide)) if found else 0.0, len(found) / sum(y))


def latency_sparsity(y, p, width):
    blocks = [range(low, min(low + width, len(y))) for low in range(0, len(y), width)]
    tp = fp = fn = 0
    found = False
    for block in blocks:
        alarm = any(p[t] for t in block)
        if any(y[t] for t in block):
            found = found or alarm
            tp, fn = tp + found, fn + (not found)
        else:
            found, fp = False, fp + alarm
    return f1(tp / (tp + fp) if tp else 0.0, tp / (tp + fn))


def segment(y, p):
    tp = sum(any(p[t] for t in a) for a in runs(y))
    fp = sum(not any(y[t] for t in i) for i in runs(p))
    return f1(tp / (tp + fp) if tp else 0.0, tp / len(runs(y)))


def composite(y, p):
    tp = sum(a and b for a, b in zip(y, p, strict=True))
    return f1(tp / sum(p) if sum(p) else 0.0, sum(any(p[t] for t in a) for a in runs(y)) / len(runs(y)))


WEIGHTS = {
    "flat": lambda t, size: 1.0,
    "front": lambda t, size: size - t + 1.0,
    "back": lambda t, size: float(t),
    "middle": lambda t, size: float(t) if t <= size / 2 else size - t + 1.0,
}
GAMMAS = {
    "one": lambda x, size: 1.0,
    "reciprocal": lambda x, size: 1 / x,
    "timesead": lambda x, size: ((size - 1) / size) ** (x - 1),
}


def reward(a, others, bias, cardinality):
    weights = {t: WEIGHTS[bias](i + 1, len(a)) for i, t in enumerate(a)}
    overlap = [set(a) & set(b) for b in others if set(a) & set(b)]
    if not overlap:
        return 0.0
    share = sum(weights[t] for b in overlap for t in b) / sum(weights.values())
    return GAMMAS[cardinality](len(overlap), len(a)) * share


def range_f(y, p, alpha, bias, precision_bias, cardinality):
    truth, alarms = runs(y), runs(p)
    recall = [alpha * any(p[t] for t in a) + (1 - alpha) * reward(a, alarms, bias, cardinality) for a in truth]
    precision = [reward(i, truth, precision_bias, cardinality) for i in alarms]
    return f1(sum(precision) / len(precision) if precision else 0.0, sum(recall) / len(recall))


def range_weighted(y, p):
    truth, alarms = runs(y), runs(p)
    recall = sum(reward(a, alarms, "flat", "timesead") for a in truth) / len(truth)
    precision = sum(len(i) * reward(i, truth, "flat", "timesead") for i in alarms)
    return f1(precision / sum(p) if sum(p) else 0.0, recall)


def scores_with_tails(y, p, delta_of):
    """Overlap score of every anomaly with every alarm."""
    truth, alarms, n = runs(y), runs(p), len(y)
    table = []
    for j, a in enumerate(truth):
        stop = truth[j + 1][0] if j + 1 < len(truth) else 10 * n
        tail = range(a[-1] + 1, min(a[-1] + 1 + delta_of(a), stop))
        weight = {
            t: 1 / (1 + math.exp(-6 + 12 * i / (len(tail) - 1) if len(tail) > 1 else -6)) for i, t in enumerate(tail)
        }
        table.append([len(set(a) & set(i)) + sum(weight.get(t, 0.0) for t in i) for i in alarms])
    return table


def tapr(y, p, alpha, theta, delta):
    table, truth, alarms = scores_with_tails(y, p, lambda a: delta), runs(y), runs(p)
    if not alarms:
        return 0.0
    recall = [min(1, sum(row) / len(a)) for row, a in zip(table, truth, strict=True)]
    precision = [sum(column) / len(i) for column, i in zip(zip(*table, strict=True), alarms, strict=True)]
    both = [alpha * sum(v >= theta for v in e) / len(e) + (1 - alpha) * sum(e) / len(e) for e in (precision, recall)]
    return f1(*both)


def etapr(y, p, theta_p, theta_r, delta):
    table, truth, alarms = scores_with_tails(y, p, lambda a: int(delta * len(a))), runs(y), runs(p)
    if not alarms:
        return 0.0
    while True:
        before = [list(row) for row in table]
        for j, a in enumerate(truth):
            if sum(table[j]) / len(a) < theta_r:
                table[j] = [0.0] * len(alarms)
        for i, alarm in enumerate(alarms):
            if sum(row[i] for row in table) / len(alarm) < theta_p:
                for row in table:
                    row[i] = 0.0
        if table == before:
            break
    found = [sum(row) / len(a) for row, a in zip(table, truth, strict=True)]
    true = [sum(row[i] for row in table) / len(alarm) for i, alarm in enumerate(alarms)]
    recall = sum((1 + min(v, 1)) / 2 for v in found if v >= theta_r and v > 0) / len(found)
    weights = [math.sqrt(len(i)) for i in alarms]
    precision = sum(
        w * (1 + min(v, 1)) / 2 for v, w in zip(true, weights, strict=True) if v >= theta_p and v > 0
    ) / sum(weights)
    return f1(precision, recall)


def nearest(t, y):
    return min((abs(t - u) for u in range(len(y)) if y[u]), default=math.inf)


def time_tolerant(y, p, d):
    n = len(y)
    true = sum(p[t] and nearest(t, y) <= d for t in range(n))
    found = sum(y[t] and nearest(t, p) <= d for t in range(n))
    return f1(true / sum(p) if sum(p) else 0.0, found / sum(y))


def temporal_distance(y, p):
    n = len(y)
    return sum(min(nearest(t, p), n) for t in range(n) if y[t]) + sum(nearest(t, y) for t in range(n) if p[t])


def dair(y, p, k):
    found = sum(y[t] and nearest(t, p) <= k for t in range(len(y)))
    false = sum(b and not a for a, b in zip(y, p, strict=True))
    return found / (found + false) if found + false else 0.0


def adc(y, p):
    return sum(sum(p[t] for t in a) / len(a) for a in runs(y)) / len(runs(y))


def wdd(y, p, k):
    total = 0.0
    for a in runs(y):
        centre, width = (a[0] + a[-1]) / 2, max(len(a) / 2, 1)
        total += sum(math.exp(-((t - centre) ** 2) / (2 * width**2)) for t in a if p[t])
    return total - sum(min(1, nearest(t, y) / k) for t in range(len(y)) if p[t] and not y[t])


def add(y, p):
    away = [abs(t - (a[0] + a[-1]) / 2) / len(a) for a in runs(y) for t in a if p[t]]
    return sum(away) / len(away) if away else 0.0


def nab(y, p, true, false, missed):
    def weight(r):
        return 2 / (1 + math.exp(5 * r)) - 1

    score, truth = 0.0, runs(y)
    for a in truth:
        hits = [t for t in a if p[t]]
        score += true * weight(-(a[-1] - hits[0] + 1) / len(a)) / weight(-1) if hits else -missed
    for t in (t for t in range(len(y)) if p[t] and not y[t]):
        before = [a for a in truth if a[-1] < t]
        r = (t - before[-1][-1]) / max(len(before[-1]) - 1, 1) if before else 9
        score += false * (-1 if r > 3 else weight(r))
    return 100 * (score + missed * len(truth)) / ((true + missed) * len(truth))


def early_detection(y, p, share):
    values, truth, n = [], runs(y), len(y)
    for a in truth:
        half = share * n / len(truth) / 2
        window = [t for t in range(n) if abs(t - a[0]) <= half + 1e-12]
        hits = [t for t in window if p[t]]
        values.append(1 - (hits[0] - window[0]) / max(window[-1] - window[0], 1) if hits else 0)
    return sum(values) / len(values)


def adtqc(y, p, e):
    values, truth = [], runs(y)
    for j, a in enumerate(truth):
        over = [i for i in runs(p) if set(i) & set(a)]
        if not over:
            continue
        x, late = over[0][0] - a[0], len(a)
        early = min(late, a[0] - truth[j - 1][0]) if j else late
        if x <= -early or x >= late:
            values.append(0.0)
        else:
            values.append(((x + early) / early) ** e if x <= 0 else 1 / (1 + (x / (late - x)) ** e))
    return sum(values) / len(values) if values else 0.0


def alarm(y, p):
    truth, alarms = runs(y), runs(p)
    if not alarms:
        return 0.0
    kept = [False] * len(y)
    for i in alarms:
        first = next((a for a in truth if set(a) & set(i)), [])
        for t in set(first) & set(i):
            kept[t] = True
    total, near = 0.0, []
    for a in truth:
        if any(kept[t] for t in a):
            pieces = sum(kept[t] and not (t > a[0] and kept[t - 1]) for t in a)
            near.append(2.0**-pieces * (1 + sum(2.0 ** -(t - a[0] + 1) for t in a if kept[t])))
        total -= 0.75 * (a[0] > 0 and p[a[0] - 1] and p[a[0]])
        total -= 0.25 * (a[-1] + 1 < len(y) and p[a[-1]] and p[a[-1] + 1])
    false = sum(b and not a for a, b in zip(y, p, strict=True))
    total += len(near) + (sum(near) / len(near) if near else 0.0)
    total -= sum(not any(y[t] for t in i) for i in alarms) / 2
    return total - (1 - 1 / false if false else 0.0)


def affiliation(y, p, fine=60):
    """Precision and recall by sums over `fine` places in each point."""
    truth, n = runs(y), len(y)
    borders = [0.0, *((a[-1] + 1 + b[0]) / 2 for a, b in pairwise(truth)), float(n)]
    grid = [(k + 0.5) / fine for k in range(n * fine)]
    precisions, recalls = [], []
    for j, a in enumerate(truth):
        low, high = borders[j], borders[j + 1]
        zone = [x for x in grid if low < x < high]
        start, end = a[0], a[-1] + 1
        alarms = [x for x in zone if p[int(x)]]

        def away(x, start=start, end=end):
            return max(start - x, x - end, 0.0)

        if alarms:
            far = [away(x) for x in alarms]
            margin = (start - low, high - end)
            chances = [
                1.0 if d == 0 else 1 - (end - start + min(d, margin[0]) + min(d, margin[1])) / (high - low) for d in far
            ]
            precisions.append(sum(chances) / len(chances))
        edges = [(max(i[0], low), min(i[-1] + 1, high)) for i in runs(p) if i[0] < high and i[-1] + 1 > low]
        if not edges:
            recalls.append(0.0)
            continue
        inside = [x for x in grid if start < x < end]
        near = [(x, min(max(u - x, x - v, 0.0) for u, v in edges)) for x in inside]
        recalls.append(sum(1 - (min(d, x - low) + min(d, high - x)) / (high - low) for x, d in near) / len(near))
    return sum(precisions) / len(precisions) if precisions else math.nan, sum(recalls) / len(recalls)


def soft_areas(y, s, window, thresholds=250):
    """Range-AUC of ROC and of precision over recall."""
    n, truth, half = len(y), runs(y), window // 2
    soft = [float(v) for v in y]
    for t in range(n):
        for a in truth:
            d = max(a[0] - t, t - a[-1], 0)
            if 0 < d <= half:
                soft[t] += math.sqrt(1 - d / window)
    soft = [min(1.0, v) for v in soft]
    wide = []
    for a in truth:
        low, high = a[0] - half, a[-1] + half
        if wide and wide[-1][1] >= low:
            wide[-1][1] = high
        else:
            wide.append([low, high])
    falling = sorted(s, reverse=True)
    curve, precisions = [(0.0, 0.0)], [1.0]
    positive = (sum(y) + sum(soft)) / 2
    for k in range(thresholds):
        level = falling[int(k * (n - 1) / (thresholds - 1))]
        p = [v >= level for v in s]
        tp = sum(v for v, b in zip(soft, p, strict=True) if b)
        existence = sum(any(p[max(low, 0) : high + 1]) for low, high in wide) / len(wide)
        curve.append(((sum(p) - tp) / (n - positive), min(1.0, tp / positive) * existence))
        precisions.append(tp / sum(p))
    pr = sum((curve[k + 1][1] - curve[k][1]) * (precisions[k + 1] + precisions[k]) / 2 for k in range(len(curve) - 1))
    curve.append((1.0, 1.0))
    roc = sum((v[0] - u[0]) * (v[1] + u[1]) / 2 for u, v in pairwise(curve))
    return roc, pr


def pate(y, p, early, delay):
    """Precision and recall of PATE."""
    truth, n = runs(y), len(y)
    weight = [0.0] * n
    taken = -1
    missed = 0.0
    for j, a in enumerate(truth):
        hit = [t for t in a if p[t]]
        for t in a:
            weight[t] = 1.0
        after = list(range(a[-1] + 1, min(a[-1] + 1 + delay, truth[j + 1][0] if j + 1 < len(truth) else n)))
        before = list(range(max(a[0] - early, taken + 1), a[0]))
        if hit:
            for t in before:
                weight[t] = 1 - sum(abs(t - u) for u in a) / sum(abs(before[0] - u) for u in a)
        for t in after:
            weight[t] = 1 - sum(abs(t - u) for u in a) / sum(abs(after[-1] - u) for u in a)
        taken = after[-1] if after else a[-1]
        length = len(a)
        if hit:
            length = 1
            while hit[0] + length in a and p[hit[0] + length]:
                length += 1
        for i, t in enumerate(a):
            if not p[t]:
                missed += 1.0 if i <= length else 1 - (i - length) / max(len(a) - length, 1)
    true = sum(w for w, b in zip(weight, p, strict=True) if b)
    return (true / sum(p) if sum(p) else 0.0), true / (true + missed) if true + missed else 0.0


def pate_mean(y, p, early, delay):
    grid = [pate(y, p, e, d) for e in (0, early) for d in (0, delay)]
    return sum(f1(*each) for each in grid) / len(grid)


def net_event(y, p):
    e, c, v, rho, alpha, beta, b0, b1, tol = 0.5, 0.25, 0.25, 0.15, 0.25, 0.25, 0.125, 0.375, 8
    truth, n = runs(y), len(y)
    usual = sum(map(len, truth)) / len(truth) if truth else tol
    total = 0.0
    for a in truth:
        hits = [t for t in a if p[t]]
        pieces = sum(p[t] and not (t > a[0] and p[t - 1]) for t in a)
        if hits:
            total += e + c * len(hits) / len(a) + v * (1 - (hits[0] - a[0]) / len(a)) - rho * (pieces - 1) / len(a)
    for r in runs([b and not a for a, b in zip(y, p, strict=True)]):
        w = [min(1.0, nearest(t, y) / tol) for t in r]
        psi = sum(w) / (sum(w) + usual)
        x = (r[0] > 0 and p[r[0] - 1]) + (r[-1] + 1 < n and p[r[-1] + 1])
        total -= beta * psi + (x * (b0 + b1 * psi) if x else alpha * max(w))
    total /= max(len(truth), 1)
    return total if total >= 0 else total / (1 - total)
