// An audit's pages and the filter of its findings. Without script all pages stand one below the other.
(function () {
  var nav = document.getElementById("pages");
  if (!nav) { return; }
  var root = document.documentElement, form = document.getElementById("filter");
  function all(selector, within) { return Array.from((within || document).querySelectorAll(selector)); }
  var pages = all("main > .page"), links = all("a", nav), families = all(".family"), findings = all(".finding");
  var toggles = form ? all(".toggle", form) : [], words = document.getElementById("words");
  // What a reader sees of a finding; its folded numbers would match too much.
  var texts = findings.map(function (each) {
    return all(".code, h3, p", each).map(function (part) { return part.textContent; }).join(" ").toLowerCase();
  });
  var here = null, marked = null;

  function leads(link) { return link.getAttribute("href").slice(1); }
  function show(id, jump) {
    var target = id ? document.getElementById(id) : null, page = target ? target.closest(".page") : null;
    page = page || pages[0];
    var listing = page.id === "findings";
    here = page.id;
    pages.forEach(function (each) {
      each.classList.toggle("current", each === page || listing && each.classList.contains("family"));
    });
    root.classList.toggle("listing", listing);
    if (form) { form.hidden = !listing && !page.classList.contains("family"); }
    links.forEach(function (link) {
      if (leads(link) === here) { link.setAttribute("aria-current", "page"); keepInView(link); }
      else { link.removeAttribute("aria-current"); }
    });
    if (marked) { marked.classList.remove("target"); marked = null; }
    if (target && target.classList.contains("finding")) {
      if (target.classList.contains("out")) { clear(); }
      marked = target;
      target.classList.add("target");
      target.tabIndex = -1;
      target.focus({ preventScroll: true });
    }
    if (target && target !== page) { target.scrollIntoView({ block: marked ? "center" : "start" }); }
    else if (jump) { scrollTo(0, 0); }
  }
  // On narrow screens the navigation is a strip of its own that scrolls.
  function keepInView(link) {
    var strip = nav.getBoundingClientRect(), place = link.getBoundingClientRect();
    if (place.left < strip.left || place.right > strip.right) { nav.scrollLeft += place.left - strip.left - 16; }
  }

  function pressed(name) {
    return toggles.filter(function (each) {
      return name in each.dataset && each.getAttribute("aria-pressed") === "true";
    }).map(function (each) { return each.dataset[name]; });
  }
  function apply() {
    var wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean), left = 0;
    var outcomes = pressed("outcome"), severities = pressed("severity"), urgent = pressed("urgent").length > 0;
    var active = wanted.length + outcomes.length + severities.length + urgent > 0;
    findings.forEach(function (each, k) {
      var data = each.dataset, text = texts[k];
      var kept = (!urgent || data.severity !== "info")
        && (!outcomes.length || outcomes.includes(data.outcome))
        && (!severities.length || severities.includes(data.severity))
        && wanted.every(function (word) { return text.includes(word); });
      each.classList.toggle("out", !kept);
      left += kept;
    });
    families.forEach(function (family) {
      var kept = all(".finding:not(.out)", family).length;
      family.classList.toggle("empty", !kept);
      links.forEach(function (link) { if (leads(link) === family.id) { tell(link, kept); } });
    });
    links.forEach(function (link) { if (leads(link) === "findings") { tell(link, left); } });
    document.getElementById("left").textContent = (active ? left + " of " : "") + findings.length + " findings";
    document.getElementById("nothing").hidden = left > 0;
    document.getElementById("all").disabled = !active;
  }
  function tell(link, kept) {
    var count = link.querySelector(".count"), of = count.dataset.of;
    count.textContent = kept === +of ? of : kept + "/" + of;
    link.classList.toggle("none", !kept);
  }
  function clear() {
    words.value = "";
    toggles.forEach(function (each) { each.setAttribute("aria-pressed", "false"); });
    apply();
  }
  // A filter works across the families, so whoever filters sees them all.
  function changed() {
    apply();
    if (here !== "findings") { show("findings"); remember("findings"); }
  }
  // In a notebook's frame there is no address to write to.
  function remember(id) { try { history.pushState(null, "", "#" + id); } catch (refused) { return; } }

  document.addEventListener("click", function (event) {
    var link = event.target.closest("a[href^='#']");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return; }
    event.preventDefault();
    remember(leads(link));
    show(leads(link), true);
  });
  function address() { try { return decodeURIComponent(location.hash.slice(1)); } catch (malformed) { return ""; } }
  addEventListener("hashchange", function () { show(address(), true); });
  if (form) {
    form.addEventListener("submit", function (event) { event.preventDefault(); });
    words.addEventListener("input", changed);
    words.addEventListener("keydown", function (event) { if (event.key === "Escape") { clear(); } });
    toggles.forEach(function (each) {
      each.addEventListener("click", function () {
        each.setAttribute("aria-pressed", each.getAttribute("aria-pressed") === "true" ? "false" : "true");
        changed();
      });
    });
    document.getElementById("all").addEventListener("click", function () { clear(); words.focus(); });
    apply();
  }
  root.classList.add("paged");
  show(address());
})();
