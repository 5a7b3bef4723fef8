// Finding series on a page of forecasts, drawing those that are found, and reading values off a chart.
(function () {
  var source = document.getElementById("numbers"), form = document.getElementById("find");
  if (!source || !form) { return; }
  var page = JSON.parse(source.textContent), series = page.series, SVG = "http://www.w3.org/2000/svg";
  var found = document.getElementById("found"), drawn = document.getElementById("drawn"), more = document.getElementById("more");
  var words = document.getElementById("words"), order = document.getElementById("order"), left = document.getElementById("left");
  var SIGNS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_", LEVELS = 4094, STEP = 12;
  var W = 460, H = 230, TOP = 10, BELOW = 26, RIGHT = 10, SIGN = 7;

  // A row is [name, unit, loss, place, least, greatest, history, forecast, bands, back, earlier].
  function read(text, row) {
    var values = [];
    for (var i = 0; i < text.length; i += 2) {
      var at = SIGNS.indexOf(text[i]) * 64 + SIGNS.indexOf(text[i + 1]);
      values.push(at ? row[4] + (at - 1) / LEVELS * (row[5] - row[4]) : null);
    }
    return values;
  }
  function curves(row) {
    var history = read(row[6], row), point = read(row[7], row), all = history.length + point.length, own = typeof row[3] !== "number";
    return {
      name: row[0], history: history, point: point, start: history.length, count: all,
      ends: row[8].map(function (text) { return read(text, row); }),
      back: row[9] || 0, earlier: row[10] ? read(row[10], row) : [],
      time: own ? row[3][0] : page.time.slice(row[3], row[3] + all),
      ticks: own ? row[3][1] : page.ticks.map(function (each) { return [each[0] - row[3], each[1]]; })
        .filter(function (each) { return each[0] >= 0 && each[0] < all; })
    };
  }
  function short(value) {
    if (value === null || value === undefined) { return "–"; }
    var size = Math.abs(value);
    return size >= 1e7 || (size && size < 1e-4) ? value.toExponential(2)
      : value.toLocaleString("en", { maximumSignificantDigits: size >= 1000 ? Math.ceil(Math.log10(size + 1)) : 4 });
  }
  function about(row) { return [row[1], row[2] === null ? "" : page.loss + " " + (row[2] < 1000 ? row[2].toFixed(2) : short(row[2]))].filter(Boolean).join(" · "); }

  function add(parent, name, attributes, text) {
    var made = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (key) { made.setAttribute(key, attributes[key]); });
    if (text !== undefined) { made.textContent = text; }
    return parent.appendChild(made);
  }
  function ticks(low, high, most) {
    var raw = (high - low) / Math.max(most - 1, 1), power = Math.pow(10, Math.floor(Math.log10(raw)));
    var step = power * [1, 2, 5, 10].find(function (each) { return power * each >= raw * (1 - 1e-9); }), values = [];
    for (var k = Math.ceil(low / step - 1e-9); k <= high / step + 1e-9; k += 1) { values.push(k * step); }
    return { step: step, values: values };
  }
  function draw(c) {
    var svg = document.createElementNS(SVG, "svg"), bottom = H - BELOW;
    function known(values) { return values.filter(function (each) { return each !== null; }); }
    var values = known(c.history.concat(c.point, c.earlier)), ends = known([].concat.apply([], c.ends));
    var low = Math.min.apply(null, values), high = Math.max.apply(null, values), range = high - low;
    var least = Math.min.apply(null, ends.concat(low)), most = Math.max.apply(null, ends.concat(high));
    low = range ? Math.max(least, low - range) : least;
    high = range ? Math.min(most, high + range) : most;
    if (!(high - low > 1e-9 * Math.max(Math.abs(low), Math.abs(high)))) {
      var half = Math.abs(high) / 10 || 1; low -= half; high += half;
    } else { var room = 0.04 * (high - low); low -= room; high += room; }
    var marks = ticks(low, high, 6), decimals = Math.max(0, -Math.floor(Math.log10(marks.step) + 1e-9)), plain = Math.max(Math.abs(low), Math.abs(high)) < 1e7 && decimals < 7;
    var labels = marks.values.map(function (each) {
      return plain ? each.toLocaleString("en", { minimumFractionDigits: decimals, maximumFractionDigits: decimals }) : each.toExponential(2);
    });
    var start = Math.min(14 + SIGN * Math.max.apply(null, labels.map(function (each) { return each.length; })), W / 3) + 2;
    function x(place) { return c.count > 1 ? start + place / (c.count - 1) * (W - RIGHT - start) : (start + W - RIGHT) / 2; }
    function y(value) { return Math.min(Math.max(bottom - (value - low) / (high - low) * (bottom - TOP), TOP), bottom); }
    function line(values, first, kind) {
      var pen = "M", text = "";
      values.forEach(function (value, k) {
        if (value === null) { pen = "M"; return; }
        text += pen + x(first + k).toFixed(1) + " " + y(value).toFixed(1) + (pen === "M" ? "l0 0" : "");
        pen = "L";
      });
      add(svg, "path", { d: text, "class": "line " + kind });
    }
    svg.setAttribute("viewBox", "0 0 " + W + " " + H);
    svg.setAttribute("class", "lines");
    svg.setAttribute("role", "img");
    svg.dataset.left = x(0); svg.dataset.right = x(c.count - 1);
    add(svg, "title", {}, c.name);
    var origin = x(c.start - 0.5);
    add(svg, "rect", { x: origin, y: TOP, width: W - RIGHT - origin, height: bottom - TOP, "class": "ahead" });
    marks.values.forEach(function (value, k) {
      add(svg, "path", { d: "M" + (start - 2) + " " + y(value) + "H" + (W - RIGHT), "class": "grid" });
      add(svg, "text", { x: start - 8, y: y(value) + 4, "class": "label end" }, labels[k]);
    });
    if (page.period > 1 && c.count / page.period <= 30) {
      var upright = "";
      for (var at = c.start % page.period; at < c.count; at += page.period) { upright += "M" + x(at).toFixed(1) + " " + TOP + "V" + bottom; }
      add(svg, "path", { d: upright, "class": "season" });
    }
    var free = 0;
    c.ticks.forEach(function (each) {
      var half = SIGN * each[1].length / 2 + 2, place = Math.min(Math.max(x(each[0]), half), W - half);
      add(svg, "path", { d: "M" + x(each[0]).toFixed(1) + " " + bottom + "v4", "class": "tick" });
      if (place - half < free) { return; }
      add(svg, "text", { x: place, y: bottom + 18, "class": "label" }, each[1]);
      free = place + half + SIGN;
    });
    for (var k = c.ends.length - 2; k >= 0; k -= 2) {
      var one = c.point.length === 1, there = [], back = [];
      c.ends[k].forEach(function (value, step) {
        (one ? [-0.4, 0.4] : [0]).forEach(function (aside) {
          there.push(x(c.start + step + aside).toFixed(1) + " " + y(c.ends[k + 1][step]).toFixed(1));
          back.unshift(x(c.start + step + aside).toFixed(1) + " " + y(value).toFixed(1));
        });
      });
      add(svg, "path", { d: "M" + there.concat(back).join("L") + "Z", "class": "ribbon c1" });
    }
    if (c.earlier.length) { line(c.earlier, c.start - c.back, "c2 earlier"); }
    line(c.history, 0, "c0 observed");
    line(c.history.slice(-1).concat(c.point), c.start - Math.min(1, c.start), "c1 forecast");
    add(svg, "path", { d: "M" + origin + " " + TOP + "V" + bottom, "class": "origin" });
    add(svg, "path", { d: "", "class": "cursor" });
    return svg;
  }
  function figure(number) {
    var row = series[number], box = document.createElement("figure"), caption = document.createElement("figcaption");
    box.className = "series";
    box.dataset.number = number;
    caption.appendChild(document.createElement("b")).textContent = row[0];
    caption.appendChild(document.createElement("span")).textContent = about(row);
    box.appendChild(caption);
    box.appendChild(draw(curves(row)));
    readable(box);
    return box;
  }

  // The value at one step, beside the pointer or by the arrow keys.
  function readable(box) {
    var c = null, tip = document.createElement("div"), place = 0;
    tip.className = "tip";
    tip.hidden = true;
    tip.setAttribute("role", "status");
    box.appendChild(tip);
    function entry(list, name, value) {
      var row = list.insertRow();
      row.insertCell().textContent = name;
      row.insertCell().textContent = value;
    }
    function show(svg) {
      var at = +svg.dataset.left + (c.count > 1 ? place / (c.count - 1) : 0) * (svg.dataset.right - svg.dataset.left);
      var view = svg.viewBox.baseVal, frame = box.getBoundingClientRect(), shape = svg.getBoundingClientRect();
      svg.querySelector(".cursor").setAttribute("d", "M" + at + " " + TOP + "V" + (view.height - BELOW));
      tip.textContent = "";
      tip.appendChild(document.createElement("b")).textContent = c.time[place];
      var list = tip.appendChild(document.createElement("table")), ahead = place - c.start, back = place - (c.start - c.back);
      if (ahead < 0) { entry(list, "observed", short(c.history[place])); } else { entry(list, "forecast", short(c.point[ahead])); }
      if (back >= 0 && back < c.earlier.length) { entry(list, "was forecast", short(c.earlier[back])); }
      if (ahead >= 0) {
        page.levels.forEach(function (level, k) { entry(list, level + " %", short(c.ends[2 * k][ahead]) + " to " + short(c.ends[2 * k + 1][ahead])); });
      }
      tip.hidden = false;
      var from = shape.left - frame.left + shape.width * at / view.width;
      tip.style.left = Math.max(0, from + 14 + tip.offsetWidth > frame.width ? from - 14 - tip.offsetWidth : from + 14) + "px";
      tip.style.top = shape.top - frame.top + 8 + "px";
    }
    box.querySelectorAll("svg.lines").forEach(function (svg) {
      function hide() { tip.hidden = true; svg.querySelector(".cursor").setAttribute("d", ""); }
      function move(to) {
        c = c || curves(series[box.dataset.number]);
        place = Math.min(Math.max(to, 0), c.count - 1);
        show(svg);
      }
      svg.setAttribute("tabindex", "0");
      svg.addEventListener("pointermove", function (event) {
        c = c || curves(series[box.dataset.number]);
        var shape = svg.getBoundingClientRect(), from = (event.clientX - shape.left) / shape.width * svg.viewBox.baseVal.width;
        move(Math.round((from - svg.dataset.left) / (svg.dataset.right - svg.dataset.left || 1) * (c.count - 1)));
      });
      svg.addEventListener("pointerleave", hide);
      svg.addEventListener("blur", hide);
      svg.addEventListener("focus", function () {
        if (svg.matches(":focus-visible")) { c = c || curves(series[box.dataset.number]); move(place || c.start); }
      });
      svg.addEventListener("keydown", function (event) {
        var by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (by) { event.preventDefault(); move(place + by); }
      });
    });
  }
  document.querySelectorAll("#drawn .series").forEach(readable);
  if (series.length < 2) { return; }

  var matches = [], shown = 0;
  function next() {
    matches.slice(shown, shown + STEP).forEach(function (number) { found.appendChild(figure(number)); });
    shown = Math.min(shown + STEP, matches.length);
    more.hidden = shown >= matches.length;
    more.textContent = "more: " + (matches.length - shown).toLocaleString("en") + " left";
  }
  function search() {
    var word = words.value.trim().toLowerCase(), by = order.value, plain = !word && !by;
    found.hidden = plain;
    drawn.hidden = !plain;
    found.textContent = "";
    more.hidden = true;
    left.textContent = "";
    if (plain) { return; }
    var names = series.map(function (row) { return row[0].toLowerCase(); });
    matches = series.map(function (_, k) { return k; }).filter(function (k) { return names[k].includes(word); });
    function fit(k) { return names[k] === word ? 0 : names[k].startsWith(word) ? 1 : 2; }
    function loss(k) { return series[k][2] === null ? -Infinity : series[k][2]; }
    matches.sort(function (a, b) {
      if (by === "name") { return names[a].localeCompare(names[b], "en", { numeric: true }); }
      if (by === "rank") { return loss(b) - loss(a) || a - b; }
      if (by === "back") { return loss(a) - loss(b) || a - b; }
      return fit(a) - fit(b) || a - b;
    });
    left.textContent = matches.length.toLocaleString("en") + " of " + series.length.toLocaleString("en")
      + (series.length < page.count && !matches.length ? "; this page holds " + series.length.toLocaleString("en") + " of " + page.count.toLocaleString("en") + " series" : "");
    shown = 0;
    next();
  }
  form.hidden = false;
  form.addEventListener("submit", function (event) { event.preventDefault(); });
  words.addEventListener("input", search);
  order.addEventListener("change", search);
  more.addEventListener("click", next);
  if (!page.loss) { order.querySelectorAll('[value="rank"], [value="back"]').forEach(function (each) { each.remove(); }); }
})();
