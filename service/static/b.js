// Counts page views of a web site and who is on it now. See docs/pages.md. No cookie, and nothing is stored unasked.
// It is put in a function of (w)indow, (d)ocument and (n)avigator when it is served, and lines like this one and indentation
// are taken out: no line may depend on its beginning.
var script = d.currentScript || d.querySelector("script[src*='/b.js']"), data = script.dataset, at = location;
var base = new URL(data.endpoint || script.src).origin;
var hold = 0, viewed, beaten, beatenAt = 0, mine, timer, started, firstPath, firstLink, channel;
// Whoever says in the browser not to be counted is not; nor is a page within another one.
var off = n.globalPrivacyControl || (n.doNotTrack || w.doNotTrack) == 1 || (w != w.top && data.frames == null);

if (w.fediviews) return;
w.fediviews = { start: start };
try {
  // Or says so to the site, by a page's address with #no-stats once. With #stats all is as before.
  if (at.hash == "#no-stats") localStorage.fediviews = "off";
  if (at.hash == "#stats") delete localStorage.fediviews;
  off = off || localStorage.fediviews;
} catch (e) {}

function link() {
  return (d.querySelector("link[rel=canonical]") || at).href;
}

function path() {
  var said = link().split("/");
  // A canonical address that stays as it was on another page was forgotten there.
  said = said[2] != at.host || (link() == firstLink && at.pathname != firstPath) ? at.pathname : "/" + said.slice(3).join("/");
  return (data.path || said).split(/[?#]/)[0].slice(0, 2048);
}

function send(name, more) {
  if (off || Date.now() < hold) return;
  var url = base + "/api/v1/pages/" + name;
  var body = JSON.stringify(Object.assign({ site: data.site || at.host, path: path(), sessionId: data.session, webdriver: n.webdriver || undefined }, more));
  // Text: browsers ask nobody beforehand. The page goes away with the last one, so it has to be a beacon.
  if (more && more.leave) return n.sendBeacon(url, body);
  fetch(url, { method: "POST", body: body, keepalive: true, credentials: "omit" }).then(function (answer) {
    var status = answer.status;
    // There is too much to do; or it will not be taken later either.
    if (status == 429 || status > 499) hold = Date.now() + 1e3 * (answer.headers.get("Retry-After") || 30);
    else if (status > 399) off = 1;
  }).catch(function () {
    // Where a page's policy lets nothing but pictures through.
    if (!more) return;
    var image = new Image();
    image.referrerPolicy = "origin";
    image.src = base + "/b.gif?" + new URLSearchParams(JSON.parse(body));
  });
}

function view(again) {
  if (path() != viewed || again === 1) {
    send("views", { title: d.title.slice(0, 200), pageType: data.type, referrer: viewed ? undefined : d.referrer });
    viewed = path();
    beat();
  }
}

function beat() {
  clearTimeout(timer);
  if (d.visibilityState != "visible") return;
  if (Date.now() - beatenAt > 2e4 || path() != beaten) {
    heard(mine = 1);
    send("heartbeat");
    tell(1);
  }
  // Of all tabs of a site one that is seen speaks for all. The others are a moment later, so that they hear of it, and one of
  // them speaks when it is gone.
  timer = setTimeout(beat, (mine ? 25e3 : 35e3) + Math.random() * 5e3);
}

// Somebody has spoken for this site just now, or (0) has gone.
function heard(now) {
  beatenAt = now && Date.now();
  beaten = path();
}

function tell(now) {
  if (channel) channel.postMessage(now);
}

function later() {
  // The page gets its title a moment after its address.
  setTimeout(view, 300);
}

function start() {
  if (started || off) return;
  started = 1;
  firstPath = at.pathname;
  firstLink = link();
  if (w.BroadcastChannel) {
    channel = new BroadcastChannel("fediviews");
    channel.onmessage = function (event) {
      mine = 0;
      heard(event.data);
      beat();
    };
  }
  ["pushState", "replaceState"].forEach(function (name) {
    var original = history[name];
    history[name] = function () {
      original.apply(this, arguments);
      later();
    };
  });
  addEventListener("popstate", later);
  d.addEventListener("visibilitychange", beat);
  addEventListener("pagehide", function () {
    if (mine) {
      send("heartbeat", { leave: true });
      mine = heard(0);
      tell(0);
    }
  });
  // Out of the browser's memory of pages: it is looked at again.
  addEventListener("pageshow", function (event) {
    if (event.persisted) view(1);
  });
  view();
}

if (data.auto != "off") {
  if (d.prerendering) d.addEventListener("prerenderingchange", start);
  else start();
}
