// Numbers of viewers in a page's texts.
var counters = {};
// Browsers open six connections to a host that speaks HTTP/1.1: reports need some of them.
var MOST_STREAMS = 2, ASK_EVERY_MS = 1e4;

// One video's number, for all elements that show it.
function Counter(key, id, token) {
  var self = this, shown, source, timer, wait = 5e3;
  var url = base + of(id, "viewers") + (token ? "?viewerToken=" + encodeURIComponent(token) : "");
  this.elements = [];

  function show(viewers) {
    shown = viewers;
    self.elements.forEach(function (element) {
      element.textContent = viewers;
    });
  }

  function streams() {
    return Object.keys(counters).filter(function (key) {
      return counters[key].streams();
    }).length;
  }

  function open() {
    close();
    // Nobody sees it: others may have the connection.
    if (d.visibilityState == "hidden") return;
    if (streams() < MOST_STREAMS) {
      source = new EventSource(url);
      source.addEventListener("views-change", function (event) {
        wait = 5e3;
        show(JSON.parse(event.data).viewers);
      });
      source.onerror = function () {
        // A browser comes back by itself, but not after an answer such as 502 or 503.
        if (!source || source.readyState != 2) return;
        close();
        timer = setTimeout(open, wait);
        wait = Math.min(wait * 2, 6e5);
      };
    } else {
      ask();
    }
  }

  function ask() {
    timer = setTimeout(open, ASK_EVERY_MS);
    fetch(url, { credentials: "omit" }).then(function (answer) {
      if (answer.ok) return answer.json();
      // There is no such video for this visitor.
      if (answer.status < 429) clearTimeout(timer);
    }).then(function (said) {
      if (said) show(said.viewers);
    }).catch(function () {});
  }

  function close() {
    clearTimeout(timer);
    if (source) source.close();
    source = 0;
  }

  this.streams = function () {
    return !!source;
  };

  this.add = function (element) {
    this.elements.push(element);
    if (shown !== undefined) element.textContent = shown;
  };

  this.remove = function (element) {
    this.elements = this.elements.filter(function (other) {
      return other !== element;
    });
    if (this.elements.length) return;
    delete counters[key];
    d.removeEventListener("visibilitychange", open);
    close();
  };

  counters[key] = this;
  d.addEventListener("visibilitychange", open);
  open();
}

// Keep the number of viewers in an element's text; returns what ends it.
function count(element, id, token) {
  var key = id + " " + (token || ""), counter = counters[key] || new Counter(key, id, token);
  counter.add(element);
  return function () {
    counter.remove(element);
  };
}
