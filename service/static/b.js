// Counts page views of a web site and who is on it now. See docs/pages.md. No cookie, and nothing is stored.
// It is put in a function of (w)indow, (d)ocument and (n)avigator when it is served, and lines like this one and indentation
// are taken out: no line may depend on its beginning.
var script = d.currentScript || d.querySelector("script[src*='/b.js']"), data = script.dataset;
// Whoever says in the browser not to be counted is not.
if (w.fediviews || n.globalPrivacyControl || (n.doNotTrack || w.doNotTrack) == 1) return;
var base = new URL(data.endpoint || script.src).origin + "/api/v1/pages/";
var off, hold = 0, viewed, beaten, beatenAt = 0, timer, leading, free, wish, started;

function path() {
  return data.path || location.pathname;
}

function visible() {
  return d.visibilityState == "visible";
}

function send(name, more) {
  if (off || Date.now() < hold) return;
  var url = base + name;
  var body = JSON.stringify(Object.assign({ site: data.site || location.host, path: path(), sessionId: data.session }, more));
  // Text: browsers ask nobody beforehand. The page goes away with the last one, so it has to be a beacon.
  if (more && more.leave) return n.sendBeacon(url, body);
  fetch(url, { method: "POST", body: body, keepalive: true, credentials: "omit" }).then(function (answer) {
    var status = answer.status;
    // It will not be taken later either; or there is too much to do.
    if (status == 403 || status == 404) off = 1;
    if (status == 429 || status == 503) hold = Date.now() + 1e3 * (answer.headers.get("Retry-After") || 30);
  }).catch(function () {});
}

function view(again) {
  if (path() != viewed || again === 1) {
    send("views", { title: d.title, pageType: data.type, referrer: viewed ? undefined : d.referrer });
    viewed = path();
    beat();
  }
}

function beat() {
  clearTimeout(timer);
  if (!leading || !visible()) return;
  if (Date.now() - beatenAt > 2e4 || path() != beaten) {
    beatenAt = Date.now();
    beaten = path();
    send("heartbeat");
  }
  timer = setTimeout(beat, 25e3 + Math.random() * 1e4);
}

// Of all tabs of the site one that is seen speaks for all.
function lead() {
  leading = 1;
  beatenAt = 0;
  beat();
  return new Promise(function (done) {
    free = done;
  });
}

function look() {
  if (visible()) {
    if (leading || wish) return beat();
    if (!n.locks) return lead();
    wish = new AbortController();
    n.locks.request("fediviews", { signal: wish.signal }, lead).catch(function () {});
  } else {
    rest();
  }
}

function rest() {
  clearTimeout(timer);
  if (wish) wish.abort();
  if (free) free();
  leading = wish = free = 0;
}

function later() {
  // The page gets its title a moment after its address.
  setTimeout(view, 300);
}

function start() {
  if (started) return;
  started = 1;
  ["pushState", "replaceState"].forEach(function (name) {
    var original = history[name];
    history[name] = function () {
      original.apply(this, arguments);
      later();
    };
  });
  addEventListener("popstate", later);
  d.addEventListener("visibilitychange", look);
  addEventListener("pagehide", function () {
    if (leading) send("heartbeat", { leave: true });
    rest();
  });
  // Out of the browser's memory of pages: it is looked at again.
  addEventListener("pageshow", function (event) {
    if (event.persisted) {
      view(1);
      look();
    }
  });
  view();
  look();
}

w.fediviews = { start: start };
if (data.auto == "off") return;
if (d.prerendering) d.addEventListener("prerenderingchange", start);
else start();
