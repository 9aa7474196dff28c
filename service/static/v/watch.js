// One video element and the video that it plays.
var SEEK_FORWARD_S = 3;
var watches = [];

function Watch(video, options) {
  var self = this, id = options.id, quality = new Quality(video, options);
  var timer, begun, over, gone, said, seek, before = 0, from, was, stale;
  this.id = id;

  function now() {
    return Math.floor(video.currentTime);
  }

  function report(event, last) {
    var body = Object.assign({ currentTime: now(), sessionId: session, viewerToken: options.token }, traits);
    // Wherever somebody begins, that is no jump.
    if (said === undefined) seek = 0;
    if (event || seek) body.viewEvent = event || "seek";
    if (event == "ended") body.currentTime = Math.floor(video.duration);
    // The second time round is not told, nor where another source begins.
    if (over || (stale && last)) body.currentTime = said;
    seek = 0;
    said = body.currentTime;
    gone = event == "leave";
    post(of(id, "views"), body, last);
  }

  function tick() {
    // Between two sources, and behind the end, the position means nothing.
    if (!over && !stale && !video.ended && now() !== said) report();
  }

  function begin() {
    // Who never gets as far as knowing what there is to see does not watch.
    if (over || begun || !video.readyState) return;
    begun = 1;
    stale = 0;
    attend();
    settings().then(function (found) {
      if (over || !begun) return;
      var interval = ((found.views || {}).videos || {}).watchingInterval || { anonymous: 5e3 };
      if (interval.anonymous === null) return;
      quality.start(found);
      if (said === undefined || gone) report();
      clearInterval(timer);
      if (interval.anonymous) timer = setInterval(tick, interval.anonymous);
    });
  }

  function emptied() {
    stale = 1;
  }

  function on() {
    stale = 0;
    begin();
  }

  // A jump back, or forward by three seconds and more; a player that catches up jumps less.
  function leaving() {
    if (from === undefined) from = before;
  }

  function moved() {
    var to = video.currentTime;
    if (from !== undefined) before = from;
    from = undefined;
    if (video.loop && said !== undefined && before > to && to < 1 && before > video.duration - 2) return end();
    if (to < before || to - before >= SEEK_FORWARD_S) seek = 1;
    before = to;
  }

  function played() {
    // A browser says the new time once before it says that the seek is over.
    if (!video.seeking && from === undefined) {
      // A loop begins anew without a word of seeking in some browsers.
      if (video.loop && before > video.currentTime + 1) moved();
      before = video.currentTime;
    }
  }

  // Played to the end: after the first time round nothing is said any more.
  function end() {
    if (over || said === undefined) return;
    if (!isFinite(video.duration)) return tick();
    report("ended");
    if (video.loop) finish();
  }

  function leave() {
    if (said !== undefined && !gone) report("leave", 1);
    rest();
  }

  function rest() {
    begun = 0;
    clearInterval(timer);
    quality.stop();
  }

  function finish() {
    over = 1;
    rest();
  }

  function attend() {
    addEventListener("pagehide", leave);
    addEventListener("pageshow", back);
    if (watches.indexOf(self) < 0) watches.push(self);
  }

  // Nothing holds the element any more but the page.
  function forget() {
    removeEventListener("pagehide", leave);
    removeEventListener("pageshow", back);
    watches = watches.filter(function (other) {
      return other !== self;
    });
  }

  // Back out of the browser's memory of pages.
  function back() {
    if (!video.paused) begin();
  }

  var events = quality.events.concat([["play", begin], ["playing", on], ["emptied", emptied], ["seeking", leaving], ["seeked", moved], ["timeupdate", played], ["ended", end]]);
  events.forEach(function (pair) {
    video.addEventListener(pair[0], pair[1]);
  });
  attend();
  settings();
  // A page tells of another video when it sets another source, which some players do a moment later.
  if (options.instead) setTimeout(back, 500);
  else back();

  this.adopt = quality.adopt;

  // Taken out of the page: its viewer has left. Put in again and played, it goes on.
  this.look = function () {
    if (was && !video.isConnected) {
      leave();
      forget();
    }
    was = video.isConnected;
  };

  // For pages that change their video: the element is free afterwards.
  this.stop = function () {
    leave();
    over = 1;
    forget();
    quality.release();
    events.forEach(function (pair) {
      video.removeEventListener(pair[0], pair[1]);
    });
    if (video.fediviews === self) delete video.fediviews;
  };
  this.look();
}
