"use strict";
(function () {
  // The theme follows the system until the button is pressed.
  var root = document.documentElement, button = document.getElementById("theme");
  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  }
  function label() { button.textContent = isDark() ? "light" : "dark"; button.setAttribute("aria-label", button.textContent + " colours"); }
  button.hidden = false;
  button.addEventListener("click", function () { root.dataset.theme = isDark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();

  // A legend entry under the pointer brings its curve forward.
  document.querySelectorAll(".legend li").forEach(function (entry) {
    var box = entry.closest(".curves");
    if (!box) { return; }
    function mark(on) {
      box.classList.toggle("dimmed", on);
      box.querySelectorAll("path[data-name]").forEach(function (curve) {
        curve.classList.toggle("front", on && curve.dataset.name === entry.dataset.name);
      });
    }
    entry.addEventListener("pointerenter", function () { mark(true); });
    entry.addEventListener("pointerleave", function () { mark(false); });
  });

  function percent(change) {
    var text = (100 * change).toFixed(1);
    return (+text === 0 ? "0.0" : change > 0 ? "+" + text : text) + " %";
  }

  // Values at one step ahead, read from the data beside the plot.
  document.querySelectorAll(".curves").forEach(function (box) {
    var series = JSON.parse(box.dataset.series), tip = document.createElement("div"), step = 1, unit = +box.dataset.unit;
    var base = series.find(function (each) { return each[0] === box.dataset.base; });
    tip.className = "tip";
    tip.hidden = true;
    tip.setAttribute("role", "status");
    box.appendChild(tip);
    function hide() {
      tip.hidden = true;
      box.querySelectorAll(".cursor").forEach(function (line) { line.setAttribute("d", ""); });
    }
    function show(svg) {
      var data = svg.dataset, steps = +data.steps, at = (step - 1) / (steps - 1);
      box.querySelectorAll("svg.lines").forEach(function (each) {
        var x = +each.dataset.left + at * (each.dataset.right - each.dataset.left);
        each.querySelector(".cursor").setAttribute("d", "M" + x + " 10V" + each.dataset.bottom);
      });
      tip.textContent = "";
      var title = tip.appendChild(document.createElement("b")), list = tip.appendChild(document.createElement("table"));
      title.textContent = "step " + step;
      series.forEach(function (each) {
        var value = each[1][step - 1], row = list.insertRow();
        row.insertCell().textContent = each[0];
        row.insertCell().textContent = value === null || value === undefined ? "–" : +(value * unit).toPrecision(4);
        var change = value && base[1][step - 1] ? value / base[1][step - 1] - 1 : null;
        row.insertCell().textContent = each === base || change === null ? "" : percent(change);
      });
      tip.hidden = false;
      var frame = box.getBoundingClientRect(), place = svg.getBoundingClientRect();
      var x = place.left - frame.left + place.width * (+data.left + at * (data.right - data.left)) / svg.viewBox.baseVal.width;
      var left = x + 14 + tip.offsetWidth > frame.width ? x - 14 - tip.offsetWidth : x + 14;
      tip.style.left = Math.max(0, left) + "px";
      tip.style.top = place.top - frame.top + 8 + "px";
    }
    box.querySelectorAll("svg.lines").forEach(function (svg) {
      var steps = +svg.dataset.steps;
      svg.setAttribute("tabindex", "0");
      svg.addEventListener("pointermove", function (event) {
        var place = svg.getBoundingClientRect(), data = svg.dataset;
        var x = (event.clientX - place.left) / place.width * svg.viewBox.baseVal.width;
        step = Math.round(1 + (x - data.left) / (data.right - data.left) * (steps - 1));
        step = Math.min(Math.max(step, 1), steps);
        show(svg);
      });
      svg.addEventListener("pointerleave", hide);
      svg.addEventListener("blur", hide);
      svg.addEventListener("focus", function () { if (svg.matches(":focus-visible")) { show(svg); } });
      svg.addEventListener("keydown", function (event) {
        var move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
        if (!move) { return; }
        event.preventDefault();
        step = Math.min(Math.max(step + move, 1), steps);
        show(svg);
      });
    });
  });
})();
{% include "pages.js" %}

{% include "maps.js" %}
