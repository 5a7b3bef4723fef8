// One attention map at a time, large; its picture is the one that stands among the small ones already.
(function () {
  var box = document.querySelector(".explorer .large");
  if (!box) { return; }
  var small = Array.from(document.querySelectorAll(".maps figure")), large = new Image();
  var layer = document.getElementById("layer"), head = document.getElementById("head");
  var reading = document.getElementById("reading"), axes = box.querySelector(".axes"), now = small[0];

  function names(key, among) {
    return among.map(function (each) { return each.dataset[key]; })
      .filter(function (name, k, list) { return list.indexOf(name) === k; });
  }
  function fill(select, list) {
    select.textContent = "";
    list.forEach(function (name) { select.add(new Option(name, name)); });
  }
  function ofLayer(name) { return small.filter(function (each) { return each.dataset.layer === name; }); }
  function marks(place, size) {
    place.textContent = "";
    [1, Math.round((1 + +size) / 2), size].forEach(function (mark) {
      place.appendChild(document.createElement("span")).textContent = mark;
    });
  }
  function show(figure) {
    var data = figure.dataset, size = data.size.split(" "), picture = figure.querySelector("img");
    if (layer.value !== data.layer || !head.options.length) { fill(head, names("head", ofLayer(data.layer))); }
    layer.value = data.layer;
    head.value = data.head;
    large.src = picture.src;
    large.alt = picture.alt;
    axes.style.setProperty("--shape", size[1] + " / " + size[0]);
    marks(box.querySelector(".y-ticks"), size[0]);
    marks(box.querySelector(".x-ticks"), size[1]);
    reading.textContent = picture.alt.charAt(0).toUpperCase() + picture.alt.slice(1) + "; " + data.numbers + ".";
    now.removeAttribute("aria-current");
    figure.setAttribute("aria-current", "true");
    now = figure;
  }
  function pick() {
    var among = ofLayer(layer.value);
    show(among.find(function (each) { return each.dataset.head === head.value; }) || among[0]);
  }
  function step(key, by) {
    var list = key === "layer" ? names("layer", small) : names("head", ofLayer(now.dataset.layer));
    var at = list.indexOf(now.dataset[key]) + by, other = key === "layer" ? "head" : "layer";
    if (at < 0 || at >= list.length) { return; }
    var among = small.filter(function (each) { return each.dataset[key] === list[at]; });
    show(among.find(function (each) { return each.dataset[other] === now.dataset[other]; }) || among[0]);
  }
  document.getElementById("large").appendChild(large);
  fill(layer, names("layer", small));
  layer.addEventListener("change", pick);
  head.addEventListener("change", pick);
  small.forEach(function (each) { each.addEventListener("click", function () { show(each); }); });
  axes.addEventListener("keydown", function (event) {
    var move = { ArrowLeft: ["head", -1], ArrowRight: ["head", 1], ArrowUp: ["layer", -1], ArrowDown: ["layer", 1] }[event.key];
    if (!move) { return; }
    event.preventDefault();
    step(move[0], move[1]);
  });
  box.hidden = false;
  show(now);
})();
